package uprobe

import (
	"errors"
	"strings"
	"testing"

	"github.com/argtap/argtap/internal/expr"
)

// TestReturnConditions: what is decided where, and what cannot be.
func TestReturnConditions(t *testing.T) {
	path := buildFixture(t, "returns")
	for _, tt := range []struct {
		fn, text string
		// entry and ret are how many conditions each decides, keep how many values are kept.
		entry, ret, keep int
		unwound          expr.Outcome
	}{
		{"work", "n > 5", 1, 0, 0, expr.Depends},
		{"work", "duration > 10ms", 0, 1, 0, expr.Unmet},
		{"work", "n > 5 && duration > 10ms", 1, 1, 0, expr.Unmet},
		{"work", "n > 5 && err != nil && s == \"x\" && duration > 10ms", 1, 2, 0, expr.Unmet},
		{"work", "n > 5 || duration > 10ms", 0, 1, 1, expr.Depends},
		{"work", "out[n] == s[0] && p.n + r > n*2 && n > 1", 1, 2, 4, expr.Unmet},
		{"work", "panicked", 0, 1, 0, expr.Met},
		{"panics", "panicked || duration > 5ms", 0, 1, 0, expr.Met},
		{"work", "!panicked", 0, 1, 0, expr.Unmet},
		{"work", "panicked || err != nil", 0, 1, 0, expr.Met},
		{"work", "err != nil || panicked", 0, 1, 0, expr.Unmet},
		{"work", "panicked && n > 3", 1, 1, 0, expr.Met},
		{"work", "result1 != nil", 0, 1, 0, expr.Unmet},
		{"work", "result2 == \"x!\"", 0, 1, 0, expr.Unmet},
		{"blanks", "result0 > n && result1", 0, 2, 1, expr.Unmet},
		{"shadows", "duration > 3", 1, 0, 0, expr.Depends},
		{"shadows", "result0 == 3 && panicked == 4", 1, 1, 0, expr.Unmet},
		{"shadows", "result1 == 3", 0, 1, 0, expr.Unmet},
	} {
		fs, err := Inspect(path, "main."+tt.fn, WithResults(), WithCondition(tt.text))
		if err != nil {
			t.Errorf("%s: %v", tt.text, err)
			continue
		}
		f := fs[0]
		r := f.atReturn
		if r == nil {
			r = &atReturn{}
		}
		if len(f.where) != tt.entry || len(r.where) != tt.ret || len(r.keep) != tt.keep || r.unwound != tt.unwound || (r.unwoundIf != nil) != (r.unwound == expr.Depends && tt.ret > 0) {
			t.Errorf("%s: %d at the entry, %d at the return, %d kept, unwound %v", tt.text, len(f.where), len(r.where), len(r.keep), r.unwound)
		}
	}
	for _, tt := range []struct {
		fn, text, want string
		column         int
	}{
		{"work", "r > s", "different types", 3},
		{"work", "r > q.n && zz", "no parameter or result zz; there are: id, n, s, p, r, err, out, q, result0, result1, result2, result3, duration, panicked", 12},
		{"work", "s[r] == 1", "only numbers and bools can be kept until then, not a string", 1},
		{"work", "p == q", "only numbers and bools can be kept until then, not a *main.node", 1},
		{"work", "duration > 5x", "expected", 13},
		{"work", "duration", "a condition is a bool", 1},
		{"work", "result4 == 1", "no parameter or result result4", 1},
		{"work", "duration > n", "different types", 10},
		{"floats", "n > 1 && result0 > 1.5", "it would never be met: result result0 is not there at the return: register not readable", 1},
		{"never", "duration > 5ms", "it needs what is known only when the call returns, which cannot be had: it has no return", 1},
		{"panics", "duration > 5ms", "it would never be met: each call ends by a panic", 1},
		{"panics", "result0 > 5 && panicked", "it would never be met: each call ends by a panic", 1},
		{"many", "duration > 1h || n == 1 || n/2 == r || n/3 == r || n/4 == r || n/5 == r || n/6 == r || n/7 == r || n/8 == r || n/9 == r || n/10 == r || n/11 == r || n/12 == r || n/13 == r || n/14 == r || n/15 == r",
			"more than 14 values", 0},
	} {
		_, err := Inspect(path, "main."+tt.fn, WithResults(), WithCondition(tt.text))
		var e *ExprError
		if !errors.As(err, &e) || !strings.Contains(e.Message, tt.want) || tt.column > 0 && e.Column != tt.column || e.NeedsResults {
			t.Errorf("%s: %v, want %q at %d", tt.text, err, tt.want, tt.column)
		}
	}
}

// TestNeedsResults: without whole calls conditions say what they lack, and captures
// that they cannot.
func TestNeedsResults(t *testing.T) {
	needRoot(t)
	path := buildFixture(t, "returns")
	for text, want := range map[string]string{
		"n > 3 && duration > 10ms": "column 10: duration is known only when the call returns: trace whole calls, by WithResults",
		"err == nil":               "column 1: result err is known only when the call returns",
		"n > 3 || result1 != nil":  "column 10: result err is known only when the call returns",
		"zz > 1":                   "no parameter zz; parameters: id, n, s, p",
	} {
		_, err := Trace(path, "main.work", func(*Call) {}, WithCondition(text))
		var e *ExprError
		if !errors.As(err, &e) || !strings.Contains(err.Error(), want) || e.NeedsResults != (text != "zz > 1") {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
	_, err := Trace(path, "main.work", func(*Call) {}, WithCapture("n", "err"), WithResults())
	var e *ExprError
	if !errors.As(err, &e) || e.NeedsResults || !strings.Contains(e.Message, "result err is known only when the call returns: what is captured are values of the entry") {
		t.Error(err)
	}
}

package symbols

import (
	"slices"
	"strings"
	"testing"
)

func TestMatch(t *testing.T) {
	tests := []struct {
		pattern   string
		isPattern bool
		yes, no   []string
	}{
		{"main.run", false, []string{"main.run"}, []string{"main.runs", "amain.run", "main-run", ""}},
		{"", false, []string{""}, []string{"x"}},
		{"*", true, []string{"", "x", "a/b.(*T).M", "ä\xff"}, nil},
		{"**", true, []string{"", "x"}, nil},
		{"main.*", true, []string{"main.", "main.f", "main.(*T).f.func1"}, []string{"main", "xmain.f"}},
		{"*.run", true, []string{".run", "a/b.run", "main.T.run"}, []string{"run", "main.runs"}},
		{"net/http.*Conn*", true, []string{"net/http.Conn", "net/http.(*Conn).f"}, []string{"net/http.(*conn).f"}},
		{"*a*b*c", true, []string{"abc", "xaxbxc", "aabbcc", "abcabc"}, []string{"acb", "abcx", "ab"}},
		{"a*ab", true, []string{"aab", "abab", "aaab"}, []string{"ab", "aabx"}},
		{"main.f?", true, []string{"main.f1", "main.fé", "main.f世"}, []string{"main.f", "main.f12", "main.féé"}},
		{"?", true, []string{"a", "é", "\xff"}, []string{"", "ab"}},
		{"*?b", true, []string{"ab", "éb", "xxb"}, []string{"b", "ba"}},
		{"??*", true, []string{"ab", "abc", "éé"}, []string{"a", "é"}},

		// Stars of pointers.
		{"main.(*Server).*", true, []string{"main.(*Server).Serve", "main.(*Server).Serve.func1", "main.(*Server)."},
			[]string{"main.(*XServer).Serve", "main.(Server).Serve", "main.Server.Serve", "main.(*Server)"}},
		{"net/http.(*conn).serve", false, []string{"net/http.(*conn).serve"}, []string{"net/http.(*xconn).serve", "net/http.(conn).serve"}},
		{"main.(*_t).m", false, []string{"main.(*_t).m"}, nil},
		{"main.(*ä).m", false, []string{"main.(*ä).m"}, []string{"main.(*xä).m"}},
		{"main.(*).Serve", true, []string{"main.(*T).Serve", "main.(*).Serve"}, []string{"main.T.Serve", "main.(*T).Close"}},
		{"main.(**).Serve", true, []string{"main.(*T).Serve"}, []string{"main.(T).Serve"}},
		{"main.(*S*).m", true, []string{"main.(*S).m", "main.(*Server).m"}, []string{"main.(*XS).m"}},
		{"main.(*?).m", true, []string{"main.(*T).m"}, []string{"main.(*TT).m", "main.(xT).m"}},
		{"main.*Server.Serve", true, []string{"main.(*Server.Serve", "main.Server.Serve"}, []string{"main.(*Server).Serve"}},
		{"*(*Server).Serve", true, []string{"main.(*Server).Serve"}, []string{"main.(xServer).Serve"}},

		// Type arguments.
		{"main.Map[...]", false, []string{"main.Map[...]"}, []string{"main.Map[int]", "main.Map."}},
		{"main.Gen[go.shape.int]", false, []string{"main.Gen[go.shape.int]"}, []string{"main.Gen[go.shape.int_0]", "main.Geng"}},
		{"main.Gen[*]", true, []string{"main.Gen[int]", "main.Gen[*int]", "main.Gen[go.shape.int]"}, []string{"main.Gen", "main.Gen[int].func1"}},
		{"main.Gen[*int]", false, []string{"main.Gen[*int]"}, []string{"main.Gen[uint]"}},
		{"main.Gen[**int]", false, []string{"main.Gen[**int]"}, []string{"main.Gen[*int]"}},
		{"main.Gen[go.shape.*uint8]", false, []string{"main.Gen[go.shape.*uint8]"}, []string{"main.Gen[go.shape.uint8]"}},
		{"main.Gen[int,*main.T]", false, []string{"main.Gen[int,*main.T]"}, []string{"main.Gen[int,xmain.T]"}},
		{"main.Gen[int,*]", true, []string{"main.Gen[int,*main.T]", "main.Gen[int,string]"}, []string{"main.Gen[uint,int]"}},
		{"main.Gen[[]*main.T]", false, []string{"main.Gen[[]*main.T]"}, []string{"main.Gen[[]main.T]"}},
		{"main.Gen[*[]int]", false, []string{"main.Gen[*[]int]"}, []string{"main.Gen[[]int]"}},
		{"main.Gen[map[string]*main.T]", false, []string{"main.Gen[map[string]*main.T]"}, nil},
		{"main.Gen[chan *main.T]", false, []string{"main.Gen[chan *main.T]"}, nil},
		{"main.Gen[go.shape.struct { F *main.T }]", false, []string{"main.Gen[go.shape.struct { F *main.T }]"}, nil},
		{"type:.eq.struct { F *main.T }", false, []string{"type:.eq.struct { F *main.T }"}, nil},
		{"main.(*Stack[*]).Push", true, []string{"main.(*Stack[int]).Push", "main.(*Stack[*int]).Push"}, []string{"main.(*Stack).Push", "main.Stack[int].Push"}},
		{"main.Gen[int]*", true, []string{"main.Gen[int]", "main.Gen[int].func1"}, []string{"main.Gen[*int]"}},
		{"main.f *x", true, []string{"main.f x", "main.f yx"}, nil},
	}
	for _, tt := range tests {
		if got := IsPattern(tt.pattern); got != tt.isPattern {
			t.Errorf("IsPattern(%q) = %v", tt.pattern, got)
		}
		for _, name := range tt.yes {
			if !Match(tt.pattern, name) {
				t.Errorf("Match(%q, %q) = false", tt.pattern, name)
			}
		}
		for _, name := range tt.no {
			if Match(tt.pattern, name) {
				t.Errorf("Match(%q, %q) = true", tt.pattern, name)
			}
		}
	}
}

// TestMatchTime: a pattern that defeats a matcher which tries all ways.
func TestMatchTime(t *testing.T) {
	pattern := strings.Repeat("a*", 200) + "b"
	if Match(pattern, strings.Repeat("a", 5000)) {
		t.Error("matched")
	}
}

// TestNamesAreNoPatterns: a full name must select just its function.
func TestNamesAreNoPatterns(t *testing.T) {
	stars := 0
	for _, v := range withTables {
		for fn, err := range v.open(t).Funcs() {
			if err != nil {
				t.Fatal(err)
			}
			if strings.Contains(fn.Name, "*") {
				stars++
			}
			if IsPattern(fn.Name) || !Match(fn.Name, fn.Name) {
				t.Errorf("%s is taken for a pattern", fn.Name)
			}
		}
	}
	if stars < 100 {
		t.Errorf("only %d names with a star", stars)
	}
}

func TestGlob(t *testing.T) {
	f := plain.open(t)
	tests := []struct {
		pattern string
		want    []string
	}{
		{"main.(*Server).*", []string{"main.(*Server).Serve", "main.(*Server).Hits"}},
		{"main.Sum[*]", []string{"main.Sum[go.shape.int]", "main.Sum[go.shape.int64]"}},
		{"main.(*Stack[*]).Push", []string{"main.(*Stack[go.shape.string]).Push", "main.(*Stack[go.shape.*uint8]).Push"}},
		{"main.caf?*", []string{"main.café", "main.café.func1", "main.main.café.func1"}},
		{"main.computeE", []string{"main.computeE"}},
	}
	for _, tt := range tests {
		got, err := f.Glob(tt.pattern)
		if err != nil {
			t.Errorf("Glob(%q): %v", tt.pattern, err)
		}
		if !slices.IsSortedFunc(got, byEntry) {
			t.Errorf("Glob(%q) is not sorted: %v", tt.pattern, got)
		}
		for _, fn := range got {
			if !slices.Contains(tt.want, fn.Name) {
				t.Errorf("Glob(%q) has %s", tt.pattern, fn.Name)
			}
			if want, err := f.Lookup(fn.Name); fn != want || err != nil {
				t.Errorf("Glob(%q): %+v; Lookup: %+v, %v", tt.pattern, fn, want, err)
			}
		}
		if len(got) == 0 {
			t.Errorf("Glob(%q) is empty", tt.pattern)
		}
	}
	all, err := f.Glob("*")
	if want := nm(t, plain.path(t)); err != nil || len(all) != len(want) {
		t.Errorf("Glob(*): %d functions, %v; want %d", len(all), err, len(want))
	}
}

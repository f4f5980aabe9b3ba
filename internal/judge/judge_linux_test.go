package judge

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"strings"
	"testing"

	"github.com/go-delve/delve/service/api"
)

var update = flag.Bool("update", false, "write docs/delve.md")

func TestMain(m *testing.M) {
	// It takes minutes, and a network.
	if os.Getenv("ARGTAP_REAL") == "" && os.Getenv("CI") == "" {
		fmt.Println("skipped: set ARGTAP_REAL=1 to fetch and build real programs, and to run them under Delve and argtap at once")
		return
	}
	os.Exit(m.Run())
}

// TestJudge runs programs under Delve while argtap traces them. What the two
// show of the same calls must be the same. The short test has one program.
func TestJudge(t *testing.T) {
	programs := []func(*testing.T) *Program{goCommand, caddyServer, delve}
	if testing.Short() {
		programs = programs[:1]
	}
	var results []*Result
	for _, program := range programs {
		p := program(t)
		t.Run(p.Name, func(t *testing.T) { results = append(results, judged(t, p)) })
	}
	if *update && !testing.Short() && !t.Failed() {
		path := filepath.Join("..", "..", "docs", "delve.md")
		if err := os.WriteFile(path, []byte(document(results)), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// size sets how much of a program is compared.
func size(t *testing.T, p *Program, out *os.File) {
	p.Candidates, p.Funcs, p.Calls = 3000, 300, 3
	if testing.Short() {
		p.Candidates, p.Funcs, p.Calls = 300, 40, 2
	}
	p.Output, p.Progress = out, t.Logf
}

func judged(t *testing.T, p *Program) *Result {
	out, err := os.Create(filepath.Join(t.TempDir(), "out"))
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	size(t, p, out)
	r, err := Run(p)
	if err != nil {
		t.Fatal(err)
	}
	t.Log(r)
	if text, err := os.ReadFile(out.Name()); err != nil || len(text) == 0 {
		t.Errorf("it printed nothing: %v", err)
	}
	for _, d := range r.Differences {
		t.Errorf("%v", d)
	}
	for _, m := range r.Missing {
		t.Errorf("%v", m)
	}
	if r.Back < r.Grew*9/10 || r.Unsent > r.Calls/10 {
		t.Errorf("of %d stops whose stacks grew %d came back; of %d calls %d were lost", r.Grew, r.Back, r.Calls, r.Unsent)
	}
	if r.Funcs < p.Funcs || r.Equal < 30*r.Calls {
		t.Errorf("too little compared: %d functions, %d of %d calls", r.Funcs, r.Equal, r.Calls)
	}
	return r
}

// TestSees falsifies one value of each call that Delve shows, at the top or
// deep. Each must be found.
func TestSees(t *testing.T) {
	p := goCommand(t)
	falsified := map[string]int{}
	n, kinds := 0, map[reflect.Kind]int{}
	p.tamper = func(fn string, v *api.Variable, object bool) {
		if falsified[fn] > 0 || object != (n%3 > 0) {
			return // once for each function, which has one call
		}
		if kind, ok := falsify(v); ok {
			n++
			falsified[fn]++
			kinds[kind]++
		}
	}
	out, err := os.Create(filepath.Join(t.TempDir(), "out"))
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	size(t, p, out)
	p.Calls = 1
	r, err := Run(p)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d values falsified, of kinds %v; %d differences", n, kinds, len(r.Differences))
	if len(r.Differences) > 0 {
		t.Logf("such as %v", r.Differences[len(r.Differences)-1])
	}
	for _, d := range r.Differences {
		delete(falsified, d.Func)
	}
	for fn := range falsified {
		t.Errorf("%s: what was falsified was not seen", fn)
	}
	if n < p.Funcs/2 || len(kinds) < 4 {
		t.Error("too little falsified")
	}
}

// falsify changes the first value in v that has a simple form.
func falsify(v *api.Variable) (reflect.Kind, bool) {
	if v.Unreadable != "" || unloaded(v) {
		return 0, false
	}
	switch v.Kind {
	case reflect.Int, reflect.Uint:
		v.Value = "1" + number(v.Value)
	case reflect.Bool:
		v.Value = map[string]string{"true": "false", "false": "true"}[v.Value]
	case reflect.String:
		if v.Value == "" {
			v.Len++
		} else {
			v.Value = "\x00" + v.Value[1:]
		}
	case reflect.Slice:
		v.Cap++
	case reflect.Pointer:
		v.Children[0].Addr ^= 8
	case reflect.Struct:
		for i := len(v.Children) - 1; i >= 0; i-- {
			if kind, ok := falsify(&v.Children[i]); ok {
				return kind, true
			}
		}
		return 0, false
	default:
		return 0, false
	}
	return v.Kind, true
}

// document writes the results down.
func document(results []*Result) string {
	var b strings.Builder
	b.WriteString(`# What argtap captures against what Delve shows

Programs that nobody here wrote run under Delve while argtap traces them. At the
same stop of a call, both show every parameter, as deep as argtap follows it, and
everything is compared: bits, lengths, addresses, names of types and fields,
entries of maps, what pointers and interfaces lead to. (Not the names of types of
generic code, where Delve has the shape that instances share.) The package comment of
internal/judge says how the two come to see the same memory.

This file is written by

    cd internal/judge && ARGTAP_REAL=1 go test -run '^TestJudge$' -update

`)
	fmt.Fprintf(&b, "here on %s/%s with %s, from\n\n", runtime.GOOS, runtime.GOARCH, runtime.Version())
	b.WriteString("| program | functions | calls | lost | values equal | different | explained | not shown by argtap | not shown by Delve |\n|---|--:|--:|--:|--:|--:|--:|--:|--:|\n")
	for _, r := range results {
		explained := 0
		for _, n := range r.Explained {
			explained += n
		}
		fmt.Fprintf(&b, "| %s | %d | %d | %d | %d | %d | %d | %d | %d |\n",
			r.Program, r.Funcs, r.Calls, r.Unsent, r.Equal, len(r.Differences), explained, r.absent("argtap"), r.absent("delve"))
	}
	b.WriteString(`
The functions are those that are called first out of some thousand, which a hash
of their names selects. Of the calls that Delve stopped at, none was missing in
what argtap delivered but those that it counted as lost, and none was there twice.

Values that one side does not show, by the reason that it gives. What a limit cuts,
or what Delve does not read, is one value, whatever it has inside.

| side: reason |`)
	reasons := map[string]int{}
	for _, r := range results {
		fmt.Fprintf(&b, " %s |", r.Program)
		for why, n := range r.Absent {
			reasons[why] += n
		}
	}
	b.WriteString("\n|---|" + strings.Repeat("--:|", len(results)) + "\n")
	for _, why := range byCount(reasons) {
		fmt.Fprintf(&b, "| %s |", why)
		for _, r := range results {
			fmt.Fprintf(&b, " %d |", r.Absent[why])
		}
		b.WriteByte('\n')
	}
	b.WriteString("\nDifferences that are explained:\n\n")
	for _, e := range explanations {
		fmt.Fprintf(&b, "- %s of `%s`: %s.\n", e.param, e.fn, e.why)
	}
	return b.String()
}

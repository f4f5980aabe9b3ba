package e2e

import (
	"bufio"
	_ "embed"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/argtap/argtap/internal/fixture"
	"github.com/argtap/argtap/uprobe"
)

//go:embed testdata/returns/main.go
var returnsSource string

// returnsWriter writes random conditions of the functions of testdata/returns: as a
// user does, and for the program, where what may be absent is behind functions.
type returnsWriter struct {
	*rand.Rand
	fn string
}

// both is an expression in both forms.
type both struct{ user, program string }

func same(s string) both { return both{s, "e." + s} }

func (w returnsWriter) pick(of ...both) both { return of[w.IntN(len(of))] }

func (w returnsWriter) leaf() both {
	res := func(user, program string) both { return both{user, "e.res()." + program} }
	args := []both{
		same("n"), same("n"), same("id"), {"int(b)", "int(e.b)"}, {"len(s)", "len(e.s)"}, same("p.n"), same("p.next.n"), {"len(p.kids)", "len(e.p.kids)"},
		{"p.kids[n]", "e.p.kids[e.n]"},
	}
	results := []both{
		res("r", "r"), res("result0", "r"), {"len(out)", "len(e.res().out)"}, res("q.n", "q.n"), {"q.kids[n]", "e.res().q.kids[e.n]"},
		{"q.kids[id%4]", "e.res().q.kids[e.id%4]"}, {"len(result2.kids)", "len(e.res().q.kids)"}, res("err.(*failure).code", "err.(*failure).code"),
		{"int(out[0])", "int(e.res().out[0])"}, {"int(out[n])", "int(e.res().out[e.n])"},
	}
	if w.fn == "pair" {
		results = []both{
			res("result0", "i"), {"len(result1)", "len(e.res().list)"}, res("result1[1]", "list[1]"), {"result1[n]", "e.res().list[e.n]"},
			res("result1[0]", "list[0]"),
		}
	}
	if w.IntN(2) == 0 {
		return w.pick(args...)
	}
	return w.pick(results...)
}

func (w returnsWriter) number(depth int) both {
	if depth > 0 && w.IntN(2) == 0 {
		x, y := w.number(depth-1), w.number(depth-1)
		if w.IntN(3) == 0 {
			k := fmt.Sprint(1 + w.IntN(4))
			y = both{k, k}
		}
		op := []string{"+", "-", "*", "/", "%", "&", "|"}[w.IntN(7)]
		return both{"(" + x.user + op + y.user + ")", "(" + x.program + op + y.program + ")"}
	}
	return w.leaf()
}

func (w returnsWriter) condition(depth int) both {
	if depth > 0 && w.IntN(3) > 0 {
		x := w.condition(depth - 1)
		if w.IntN(5) == 0 {
			return both{"!(" + x.user + ")", "!(" + x.program + ")"}
		}
		y, op := w.condition(depth-1), []string{" && ", " || "}[w.IntN(2)]
		return both{"(" + x.user + op + y.user + ")", "(" + x.program + op + y.program + ")"}
	}
	if w.IntN(3) == 0 {
		conds := []both{
			same("flag"), same("panicked"), {`s == "ab"`, `e.s == "ab"`}, {"p == nil", "e.p == nil"}, {"p.f > 0.5", "e.p.f > 0.5"},
			{"duration > 0", "e.res().took >= 0"}, {"duration < 1h30m", "e.res().took >= 0"}, {"duration + 1h < 1ms * 3600000", "e.res().took < 0"},
		}
		if w.fn == "work" {
			conds = append(conds, []both{
				{`out < "abab"`, `e.res().out < "abab"`}, {`out == "ab!"`, `e.res().out == "ab!"`}, {"q == nil", "e.res().q == nil"}, {"err != nil", "e.res().err != nil"},
				{"p.f < q.f", "e.p.f < e.res().q.f"}, {"q.f == 1.5", "e.res().q.f == 1.5"}, {"flag == (err == nil)", "e.flag == (e.res().err == nil)"},
				{"result3 == nil", "e.res().err == nil"}, {"(duration >= 3000000 || n != 5)", "e.res().n < 8"},
				{"(n != 5 || duration < 3ms)", "e.n != 5"}, {"(n == 5 && duration > 2.9ms)", "e.n == 5"},
			}...)
		} else {
			conds = append(conds, both{"result2", "e.res().ok"}, both{"result2 == flag", "e.res().ok == e.flag"})
		}
		return w.pick(conds...)
	}
	x, y := w.number(2), w.number(1)
	op := []string{" == ", " != ", " < ", " <= ", " > ", " >= "}[w.IntN(6)]
	return both{x.user + op + y.user, x.program + op + y.program}
}

// late reports whether a condition names what is known only at the return.
func late(c string) bool {
	for _, name := range []string{"result", "panicked", "duration", "err", "out", "q.", "q ", "r+", "r-", "r ", "r)", "(r", "r*", "r/", "r%", "r&", "r|"} {
		if strings.Contains(c, name) {
			return true
		}
	}
	return false
}

// returnsProgram writes the program and returns its conditions.
func returnsProgram(seed uint64, n int) (fixture.Source, map[string][]string) {
	texts := map[string][]string{}
	var b strings.Builder
	b.WriteString("package main\n\nimport \"time\"\n\nvar _ time.Time\n\nvar conditions = map[string][]func(e *end) bool{\n")
	for _, fn := range []string{"work", "pair"} {
		w := returnsWriter{rand.New(rand.NewPCG(seed, uint64(len(fn)+int(fn[0])))), fn}
		fmt.Fprintf(&b, "%q: {\n", fn)
		add := func(c both) {
			texts[fn] = append(texts[fn], c.user)
			fmt.Fprintf(&b, "func(e *end) bool { return %s },\n", c.program)
		}
		// What is to be kept of the arguments even where nothing is random.
		add(both{"panicked || n > 3", "e.panicked || e.n > 3"})
		add(both{"n > 3 || panicked", "e.n > 3 || e.panicked"})
		add(both{"p.n > 3 || panicked", "e.p.n > 3 || e.panicked"})
		add(both{"n == 5 && duration >= 3ms", "e.n == 5 && e.list == nil"})
		add(both{"!panicked && (result0 != n || p.n < 0)", "!e.panicked && (e.first() != e.n || e.p.n < 0)"})
		for len(texts[fn]) < n {
			if c := w.condition(3); late(c.user) {
				add(c)
			}
		}
		b.WriteString("},\n")
	}
	b.WriteString("}\n\nfunc (e *end) first() int {\n\tif e.list != nil {\n\t\treturn e.res().i\n\t}\n\treturn e.res().r\n}\n")
	return fixture.Source{"main.go": returnsSource, "conditions.go": b.String()}, texts
}

// TestReturnConditions traces whole calls with conditions over arguments, results and
// duration, and compares which calls are delivered with what the program itself
// says of the conditions. With seedVar they are others, funcsVar of them.
func TestReturnConditions(t *testing.T) {
	needRoot(t)
	if list := trials(t, 40); list != nil {
		for _, x := range list {
			t.Run(x.String(), func(t *testing.T) {
				if undescribed(x.minor(t)) != nil {
					t.Log("too little is described for conditions")
					return
				}
				src, texts := returnsProgram(x.seed, x.funcs)
				testReturns(t, x.build(t, src), texts)
			})
		}
		return
	}
	for i, b := range builds {
		n := 7
		if i == 0 {
			n = 14
		}
		if os.Getenv("ARGTAP_TOOLCHAINS") == "1" {
			n = 150
		}
		t.Run(b.name, func(t *testing.T) {
			src, texts := returnsProgram(uint64(i)+1, n)
			testReturns(t, fixture.Build(t, src, b.flags...), texts)
		})
	}
}

// testReturns traces a program with one condition after the other; empty ones are
// left out.
func testReturns(t *testing.T, path string, texts map[string][]string) {
	cmd := exec.Command(path)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { in.Close(); cmd.Wait() }()
	lines := bufio.NewScanner(out)
	outcomes := map[string]int{}
	for i := range texts["work"] {
		for fn := range texts {
			if texts[fn][i] == "" {
				continue
			}
			testReturnCondition(t, path, fn, i, texts[fn][i], in, lines, outcomes)
		}
	}
	calls := 0
	for _, n := range outcomes {
		calls += n
	}
	compared(t, calls)
	t.Logf("%v", outcomes)
	for _, o := range []string{"met", "not met", "panicked, met", "panicked, not met"} {
		if outcomes[o] == 0 {
			t.Errorf("no call was %s", o)
		}
	}
}

func testReturnCondition(t *testing.T, path, fn string, i int, text string, in io.Writer, lines *bufio.Scanner, outcomes map[string]int) {
	t.Helper()
	got := map[int64]*uprobe.Call{}
	tr, err := uprobe.Trace(path, "main."+fn, func(c *uprobe.Call) {
		id, _ := c.Arg(0).Int()
		if got[id] != nil {
			t.Errorf("%s: call %d was delivered twice", text, id)
		}
		got[id] = c.Clone()
	}, uprobe.WithResults(), uprobe.WithCondition(text))
	if err != nil {
		t.Fatalf("%s: %s: %v", fn, text, err)
	}
	defer tr.Close()
	fmt.Fprintln(in, "run")
	want, calls := map[int64]bool{}, uint64(0)
	for lines.Scan() && lines.Text() != "done" {
		var name, bits string
		var id int64
		if _, err := fmt.Sscan(lines.Text(), &name, &id, &bits); err != nil {
			t.Fatal(err)
		}
		if name == fn {
			want[id] = bits[i] == '1'
			calls++
		}
	}
	if err := tr.Close(); err != nil {
		t.Fatal(err)
	}
	s := tr.Stats()
	lost := s.Lost // on a busy machine, and counted
	for id, w := range want {
		c := got[id]
		if c == nil && w && lost > 0 {
			lost--
		} else if (c != nil) != w {
			t.Errorf("%s: %s: call %d is met: %v, delivered: %v", fn, text, id, w, c)
		}
		outcome := map[bool]string{true: "met", false: "not met"}[w]
		if id%8 == 7 {
			outcome = "panicked, " + outcome
		}
		outcomes[outcome]++
		if c != nil && c.Panicked() != (id%8 == 7) {
			t.Errorf("%s: %s: %v: panicked: %v", fn, text, c, c.Panicked())
		}
	}
	if s.Calls != calls || s.Lost > 5 || s.Delivered != uint64(len(got)) || s.Delivered+s.Filtered+s.Lost != s.Calls || s.Open+s.Abandoned != 0 {
		t.Errorf("%s: %s: %d calls: %+v", fn, text, calls, s)
	}
}

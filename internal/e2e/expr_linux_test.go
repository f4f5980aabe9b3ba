package e2e

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"

	"github.com/argtap/argtap/internal/fixture"
	"github.com/argtap/argtap/uprobe"
)

// exprFuncs are functions with expressions over their parameters, and calls of
// them: what stands in the program.
var exprFuncs = []struct {
	name, params, args string // names of the parameters
	exprs              []string
	calls              []string
}{
	{"serve", "r *request, body []byte, n int", "r, body, n", []string{
		"r.URL.Path", "r.Method", "len(body)", "cap(body)", "body", "body[:2]", "body[1]", "n+1", "n", "r == nil", "r.URL.Host == \"h\"",
		"r.URL", "*r.URL", "r.next.next.Method", "r.Header == nil", "n/(n-7)", "n > 2 && r.Method == \"GET\"", "r.URL.Path[1:]",
		"-n<<3", "uint8(n)*200", "len(r.URL.Path)%3", "r.tags[n]", "r.tags[1:]", "r.tags[:1][0]", "r.Method < \"H\"", "r.size", "r.size > 1.5",
	}, []string{
		`&request{URL: &url{Host: "h", Path: "/index.html"}, Method: "GET", tags: []string{"a", "bb", "ccc"}, size: 1.5,
			next: &request{Method: "POST", next: &request{Method: "PUT"}}}, []byte("hello"), 1`,
		`&request{URL: &url{Path: ""}, Method: "HEAD", size: 2.5, next: &request{Method: "x"}}, make([]byte, 3, 10), 7`,
		`&request{Method: "GE", tags: []string{}}, nil, 2`,
		`nil, []byte{1}, -300`,
	}},
	{"items", "buf []item, arr [4]item, p *[3]int32, k uint", "buf, arr, p, k", []string{
		"buf[3].name", "buf[k].name", "buf[1:3]", "buf[k:]", "arr[2].id", "arr[k].name", "arr[k]", "arr[1:3]", "p[1]", "p[k]", "len(p[:])", "p[:2]", "*p",
		"len(buf)", "buf == nil", "arr[0].id+int64(k)", "buf[len(buf)-1].id", "arr[3].part.x", "arr", "k<<4", "^k", "k", "buf[2:k]",
	}, []string{
		`[]item{{"a", 1, point{1, 2}}, {"b", 2, point{}}, {"c", 3, point{5, 6}}, {"d", 4, point{}}},
			[4]item{{"w", 10, point{}}, {"x", 20, point{}}, {"y", 30, point{}}, {"z", 40, point{-1, -2}}}, &[3]int32{7, 8, 9}, 2`,
		`[]item{{"a", 1, point{}}}, [4]item{}, nil, 2`,
		`nil, [4]item{}, &[3]int32{}, 0`,
	}},
	{"fails", "err error, x interface{}", "err, x", []string{
		"err.(*pathError).Path", "err.(*pathError).Err.(code)", "err.(code)", "err == nil", "x.(int)", "x.(*item).name", "x.(point).y", "x.(string)", "x",
		"err", "x.(box).p.id", "x.([]int)[1]", "x.(code)+1",
	}, []string{
		`&pathError{"open", "/x", code(2)}, 5`, `code(3), &item{"n", 1, point{}}`, `nil, nil`, `&pathError{"", "", nil}, point{3, 4}`,
		`(*pathError)(nil), "text"`, `&other{}, box{&item{"in a box", 9, point{}}}`, `&other{}, []int{4, 5}`, `&other{}, []int{}`, `code(7), code(8)`,
	}},
	{"lookup", "m map[string]item, ids map[int]*item, deep map[bool]map[string][]string, k int", "m, ids, deep, k", []string{
		`m["key"]`, `m["key"].name`, `m["key"].part.x + 1`, `ids[7].name`, `ids[7]`, `len(m)`, `m == nil`, `deep[true]["a"][k]`, `deep[true]["a"][1:]`,
		`len(deep[false])`, `m["key"].name == "v" && k == 1`, `m["missing"].id`,
	}, []string{
		`map[string]item{"key": {"v", 2, point{3, 4}}, "other": {}}, map[int]*item{7: {"seven", 7, point{}}},
			map[bool]map[string][]string{true: {"a": {"x", "y", "z"}, "b": nil}}, 1`,
		`map[string]item{}, map[int]*item{1: nil}, nil, 5`, `nil, nil, nil, 0`,
	}},
}

const exprTypes = `
type url struct{ Host, Path string }
type request struct {
	URL    *url
	Method string
	Header map[string][]string
	tags   []string
	size   float64
	next   *request
}
type point struct{ x, y int32 }
type item struct {
	name string
	id   int64
	part point
}
type box struct{ p *item }
type code int16
func (c code) Error() string { return "code" }
type pathError struct {
	Op, Path string
	Err      error
}
func (e *pathError) Error() string { return e.Path }
type other struct{}
func (*other) Error() string { return "other" }

var sink int

//go:noinline
func float(x float64) { sink++ }

//go:noinline
func big(m map[string]int) { sink++ }

// val prints an expression's value, or why it has none.
func val(f func() reflect.Value) {
	defer func() {
		if e := recover(); e != nil {
			text := fmt.Sprint(e)
			for _, p := range [][2]string{
				{"nil pointer dereference", "nil pointer"}, {"index out of range", "index out of range"},
				{"slice bounds out of range", "slice bounds out of range"}, {"interface conversion", "another dynamic type"},
				{"divide by zero", "division by zero"}, {"negative shift", "negative shift count"},
			} {
				if strings.Contains(text, p[0]) {
					text = p[1]
				}
			}
			fmt.Print("\t!" + text)
		}
	}()
	sh := shape{seen: map[string]bool{}}
	sh.value(f())
	fmt.Print("\t" + string(sh.b))
}
`

// exprProgram writes the program.
func exprProgram(t *testing.T) fixture.Source {
	t.Helper()
	var b strings.Builder
	b.WriteString("package main\n\nimport (\n\"bufio\"\n\"fmt\"\n\"os\"\n\"reflect\"\n\"strings\"\n)\n" + exprTypes)
	for _, f := range exprFuncs {
		fmt.Fprintf(&b, "\n//go:noinline\nfunc %s(%s) { sink++ }\n\nfunc call_%[1]s(%[2]s) {\n\tfmt.Print(\"main.%[1]s\")\n", f.name, f.params)
		for _, e := range f.exprs {
			fmt.Fprintf(&b, "\tval(func() reflect.Value { v := %s; return reflect.ValueOf(&v).Elem() })\n", e)
		}
		fmt.Fprintf(&b, "\tfmt.Println()\n\t%s(%s)\n}\n", f.name, f.args)
	}
	b.WriteString("\nfunc main() {\n\tbufio.NewReader(os.Stdin).ReadString('\\n')\n")
	for _, f := range exprFuncs {
		for _, c := range f.calls {
			fmt.Fprintf(&b, "\tcall_%s(%s)\n", f.name, c)
		}
	}
	b.WriteString("\tfloat(1)\n\tm := map[string]int{}\n\tfor i := 0; i < 200; i++ {\n\t\tm[fmt.Sprint(\"k\", i)] = i\n\t}\n\tbig(m)\n}\n")
	return fixture.Source{"main.go": b.String(), "shape.go": shapeSource}
}

// TestCapture compares the values of expressions with what the program itself
// has for them, and says of the panics that it meets. With ARGTAP_TOOLCHAINS=1 the
// programs of old releases too.
func TestCapture(t *testing.T) {
	needRoot(t)
	src := exprProgram(t)
	for _, b := range builds {
		t.Run(b.name, func(t *testing.T) { testCapture(t, fixture.Build(t, src, b.flags...)) })
	}
	if os.Getenv("ARGTAP_TOOLCHAINS") != "1" {
		return
	}
	for _, release := range []string{"1.12.17", "1.16.15", "1.18.10", "1.21.13", "1.24.13"} {
		t.Run(release, func(t *testing.T) { testCapture(t, fixture.BuildWith(t, fixture.Toolchain{Release: release}, src)) })
	}
	t.Run("386", func(t *testing.T) { testCapture(t, fixture.Build(t, src, "GOARCH=386")) })
}

func testCapture(t *testing.T, path string) {
	var mu sync.Mutex            // each function has a tracer of its own
	got := map[string][]string{} // by function: of each call, the values
	for _, f := range exprFuncs {
		tr := trace(t, path, []string{"main." + f.name}, func(c *uprobe.Call) {
			line := c.Name()
			for name, v := range c.Args() {
				if i := strings.Count(line, "\t"); i >= len(f.exprs) || name != f.exprs[i] {
					line += "\twrong name " + name
				}
				if r, absent := v.Absent(); absent {
					line += "\t!" + r
					continue
				}
				s, _ := shapeOf(v)
				line += "\t" + s
			}
			mu.Lock()
			defer mu.Unlock()
			got[f.name] = append(got[f.name], line)
		}, uprobe.WithCapture(f.exprs...), uprobe.WithLimits(uprobe.Limits{Depth: 10}))
		defer closeAll(t, tr)
	}
	cmd := exec.Command(path)
	cmd.Stdin = strings.NewReader("go\n")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	want := map[string][]string{}
	for line := range strings.Lines(string(out)) {
		line = strings.TrimSuffix(line, "\n")
		name, _, _ := strings.Cut(line, "\t")
		want[name] = append(want[name], line)
	}
	for _, f := range exprFuncs {
		eventually(t, "the calls of "+f.name, func() bool {
			mu.Lock()
			defer mu.Unlock()
			return len(got[f.name]) >= len(f.calls)
		})
		mu.Lock()
		for i, w := range want["main."+f.name] {
			g := strings.Split(got[f.name][i], "\t")
			for j, x := range strings.Split(w, "\t") {
				if j >= len(g) || g[j] != x {
					t.Errorf("%s, call %d: %s: got %s, want %s", f.name, i, f.exprs[j-1], g[min(j, len(g)-1)], x)
				}
			}
		}
		mu.Unlock()
	}
}

// TestCondition: those calls are delivered for which the program itself finds the
// condition true, and the others counted.
func TestCondition(t *testing.T) {
	needRoot(t)
	path := fixture.Build(t, exprProgram(t))
	type trial struct {
		fn, cond string
		index    int // of the condition among the expressions
		tr       *uprobe.Tracer
	}
	var trials []trial
	for _, f := range exprFuncs {
		for i, e := range f.exprs {
			if !strings.ContainsAny(e, "=<>") || strings.Contains(e, "<<") || strings.Contains(e, `m["`) {
				continue
			}
			tr := trace(t, path, []string{"main." + f.name}, func(c *uprobe.Call) {
				if c.NumArgs() != 1 || c.ArgName(0) != f.exprs[0] {
					t.Errorf("arguments %v", c)
				}
			}, uprobe.WithCondition(e), uprobe.WithCapture(f.exprs[0]))
			trials = append(trials, trial{"main." + f.name, e, i, tr})
		}
	}
	cmd := exec.Command(path)
	cmd.Stdin = strings.NewReader("go\n")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if len(trials) < 8 {
		t.Errorf("only %d conditions", len(trials))
	}
	for _, x := range trials {
		var met, not uint64
		for line := range strings.Lines(string(out)) {
			if f := strings.Split(strings.TrimSuffix(line, "\n"), "\t"); f[0] != x.fn {
			} else if f[1+x.index] == "true" {
				met++
			} else {
				not++
			}
		}
		if err := x.tr.Close(); err != nil {
			t.Error(err)
		}
		if s := x.tr.Stats(); s.Delivered != met || s.Filtered != not || s.Lost != 0 || s.Calls != met+not {
			t.Errorf("%s: %s: %+v, want %d and %d filtered", x.fn, x.cond, s, met, not)
		}
	}
}

// TestCaptureOfCutMap: an element that was not captured is absent, and so is one
// that may be missing. A map that was captured whole has zero for what it lacks.
func TestCaptureOfCutMap(t *testing.T) {
	needRoot(t)
	path := fixture.Build(t, exprProgram(t))
	exprs := []string{`m["missing"]`, `len(m)`, `m["k7"]`, `m["k7"] + 1`, `m["k7"] == 7`, `m["missing"] == 0`}
	for _, elems := range []int{10, 1000} {
		var got []string
		tr := trace(t, path, []string{"main.big"}, func(c *uprobe.Call) { got = append(got, c.String()) },
			uprobe.WithCapture(exprs...), uprobe.WithLimits(uprobe.Limits{Elems: elems, Objects: 1024, Record: 32 << 10}))
		cmd := exec.Command(path)
		cmd.Stdin = strings.NewReader("go\n")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		closeAll(t, tr)
		if len(got) != 1 {
			t.Fatalf("%d calls", len(got))
		}
		call := got[0]
		t.Log(call)
		missing, seven := "0", `m["k7"]=7, m["k7"] + 1=8, m["k7"] == 7=true, `
		zero := "true"
		if elems < 200 {
			missing = "<cut at the limit>"
			zero = missing
		}
		lost := `m["k7"]=<cut at the limit>, m["k7"] + 1=<cut at the limit>, m["k7"] == 7=<cut at the limit>, `
		head := `main.big(m["missing"]=` + missing + `, len(m)=200, `
		tail := `m["missing"] == 0=` + zero + ")"
		if call != head+seven+tail && (elems >= 200 || call != head+lost+tail) {
			t.Errorf("%d elements: %s", elems, call)
		}
	}
}

// TestBindCaptures: the func of Bind takes the values of the expressions.
func TestBindCaptures(t *testing.T) {
	needRoot(t)
	path := fixture.Build(t, exprProgram(t))
	var got []string
	tr, err := uprobe.Trace(path, "main.serve", nil, uprobe.WithCapture("r.URL.Path", "len(body)", "n+1"),
		uprobe.Bind(func(path string, size int, n int64) { got = append(got, fmt.Sprint(path, " ", size, " ", n)) }))
	if err != nil {
		t.Fatal(err)
	}
	defer tr.Close()
	cmd := exec.Command(path)
	cmd.Stdin = strings.NewReader("go\n")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	closeAll(t, tr)
	if want := "/index.html 5 2; 3 8"; strings.Join(got, ";") != "/index.html 5 2; 3 8" || tr.Stats().Unbound != 2 {
		t.Errorf("got %q, want %q, %+v", got, want, tr.Stats())
	}
	_, err = uprobe.Inspect(path, "main.serve", uprobe.WithCapture("r.URL.Path", "n"), uprobe.Bind(func(path string, n int32) {}))
	if err == nil || !strings.Contains(err.Error(), "captured expression n: int, not int32") {
		t.Errorf("%v", err)
	}
}

// TestCaptureErrors: what is wrong with an expression, where, and what there is.
func TestCaptureErrors(t *testing.T) {
	path := fixture.Build(t, exprProgram(t))
	for _, tt := range []struct{ expr, want string }{
		{"r.URL.Pth", `function main.serve: expression r.URL.Pth: column 7: no field Pth in main.url; fields: Host, Path; did you mean Path?`},
		{"req", `function main.serve: expression req: column 1: no parameter req; parameters: r, body, n; did you mean r?`},
		{"n + ", `function main.serve: expression n +: column 5: expected operand, found the end`},
		{"n + r", `function main.serve: expression n + r: column 3: operator + with different types: of type int, and of type *main.request`},
		{"err()", `function main.serve: expression err(): column 1: call of err: expressions call no functions`},
		{"5", `function main.serve: expression 5: column 1: a constant: it says nothing of a call`},
		{strings.Repeat("(n+", 60) + "n" + strings.Repeat(")", 60), `a probe cannot compute this: it is nested too deep`},
	} {
		_, err := uprobe.Inspect(path, "main.serve", uprobe.WithCapture("n", tt.expr))
		var e *uprobe.ExprError
		if err == nil || !errors.As(err, &e) || !errors.Is(err, uprobe.ErrExpr) || !strings.Contains(err.Error(), tt.want) || e.Text != tt.expr {
			t.Errorf("%s:\n got %v\nwant %s", tt.expr, err, tt.want)
		}
	}
	for _, tt := range []struct{ fn, cond, want string }{
		{"serve", "n", "expression n: column 1: a condition is a bool; this is of type int: compare it with something"},
		{"lookup", `m["key"].id == 1`, `column 13: a probe cannot look into maps`},
		{"serve", "true", "column 1: a constant: it says nothing of a call"},
		{"float", "x > 1", "column 1: it would never be met: x is not there at the entry: register not readable"},
	} {
		_, err := uprobe.Inspect(path, "main."+tt.fn, uprobe.WithCondition(tt.cond))
		if err == nil || !errors.Is(err, uprobe.ErrExpr) || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s:\n got %v\nwant %s", tt.cond, err, tt.want)
		}
	}
	// A pattern leaves out the functions for which it makes no sense.
	funcs, err := uprobe.Inspect(path, "main.*", uprobe.WithCapture("r.URL.Path"))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range funcs {
		if f.Name() != "main.serve" && f.Name() != "main.call_serve" {
			t.Errorf("%s has no r.URL.Path", f.Name())
		}
	}
	if len(funcs) != 2 {
		t.Errorf("%d functions", len(funcs))
	}
}

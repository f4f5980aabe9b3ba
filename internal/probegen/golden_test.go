package probegen_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cilium/ebpf/asm"

	"github.com/argtap/argtap/abi"
	"github.com/argtap/argtap/internal/capture"
	"github.com/argtap/argtap/internal/expr"
	"github.com/argtap/argtap/internal/probegen"
)

var update = flag.Bool("update", false, "write the goldens anew")

// golden compares a listing with testdata/name.golden. The first lines say what
// it is a listing of.
func golden(t *testing.T, name, about string, ins asm.Instructions, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	got := about + "\n" + strings.ReplaceAll(fmt.Sprint(ins), " \n", "\n")
	path := filepath.Join("testdata", name+".golden")
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o666); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("%v; run the test with -update", err)
	}
	g, w := strings.Split(got, "\n"), strings.Split(string(want), "\n")
	for i := range max(len(g), len(w)) {
		var a, b string
		if i < len(g) {
			a = g[i]
		}
		if i < len(w) {
			b = strings.TrimSuffix(w[i], "\r")
		}
		if a != b {
			t.Fatalf("%s:%d:\n got %s\nwant %s\nrun the test with -update if that is right", path, i+1, a, b)
		}
	}
}

// about describes functions: their signatures, and where things lie in their
// records.
func about(o probegen.Options, funcs ...probegen.Func) string {
	var b strings.Builder
	fmt.Fprintf(&b, "# options: {CPUs:%d Sleepable:%t PID:%d}", o.CPUs, o.Sleepable, o.PID)
	if o.ThreadBase != 0 {
		fmt.Fprintf(&b, ", thread.fsbase at %d", o.ThreadBase)
	}
	if o.Slots != 0 {
		fmt.Fprintf(&b, ", %d slots", o.Slots)
	}
	if o.NoAtomics {
		b.WriteString(", no atomics")
	}
	b.WriteByte('\n')
	for _, f := range funcs {
		fmt.Fprintf(&b, "# %s: id %d, cookie %d, CFA = SP%+d", f.Name, f.ID, f.Cookie, f.CFA)
		if f.Skip != probegen.Never {
			fmt.Fprintf(&b, ", skip %#x", uint8(f.Skip))
		}
		switch f.G.Kind {
		case probegen.GNone:
			b.WriteString(", no g")
		case probegen.GRegister:
			if f.G.Reg != f.Arch.G || !f.Arch.HasG {
				fmt.Fprintf(&b, ", g in %s", f.Arch.RegName(f.G.Reg))
			}
		case probegen.GThread:
			fmt.Fprintf(&b, ", g at FS%+d", f.G.TLS)
		}
		if f.Mark != probegen.NoMark {
			fmt.Fprintf(&b, ", mark %d", f.Mark)
		}
		fmt.Fprintf(&b, "\n#   record: %d bytes, at most %d\n", f.Plan.Fixed, f.Plan.MaxRecord)
		for _, p := range f.Plan.Params {
			fmt.Fprintf(&b, "#   %s %s: %d bytes at %d", p.Name, p.Image.Type, p.Image.Size, p.Offset)
			if n := p.Image.Slots; n > 0 {
				fmt.Fprintf(&b, ", slots at %d", p.Slots)
			}
			b.WriteByte('\n')
		}
	}
	return b.String()
}

func TestGoldenEntry(t *testing.T) {
	with := func(f probegen.Func, change func(*probegen.Func)) probegen.Func { change(&f); return f }
	point := structOf("main.Point", tInt, tInt)
	plain := func(name string, params ...*abi.Type) probegen.Func {
		return planCase{name: name, params: params}.fn(0)
	}
	one := plain("int", tInt)
	for _, tt := range []struct {
		name  string
		o     probegen.Options
		funcs []probegen.Func
	}{
		{"none", probegen.Options{CPUs: 4}, []probegen.Func{plain("none")}},
		{"int", probegen.Options{CPUs: 4}, []probegen.Func{one}},
		{"int-pid", probegen.Options{CPUs: 4, PID: 77}, []probegen.Func{one}},
		{"float", probegen.Options{CPUs: 4}, []probegen.Func{plain("float", tFloat, tInt)}},
		{"string", probegen.Options{CPUs: 4}, []probegen.Func{plain("string", tString)}},
		{"string-sleepable", probegen.Options{CPUs: 4, Sleepable: true}, []probegen.Func{plain("string", tString)}},
		{"issue", probegen.Options{CPUs: 4, Sleepable: true}, []probegen.Func{plain("issue", tInt, tString, pointer(point))}},
		{"stack", probegen.Options{CPUs: 4}, []probegen.Func{plain("stack", array(3, tInt), tInt, structOf("main.Small", tUint8, tInt32))}},
		{"strings", probegen.Options{CPUs: 4}, []probegen.Func{plain("strings", slice(tString))}},
		{"depth", probegen.Options{CPUs: 4}, []probegen.Func{
			planCase{name: "depth", params: []*abi.Type{pointer(tList)}, limits: capture.Limits{Depth: 2}}.fn(0),
		}},
		{"redacted", probegen.Options{CPUs: 4}, []probegen.Func{planCase{
			name:   "redacted",
			params: []*abi.Type{tInt, pointer(structOf("main.user", tString, tString, tInt32)), slice(structOf("main.key", tInt, tHiddenByte, array(100, tHiddenByte))), array(2, structOf("main.id", tHiddenString, tInt))},
			limits: capture.Limits{Redact: redact([]string{"A", "main.HiddenByte", "main.HiddenString"})},
		}.fn(0)}},
		{"skip", probegen.Options{CPUs: 4}, []probegen.Func{with(one, func(f *probegen.Func) { f.Skip = 0x6 })}},
		{"skip-signed", probegen.Options{CPUs: 4}, []probegen.Func{with(one, func(f *probegen.Func) { f.Skip = 0xf })}},
		{"repeat", probegen.Options{CPUs: 4}, []probegen.Func{with(one, func(f *probegen.Func) { f.Mark = probegen.SkipRepeat })}},
		{"grown", probegen.Options{CPUs: 4}, []probegen.Func{
			with(one, func(f *probegen.Func) { f.Mark = probegen.SetGrown }),
			with(one, func(f *probegen.Func) { f.Mark, f.Cookie = probegen.SkipGrown, 1 }),
		}},
		{"repeat-no-g", probegen.Options{CPUs: 4}, []probegen.Func{with(one, func(f *probegen.Func) {
			f.Mark, f.G = probegen.SkipRepeat, probegen.G{}
		})}},
		{"thread", probegen.Options{CPUs: 4, ThreadBase: 4936}, []probegen.Func{with(one, func(f *probegen.Func) {
			f.G = probegen.G{Kind: probegen.GThread, TLS: -8}
		})}},
		{"thread-unknown", probegen.Options{CPUs: 4}, []probegen.Func{with(one, func(f *probegen.Func) {
			f.G = probegen.G{Kind: probegen.GThread, TLS: -8}
		})}},
		{"thread-grown", probegen.Options{CPUs: 4, ThreadBase: 4936}, []probegen.Func{with(one, func(f *probegen.Func) {
			f.G, f.Mark = probegen.G{Kind: probegen.GThread, TLS: -8}, probegen.SetGrown
		})}},
		{"string-no-atomics", probegen.Options{CPUs: 4, NoAtomics: true}, []probegen.Func{plain("string", tString)}},
		{"string-many-cpus", probegen.Options{CPUs: 64}, []probegen.Func{plain("string", tString)}},
		{"strings-no-loops", probegen.Options{CPUs: 4, NoAtomics: true}, []probegen.Func{
			planCase{name: "strings", params: []*abi.Type{slice(tString)}, limits: capture.Limits{NoLoops: true}}.fn(0),
		}},
		{"abi0", probegen.Options{CPUs: 4}, []probegen.Func{with(
			planCase{name: "abi0", params: []*abi.Type{tInt, tString}, abi0: true}.fn(0),
			func(f *probegen.Func) { f.G.Reg = abi.RCX },
		)}},
		{"arm64", probegen.Options{CPUs: 4}, []probegen.Func{with(
			planCase{name: "arm64", params: []*abi.Type{tInt, tString, pointer(point)}, arch: abi.ARM64}.fn(0),
			func(f *probegen.Func) { f.Skip = 0x19 },
		)}},
		{"386", probegen.Options{CPUs: 4}, []probegen.Func{with(
			planCase{name: "386", params: []*abi.Type{tInt, tString, pointer(point)}, arch: abi.I386}.fn(0),
			func(f *probegen.Func) {
				f.Skip, f.Plan.Goroutine = 0x6, 80
				f.G = probegen.G{Kind: probegen.GRegister, Reg: abi.ECX}
			},
		)}},
		{"bundle", probegen.Options{CPUs: 4}, []probegen.Func{
			planCase{name: "a", params: []*abi.Type{tInt}}.fn(0),
			planCase{name: "b"}.fn(1),
			planCase{name: "c", params: []*abi.Type{tString}}.fn(2),
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			ins, err := probegen.Entry(tt.funcs, tt.o)
			golden(t, tt.name, about(tt.o, tt.funcs...), ins, err)
		})
	}
}

// TestGoldenExpr: what becomes of expressions.
func TestGoldenExpr(t *testing.T) {
	c := &exprCase{random: newRandom(1, abi.AMD64)}
	err := &abi.Type{Name: "error", Kind: abi.Interface, Size: 16, Align: 8, NumMethod: 1}
	held := structOf("main.fault", tInt, tString)
	held.RuntimeType = 0x40
	p := planCase{arch: abi.AMD64, params: []*abi.Type{pointer(tPoint), slice(tInt), tString, err, tInt}}
	c.inputs = p.inputs()
	c.scope = &expr.Scope{Arch: abi.AMD64, Types: exprTypes{[]*abi.Type{held}}, Package: "main", Direct: direct}
	for i := range c.inputs {
		c.scope.Params = append(c.scope.Params, abi.Param{Name: c.inputs[i].Name, Type: c.inputs[i].Type})
	}
	for _, text := range []string{"a.B", "len(b)", "b[1:e]", `c == "GET" || e/3 < -1`, "d.(fault).A"} {
		e, err := expr.Compile(text, c.scope)
		if err != nil {
			t.Fatal(err)
		}
		c.exprs = append(c.exprs, e)
	}
	f := c.fn(0, capture.Limits{})
	o := probegen.Options{CPUs: 4, Sleepable: true}
	ins, gerr := probegen.Entry([]probegen.Func{f}, o)
	golden(t, "expr", about(o, f), ins, gerr)
}

func TestGoldenBackEdge(t *testing.T) {
	o := probegen.Options{CPUs: 4}
	f := intFunc()
	for name, cond := range map[string]probegen.Cond{"backedge": 0x5, "backedge-always": probegen.Always} {
		ins, err := probegen.BackEdge(f, probegen.Taken{Cond: cond}, o)
		golden(t, name, fmt.Sprintf("# a branch back, taken if %#x\n", uint8(cond)), ins, err)
	}
	cbnz := probegen.Test{Reg: abi.X3, Mask: 1<<32 - 1}
	ins, err := probegen.BackEdge(archFunc(abi.ARM64), probegen.Taken{Cond: probegen.Never, Test: cbnz}, o)
	golden(t, "backedge-register", "# a branch back, taken if W3 is not 0\n", ins, err)
}

// TestGrownNeedsG: a mark that outlives a call of morestack belongs to the
// goroutine, which nothing but g tells.
func TestGrownNeedsG(t *testing.T) {
	for _, tt := range []struct {
		name string
		g    probegen.G
		base int64
		ok   bool
	}{
		{"none", probegen.G{}, 400, false},
		{"reserved register", probegen.G{Kind: probegen.GRegister, Reg: abi.R14}, 0, true},
		{"register at the entry", probegen.G{Kind: probegen.GRegister, Reg: abi.RCX}, 0, false},
		{"thread", probegen.G{Kind: probegen.GThread, TLS: -8}, 400, true},
		{"thread without a base", probegen.G{Kind: probegen.GThread, TLS: -8}, 0, false},
	} {
		for _, m := range []probegen.Mark{probegen.SetGrown, probegen.SkipGrown, probegen.SkipRepeat} {
			f := intFunc()
			f.G, f.Mark = tt.g, m
			_, err := probegen.Entry([]probegen.Func{f}, probegen.Options{CPUs: 1, ThreadBase: tt.base})
			if want := tt.ok || m == probegen.SkipRepeat; (err == nil) != want {
				t.Errorf("%s, mark %d: %v", tt.name, m, err)
			}
		}
	}
}

func TestMixed(t *testing.T) {
	_, err := probegen.Entry([]probegen.Func{archFunc(abi.AMD64), archFunc(abi.ARM64)}, probegen.Options{CPUs: 1})
	if err == nil || !strings.Contains(err.Error(), "architectures are mixed") {
		t.Error(err)
	}
	_, err = probegen.Entry([]probegen.Func{intFunc()}, probegen.Options{CPUs: 1, Sleepable: true, NoAtomics: true})
	if err == nil || !strings.Contains(err.Error(), "needs atomic exchange") {
		t.Error(err)
	}
}

// TestDeterministic: the same plan gives the same program.
func TestDeterministic(t *testing.T) {
	for _, tt := range plans() {
		o := probegen.Options{CPUs: 3, Sleepable: true}
		a, err := probegen.Entry([]probegen.Func{tt.fn(0)}, o)
		if err != nil {
			t.Fatal(err)
		}
		b, err := probegen.Entry([]probegen.Func{tt.fn(0)}, o)
		if err != nil {
			t.Fatal(err)
		}
		if fmt.Sprint(a) != fmt.Sprint(b) {
			t.Errorf("%s: two programs", tt.name)
		}
	}
}

func TestUnsupported(t *testing.T) {
	in := func(p abi.Piece) probegen.Func {
		f := intFunc()
		f.Name = "main.f"
		f.Plan = capture.Build(abi.AMD64, []capture.Input{{Name: "a", Type: tInt, Location: abi.Location{p}}}, capture.Limits{})
		return f
	}
	noArch := intFunc()
	noArch.Arch = nil
	mips := intFunc()
	mips.Arch = &abi.Arch{GOARCH: "mips"}
	with := func(change func(f *probegen.Func)) probegen.Func {
		f := intFunc()
		change(&f)
		return f
	}
	for _, tt := range []struct {
		name string
		f    probegen.Func
		cpus int
		want string
	}{
		{"float register", in(abi.Piece{Size: 8, Kind: abi.InRegister, Reg: abi.XMM0}), 1, "function main.f: cannot generate a program: register X0 is not readable"},
		{"memory at float register", in(abi.Piece{Size: 8, Kind: abi.InMemory, Reg: abi.XMM0}), 1, "function main.f: cannot generate a program: register X0 is not readable"},
		{"no architecture", noArch, 1, "function main.int: cannot generate a program: unsupported architecture"},
		{"other architecture", mips, 1, "function main.int: cannot generate a program: unsupported architecture"},
		{"plan of another architecture", with(func(f *probegen.Func) { f.Arch = abi.I386 }), 1, "its plan was made for another architecture"},
		{"condition of another architecture", with(func(f *probegen.Func) { f.Skip = 0x16 }), 1, "it has a condition of another architecture"},
		{"g in a float register", with(func(f *probegen.Func) { f.G.Reg = abi.XMM0 }), 1, "register X0 is not readable"},
		{"g in the thread", with(func(f *probegen.Func) {
			*f = archFunc(abi.ARM64)
			f.G.Kind = probegen.GThread
		}), 1, "the thread's base is not known on arm64"},
		{"no CPUs", intFunc(), 0, "the number of CPUs is unknown"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			o := probegen.Options{CPUs: tt.cpus}
			_, err := probegen.Entry([]probegen.Func{tt.f}, o)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("Entry: %v, want %s", err, tt.want)
			}
			cond := probegen.Cond(4)
			switch {
			case tt.f.Skip == 0x16:
				cond = tt.f.Skip
			case tt.f.Arch != nil:
				cond += firstCond(tt.f.Arch)
			}
			_, err = probegen.BackEdge(tt.f, probegen.Taken{Cond: cond}, o)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("BackEdge: %v, want %s", err, tt.want)
			}
		})
	}
}

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
	fmt.Fprintf(&b, "# options: %+v\n", o)
	for _, f := range funcs {
		fmt.Fprintf(&b, "# %s: id %d, cookie %d, CFA = SP%+d", f.Name, f.ID, f.Cookie, f.CFA)
		if f.Skip != probegen.Never {
			fmt.Fprintf(&b, ", skip %#x", uint8(f.Skip))
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
		{"skip", probegen.Options{CPUs: 4}, []probegen.Func{with(one, func(f *probegen.Func) { f.Skip = 0x6 })}},
		{"skip-signed", probegen.Options{CPUs: 4}, []probegen.Func{with(one, func(f *probegen.Func) { f.Skip = 0xf })}},
		{"repeat", probegen.Options{CPUs: 4}, []probegen.Func{with(one, func(f *probegen.Func) { f.Mark = probegen.SkipRepeat })}},
		{"grown", probegen.Options{CPUs: 4}, []probegen.Func{
			with(one, func(f *probegen.Func) { f.Mark = probegen.SetGrown }),
			with(one, func(f *probegen.Func) { f.Mark, f.Cookie = probegen.SkipGrown, 1 }),
		}},
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

func TestGoldenBackEdge(t *testing.T) {
	o := probegen.Options{CPUs: 4}
	f := intFunc()
	for name, cond := range map[string]probegen.Cond{"backedge": 0x5, "backedge-always": probegen.Always} {
		ins, err := probegen.BackEdge(f, cond, o)
		golden(t, name, fmt.Sprintf("# a branch back, taken if %#x\n", uint8(cond)), ins, err)
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
	arm := intFunc()
	arm.Arch = &abi.Arch{GOARCH: "arm64"}
	for _, tt := range []struct {
		name string
		f    probegen.Func
		cpus int
		want string
	}{
		{"float register", in(abi.Piece{Size: 8, Kind: abi.InRegister, Reg: abi.XMM0}), 1, "function main.f: cannot generate a program: register X0 is not readable"},
		{"memory at float register", in(abi.Piece{Size: 8, Kind: abi.InMemory, Reg: abi.XMM0}), 1, "function main.f: cannot generate a program: register X0 is not readable"},
		{"no architecture", noArch, 1, "function main.int: cannot generate a program: unsupported architecture"},
		{"other architecture", arm, 1, "function main.int: cannot generate a program: unsupported architecture"},
		{"no CPUs", intFunc(), 0, "the number of CPUs is unknown"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			o := probegen.Options{CPUs: tt.cpus}
			_, err := probegen.Entry([]probegen.Func{tt.f}, o)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("Entry: %v, want %s", err, tt.want)
			}
			_, err = probegen.BackEdge(tt.f, 4, o)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("BackEdge: %v, want %s", err, tt.want)
			}
		})
	}
}

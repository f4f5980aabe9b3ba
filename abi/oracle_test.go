package abi

import (
	"bytes"
	"encoding/json"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

// randomSignatures prints the seed, so that a failure can be repeated by
// setting ARGTAP_SEED.
func randomSignatures(t *testing.T, a *Arch, n int) []*Signature {
	t.Helper()
	seed := uint64(time.Now().UnixNano())
	if s := os.Getenv("ARGTAP_SEED"); s != "" {
		if err := json.Unmarshal([]byte(s), &seed); err != nil {
			t.Fatalf("ARGTAP_SEED: %v", err)
		}
	}
	t.Logf("ARGTAP_SEED=%d", seed)
	g := &generator{a, rand.New(rand.NewPCG(seed, 1)).IntN}
	sigs := make([]*Signature, n)
	for i := range sigs {
		sigs[i] = g.signature()
	}
	return sigs
}

// goTool runs the local go command without the settings of the user, for the
// architecture that GOARCH names.
func goTool(t *testing.T, dir string, args ...string) {
	t.Helper()
	cmd := exec.Command("go", args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOFLAGS=", "GOWORK=off", "GOTOOLCHAIN=local", "CGO_ENABLED=0")
	if args[0] == "build" {
		cmd.Args = slices.Insert(cmd.Args, 2, "-buildvcs=false")
	}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("go %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

// TestCompilerOracle compares assignments of random signatures with those of
// the compiler's own package. It catches a misunderstanding of the rules, for
// parameters, results and spill slots alike.
func TestCompilerOracle(t *testing.T) {
	dir := t.TempDir()
	out, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		t.Fatal(err)
	}
	cmdModule := filepath.Join(strings.TrimSpace(string(out)), "src", "cmd")
	source, err := filepath.Abs(filepath.Join("testdata", "compileroracle", "main.go"))
	if err != nil {
		t.Fatal(err)
	}
	overlay, err := json.Marshal(map[string]any{"Replace": map[string]string{
		filepath.Join(cmdModule, "compile", "internal", "argtaporacle", "main.go"): source,
	}})
	if err != nil {
		t.Fatal(err)
	}
	overlayFile := filepath.Join(dir, "overlay.json")
	if err := os.WriteFile(overlayFile, overlay, 0o644); err != nil {
		t.Fatal(err)
	}
	oracle := filepath.Join(dir, "oracle.exe")
	goTool(t, cmdModule, "build", "-overlay", overlayFile, "-o", oracle, "cmd/compile/internal/argtaporacle")

	for _, a := range []*Arch{AMD64, ARM64, I386} {
		t.Run(a.GOARCH, func(t *testing.T) { compareWithOracle(t, a, oracle) })
	}
}

func compareWithOracle(t *testing.T, arch *Arch, oracle string) {
	sigs := randomSignatures(t, arch, 5000)
	type function struct{ In, Out []*oracleType }
	var in []function
	for _, s := range sigs {
		f := function{}
		for _, p := range s.Params {
			f.In = append(f.In, oracleTypeOf(p.Type))
		}
		for _, r := range s.Results {
			f.Out = append(f.Out, oracleTypeOf(r.Type))
		}
		in = append(in, f)
	}
	stdin, err := json.Marshal(in)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(oracle, arch.GOARCH)
	cmd.Stdin = bytes.NewReader(stdin)
	cmd.Stderr = os.Stderr
	answer, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	var want []oracleAssignment
	if err := json.Unmarshal(answer, &want); err != nil {
		t.Fatal(err)
	}
	if len(want) != len(sigs) {
		t.Fatalf("%d answers for %d signatures", len(want), len(sigs))
	}
	inRegs, onStack := 0, 0
	for i, s := range sigs {
		a, err := Internal(arch, s)
		if err != nil {
			t.Fatalf("%s: %v", s, err)
		}
		if err := check(arch, s, a); err != nil {
			t.Fatalf("%s: %v", s, err)
		}
		got := oracleAssignment{In: []oracleValue{}, Out: []oracleValue{}, SpillOffset: int64(arch.ArgBase) + a.ArgSize + a.ResultSize, ArgSize: a.ArgSize + a.ResultSize + a.SpillSize}
		for i, p := range s.Params {
			slot, ok := a.SpillSlot(i)
			got.In = append(got.In, oracleValueOf(arch, p.Type, a.Params[i].AtEntry(), slot, ok))
			if ok {
				inRegs++
			} else {
				onStack++
			}
		}
		for i, r := range s.Results {
			got.Out = append(got.Out, oracleValueOf(arch, r.Type, a.Results[i].AtReturn(), 0, false))
		}
		for _, vs := range [][]oracleValue{want[i].In, want[i].Out} {
			for j := range vs {
				if vs[j].Size == 0 {
					vs[j].Frame = -1 // a location of no bytes has no place to compare
				}
			}
		}
		if !reflect.DeepEqual(got, want[i]) {
			t.Fatalf("%s\n got %+v\nwant %+v", s, got, want[i])
		}
	}
	t.Logf("%d signatures, %d arguments in registers, %d not", len(sigs), inRegs, onStack)
	if (inRegs < 1000) != (len(arch.Ints) == 0) || onStack < 1000 {
		t.Error("the random signatures do not exercise both registers and stack")
	}
}

// The JSON of testdata/compileroracle.
type oracleType struct {
	Kind   int
	Len    int64         `json:",omitempty"`
	Elem   *oracleType   `json:",omitempty"`
	Fields []*oracleType `json:",omitempty"`
}

type oracleValue struct {
	Size, Align    int64
	Regs           []int
	Offsets, Sizes []int64
	Frame          int64
}

type oracleAssignment struct {
	In, Out              []oracleValue
	SpillOffset, ArgSize int64
}

func oracleTypeOf(t *Type) *oracleType {
	o := &oracleType{Kind: int(t.Kind), Len: t.Len}
	if t.Kind == Array {
		o.Elem = oracleTypeOf(t.Elem)
	}
	for _, f := range t.Fields {
		o.Fields = append(o.Fields, oracleTypeOf(f.Type))
	}
	return o
}

func oracleValueOf(a *Arch, t *Type, l Location, slot CFAOffset, hasSlot bool) oracleValue {
	v := oracleValue{Size: t.Size, Align: t.Align, Frame: -1}
	for _, p := range l {
		if p.Kind == InFrame {
			v.Frame = int64(p.CFA - a.ArgBase)
			continue
		}
		n := slices.Index(a.Ints, p.Reg)
		if n < 0 {
			n = 100 + slices.Index(a.Floats, p.Reg)
		}
		v.Regs = append(v.Regs, n)
		v.Offsets = append(v.Offsets, p.Offset)
		v.Sizes = append(v.Sizes, p.Size)
	}
	if hasSlot {
		v.Frame = int64(slot - a.ArgBase)
	}
	return v
}

package arginfo

import (
	"errors"
	"strings"
	"testing"

	"github.com/argtap/argtap/abi"
	"github.com/argtap/argtap/internal/gosig"
)

// function describes a function by its signature in Go.
func function(t testing.TB, a *abi.Arch, symbol, src string, dict abi.DictPlace) Func {
	t.Helper()
	sig, err := gosig.Parse(src, a)
	if err != nil {
		t.Fatal(err)
	}
	sig.Dict = dict
	as, err := abi.Internal(a, sig)
	if err != nil {
		t.Fatal(err)
	}
	return Func{Symbol: symbol, Arch: a, Sig: sig, As: as}
}

func TestCheck(t *testing.T) {
	for _, tt := range tables {
		if err := parse(t, tt.bytes).Check(function(t, abi.AMD64, "main.f", tt.sig, abi.NoDict)); err != nil {
			t.Errorf("%s: %v", tt.sig, err)
		}
	}
	// The same on the stack: FixedFrameSize is not in the offsets.
	for _, a := range []*abi.Arch{abi.AMD64, abi.ARM64, abi.I386} {
		f := function(t, a, "main.f", "func(a int8, s string, _ int16)", abi.NoDict)
		var err error
		if f.As, err = abi.Stack(a, f.Sig); err != nil {
			t.Fatal(err)
		}
		table := "0001fe08081008fd1802ff"
		if a == abi.I386 {
			table = "0001fe04040804fd0c02ff"
		}
		if err := parse(t, table).Check(f); err != nil {
			t.Errorf("%s: %v", a.GOARCH, err)
		}
	}
}

// TestSkipped has what is left out because of "[" in the name.
func TestSkipped(t *testing.T) {
	for _, tt := range []struct {
		name, sig string
		dict      abi.DictPlace
		minor     int
		table     string
	}{
		{"main.F[go.shape.int]", "func(n int)", abi.DictFirst, 26, "0808ff"},
		{"main.F[...]", "func(n int)", abi.DictFirst, 18, "0808ff"},
		{"main.F[go.shape.int]", "func()", abi.DictFirst, 26, "ff"},
		// A method's dictionary: behind the receiver since 1.20.
		{"main.(*T[...]).M", "func (t *int) M(n int8)", abi.DictFirst, 19, "08081001ff"},
		{"main.(*T[go.shape.int]).M", "func (t *int) M(n int8)", abi.DictAfterReceiver, 21, "08081001ff"},
		{"main.T[go.shape.int].M", "func (t [2]int) M(n int8)", abi.DictAfterReceiver, 21, "10081801ff"},
		// A wrapper without dictionary, a closure, an equality function.
		{"main.(*T[int]).M", "func (t *int) M(n int8)", abi.NoDict, 21, "0801ff"},
		{"main.F[go.shape.int].func1", "func(n int, m int32)", abi.NoDict, 0, "0804ff"},
		{"type:.eq.[2]string", "func(p, q unsafe.Pointer) bool", abi.NoDict, 26, "0808ff"},
		{"type..eq.[2]string", "func(p, q unsafe.Pointer) bool", abi.NoDict, 17, "00080808ff"},
	} {
		f := function(t, abi.AMD64, tt.name, tt.sig, tt.dict)
		f.Minor = tt.minor
		if err := parse(t, tt.table).Check(f); err != nil {
			t.Errorf("%v", err)
		}
	}
}

func TestMismatch(t *testing.T) {
	for _, tt := range []struct{ table, sig, want string }{
		{"", "func(n int)", "none, not [0:8]"},
		{"0008ff", "func()", "[0:8], not none"},
		{"00080808ff", "func(n int)", "argument 2: 8:8, not missing"},
		{"0008ff", "func(n int, m int8)", "argument 2: missing, not 8:1"},
		{"00080801ff", "func(n int, m int16)", "argument 2: 8:1, not 8:2"},
		{"fe00080808fdff", "func(n, m int)", "argument 1: {0:8 8:8}, not 0:8"},
		{"fe00080808fdff", "func(n struct { a, b int; c int8 })", "argument 1, component 3: missing, not 16:1"},
		{"fe0008fe0808fdfdff", "func(n struct { a int; b struct { c int32 } })", "argument 1, component 2, component 1: 8:8, not 8:4"},
		{"fe0008fcfdff", "func(b [40]int64)", "argument 1, component 2: …, not 8:8"},
	} {
		var in *Info
		if tt.table != "" {
			in = parse(t, tt.table)
		}
		err := in.Check(function(t, abi.AMD64, "main.f", tt.sig, abi.NoDict))
		if !errors.Is(err, ErrMismatch) || !strings.Contains(err.Error(), "func main.f: "+ErrMismatch.Error()) || !strings.HasSuffix(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %s", tt.sig, err, tt.want)
		}
	}
	for _, in := range []*Info{nil, {}} {
		if err := in.Check(function(t, abi.AMD64, "main.f", "func()", abi.NoDict)); err != nil {
			t.Error(err)
		}
	}
	// What was not read is no reason to say that others are wrong.
	f := function(t, abi.AMD64, "main.f", "func(p struct { n int })", abi.NoDict)
	stub := *f.Sig.Params[0].Type
	stub.Fields = []abi.Field{{Name: "n", Type: &abi.Type{Name: "main.T", Size: 8, Align: 8}}}
	f.Sig.Params[0].Type = &stub
	if err := parse(t, "0008ff").Check(f); err == nil || errors.Is(err, ErrMismatch) || !strings.Contains(err.Error(), "main.T") {
		t.Errorf("a type that was not read: %v", err)
	}
	f.As = &abi.Assignment{}
	if err := parse(t, "0008ff").Check(f); err == nil || errors.Is(err, ErrMismatch) {
		t.Errorf("an assignment of another signature: %v", err)
	}
}

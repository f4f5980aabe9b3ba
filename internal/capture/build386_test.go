package capture_test

import (
	"testing"

	"github.com/argtap/argtap/abi"
	"github.com/argtap/argtap/internal/capture"
)

// Types of 386: words have four bytes, and nothing is aligned to more.
var (
	t386Int    = &abi.Type{Name: "int", Kind: abi.Int, Size: 4, Align: 4}
	t386Int64  = &abi.Type{Name: "int64", Kind: abi.Int64, Size: 8, Align: 4}
	t386String = &abi.Type{Name: "string", Kind: abi.String, Size: 8, Align: 4}
)

func slice386(e *abi.Type) *abi.Type {
	return &abi.Type{Name: "[]" + e.Name, Kind: abi.Slice, Size: 12, Align: 4, Elem: e}
}

func pointer386(e *abi.Type) *abi.Type {
	return &abi.Type{Name: "*" + e.Name, Kind: abi.Pointer, Size: 4, Align: 4, Elem: e}
}

// inputs386 puts parameters a, b, … onto the stack.
func inputs386(types ...*abi.Type) []capture.Input {
	sig := &abi.Signature{}
	for i, t := range types {
		sig.Params = append(sig.Params, abi.Param{Name: string(rune('a' + i)), Type: t})
	}
	asg, err := abi.Stack(abi.I386, sig)
	if err != nil {
		panic(err)
	}
	var in []capture.Input
	for i, p := range sig.Params {
		in = append(in, capture.Input{Name: p.Name, Type: p.Type, Location: asg.Params[i].AtEntry()})
	}
	return in
}

// TestBuild386: stack slots, pointers and lengths of four bytes.
func TestBuild386(t *testing.T) {
	point := structOf("main.Point", t386Int, t386Int64, t386String)
	for _, tt := range []struct {
		name   string // the Go signature
		params []*abi.Type
		want   string
	}{
		{"func(bool, int32, int64, string, []byte)", []*abi.Type{tBool, tInt32, t386Int64, t386String, slice386(tUint8)}, `a bool: 1 of 1 bytes at 40
b int32: 4 of 4 bytes at 48
c int64: 8 of 8 bytes at 56
d string: 8 of 8 bytes at 64, 1 slots at 88
 string +0 slot 0: 512 × 1 bytes uint8
e []uint8: 12 of 12 bytes at 72, 1 slots at 96
 slice +0 slot 0: 512 × 1 bytes uint8
read [CFA+0]:1 at 40, bit 1, param 0+0
read [CFA+4]:4 at 48, bit 2, param 1+0
read [CFA+8]:8 at 56, bit 3, param 2+0
read [CFA+16]:8 at 64, bit 4, param 3+0
read [CFA+24]:12 at 72, bit 5, param 4+0
fixed 104, slots from 88, at most 40976`},
		{"func(*Point, []Point)", []*abi.Type{pointer386(point), slice386(point)}, `a *main.Point: 4 of 4 bytes at 40, 1 slots at 64
 pointer +0 slot 0: 1 × 20 bytes main.Point
   string +12 slot 0: 512 × 1 bytes uint8
b []main.Point: 12 of 12 bytes at 48, 1 slots at 72
 slice +0 slot 0: 64 × 20 bytes main.Point
   string +12 slot 0: 512 × 1 bytes uint8
read [CFA+0]:4 at 40, bit 1, param 0+0
read [CFA+4]:12 at 48, bit 2, param 1+0
fixed 80, slots from 64, at most 40976`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := capture.Build(abi.I386, inputs386(tt.params...), capture.Limits{})
			if got := show(p); got != tt.want {
				t.Errorf("got\n%s\nwant\n%s", got, tt.want)
			}
			if p.PtrSize != 4 {
				t.Errorf("pointers of %d bytes", p.PtrSize)
			}
		})
	}
	// Types that are not of this architecture, as malformed debug information
	// may have them.
	p := capture.Build(abi.I386, []capture.Input{
		{Name: "a", Type: tString, Location: abi.Location{{Size: 16, Kind: abi.InFrame}}},
		{Name: "b", Type: pointer(tInt), Location: abi.Location{{Size: 8, Kind: abi.InFrame, CFA: 32}}},
	}, capture.Limits{})
	const want = `a string: 16 of 16 bytes at 40
 string +0: unknown layout
b *int: 8 of 8 bytes at 56
 pointer +0: unknown layout
read [CFA+0]:16 at 40, bit 1, param 0+0
read [CFA+32]:8 at 56, bit 2, param 1+0
fixed 64`
	if got := show(p); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if p := capture.Build(abi.ARM64, nil, capture.Limits{}); p.PtrSize != 8 {
		t.Errorf("arm64: pointers of %d bytes", p.PtrSize)
	}
}

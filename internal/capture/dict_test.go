package capture_test

import (
	"testing"

	"github.com/argtap/argtap/abi"
	"github.com/argtap/argtap/internal/capture"
)

func dictInputs(t *abi.Type, dict abi.Piece) []capture.Input {
	in := inputs(t)
	return append(in, capture.Input{Name: ".dict", Location: abi.Location{dict}, Dict: true})
}

// TestDictionaryPlace: the dictionary has a word behind the parameters, and says by
// which bit it failed.
func TestDictionaryPlace(t *testing.T) {
	types := capture.NewTypes(abi.AMD64, capture.Limits{})
	for _, tt := range []struct {
		name  string
		piece abi.Piece
		bit   int // 0: there is no dictionary
	}{
		{"register", abi.Piece{Size: 8, Kind: abi.InRegister, Reg: abi.RDX}, capture.BitOverwritten},
		{"frame", abi.Piece{Size: 8, Kind: abi.InFrame, CFA: 16}, 1},
		{"half", abi.Piece{Size: 4, Kind: abi.InFrame, CFA: 16}, 0},
		{"nowhere", abi.Piece{Size: 8, Kind: abi.Nowhere, Reason: abi.OptimizedOut}, 0},
	} {
		in := dictInputs(tInt, tt.piece)
		for _, p := range []*capture.Plan{
			capture.Build(abi.AMD64, in, capture.Limits{}), capture.BuildWalk(abi.AMD64, in, capture.Limits{}, types),
		} {
			if len(p.Params) != 1 {
				t.Fatalf("%s: %d parameters", tt.name, len(p.Params))
			}
			at := p.Params[0].Offset + 8
			switch {
			case tt.bit == 0:
				if p.Dict != nil || p.Fixed != at {
					t.Errorf("%s: %+v, %d bytes", tt.name, p.Dict, p.Fixed)
				}
			case p.Dict == nil:
				t.Errorf("%s: none", tt.name)
			case *p.Dict != capture.Dict{Offset: at, Bit: tt.bit} || p.Fixed != at+8:
				t.Errorf("%s: %+v, %d bytes", tt.name, p.Dict, p.Fixed)
			}
		}
	}
}

// TestRetype decodes the records of a plan by other types of the same layout.
func TestRetype(t *testing.T) {
	named := func(t *abi.Type, name string) *abi.Type { u := *t; u.Name = name; return &u }
	bare := &abi.Type{Name: "go.shape.*uint8", Kind: abi.Pointer, Size: 8, Align: 8}
	pair := func(a, b *abi.Type) *abi.Type { return structOf("main.Pair", a, b) }
	for _, tt := range []struct {
		name        string
		shape, real *abi.Type
		whole       bool
	}{
		{"int", tInt, named(tInt, "main.ID"), true},
		{"string", tString, named(tString, "main.Name"), true},
		{"slice", slice(tString), slice(named(tString, "main.Name")), true},
		{"pointer", pointer(tInt), pointer(named(tInt, "main.ID")), true},
		{"struct", pair(tString, pointer(tInt)), pair(named(tString, "main.Name"), pointer(tInt)), true},
		{"pointer's shape", bare, pointer(tString), false},
		{"pointer's shape in a struct", pair(tString, bare), pair(tString, pointer(tInt)), false},
		{"slice of pointers' shapes", slice(bare), slice(pointer(tInt)), false},
		{"deeper than a plan goes", pointer(tInt), pointer(pointer(pointer(tInt))), false},
	} {
		in := inputs(tt.shape)
		p := capture.Build(abi.AMD64, in, capture.Limits{})
		q, whole := capture.Retype(abi.AMD64, p, in, []*abi.Type{tt.real}, capture.Limits{})
		if whole != tt.whole {
			t.Errorf("%s: whole %t", tt.name, whole)
		}
		if img := q.Params[0].Image; img.Type != tt.real || img.Size != p.Params[0].Image.Size || img.Slots != p.Params[0].Image.Slots {
			t.Errorf("%s: %+v", tt.name, img)
		}
		if q.Fixed != p.Fixed || q.Params[0].Offset != p.Params[0].Offset {
			t.Errorf("%s: another layout", tt.name)
		}
		checkRetyped(t, tt.name, p.Params[0].Image, q.Params[0].Image)
	}
	// What there is no loop for keeps its reason.
	{
		in := inputs(tString)
		p := capture.Build(abi.AMD64, in, capture.Limits{NoLoops: true})
		q, _ := capture.Retype(abi.AMD64, p, in, []*abi.Type{named(tString, "main.Name")}, capture.Limits{NoLoops: true})
		if !q.Params[0].Image.NoLoops {
			t.Error("the kernel has no loops, the image does not say it")
		}
	}
	// A type that is not given stays.
	in := inputs(tString)
	p := capture.Build(abi.AMD64, in, capture.Limits{})
	if q, whole := capture.Retype(abi.AMD64, p, in, []*abi.Type{nil}, capture.Limits{}); !whole || q.Params[0].Image != p.Params[0].Image {
		t.Errorf("without a type: whole %t, %+v", whole, q.Params[0].Image)
	}
}

// checkRetyped checks that what is followed lies where the program has put it.
func checkRetyped(t *testing.T, name string, have, got *capture.Image) {
	t.Helper()
	for i := range got.Refs {
		r := &got.Refs[i]
		if r.Slot < 0 {
			if r.Reason == abi.Present && r.Elem != nil {
				t.Errorf("%s: not followed for no reason", name)
			}
			continue
		}
		h, ok := have.Ref(r.Offset)
		if !ok || h.Slot != r.Slot || h.Kind != r.Kind || h.Elem.Size != r.Elem.Size || h.Elem.Slots != r.Elem.Slots || h.ChunkLimit() != r.ChunkLimit() {
			t.Errorf("%s: %+v, the program follows %+v", name, r, h)
			continue
		}
		checkRetyped(t, name, h.Elem, r.Elem)
	}
}

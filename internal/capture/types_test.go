package capture_test

import (
	"fmt"
	"strings"

	"github.com/argtap/argtap/abi"
	"github.com/argtap/argtap/internal/capture"
)

var (
	tInt     = &abi.Type{Name: "int", Kind: abi.Int, Size: 8, Align: 8}
	tInt32   = &abi.Type{Name: "int32", Kind: abi.Int32, Size: 4, Align: 4}
	tUint8   = &abi.Type{Name: "uint8", Kind: abi.Uint8, Size: 1, Align: 1}
	tBool    = &abi.Type{Name: "bool", Kind: abi.Bool, Size: 1, Align: 1}
	tFloat64 = &abi.Type{Name: "float64", Kind: abi.Float64, Size: 8, Align: 8}
	tString  = &abi.Type{Name: "string", Kind: abi.String, Size: 16, Align: 8}
	tError   = &abi.Type{Name: "error", Kind: abi.Interface, Size: 16, Align: 8, NumMethod: 1}
	tMap     = &abi.Type{Name: "map[string]int", Kind: abi.Map, Size: 8, Align: 8}
	tEmpty   = &abi.Type{Name: "struct {}", Kind: abi.Struct, Align: 1}
	tStub    = &abi.Type{Name: "main.T", Kind: abi.Invalid}
)

func slice(e *abi.Type) *abi.Type {
	return &abi.Type{Name: "[]" + e.Name, Kind: abi.Slice, Size: 24, Align: 8, Elem: e}
}

func pointer(e *abi.Type) *abi.Type {
	return &abi.Type{Name: "*" + e.Name, Kind: abi.Pointer, Size: 8, Align: 8, Elem: e}
}

func array(n int64, e *abi.Type) *abi.Type {
	return &abi.Type{Name: fmt.Sprintf("[%d]%s", n, e.Name), Kind: abi.Array, Size: n * e.Size, Align: e.Align, Len: n, Elem: e}
}

// structOf lays out fields named A, B, … as the compiler does.
func structOf(name string, fields ...*abi.Type) *abi.Type {
	t := &abi.Type{Name: name, Kind: abi.Struct, Align: 1}
	for i, f := range fields {
		t.Size = (t.Size + f.Align - 1) / f.Align * f.Align
		t.Fields = append(t.Fields, abi.Field{Name: string(rune('A' + i)), Type: f, Offset: t.Size})
		t.Size += f.Size
		t.Align = max(t.Align, f.Align)
	}
	t.Size = (t.Size + t.Align - 1) / t.Align * t.Align
	return t
}

// list is a type that refers to itself.
func list() *abi.Type {
	t := &abi.Type{Name: "main.List", Kind: abi.Struct, Align: 8, Size: 16}
	t.Fields = []abi.Field{{Name: "Next", Type: pointer(t)}, {Name: "Val", Type: tInt, Offset: 8}}
	return t
}

// inputs puts parameters a, b, … where the calling convention says, and what
// lies in floating-point registers nowhere.
func inputs(types ...*abi.Type) []capture.Input {
	sig := &abi.Signature{}
	for i, t := range types {
		sig.Params = append(sig.Params, abi.Param{Name: string(rune('a' + i)), Type: t})
	}
	asg, err := abi.Internal(abi.AMD64, sig)
	if err != nil {
		panic(err)
	}
	var in []capture.Input
	for i, p := range sig.Params {
		loc := asg.Params[i].AtEntry()
		for j, piece := range loc {
			if piece.Kind == abi.InRegister && abi.AMD64.IsFloat(piece.Reg) {
				loc[j] = abi.Piece{Offset: piece.Offset, Size: piece.Size, Reason: abi.RegisterNotReadable}
			}
		}
		in = append(in, capture.Input{Name: p.Name, Type: p.Type, Location: loc})
	}
	return in
}

// show prints a plan: parameters, what is written to them, and what is
// followed.
func show(p *capture.Plan) string {
	var b strings.Builder
	for i := range p.Params {
		q := &p.Params[i]
		fmt.Fprintf(&b, "%s %s: %d of %d bytes at %d", q.Name, q.Image.Type, q.Image.Size, q.Image.Type.Size, q.Offset)
		if q.Image.Slots > 0 {
			fmt.Fprintf(&b, ", %d slots at %d", q.Image.Slots, q.Slots)
		}
		b.WriteByte('\n')
		showImage(&b, q.Image, " ")
	}
	for _, s := range p.Stores {
		what := abi.AMD64.RegName(s.Reg)
		if s.IsConst {
			what = fmt.Sprintf("$%#x", s.Const)
		}
		fmt.Fprintf(&b, "store %s:%d at %d\n", what, s.Size, s.Offset)
	}
	for _, r := range p.Reads {
		base := "CFA"
		if !r.Frame {
			base = abi.AMD64.RegName(r.Reg)
		}
		fmt.Fprintf(&b, "read [%s%+d]:%d at %d, bit %d, param %d+%d\n", base, r.Disp, r.Size, r.Offset, r.Bit, r.Param, r.Within)
	}
	for _, s := range p.Erase {
		fmt.Fprintf(&b, "erase %d at %d\n", s.Size, s.Offset)
	}
	fmt.Fprintf(&b, "fixed %d", p.Fixed)
	if p.Variable() {
		fmt.Fprintf(&b, ", slots from %d, at most %d", p.SlotBase, p.MaxRecord)
	}
	return b.String()
}

func showImage(b *strings.Builder, m *capture.Image, indent string) {
	for _, h := range m.Holes {
		fmt.Fprintf(b, "%shole +%d:%d %s\n", indent, h.Offset, h.Size, h.Reason)
	}
	for i := range m.Refs {
		r := &m.Refs[i]
		kind := [...]string{"pointer", "string", "slice"}[r.Kind]
		fmt.Fprintf(b, "%s%s +%d", indent, kind, r.Offset)
		switch {
		case r.Slot >= 0:
			fmt.Fprintf(b, " slot %d: %d × %d bytes %s\n", r.Slot, r.Limit, r.Elem.Size, r.Elem.Type)
			for _, s := range r.Elem.Erase {
				fmt.Fprintf(b, "%s  erase +%d:%d\n", indent, s.Offset, s.Size)
			}
			showImage(b, r.Elem, indent+"  ")
		case r.Reason == abi.Present:
			fmt.Fprintf(b, ": %d of size zero\n", r.Limit)
		default:
			fmt.Fprintf(b, ": %s\n", r.Reason)
		}
	}
}

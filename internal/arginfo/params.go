package arginfo

import (
	"fmt"
	"strconv"

	"github.com/argtap/argtap/abi"
)

// Spill says that a function stores an argument register to its spill slot
// before its stack grows: what the tail of its stack check tells.
type Spill struct {
	Reg  abi.Reg
	Slot abi.CFAOffset
	Size int // bytes
}

// Param is an argument of which no more is known than its words.
type Param struct {
	// Type stands in for the true one: an unsigned integer for a word; for a
	// group the struct type "group", whose fields are called "0", "1", ….
	// Fields lie where the parts of the value do, as far as they are known.
	Type *abi.Type
	// Location holds at the entry. What is in a register is absent where the
	// register is not known ([abi.UnknownRegister]) or holds a float
	// ([abi.RegisterNotReadable]); what the table leaves out is [abi.CutCompiler].
	Location abi.Location
	// Cut says that the value has more parts than Type.
	Cut bool
}

// Params returns the arguments that the table lists. Where the function's name
// has type arguments the first one is missing, and behind the tenth component
// all are: see [Info.Components] and [Info.Cut].
//
// Without registers (ABI0) all lie on the stack. Otherwise the spills say which
// of them are in which registers, and by that the others to be on the stack;
// all register arguments are among them where any is. If there are none,
// nothing is known of registers; an argument is on the stack for certain only
// if an earlier one has a higher place, as the spill slots lie above all stack
// arguments and both areas are in the order of the arguments.
func (in *Info) Params(a *abi.Arch, registers bool, spills []Spill) []Param {
	p := placer{arch: a, stackEnd: stackEnd(in.Components)}
	switch {
	case !registers:
		p.stackEnd = special
	case len(spills) > 0:
		p.spills = make(map[int64]Spill, len(spills))
		first := int64(1<<63 - 1)
		for _, s := range spills {
			at := int64(s.Slot - a.ArgBase)
			p.spills[at] = s
			first = min(first, at)
		}
		p.stackEnd = first
	}
	params := make([]Param, 0, len(in.Components))
	for i := range in.Components {
		c := &in.Components[i]
		var q Param
		start := max(0, p.base(c))
		q.Type, q.Cut = p.place(c, start, start, &q.Location)
		params = append(params, q)
	}
	return params
}

// stackEnd returns the offset below which arguments lie on the stack, as far as
// the order of the values tells: the lower of two that come in the wrong order
// is on the stack, the higher one in a register.
func stackEnd(list []Component) (end int64) {
	highest := int64(-1)
	var walk func(list []Component)
	walk = func(list []Component) {
		for i := range list {
			c := &list[i]
			switch c.Kind {
			case TooFar:
				highest = special
			case Value:
				if c.Offset < highest {
					end = max(end, c.Offset+1)
				}
				highest = max(highest, c.Offset)
			}
			walk(c.Elems)
		}
	}
	walk(list)
	return end
}

// Missing returns what stands for an argument that the table leaves out: see
// [Info.Components].
func Missing() Param {
	return Param{Type: rest, Location: abi.Location{{Kind: abi.Nowhere, Reason: abi.CutCompiler}}, Cut: true}
}

// placer makes parameters of components.
type placer struct {
	arch   *abi.Arch
	spills map[int64]Spill // by offset of the slot; nil: none is known
	// Values at lower offsets are on the stack.
	stackEnd int64
}

// base returns the offset of the first value in c, which is where c begins: what
// lies before it can only be of size zero.
func (p *placer) base(c *Component) int64 {
	if c.Kind == Value {
		return c.Offset
	}
	for i := range c.Elems {
		if at := p.base(&c.Elems[i]); at >= 0 {
			return at
		}
	}
	return -1
}

// place returns the type that stands for c, and adds where it is to l. The
// argument begins at the offset base, c at start.
func (p *placer) place(c *Component, base, start int64, l *abi.Location) (t *abi.Type, cut bool) {
	switch c.Kind {
	case Value:
		*l = append(*l, p.piece(c, base))
		return word(c.Size), false
	case TooFar, More:
		*l = append(*l, abi.Piece{Kind: abi.Nowhere, Reason: abi.CutCompiler})
		return rest, true
	}
	t = &abi.Type{Name: "group", Kind: abi.Struct, Align: 1}
	for i := range c.Elems {
		e := &c.Elems[i]
		if e.Kind == More || e.Kind == TooFar {
			// The rest of the group is farther still.
			t.Fields = append(t.Fields, abi.Field{Name: Rest, Offset: t.Size, Type: rest})
			return t, true
		}
		at := p.base(e)
		if at < 0 {
			at = start + t.Size // it has no bytes
		}
		f := abi.Field{Name: strconv.Itoa(i), Offset: at - start}
		var fcut bool
		f.Type, fcut = p.place(e, base, at, l)
		cut = cut || fcut
		t.Fields = append(t.Fields, f)
		t.Size = f.Offset + f.Type.Size
	}
	return t, cut
}

// Rest is the name of what stands for all that the table leaves out: of the last
// field of a group, of the last parameter, and of their type, which is of kind
// Invalid.
const Rest = "…"

var rest = &abi.Type{Name: Rest, Kind: abi.Invalid, Align: 1}

func (p *placer) piece(c *Component, base int64) abi.Piece {
	piece := abi.Piece{Offset: c.Offset - base, Size: int64(c.Size)}
	s, spilled := p.spills[c.Offset]
	switch {
	case spilled && s.Size != c.Size:
		piece.Reason = abi.UnknownRegister
	case spilled && p.arch.IsFloat(s.Reg):
		piece.Reason = abi.RegisterNotReadable
	case spilled:
		piece.Kind, piece.Reg = abi.InRegister, s.Reg
	case c.Offset < p.stackEnd:
		piece.Kind, piece.CFA = abi.InFrame, p.arch.ArgBase+abi.CFAOffset(c.Offset)
	default:
		piece.Reason = abi.UnknownRegister
	}
	return piece
}

// word returns the type of a value of the given size: bytes, if it is too large
// for an integer.
func word(size int) *abi.Type {
	n := int64(size)
	t := &abi.Type{Size: n, Align: 1}
	switch size {
	case 1:
		t.Kind = abi.Uint8
	case 2:
		t.Kind = abi.Uint16
	case 4:
		t.Kind = abi.Uint32
	case 8:
		t.Kind = abi.Uint64
	default:
		t.Kind, t.Elem, t.Len = abi.Array, word(1), n
		t.Name = fmt.Sprintf("[%d]uint8", n)
		return t
	}
	t.Name = fmt.Sprintf("uint%d", 8*n)
	return t
}

package capture

import "github.com/argtap/argtap/abi"

// Dict is the place in a record of the dictionary that generic code was called
// with: its address as the binary states it, in 8 bytes. Which dictionary it is
// tells the true types of the parameters, of which the code knows the shapes only.
type Dict struct {
	Offset int
	// Bit of the header's word at OffFailed says that it could not be read. It is
	// BitOverwritten for one in a register.
	Bit int
}

// dict lays out the dictionary at record offset off, and returns the offset
// behind it.
func (b *builder) dict(in Input, off int) int {
	if len(in.Location) != 1 || in.Location[0].Size != int64(b.plan.PtrSize) {
		return off
	}
	switch p := in.Location[0]; p.Kind {
	case abi.InRegister:
		b.plan.Stores = append(b.plan.Stores, Store{Offset: off, Size: b.plan.PtrSize, Reg: p.Reg})
		b.plan.Dict = &Dict{Offset: off, Bit: BitOverwritten}
	case abi.InFrame:
		if b.bits == MaxFixedReads {
			return off
		}
		b.plan.Dict = &Dict{Offset: off, Bit: b.bits}
		b.plan.Reads = append(b.plan.Reads, Read{
			Offset: off, Size: b.plan.PtrSize, Frame: true, Disp: int64(p.CFA), Bit: b.bits, Param: noParam,
		})
		b.bits++
	default:
		return off
	}
	return off + 8
}

// noParam stands for a parameter where there is none: of the dictionary.
const noParam = -1

// Retype returns a plan to decode the records of p by, where parameters have
// other types than those that p was built with, of the same layout: types, nil
// for those that have not, are parallel to inputs. What p does not capture because
// its types do not tell of it is not followed; whole reports whether there is
// none of that.
//
// Neither plan has a walk. A plan with one is built with [BuildWalk] for other
// types, and is the same but for its rows.
func Retype(a *abi.Arch, p *Plan, inputs []Input, types []*abi.Type, limits Limits) (_ *Plan, whole bool) {
	q := Build(a, Retyped(inputs, types), limits)
	whole = true
	r := *p
	r.Params = make([]Param, len(p.Params))
	for i := range p.Params {
		r.Params[i] = p.Params[i]
		if types[i] != nil {
			img, w := retype(p.Params[i].Image, q.Params[i].Image)
			r.Params[i].Image = img
			whole = whole && w
		}
	}
	return &r, whole && !q.Lacks(limits)
}

// Retyped returns inputs with other types, where types has any.
func Retyped(inputs []Input, types []*abi.Type) []Input {
	out := append([]Input{}, inputs...)
	for i, t := range types {
		if t != nil {
			out[i].Type = t
		}
	}
	return out
}

// retype returns the image of what is captured for have where the true image is
// want.
func retype(have, want *Image) (_ *Image, whole bool) {
	whole = true
	img := &Image{Type: want.Type, Size: have.Size, Holes: have.Holes, Slots: have.Slots, NoLoops: have.NoLoops}
	for _, r := range want.Refs {
		h, ok := have.Ref(r.Offset)
		switch {
		case r.Slot < 0: // for a reason that it says
		case ok && h.Slot >= 0 && h.Kind == r.Kind && h.Elem.Size == r.Elem.Size && h.Limit == r.Limit:
			var w bool
			r.Slot = h.Slot
			r.Elem, w = retype(h.Elem, r.Elem)
			whole = whole && w
		default:
			r.Slot, r.Elem, r.Reason, whole = -1, nil, abi.NeedsLoops, false
		}
		img.Refs = append(img.Refs, r)
	}
	return img, whole
}

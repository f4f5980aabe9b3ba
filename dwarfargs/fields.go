package dwarfargs

import (
	"fmt"
	"math"
	"strings"

	"github.com/argtap/argtap/abi"
)

// fields reads the members of a struct.
func (r *typeReader) fields(u *unit, e *die, t *abi.Type, hops, nest int) error {
	align := int64(1)
	err := r.d.children(u, e, func(m *die) (bool, error) {
		if m.tag != tagMember && m.tag != tagInheritance {
			return true, nil
		}
		if len(t.Fields) == maxFields {
			return false, decodeErr(".debug_info", m.off, fmt.Errorf("type %s: more than %d fields", t.Name, maxFields))
		}
		f := abi.Field{Embedded: m.tag == tagInheritance || m.uint(attrGoEmbeddedField) != 0}
		var err error
		if f.Name, err = r.d.str(u, m, attrName); err != nil {
			return false, err
		}
		var ok bool
		if f.Offset, ok = r.memberOffset(m); !ok {
			if !u.isGo() {
				return true, nil // a static member, or a base at an offset known at run time
			}
			return false, decodeErr(".debug_info", m.off, fmt.Errorf("type %s: field %s: no offset", t.Name, f.Name))
		}
		off, ok, err := r.d.ref(u, m, attrType)
		switch {
		case ok:
			f.Type, err = r.read(off, hops, nest+1)
		case u.isGo() && err == nil:
			err = decodeErr(".debug_info", m.off, fmt.Errorf("type %s: field %s: no type", t.Name, f.Name))
		default: // C: in a type unit
			f.Type = &abi.Type{Name: "void", Align: 1}
		}
		if err != nil {
			return false, err
		}
		if _, bits := m.get(attrBitSize); bits {
			f.Type = &abi.Type{Name: f.Type.Name, Size: f.Type.Size, Align: f.Type.Align}
		}
		if f.Offset < 0 || f.Type.Size > t.Size || f.Offset > t.Size-f.Type.Size {
			return false, decodeErr(".debug_info", m.off, fmt.Errorf("type %s: field %s does not fit in %d bytes", t.Name, f.Name, t.Size))
		}
		align = max(align, f.Type.Align)
		t.Fields = append(t.Fields, f)
		return true, nil
	})
	if t.Align == 0 {
		t.Align = align
	}
	// cmd/compile/internal/types/size.go: the empty struct that asks for 64-bit
	// alignment on 32-bit targets. It has changed its package.
	if t.Size == 0 && strings.HasSuffix(t.Name, "/atomic.align64") {
		t.Align = 8
	}
	return err
}

// memberOffset returns where a member lies, in bytes.
func (r *typeReader) memberOffset(m *die) (int64, bool) {
	v, ok := m.get(attrMemberLocation)
	switch {
	case !ok:
		return 0, r.isUnionLike(m)
	case v.isConst() && v.u <= maxTypeSize:
		return int64(v.u), true
	case v.isBlock():
		// DWARF 2 wrote DW_OP_plus_uconst n; an address stood on the stack.
		c := cursor{data: v.b, end: len(v.b), order: r.d.order}
		if c.u8() == opPlusUconst {
			if n := c.uleb(); c.err == nil && !c.more() && n <= maxTypeSize {
				return int64(n), true
			}
		}
	}
	return 0, false
}

// isUnionLike reports whether a member without an offset begins where its
// parent does (DWARF 5 §5.7.6), rather than being static.
func (r *typeReader) isUnionLike(m *die) bool {
	return m.tag == tagMember && m.uint(attrDeclaration) == 0
}

// counts returns the numbers of elements of an array, outermost dimension
// first.
func (r *typeReader) counts(u *unit, e *die) ([]int64, error) {
	var counts []int64
	err := r.d.children(u, e, func(s *die) (bool, error) {
		if s.tag != tagSubrangeType {
			return true, nil
		}
		n := int64(0)
		if v, ok := s.get(attrCount); ok && v.isConst() {
			n = int64(v.u)
		} else if v, ok := s.get(attrUpperBound); ok && v.isConst() && v.u != math.MaxUint64 && v.u != math.MaxUint32 {
			n = int64(v.u) + 1
		}
		if n < 0 || len(counts) == maxTypeNest {
			return false, decodeErr(".debug_info", s.off, errTooBig)
		}
		counts = append(counts, n)
		return true, nil
	})
	return counts, err
}

// sizedArray reports whether an array's size is that of its elements.
func sizedArray(t *abi.Type) bool {
	e := t.Elem.Size
	if e != 0 && t.Len > maxTypeSize/e {
		return false
	}
	return t.Size == e*t.Len
}

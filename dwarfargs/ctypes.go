package dwarfargs

import (
	"fmt"

	"github.com/argtap/argtap/abi"
)

// fillC reads a type of a language that has no DW_AT_go_kind, and maps it to
// the Go type of the same representation. What Go has no like of (unions, bit
// fields, long double, 128-bit integers) is of kind Invalid, with its size.
func (r *typeReader) fillC(u *unit, e *die, t *abi.Type, hops, nest int) (err error) {
	ptr := r.d.ptrSize
	if t.Name == "" {
		if t.Name, err = r.d.typeName(e.off, 0); err != nil {
			return err
		}
	}
	if a := e.uint(attrAlignment); a != 0 && a <= 1<<16 && a&(a-1) == 0 {
		t.Align = int64(a)
	}
	align := func(a int64) { t.Align = max(1, t.Align, a) }
	switch e.tag {
	case tagBaseType:
		t.Kind = baseKind(e.uint(attrEncoding), t.Size)
		if t.Size > 0 && t.Size&(t.Size-1) == 0 {
			align(min(t.Size, 16))
		}
		if t.Kind == abi.Complex64 || t.Kind == abi.Complex128 {
			t.Align = t.Size / 2
		}
		align(1)

	case tagEnumerationType:
		if off, ok, err := r.d.ref(u, e, attrType); err != nil {
			return err
		} else if ok {
			under, err := r.read(off, hops, nest+1)
			if err != nil {
				return err
			}
			name := t.Name
			*t = *under
			t.Name = name
			return nil
		}
		t.Kind = baseKind(ateSigned, t.Size)
		align(min(max(t.Size, 1), 8))

	case tagPointerType, tagReferenceType, tagRvalueReference:
		t.Kind, t.Size = abi.Pointer, ptr
		align(ptr)
		if t.Elem, err = r.pointee(u, e, attrType, hops); err == nil && t.Elem == nil {
			t.Kind = abi.UnsafePointer
		}

	case tagStructureType, tagClassType:
		if e.uint(attrDeclaration) != 0 {
			t.Kind = abi.Invalid // its definition is elsewhere
			align(1)
			return nil
		}
		t.Kind = abi.Struct
		return r.fields(u, e, t, hops, nest)

	case tagUnionType:
		align(1)

	case tagArrayType:
		return r.fillCArray(u, e, t, hops, nest)

	case tagTypedef, tagConstType, tagVolatileType, tagRestrictType, tagAtomicType:
		if e.tag != tagTypedef {
			t.Name = ""
		}
		return r.named(u, e, t, hops, nest)

	default:
		align(1)
	}
	return err
}

// fillCArray reads an array of any number of dimensions.
func (r *typeReader) fillCArray(u *unit, e *die, t *abi.Type, hops, nest int) error {
	off, ok, err := r.d.ref(u, e, attrType)
	if err != nil || !ok {
		t.Align = max(1, t.Align)
		return err
	}
	elem, err := r.read(off, hops, nest+1)
	if err != nil {
		return err
	}
	counts, err := r.counts(u, e)
	if err != nil {
		return err
	}
	if len(counts) == 0 {
		counts = []int64{0}
	}
	for i := len(counts) - 1; i >= 0; i-- {
		a := t
		if i > 0 {
			a = new(abi.Type)
		}
		if elem.Size != 0 && counts[i] > maxTypeSize/elem.Size {
			return decodeErr(".debug_info", e.off, errTooBig)
		}
		a.Name = fmt.Sprintf("[%d]%s", counts[i], elem.Name)
		a.Kind, a.Elem, a.Len = abi.Array, elem, counts[i]
		a.Size, a.Align = elem.Size*counts[i], max(elem.Align, a.Align)
		elem = a
	}
	return nil
}

// baseKind maps an encoding (DWARF 5 §7.8) and a size to a kind.
func baseKind(encoding uint64, size int64) abi.Kind {
	bySize := func(k1, k2, k4, k8 abi.Kind) abi.Kind {
		switch size {
		case 1:
			return k1
		case 2:
			return k2
		case 4:
			return k4
		case 8:
			return k8
		}
		return abi.Invalid
	}
	switch encoding {
	case ateBoolean:
		return bySize(abi.Bool, abi.Invalid, abi.Invalid, abi.Invalid)
	case ateSigned, ateSignedChar:
		return bySize(abi.Int8, abi.Int16, abi.Int32, abi.Int64)
	case ateUnsigned, ateUnsignedChar, ateAddress, ateUTF:
		return bySize(abi.Uint8, abi.Uint16, abi.Uint32, abi.Uint64)
	case ateFloat:
		return bySize(abi.Invalid, abi.Invalid, abi.Float32, abi.Float64)
	case ateComplexFloat:
		if size == 16 {
			return abi.Complex128
		}
		return bySize(abi.Invalid, abi.Invalid, abi.Invalid, abi.Complex64)
	}
	return abi.Invalid
}

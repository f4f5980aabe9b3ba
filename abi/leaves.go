package abi

import (
	"errors"
	"fmt"
)

// errTooComplex ends the walk through a type that no compiler accepts.
var errTooComplex = errors.New("nested too deep or too wide to be a Go type")

// Limits of a walk through one type. Registers run out after a few leaves, so
// only hostile input comes near them.
const (
	maxTypeDepth = 200
	maxTypeNodes = 1 << 16
	// keptLeaves exceeds the registers of every architecture: a value with
	// more leaves goes to the stack, whatever they are.
	keptLeaves = 64
)

// leaf is a base value of a type: what takes one register.
type leaf struct {
	offset, size int64 // bytes, in the value's memory layout
	float        bool
}

// shaper breaks a type down into the base values that registers take, and
// checks on the way that sizes and offsets fit together, so that an assignment
// never rests on a type that was misread.
type shaper struct {
	ptrSize      int64
	leaves       []leaf // the first keptLeaves
	ints, floats int    // registers needed
	array        bool   // there is an array of more than one element, even of no size
	nodes        int
}

// visit adds type t at the given offset. The order of leaves is that of the
// type's fields, blank ones included.
func (sh *shaper) visit(t *Type, offset int64, depth int) error {
	if t == nil {
		return errors.New("type missing")
	}
	if sh.nodes++; sh.nodes > maxTypeNodes || depth > maxTypeDepth {
		return fmt.Errorf("type %s: %w", t, errTooComplex)
	}
	if t.Kind == Invalid || t.Kind > UnsafePointer {
		return fmt.Errorf("type %s: layout not known (kind %s)", t, t.Kind)
	}
	if t.Size < 0 || t.Size > maxFrame {
		return fmt.Errorf("type %s: impossible size of %d bytes", t, t.Size)
	}
	if t.Align <= 0 || t.Align > 64 || t.Align&(t.Align-1) != 0 || t.Size%t.Align != 0 {
		return fmt.Errorf("type %s: impossible alignment %d of %d bytes", t, t.Align, t.Size)
	}
	w := sh.ptrSize
	switch t.Kind {
	case Bool, Int8, Uint8:
		return sh.word(t, offset, 1)
	case Int16, Uint16:
		return sh.word(t, offset, 2)
	case Int32, Uint32:
		return sh.word(t, offset, 4)
	case Int64, Uint64:
		if w < 8 {
			// Least significant half first (abi-internal.md): at the lower
			// address on every 32-bit architecture that has registers to give.
			if err := sized(t, 8); err != nil {
				return err
			}
			sh.add(offset, w, false)
			sh.add(offset+w, w, false)
			return nil
		}
		return sh.word(t, offset, 8)
	case Int, Uint, Uintptr, Chan, Func, Map, Pointer, UnsafePointer:
		return sh.word(t, offset, w)
	case Float32, Float64:
		if err := sized(t, floatSize(t.Kind)); err != nil {
			return err
		}
		sh.add(offset, t.Size, true)
		return nil
	case Complex64, Complex128:
		half := floatSize(t.Kind)
		if err := sized(t, 2*half); err != nil {
			return err
		}
		sh.add(offset, half, true)
		sh.add(offset+half, half, true)
		return nil
	case String, Interface:
		return sh.words(t, offset, 2)
	case Slice:
		return sh.words(t, offset, 3)
	case Array:
		return sh.visitArray(t, offset, depth)
	default:
		return sh.visitStruct(t, offset, depth)
	}
}

func (sh *shaper) visitArray(t *Type, offset int64, depth int) error {
	if t.Elem == nil || t.Len < 0 {
		return fmt.Errorf("type %s: array without element type or length", t)
	}
	if e := t.Elem.Size; e < 0 || e > 0 && t.Len > maxFrame/e || t.Size != e*t.Len {
		return fmt.Errorf("type %s: %d bytes, but %d elements of %d bytes", t, t.Size, t.Len, e)
	}
	switch t.Len {
	case 0:
		return nil
	case 1:
		return sh.visit(t.Elem, offset, depth+1)
	}
	sh.array = true
	return nil
}

func (sh *shaper) visitStruct(t *Type, offset int64, depth int) error {
	if simd(t) {
		sh.add(offset, t.Size, true)
		return nil
	}
	before := sh.ints + sh.floats
	end := int64(0)
	for i := range t.Fields {
		f := &t.Fields[i]
		if f.Type == nil {
			return fmt.Errorf("field %s: type missing", f.Name)
		}
		if f.Offset < end || f.Type.Size < 0 || f.Type.Size > t.Size || f.Offset > t.Size-f.Type.Size {
			return fmt.Errorf("field %s: does not fit at byte %d of type %s", f.Name, f.Offset, t)
		}
		end = f.Offset + f.Type.Size
		if err := sh.visit(f.Type, offset+f.Offset, depth+1); err != nil {
			return fmt.Errorf("field %s: %w", f.Name, err)
		}
		if sh.array {
			return nil // decided: the stack
		}
	}
	if t.Size > 0 && sh.ints+sh.floats == before {
		return fmt.Errorf("type %s: %d bytes, but no field that fills them", t, t.Size)
	}
	return nil
}

// simd reports whether t is a vector type of GOEXPERIMENT=simd: a struct whose
// first field is one of three marker types (cmd/compile/internal/types/size.go,
// simdify). It takes one floating-point register.
func simd(t *Type) bool {
	if len(t.Fields) == 0 || t.Fields[0].Type == nil || t.Size == 0 {
		return false
	}
	switch t.Fields[0].Type.Name {
	case "simd/archsimd.v128", "simd/archsimd.v256", "simd/archsimd.v512":
		return true
	}
	return false
}

// floatSize returns the bytes of a float, or of each part of a complex number.
func floatSize(k Kind) int64 {
	if k == Float32 || k == Complex64 {
		return 4
	}
	return 8
}

func sized(t *Type, want int64) error {
	if t.Size != want {
		return fmt.Errorf("type %s: %d bytes, but kind %s has %d", t, t.Size, t.Kind, want)
	}
	return nil
}

func (sh *shaper) word(t *Type, offset, size int64) error {
	if err := sized(t, size); err != nil {
		return err
	}
	sh.add(offset, size, false)
	return nil
}

func (sh *shaper) words(t *Type, offset, n int64) error {
	if err := sized(t, n*sh.ptrSize); err != nil {
		return err
	}
	for i := range n {
		sh.add(offset+i*sh.ptrSize, sh.ptrSize, false)
	}
	return nil
}

func (sh *shaper) add(offset, size int64, float bool) {
	if float {
		sh.floats++
	} else {
		sh.ints++
	}
	if len(sh.leaves) < keptLeaves {
		sh.leaves = append(sh.leaves, leaf{offset, size, float})
	}
}

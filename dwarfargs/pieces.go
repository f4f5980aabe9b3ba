package dwarfargs

import (
	"github.com/argtap/argtap/abi"
)

const (
	// maxLeaves bounds the leaves of a type that is in pieces. The compiler
	// splits nothing of more than a few words.
	maxLeaves = 1 << 12
	// regBytes is what one register can hold of a value: no more of a vector
	// register is used for any type of Go's, or for double.
	regBytes = 8
)

// leaf is a base value within a type: what the compiler keeps in one register.
// On 32-bit machines that is a half of a 64-bit integer
// (cmd/compile/internal/ssa/decompose.go, decomposeBuiltIn).
type leaf struct{ offset, size int64 }

// leaves appends those of t, in memory order. ok is false if there are too
// many. Arrays of more than one element are never split; nor is what Go does
// not know.
func leaves(dst []leaf, t *abi.Type, offset, ptr int64, nest int) (_ []leaf, ok bool) {
	if len(dst) > maxLeaves || nest > maxTypeNest {
		return dst, false
	}
	words := func(n int, size int64) ([]leaf, bool) {
		for i := range int64(n) {
			dst = append(dst, leaf{offset + i*size, size})
		}
		return dst, true
	}
	switch t.Kind {
	case abi.String, abi.Interface:
		return words(2, ptr)
	case abi.Slice:
		return words(3, ptr)
	case abi.Complex64, abi.Complex128:
		return words(2, t.Size/2)
	case abi.Int64, abi.Uint64:
		if ptr < t.Size {
			return words(2, ptr)
		}
	case abi.Array:
		if t.Len == 1 {
			return leaves(dst, t.Elem, offset, ptr, nest+1)
		}
	case abi.Struct:
		for i := range t.Fields {
			f := &t.Fields[i]
			if dst, ok = leaves(dst, f.Type, offset+f.Offset, ptr, nest+1); !ok {
				return dst, false
			}
		}
		return dst, true
	}
	if t.Size == 0 {
		return dst, true
	}
	return words(1, t.Size)
}

// dialect is who wrote an expression, which decides on what it means.
type dialect struct {
	isGo bool
	// split says that the variable was split into its words, as Go's optimising
	// compiler does with all that it describes by location lists. If it uses
	// one word only, it describes that one and leaves out which one it is:
	// "fbreg 8" for a string on the stack can be the string, or its length.
	split bool
}

// location makes of an expression's pieces the location of a value of type t.
// What cannot be brought into accord with the type is unsupported.
func location(t *abi.Type, pieces []exprPiece, di dialect, ptr int64) abi.Location {
	if t.Size == 0 {
		return abi.Location{}
	}
	var l abi.Location
	ok := false
	switch {
	case len(pieces) == 1 && pieces[0].size < 0:
		l, ok = wholeLocation(t, pieces[0].place, di, ptr)
	case di.isGo:
		if l, ok = byLeaf(t, pieces, ptr); !ok {
			l, ok = byOffset(t, pieces, true, ptr)
		}
	default:
		l, ok = byOffset(t, pieces, false, ptr)
	}
	if !ok {
		return abi.Absent(t.Size, abi.UnsupportedLocation)
	}
	return l
}

// wholeLocation places a value that is in one place.
func wholeLocation(t *abi.Type, p place, di dialect, ptr int64) (abi.Location, bool) {
	if p.kind != abi.Nowhere && (di.split || di.isGo && p.kind == abi.InRegister) {
		// Go never packs two words into a register.
		ls, ok := leaves(nil, t, 0, ptr, 0)
		if !ok || len(ls) != 1 {
			return nil, false
		}
		if p.kind != abi.InRegister && ls[0].offset != 0 {
			return nil, false
		}
		return p.at(nil, ls[0].offset, ls[0].size)
	}
	return p.at(nil, 0, t.Size)
}

// at appends the piece of a value that is at p: size bytes at the offset.
func (p place) at(l abi.Location, offset, size int64) (abi.Location, bool) {
	if p.limit != 0 && size > p.limit {
		return nil, false
	}
	piece := abi.Piece{Offset: offset, Size: size, Kind: p.kind}
	switch p.kind {
	case abi.InRegister:
		if size > regBytes {
			return nil, false
		}
		piece.Reg = p.reg
	case abi.InFrame:
		piece.CFA = abi.CFAOffset(p.k)
	case abi.InMemory:
		piece.Reg, piece.Disp = p.reg, p.k
	case abi.Constant:
		if p.bytes == nil {
			piece.Const = p.constant
			return append(l, piece), size <= 8
		}
		for at := int64(0); at < size; at += 8 {
			part := piece
			part.Offset, part.Size = offset+at, min(8, size-at)
			for i := range part.Size {
				part.Const |= uint64(p.bytes[at+i]) << (8 * i)
			}
			l = append(l, part)
		}
		return l, true
	default:
		piece.Reason = p.reason
	}
	return append(l, piece), true
}

// byLeaf is how Go's optimising compiler means a chain of pieces
// (cmd/compile/internal/ssa/debug.go, writePendingEntry): one piece for each
// part that it keeps apart, in order, and none for padding between them. All
// leaves of the type must be used up exactly.
func byLeaf(t *abi.Type, pieces []exprPiece, ptr int64) (l abi.Location, ok bool) {
	ls, ok := leaves(nil, t, 0, ptr, 0)
	if !ok {
		return nil, false
	}
	for _, p := range pieces {
		if len(ls) == 0 {
			return nil, false
		}
		n := covers(ls, p.size)
		if n == 0 || n > 1 && p.kind == abi.InRegister {
			return nil, false
		}
		if l, ok = p.at(l, ls[0].offset, p.size); !ok {
			return nil, false
		}
		ls = ls[n:]
	}
	return l, len(ls) == 0
}

// covers returns how many of the first leaves a piece of the size covers, 0 if
// it ends within one.
func covers(ls []leaf, size int64) int {
	for i, f := range ls {
		if end := f.offset + f.size - ls[0].offset; end == size {
			return i + 1
		} else if end > size {
			break
		}
	}
	return 0
}

// byOffset is how DWARF means a chain of pieces: one after the other, padding
// included, up to the end of the value, or of its last leaf.
func byOffset(t *abi.Type, pieces []exprPiece, isGo bool, ptr int64) (l abi.Location, ok bool) {
	ls, ok := leaves(nil, t, 0, ptr, 0)
	if !ok || len(ls) == 0 {
		return nil, false
	}
	at := int64(0)
	for _, p := range pieces {
		if p.size > t.Size-at {
			return nil, false
		}
		for len(ls) > 0 && ls[0].offset+ls[0].size <= at {
			ls = ls[1:]
		}
		padding := len(ls) == 0 || at+p.size <= ls[0].offset
		switch {
		case padding && p.kind == abi.Nowhere:
			at += p.size
			continue
		case isGo && p.kind == abi.InRegister && (padding || ls[0] != (leaf{at, p.size})):
			return nil, false
		}
		if l, ok = p.at(l, at, p.size); !ok {
			return nil, false
		}
		at += p.size
	}
	for len(ls) > 0 && ls[0].offset+ls[0].size <= at {
		ls = ls[1:]
	}
	return l, len(ls) == 0
}

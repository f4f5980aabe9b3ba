package capture

import "github.com/argtap/argtap/abi"

// refs appends the rows of a value of type typ that lies at byte at of what is
// captured, of which there are size bytes. Rows that hole says are not there are
// left out.
func (t *Types) refs(typ *abi.Type, at, size int64, hole func(off, size int64) bool) {
	t.find(size, hole, func(f *refFinder) { f.walk(typ, at, 0) })
}

func (t *Types) find(size int64, hole func(off, size int64) bool, walk func(*refFinder)) {
	f := refFinder{t: t, size: size, hole: hole, budget: typeBudget, first: len(t.rows)}
	walk(&f)
	t.budget -= typeBudget - f.budget
}

type refFinder struct {
	t      *Types
	size   int64
	hole   func(off, size int64) bool
	budget int
	first  int
}

func (f *refFinder) full() bool {
	return f.budget <= 0 || f.t.budget <= 0 || len(f.t.rows) >= MaxRows || len(f.t.rows)-f.first >= maxTypeRows
}

func (f *refFinder) walk(t *abi.Type, off int64, nesting int) {
	f.budget--
	if f.full() || nesting > maxTypeNesting || t == nil || t.Size <= 0 || off < 0 || off+t.Size > f.size && t.Kind != abi.Struct && t.Kind != abi.Array {
		return
	}
	switch t.Kind {
	case abi.Struct:
		for i := range t.Fields {
			if fd := &t.Fields[i]; fd.Offset >= 0 && off+fd.Offset < f.size {
				f.walk(fd.Type, off+fd.Offset, nesting+1)
			}
			if f.full() {
				return
			}
		}
	case abi.Array:
		if t.Elem == nil || t.Elem.Size <= 0 || !t.Elem.HasPointers() {
			return
		}
		for i := int64(0); i < t.Len && off+i*t.Elem.Size < f.size && !f.full(); i++ {
			f.walk(t.Elem, off+i*t.Elem.Size, nesting+1)
		}
	case abi.String:
		f.row(off, RowCounted, t.Size, 2, byteElem, false)
	case abi.Slice:
		f.row(off, RowCounted, t.Size, 3, t.Elem, false)
	case abi.Pointer:
		f.row(off, RowPointer, t.Size, 1, t.Elem, true)
	case abi.Interface:
		if t.Size != 2*f.t.ptr || f.hole != nil && f.hole(off, t.Size) {
			return
		}
		kind := RowEface
		if t.NumMethod > 0 {
			kind = RowIface
		}
		f.t.interfaces = true
		f.t.rows = append(f.t.rows, Row{Offset: uint32(off), Kind: kind, Limit: 1})
	case abi.Map, abi.Chan, abi.Func:
		f.scanRow(t, off)
	}
}

// row appends the row of a reference that is so many words wide.
func (f *refFinder) row(off int64, kind RowKind, width, words int64, elem *abi.Type, hop bool) {
	if width != words*f.t.ptr || f.hole != nil && f.hole(off, width) {
		return // malformed debug information says so, or it is not there
	}
	id, limit, r := f.t.Follow(kind, elem)
	if r != abi.Present || id == noType {
		return
	}
	f.t.rows = append(f.t.rows, Row{Offset: uint32(off), Kind: kind, Hop: hop, Type: id, Limit: uint32(limit)})
}

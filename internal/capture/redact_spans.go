package capture

import (
	"github.com/argtap/argtap/abi"
)

// Span is a run of bytes.
type Span struct{ Offset, Size int64 }

// Bounds of what is redacted within one value, and how many parts of one are
// looked at. Where that does not suffice the rest of the value is redacted.
const (
	maxSpans   = 256
	spanBudget = 1 << 12
)

// Spans returns which of the first size bytes of a value of type t are redacted,
// by ascending offset if the fields of structs are.
func (r *Redaction) Spans(t *abi.Type, size int64) []Span {
	spans, _ := r.find(t, size)
	return spans
}

// find is Spans, and says how many parts were looked at.
func (r *Redaction) find(t *abi.Type, size int64) ([]Span, int) {
	if r == nil || t == nil || size <= 0 {
		return nil, 0
	}
	if r.Type(t) {
		return []Span{{0, size}}, 1
	}
	f := spanFinder{r: r, size: size, budget: spanBudget}
	if f.within(t, 0) {
		f.walk(t, 0, 0)
	}
	return f.spans, spanBudget - f.budget
}

type spanFinder struct {
	r      *Redaction
	size   int64
	budget int
	spans  []Span
	full   bool
}

// add adds a part that lies at off, cut to what is captured.
func (f *spanFinder) add(off, size int64) {
	end := f.size
	if size < end-off {
		end = off + size
	}
	if off = max(off, 0); off < end {
		f.spans = append(f.spans, Span{off, end - off})
	}
}

func (f *spanFinder) walk(t *abi.Type, off int64, nesting int) {
	if f.full {
		return
	}
	if f.budget--; f.budget < 0 || nesting > maxTypeNesting || len(f.spans) >= maxSpans-1 {
		f.full = true
		f.add(off, f.size)
		return
	}
	switch t.Kind {
	case abi.Struct:
		for i := range t.Fields {
			fd := &t.Fields[i]
			at := off + fd.Offset
			switch {
			case fd.Type == nil || fd.Type.Size <= 0 || at >= f.size || fd.Offset < 0:
			case f.r.Input(fd.Name, fd.Type):
				if len(f.spans) >= maxSpans-1 {
					f.full = true
					f.add(at, f.size)
					return
				}
				f.add(at, fd.Type.Size)
			case f.within(fd.Type, 0):
				f.walk(fd.Type, at, nesting+1)
			}
		}
	case abi.Array:
		if t.Elem == nil || t.Elem.Size <= 0 || !f.within(t.Elem, 0) {
			return
		}
		for i := int64(0); i < t.Len && off+i*t.Elem.Size < f.size && !f.full; i++ {
			f.walk(t.Elem, off+i*t.Elem.Size, nesting+1)
		}
	}
}

// within reports whether something in values of a type is redacted.
func (f *spanFinder) within(t *abi.Type, nesting int) bool {
	switch {
	case t == nil || t.Kind != abi.Struct && t.Kind != abi.Array:
		return false
	case nesting > maxTypeNesting:
		return true // malformed: walk finds out
	}
	r := f.r
	r.mu.Lock()
	m, ok := r.typeMemo[t]
	r.mu.Unlock()
	if ok {
		return m.whole || m.within
	}
	if t.Kind == abi.Array {
		if t.Elem != nil {
			m.within = r.Type(t.Elem) || f.within(t.Elem, nesting+1)
		}
	} else {
		for i := range t.Fields {
			fd := &t.Fields[i]
			if m.within = r.Input(fd.Name, fd.Type) || f.within(fd.Type, nesting+1); m.within {
				break
			}
		}
	}
	m.whole = r.Type(t)
	r.mu.Lock()
	if len(r.typeMemo) < maxMemo {
		r.typeMemo[t] = m
	}
	r.mu.Unlock()
	return m.whole || m.within
}

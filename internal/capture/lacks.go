package capture

import "github.com/argtap/argtap/abi"

// Lacks reports whether a walk with the same limits would capture more than the
// static plan p.
func (p *Plan) Lacks(limits Limits) bool {
	if p.Walk != nil {
		return false
	}
	l := lack{limits: limits.WithDefaults(), budget: typeBudget}
	for i := range p.Params {
		if l.image(p.Params[i].Image, limits.walkDepth()) {
			return true
		}
	}
	return false
}

type lack struct {
	limits Limits
	budget int
}

func (l *lack) image(m *Image, depth int) bool {
	if l.dynamic(m, m.Type, 0, 0) {
		return true
	}
	for i := range m.Refs {
		if r := &m.Refs[i]; l.ref(r, depth) {
			return true
		}
	}
	return false
}

func (l *lack) ref(r *Ref, depth int) bool {
	if r.Kind == RefPointer {
		if depth--; depth < 0 {
			return false
		}
	}
	if r.Slot < 0 {
		switch r.Reason {
		case abi.TooDeep, abi.NeedsLoops:
			return true
		case abi.UnknownType:
			// A type that was not read because it lies too deep.
			return r.Stub
		case abi.Cut:
			return !r.Large
		}
		return false
	}
	if r.Kind == RefSlice && r.Elem.Type.Size > 1 {
		want := min(l.limits.Elems, int(int64(l.limits.Bytes)/r.Elem.Type.Size))
		if r.ChunkLimit() < want {
			return true
		}
	}
	return l.image(r.Elem, depth)
}

// dynamic reports whether there is something in the image that only a walk
// follows.
func (l *lack) dynamic(m *Image, t *abi.Type, off int64, nesting int) bool {
	if l.budget--; l.budget < 0 || nesting > maxTypeNesting || t == nil || off < 0 || off >= m.Size {
		return false
	}
	switch t.Kind {
	case abi.Interface, abi.Map, abi.Chan, abi.Func:
		return m.Absent(off, t.Size) == abi.Present
	case abi.Struct:
		for i := range t.Fields {
			if l.dynamic(m, t.Fields[i].Type, off+t.Fields[i].Offset, nesting+1) {
				return true
			}
		}
	case abi.Array:
		if t.Elem == nil || t.Elem.Size <= 0 || !t.Elem.HasPointers() {
			return false
		}
		for i := int64(0); i < t.Len && off+i*t.Elem.Size < m.Size; i++ {
			if l.dynamic(m, t.Elem, off+i*t.Elem.Size, nesting+1) {
				return true
			}
			if l.budget < 0 {
				return false
			}
		}
	}
	return false
}

package capture

import "github.com/argtap/argtap/abi"

// image makes the image of a type of the table.
func (t *Types) image(typ *abi.Type) *Image {
	m := &Image{Type: typ, Size: min(typ.Size, int64(t.limits.Bytes))}
	if t.limits.Redact == nil {
		return m
	}
	if t.budget <= 0 && (typ.Kind == abi.Struct || typ.Kind == abi.Array) {
		t.refuse(m, abi.CutTypes) // nobody knows what is in it
		return m
	}
	spans, cost := t.limits.Redact.find(typ, m.Size)
	t.budget -= cost
	if spans != nil {
		m.Holes, m.Erase = redacted(spans), joined(spans)
	}
	return m
}

// refuse has nothing captured of values of a type that references may lead to.
func (t *Types) refuse(m *Image, r abi.Reason) {
	m.Size, m.Holes, m.Erase, m.Beyond = 0, nil, nil, r
	t.refused[keyOf(m.Type)] = r
}

// hole returns a function that reports whether something in the image is not
// there, nil if all of it is.
func (m *Image) hole() func(off, size int64) bool {
	if m.Holes == nil {
		return nil
	}
	return func(off, size int64) bool { return m.Absent(off, size) != abi.Present }
}

// eraseRows appends the rows of what is erased of values of a type. If there is
// no room for them, nothing is captured of the type.
func (t *Types) eraseRows(id int) {
	e := &t.list[id]
	if len(t.rows)+len(e.image.Erase) > MaxRows {
		t.rows, e.rows = t.rows[:e.first], 0
		t.refuse(e.image, abi.CutTypes)
		return
	}
	for _, s := range e.image.Erase {
		t.rows = append(t.rows, Row{Offset: uint32(s.Offset), Kind: RowErase, Limit: uint32(s.Size)})
	}
	e.erase = uint32(len(e.image.Erase))
	t.erases = true
}

// Erases reports whether there are types of whose values something is erased.
func (t *Types) Erases() bool { return t.erases }

// Elements is [Limits.Elements] with the limits of the table.
func (t *Types) Elements(elem *abi.Type) (n int, by abi.Reason) {
	if elem == nil {
		return 0, abi.UnknownType
	}
	return t.limits.Elements(elem)
}

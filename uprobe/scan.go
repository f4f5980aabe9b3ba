package uprobe

import (
	"errors"

	"github.com/argtap/argtap/abi"
	"github.com/argtap/argtap/internal/capture"
	"github.com/argtap/argtap/internal/goruntime"
)

// scanned is what a record has of a map or channel.
type scanned struct {
	why abi.Reason // why there is nothing but, if it is present, the length
	// ok says that the length is known, and capacity and closed for a channel.
	ok               bool
	length, capacity int
	closed           bool
	// rest is why there are no further entries or elements.
	rest    abi.Reason
	entries []scannedEntry
	// first and second are the runs of elements of a channel.
	first, second scannedRun
}

type scannedEntry struct{ key, elem Value }

type scannedRun struct {
	v Value // the first one
	n int
}

// scanKey is what a scan is of: the place of the header's object.
type scanKey uint32

// header finds the header of the map or channel v. pos is its position among
// the objects of the heap.
func (h *heap) header(v Value, id uint32) (o heapObject, pos int, r abi.Reason) {
	o, ok := h.find(v.word(0), id)
	switch {
	case !ok:
		return o, 0, h.missing(v, 0)
	case o.count == 0:
		return o, 0, abi.NotResident
	}
	return o, int(o.pos), abi.Present
}

// scan returns what was captured of v, a map or channel that is present and not
// nil.
func (h *heap) scan(v Value) *scanned {
	var id uint32
	var r abi.Reason
	var m *capture.Map
	var c *capture.Chan
	if v.typ.Kind == abi.Map {
		if m, r = h.walk.Types.Map(v.typ); r == abi.Present {
			id = m.Header
		}
	} else if c, r = h.walk.Types.Chan(v.typ); r == abi.Present {
		id = c.Header
	}
	if r == abi.NotFollowed {
		r = h.missing(v, 0)
	}
	if r != abi.Present {
		return &scanned{why: r}
	}
	o, pos, r := h.header(v, id)
	if r != abi.Present {
		return &scanned{why: r}
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if s := h.scans[scanKey(o.off)]; s != nil {
		return s
	}
	var s *scanned
	if m != nil {
		s = h.scanMap(v, m, o, pos)
	} else {
		s = h.scanChan(v, c, o)
	}
	if h.scans == nil {
		h.scans = make(map[scanKey]*scanned)
	}
	h.scans[scanKey(o.off)] = s
	return s
}

func scanReason(err error) abi.Reason {
	switch {
	case errors.Is(err, goruntime.ErrWriting):
		return abi.Writing
	case errors.Is(err, goruntime.ErrInconsistent):
		return abi.Changed
	}
	return abi.Implausible
}

// bytesOf returns the bytes of an object, nil if they could not be read.
func (h *heap) bytesOf(o heapObject) []byte {
	img := h.walk.Types.Image(o.typ)
	if o.count == 0 || img == nil {
		return nil
	}
	end := int64(o.off) + int64(o.count)*img.Size
	if end > int64(len(h.data)) {
		return nil
	}
	return h.data[o.off:end]
}

func (h *heap) scanMap(v Value, m *capture.Map, o heapObject, pos int) *scanned {
	table, end, cut, _ := h.walk.Types.ScanTypes()
	s := goruntime.Scan{Header: h.bytesOf(o)}
	var groups []heapObject
	unread := false
loop:
	for _, p := range h.list[pos+1:] {
		switch p.typ {
		case table, m.Group:
			b := h.bytesOf(p)
			unread = unread || b == nil
			s.Parts = append(s.Parts, goruntime.Part{Table: p.typ == table, Addr: p.addr, Bytes: b})
			groups = append(groups, p)
		case end, cut:
			if p.addr == o.addr {
				s.Again, s.Whole = h.bytesOf(p), p.typ == end
			}
			break loop
		default:
			break loop
		}
	}
	slots, st, err := m.Layout.Entries(s)
	if err != nil {
		return &scanned{why: scanReason(err)}
	}
	out := &scanned{ok: true, length: int(st.Len), rest: h.missing(v, 0)}
	switch flags := order.Uint16(h.data[capture.OffFlags:]); {
	case unread:
		out.rest = abi.NotResident
	case s.Again != nil && flags&capture.FlagScan != 0 && len(slots) < m.Limit:
		out.rest = abi.CutScan
	case s.Again != nil:
		out.rest = abi.Cut
	}
	img := h.walk.Types.Image(m.Group)
	l := m.Layout
	for _, slot := range slots[:min(len(slots), m.Limit)] {
		g := groups[slot.Part]
		part := func(off int64, t *abi.Type, indirect bool) Value {
			w := v
			w.img, w.base, w.depth = img, g.off, uint8(min(g.depth, 255))
			w.typ, w.off = t, off
			if !indirect {
				return w
			}
			addr := w.word(0)
			id, _, r := h.walk.Types.Lookup(capture.RowPointer, t)
			if r == abi.Present {
				w, _, r = h.object(w, addr, id, t, 1, 0)
			}
			if r != abi.Present {
				return absent(t, r)
			}
			return w
		}
		out.entries = append(out.entries, scannedEntry{
			part(l.Keys+int64(slot.Index)*l.KeyStride, v.typ.Key, l.IndirectKey),
			part(l.Elems+int64(slot.Index)*l.ElemStride, v.typ.Elem, l.IndirectElem),
		})
	}
	return out
}

func (h *heap) scanChan(v Value, c *capture.Chan, o heapObject) *scanned {
	_, _, _, end := h.walk.Types.ScanTypes()
	b := h.bytesOf(o)
	st, err := c.Layout.Read(b)
	if err != nil {
		return &scanned{why: scanReason(err)}
	}
	s := &scanned{ok: true, length: int(st.Len), capacity: int(st.Cap), closed: st.Closed, rest: abi.Cut}
	if st.Timer {
		// Programs see no buffer, which holds at most one element.
		s.length, s.capacity = 0, 0
		return s
	}
	if s.length == 0 {
		return s
	}
	e := v.typ.Elem
	if e == nil || e.Kind == abi.Invalid || e.Size != st.ElemSize {
		s.rest = abi.UnknownType
		return s
	}
	again, ok := h.find(o.addr, end)
	switch {
	case !ok:
		s.rest = h.missing(v, 0)
		return s
	case string(h.bytesOf(again)) != string(b):
		s.rest = abi.Changed
		return s
	case e.Size == 0:
		s.first.v, _, s.rest = h.object(v, 0, 0, e, 1, 0)
		s.first.n = min(s.length, c.Limit)
		return s
	case c.Elem == 0:
		return s // larger than what is captured of a value
	}
	want := min(s.length, c.Limit)
	n := min(want, int(st.Cap-st.Slot(0)))
	run := func(slot uint64, n int) (scannedRun, abi.Reason) {
		w, got, r := h.object(v, st.Buf+slot*uint64(e.Size), c.Elem, e, int64(n), 0)
		return scannedRun{w, int(got)}, r
	}
	var r abi.Reason
	if s.first, r = run(st.Slot(0), n); r != abi.Present {
		s.first.n, s.rest = 0, r
	} else if n < want {
		if s.second, r = run(0, want-n); r != abi.Present {
			s.second.n, s.rest = 0, r
		}
	}
	return s
}

// scanned returns what was captured of a map or channel. It is nil for other
// values, absent ones, and nil ones.
func (v Value) scanned() *scanned {
	if k := v.Kind(); k != abi.Map && k != abi.Chan || v.reason() != abi.Present || v.word(0) == 0 {
		return nil
	}
	if v.heap == nil {
		return &scanned{why: v.withoutHeap()}
	}
	return v.heap.scan(v)
}

// element returns element i of a channel.
func (s *scanned) element(i int) Value {
	switch {
	case i < s.first.n:
		return s.first.v.element(i)
	case i < s.first.n+s.second.n:
		return s.second.v.element(i - s.first.n)
	}
	return absent(nil, s.rest)
}

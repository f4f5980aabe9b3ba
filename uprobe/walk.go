package uprobe

import (
	"cmp"
	"slices"
	"sort"
	"sync"

	"github.com/argtap/argtap/abi"
	"github.com/argtap/argtap/dwarfargs"
	"github.com/argtap/argtap/internal/capture"
	"github.com/argtap/argtap/internal/rtype"
	"github.com/argtap/argtap/symbols"
)

// wholeTypes is the depth to which types are read for a walk: to their ends.
const wholeTypes = min(dwarfargs.Whole, rtype.Whole)

// walkPlan replaces a function's static plan by a walk where the static one
// would leave something out.
func (b *executable) walkPlan(s symbols.Func, f *Func, o *options) {
	if whole := f.wholeInstances(o.limits); whole && !f.plan.Lacks(o.limits) {
		return
	}
	inputs := slices.Clone(f.inputs)
	var d *description
	if f.captures == nil { // else the types were read to their ends
		whole := *o
		whole.whole = true
		var err error
		if d, err = b.describe(s, &whole); err != nil || len(d.params) != len(f.params) {
			o.log.Info("types cannot be read to their ends", "func", s.Name, "err", err)
			return
		}
		for i := range d.params {
			inputs[i].Type = d.params[i].Type
		}
	}
	b.needWalkTypes(o)
	f.inputs = inputs
	f.plan = capture.BuildWalk(b.arch, inputs, o.limits, b.walkTypes)
	b.walkInstances(s, f, d, o)
}

// needWalkTypes makes the type table.
func (b *executable) needWalkTypes(o *options) {
	if b.walkTypes == nil {
		b.walkTypes = capture.NewTypes(b.arch, o.limits)
		b.walkTypes.SetRelease(b.release())
	}
}

// release returns the Go version of the binary, "" if it is not known.
func (b *executable) release() string {
	version, _ := b.file.GoVersion()
	return version
}

// findDynamic adds to the type table what interfaces may hold, and what funcs may
// have captured.
func (b *executable) findDynamic(o *options) {
	if b.walkTypes == nil {
		return
	}
	interfaces := func() bool {
		if !b.walkTypes.Interfaces() {
			return false
		}
		if err := b.addDynamic(); err != nil {
			o.log.Info("the dynamic types of interfaces are not known", "err", err)
		}
		return true
	}
	done := interfaces()
	if !b.walkTypes.Funcs() {
		return
	}
	if err := b.addClosures(); err != nil {
		o.log.Info("what funcs have captured is not known", "err", err)
	}
	if !done {
		interfaces() // that were captured
	}
}

// addDynamic adds the types that have descriptors: as the debug information
// describes them, and those that it does not as the descriptors do.
func (b *executable) addDynamic() error {
	md, err := b.file.ModuleData()
	if err != nil {
		return err
	}
	data, err := b.runtimeTypes()
	if err != nil {
		return err
	}
	descriptors, err := data.RuntimeTypes()
	if err != nil {
		return err
	}
	add := func(types abi.RuntimeTypes) error {
		for rt, err := range types.All() {
			if err != nil {
				return err
			}
			key := uint64(md.Types) + rt.Offset
			if _, ok := b.walkTypes.Dynamic(key); ok {
				continue
			}
			// A malformed type is not known, the others are.
			direct, err := descriptors.Direct(rt.Offset)
			if err != nil {
				continue
			}
			if t, err := types.At(rt.Offset, wholeTypes); err == nil {
				b.walkTypes.AddDynamic(key, t, direct)
			}
		}
		return nil
	}
	if b.dwarf != nil {
		types, err := b.dwarf.RuntimeTypes()
		if err == nil {
			err = add(types)
		}
		if err != nil {
			return err
		}
	}
	return add(descriptors)
}

// heap is what a walk has captured beside the parameters: objects by their
// address and type.
type heap struct {
	walk  *capture.Walk
	data  []byte // the record
	fixed int    // where the objects begin
	funcs *funcNames
	small bool // words have 4 bytes
	once  sync.Once
	list  []heapObject // in the order of the record
	index []int32      // positions in list, sorted
	mu    sync.Mutex
	scans map[scanKey]*scanned
}

// object is an object of a heap.
type heapObject struct {
	addr  uint64
	typ   uint32
	depth uint32 // pointers that lead to it
	count uint32 // elements; 0 if they could not be read
	off   uint32 // of the first element in the record
	pos   int32  // in heap.list
}

// objects finds the objects of the record.
func (h *heap) objects() {
	for at := h.fixed; at >= 0 && at+capture.ObjectHeader <= len(h.data); {
		b := h.data[at:]
		typ := order.Uint32(b[capture.ObjectType:])
		o := heapObject{
			addr: order.Uint64(b[capture.ObjectAddr:]), typ: typ & (1<<capture.ObjectTypeBits - 1), depth: typ >> capture.ObjectTypeBits,
			count: order.Uint32(b[capture.ObjectCount:]), off: uint32(at + capture.ObjectHeader), pos: int32(len(h.list)),
		}
		img := h.walk.Types.Image(o.typ)
		if img == nil {
			break // malformed
		}
		size := capture.Align8(int64(o.count) * img.Size)
		if size > int64(len(h.data)-int(o.off)) {
			break
		}
		h.index = append(h.index, o.pos)
		h.list = append(h.list, o)
		at = int(o.off) + int(size)
	}
	h.sort()
}

// sort brings the index in order. Of objects with the same address and type the
// one with the most elements comes first.
func (h *heap) sort() {
	slices.SortFunc(h.index, func(i, j int32) int {
		a, b := &h.list[i], &h.list[j]
		return cmp.Or(cmp.Compare(a.addr, b.addr), cmp.Compare(a.typ, b.typ), cmp.Compare(b.count, a.count), cmp.Compare(i, j))
	})
}

// find returns the object of a type at an address.
func (h *heap) find(addr uint64, typ uint32) (heapObject, bool) {
	h.once.Do(h.objects)
	i := sort.Search(len(h.index), func(i int) bool {
		o := &h.list[h.index[i]]
		return o.addr > addr || o.addr == addr && o.typ >= typ
	})
	if i == len(h.index) {
		return heapObject{}, false
	}
	o := h.list[h.index[i]]
	return o, o.addr == addr && o.typ == typ
}

// missing returns why an object is not there that is hops pointers behind v.
func (h *heap) missing(v Value, hops int) abi.Reason {
	flags := order.Uint16(h.data[capture.OffFlags:])
	switch {
	case int(v.depth)+hops > h.walk.Depth:
		return abi.TooDeep
	case flags&(capture.FlagObjects|capture.FlagBytes) == capture.FlagObjects|capture.FlagBytes:
		return abi.CutCall
	case flags&capture.FlagObjects != 0:
		return abi.CutObjects
	case flags&capture.FlagBytes != 0:
		return abi.CutRecord
	case flags&capture.FlagScan != 0:
		return abi.CutScan
	case hops > 0 && int(v.base) > h.fixed:
		// A shorter way to the object of v was found when the walk had passed it already.
		return abi.TooDeep
	}
	return abi.NotFollowed
}

// elems is Value.elems for a record with a heap: length elements of what the
// present value v leads to.
func (h *heap) elems(v Value, length int64) (first Value, n int64, r abi.Reason) {
	kind, elem, hops := capture.RowCounted, v.typ.Elem, 0
	switch v.typ.Kind {
	case abi.Pointer:
		kind, hops = capture.RowPointer, 1
	case abi.String:
		elem = capture.StringElem()
	}
	id, limit, r := h.walk.Types.Lookup(kind, elem)
	switch {
	case r == abi.NotFollowed:
		return Value{}, 0, h.missing(v, hops)
	case r != abi.Present:
		return Value{}, 0, r
	}
	return h.object(v, v.word(0), id, elem, min(length, int64(limit)), hops)
}

// object returns the first of at most n elements at an address.
func (h *heap) object(v Value, addr uint64, id uint32, elem *abi.Type, n int64, hops int) (Value, int64, abi.Reason) {
	if elem.Size == 0 {
		// They are there without any bytes.
		v.typ, v.img, v.base, v.off = elem, &capture.Image{Type: elem}, 0, 0
		return v, n, abi.Present
	}
	img := h.walk.Types.Image(id)
	o, ok := h.find(addr, id)
	switch {
	case !ok || img == nil:
		return Value{}, 0, h.missing(v, hops)
	case o.count == 0:
		return Value{}, 0, abi.NotResident
	case int64(o.count) < n:
		// A shorter one that begins there was captured, this one was cut.
		return Value{}, 0, h.missing(v, hops)
	}
	v.data = h.data // that of v was perhaps made by an expression
	v.typ, v.img, v.base, v.off, v.depth = elem, img, o.off, 0, uint8(min(o.depth, 255))
	return v, n, abi.Present
}

// dynamic returns what the interface v holds, which is present and not nil.
func (h *heap) dynamic(v Value) Value {
	word := v.word(0)
	if v.typ.NumMethod > 0 {
		o, ok := h.find(word+uint64(v.wordSize()), capture.WordType)
		if !ok || o.count == 0 {
			r := h.missing(v, 0)
			if ok {
				r = abi.NotResident
			}
			return absent(nil, r)
		}
		itab := v
		itab.base, itab.off = o.off, 0
		word = itab.word(0)
	}
	word -= order.Uint64(h.data[capture.OffBias:])
	if v.small {
		word = uint64(uint32(word))
	}
	d, ok := h.walk.Types.Dynamic(word)
	if !ok || d.Closure {
		return absent(nil, abi.UnknownType)
	}
	if d.Why != abi.Present {
		return absent(d.Type, d.Why)
	}
	if d.Direct {
		e := v
		e.base, e.off = uint32(int64(v.base)+v.off+v.wordSize()), 0
		e.typ, e.img = d.Type, &capture.Image{Type: d.Type, Size: d.Type.Size}
		return e
	}
	if v.word(1) == 0 {
		// Half of an interface that was being overwritten by, or with, nil.
		return absent(d.Type, abi.Implausible)
	}
	id, _, r := h.walk.Types.Lookup(capture.RowPointer, d.Type)
	if r == abi.NotFollowed {
		r = h.missing(v, 0)
	}
	if r != abi.Present {
		return absent(d.Type, r)
	}
	e, _, r := h.object(v, v.word(1), id, d.Type, 1, 0)
	if r != abi.Present {
		return absent(d.Type, r)
	}
	return e
}

package capture

import (
	"fmt"

	"github.com/argtap/argtap/abi"
	"github.com/argtap/argtap/internal/goruntime"
)

// MaxScan bounds how many groups and buckets of maps, and tables that lead to
// them, a program looks at in one hit.
const MaxScan = 2048

// Map is how maps of a type are captured: the header, then by turns tables and
// groups (buckets up to Go 1.23) that have entries, one object each, then the
// header once more. Since the objects of a map follow each other in the heap, it
// is known which they are; and what a writer did meanwhile shows in the header.
type Map struct {
	Layout *goruntime.MapLayout
	// Header and Group are the numbers of the types. Group's values have the
	// keys and elements where Layout says.
	Header, Group uint32
	// Limit is the number of entries that are captured at most.
	Limit int
}

// Chan is how channels of a type are captured: the header, the buffered elements
// as one object, or as two where they wrap around, and the header once more.
type Chan struct {
	Layout *goruntime.ChanLayout
	// Header and Elem are the numbers of the types; Elem is 0 if the elements
	// have no size.
	Header, Elem uint32
	// Limit is the number of elements that are captured at most.
	Limit int
}

// scans is what a type table knows of maps, channels and funcs.
type scans struct {
	release string
	arch    *abi.Arch
	maps    map[typeKey]*Map
	chans   map[typeKey]*Chan
	layout  *goruntime.MapLayout  // of any map, nil if there is none
	ring    *goruntime.ChanLayout // nil if there is no channel
	funcs   bool
	// The numbers of the types of tables, and of headers that are read again:
	// behind all of a map, behind a part of one, and behind a channel.
	table, end, cut, endChan uint32
}

// SetRelease says which release of Go built the program, as the toolchain writes
// it. Without it, maps and channels are not followed.
func (t *Types) SetRelease(version string) { t.release = version }

// Scans returns the layouts that maps and channels in the table have, of which
// only what does not depend on their types is of use. They are nil if there are
// none.
func (t *Types) Scans() (*goruntime.MapLayout, *goruntime.ChanLayout) { return t.layout, t.ring }

// Funcs reports whether the table has types with funcs.
func (t *Types) Funcs() bool { return t.funcs }

// ScanTypes returns the numbers of the types with which a scan ends: that of a
// map's table, of a map's header when all of it was read, when a part was, and
// of a channel's header.
func (t *Types) ScanTypes() (table, end, cut, endChan uint32) {
	return t.table, t.end, t.cut, t.endChan
}

// raw numbers a type of bytes that refer to nothing. Whatever the limit on values
// is, all of them are captured.
func (t *Types) raw(name string, size int64) uint32 {
	id := t.number(&abi.Type{
		Name: name, Kind: abi.Array, Size: size, Align: 1, Len: size, Elem: byteElem,
	})
	if id != noType {
		t.list[id].image.Size = size
	}
	return id
}

// Map returns how maps of a type are captured. The reason is [abi.NotFollowed]
// if the table is complete and has none of that type.
func (t *Types) Map(typ *abi.Type) (*Map, abi.Reason) {
	if m := t.maps[keyOf(typ)]; m != nil {
		return m, abi.Present
	}
	_, r := t.mapLayout(typ)
	if r == abi.Present {
		r = abi.NotFollowed
	}
	return nil, r
}

func (t *Types) mapLayout(typ *abi.Type) (*goruntime.MapLayout, abi.Reason) {
	for _, e := range []*abi.Type{typ.Key, typ.Elem} {
		if e == nil || e.Kind == abi.Invalid || e.Size < 0 {
			return nil, abi.UnknownType
		}
	}
	size := func(e *abi.Type) goruntime.TypeSize { return goruntime.TypeSize{Size: e.Size, Align: max(e.Align, 1)} }
	l, err := goruntime.NewMapLayout(t.release, t.arch.ByteOrder, int(t.ptr), size(typ.Key), size(typ.Elem))
	if err != nil {
		return nil, abi.UnknownLayout
	}
	return l, abi.Present
}

// addMap returns how maps of a type are captured, nil if they cannot be.
func (t *Types) addMap(typ *abi.Type) *Map {
	k := keyOf(typ)
	if m, ok := t.maps[k]; ok {
		return m
	}
	l, r := t.mapLayout(typ)
	if r != abi.Present || l.Size > MaxValue {
		return nil
	}
	m := &Map{Layout: l, Limit: t.limits.Elems}
	if t.layout == nil {
		t.layout = l
		t.end, t.cut = t.raw("end of map", l.HeaderSize), t.raw("cut of map", l.HeaderSize)
		t.table = t.raw("table of map", max(l.SwissMap.TableSize, 1))
	}
	m.Header, m.Group = t.raw("header of "+typ.Name, l.HeaderSize), t.raw("group of "+typ.Name, l.Size)
	if m.Header == noType || m.Group == noType || t.table == noType {
		return nil // the table is full
	}
	t.list[m.Header].scan = m.Group
	t.list[m.Group].slots = &slots{typ.Key, typ.Elem, l}
	if t.maps == nil {
		t.maps = make(map[typeKey]*Map)
	}
	t.maps[k] = m
	return m
}

// slots are the keys and elements in the groups of a map.
type slots struct {
	key, elem *abi.Type
	layout    *goruntime.MapLayout
}

// slotsPerGroup is the number of entries of a group, or bucket.
const slotsPerGroup = 8

func (s *slots) refs(f *refFinder) {
	one := func(off int64, t *abi.Type, indirect bool) {
		if indirect {
			f.row(off, RowPointer, f.t.ptr, 1, t, false)
			return
		}
		f.walk(t, off, 0)
	}
	for i := range int64(slotsPerGroup) {
		one(s.layout.Keys+i*s.layout.KeyStride, s.key, s.layout.IndirectKey)
		one(s.layout.Elems+i*s.layout.ElemStride, s.elem, s.layout.IndirectElem)
	}
}

// Chan returns how channels of a type are captured. The reason is
// [abi.NotFollowed] if the table is complete and has none of that type.
func (t *Types) Chan(typ *abi.Type) (*Chan, abi.Reason) {
	if c := t.chans[keyOf(typ)]; c != nil {
		return c, abi.Present
	}
	if _, err := t.chanLayout(); err != nil {
		return nil, abi.UnknownLayout
	}
	return nil, abi.NotFollowed
}

func (t *Types) chanLayout() (*goruntime.ChanLayout, error) {
	minor, ok := goruntime.Release(t.release)
	if !ok {
		return nil, fmt.Errorf("the layout of channels is not known for %q", t.release)
	}
	return goruntime.NewChanLayout(minor, t.arch.ByteOrder, int(t.ptr))
}

// addChan returns how channels of a type are captured, nil if they cannot be.
func (t *Types) addChan(typ *abi.Type) *Chan {
	k := keyOf(typ)
	if c, ok := t.chans[k]; ok {
		return c
	}
	l, err := t.chanLayout()
	if err != nil {
		return nil
	}
	c := &Chan{Layout: l}
	if t.ring == nil {
		t.ring = l
		t.endChan = t.raw("end of channel", l.Size)
	}
	// What elements there are shows even if they are of no use.
	c.Elem, c.Limit, _ = t.Follow(RowCounted, typ.Elem)
	c.Header = t.raw("header of "+typ.Name, l.Size)
	if c.Header == noType || t.endChan == noType {
		return nil
	}
	t.list[c.Header].scan = c.Elem
	if t.chans == nil {
		t.chans = make(map[typeKey]*Chan)
	}
	t.chans[k] = c
	return c
}

// scanRow appends the row of a map, channel or func.
func (f *refFinder) scanRow(t *abi.Type, off int64) {
	if t.Size != f.t.ptr || f.hole != nil && f.hole(off, t.Size) {
		return
	}
	r := Row{Offset: uint32(off), Limit: 1}
	switch t.Kind {
	case abi.Map:
		m := f.t.addMap(t)
		if m == nil {
			return
		}
		r.Kind, r.Type, r.Limit = RowMap, m.Header, uint32(m.Limit)
	case abi.Chan:
		c := f.t.addChan(t)
		if c == nil {
			return
		}
		r.Kind, r.Type, r.Limit = RowChan, c.Header, uint32(c.Limit)
	case abi.Func:
		f.t.funcs = true
		r.Kind = RowFunc
	}
	f.t.rows = append(f.t.rows, r)
}

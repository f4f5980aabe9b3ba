package goruntime

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
)

const (
	// slotsPerGroup is how many entries a group or a bucket has: bucketCnt in
	// runtime/map.go, MapGroupSlots in internal/abi/map.go, in all releases.
	slotsPerGroup = 8
	// maxInline is the largest key or element that is in a slot itself: there
	// is a pointer to larger ones (maxKeySize and maxElemSize in runtime/map.go,
	// MapMaxKeyBytes and MapMaxElemBytes in internal/abi, in all releases).
	maxInline = 128
	// maxTypeSize bounds keys and elements, in bytes.
	maxTypeSize = 1 << 50
)

// TypeSize is the size and alignment of a type, in bytes.
type TypeSize struct{ Size, Align int64 }

// Slots is how keys and elements are arranged in a group of eight, which is a
// bucket up to Go 1.23. All offsets are bytes from its start.
type Slots struct {
	// Size of the whole, with the overflow pointer of a bucket.
	Size int64
	// Key i is at Keys+i*KeyStride, element i at Elems+i*ElemStride. The first
	// eight bytes say which are there.
	Keys, KeyStride   int64
	Elems, ElemStride int64
	// KeySize and ElemSize are what a slot has of each: of pointers to them
	// where they are indirect.
	KeySize, ElemSize         int64
	IndirectKey, IndirectElem bool
}

// MapLayout is where the parts of a map are, for one map type.
type MapLayout struct {
	target
	Slots
	// Swiss says that it is one of the tables that Go has since 1.24: read by
	// the fields of SwissMap, otherwise by those of BucketMap.
	Swiss     bool
	SwissMap  SwissMap
	BucketMap BucketMap
	// HeaderSize is how many bytes of the map itself there must be.
	HeaderSize int64
}

// SwissMap has the offsets in internal/runtime/maps.Map and table, in bytes.
//
// Read in internal/runtime/maps/map.go, table.go and group.go of the last patch
// of each release from 1.24 to 1.27, and compared with their DWARF
// (TestDWARF). A byte that 1.25 added behind writing moved nothing.
type SwissMap struct {
	Used           int64 // eight bytes, the number of entries
	DirPtr, DirLen int64 // words; with length 0, DirPtr is that of one group, or nil
	GlobalDepth    int64 // a byte: DirLen is 1<<GlobalDepth
	Writing        int64 // a byte, not 0 while a goroutine writes

	TableUsed, TableCapacity int64 // two bytes each
	TableIndex               int64 // a word
	TableGroups              int64 // a word, where the groups are
	TableMask                int64 // eight bytes, the number of groups minus one
	TableSize                int64
}

// BucketMap has the offsets in runtime.hmap, in bytes.
//
// Read in runtime/map.go of the last patch of each release from 1.11 to 1.23,
// and of runtime/map_noswiss.go of 1.24 and 1.25, and compared with their DWARF
// (TestDWARF).
type BucketMap struct {
	Count               int64 // a word, the number of entries
	Flags, B            int64 // a byte each; there are 1<<B buckets
	Buckets, OldBuckets int64 // words; the latter is nil unless the map is growing
	NEvacuate           int64 // a word: older buckets below this one are no longer used
	// Overflow is the offset of the pointer to the next bucket in a bucket.
	Overflow int64
	// evacuatedFirst and evacuatedLast bound the values of a bucket's first
	// byte that say that its entries have moved; minTopHash is the least of a
	// slot with an entry.
	evacuatedFirst, evacuatedLast, minTopHash byte
}

// Bits of hmap.flags (runtime/map.go, Go 1.11 to 1.23).
const (
	flagWriting = 4 // hashWriting
	// FlagSameSizeGrow: there are as many old buckets as new ones.
	FlagSameSizeGrow = 8
)

// NewMapLayout returns the layout of maps with keys and elements of the given
// sizes in programs of a Go version, as the toolchain writes it.
func NewMapLayout(version string, order binary.ByteOrder, ptrSize int, key, elem TypeSize) (*MapLayout, error) {
	t, err := newTarget(order, ptrSize)
	if err != nil {
		return nil, err
	}
	minor, ok := Release(version)
	if !ok || minor < 11 || minor > Newest {
		return nil, fmt.Errorf("the layout of maps is not known for %q", version)
	}
	for _, s := range []TypeSize{key, elem} {
		if s.Size < 0 || s.Size > maxTypeSize || s.Align < 1 || s.Align > 64 || s.Align&(s.Align-1) != 0 || s.Size%s.Align != 0 {
			return nil, fmt.Errorf("a type of %d bytes, aligned to %d: impossible", s.Size, s.Align)
		}
	}
	l := &MapLayout{target: t, Swiss: minor >= 24 && !(minor < 26 && experiment(version, "noswissmap"))}
	if key.Size > maxInline {
		l.IndirectKey, key = true, TypeSize{t.ptr, t.ptr}
	}
	if elem.Size > maxInline {
		l.IndirectElem, elem = true, TypeSize{t.ptr, t.ptr}
	}
	l.KeySize, l.ElemSize = key.Size, elem.Size
	if l.Swiss {
		l.swiss(key, elem, minor == 27 && experiment(version, "mapsplitgroup"))
		return l, nil
	}
	return l, l.buckets(minor, key, elem)
}

// MinTopHash returns the least value of a slot's byte in a bucket that says that
// there is an entry. Only maps up to Go 1.23 have it.
func (l *MapLayout) MinTopHash() byte { return l.BucketMap.minTopHash }

// experiment reports whether a version says that the program was built with
// GOEXPERIMENT=name. A release is followed by " X:" and the experiments, since
// Go 1.26 by "-X:" (cmd/link/internal/ld/main.go).
func experiment(version, name string) bool {
	_, list, _ := strings.Cut(version, "X:")
	return slices.Contains(strings.Split(list, ","), name)
}

// swiss fills in the layout since Go 1.24. Groups are as
// cmd/compile/internal/reflectdata/map.go (MapGroupType) makes them, in 1.24 and
// 1.25 map_swiss.go: with keys and elements by turns, or, by an experiment of
// 1.27, first all keys and then all elements.
func (l *MapLayout) swiss(key, elem TypeSize, split bool) {
	p := l.ptr
	l.SwissMap = SwissMap{
		DirPtr: 8 + p, DirLen: 8 + 2*p, GlobalDepth: 8 + 3*p, Writing: 8 + 3*p + 2,
		TableCapacity: 2, TableIndex: 8, TableGroups: 8 + p, TableMask: 8 + 2*p, TableSize: 16 + 2*p,
	}
	l.HeaderSize = 8 + 4*p
	ctrl := TypeSize{8, p} // uint64
	eight := func(t TypeSize) TypeSize { return TypeSize{slotsPerGroup * t.Size, t.Align} }
	if split {
		group, offs := structOf(ctrl, eight(key), eight(elem))
		l.Size, l.Keys, l.Elems, l.KeyStride, l.ElemStride = group.Size, offs[1], offs[2], key.Size, elem.Size
		return
	}
	slot, in := structOf(key, elem)
	group, offs := structOf(ctrl, eight(slot))
	l.Size, l.Keys, l.Elems, l.KeyStride, l.ElemStride = group.Size, offs[1], offs[1]+in[1], slot.Size, slot.Size
}

// buckets fills in the layout up to Go 1.23. Buckets are as
// cmd/compile/internal/reflectdata/reflect.go (MapBucketType) makes them, before
// Go 1.17 cmd/compile/internal/gc/reflect.go (bmap).
func (l *MapLayout) buckets(minor int, key, elem TypeSize) error {
	p := l.ptr
	if key.Align > p || elem.Align > p {
		// 64-bit atomic values on 32-bit machines. Some releases pad.
		return fmt.Errorf("maps of types that are aligned to more than %d bytes: layout not known", p)
	}
	l.BucketMap = BucketMap{
		Flags: p, B: p + 1, Buckets: p + 8, OldBuckets: 2*p + 8, NEvacuate: 3*p + 8,
		// emptyRest, emptyOne, evacuatedX, evacuatedY, evacuatedEmpty.
		evacuatedFirst: 2, evacuatedLast: 4, minTopHash: 5,
	}
	if minor == 11 {
		// empty, evacuatedEmpty, evacuatedX, evacuatedY.
		l.BucketMap.evacuatedFirst, l.BucketMap.evacuatedLast, l.BucketMap.minTopHash = 1, 3, 4
	}
	l.HeaderSize = 4*p + 8
	l.Keys = slotsPerGroup // tophash
	l.KeyStride, l.ElemStride = key.Size, elem.Size
	l.Elems = alignTo(l.Keys+slotsPerGroup*key.Size, elem.Align)
	l.BucketMap.Overflow = alignTo(l.Elems+slotsPerGroup*elem.Size, p)
	l.Size = l.BucketMap.Overflow + p
	return nil
}

// structOf lays out a struct as cmd/compile/internal/types.CalcSize does: with a
// byte behind a last field that has no size.
func structOf(fields ...TypeSize) (t TypeSize, offsets []int64) {
	t.Align = 1
	for _, f := range fields {
		t.Size = alignTo(t.Size, f.Align)
		offsets = append(offsets, t.Size)
		t.Size += f.Size
		t.Align = max(t.Align, f.Align)
	}
	if t.Size > 0 && fields[len(fields)-1].Size == 0 {
		t.Size++
	}
	t.Size = alignTo(t.Size, t.Align)
	return t, offsets
}

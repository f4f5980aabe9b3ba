package goruntime

import "math/bits"

// Part is a part of a map that is somewhere else than the map itself.
type Part uint8

const (
	// PartDirectory is an array of words, the tables' addresses.
	PartDirectory Part = iota
	// PartTable is a table.
	PartTable
	// PartGroups is an array of groups.
	PartGroups
	// PartBuckets is an array of buckets.
	PartBuckets
	// PartOverflow is one bucket.
	PartOverflow
)

// Parts returns the bytes of a part at an address: size bytes, or fewer where
// there are no more. The bytes are not to be changed.
type Parts func(part Part, addr uint64, size int64) []byte

// MapEntry is an entry of a map.
type MapEntry struct {
	// Key and Elem are the bytes of what the slot has: a pointer where the
	// layout says that it is indirect. They are parts of what Parts returned.
	Key, Elem []byte
	// KeyAddr and ElemAddr are where the key and the element themselves are in
	// the process.
	KeyAddr, ElemAddr uint64
}

// MapState is what a map says of itself, and what was found.
type MapState struct {
	Len uint64 // the number of entries, as the program sees it
	// Found is the number of entries that were found. It is less than Len only
	// where Missing says so.
	Found uint64
	// Missing says that bytes of parts were not there.
	Missing bool
}

// Entries returns the entries of a map, in no order that means anything. b
// begins where the map does; parts has the rest. Where bytes of parts are
// missing, so are their entries. The error is [ErrWriting], [ErrInconsistent] or
// [ErrShort]; nothing is returned then.
func (l *MapLayout) Entries(b []byte, parts Parts) ([]MapEntry, MapState, error) {
	if int64(len(b)) < l.HeaderSize {
		return nil, MapState{}, ErrShort
	}
	e := enumerator{l: l, parts: parts, seen: make(map[uint64]bool)}
	var err error
	if l.Swiss {
		err = e.swiss(b)
	} else {
		err = e.buckets(b)
	}
	e.state.Found = uint64(len(e.entries))
	e.state.Missing = e.state.Missing || e.state.Found >= maxEntries
	switch {
	case err != nil:
	case e.state.Found > e.state.Len, e.state.Found < e.state.Len && !e.state.Missing:
		err = inconsistent("%d entries of %d", e.state.Found, e.state.Len)
	}
	if err != nil {
		return nil, MapState{}, err
	}
	return e.entries, e.state, nil
}

// enumerator collects the entries of one map.
type enumerator struct {
	l       *MapLayout
	parts   Parts
	entries []MapEntry
	state   MapState
	// seen are the addresses of tables, of their groups and of overflow
	// buckets: no map has the same twice.
	seen map[uint64]bool
}

// again reports whether there was a part at the address already.
func (e *enumerator) again(addr uint64) bool {
	if e.seen[addr] {
		return true
	}
	e.seen[addr] = true
	return false
}

// get returns whole elements of an array, and whether that is all of them.
func (e *enumerator) get(p Part, addr uint64, count, size int64) []byte {
	want := count * size
	b := e.parts(p, addr, want)
	if int64(len(b)) > want {
		b = b[:want]
	}
	b = b[:int64(len(b))/size*size]
	if int64(len(b)) < want {
		e.state.Missing = true
	}
	return b
}

// slots adds the live entries of a group, or bucket, at addr.
func (e *enumerator) slots(group []byte, addr uint64, live func(i int64) bool) {
	l := e.l
	for i := range int64(slotsPerGroup) {
		if !live(i) {
			continue
		}
		k, v := l.Keys+i*l.KeyStride, l.Elems+i*l.ElemStride
		m := MapEntry{
			Key: group[k : k+l.KeySize : k+l.KeySize], Elem: group[v : v+l.ElemSize : v+l.ElemSize],
			KeyAddr: addr + uint64(k), ElemAddr: addr + uint64(v),
		}
		if l.IndirectKey {
			m.KeyAddr = l.word(m.Key, 0)
		}
		if l.IndirectElem {
			m.ElemAddr = l.word(m.Elem, 0)
		}
		e.entries = append(e.entries, m)
	}
}

const (
	// maxGroups is how many groups a table may have
	// (internal/runtime/maps/table.go, maxTableCapacity, since Go 1.24).
	maxGroups = 1024 / slotsPerGroup
	// maxLog bounds the numbers of tables and buckets.
	maxLog = 40
	// maxEntries bounds what is returned. The rest is missing.
	maxEntries = 1 << 22
)

// swiss collects the entries of a map since Go 1.24.
func (e *enumerator) swiss(b []byte) error {
	l, m := e.l, &e.l.SwissMap
	e.state.Len = l.order.Uint64(b[m.Used:])
	dir, n, depth := l.word(b, m.DirPtr), l.word(b, m.DirLen), b[m.GlobalDepth]
	switch {
	case b[m.Writing] != 0:
		return ErrWriting
	case n == 0 && dir == 0:
		return nil // without any group; Entries looks at the length
	case n == 0:
		if e.state.Len > slotsPerGroup {
			return inconsistent("%d entries in one group", e.state.Len)
		}
		e.groups(e.get(PartGroups, dir, 1, l.Size), dir)
		return nil
	case depth > maxLog || n != 1<<depth || dir == 0:
		return inconsistent("%d tables, depth %d", n, depth)
	}
	tables := e.get(PartDirectory, dir, int64(n), l.ptr)
	last := uint64(0)
	for i := uint64(0); len(tables) > 0; i++ {
		addr := l.word(tables, 0)
		tables = tables[l.ptr:]
		if addr == 0 {
			return inconsistent("no table %d", i)
		}
		// A table may be at several indexes that follow each other.
		if addr == last {
			continue
		}
		last = addr
		if err := e.table(addr, i); err != nil {
			return err
		}
	}
	return nil
}

// table collects the entries of the table at addr, which is first at an index
// of the directory.
func (e *enumerator) table(addr, index uint64) error {
	l, m := e.l, &e.l.SwissMap
	t := e.get(PartTable, addr, 1, m.TableSize)
	if len(t) == 0 {
		return nil
	}
	used, capacity, mask := l.order.Uint16(t[m.TableUsed:]), l.order.Uint16(t[m.TableCapacity:]), l.order.Uint64(t[m.TableMask:])
	switch {
	case l.word(t, m.TableIndex) != index:
		return inconsistent("table %d at index %d", int64(l.word(t, m.TableIndex)), index)
	case mask >= maxGroups || mask&(mask+1) != 0 || uint64(capacity) != (mask+1)*slotsPerGroup:
		return inconsistent("table of %d slots in %d groups", capacity, mask+1)
	}
	groups, before := l.word(t, m.TableGroups), len(e.entries)
	if e.again(addr) || e.again(groups) {
		return inconsistent("a table that is there twice")
	}
	g := e.get(PartGroups, groups, int64(mask)+1, l.Size)
	e.groups(g, groups)
	found := len(e.entries) - before
	if found > int(used) || found < int(used) && int64(len(g)) == (int64(mask)+1)*l.Size && len(e.entries) < maxEntries {
		return inconsistent("%d entries of %d in a table", found, used)
	}
	return nil
}

// groups collects the entries of groups one behind the other. A slot has an
// entry if the highest bit of its control byte is clear: the others are
// ctrlEmpty and ctrlDeleted (internal/runtime/maps/group.go).
func (e *enumerator) groups(b []byte, addr uint64) {
	l := e.l
	for ; len(b) > 0 && len(e.entries) < maxEntries; b, addr = b[l.Size:], addr+uint64(l.Size) {
		ctrl := l.order.Uint64(b) // byte i is slot i's, as a number, on any machine
		e.slots(b, addr, func(i int64) bool { return ctrl>>(8*i+7)&1 == 0 })
	}
}

// buckets collects the entries of a map up to Go 1.23.
func (e *enumerator) buckets(b []byte) error {
	l, m := e.l, &e.l.BucketMap
	e.state.Len = l.word(b, m.Count)
	log, flags := b[m.B], b[m.Flags]
	buckets, old, moved := l.word(b, m.Buckets), l.word(b, m.OldBuckets), l.word(b, m.NEvacuate)
	switch {
	case flags&flagWriting != 0:
		return ErrWriting
	case log > maxLog || bits.Len64(uint64(l.Size))+int(log) > 62:
		return inconsistent("1<<%d buckets", log)
	case buckets == 0 && old == 0:
		return nil // made when they are needed
	case buckets == 0:
		return inconsistent("only old buckets")
	}
	if old == buckets {
		return inconsistent("old buckets that are the new ones")
	}
	if err := e.chains(e.get(PartBuckets, buckets, 1<<log, l.Size), buckets, nil); err != nil || old == 0 {
		return err
	}
	// While a map grows, entries are in the old buckets until these are
	// evacuated, which their first byte says.
	if flags&flagSameSizeGrow == 0 {
		if log == 0 {
			return inconsistent("less than one old bucket")
		}
		log--
	}
	if moved >= 1<<log {
		return inconsistent("%d of %d old buckets have moved", moved, uint64(1)<<log)
	}
	return e.chains(e.get(PartBuckets, old, 1<<log, l.Size), old, func(i uint64, first byte) (bool, error) {
		gone := first >= m.evacuatedFirst && first <= m.evacuatedLast
		if i < moved && !gone {
			return false, inconsistent("old bucket %d of %d has not moved", i, moved)
		}
		return gone, nil
	})
}

// chains collects the entries of an array of buckets, and of those that they
// overflow to. gone says which to pass over.
func (e *enumerator) chains(b []byte, addr uint64, gone func(i uint64, first byte) (bool, error)) error {
	l := e.l
	for i := uint64(0); len(b) > 0 && len(e.entries) < maxEntries; i++ {
		skip := false
		if gone != nil {
			var err error
			if skip, err = gone(i, b[0]); err != nil {
				return err
			}
		}
		if !skip {
			if err := e.chain(b[:l.Size], addr); err != nil {
				return err
			}
		}
		b, addr = b[l.Size:], addr+uint64(l.Size)
	}
	return nil
}

// chain collects the entries of a bucket and those behind it.
func (e *enumerator) chain(b []byte, addr uint64) error {
	l, m := e.l, &e.l.BucketMap
	for {
		bucket := b
		for i := range slotsPerGroup {
			if h := bucket[i]; h >= m.evacuatedFirst && h <= m.evacuatedLast {
				return inconsistent("a bucket that has moved")
			}
		}
		e.slots(bucket, addr, func(i int64) bool { return bucket[i] >= m.minTopHash })
		addr = l.word(bucket, m.Overflow)
		if addr == 0 {
			return nil
		}
		if e.again(addr) {
			return inconsistent("a bucket that overflows to itself")
		}
		if b = e.get(PartOverflow, addr, 1, l.Size); len(b) == 0 {
			return nil
		}
	}
}

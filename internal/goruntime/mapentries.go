package goruntime

import (
	"bytes"
	"math/bits"
)

// Part is a part of a map that is somewhere else than the map itself: a table,
// or a group, which is a bucket up to Go 1.23.
type Part struct {
	Table bool
	Addr  uint64
	// Bytes are those of the part, nil if they could not be read.
	Bytes []byte
}

// Scan is what was read of a map: its header, then its tables in the order of
// the directory, each before its groups, or the buckets with those that they
// overflow to, first of the new array and then of the old one, and then the
// header again. Groups without entries are left out.
type Scan struct {
	Header []byte
	Parts  []Part
	// Again is the header after everything else, nil if it was not reached.
	Again []byte
	// Whole says that there are no parts but these.
	Whole bool
}

// Slot is an entry of a map: a slot of a group.
type Slot struct {
	Part  int // index in Scan.Parts
	Index int // in the group
}

// MapState is what a map says of itself, and what was found.
type MapState struct {
	Len uint64 // the number of entries, as the program sees it
	// Found is the number of entries that were found. It is less than Len only
	// where Missing says so.
	Found uint64
	// Missing says that parts are missing.
	Missing bool
}

// Entries returns the entries of a map, in no order that means anything. Where
// parts are missing, so are their entries. The error is [ErrWriting],
// [ErrInconsistent] or [ErrShort]; nothing is returned then.
func (l *MapLayout) Entries(s Scan) ([]Slot, MapState, error) {
	if int64(len(s.Header)) < l.HeaderSize || s.Again != nil && int64(len(s.Again)) < l.HeaderSize {
		return nil, MapState{}, ErrShort
	}
	e := enumerator{l: l, scan: s, seen: make(map[uint64]bool)}
	e.state.Missing = !s.Whole || s.Again == nil
	err := e.header()
	if err == nil && l.Swiss {
		err = e.swiss()
	} else if err == nil {
		err = e.buckets()
	}
	e.state.Found = uint64(len(e.slots))
	switch {
	case err != nil:
	case e.state.Found > e.state.Len, e.state.Found < e.state.Len && !e.state.Missing:
		err = inconsistent("%d entries of %d", e.state.Found, e.state.Len)
	}
	if err != nil {
		return nil, MapState{}, err
	}
	return e.slots, e.state, nil
}

// Len returns the number of entries that a header states. It is what the program
// last made it, even while a goroutine writes.
func (l *MapLayout) Len(header []byte) (uint64, error) {
	switch {
	case int64(len(header)) < l.HeaderSize:
		return 0, ErrShort
	case l.Swiss:
		return l.order.Uint64(header[l.SwissMap.Used:]), nil
	}
	return l.word(header, l.BucketMap.Count), nil
}

// enumerator collects the entries of one map.
type enumerator struct {
	l     *MapLayout
	scan  Scan
	slots []Slot
	state MapState
	// seen are the addresses of parts: no map has the same twice.
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

// header looks at what both copies of the header say.
func (e *enumerator) header() error {
	l := e.l
	e.state.Len, _ = l.Len(e.scan.Header)
	for _, h := range [][]byte{e.scan.Header, e.scan.Again} {
		switch {
		case h == nil:
		case l.Swiss && h[l.SwissMap.Writing] != 0, !l.Swiss && h[l.BucketMap.Flags]&flagWriting != 0:
			return ErrWriting
		}
	}
	if e.scan.Again == nil {
		return nil
	}
	a, b := e.scan.Header[:l.HeaderSize], e.scan.Again[:l.HeaderSize]
	if !l.Swiss {
		// Whoever iterates sets the other flags.
		f := l.BucketMap.Flags
		if a[f]&FlagSameSizeGrow != b[f]&FlagSameSizeGrow {
			return inconsistent("flags")
		}
		a, b = bytes.Clone(a), bytes.Clone(b)
		a[f], b[f] = 0, 0
	}
	if !bytes.Equal(a, b) {
		return inconsistent("the header")
	}
	return nil
}

// group adds the live entries of a group, and returns how many there are.
func (e *enumerator) group(i int) int {
	p := &e.scan.Parts[i]
	if int64(len(p.Bytes)) < e.l.Size {
		e.state.Missing = true
		return 0
	}
	live := e.l.live(p.Bytes)
	for b := live; b != 0; b &= b - 1 {
		e.slots = append(e.slots, Slot{i, bits.TrailingZeros8(b)})
	}
	return bits.OnesCount8(live)
}

// live returns which slots of a group, or bucket, have an entry, as bits.
//
// In a group the highest bit of a control byte is clear then: the others are
// ctrlEmpty and ctrlDeleted (internal/runtime/maps/group.go). Byte i is slot i's,
// as a number, on any machine.
func (l *MapLayout) live(group []byte) (live uint8) {
	ctrl := l.order.Uint64(group)
	for i := range slotsPerGroup {
		if l.Swiss && ctrl>>(8*i+7)&1 == 0 || !l.Swiss && group[i] >= l.BucketMap.minTopHash {
			live |= 1 << i
		}
	}
	return live
}

const (
	// maxGroups is how many groups a table may have
	// (internal/runtime/maps/table.go, maxTableCapacity, since Go 1.24).
	maxGroups = 1024 / slotsPerGroup
	// maxLog bounds the numbers of tables and buckets.
	maxLog = 40
)

// swiss collects the entries of a map since Go 1.24.
func (e *enumerator) swiss() error {
	l, m, b := e.l, &e.l.SwissMap, e.scan.Header
	dir, n, depth := l.word(b, m.DirPtr), l.word(b, m.DirLen), b[m.GlobalDepth]
	switch {
	case n == 0 && e.state.Len > slotsPerGroup:
		return inconsistent("%d entries in one group", e.state.Len)
	case n == 0 && len(e.scan.Parts) > 1, n == 0 && dir == 0 && len(e.scan.Parts) > 0:
		return inconsistent("more than one group")
	case n != 0 && (depth > maxLog || n != 1<<depth || dir == 0):
		return inconsistent("%d tables, depth %d", n, depth)
	}
	var t swissTable
	for i := range e.scan.Parts {
		p := &e.scan.Parts[i]
		if e.again(p.Addr) {
			return inconsistent("a part that is there twice")
		}
		if !p.Table {
			if n != 0 && !t.has(p.Addr, l.Size) {
				return inconsistent("a group of no table")
			}
			t.found += e.group(i)
			continue
		}
		if n == 0 {
			return inconsistent("a table in a map without any")
		}
		if err := e.full(&t); err != nil {
			return err
		}
		var err error
		if t, err = e.table(p); err != nil {
			return err
		}
	}
	if e.state.Missing || n == 0 {
		return nil // of the last table parts may be missing
	}
	return e.full(&t)
}

// swissTable is the table whose groups are being collected.
type swissTable struct {
	groups uint64
	n      int64 // of them
	used   int   // entries it states, -1 if it could not be read
	found  int
}

// has reports whether the table has a group at addr.
func (t *swissTable) has(addr uint64, size int64) bool {
	off := addr - t.groups
	return addr >= t.groups && off%uint64(size) == 0 && off/uint64(size) < uint64(t.n)
}

// full checks that all entries of a table were found, which is so once another
// table follows.
func (e *enumerator) full(t *swissTable) error {
	if t.n > 0 && t.used >= 0 && (t.found > t.used || t.found < t.used && !e.state.Missing) {
		return inconsistent("%d entries of %d in a table", t.found, t.used)
	}
	return nil
}

func (e *enumerator) table(p *Part) (swissTable, error) {
	l, m := e.l, &e.l.SwissMap
	if int64(len(p.Bytes)) < m.TableSize {
		e.state.Missing = true
		return swissTable{used: -1}, nil
	}
	used, capacity, mask := l.order.Uint16(p.Bytes[m.TableUsed:]), l.order.Uint16(p.Bytes[m.TableCapacity:]), l.order.Uint64(p.Bytes[m.TableMask:])
	if mask >= maxGroups || mask&(mask+1) != 0 || uint64(capacity) != (mask+1)*slotsPerGroup {
		return swissTable{}, inconsistent("table of %d slots in %d groups", capacity, mask+1)
	}
	return swissTable{groups: l.word(p.Bytes, m.TableGroups), n: int64(mask) + 1, used: int(used)}, nil
}

// buckets collects the entries of a map up to Go 1.23.
func (e *enumerator) buckets() error {
	l, m, b := e.l, &e.l.BucketMap, e.scan.Header
	log, flags := b[m.B], b[m.Flags]
	buckets, old, moved := l.word(b, m.Buckets), l.word(b, m.OldBuckets), l.word(b, m.NEvacuate)
	switch {
	case log > maxLog || bits.Len64(uint64(l.Size))+int(log) > 62:
		return inconsistent("1<<%d buckets", log)
	case buckets == 0 && old != 0:
		return inconsistent("only old buckets")
	case old != 0 && old == buckets:
		return inconsistent("old buckets that are the new ones")
	case old != 0 && flags&FlagSameSizeGrow == 0 && log == 0:
		return inconsistent("less than one old bucket")
	}
	if old != 0 {
		if flags&FlagSameSizeGrow == 0 {
			log--
		}
		if moved >= 1<<log {
			return inconsistent("%d of %d old buckets have moved", moved, uint64(1)<<log)
		}
	}
	for i := range e.scan.Parts {
		p := &e.scan.Parts[i]
		if p.Table || e.again(p.Addr) {
			return inconsistent("a bucket that is there twice")
		}
		// A bucket with entries has none that have moved: all of a bucket, and of
		// those it overflows to, move at once.
		for j := 0; j < slotsPerGroup && j < len(p.Bytes); j++ {
			if h := p.Bytes[j]; h >= m.evacuatedFirst && h <= m.evacuatedLast {
				return inconsistent("a bucket that has moved")
			}
		}
		e.group(i)
	}
	return nil
}

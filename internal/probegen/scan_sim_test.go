package probegen_test

import (
	"encoding/binary"
	"math/bits"

	"github.com/argtap/argtap/internal/capture"
	"github.com/argtap/argtap/internal/goruntime"
)

// scanCounts count what was scanned.
type scanCounts struct {
	maps, tables, groups, cut, chans, runs, closures int
}

func (c *scanCounts) add(o *scanCounts) {
	c.maps += o.maps
	c.tables += o.tables
	c.groups += o.groups
	c.cut += o.cut
	c.chans += o.chans
	c.runs += o.runs
	c.closures += o.closures
}

// header writes words that could begin a map or a channel.
func (w *world) header(addr uint64) {
	var words []uint64
	switch w.IntN(5) {
	case 0: // a map with one group
		words = []uint64{w.Uint64N(9), 0, w.word(), 0, 0}
	case 1: // tables, a channel
		words = []uint64{w.Uint64N(9), w.Uint64N(12), w.word(), w.Uint64N(4), w.Uint64N(9), w.Uint64N(9), w.Uint64N(9)}
	case 2: // buckets: flags and the logarithm of their number
		words = []uint64{w.Uint64N(9), w.Uint64N(16) | w.Uint64N(5)<<8, w.word(), pick(w.random, 0, w.word()), 0}
	case 3: // a func
		words = []uint64{closureKey + walkBias, w.word(), w.word(), w.word()}
	default: // a table
		words = []uint64{w.Uint64N(9), w.Uint64N(4), w.word(), w.Uint64N(5)}
	}
	var b [8]byte
	for i, word := range words {
		binary.LittleEndian.PutUint64(b[:], word)
		w.mem.Put(addr+uint64(i)*uint64(w.arch.PtrSize), b[:w.arch.PtrSize])
	}
}

// member returns the type of the groups of a map or the elements of a channel.
func (w *walkModel) member(id uint32) (member uint32, stride uint64) {
	types, _ := w.f.Plan.Walk.Types.Encode()
	member = binary.LittleEndian.Uint32(types[id*capture.TypeSize+capture.TypeScan:])
	size, _, _ := w.typ(member)
	return member, uint64(size)
}

// read reads n bytes of the target as a number.
func (w *walkModel) read(addr uint64, n int64) (uint64, bool) {
	var b [8]byte
	ok := w.r.hit.mem.Read(addr, b[:n], w.r.hit.wait)
	return binary.LittleEndian.Uint64(b[:]), ok
}

// scanMap appends a map: see capture.Map.
func (w *walkModel) scanMap(addr uint64, id uint32, limit uint64, depth int) {
	h := w.follow(addr, id, 1, depth)
	if !w.added {
		return
	}
	w.maps++
	h += capture.ObjectHeader
	l, _ := w.f.Plan.Walk.Types.Scans()
	table, end, cut, _ := w.f.Plan.Walk.Types.ScanTypes()
	member, stride := w.member(id)
	ptr := w.r.ptr
	field := func(off int64) uint64 { return w.pointerAt(h + off) }
	var base, count, next, stage, last, chain, live uint64
	finish := func(id uint32) { w.follow(addr, id, 1, depth) }
	for {
		if w.budget == 0 {
			b := w.r.data[capture.OffFlags:]
			binary.LittleEndian.PutUint16(b, binary.LittleEndian.Uint16(b)|capture.FlagScan)
			finish(cut)
			return
		}
		w.budget--
		at := chain
		if chain == 0 && next >= count {
			var ok bool
			var done uint32
			if l.Swiss {
				dir, n := field(l.SwissMap.DirPtr), field(l.SwissMap.DirLen)
				switch {
				case n == 0 && (stage != 0 || dir == 0), n != 0 && stage >= n:
					done = end
				case n == 0:
					base, count, stage = dir, 1, 1
				default:
					at, ok = w.read(dir+stage*uint64(ptr), ptr)
					stage++
					if !ok || at == 0 {
						done = cut
						break
					}
					next, count = 0, 0
					if at == last {
						break
					}
					last = at
					t := w.follow(at, table, 1, depth)
					if w.wasCut {
						return
					}
					if w.added {
						w.tables++
						t += capture.ObjectHeader
						base = w.pointerAt(t + l.SwissMap.TableGroups)
						count = w.r.word(t+l.SwissMap.TableMask) + 1
					}
				}
			} else {
				done = w.nextBuckets(l, h, &base, &count, &next, &stage)
				if done == 1 {
					done = end
				} else if done == 2 {
					done = cut
				}
			}
			if done != 0 {
				if done == cut {
					w.cut++
				}
				finish(done)
				return
			}
			continue
		}
		if chain == 0 {
			at = base + next*stride
			next++
		}
		chain = 0
		ctrl, ok := w.read(at, 8)
		if ok && !l.Swiss {
			chain, ok = w.read(at+stride-uint64(ptr), ptr)
			if !ok {
				chain = 0
			}
		}
		if ok {
			n := 0
			for i := range 8 {
				b := byte(ctrl >> (8 * i))
				if l.Swiss && bits.LeadingZeros8(b) > 0 || !l.Swiss && b >= l.MinTopHash() {
					n++
				}
			}
			if n == 0 {
				continue
			}
			if live >= limit {
				w.cut++
				finish(cut)
				return
			}
			live += uint64(n)
		}
		w.groups++
		w.follow(at, member, 1, depth)
		if w.wasCut {
			return
		}
	}
}

// nextBuckets finds the next array of buckets. It returns 1 if there is none, and
// 2 if it cannot be.
func (w *walkModel) nextBuckets(l *goruntime.MapLayout, h int64, base, count, next, stage *uint64) uint32 {
	m := &l.BucketMap
	log := uint64(w.r.data[h+m.B])
	if log > 40 {
		return 2
	}
	at := w.pointerAt(h + m.Buckets)
	switch *stage {
	case 0:
	case 1:
		at = w.pointerAt(h + m.OldBuckets)
		if at == 0 {
			return 1
		}
		if w.r.data[h+m.Flags]&goruntime.FlagSameSizeGrow == 0 {
			if log == 0 {
				return 2
			}
			log--
		}
	default:
		return 1
	}
	*stage++
	*base, *next, *count = at, 0, 1<<log
	if at == 0 {
		*count = 0
	}
	return 0
}

// scanChan appends a channel: see capture.Chan.
func (w *walkModel) scanChan(addr uint64, id uint32, limit uint64, depth int) {
	h := w.follow(addr, id, 1, depth)
	if !w.added {
		return
	}
	w.chans++
	h += capture.ObjectHeader
	_, l := w.f.Plan.Walk.Types.Scans()
	_, _, _, end := w.f.Plan.Walk.Types.ScanTypes()
	member, stride := w.member(id)
	n, size, recv, buf := w.pointerAt(h+l.Count), w.pointerAt(h+l.Cap), w.pointerAt(h+l.RecvX), w.pointerAt(h+l.Buf)
	if member != 0 && n > 0 && n <= size && recv < size {
		left := size - recv
		w.runs++
		w.follow(buf+recv*stride, member, int64(min(n, left, limit)), depth)
		if w.wasCut {
			return
		}
		if n > left && limit > left {
			w.follow(buf, member, int64(min(n-left, limit-left)), depth)
			if w.wasCut {
				return
			}
		}
	}
	w.follow(addr, end, 1, depth)
}

package probegen_test

import (
	"encoding/binary"
	"fmt"
	"strings"

	"github.com/argtap/argtap/internal/capture"
	"github.com/argtap/argtap/internal/probegen"
)

// walkModel is what a walk must do, in the plainest way.
type walkModel struct {
	r        *record
	f        *probegen.Func
	bias     uint64
	visited  map[[2]uint64]int64 // (address, type) to record offset
	dynamics map[uint64]uint64
	// types and rowTable are the type table.
	types, rowTable []byte

	objects, tombs, dynamic, depth int

	budget        int  // of a scan
	added, wasCut bool // what the last call of follow did
	scanCounts
}

// walk appends the heap to the record of a hit.
func (r *record) walk(f *probegen.Func, bias uint64) *walkModel {
	w := &walkModel{r: r, f: f, bias: bias, visited: map[[2]uint64]int64{}, dynamics: map[uint64]uint64{}, budget: capture.MaxScan}
	w.types, w.rowTable = f.Plan.Walk.Types.Encode()
	keys, values := f.Plan.Walk.Types.EncodeDynamic()
	for i := range keys {
		w.dynamics[keys[i]] = values[i]
	}
	r.put64(capture.OffBias, bias)
	walk := f.Plan.Walk
	w.rows(walk.First, walk.Rows, 0, 0)
	for at := int64(f.Plan.Fixed); at < int64(len(r.data)); {
		word := binary.LittleEndian.Uint32(r.data[at+capture.ObjectType:])
		id, depth := word&(1<<capture.ObjectTypeBits-1), word>>capture.ObjectTypeBits
		count := int64(binary.LittleEndian.Uint32(r.data[at+capture.ObjectCount:]))
		size, first, rows := w.typ(id)
		at += capture.ObjectHeader
		for i := range count {
			w.rows(first, rows, at+i*size, int(depth))
		}
		at += capture.Align8(count * size)
	}
	return w
}

func (w *walkModel) typ(id uint32) (size int64, first, rows uint32) {
	b := w.types[id*capture.TypeSize:]
	u32 := func(off int) uint32 { return binary.LittleEndian.Uint32(b[off:]) }
	return int64(u32(capture.TypeBytes)), u32(capture.TypeFirst), uint32(binary.LittleEndian.Uint16(b[capture.TypeRows:]))
}

// pointerAt is the word of the target at off.
func (w *walkModel) pointerAt(off int64) uint64 {
	v := uint64(w.r.pointer(off))
	if w.r.ptr == 4 {
		v &= 1<<32 - 1
	}
	return v
}

// rows follows the references of a value at base.
func (w *walkModel) rows(first, n uint32, base int64, depth int) {
	for i := first; i < first+n; i++ {
		b := w.rowTable[i*capture.RowSize:]
		u32 := func(off int) uint32 { return binary.LittleEndian.Uint32(b[off:]) }
		at := base + int64(u32(capture.RowOffset))
		addr := w.pointerAt(at)
		if addr == 0 {
			continue
		}
		switch capture.RowKind(b[capture.RowKindAt]) {
		case capture.RowPointer:
			w.follow(addr, u32(capture.RowType), 1, depth+int(b[capture.RowHop]))
		case capture.RowCounted:
			if n := w.r.pointer(at + w.r.ptr); n > 0 {
				w.follow(addr, u32(capture.RowType), min(n, int64(u32(capture.RowLimit))), depth)
			}
		case capture.RowEface:
			w.dyn(addr, at, depth)
		case capture.RowIface:
			if !probegen.NeedsDynamic(w.f.Plan.Walk.Types) {
				continue
			}
			if obj := w.follow(addr+uint64(w.r.ptr), capture.WordType, 1, depth); obj >= 0 {
				w.dyn(w.pointerAt(obj+capture.ObjectHeader), at, depth)
			}
		case capture.RowMap:
			w.scanMap(addr, u32(capture.RowType), uint64(u32(capture.RowLimit)), depth)
		case capture.RowChan:
			w.scanChan(addr, u32(capture.RowType), uint64(u32(capture.RowLimit)), depth)
		case capture.RowFunc:
			if obj := w.follow(addr, capture.WordType, 1, depth); obj >= 0 {
				if v, ok := w.find(w.pointerAt(obj + capture.ObjectHeader)); ok && v>>32 != capture.DynamicInline {
					w.closures++
					w.follow(addr, uint32(v), 1, depth+int(v>>32))
				}
			}
		}
	}
}

// find looks up a word among the dynamic types.
func (w *walkModel) find(word uint64) (uint64, bool) {
	key := word - w.bias
	if w.r.ptr == 4 {
		key &= 1<<32 - 1
	}
	v, ok := w.dynamics[key]
	return v, ok
}

// inline follows the references of the second word of an interface.
func (w *walkModel) inline(v uint64, at int64, depth int) {
	_, first, rows := w.typ(uint32(v))
	w.rows(first, rows, at+w.r.ptr, depth)
}

func (w *walkModel) dyn(word uint64, at int64, depth int) {
	v, ok := w.find(word)
	if ok && v>>32 == capture.DynamicInline {
		w.inline(v, at, depth)
		return
	}
	if data := w.pointerAt(at + w.r.ptr); ok && data != 0 {
		w.dynamic++
		w.follow(data, uint32(v), 1, depth+int(v>>32))
	}
}

// follow appends what lies at an address, and returns where it is, -1 if it is
// not there.
func (w *walkModel) follow(addr uint64, id uint32, count int64, depth int) int64 {
	w.added, w.wasCut = false, false
	walk := w.f.Plan.Walk
	size, _, _ := w.typ(id)
	size *= count
	if depth > walk.Depth || id == 0 || size == 0 || size > capture.MaxValue {
		return -1
	}
	w.depth = max(w.depth, depth)
	key := [2]uint64{addr, uint64(id)}
	word := func(depth int) uint32 { return id | uint32(depth)<<capture.ObjectTypeBits }
	if at, ok := w.visited[key]; ok {
		have := int64(binary.LittleEndian.Uint32(w.r.data[at+capture.ObjectCount:]))
		if have == 0 {
			return -1
		}
		if have >= count {
			if old := binary.LittleEndian.Uint32(w.r.data[at+capture.ObjectType:]) >> capture.ObjectTypeBits; int(old) > depth {
				w.r.put32(int(at)+capture.ObjectType, word(depth))
			}
			return at
		}
	}
	cut := func(flag uint16) int64 {
		b := w.r.data[capture.OffFlags:]
		binary.LittleEndian.PutUint16(b, binary.LittleEndian.Uint16(b)|flag)
		w.wasCut = true
		return -1
	}
	if w.objects >= walk.Objects {
		return cut(capture.FlagObjects)
	}
	if len(w.r.data)+capture.ObjectHeader+int(size) > walk.Bytes {
		return cut(capture.FlagBytes)
	}
	data := make([]byte, capture.Align8(size))
	ok := w.r.hit.mem.Read(addr, data[:size], w.r.hit.wait)
	if !ok {
		data, size, count = nil, 0, 0
		w.tombs++
	}
	at := w.r.grow(capture.ObjectHeader + int64(len(data)))
	w.r.put64(int(at)+capture.ObjectAddr, addr)
	w.r.put32(int(at)+capture.ObjectType, word(depth))
	w.r.put32(int(at)+capture.ObjectCount, uint32(count))
	copy(w.r.data[at+capture.ObjectHeader:], data)
	img := walk.Types.Image(id)
	for i := range count {
		w.r.erase(at+capture.ObjectHeader+i*img.Size, img.Erase)
	}
	for i := at + capture.ObjectHeader + size; i < int64(len(w.r.data)); i++ {
		w.r.unused[i] = true
	}
	w.visited[key] = at
	w.objects++
	if !ok {
		return -1
	}
	w.added = true
	return at
}

// objectsOf lists the objects of a record.
func objectsOf(f *probegen.Func, data []byte) string {
	var b strings.Builder
	for at := f.Plan.Fixed; at+capture.ObjectHeader <= len(data); {
		word := binary.LittleEndian.Uint32(data[at+capture.ObjectType:])
		id, count := word&(1<<capture.ObjectTypeBits-1), binary.LittleEndian.Uint32(data[at+capture.ObjectCount:])
		img := f.Plan.Walk.Types.Image(id)
		if img == nil {
			break
		}
		fmt.Fprintf(&b, "%d: %#x, %d of %s, depth %d\n", at, binary.LittleEndian.Uint64(data[at:]), count, img.Type.Name, word>>capture.ObjectTypeBits)
		at += capture.ObjectHeader + int(capture.Align8(int64(count)*img.Size))
	}
	return b.String()
}

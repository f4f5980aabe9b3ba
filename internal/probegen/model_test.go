package probegen_test

import (
	"encoding/binary"

	"github.com/argtap/argtap/abi"
	"github.com/argtap/argtap/internal/bpfsim"
	"github.com/argtap/argtap/internal/capture"
	"github.com/argtap/argtap/internal/probegen"
)

// regOrder is the order of the registers in struct pt_regs
// (arch/x86/include/asm/ptrace.h), one a word; 0xff are those that the test
// leaves alone.
var regOrder = [21]abi.Reg{
	abi.R15, abi.R14, abi.R13, abi.R12, abi.RBP, abi.RBX, abi.R11, abi.R10, abi.R9, abi.R8,
	abi.RAX, abi.RCX, abi.RDX, abi.RSI, abi.RDI, 0xff, 0xff, 0xff, 0xff, abi.RSP, 0xff,
}

// flagsWord is the word of struct pt_regs that holds EFLAGS.
const flagsWord = 18

// hit is the state of a machine when a probe is hit.
type hit struct {
	regs     map[abi.Reg]uint64
	flags    uint64
	mem      *bpfsim.Memory
	pid, tid uint32
	time     uint64
	wait     bool // the program may wait for pages
}

func (h *hit) context() []byte {
	b := make([]byte, 8*len(regOrder))
	for i, r := range regOrder {
		binary.LittleEndian.PutUint64(b[8*i:], h.regs[r])
	}
	binary.LittleEndian.PutUint64(b[8*flagsWord:], h.flags)
	return b
}

// record builds what a program must send for a hit, by the documentation of
// package capture and without any of the program's tricks.
type record struct {
	hit    *hit
	data   []byte
	unused []bool // bytes whose value does not matter
}

func (h *hit) record(f *probegen.Func) *record {
	p := f.Plan
	r := &record{hit: h}
	r.grow(int64(p.Fixed))
	r.put32(capture.OffPlan, f.ID)
	r.put32(capture.OffKind, capture.KindEntry)
	r.put64(capture.OffTime, h.time)
	r.put64(capture.OffPIDTID, uint64(h.pid)<<32|uint64(h.tid))
	if p.Goroutine != 0 && !h.mem.Read(h.regs[f.Arch.G]+uint64(p.Goroutine), r.data[capture.OffGoroutine:][:8], false) {
		r.fail(0)
	}
	for _, s := range p.Stores {
		v := s.Const
		if !s.IsConst {
			v = h.regs[s.Reg]
		}
		for i := range s.Size {
			r.data[s.Offset+i] = byte(v >> (8 * i))
		}
	}
	for _, rd := range p.Reads {
		base := h.regs[rd.Reg]
		if rd.Frame {
			base = h.regs[f.Arch.SP] + uint64(f.CFA)
		}
		if !h.mem.Read(base+uint64(rd.Disp), r.data[rd.Offset:][:rd.Size], false) {
			clear(r.data[rd.Offset:][:rd.Size])
			r.fail(rd.Bit)
		}
	}
	var images []imageAt
	for i := range p.Params {
		q := &p.Params[i]
		images = append(images, imageAt{q.Image, int64(q.Offset), int64(q.Slots)})
	}
	r.follow(images)
	return r
}

func (r *record) put32(off int, v uint32) { binary.LittleEndian.PutUint32(r.data[off:], v) }
func (r *record) put64(off int, v uint64) { binary.LittleEndian.PutUint64(r.data[off:], v) }
func (r *record) word(off int64) uint64   { return binary.LittleEndian.Uint64(r.data[off:]) }

func (r *record) fail(bit int) { r.put64(capture.OffFailed, r.word(capture.OffFailed)|1<<bit) }

// grow adds n bytes and returns where they begin.
func (r *record) grow(n int64) int64 {
	at := int64(len(r.data))
	r.data = append(r.data, make([]byte, n)...)
	r.unused = append(r.unused, make([]bool, n)...)
	return at
}

// imageAt is an image in the record, with where its slots begin.
type imageAt struct {
	image       *capture.Image
	base, slots int64
}

// follow fills the slots of images: those of the images themselves, then those
// of the elements that they refer to.
func (r *record) follow(images []imageAt) {
	each := func(do func(ref *capture.Ref, at, slot int64)) {
		for _, m := range images {
			for i := range m.image.Refs {
				if ref := &m.image.Refs[i]; ref.Slot >= 0 {
					do(ref, m.base+ref.Offset, m.slots+int64(ref.Slot)*capture.SlotSize)
				}
			}
		}
	}
	each(func(ref *capture.Ref, at, slot int64) { r.put64(int(slot), r.chunk(ref, at)) })
	each(func(ref *capture.Ref, _, slot int64) {
		off, count := capture.Slot(r.word(slot))
		if off == 0 {
			return
		}
		base := int64(off)
		first := base + capture.Align8(int64(count)*ref.Elem.Size)
		stride := int64(ref.Elem.Slots * capture.SlotSize)
		for i := range int64(count) {
			r.follow([]imageAt{{ref.Elem, base + i*ref.Elem.Size, first + i*stride}})
		}
	})
}

// chunk reads what the reference at off points to, and returns the slot.
func (r *record) chunk(ref *capture.Ref, off int64) uint64 {
	addr, n := r.word(off), int64(1)
	if addr == 0 {
		return 0
	}
	if ref.Kind != capture.RefPointer {
		n = int64(r.word(off + 8))
		switch {
		case n == 0:
			return 0
		case n < 0:
			return capture.NoSlot(abi.Implausible)
		}
		n = min(n, int64(ref.ChunkLimit()))
	}
	if len(r.data) > capture.VarMax {
		return capture.NoSlot(abi.Cut)
	}
	size := n * ref.Elem.Size
	data := make([]byte, capture.Align8(size))
	if !r.hit.mem.Read(addr, data[:size], r.hit.wait) {
		return capture.NoSlot(abi.NotResident)
	}
	at := r.grow(int64(len(data)))
	copy(r.data[at:], data)
	for i := at + size; i < int64(len(r.data)); i++ {
		r.unused[i] = true
	}
	r.grow(n * int64(ref.Elem.Slots*capture.SlotSize))
	return uint64(at) | uint64(n)<<32
}

package probegen_test

import (
	"encoding/binary"

	"github.com/argtap/argtap/abi"
	"github.com/argtap/argtap/internal/bpfsim"
	"github.com/argtap/argtap/internal/capture"
	"github.com/argtap/argtap/internal/probegen"
)

// What is in a word of a context that is no register of [abi.Reg].
const (
	wordOther = 0xff00 + iota
	wordFlags
	wordPC
)

// contexts are the words of a program's context: struct pt_regs
// (arch/x86/include/asm/ptrace.h: r15 r14 r13 r12 bp bx r11 r10 r9 r8 ax cx dx
// si di orig_ax ip cs flags sp ss) and struct user_pt_regs
// (arch/arm64/include/uapi/asm/ptrace.h: regs[31] sp pc pstate).
var contexts = map[*abi.Arch][]abi.Reg{
	abi.AMD64: {
		abi.R15, abi.R14, abi.R13, abi.R12, abi.RBP, abi.RBX, abi.R11, abi.R10, abi.R9, abi.R8,
		abi.RAX, abi.RCX, abi.RDX, abi.RSI, abi.RDI, wordOther, wordPC, wordOther, wordFlags, abi.RSP, wordOther,
	},
	abi.I386: {
		wordOther, wordOther, wordOther, wordOther, abi.EBP, abi.EBX, wordOther, wordOther, wordOther, wordOther,
		abi.EAX, abi.ECX, abi.EDX, abi.ESI, abi.EDI, wordOther, wordPC, wordOther, wordFlags, abi.ESP, wordOther,
	},
	abi.ARM64: {
		abi.X0, abi.X1, abi.X2, abi.X3, abi.X4, abi.X5, abi.X6, abi.X7, abi.X8, abi.X9, abi.X10,
		abi.X11, abi.X12, abi.X13, abi.X14, abi.X15, abi.X16, abi.X17, abi.X18, abi.X19, abi.X20,
		abi.X21, abi.X22, abi.X23, abi.X24, abi.X25, abi.X26, abi.X27, abi.X28, abi.X29, abi.X30,
		abi.ARM64SP, wordPC, wordFlags,
	},
}

// hit is the state of a machine when a probe is hit.
type hit struct {
	arch      *abi.Arch // nil: amd64
	regs      map[abi.Reg]uint64
	flags, pc uint64
	mem       *bpfsim.Memory
	pid, tid  uint32
	time      uint64
	wait      bool // the program may wait for pages
	// fsBase is the thread's base, which the kernel's task has at threadBase.
	fsBase     uint64
	threadBase int
	// entered is when the call that returns was entered, or what else a record has
	// at capture.PairTime; lost how many records were lost that are not of entries.
	entered, lost uint64
}

// enter gives the machine the registers and the memory of a hit.
func (h *hit) enter(m *bpfsim.Machine) {
	if h.arch == nil {
		h.arch = abi.AMD64
	}
	words := contexts[h.arch]
	m.Context = make([]byte, 8*len(words))
	for i, r := range words {
		v := h.regs[r]
		switch {
		case r == wordFlags:
			v = h.flags
		case r == wordPC:
			v = h.pc
		case h.arch == abi.I386:
			v |= 0xdead_beef << 32
		}
		binary.LittleEndian.PutUint64(m.Context[8*i:], v)
	}
	m.Target = h.mem
	m.Task = make([]byte, h.threadBase+8)
	binary.LittleEndian.PutUint64(m.Task[h.threadBase:], h.fsBase)
}

// g returns the address of the g, and false where a program cannot know it. It
// is 0 where reading it fails.
func (h *hit) g(f *probegen.Func) (uint64, bool) {
	switch f.G.Kind {
	case probegen.GRegister:
		return h.regs[f.G.Reg], true
	case probegen.GThread:
		var b [8]byte
		if !h.mem.Read(h.fsBase+uint64(f.G.TLS), b[:], false) {
			return 0, h.threadBase != 0
		}
		return binary.LittleEndian.Uint64(b[:]), h.threadBase != 0
	}
	return 0, false
}

// record builds what a program must send for a hit, by the documentation of
// package capture and without any of the program's tricks.
type record struct {
	hit    *hit
	ptr    int64 // the size of a pointer
	data   []byte
	unused []bool // bytes whose value does not matter
	erased int    // bytes
}

func (h *hit) record(f *probegen.Func) *record {
	p := f.Plan
	r := &record{hit: h, ptr: f.Arch.PtrSize}
	r.grow(int64(p.Fixed))
	r.put32(capture.OffPlan, f.ID)
	kind, ok := map[probegen.Role]uint32{
		probegen.RoleReturn: capture.KindReturn, probegen.RolePanic: capture.KindPanic,
		probegen.RoleFatal: capture.KindFatal, probegen.RoleExit: capture.KindExit, probegen.RoleUnwound: capture.KindUnwound,
	}[f.Role]
	if !ok {
		kind = capture.KindEntry
	}
	r.put32(capture.OffKind, kind)
	r.put64(capture.OffTime, h.time)
	r.put64(capture.OffPIDTID, uint64(h.pid)<<32|uint64(h.tid))
	if g, ok := h.g(f); ok && p.Goroutine != 0 && !h.mem.Read(g+uint64(p.Goroutine), r.data[capture.OffGoroutine:][:8], false) {
		r.fail(0)
	}
	if p.Pair != 0 {
		r.pair(f)
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
	r.erase(0, p.Erase)
	var images []imageAt
	for i := range p.Params {
		q := &p.Params[i]
		images = append(images, imageAt{q.Image, int64(q.Offset), int64(q.Slots)})
	}
	r.follow(images)
	return r
}

// open returns the goroutine, and the depth of the frame, of a hit whose g can be
// read.
func (h *hit) open(f *probegen.Func) (goroutine, depth uint64) {
	g, _ := h.g(f)
	var b [8]byte
	h.mem.Read(g+uint64(f.Plan.Goroutine), b[:], false)
	if goroutine = binary.LittleEndian.Uint64(b[:]); goroutine == 0 {
		goroutine = g | capture.PairSystem
	}
	b = [8]byte{}
	h.mem.Read(g+uint64(f.Arch.PtrSize), b[:f.Arch.PtrSize], false)
	return goroutine, binary.LittleEndian.Uint64(b[:]) - h.regs[f.Arch.SP] - uint64(f.CFA)
}

// pair writes what joins entry and return.
func (r *record) pair(f *probegen.Func) {
	goroutine, depth := r.hit.open(f)
	r.put64(f.Plan.Pair+capture.PairGoroutine, goroutine)
	r.put64(f.Plan.Pair+capture.PairDepth, depth)
	r.put64(f.Plan.Pair+capture.PairLost, r.hit.lost)
	if f.Role == probegen.RoleReturn || f.Role == probegen.RolePanic || f.Role == probegen.RoleUnwound {
		r.put64(f.Plan.Pair+capture.PairTime, r.hit.entered)
	}
	if goroutine&capture.PairSystem != 0 {
		goroutine = 0
	}
	r.put64(capture.OffGoroutine, goroutine)
}

func (r *record) put32(off int, v uint32) { binary.LittleEndian.PutUint32(r.data[off:], v) }
func (r *record) put64(off int, v uint64) { binary.LittleEndian.PutUint64(r.data[off:], v) }
func (r *record) word(off int64) uint64   { return binary.LittleEndian.Uint64(r.data[off:]) }

// pointer is the word of the target at off, with its sign.
func (r *record) pointer(off int64) int64 {
	if r.ptr == 4 {
		return int64(int32(binary.LittleEndian.Uint32(r.data[off:])))
	}
	return int64(r.word(off))
}

func (r *record) fail(bit int) { r.put64(capture.OffFailed, r.word(capture.OffFailed)|1<<bit) }

// grow adds n bytes and returns where they begin.
func (r *record) grow(n int64) int64 {
	at := int64(len(r.data))
	r.data = append(r.data, make([]byte, n)...)
	r.unused = append(r.unused, make([]bool, n)...)
	return at
}

// erase zeroes what is redacted of a value at base.
func (r *record) erase(base int64, spans []capture.Span) {
	for _, s := range spans {
		clear(r.data[base+s.Offset:][:s.Size])
		r.erased += int(s.Size)
	}
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
	addr, n := uint64(r.pointer(off)), int64(1)
	if r.ptr == 4 {
		addr &= 1<<32 - 1
	}
	if addr == 0 {
		return 0
	}
	if ref.Kind != capture.RefPointer {
		n = r.pointer(off + r.ptr)
		switch {
		case n == 0:
			return 0
		case n < 0:
			return capture.NoSlot(abi.Implausible)
		}
		n = min(n, int64(ref.ChunkLimit()))
	}
	if len(r.data) > capture.VarMax {
		return capture.NoSlot(abi.CutRecord)
	}
	size := n * ref.Elem.Size
	data := make([]byte, capture.Align8(size))
	if !r.hit.mem.Read(addr, data[:size], r.hit.wait) {
		return capture.NoSlot(abi.NotResident)
	}
	at := r.grow(int64(len(data)))
	copy(r.data[at:], data)
	for i := range n {
		r.erase(at+i*ref.Elem.Size, ref.Elem.Erase)
	}
	for i := at + size; i < int64(len(r.data)); i++ {
		r.unused[i] = true
	}
	r.grow(n * int64(ref.Elem.Slots*capture.SlotSize))
	return uint64(at) | uint64(n)<<32
}

package probegen

import (
	"math/bits"
	"strconv"

	"github.com/cilium/ebpf/asm"

	"github.com/argtap/argtap/abi"
	"github.com/argtap/argtap/internal/capture"
)

// Places on the program's stack, as offsets from the frame pointer.
const (
	stackCursor = -8  // the record offset of the chunk that is being read
	stackCount  = -16 // its number of elements
	// Each level of nesting has levelSize bytes below stackLevels.
	stackLevels = -48
	levelSize   = 32
	levelRecord = 0  // the record, for the function that a loop calls
	levelCount  = 8  // the number of elements
	levelElem   = 16 // record offset of the first element
	levelSlots  = 24 // record offset of its slots
)

// maxLevels bounds the nesting: the depth of pointers and the nest of slices.
const maxLevels = 8

// place is a record offset: a constant, plus a word on the stack if stack is
// not zero.
type place struct {
	stack int16
	off   int64
}

// address puts the address of a place into dst, and returns the offset that
// remains to be added by the instruction that uses it. It uses R5.
func (g *gen) address(dst asm.Register, p place) int16 {
	g.emit(asm.Mov.Reg(dst, regRecord))
	if p.stack != 0 {
		g.emit(asm.LoadMem(asm.R5, asm.RFP, p.stack, asm.DWord), asm.Add.Reg(dst, asm.R5))
	}
	return int16(p.off)
}

// chunks reads what the parameters refer to.
func (g *gen) chunks(p *capture.Plan) {
	g.note("cursor")
	g.emit(
		asm.Mov.Imm(asm.R1, int32(p.Fixed)),
		asm.StoreMem(regRecord, scratchCursor-scratchRecord, asm.R1, asm.DWord),
	)
	var images []imageAt
	for i := range p.Params {
		q := &p.Params[i]
		images = append(images, imageAt{
			q.Name, q.Image, place{off: int64(q.Offset)}, place{off: int64(q.Slots)},
		})
	}
	g.refs(images, 0)
}

// imageAt is an image in the record.
type imageAt struct {
	name        string // of the parameter, for comments
	image       *capture.Image
	base, slots place
}

// refs follows the references of images: first all those that stand in the
// images themselves, then those of what they refer to. So when the record is
// full, what is cut is what lies deepest.
func (g *gen) refs(images []imageAt, level int) {
	each := func(do func(m imageAt, r *capture.Ref, at, slot place)) {
		for _, m := range images {
			for i := range m.image.Refs {
				r := &m.image.Refs[i]
				if r.Slot < 0 {
					continue
				}
				at, slot := m.base, m.slots
				at.off += r.Offset
				slot.off += int64(r.Slot * capture.SlotSize)
				do(m, r, at, slot)
			}
		}
	}
	each(func(m imageAt, r *capture.Ref, at, slot place) { g.ref(m.name, r, at, slot) })
	each(func(m imageAt, r *capture.Ref, _, slot place) {
		if r.Elem.Slots > 0 && level < maxLevels {
			g.elements(m.name, r, slot, level)
		}
	})
}

// ref follows one reference: it reads the chunk to the cursor, and writes the
// slot.
func (g *gen) ref(name string, r *capture.Ref, at, slot place) {
	limit := r.ChunkLimit()
	ok, store := g.fresh("ok"), g.fresh("store")

	g.notef("%s: follow %s+%d", name, r.Elem.Type.Name, at.off)
	off := g.address(asm.R1, at)
	g.emit(
		asm.LoadMem(regAddr, asm.R1, off, g.machine.word),
		asm.Mov.Imm(asm.R2, 0),
		asm.JEq.Imm(regAddr, 0, store),
	)
	if r.Kind == capture.RefPointer {
		g.emit(asm.Mov.Imm(regSize, 1))
	} else {
		bounded := g.fresh("bounded")
		g.length(asm.R1, off+int16(g.arch.PtrSize), store)
		g.emit(
			asm.JLE.Imm(regSize, int32(limit), bounded),
			asm.Mov.Imm(regSize, int32(limit)),
		)
		g.label(bounded)
	}
	g.emit(
		asm.LoadMem(asm.R1, regRecord, scratchCursor-scratchRecord, asm.DWord),
		asm.LoadImm(asm.R2, int64(capture.NoSlot(abi.CutRecord)), asm.DWord),
		asm.JGT.Imm(asm.R1, capture.VarMax, store),
		asm.StoreMem(asm.RFP, stackCursor, asm.R1, asm.DWord),
		asm.StoreMem(asm.RFP, stackCount, regSize, asm.DWord),
	)
	g.scale(regSize, r.Elem.Size)
	g.emit(
		asm.Add.Reg(asm.R1, regRecord),
		asm.Mov.Reg(asm.R2, regSize),
		asm.Mov.Reg(asm.R3, regAddr),
		asm.FnProbeReadUser.Call(),
		asm.JEq.Imm(asm.R0, 0, ok),
	)
	if g.opts.Sleepable {
		g.note("fetch the page")
		g.emit(
			asm.LoadMem(asm.R1, asm.RFP, stackCursor, asm.DWord),
			asm.Add.Reg(asm.R1, regRecord),
			asm.Mov.Reg(asm.R2, regSize),
			asm.Mov.Reg(asm.R3, regAddr),
			asm.FnCopyFromUser.Call(),
			asm.JEq.Imm(asm.R0, 0, ok),
		)
	}
	g.emit(
		asm.LoadImm(asm.R2, int64(capture.NoSlot(abi.NotResident)), asm.DWord),
		asm.Ja.Label(store),
	)

	g.label(ok)
	g.eraseChunk(name, r, store)
	g.emit(
		asm.LoadMem(asm.R1, asm.RFP, stackCursor, asm.DWord),
		asm.LoadMem(asm.R3, asm.RFP, stackCount, asm.DWord),
		asm.Mov.Reg(asm.R2, asm.R3),
		asm.LSh.Imm(asm.R2, 32),
		asm.Or.Reg(asm.R2, asm.R1),
		asm.Add.Imm(regSize, 7),
		asm.And.Imm(regSize, -8),
		asm.Add.Reg(regSize, asm.R1),
	)
	if k := r.Elem.Slots; k > 0 {
		g.note("the elements' slots lie behind them")
		g.scale(asm.R3, int64(k*capture.SlotSize))
		g.emit(asm.Add.Reg(regSize, asm.R3))
	}
	g.emit(asm.StoreMem(regRecord, scratchCursor-scratchRecord, regSize, asm.DWord))
	g.label(store)
	off = g.address(asm.R1, slot)
	g.emit(asm.StoreMem(asm.R1, off, asm.R2, asm.DWord))
}

// elements follows the references of the elements of the chunk that slot
// describes.
func (g *gen) elements(name string, r *capture.Ref, slot place, level int) {
	done := g.fresh("done")
	l := int16(stackLevels - levelSize*level)
	g.notef("%s: what %s refers to", name, r.Elem.Type.Name)
	off := g.address(asm.R1, slot)
	g.emit(
		asm.LoadMem(asm.R3, asm.R1, off, asm.DWord),
		asm.Mov.Reg32(asm.R1, asm.R3), // the chunk's offset; the upper half is cleared
		asm.JEq.Imm(asm.R1, 0, done),
		// The verifier does not know what was stored there.
		asm.JGT.Imm(asm.R1, capture.VarMax, done),
		asm.RSh.Imm(asm.R3, 32), // the number of elements
		asm.JGT.Imm(asm.R3, int32(r.ChunkLimit()), done),
		asm.StoreMem(asm.RFP, l+levelElem, asm.R1, asm.DWord),
		asm.StoreMem(asm.RFP, l+levelCount, asm.R3, asm.DWord),
	)
	g.scale(asm.R3, r.Elem.Size)
	g.emit(
		asm.Add.Imm(asm.R3, 7),
		asm.And.Imm(asm.R3, -8),
		asm.Add.Reg(asm.R3, asm.R1),
		asm.StoreMem(asm.RFP, l+levelSlots, asm.R3, asm.DWord),
	)
	if r.Kind == capture.RefPointer {
		m := imageAt{name, r.Elem, place{stack: l + levelElem}, place{stack: l + levelSlots}}
		g.refs([]imageAt{m}, level+1)
	} else {
		g.loop(name, r, l)
	}
	g.label(done)
}

// loop follows the references of each element of a slice, of which there are
// count. It calls bpf_loop with a function of its own, because the verifier
// walks through that once, but through a loop of branches once for each turn.
func (g *gen) loop(name string, r *capture.Ref, l int16) {
	g.labels++
	callback := "each" + strconv.Itoa(g.labels)
	g.notef("%s: for each element", name)
	g.emit(
		asm.StoreMem(asm.RFP, l+levelRecord, regRecord, asm.DWord),
		asm.LoadMem(asm.R1, asm.RFP, l+levelCount, asm.DWord),
	)
	g.loopCall(callback, l)
	g.callbacks = append(g.callbacks, func() { g.each(callback, name, r) })
}

// each generates the function that bpf_loop calls for every element: R1 is its
// index, R2 the level of the caller.
func (g *gen) each(callback, name string, r *capture.Ref) {
	const self = stackLevels
	g.function(callback, each)
	g.notef("%s: one element", name)
	g.emit(
		asm.LoadMem(regRecord, asm.R2, levelRecord, asm.DWord),
		asm.Mov.Imm(asm.R0, 1),
		asm.JGE.Imm(asm.R1, int32(r.ChunkLimit()), callback+"end"),
	)
	at := func(field int16, size int64) {
		g.emit(
			asm.LoadMem(asm.R3, asm.R2, field, asm.DWord),
			asm.Mov.Reg(asm.R4, asm.R1),
		)
		g.scale(asm.R4, size)
		g.emit(
			asm.Add.Reg(asm.R3, asm.R4),
			asm.StoreMem(asm.RFP, self+field, asm.R3, asm.DWord),
		)
	}
	at(levelElem, r.Elem.Size)
	at(levelSlots, int64(r.Elem.Slots*capture.SlotSize))
	m := imageAt{name, r.Elem, place{stack: self + levelElem}, place{stack: self + levelSlots}}
	g.refs([]imageAt{m}, 1)
	g.emit(asm.Mov.Imm(asm.R0, 0))
	g.label(callback + "end")
	g.emit(asm.Return())
}

// scale multiplies a register by a constant.
func (g *gen) scale(r asm.Register, by int64) {
	switch {
	case by == 1:
	case bits.OnesCount64(uint64(by)) == 1:
		g.emit(asm.LSh.Imm(r, int32(bits.TrailingZeros64(uint64(by)))))
	default:
		g.emit(asm.Mul.Imm(r, int32(by)))
	}
}

package probegen

import (
	"github.com/cilium/ebpf/asm"

	"github.com/argtap/argtap/internal/capture"
)

// maxOnStack is the size in bytes of the largest record that is built on the
// program's stack, which has 512 bytes. The stack is in the CPU's caches; the
// ring buffer, which is far larger than those, is not, and a read of the
// target's memory that writes there waits for it.
const maxOnStack = 384

// fitsStack reports whether a record of fixed size is built on the stack, where
// the verifier wants stores to be aligned.
func fitsStack(p *capture.Plan) bool {
	if p.Fixed > maxOnStack {
		return false
	}
	for _, s := range p.Stores {
		if s.Offset%s.Size != 0 {
			return false
		}
	}
	return true
}

// inScratch reports whether a record of fixed size is built in scratch memory:
// what is reserved in the ring buffer can be seen before it is submitted, and so
// what is to be erased; and what is sent meanwhile would come behind it, as the
// call's stack.
func inScratch(p *capture.Plan) bool {
	return !p.Variable() && (len(p.Erase) > 0 || p.Stack != 0) && !fitsStack(p)
}

func (g *gen) sendStack(p *capture.Plan) {
	g.note("send the record")
	g.emit(
		asm.LoadMapPtr(asm.R1, 0).WithReference(MapCalls),
		asm.Mov.Reg(asm.R2, regRecord),
		asm.Mov.Imm(asm.R3, int32(p.Fixed)),
		asm.Mov.Imm(asm.R4, 0),
		asm.FnRingbufOutput.Call(),
		asm.JNE.Imm(asm.R0, 0, g.lost(LossRing)),
		asm.Ja.Label("exit"),
	)
}

// reserve takes room for a large record of fixed size in the ring buffer.
func (g *gen) reserve(p *capture.Plan) {
	g.notef("reserve %d bytes", p.Fixed)
	g.emit(
		asm.LoadMapPtr(asm.R1, 0).WithReference(MapCalls),
		asm.Mov.Imm(asm.R2, int32(p.Fixed)),
		asm.Mov.Imm(asm.R3, 0),
		asm.FnRingbufReserve.Call(),
		asm.JEq.Imm(asm.R0, 0, g.lost(LossRing)),
		asm.Mov.Reg(regRecord, asm.R0),
	)
}

// scratch is a kind of scratch memory.
type scratch struct {
	name   string // of the map
	area   int    // the size of an area in bytes
	record int    // where its record begins
	most   int    // bytes of a record
}

var (
	chunkScratch = scratch{MapScratch, scratchArea, scratchRecord, capture.VarMax + 2*capture.MaxChunk}
	walkScratch  = scratch{MapWalk, walkArea, walkRecord, capture.MaxWalk}
)

// elements returns the number and the size in bytes of the elements of the map
// for a machine with the given number of possible CPUs. The areas of all CPUs
// are one element, which is reached fastest, or where that would be too large
// those of each CPU are.
func (s *scratch) elements(cpus int) (elements, size int) {
	one := areasPerCPU * s.area
	if cpus*one <= maxElement {
		return 1, cpus * one
	}
	return cpus, one
}

// takeScratch takes one of the scratch areas of this CPU for the record.
func (g *gen) takeScratch(s *scratch) { g.takeArea(s, regRecord, g.lost(LossBusy), -8) }

// takeArea leaves in area where the record of one of the areas of this CPU is, or
// jumps to busy. key is a word of the program's stack that it may use.
func (g *gen) takeArea(s *scratch, area asm.Register, busy string, key int16) {
	lock := int16(s.record - scratchRecord + scratchLock)
	got := g.fresh("got")
	g.note("take a scratch area")
	g.emit(asm.FnGetSmpProcessorId.Call())
	if elements, _ := s.elements(g.opts.CPUs); elements == 1 {
		g.emit(
			asm.JGE.Imm(asm.R0, int32(g.opts.CPUs), busy),
			asm.Mul.Imm(asm.R0, int32(areasPerCPU*s.area)),
			asm.LoadMapValue(area, 0, 0).WithReference(s.name),
			asm.Add.Reg(area, asm.R0),
		)
	} else {
		g.emit(
			asm.StoreMem(asm.RFP, key, asm.R0, asm.Word),
			asm.LoadMapPtr(asm.R1, 0).WithReference(s.name),
			asm.Mov.Reg(asm.R2, asm.RFP), asm.Add.Imm(asm.R2, int32(key)),
			asm.FnMapLookupElem.Call(),
			asm.JEq.Imm(asm.R0, 0, busy),
			asm.Mov.Reg(area, asm.R0),
		)
	}
	if g.opts.NoAtomics {
		g.emit(asm.Add.Imm(area, int32(s.record)))
		return
	}
	g.emit(
		asm.Mov.Imm(asm.R1, 1),
		xchg(area, asm.R1, lock),
	)
	// The address of the second area is the first's plus the old lock word
	// times its size: both paths then reach the label with the same range, and
	// the verifier follows the rest of the program once.
	g.emit(
		asm.And.Imm(asm.R1, 1),
		asm.Mov.Reg(asm.R2, asm.R1),
		asm.Mul.Imm(asm.R2, int32(s.area)),
		asm.Add.Reg(area, asm.R2),
		asm.JEq.Imm(asm.R1, 0, got),
		asm.Mov.Imm(asm.R1, 1),
		xchg(area, asm.R1, lock),
		asm.JNE.Imm(asm.R1, 0, busy),
	)
	g.label(got)
	g.emit(asm.Add.Imm(area, int32(s.record)))
}

// sendScratch sends the record and gives the scratch area back.
func (g *gen) sendScratch(s *scratch) {
	skip := g.fresh("toolong")
	g.note("send the record with its true length")
	g.emit(
		asm.LoadMem(asm.R3, regRecord, scratchCursor-scratchRecord, asm.DWord),
		asm.Mov.Imm(asm.R0, -1),
		asm.JGT.Imm(asm.R3, int32(s.most), skip),
		asm.LoadMapPtr(asm.R1, 0).WithReference(MapCalls),
		asm.Mov.Reg(asm.R2, regRecord),
		asm.Mov.Imm(asm.R4, 0),
		asm.FnRingbufOutput.Call(),
	)
	g.label(skip)
	if !g.opts.NoAtomics {
		g.note("give the scratch area back")
		g.emit(
			asm.Mov.Imm(asm.R1, 0),
			xchg(regRecord, asm.R1, scratchLock-scratchRecord),
		)
	}
	g.emit(
		asm.JNE.Imm(asm.R0, 0, g.lost(LossRing)),
		asm.Ja.Label("exit"),
	)
}

// AtomicsProgram returns a program that only a kernel with atomic exchange
// accepts.
func AtomicsProgram() asm.Instructions {
	return asm.Instructions{
		asm.Mov.Imm(asm.R0, 0),
		asm.StoreMem(asm.RFP, -8, asm.R0, asm.DWord),
		xchg(asm.RFP, asm.R0, -8),
		asm.Mov.Imm(asm.R0, 0),
		asm.Return(),
	}
}

// xchg exchanges src with the word at dst+off atomically.
func xchg(dst, src asm.Register, off int16) asm.Instruction { return atomic(asm.Xchg, dst, src, off) }

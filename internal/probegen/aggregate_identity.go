package probegen

import (
	"github.com/cilium/ebpf/asm"

	"github.com/argtap/argtap/abi"
	"github.com/argtap/argtap/internal/capture"
)

// keyIdentity stores a part of a key that tells calls apart by who makes them: the
// goroutine, what made it, or the callers. The part is zero so far.
func (g *gen) keyIdentity(f *Func, kind KeyKind, to, why int16) {
	c := f.Plan.Creation
	switch kind {
	case KeyGoroutine:
		g.note("g.goid")
		g.keyOfG(f, f.Plan.Goroutine, 8, to, why, nil)
	case KeyParent:
		g.note("g.parentGoid")
		g.keyOfG(f, c.Parent, 8, to, why, nil)
	case KeyCreator:
		g.note("g.gopc")
		g.keyOfG(f, c.GoPC, int32(f.Arch.PtrSize), to, why, func() {
			none := g.fresh("none")
			g.emit(asm.LoadMem(asm.R1, asm.RFP, to, asm.DWord), asm.JEq.Imm(asm.R1, 0, none))
			g.stated(asm.R1, f)
			g.emit(asm.StoreMem(asm.RFP, to, asm.R1, asm.DWord))
			g.label(none)
		})
	case KeyStack:
		g.keyStack(f, to)
	}
}

// keyOfG stores size bytes of the g at an offset, or why they are not known. then
// generates what becomes of them, if it is not nil.
func (g *gen) keyOfG(f *Func, off int64, size int32, to, why int16, then func()) {
	no, read, done := g.fresh("absent"), g.fresh("read"), g.fresh("done")
	switch {
	case off == 0 || !Usable(f.G, g.opts):
		g.emit(asm.Mov.Imm(asm.R1, int32(abi.UnknownLayout)), asm.StoreMem(asm.RFP, why, asm.R1, asm.Byte))
		return
	case f.G.Kind == GThread:
		g.threadG(f, openG)
		g.emit(asm.JNE.Imm(asm.R0, 0, no), asm.LoadMem(asm.R3, asm.RFP, openG, asm.DWord))
	default:
		g.loadReg(asm.R3, f.G.Reg)
	}
	g.add(asm.R3, off)
	g.emit(
		asm.Mov.Reg(asm.R1, asm.RFP), asm.Add.Imm(asm.R1, int32(to)),
		asm.Mov.Imm(asm.R2, size),
		asm.FnProbeReadUser.Call(),
		asm.JEq.Imm(asm.R0, 0, read),
	)
	g.label(no)
	g.emit(
		asm.Mov.Imm(asm.R1, int32(abi.NotResident)), asm.StoreMem(asm.RFP, why, asm.R1, asm.Byte),
		asm.Ja.Label(done),
	)
	g.label(read)
	if then != nil {
		then()
	}
	g.label(done)
}

// keyStack stores the ID of the call's stack, or why it has none.
//
// The map tells stacks apart by all of their words, so two never have one ID. Who
// finds a stack missing puts it there with an ID of his own, and takes what is there
// then: another may have been faster. Nothing is ever removed, and the tracer reads the
// frames from the map when it is asked for them.
func (g *gen) keyStack(f *Func, to int16) {
	const slot = openG
	if !Usable(f.G, g.opts) {
		g.emit(asm.Mov.Imm(asm.R1, capture.StackGoroutine), asm.StoreMem(asm.RFP, to, asm.R1, asm.DWord))
		return
	}
	if f.G.Kind == GThread {
		g.threadG(f, slot)
	}
	// Without an area the part stays what it is, StackNone.
	done, unread, known, give := g.fresh("nostack"), g.fresh("unread"), g.fresh("known"), g.fresh("give")
	g.callers(f, slot, done, unread)
	load := func(dst asm.Register, at int16) { g.emit(asm.LoadMem(dst, regAddr, at, asm.DWord)) }
	arguments := func() {
		g.emit(
			asm.LoadMapPtr(asm.R1, 0).WithReference(MapStacks),
			asm.Mov.Reg(asm.R2, regAddr), asm.Add.Imm(asm.R2, capture.StackInfo),
		)
	}
	g.note("is it there already?")
	arguments()
	g.emit(asm.FnMapLookupElem.Call(), asm.JNE.Imm(asm.R0, 0, known))
	g.note("add it")
	load(asm.R1, stackCounter)
	g.emit(asm.Add.Imm(asm.R1, 1), asm.StoreMem(regAddr, stackCounter, asm.R1, asm.DWord))
	load(asm.R2, stackIndex)
	g.emit(
		asm.LSh.Imm(asm.R1, capture.StackIndexBits), asm.Or.Reg(asm.R1, asm.R2),
		asm.StoreMem(regAddr, capture.StackSelf, asm.R1, asm.DWord),
	)
	arguments()
	g.emit(
		asm.Mov.Reg(asm.R3, regAddr), asm.Add.Imm(asm.R3, capture.StackSelf),
		asm.Mov.Imm(asm.R4, updateNoExist),
		asm.FnMapUpdateElem.Call(),
	)
	arguments()
	g.emit(
		asm.FnMapLookupElem.Call(), asm.JNE.Imm(asm.R0, 0, known),
		asm.Mov.Imm(regRecord, capture.StackFull),
		asm.Ja.Label(give),
	)
	g.label(known)
	g.emit(asm.LoadMem(regRecord, asm.R0, 0, asm.DWord), asm.Ja.Label(give))
	g.label(unread)
	g.emit(asm.Mov.Imm(regRecord, capture.StackUnread))
	g.label(give)
	g.note("give the area back")
	g.emit(
		asm.StoreMem(asm.RFP, to, regRecord, asm.DWord),
		asm.Mov.Imm(asm.R1, 0),
		xchg(regAddr, asm.R1, scratchLock-scratchRecord),
	)
	g.label(done)
}

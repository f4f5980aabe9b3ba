package probegen

import (
	"github.com/cilium/ebpf/asm"

	"github.com/argtap/argtap/internal/capture"
	"github.com/argtap/argtap/internal/goruntime"
)

// OpenPanic is the depth in the key of MapOpen under which it has the depths of the
// panics that are under way in a goroutine, in place of what it has of calls: the
// innermost, which is the deepest, at OpenTime, behind it those around it, and 0 for
// none. Of more than there is room for the outermost are left out.
const OpenPanic = 1<<64 - 1

// openPanics is the number of depths.
const openPanics = OpenSize / 8

// maxDefers bounds the deferred calls that are looked at to find the one that a
// panic runs: those that it has itself deferred come before it.
const maxDefers = 16

// Where panics are looked up on the program's stack, below the value of MapOpen: a
// word, or the words of a deferred call.
func (g *gen) panicWord() int16  { return g.openValue() - 8 }
func (g *gen) panicDefer() int16 { return g.panicWord() - 8*goruntime.DeferWords }

// regOther holds what is at hand before there is a record. No site of these
// functions has marks, which have their own use for it.
const regOther = regFailed

// panicking remembers the depth of a panic. It leaves in regAddr which other one is
// under way.
func (g *gen) panicking(f *Func) {
	g.within(f)
	g.note("the goroutine panics")
	first, pushed := g.fresh("first"), g.fresh("pushed")
	g.emit(asm.LoadMem(regOther, asm.RFP, openKey+OpenDepth, asm.DWord))
	g.lookUpPanics()
	g.emit(asm.JEq.Imm(asm.R0, 0, first))
	push := g.fresh("push")
	for range openPanics {
		// One that is not further up is over: its frame is gone.
		g.emit(
			asm.LoadMem(asm.R1, asm.R0, 0, asm.DWord),
			asm.JLT.Reg(asm.R1, regOther, push),
		)
		g.popPanic()
	}
	g.label(push)
	for i := int16(openPanics - 1); i > 0; i-- {
		g.emit(
			asm.LoadMem(asm.R1, asm.R0, 8*(i-1), asm.DWord),
			asm.StoreMem(asm.R0, 8*i, asm.R1, asm.DWord),
		)
	}
	g.emit(
		asm.StoreMem(asm.R0, 0, regOther, asm.DWord),
		asm.Ja.Label(pushed),
	)
	g.label(first)
	g.emit(
		asm.StoreMem(asm.RFP, g.openValue(), regOther, asm.DWord),
		asm.Mov.Imm(asm.R1, 0),
	)
	for i := int16(1); i < openPanics+int16(g.opts.Kept+g.opts.KeptKey); i++ {
		g.emit(asm.StoreMem(asm.RFP, g.openValue()+8*i, asm.R1, asm.DWord))
	}
	g.openMap()
	g.emit(
		asm.Mov.Reg(asm.R3, asm.RFP), asm.Add.Imm(asm.R3, int32(g.openValue())),
		asm.Mov.Imm(asm.R4, updateAny),
		// Without it the recovery is noticed later.
		asm.FnMapUpdateElem.Call(),
	)
	g.label(pushed)
	g.emit(asm.StoreMem(asm.RFP, openKey+OpenDepth, regOther, asm.DWord))
}

// lookUpPanics leaves in R0 what MapOpen has of the goroutine's panics, and their key
// in place of that of the call.
func (g *gen) lookUpPanics() {
	g.emit(
		asm.Mov.Imm(asm.R1, -1),
		asm.StoreMem(asm.RFP, openKey+OpenDepth, asm.R1, asm.DWord),
	)
	g.openMap()
	g.emit(asm.FnMapLookupElem.Call())
}

// popPanic forgets the innermost of the panics at R0.
func (g *gen) popPanic() {
	for i := int16(1); i < openPanics; i++ {
		g.emit(
			asm.LoadMem(asm.R1, asm.R0, 8*i, asm.DWord),
			asm.StoreMem(asm.R0, 8*(i-1), asm.R1, asm.DWord),
		)
	}
	g.emit(
		asm.Mov.Imm(asm.R1, 0),
		asm.StoreMem(asm.R0, 8*(openPanics-1), asm.R1, asm.DWord),
	)
}

// unwound ends the program unless the goroutine has panicked further down the stack
// or in the very function that goes on, whose call of the panic was as deep, and
// forgets that. It leaves in regAddr where the function goes on.
func (g *gen) unwound(f *Func) {
	g.note("has it panicked, here or further down?")
	g.emit(asm.LoadMem(regAddr, asm.RFP, openKey+OpenDepth, asm.DWord))
	g.lookUpPanics()
	g.emit(
		asm.JEq.Imm(asm.R0, 0, "exit"),
		asm.LoadMem(asm.R1, asm.R0, 0, asm.DWord),
		asm.JGT.Reg(regAddr, asm.R1, "exit"),
	)
	popped, left := g.fresh("popped"), g.fresh("left")
	for i := range openPanics {
		if i > 0 {
			g.emit(
				asm.LoadMem(asm.R1, asm.R0, 0, asm.DWord),
				asm.JLT.Reg(asm.R1, regAddr, popped),
			)
		}
		g.popPanic()
	}
	g.label(popped)
	g.emit(
		asm.LoadMem(asm.R1, asm.R0, 0, asm.DWord),
		asm.JNE.Imm(asm.R1, 0, left),
	)
	g.openMap()
	g.emit(asm.FnMapDeleteElem.Call())
	g.label(left)
	g.emit(asm.StoreMem(asm.RFP, openKey+OpenDepth, regAddr, asm.DWord))
	g.caller(f)
}

// caller leaves in regAddr the return address of the call whose entry was hit, as
// the binary states it, or 0.
func (g *gen) caller(f *Func) {
	g.note("the function that goes on")
	g.emit(asm.Mov.Imm(regAddr, 0))
	unknown := g.fresh("unknown")
	if f.Arch.HasLink {
		g.loadReg(asm.R1, f.Arch.Link)
	} else {
		g.loadReg(asm.R3, f.Arch.SP)
		g.readWord(g.panicWord(), f.CFA-f.Arch.PtrSize, int(f.Arch.PtrSize), unknown)
		g.emit(asm.LoadMem(asm.R1, asm.RFP, g.panicWord(), g.machine.word))
	}
	g.stated(asm.R1, f)
	g.emit(asm.Mov.Reg(regAddr, asm.R1))
	g.label(unknown)
}

// readWord reads size bytes at R3+disp to a place on the program's stack, and jumps
// to failed where that is not possible.
func (g *gen) readWord(at int16, disp int64, size int, failed string) {
	g.add(asm.R3, disp)
	g.emit(
		asm.Mov.Reg(asm.R1, asm.RFP), asm.Add.Imm(asm.R1, int32(at)),
		asm.Mov.Imm(asm.R2, int32(size)),
		asm.FnProbeReadUser.Call(),
		asm.JNE.Imm(asm.R0, 0, failed),
	)
}

// within leaves in regAddr the word of [capture.Within]. The g is in regRecord.
//
// The innermost panic under way is running a deferred call: the one in which this
// panic begins. From Go 1.22 on its record has the frame that deferred the call.
// Before that the chain of deferred calls has it: the call remains there, behind
// those that were deferred in it.
func (g *gen) within(f *Func) {
	l := f.Panics
	if l == nil {
		g.emit(asm.Mov.Imm(regAddr, -1))
		return
	}
	g.note("is another panic under way?")
	word := int(f.Arch.PtrSize)
	unknown, done := g.fresh("unknown"), g.fresh("done")
	load := func(dst asm.Register, at int16) { g.emit(asm.LoadMem(dst, asm.RFP, at, g.machine.word)) }
	g.emit(asm.Mov.Imm(regAddr, capture.WithinNone), asm.Mov.Reg(asm.R3, regRecord))
	g.readWord(g.panicWord(), l.GPanic, word, unknown)
	load(regOther, g.panicWord())
	g.emit(asm.JEq.Imm(regOther, 0, done))
	if l.PanicSP != 0 {
		g.emit(asm.Mov.Reg(asm.R3, regOther))
		g.readWord(g.panicWord(), l.PanicSP, word, unknown)
		load(asm.R1, g.panicWord())
	} else {
		found := g.fresh("found")
		g.emit(asm.Mov.Reg(asm.R3, regRecord))
		g.readWord(g.panicWord(), l.GDefer, word, unknown)
		load(regAddr, g.panicWord())
		at := func(w int) int16 { return g.panicDefer() + int16(w*word) }
		for range maxDefers {
			g.emit(asm.JEq.Imm(regAddr, 0, unknown), asm.Mov.Reg(asm.R3, regAddr))
			g.readWord(g.panicDefer(), l.DeferSP, goruntime.DeferWords*word, unknown)
			load(asm.R1, at(goruntime.DeferPanic))
			g.emit(asm.JEq.Reg(asm.R1, regOther, found))
			load(regAddr, at(goruntime.DeferLink))
		}
		g.emit(asm.Ja.Label(unknown))
		g.label(found)
		load(asm.R1, at(goruntime.DeferFrame))
	}
	g.note("how deep are its frame and itself?")
	g.emit(asm.LoadMem(asm.R2, asm.RFP, openKey+OpenDepth, asm.DWord))
	g.loadReg(asm.R3, f.Arch.SP)
	g.emit(
		asm.Add.Reg(asm.R2, asm.R3),
		asm.Add.Imm(asm.R2, int32(f.CFA)), // g.stack.hi
		asm.Mov.Reg(asm.R3, asm.R2),
		asm.Sub.Reg(asm.R3, asm.R1),
		asm.Sub.Reg(asm.R2, regOther),
		asm.Mov.Reg(asm.R1, asm.R2), asm.Or.Reg(asm.R1, asm.R3), asm.RSh.Imm(asm.R1, 32),
		asm.JNE.Imm(asm.R1, 0, unknown),
		asm.LSh.Imm(asm.R2, 32),
		asm.Or.Reg(asm.R2, asm.R3),
		asm.Mov.Reg(regAddr, asm.R2),
		asm.Ja.Label(done),
	)
	g.label(unknown)
	g.emit(asm.Mov.Imm(regAddr, -1))
	g.label(done)
}

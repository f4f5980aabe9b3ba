package probegen

import (
	"github.com/cilium/ebpf/asm"

	"github.com/argtap/argtap/internal/capture"
)

// The key of MapRepeats and MapGrown, and what is stored under it, on the
// program's stack: offsets from the frame pointer.
const (
	keyG      = -24
	keySP     = -16
	keyFunc   = -8
	markValue = -32
)

// markKey builds the key of a mark: g, SP if sp is true else 0, process and
// function.
//
// With SP, the key tells the goroutine without g: stacks do not overlap. Between
// a branch back to the entry and the entry's instruction nothing changes SP. The
// goroutine may be preempted there, and go on in another thread, hence the
// thread says nothing; but its stack stays where it is, because the runtime does
// not move the stack of a goroutine that it has stopped between two calls
// (isShrinkStackSafe in runtime/stack.go, since Go 1.14; before, such code could
// not be preempted). A register that the convention reserves for g is in the key
// because it costs nothing; one that holds g at the entry may hold anything at
// the branch.
//
// Without SP, the key needs g: between the call of morestack and the entry's
// instruction the stack moves and the thread may change, but the goroutine runs
// nothing else.
func (g *gen) markKey(f *Func, sp bool) {
	switch {
	case f.reservedG():
		g.note("key: g, SP, process and function")
		g.loadReg(asm.R1, f.G.Reg)
		g.emit(
			asm.StoreMem(asm.RFP, keyG, asm.R1, asm.DWord),
			asm.Mov.Imm(asm.R1, 0),
		)
	case sp:
		g.note("key: SP, process and function")
		g.emit(
			asm.Mov.Imm(asm.R1, 0),
			asm.StoreMem(asm.RFP, keyG, asm.R1, asm.DWord),
		)
	default:
		g.threadG(f, keyG)
		g.note("key: g, process and function")
		g.emit(
			asm.JNE.Imm(asm.R0, 0, g.lost(LossUnread)),
			asm.Mov.Imm(asm.R1, 0),
		)
	}
	if sp {
		g.loadReg(asm.R1, f.Arch.SP)
	}
	g.emit(
		asm.StoreMem(asm.RFP, keySP, asm.R1, asm.DWord),
	)
	g.pidTgid(asm.RFP, keyFunc)
	g.emit(
		asm.RSh.Imm(asm.R0, 32),
		asm.LSh.Imm(asm.R0, 32),
		asm.Or.Imm(asm.R0, int32(f.ID)),
		asm.StoreMem(asm.RFP, keyFunc, asm.R0, asm.DWord),
	)
}

// mark leaves the program when the hit is not a call.
//
// What the helpers for maps return is compared in 32 bits: before Linux 6.4 they
// return a C int, whose upper half in the register means nothing.
func (g *gen) mark(f *Func) {
	if f.Mark == NoMark {
		return
	}
	g.markKey(f, f.Mark == SkipRepeat)
	if f.Mark == SetGrown {
		g.note("set the mark; if it is set already, the check failed again")
		g.update(MapRepeats, updateNoExist)
		g.emit(
			asm.JEq.Imm32(asm.R0, -eexist, "exit"),
			asm.JNE.Imm32(asm.R0, 0, g.lost(LossBusy)),
		)
		g.overwritten(f)
		g.note("remember the goroutine")
		g.update(MapGrown, updateAny)
		return
	}
	g.note("announced?")
	g.emit(
		asm.LoadMapPtr(asm.R1, 0).WithReference(MapRepeats),
		asm.Mov.Reg(asm.R2, asm.RFP), asm.Add.Imm(asm.R2, keyG),
		asm.FnMapDeleteElem.Call(),
		asm.JEq.Imm32(asm.R0, 0, "exit"),
	)
	if f.doubts() {
		g.overwritten(f)
	}
}

// doubts reports whether the program must find out whether the registers still
// hold the arguments.
func (f *Func) doubts() bool { return f.Mark == SetGrown || f.Mark == SkipGrown }

// update stores to a map of marks under the key.
func (g *gen) update(name string, flags int32) {
	g.emit(
		asm.Mov.Imm(asm.R1, 1),
		asm.StoreMem(asm.RFP, markValue, asm.R1, asm.DWord),
		asm.LoadMapPtr(asm.R1, 0).WithReference(name),
		asm.Mov.Reg(asm.R2, asm.RFP), asm.Add.Imm(asm.R2, keyG),
		asm.Mov.Reg(asm.R3, asm.RFP), asm.Add.Imm(asm.R3, markValue),
		asm.Mov.Imm(asm.R4, flags),
		asm.FnMapUpdateElem.Call(),
	)
}

// overwritten leaves in regFailed whether the registers may be overwritten.
// Only a goroutine that is not in MapGrown can have come from a morestack that
// was not seen. Where that cannot be found out, they may be.
func (g *gen) overwritten(f *Func) {
	known, doubt := g.fresh("known"), g.fresh("doubt")
	g.note("is the goroutine known?")
	g.emit(asm.Mov.Imm(regFailed, 0))
	g.update(MapGrown, updateExist)
	g.emit(asm.JEq.Imm32(asm.R0, 0, known))
	if f.Resume.SchedPC != 0 {
		g.cameElsewhere(f, known, doubt)
	}
	g.label(doubt)
	g.emit(asm.LoadImm(regFailed, -1<<capture.BitOverwritten, asm.DWord))
	g.label(known)
}

// cameElsewhere jumps to known if the goroutine was last stopped elsewhere than
// in this function's morestack, and to doubt if that cannot be read.
func (g *gen) cameElsewhere(f *Func, known, doubt string) {
	g.note("g.sched.pc behind the call of morestack?")
	g.emit(
		asm.Mov.Reg(asm.R1, asm.RFP), asm.Add.Imm(asm.R1, markValue),
		asm.Mov.Imm(asm.R2, 8),
	)
	if f.reservedG() {
		g.loadReg(asm.R3, f.G.Reg)
	} else {
		g.emit(asm.LoadMem(asm.R3, asm.RFP, keyG, asm.DWord))
	}
	g.emit(
		asm.Add.Imm(asm.R3, int32(f.Resume.SchedPC)),
		asm.FnProbeReadUser.Call(),
		asm.JNE.Imm(asm.R0, 0, doubt),
		asm.LoadMem(asm.R1, asm.RFP, markValue, asm.DWord),
		asm.LoadMem(asm.R2, regCtx, g.machine.pc, asm.DWord),
		asm.Sub.Reg(asm.R1, asm.R2),
		asm.JNE.Imm(asm.R1, int32(f.Resume.Behind), known),
	)
}

// BPF_ANY, BPF_NOEXIST and BPF_EXIST (include/uapi/linux/bpf.h), and the error
// that the second may lead to (include/uapi/asm-generic/errno-base.h).
const (
	updateAny     = 0
	updateNoExist = 1
	updateExist   = 2
	eexist        = 17
)

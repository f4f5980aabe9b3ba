package probegen

import (
	"slices"

	"github.com/cilium/ebpf/asm"

	"github.com/argtap/argtap/abi"
	"github.com/argtap/argtap/internal/capture"
)

// RegReceiver stands, in locations of a [Func] with a Receiver, for a register that
// holds what Receiver leads to.
const RegReceiver abi.Reg = 0xffff

// MaxReceiverSteps bounds Receiver.Steps.
const MaxReceiverSteps = 8

// Receiver leads from a pointer that a function takes to the receiver of a method
// that is part of its code. Where one of the pointers on the way is nil, the
// function panics before it comes to the method: such a hit is no call.
type Receiver struct {
	// Base is where the first pointer is: in a register or in the frame.
	Base abi.Piece
	// Steps are offsets from where a pointer leads, in bytes, to the next one.
	Steps []int64
	// Disp is what is added to the last pointer, in bytes.
	Disp int64
}

// check returns why a program cannot follow r, "" if it can.
func (r *Receiver) check(g *gen) string {
	switch {
	case len(r.Steps) > MaxReceiverSteps:
		return "its receiver lies behind too many pointers"
	case r.Base.Kind == abi.InRegister && g.unreadable(r.Base.Reg),
		r.Base.Kind != abi.InRegister && r.Base.Kind != abi.InFrame:
		return "the pointer to its receiver is not readable"
	}
	return ""
}

// receiver stores what Receiver leads to on the stack, where loadReg finds it. The
// place is known only when all else has its own: see place.
func (g *gen) receiver(f *Func) {
	r := f.Receiver
	if r == nil {
		return
	}
	word := int32(g.arch.PtrSize)
	g.note("the receiver of " + f.Name)
	if r.Base.Kind == abi.InRegister {
		g.loadReg(asm.R3, r.Base.Reg)
	} else {
		g.loadReg(asm.R3, g.arch.SP)
		g.pointerAt(f, int64(r.Base.CFA)+f.CFA, word)
	}
	g.notef("nil: no call")
	g.emit(asm.JEq.Imm(asm.R3, 0, g.ignored()))
	for _, disp := range r.Steps {
		g.pointerAt(f, disp, word)
		g.emit(asm.JEq.Imm(asm.R3, 0, g.ignored()))
	}
	g.add(asm.R3, r.Disp)
	g.received = append(g.received, len(g.ins))
	g.emit(asm.StoreMem(asm.RFP, unplaced, asm.R3, asm.DWord))
}

// pointerAt makes R3 the pointer at R3+disp. Where that cannot be read it is not
// known whether the hit is a call: it is counted as lost.
func (g *gen) pointerAt(f *Func, disp int64, word int32) {
	place := func(in asm.Instruction) {
		g.received = append(g.received, len(g.ins))
		g.emit(in)
	}
	g.add(asm.R3, disp)
	ok := g.fresh("ok")
	place(asm.StoreMem(asm.RFP, unplaced, asm.R3, asm.DWord)) // and so all of it is written
	read := func(helper asm.BuiltinFunc) {
		g.emit(asm.Mov.Reg(asm.R1, asm.RFP))
		place(asm.Add.Imm(asm.R1, unplaced))
		g.emit(asm.Mov.Imm(asm.R2, word), helper.Call())
	}
	if g.opts.Sleepable {
		g.emit(asm.Mov.Reg(regAddr, asm.R3))
	}
	read(asm.FnProbeReadUser)
	if g.opts.Sleepable {
		g.emit(asm.JEq.Imm(asm.R0, 0, ok))
		g.note("fetch the page")
		g.emit(asm.Mov.Reg(asm.R3, regAddr))
		read(asm.FnCopyFromUser)
	}
	g.emit(asm.JNE.Imm(asm.R0, 0, g.lost(LossUnread)))
	if g.opts.Sleepable {
		g.label(ok)
	}
	g.received = append(g.received, len(g.ins))
	g.emit(asm.LoadMem(asm.R3, asm.RFP, unplaced, g.machine.word))
}

// loadReceiver loads what Receiver leads to.
func (g *gen) loadReceiver(dst asm.Register) {
	g.received = append(g.received, len(g.ins))
	g.emit(asm.LoadMem(dst, asm.RFP, unplaced, asm.DWord))
}

// fetchReceiver reads size bytes at the receiver again where they were not
// resident, if the program may wait for them.
func (g *gen) fetchReceiver(r capture.Read, ok string) {
	if r.Reg != RegReceiver || r.Frame || !g.opts.Sleepable {
		return
	}
	g.note("fetch the page")
	g.loadReceiver(asm.R3)
	g.add(asm.R3, r.Disp)
	g.emit(
		asm.Mov.Reg(asm.R1, regRecord),
		asm.Add.Imm(asm.R1, int32(r.Offset)),
		asm.Mov.Imm(asm.R2, int32(r.Size)),
		asm.FnCopyFromUser.Call(),
		asm.JEq.Imm(asm.R0, 0, ok),
	)
}

// usesReceiver reports whether the plan refers to RegReceiver.
func usesReceiver(f *Func) bool {
	return slices.ContainsFunc(f.Plan.Stores, func(s capture.Store) bool { return !s.IsConst && s.Reg == RegReceiver }) ||
		slices.ContainsFunc(f.Plan.Reads, func(r capture.Read) bool { return !r.Frame && r.Reg == RegReceiver })
}

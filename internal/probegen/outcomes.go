package probegen

import (
	"strconv"

	"github.com/cilium/ebpf/asm"
)

// outcomes ends the code of a function, which begins at instruction from: what
// becomes of the hits that are not sent is counted for this function, and, once
// the program has begun to measure itself, no exit is taken unmeasured.
func (g *gen) outcomes(f *Func, from int) {
	own := func(cause int) string { return funcLabel(f) + "." + lossLabel(cause) }
	for i := from; i < len(g.ins); i++ {
		ref := g.ins[i].Reference()
		if ref == "exit" && g.opts.Limits.Budget > 0 && g.begun >= from && i > g.begun {
			g.ins[i] = g.ins[i].WithReference("done")
		}
		for cause, used := range g.losses {
			if used && ref == lossLabel(cause) {
				g.ins[i] = g.ins[i].WithReference(own(cause))
			}
		}
	}
	for cause, used := range g.losses {
		if !used {
			continue
		}
		g.counts = true
		g.label(own(cause))
		if cause == LossLater {
			g.emit(
				asm.LoadMapValue(asm.R1, 0, 0).WithReference(MapLater),
				asm.Mov.Imm(asm.R2, 1),
				asm.AddAtomic.Mem(asm.R1, asm.R2, asm.DWord, 0),
			)
		}
		g.emit(
			asm.Mov.Imm(regAddr, int32(f.ID)),
			asm.Mov.Imm(regSize, int32(cause*8)),
			asm.Ja.Label("count"),
		)
	}
	g.losses = [lossCount]bool{}
}

// count generates what all outcomes share: it adds 1 to the counter at offset
// regSize of the function in regAddr.
func (g *gen) count() {
	if !g.counts {
		return
	}
	next := "exit"
	if g.opts.Limits.Budget > 0 {
		next = "done"
	}
	g.label("count")
	g.note("count what is not sent")
	g.emit(
		asm.StoreMem(asm.RFP, -8, regAddr, asm.Word),
		asm.LoadMapPtr(asm.R1, 0).WithReference(MapLosses),
		asm.Mov.Reg(asm.R2, asm.RFP), asm.Add.Imm(asm.R2, -8),
		asm.FnMapLookupElem.Call(),
		asm.JEq.Imm(asm.R0, 0, next),
		asm.Add.Reg(asm.R0, regSize),
		asm.Mov.Imm(asm.R1, 1),
		asm.AddAtomic.Mem(asm.R0, asm.R1, asm.DWord, 0),
	)
	if g.opts.Limits.Budget > 0 {
		// A pause costs least if it is not measured.
		g.emit(asm.JEq.Imm(regSize, Paused*8, "exit"))
	}
}

func lossLabel(cause int) string { return "lost" + strconv.Itoa(cause) }

// unplaced stands for the place of the time at which the program began, until
// place knows it.
const unplaced = -8

// beginMeasure stores when the program began.
func (g *gen) beginMeasure() {
	if g.opts.Limits.Budget == 0 {
		return
	}
	g.note("when did it begin?")
	g.emit(asm.FnKtimeGetNs.Call())
	g.begun = len(g.ins)
	g.budgeted = append(g.budgeted, g.begun)
	g.emit(asm.StoreMem(asm.RFP, unplaced, asm.R0, asm.DWord))
}

// began loads when the program began.
func (g *gen) began(dst asm.Register) {
	g.budgeted = append(g.budgeted, len(g.ins))
	g.emit(asm.LoadMem(dst, asm.RFP, unplaced, asm.DWord))
}

// measure generates the end of programs with a budget: it adds up the time that
// they took.
func (g *gen) measure() {
	if len(g.budgeted) == 0 {
		return
	}
	g.label("done")
	g.note("how long did it take?")
	g.emit(asm.FnKtimeGetNs.Call())
	g.began(asm.R1)
	g.emit(asm.Sub.Reg(asm.R0, asm.R1), asm.Mov.Reg(regSize, asm.R0))
	g.element(MapBudget, 0)
	g.emit(
		asm.JEq.Imm(asm.R0, 0, "exit"),
		asm.AddAtomic.Mem(asm.R0, regSize, asm.DWord, BudgetSpent),
	)
}

// place puts the time at which the program began, and what a receiver is at, below
// everything else that the program has on its stack.
func (g *gen) place(name string) error {
	if len(g.budgeted)+len(g.received) == 0 {
		return nil
	}
	low := int64(-8)
	for i, in := range g.ins {
		switch {
		case in.OpCode.Class() == asm.LdXClass && in.Src == asm.RFP,
			in.OpCode.Class().IsStore() && in.Dst == asm.RFP:
			low = min(low, int64(in.Offset))
		case in.OpCode == asm.Mov.Op(asm.RegSource) && in.Src == asm.RFP:
			// An address of the stack is always the next addition's result.
			if next := g.ins[i+1]; next.OpCode == asm.Add.Op(asm.ImmSource) && next.Dst == in.Dst {
				low = min(low, next.Constant)
			} else {
				return &UnsupportedError{name, "an address of the stack that is not understood"}
			}
		}
	}
	at := low&^7 - 8
	if at < -512 {
		return &UnsupportedError{name, "no room to measure the program's time: leave the budget out"}
	}
	for _, i := range g.budgeted {
		g.ins[i].Offset = int16(at)
	}
	if len(g.budgeted) > 0 {
		at -= 8
	}
	if len(g.received) > 0 && at < -512 {
		return &UnsupportedError{name, "no room for its receiver: capture less of it"}
	}
	for _, i := range g.received {
		if g.ins[i].OpCode == asm.Add.Op(asm.ImmSource) {
			g.ins[i].Constant = at
		} else {
			g.ins[i].Offset = int16(at)
		}
	}
	return nil
}

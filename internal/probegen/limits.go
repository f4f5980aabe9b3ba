package probegen

import (
	"math"

	"github.com/cilium/ebpf/asm"
)

// Limits keep calls back before any work is done to capture them, and count
// them. Zero fields limit nothing. They hold for each function by itself, but for
// Budget.
//
// A program asks in the order of what an answer costs, and takes from what is
// scarce last:
//
//	is it a call at all?      PID, Func.Skip, Mark, Dicts; hits that are none are not counted
//	Budget: paused?           two loads, once the time is known
//	First: used up?           one load, of what no longer changes then
//	Sample                    one addition, in memory of the CPU
//	Func.Where                may read the target's memory
//	Interval: take a call     two loads where there is none left
//	First: take one           one addition
//
// So a condition chooses from the sampled calls, and only calls that meet it use
// up rate and First. Memory that CPUs share is written by calls only that are
// captured.
//
// Nothing but addition must be atomic for the numbers to be bounds: who takes
// adds first, and gives back what turns out to be too much. In the order in which
// a word is added to, a taker sees the sum of all before it, at least. Where an
// addition can return the old sum, which kernels have with Options.NoAtomics
// unset, a taker sees exactly that, and none is refused who need not be. Without,
// two who take the last at the same time may both be refused, and the next gets it;
// and when nothing came for long, each CPU that finds so at the same time may let a
// call pass that Interval forbids.
//
// What changes only on the CPU needs no more than addition where programs can be
// preempted, and no atomic operation on kernels without, which do not preempt them.
type Limits struct {
	// Sample lets the first of so many hits pass, on each CPU.
	Sample int32
	// First is the number of calls that are captured in all, lost ones included.
	First int32
	// Interval is the time in nanoseconds between two calls at the highest rate
	// that lasts; Burst is how many calls may come at once after a pause.
	Interval, Burst int32
	// Budget is the time in nanoseconds that programs may take of each
	// BudgetWindow on each CPU, waiting for pages included.
	Budget int32
}

// BudgetWindow is the time in nanoseconds after which a CPU has the whole budget
// again.
const BudgetWindow = 100_000_000

// GateSize is the size in bytes of what all CPUs share of a function: a cache
// line.
const GateSize = 64

const (
	// GateTaken is where it has, for each function, the calls that First has let pass.
	GateTaken = 0
	gateNext  = 8 // when the next call is due at the rate of Interval
)

// BudgetSize is the size in bytes of the element of MapBudget.
const BudgetSize = 24

const (
	budgetStart = 0 // when the window began
	budgetBase  = 8 // budgetSpent at that time
	// BudgetSpent is where the time stands that programs took on the CPU in all.
	BudgetSpent = 16
)

// SampledOut returns how many of the hits that a CPU has [Seen] were kept back.
func (l Limits) SampledOut(seen uint64) uint64 {
	if l.Sample <= 1 {
		return 0
	}
	n := uint64(l.Sample)
	return seen - (seen+n-1)/n
}

func (l Limits) check() string {
	switch {
	case l.Sample < 0, l.First < 0, l.Interval < 0, l.Burst < 0, l.Budget < 0:
		return "a limit is negative"
	case l.Interval > 0 && l.Burst == 0:
		return "a rate needs a burst of one"
	case int64(l.Burst)*int64(l.Interval) > math.MaxInt32:
		return "the burst is too large"
	}
	return ""
}

// element leaves in R0 the address of an element of a map, 0 if there is none.
func (g *gen) element(name string, key int32) {
	g.emit(
		asm.Mov.Imm(asm.R1, key),
		asm.StoreMem(asm.RFP, -8, asm.R1, asm.Word),
		asm.LoadMapPtr(asm.R1, 0).WithReference(name),
		asm.Mov.Reg(asm.R2, asm.RFP), asm.Add.Imm(asm.R2, -8),
		asm.FnMapLookupElem.Call(),
	)
}

func (g *gen) gate(dst asm.Register, f *Func) {
	g.emit(asm.LoadMapValue(dst, 0, f.ID*GateSize).WithReference(MapGates))
}

// admit leaves the program if the limits that cost little keep the hit back.
func (g *gen) admit(f *Func) {
	l := f.limits(g)
	if l.Budget > 0 {
		g.unlessPaused(l.Budget)
	}
	if l.First > 0 {
		g.note("are the first all taken?")
		g.gate(asm.R1, f)
		g.emit(
			asm.LoadMem(asm.R1, asm.R1, GateTaken, asm.DWord),
			asm.JGE.Imm(asm.R1, l.First, g.lost(Beyond)),
		)
	}
	if l.Sample > 1 {
		g.notef("one hit in %d", l.Sample)
		g.element(MapLosses, int32(f.ID))
		g.emit(asm.JEq.Imm(asm.R0, 0, g.ignored()))
		const seen = Seen * 8
		if g.opts.NoAtomics {
			g.emit(
				asm.LoadMem(asm.R1, asm.R0, seen, asm.DWord),
				asm.Mov.Reg(asm.R2, asm.R1), asm.Add.Imm(asm.R2, 1),
				asm.StoreMem(asm.R0, seen, asm.R2, asm.DWord),
			)
		} else {
			g.emit(
				asm.Mov.Imm(asm.R1, 1),
				atomic(asm.FetchAdd, asm.R0, asm.R1, seen),
			)
		}
		g.emit(
			asm.Mod.Imm(asm.R1, l.Sample),
			asm.JNE.Imm(asm.R1, 0, g.ignored()),
		)
	}
}

// unlessPaused leaves the program if this CPU has spent its budget, and begins
// the next window when that is due. Programs that preempt one another here may
// begin a window twice, which moves it by the time in between.
func (g *gen) unlessPaused(budget int32) {
	within, over := g.fresh("within"), g.fresh("over")
	g.note("is the budget spent?")
	g.element(MapBudget, 0)
	g.emit(asm.JEq.Imm(asm.R0, 0, over))
	g.began(asm.R1)
	g.emit(
		asm.LoadMem(asm.R3, asm.R0, BudgetSpent, asm.DWord),
		asm.LoadMem(asm.R2, asm.R0, budgetStart, asm.DWord),
		asm.Mov.Reg(asm.R4, asm.R1), asm.Sub.Reg(asm.R4, asm.R2),
		asm.JLT.Imm(asm.R4, BudgetWindow, within),
	)
	g.note("another window")
	g.emit(
		asm.StoreMem(asm.R0, budgetStart, asm.R1, asm.DWord),
		asm.StoreMem(asm.R0, budgetBase, asm.R3, asm.DWord),
		asm.Ja.Label(over),
	)
	g.label(within)
	g.emit(
		asm.LoadMem(asm.R2, asm.R0, budgetBase, asm.DWord),
		asm.Sub.Reg(asm.R3, asm.R2),
		asm.JSGE.Imm(asm.R3, budget, g.lost(Paused)),
	)
	g.label(over)
}

// take takes what a call that is to be captured uses up, or leaves the program.
func (g *gen) take(f *Func) {
	l := f.limits(g)
	if l.Interval > 0 {
		g.takeRate(f, l)
	}
	g.takeFirst(f, l.First)
}

// takeFirst takes one of the first calls, or leaves the program.
func (g *gen) takeFirst(f *Func, first int32) {
	if first == 0 {
		return
	}
	ok := g.fresh("ok")
	g.note("take one of the first")
	g.gate(regAddr, f)
	g.add1(GateTaken, 1)
	g.emit(asm.JLT.Imm(asm.R1, first, ok))
	g.giveBack(GateTaken, 1)
	g.emit(asm.Ja.Label(g.lost(Beyond)))
	g.label(ok)
}

// takeRate is the generic cell rate algorithm (ITU-T I.371): the word holds when
// the next call is due. One that comes earlier than a burst allows is kept back.
func (g *gen) takeRate(f *Func, l Limits) {
	add, ok := g.fresh("add"), g.fresh("ok")
	g.notef("one call in %d ns, %d at once", l.Interval, l.Burst)
	early := (l.Burst - 1) * l.Interval
	if l.Budget > 0 {
		g.began(regRecord)
	} else {
		g.emit(asm.FnKtimeGetNs.Call(), asm.Mov.Reg(regRecord, asm.R0))
	}
	g.gate(regAddr, f)
	g.emit(
		asm.LoadMem(asm.R0, regAddr, gateNext, asm.DWord),
		asm.Mov.Reg(asm.R1, asm.R0), asm.Sub.Reg(asm.R1, regRecord),
		asm.JSGT.Imm(asm.R1, early, g.lost(Limited)),
		asm.JSGE.Imm(asm.R1, 0, add),
	)
	g.note("none came for long: the next is due now")
	if g.opts.NoAtomics {
		g.emit(asm.StoreMem(regAddr, gateNext, regRecord, asm.DWord))
	} else {
		g.emit(atomic(asm.CmpXchg, regAddr, regRecord, gateNext))
	}
	g.label(add)
	g.add1(gateNext, l.Interval)
	g.emit(
		asm.Sub.Reg(asm.R1, regRecord),
		asm.JSLE.Imm(asm.R1, early, ok),
	)
	g.giveBack(gateNext, l.Interval)
	g.emit(asm.Ja.Label(g.lost(Limited)))
	g.label(ok)
}

// add1 adds n to a word of the gate in regAddr and leaves in R1 what it was
// before, or with what others have added at the same time.
func (g *gen) add1(word int16, n int32) {
	g.emit(asm.Mov.Imm(asm.R1, n))
	if !g.opts.NoAtomics {
		g.emit(atomic(asm.FetchAdd, regAddr, asm.R1, word))
		return
	}
	g.emit(
		asm.AddAtomic.Mem(regAddr, asm.R1, asm.DWord, word),
		asm.LoadMem(asm.R1, regAddr, word, asm.DWord),
		asm.Sub.Imm(asm.R1, n),
	)
}

func (g *gen) giveBack(word int16, n int32) {
	g.note("too much: give it back")
	g.emit(
		asm.Mov.Imm(asm.R1, -n),
		asm.AddAtomic.Mem(regAddr, asm.R1, asm.DWord, word),
	)
}

// atomic exchanges src with the word at dst+off, or the like. cilium/ebpf v0.22
// encodes an atomic operation's code from Constant, which its own constructor
// leaves at zero: any would become an addition.
func atomic(op asm.AtomicOp, dst, src asm.Register, off int16) asm.Instruction {
	ins := op.Mem(dst, src, asm.DWord, off)
	ins.Constant = int64(op >> 8)
	return ins
}

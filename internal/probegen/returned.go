package probegen

import (
	"github.com/cilium/ebpf/asm"

	"github.com/argtap/argtap/abi"
	"github.com/argtap/argtap/internal/capture"
	"github.com/argtap/argtap/internal/expr"
)

// MaxKept bounds the values that are kept of a call.
const MaxKept = 14

// KeptWords returns how many words behind [OpenSize] the function needs in the values
// of MapOpen: one with a bit for each value that is absent, and the values.
func (f *Func) KeptWords() int {
	n := len(f.Keep)
	if f.Unwound != nil {
		n++
	}
	if n > 0 {
		n++
	}
	return n
}

// keptAt is where word i of what is kept is on the program's stack.
func (g *gen) keptAt(i int) int16 { return g.openValue() + OpenSize + 8*int16(i) }

// openWords is how many words of the program's stack a call's key and value take,
// above what expressions use. Those of an [Aggregate] are below.
func (g *gen) openWords() int {
	if g.counting != nil {
		return 0
	}
	return -int(g.openValue()) / 8
}

// limits returns the limits that hold for the function.
func (f *Func) limits(g *gen) Limits {
	l := g.opts.Limits
	if f.FirstLater {
		l.First = 0
	}
	return l
}

// keep evaluates what the return needs of the arguments. It uses regValue.
func (g *gen) keep(f *Func) {
	if g.opts.Kept == 0 {
		return
	}
	g.note("what the return will need")
	g.emit(asm.Mov.Imm(asm.R1, 0))
	for i := range g.opts.Kept {
		g.emit(asm.StoreMem(asm.RFP, g.keptAt(i), asm.R1, asm.DWord))
	}
	for i, e := range f.Keep {
		absent, done := g.fresh("absent"), g.fresh("done")
		g.keptReason(abi.Overwritten)
		if f.doubts() && e.Registers() {
			g.emit(asm.JNE.Imm(regFailed, 0, absent))
		}
		x := g.compiler(f, e)
		x.base = g.openWords()
		x.bits(e.Root)
		g.emit(asm.StoreMem(asm.RFP, g.keptAt(1+i), regValue, asm.DWord), asm.Ja.Label(done))
		for _, r := range x.order {
			g.label(x.failures[r])
			g.keptReason(r)
			g.emit(asm.Ja.Label(absent))
		}
		if f.doubts() && e.Registers() || len(x.order) > 0 {
			g.label(absent)
			if g.counting != nil {
				g.emit(asm.StoreMem(asm.RFP, g.keptAt(1+i), asm.R0, asm.DWord))
			}
			g.emit(
				asm.LoadMem(asm.R1, asm.RFP, g.keptAt(0), asm.DWord),
				asm.Or.Imm(asm.R1, 1<<i),
				asm.StoreMem(asm.RFP, g.keptAt(0), asm.R1, asm.DWord),
			)
		}
		g.label(done)
	}
	if e := f.Unwound; e != nil {
		no := g.fresh("no")
		if f.doubts() && e.Registers() {
			g.emit(asm.JNE.Imm(regFailed, 0, no))
		}
		x := g.compiler(f, e)
		x.base = g.openWords()
		x.unless(no)
		g.emit(asm.Mov.Imm(asm.R1, 1), asm.StoreMem(asm.RFP, g.keptAt(1+len(f.Keep)), asm.R1, asm.DWord))
		g.label(no)
	}
}

// keptReason makes R0 why what is kept has no value: that is kept in its place where
// calls are counted, for it shows there.
func (g *gen) keptReason(r abi.Reason) {
	if g.counting != nil {
		g.emit(asm.Mov.Imm(asm.R0, int32(r)))
	}
}

// bits makes regValue the bits of a number or bool.
func (x *compiler) bits(n *expr.Node) {
	for n.Op == expr.As {
		n = n.X
	}
	if k := n.Type.Kind; (k == abi.Float32 || k == abi.Float64) && n.IsPlace() {
		x.load(x.place(n), n.Type.Size, false)
		return
	}
	x.scalar(n)
}

// CheckKept returns why no program can keep a value, "" if one can.
func CheckKept(a *abi.Arch, e *capture.Expr) string {
	g := &gen{opts: Options{CPUs: 1, Sleepable: true}, machine: machines[a.GOARCH], arch: a}
	if g.machine == nil {
		return "unsupported architecture"
	}
	x := g.compiler(&Func{}, e)
	x.bits(e.Root)
	if x.err == "" && len(g.ins) > maxExpr {
		x.err = "it is too long"
	}
	return x.err
}

// regNow has the time of the hit when a record is built, if f is timed.
const regNow = asm.R5

// timed reports whether the time of the hit was read before the record is built.
func (f *Func) timed() bool {
	return f.Role == roleFiltered || f.Role == RoleReturn && len(f.Where) > 0
}

// openNow is the field of a call's value in whose place a return that has
// conditions keeps the time of its hit: that was compared already.
const openNow = OpenFunc

// closing returns the fields that a return needs of the value, beside the time.
func (g *gen) closing(f *Func) []int16 {
	fields := []int16{OpenBias, OpenDict}
	if len(f.Where) > 0 {
		for i := range g.opts.Kept {
			fields = append(fields, OpenSize+8*int16(i))
		}
	}
	return fields
}

// whereReturned records the return if the conditions are met, else that they are
// not. What a record says of the time is what the conditions were asked with.
func (g *gen) whereReturned(f *Func) {
	g.emit(
		asm.StoreMem(asm.RFP, g.openValue()+OpenTime, regAddr, asm.DWord),
		asm.FnKtimeGetNs.Call(),
		asm.StoreMem(asm.RFP, g.openValue()+openNow, asm.R0, asm.DWord),
	)
	no := g.fresh("filtered")
	for _, c := range f.Where {
		g.note("condition of the return")
		x := g.compiler(f, c)
		x.base = g.openWords()
		x.unless(no)
	}
	opened := asm.LoadMem(regAddr, asm.RFP, g.openValue()+OpenTime, asm.DWord)
	g.emit(opened)
	g.record(f)
	g.label(no)
	g.note("the call is not to be delivered")
	g.emit(opened)
	filtered := *f
	filtered.Role, filtered.Plan, filtered.Instances = roleFiltered, capture.Build(f.Arch, nil, capture.Limits{Pair: true}), false
	filtered.Plan.Goroutine = f.Plan.Goroutine
	g.record(&filtered)
}

// pairMore loads what else the pair and the header say, before anything of the
// record is written, which may lie in the same place. R1 to R3 are taken.
func (g *gen) pairMore(f *Func) {
	if f.opens() && f.Unwound != nil {
		g.emit(asm.LoadMem(asm.R4, asm.RFP, g.keptAt(1+len(f.Keep)), asm.DWord))
	}
	if f.timed() {
		g.emit(asm.LoadMem(regNow, asm.RFP, g.openValue()+openNow, asm.DWord))
	}
}

// known reports whether a place is a word that the program knows of the call.
func (x *compiler) known(s spot) bool { return x.c.Return && s.param >= len(x.c.Params) }

// reasonOfEntry stands for the reason in R0, why something had no value at the entry.
const reasonOfEntry = abi.Reason(63)

var _ [reasonOfEntry - abi.Unassigned - 1]struct{} // it is none of them

// loadKnown makes regValue what the program knows of the call: its duration, or
// what was kept.
func (x *compiler) loadKnown(s spot, size int64, signed bool) {
	i := s.param - len(x.c.Params)
	if i == 0 {
		x.note("duration")
		x.emit(
			asm.LoadMem(regValue, asm.RFP, x.openValue()+openNow, asm.DWord),
			asm.LoadMem(asm.R1, asm.RFP, x.openValue()+OpenTime, asm.DWord),
			asm.Sub.Reg(regValue, asm.R1),
		)
		return
	}
	x.note("of the entry")
	x.emit(
		asm.LoadMem(asm.R1, asm.RFP, x.keptAt(0), asm.DWord),
		asm.And.Imm(asm.R1, 1<<(i-1)),
	)
	if x.counting == nil {
		x.emit(asm.JNE.Imm(asm.R1, 0, x.failure(abi.NotFollowed)))
	} else {
		there := x.fresh("there")
		x.emit(
			asm.JEq.Imm(asm.R1, 0, there),
			asm.LoadMem(asm.R0, asm.RFP, x.keptAt(i), asm.DWord),
			asm.And.Imm(asm.R0, 63), // as it is; and the verifier takes it that it may be none
			asm.Mov.Imm(regValue, 0),
			asm.Ja.Label(x.failure(reasonOfEntry)),
		)
		x.label(there)
	}
	x.emit(
		asm.LoadMem(regValue, asm.RFP, x.keptAt(i), asm.DWord),
	)
	x.extend(regValue, size, signed)
}

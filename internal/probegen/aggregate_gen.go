package probegen

import (
	"github.com/cilium/ebpf/asm"

	"github.com/argtap/argtap/abi"
	"github.com/argtap/argtap/internal/capture"
)

// aggregate counts the call whose entry was hit, or remembers it as open.
func (g *gen) aggregate(f *Func) {
	a := f.Aggregate
	if a.Whole() {
		g.keep(f)
	}
	g.key(f)
	if a.Value != nil && !a.Value.Return {
		g.value(f)
	}
	if a.Whole() {
		g.keepValue(a)
		g.openKeyed(f)
		return
	}
	g.addToRow(f)
}

// keepValue stores what value has left, or that there is none.
func (g *gen) keepValue(a *Aggregate) {
	if !a.KeepValue {
		return
	}
	value, why := asm.Register(regAddr), asm.Register(regSize)
	if !a.KeepsValue() {
		g.emit(asm.Mov.Imm(asm.R1, 0))
		value, why = asm.R1, asm.R1
	}
	g.emit(
		asm.StoreMem(asm.RFP, a.valueAt(), value, asm.DWord),
		asm.StoreMem(asm.RFP, a.valueAt()+8, why, asm.DWord),
	)
}

// key makes the key on the stack, but for the parts that are known only at the return.
func (g *gen) key(f *Func) {
	a := f.Aggregate
	if len(a.Key) == 0 {
		return
	}
	at := a.keyAt()
	g.note("the key")
	g.emit(asm.Mov.Imm(asm.R1, int32(f.ID)), asm.StoreMem(asm.RFP, at, asm.R1, asm.DWord), asm.Mov.Imm(asm.R1, 0))
	for off := 8; off < a.Layout.Size(); off += 8 {
		g.emit(asm.StoreMem(asm.RFP, at+int16(off), asm.R1, asm.DWord))
	}
	g.keyParts(f, false)
}

// keyParts stores the parts of a key that are known at the entry, or at the return.
func (g *gen) keyParts(f *Func, atReturn bool) {
	a := f.Aggregate
	at := a.keyAt()
	for i, p := range a.Key {
		to, why := at+int16(a.Layout.Offset(i)), at+KeyReasons+int16(i)
		if p.Unwound != nil {
			g.unwoundPart(f, &p, to, why, atReturn)
		}
		switch {
		case p.Expr == nil && atReturn || p.Expr != nil && p.Expr.Return != atReturn:
		case p.Kind == KeyPID:
			g.pidTgid(asm.RFP, to)
			g.emit(
				asm.RSh.Imm(asm.R0, 32),
				asm.StoreMem(asm.RFP, to, asm.R0, asm.DWord),
			)
		case p.Expr == nil:
			g.keyIdentity(f, p.Kind, to, why)
		default:
			g.computed(f, p.Expr, func(x *compiler) { x.keyPart(to) }, func() {
				g.emit(asm.StoreMem(asm.RFP, why, asm.R0, asm.Byte))
			})
		}
	}
}

// keyPart stores a part of a key, a string with its bytes.
func (x *compiler) keyPart(to int16) {
	n := x.c.Root
	switch n.Type.Kind {
	case abi.Bool:
		// A key has one byte for true, whatever the target has.
		x.truth(n)
		x.emit(asm.StoreMem(asm.RFP, to, regValue, asm.DWord))
	case abi.String:
		h := x.header(n)
		x.fetch(regValue, h)
		x.readUpTo(to+8, 0, KeyString, h+8)
		fits := x.fresh("fits")
		x.fetch(asm.R1, h+8)
		x.emit(asm.JLE.Imm(asm.R1, KeyString, fits), asm.Mov.Imm(asm.R1, KeyString+1))
		x.label(fits)
		x.emit(asm.StoreMem(asm.RFP, to, asm.R1, asm.DWord))
		x.free(3)
	default:
		x.number()
		x.emit(asm.StoreMem(asm.RFP, to, regValue, asm.DWord))
	}
}

// number makes regValue the value, an integer.
func (x *compiler) number() {
	x.scalar(x.c.Root)
}

// computed generates an expression; where it has no value, R0 is the reason and
// absent says what becomes of that.
func (g *gen) computed(f *Func, e *capture.Expr, value func(*compiler), absent func()) {
	x := g.compiler(f, e)
	if f.doubts() && e.Registers() {
		g.note("are the registers what they were?")
		g.emit(asm.JNE.Imm(regFailed, 0, x.failure(abi.Overwritten)))
	}
	value(x)
	if len(x.failures) == 0 {
		return
	}
	done, no := g.fresh("done"), g.fresh("absent")
	g.emit(asm.Ja.Label(done))
	for _, r := range x.order {
		g.label(x.failures[r])
		if r != reasonOfEntry {
			g.emit(asm.Mov.Imm(asm.R0, int32(r)))
		}
		g.emit(asm.Ja.Label(no))
	}
	g.label(no)
	absent()
	g.label(done)
}

// value leaves the value in regAddr, and in regSize the reason why there is none,
// 0 if there is.
func (g *gen) value(f *Func) {
	g.note("the value")
	g.computed(f, f.Aggregate.Value, func(x *compiler) {
		x.number()
		x.emit(asm.Mov.Imm(regSize, 0))
	}, func() {
		g.emit(asm.Mov.Reg(regSize, asm.R0))
	})
}

// openKeyed remembers the call and its key. One under the same key of MapOpen, whose
// return never came, is counted.
func (g *gen) openKeyed(f *Func) {
	a := f.Aggregate
	g.openKey(f, g.lost(LossUnread))
	g.note("the call is open")
	at := a.openAt(g.opts.Kept)
	g.emit(
		asm.FnKtimeGetNs.Call(),
		asm.StoreMem(asm.RFP, at+OpenTime, asm.R0, asm.DWord),
		asm.Mov.Imm(asm.R1, int32(f.ID)),
		asm.StoreMem(asm.RFP, at+OpenFunc, asm.R1, asm.DWord),
		asm.Mov.Imm(asm.R1, 0),
		asm.StoreMem(asm.RFP, at+OpenDict, asm.R1, asm.DWord),
	)
	if a.AtReturn {
		g.bias(asm.R1, asm.R2, f)
	}
	g.emit(asm.StoreMem(asm.RFP, at+OpenBias, asm.R1, asm.DWord))
	update := func(flags int32) {
		g.openMap()
		g.emit(
			asm.Mov.Reg(asm.R3, asm.RFP), asm.Add.Imm(asm.R3, int32(at)),
			asm.Mov.Imm(asm.R4, flags),
			asm.FnMapUpdateElem.Call(),
		)
	}
	update(updateNoExist)
	g.emit(
		asm.JEq.Imm32(asm.R0, 0, "exit"),
		asm.JNE.Imm32(asm.R0, -eexist, g.lost(LossOpen)),
	)
	g.note("in place of one that is open no more")
	if a.Unwinds {
		again := g.fresh("again")
		g.left(f, again, "exit", func(failed string) {
			update(updateExist)
			g.emit(asm.JNE.Imm32(asm.R0, 0, failed))
		})
		g.label(again)
		g.note("the tracer has just forgotten that one")
		update(updateNoExist)
		g.emit(
			asm.JEq.Imm32(asm.R0, 0, "exit"),
			asm.Ja.Label(g.lost(LossOpen)),
		)
		return
	}
	g.whoseCall(g.lost(LossOpen))
	update(updateAny)
	g.emit(asm.JNE.Imm32(asm.R0, 0, g.lost(LossOpen)))
	g.overtaken("exit")
	g.emit(asm.Ja.Label("exit"))
}

// whoseCall leaves in regAddr the function of the call that is open under the key,
// and jumps to none if there is none.
func (g *gen) whoseCall(none string) {
	g.openMap()
	g.emit(
		asm.FnMapLookupElem.Call(),
		asm.JEq.Imm(asm.R0, 0, none),
		asm.LoadMem(regAddr, asm.R0, OpenFunc, asm.DWord),
	)
}

// overtaken counts a call of the function in regAddr that was open and is not. It
// jumps to none if there is no such function.
func (g *gen) overtaken(none string) {
	g.emit(
		asm.StoreMem(asm.RFP, -8, regAddr, asm.Word),
		asm.LoadMapPtr(asm.R1, 0).WithReference(MapLosses),
		asm.Mov.Reg(asm.R2, asm.RFP), asm.Add.Imm(asm.R2, -8),
		asm.FnMapLookupElem.Call(),
		asm.JEq.Imm(asm.R0, 0, none),
		asm.Mov.Imm(asm.R1, 1),
		asm.AddAtomic.Mem(asm.R0, asm.R1, asm.DWord, Overtaken*8),
	)
}

// aggregateReturn counts the call that returns, if its conditions are met.
func (g *gen) aggregateReturn(f *Func) {
	a, at := f.Aggregate, f.Aggregate.openAt(g.opts.Kept)
	g.openKey(f, g.lost(LossLater)) // it may be that of a call that is open
	g.note("which call returns?")
	none, emitNone := g.unmatched()
	g.findOpen(f, none)
	fields := []int16{}
	if a.AtReturn {
		fields = append(fields, OpenBias)
	}
	for off := int16(OpenSize); off < int16(a.OpenSize()+8*g.opts.Kept); off += 8 {
		fields = append(fields, off)
	}
	for _, off := range fields {
		g.emit(asm.LoadMem(asm.R1, asm.R0, off, asm.DWord), asm.StoreMem(asm.RFP, at+off, asm.R1, asm.DWord))
	}
	g.openMap()
	g.emit(asm.FnMapDeleteElem.Call())
	// Else it was forgotten meanwhile, and counted.
	g.emit(asm.JNE.Imm32(asm.R0, 0, none))
	emitNone()
	g.later = false // what is lost from here on is the call
	g.note("its duration")
	g.emit(asm.FnKtimeGetNs.Call())
	if a.AtReturn {
		g.askReturned(f)
	} else {
		g.emit(
			asm.Sub.Reg(asm.R0, regAddr),
			asm.Mov.Reg(regAddr, asm.R0),
			asm.Mov.Imm(regSize, 0),
		)
	}
	g.addToRow(f)
}

// askReturned lets only calls pass that meet the conditions of the return, and makes
// what is known only now of the key and the value. regAddr is when the call began, R0
// the time.
func (g *gen) askReturned(f *Func) {
	a, at := f.Aggregate, f.Aggregate.openAt(g.opts.Kept)
	g.emit(
		asm.StoreMem(asm.RFP, at+OpenTime, regAddr, asm.DWord),
		asm.StoreMem(asm.RFP, at+openNow, asm.R0, asm.DWord),
	)
	for _, c := range f.Where {
		g.note("condition of the return")
		g.compiler(f, c).unless(g.lost(Filtered))
	}
	if f.FirstLater {
		g.takeFirst(f, g.opts.Limits.First)
	}
	g.keyParts(f, true)
	switch {
	case a.Durations():
		g.emit(
			asm.LoadMem(regAddr, asm.RFP, at+openNow, asm.DWord),
			asm.LoadMem(asm.R1, asm.RFP, at+OpenTime, asm.DWord),
			asm.Sub.Reg(regAddr, asm.R1),
			asm.Mov.Imm(regSize, 0),
		)
	case a.KeepsValue():
		g.emit(
			asm.LoadMem(regAddr, asm.RFP, a.valueAt(), asm.DWord),
			asm.LoadMem(regSize, asm.RFP, a.valueAt()+8, asm.DWord),
			asm.And.Imm(regSize, 63), // as the verifier must know
		)
	case a.Value != nil:
		g.value(f)
	}
}

// addToRow adds the call to the row of its key, and ends the program: with the value
// in regAddr, unless regSize is a reason.
func (g *gen) addToRow(f *Func) {
	a := f.Aggregate
	found := g.fresh("row")
	if len(a.Key) > 0 {
		g.note("the row of the key")
		key := func(name string) {
			g.emit(
				asm.LoadMapPtr(asm.R1, 0).WithReference(name),
				asm.Mov.Reg(asm.R2, asm.RFP), asm.Add.Imm(asm.R2, int32(a.keyAt())),
			)
		}
		key(MapKeys)
		g.emit(asm.FnMapLookupElem.Call(), asm.JNE.Imm(asm.R0, 0, found))
		g.note("a new key")
		key(MapKeys)
		g.emit(
			asm.LoadMapValue(asm.R3, 0, 0).WithReference(MapZero),
			asm.Mov.Imm(asm.R4, updateNoExist),
			asm.FnMapUpdateElem.Call(),
		)
		key(MapKeys)
		g.emit(asm.FnMapLookupElem.Call(), asm.JNE.Imm(asm.R0, 0, found))
		g.note("no room for it")
	}
	g.element(MapOther, int32(f.ID))
	g.emit(asm.JEq.Imm(asm.R0, 0, g.lost(LossBusy)))
	g.label(found)
	if a.Buckets == nil {
		g.emit(asm.Mov.Imm(asm.R1, 1), asm.AddAtomic.Mem(asm.R0, asm.R1, asm.DWord, RowCount))
	} else {
		g.addValue(f)
	}
	g.emit(asm.Ja.Label("exit"))
}

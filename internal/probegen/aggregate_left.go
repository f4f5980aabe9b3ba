package probegen

import (
	"encoding/binary"

	"github.com/cilium/ebpf/asm"

	"github.com/argtap/argtap/abi"
	"github.com/argtap/argtap/internal/capture"
)

// Where a record of [capture.KindLeft] has what joins entry and return, and from where
// on, in bytes, it has the value of MapOpen.
const (
	LeftPair  = capture.HeaderSize
	LeftValue = LeftPair + capture.PairSize
)

// left takes the call that is open under the key on the stack away, by remove, and
// sends what was kept of it. It jumps to gone if there is none any more, else to done.
// remove jumps to its argument if it fails: then the tracer has taken the call, and
// counts it.
//
// The record is reserved before, so that whatever the tracer finds in front of it has
// happened before.
func (g *gen) left(f *Func, gone, done string, remove func(failed string)) {
	full, failed := g.fresh("full"), g.fresh("failed")
	size := int16(f.Aggregate.OpenSize() + 8*g.opts.Kept)
	g.openMap()
	g.emit(
		asm.FnMapLookupElem.Call(),
		asm.JEq.Imm(asm.R0, 0, gone),
		asm.Mov.Reg(regAddr, asm.R0),
	)
	g.note("send what is known of it")
	g.emit(
		asm.LoadMapPtr(asm.R1, 0).WithReference(MapCalls),
		asm.Mov.Imm(asm.R2, LeftValue+int32(size)),
		asm.Mov.Imm(asm.R3, 0),
		asm.FnRingbufReserve.Call(),
		asm.JEq.Imm(asm.R0, 0, full),
		asm.Mov.Reg(regRecord, asm.R0),
	)
	to := func(off int16, r asm.Register) { g.emit(asm.StoreMem(regRecord, off, r, asm.DWord)) }
	for off := int16(0); off < size; off += 8 {
		g.emit(asm.LoadMem(asm.R1, regAddr, off, asm.DWord))
		to(LeftValue+off, asm.R1)
	}
	g.emit(
		asm.LoadMem(asm.R1, regRecord, LeftValue+OpenTime, asm.DWord),
		asm.LoadMem(asm.R2, asm.RFP, openKey+OpenGoroutine, asm.DWord),
		asm.LoadMem(asm.R3, asm.RFP, openKey+OpenDepth, asm.DWord),
		asm.LoadMapValue(asm.R4, 0, 0).WithReference(MapLater),
		asm.LoadMem(asm.R4, asm.R4, 0, asm.DWord),
	)
	to(LeftPair+capture.PairTime, asm.R1)
	to(LeftPair+capture.PairGoroutine, asm.R2)
	to(LeftPair+capture.PairDepth, asm.R3)
	to(LeftPair+capture.PairLost, asm.R4)
	to(capture.OffGoroutine, asm.R2)
	g.emit(
		asm.LoadMem(asm.R1, regRecord, LeftValue+OpenFunc, asm.DWord),
		asm.LoadImm(asm.R2, capture.KindLeft<<(8*capture.OffKind), asm.DWord),
		asm.Or.Reg(asm.R1, asm.R2),
	)
	to(capture.OffPlan, asm.R1)
	g.emit(asm.Mov.Imm(asm.R1, 0))
	to(capture.OffFailed, asm.R1)
	g.pidTgid(regRecord, capture.OffPIDTID)
	to(capture.OffPIDTID, asm.R0)
	g.emit(asm.FnKtimeGetNs.Call())
	to(capture.OffTime, asm.R0)
	remove(failed)
	g.emit(
		asm.Mov.Reg(asm.R1, regRecord),
		asm.Mov.Imm(asm.R2, 0),
		asm.FnRingbufSubmit.Call(),
		asm.Ja.Label(done),
	)
	g.label(failed)
	g.emit(
		asm.Mov.Reg(asm.R1, regRecord),
		asm.Mov.Imm(asm.R2, 0),
		asm.FnRingbufDiscard.Call(),
		asm.Ja.Label(gone),
	)
	g.label(full)
	g.note("no room to send it: count it")
	g.emit(asm.LoadMem(regAddr, regAddr, OpenFunc, asm.DWord))
	remove(gone)
	g.overtaken(done)
	g.emit(asm.Ja.Label(done))
}

// unwoundPart stores what a part of a key is if the call is left by a panic, which the
// entry does. The return makes it another.
func (g *gen) unwoundPart(f *Func, p *KeyPart, to, why int16, atReturn bool) {
	if !atReturn {
		g.note("in case of a panic")
		g.computed(f, p.Unwound, func(x *compiler) { x.keyPart(to) }, func() {
			g.emit(asm.StoreMem(asm.RFP, why, asm.R0, asm.Byte))
		})
		return
	}
	g.emit(
		asm.Mov.Imm(asm.R1, int32(abi.Present)),
		asm.StoreMem(asm.RFP, why, asm.R1, asm.Byte),
		asm.StoreMem(asm.RFP, to, asm.R1, asm.DWord),
	)
}

// KeptWord returns word i of what [Options].Kept makes room for in a value of MapOpen:
// the first has a bit for each value of [Func.Keep] that is absent, then come the values,
// then 1 if [Func.Unwound] is met.
func KeptWord(value []byte, i int) uint64 {
	return binary.LittleEndian.Uint64(value[OpenSize+8*i:])
}

// KeptKey returns the key in a value of MapOpen, which is kept words longer than
// [Aggregate.OpenSize], as the entry has made it.
func (a *Aggregate) KeptKey(value []byte, kept int) []byte {
	return value[OpenSize+8*kept:][:a.Layout.Size()]
}

// KeptValue returns the value there that is counted by its size, or why it is absent. It
// is there if the aggregation [Aggregate.KeepsValue].
func (a *Aggregate) KeptValue(value []byte, kept int) (v uint64, why abi.Reason) {
	at := value[a.OpenSize()+8*kept-keptValue:]
	return binary.LittleEndian.Uint64(at), abi.Reason(binary.LittleEndian.Uint64(at[8:]) & 63)
}

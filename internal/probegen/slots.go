package probegen

import (
	"math/bits"

	"github.com/cilium/ebpf/asm"
)

// MapSlots is an array of one element, a table of slots for open calls in front of
// MapOpen: a hash map takes a lock and a list for each key that comes and goes. A call
// is in the one slot that its key hashes to, or, if another has that, in MapOpen. Only
// programs with [Options].Slots refer to it.
//
// A slot is claimed and given up by exchanging its word at SlotState: that is 0 if it
// is free, [SlotBusy] while it is filled, else the time of its call. Only the
// goroutine of a call writes to its slot, and the tracer to give it up. What is read
// of a slot is right if the word has not changed meanwhile: times do not come again.
//
// The word at SlotSpilled counts the calls of MapOpen that hash to the slot. While
// there are any none claims it: else there could be two calls under one key, one here
// and one there, whose return never came. It may be too high, not too low.
const MapSlots = "slots"

// Offsets of a slot's words in bytes from its start.
const (
	SlotKey     = 0                              // as the key in MapOpen
	SlotSpilled = OpenKeySize                    // u64
	SlotState   = SlotSpilled + 8                // u64
	slotValue   = SlotState                      // as the value in MapOpen, the time being the state
	slotSize    = slotValue + OpenSize           // without what is kept
	spilled     = int16(SlotSpilled - slotValue) // from the value
	slotOfKey   = int16(SlotKey - slotValue)
)

// SlotBusy is the state of a slot that is being filled.
const SlotBusy = 1

// Multipliers of the words of a key: odd, their bits as if by chance.
const (
	hashGoroutine = 0x9e3779b97f4a7c15
	hashDepth     = 0xc2b2ae3d27d4eb4f
	hashPID       = 0xd6e8feb86659fd93
)

// SlotSize returns the size of a slot in bytes, a power of two, where so many words
// are kept of a call.
func SlotSize(kept int) int {
	return 1 << bits.Len(uint(slotSize+8*kept-1))
}

// SlotOf returns the number of the slot for a key, of a table of slots, whose number
// is a power of two and at least 2.
func SlotOf(pid, goroutine, depth uint64, slots int) int {
	h := pid*hashPID ^ goroutine*hashGoroutine ^ depth*hashDepth
	return int(h >> (64 - bits.Len(uint(slots-1))))
}

// slotted reports whether the function's calls may be in slots.
func (g *gen) slotted(f *Func) bool { return g.opts.Slots > 0 && f.Aggregate == nil }

// slot leaves in R2 where the value of the key's slot is. It uses R1, R3 and R4.
func (g *gen) slot() {
	g.note("the slot of the key")
	word := func(r asm.Register, at int16, factor uint64) {
		g.emit(
			asm.LoadMem(r, asm.RFP, openKey+at, asm.DWord),
			asm.LoadImm(asm.R3, int64(factor), asm.DWord),
			asm.Mul.Reg(r, asm.R3),
		)
	}
	word(asm.R1, OpenPID, hashPID)
	word(asm.R4, OpenGoroutine, hashGoroutine)
	g.emit(asm.Xor.Reg(asm.R1, asm.R4))
	word(asm.R4, OpenDepth, hashDepth)
	g.emit(
		asm.Xor.Reg(asm.R1, asm.R4),
		asm.RSh.Imm(asm.R1, int32(64-bits.Len(uint(g.opts.Slots-1)))),
		asm.LSh.Imm(asm.R1, int32(bits.Len(uint(SlotSize(g.opts.Kept)-1)))),
		asm.LoadMapValue(asm.R2, 0, slotValue).WithReference(MapSlots),
		asm.Add.Reg(asm.R2, asm.R1),
	)
}

// sameKey jumps to other if the slot at R2 is that of another key. It uses R1 and R3.
func (g *gen) sameKey(other string) {
	for off := int16(0); off < OpenKeySize; off += 8 {
		g.emit(
			asm.LoadMem(asm.R1, asm.RFP, openKey+off, asm.DWord),
			asm.LoadMem(asm.R3, asm.R2, slotOfKey+off, asm.DWord),
			asm.JNE.Reg(asm.R1, asm.R3, other),
		)
	}
}

// inSlot leaves in R0 the state of the slot at R2 if the call is in it. Else it jumps
// to other, if it may be in MapOpen, or to none.
func (g *gen) inSlot(other, none string) {
	theirs, mine := g.fresh("theirs"), g.fresh("mine")
	g.emit(
		asm.LoadMem(asm.R0, asm.R2, OpenTime, asm.DWord),
		asm.JLE.Imm(asm.R0, SlotBusy, theirs),
	)
	g.sameKey(theirs)
	g.emit(asm.Ja.Label(mine))
	g.label(theirs)
	g.emit(
		asm.LoadMem(asm.R1, asm.R2, spilled, asm.DWord),
		asm.JEq.Imm(asm.R1, 0, none),
		asm.Ja.Label(other),
	)
	g.label(mine)
}

// giveUpSlot frees the slot at R2, whose state R0 was. It jumps to none if it is
// another's meanwhile. It uses R1 and R3.
func (g *gen) giveUpSlot(none string) {
	g.emit(
		asm.Mov.Reg(asm.R3, asm.R0),
		asm.Mov.Imm(asm.R1, 0),
		atomic(asm.CmpXchg, asm.R2, asm.R1, OpenTime),
		asm.JNE.Reg(asm.R0, asm.R3, none),
	)
}

// spill adds to the number of calls in MapOpen that hash to the slot at R2.
func (g *gen) spill(n int32) {
	g.emit(asm.Mov.Imm(asm.R1, n), asm.AddAtomic.Mem(asm.R2, asm.R1, asm.DWord, spilled))
}

// openSlot remembers the call whose key and value are on the stack.
func (g *gen) openSlot() {
	taken, free, claim, opened := g.fresh("taken"), g.fresh("free"), g.fresh("claim"), g.fresh("opened")
	g.slot()
	g.emit(
		asm.LoadMem(asm.R0, asm.R2, OpenTime, asm.DWord),
		asm.JEq.Imm(asm.R0, 0, free),
		asm.JEq.Imm(asm.R0, SlotBusy, taken),
	)
	g.sameKey(taken)
	g.note("in place of one whose return never came")
	g.emit(asm.Ja.Label(claim))
	g.label(free)
	g.emit(
		asm.LoadMem(asm.R1, asm.R2, spilled, asm.DWord),
		asm.JNE.Imm(asm.R1, 0, taken),
	)
	g.label(claim)
	g.note("claim the slot")
	g.emit(
		asm.Mov.Reg(asm.R3, asm.R0),
		asm.Mov.Imm(asm.R1, SlotBusy),
		atomic(asm.CmpXchg, asm.R2, asm.R1, OpenTime),
		asm.JNE.Reg(asm.R0, asm.R3, taken),
	)
	for off := int16(0); off < OpenKeySize; off += 8 {
		g.emit(
			asm.LoadMem(asm.R1, asm.RFP, openKey+off, asm.DWord),
			asm.StoreMem(asm.R2, slotOfKey+off, asm.R1, asm.DWord),
		)
	}
	for off := int16(OpenFunc); off < OpenSize+8*int16(g.opts.Kept); off += 8 {
		g.emit(
			asm.LoadMem(asm.R1, asm.RFP, g.openValue()+off, asm.DWord),
			asm.StoreMem(asm.R2, off, asm.R1, asm.DWord),
		)
	}
	g.emit(
		asm.StoreMem(asm.R2, OpenTime, regAddr, asm.DWord),
		asm.Ja.Label(opened),
	)
	g.label(taken)
	g.note("another has it")
	full, again := g.fresh("full"), g.fresh("again")
	g.emit(asm.StoreMem(asm.RFP, openG, asm.R2, asm.DWord))
	g.spill(1)
	g.updateOpen(updateNoExist)
	g.emit(
		asm.JEq.Imm32(asm.R0, 0, opened),
		asm.JNE.Imm32(asm.R0, -eexist, full),
	)
	g.note("in place of one that was counted already")
	g.updateOpen(updateExist)
	g.emit(
		asm.JNE.Imm32(asm.R0, 0, again),
		asm.LoadMem(asm.R2, asm.RFP, openG, asm.DWord),
	)
	g.spill(-1)
	g.emit(asm.Ja.Label(opened))
	g.label(again)
	g.note("the tracer has just forgotten that one")
	g.updateOpen(updateNoExist)
	g.emit(asm.JEq.Imm32(asm.R0, 0, opened))
	g.label(full)
	g.emit(asm.LoadMem(asm.R2, asm.RFP, openG, asm.DWord))
	g.spill(-1)
	g.emit(asm.Ja.Label(g.lost(LossOpen)))
	g.label(opened)
}

// forgetOpen forgets the call of the key on the stack, if it is open. It jumps to done
// unless control goes on behind it.
func (g *gen) forgetOpen(f *Func, done string) {
	if !g.slotted(f) {
		g.openMap()
		g.emit(asm.FnMapDeleteElem.Call())
		return
	}
	other := g.fresh("other")
	g.slot()
	g.inSlot(other, done)
	g.giveUpSlot(done)
	g.emit(asm.Ja.Label(done))
	g.label(other)
	g.emit(asm.StoreMem(asm.RFP, openG, asm.R2, asm.DWord))
	g.deleteSpilled(done)
}

// deleteSpilled forgets the call of the key in MapOpen, whose slot's address is at
// openG. It jumps to none if there is none.
func (g *gen) deleteSpilled(none string) {
	g.openMap()
	g.emit(
		asm.FnMapDeleteElem.Call(),
		asm.JNE.Imm32(asm.R0, 0, none),
		asm.LoadMem(asm.R2, asm.RFP, openG, asm.DWord),
	)
	g.spill(-1)
}

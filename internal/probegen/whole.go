package probegen

import (
	"github.com/cilium/ebpf/asm"

	"github.com/argtap/argtap/internal/capture"
)

// MapOpen is a hash of the calls that have not returned yet, of keys of
// [OpenKeySize] to values of [OpenSize] bytes and the words of [Options].Kept. Only
// programs for whole calls refer to it.
const MapOpen = "open"

// MapLater is an array of one counter: of the records of all functions that are
// lost and not of an entry ([LossLater]). Only programs for whole calls refer to it.
const MapLater = "later"

// Sizes in bytes of a key and a value of MapOpen, and the offsets of their fields.
const (
	OpenKeySize   = 24
	OpenPID       = 0  // u64: the process ID
	OpenGoroutine = 8  // u64: as at capture.PairGoroutine
	OpenDepth     = 16 // u64: as at capture.PairDepth

	OpenSize = 32
	OpenTime = 0  // u64: as the record of the entry has it
	OpenFunc = 8  // u64: Func.ID
	OpenBias = 16 // u64: the load bias
	OpenDict = 24 // u64: the dictionary, as the binary states its address, or 0
)

// Role says what a program does at a site.
type Role uint8

// The roles.
const (
	// RoleEntry: it records an entry. If the plan has room for what joins entry
	// and return ([capture.Plan.Pair]), it remembers the call as open.
	RoleEntry Role = iota
	// RoleReturn: it records a return of a call that is open, and forgets it.
	RoleReturn
	// RolePanic, RoleFatal and RoleExit record that a goroutine panics, that no
	// one recovers its panic, or that it ends.
	RolePanic
	RoleFatal
	RoleExit
	// RoleUnwound records a call behind which the goroutine's panic was recovered:
	// the first one, since a hit of RolePanic, that is as far up the stack or further.
	RoleUnwound
	// roleFiltered is RoleReturn where a condition is not met.
	roleFiltered
)

var roleKinds = [...]uint64{
	RoleEntry: capture.KindEntry, RoleReturn: capture.KindReturn,
	RolePanic: capture.KindPanic, RoleFatal: capture.KindFatal, RoleExit: capture.KindExit,
	RoleUnwound: capture.KindUnwound, roleFiltered: capture.KindFiltered,
}

// pairs reports whether the program is one for whole calls.
func (f *Func) pairs() bool { return f.Plan.Pair != 0 }

// opens reports whether the program remembers a call as open.
func (f *Func) opens() bool { return f.pairs() && f.Role == RoleEntry }

// Where key, value and g are on the program's stack, until there is memory for the
// record: offsets from the frame pointer.
const (
	openKey = -40
	openG   = -8
)

// openValue is where the value is, below the key, with what is kept of the call at
// its end.
func (g *gen) openValue() int16 {
	if g.counting != nil {
		return g.counting.openAt(g.opts.Kept)
	}
	return openKey - OpenSize - 8*int16(g.opts.Kept+g.opts.KeptKey)
}

// openKey makes the key of the call, and jumps to failed where that is not
// possible. It uses regRecord.
//
// Stacks move, and goroutines change threads. What stays is the goroutine's ID,
// which is not used again, and the distance of the frame from the upper end of the
// stack: copystack in runtime/stack.go keeps it.
func (g *gen) openKey(f *Func, failed string) {
	g.note("key: process, goroutine, depth of the frame")
	if f.G.Kind == GThread {
		g.threadG(f, openG)
		g.emit(
			asm.JNE.Imm(asm.R0, 0, failed),
			asm.LoadMem(regRecord, asm.RFP, openG, asm.DWord),
		)
	} else {
		g.loadReg(regRecord, f.G.Reg)
	}
	read := func(at int, size int32, disp int64) {
		g.emit(
			asm.Mov.Reg(asm.R1, asm.RFP), asm.Add.Imm(asm.R1, int32(at)),
			asm.Mov.Imm(asm.R2, size),
			asm.Mov.Reg(asm.R3, regRecord), asm.Add.Imm(asm.R3, int32(disp)),
			asm.FnProbeReadUser.Call(),
			asm.JNE.Imm(asm.R0, 0, failed),
		)
	}
	g.note("g.goid")
	read(openKey+OpenGoroutine, 8, f.Plan.Goroutine)
	named := g.fresh("named")
	g.emit(
		asm.LoadMem(asm.R1, asm.RFP, openKey+OpenGoroutine, asm.DWord),
		asm.JNE.Imm(asm.R1, 0, named),
		asm.LoadImm(asm.R1, -1<<63, asm.DWord),
		asm.Or.Reg(asm.R1, regRecord),
		asm.StoreMem(asm.RFP, openKey+OpenGoroutine, asm.R1, asm.DWord),
	)
	g.label(named)
	g.note("g.stack.hi")
	word := int64(f.Arch.PtrSize)
	read(openKey+OpenDepth, int32(word), word)
	g.emit(asm.LoadMem(asm.R2, asm.RFP, openKey+OpenDepth, g.machine.word))
	g.loadReg(asm.R1, f.Arch.SP)
	g.emit(
		asm.Sub.Reg(asm.R2, asm.R1),
		asm.Sub.Imm(asm.R2, int32(f.CFA)),
		asm.StoreMem(asm.RFP, openKey+OpenDepth, asm.R2, asm.DWord),
	)
	g.pidTgid(asm.RFP, openKey+OpenPID)
	g.emit(
		asm.RSh.Imm(asm.R0, 32),
		asm.StoreMem(asm.RFP, openKey+OpenPID, asm.R0, asm.DWord),
	)
}

// open remembers the call, in place of one whose return never came. It leaves the
// time in regAddr.
func (g *gen) open(f *Func) {
	g.openKey(f, g.lost(LossUnread))
	g.note("the call is open")
	value := func(field int16, r asm.Register) {
		g.emit(asm.StoreMem(asm.RFP, g.openValue()+field, r, asm.DWord))
	}
	g.emit(asm.FnKtimeGetNs.Call(), asm.Mov.Reg(regAddr, asm.R0))
	value(OpenTime, regAddr)
	g.emit(asm.Mov.Imm(asm.R1, int32(f.ID)))
	value(OpenFunc, asm.R1)
	g.bias(asm.R1, asm.R2, f)
	value(OpenBias, asm.R1)
	g.openDict(f)
	if g.slotted(f) {
		g.openSlot()
		return
	}
	g.updateOpen(updateAny)
	g.emit(asm.JNE.Imm32(asm.R0, 0, g.lost(LossOpen)))
}

// updateOpen stores the value on the stack in MapOpen.
func (g *gen) updateOpen(flags int32) {
	g.openMap()
	g.emit(
		asm.Mov.Reg(asm.R3, asm.RFP), asm.Add.Imm(asm.R3, int32(g.openValue())),
		asm.Mov.Imm(asm.R4, flags),
		asm.FnMapUpdateElem.Call(),
	)
}

// openDict stores the dictionary that generic code is called with.
func (g *gen) openDict(f *Func) {
	none := g.fresh("nodict")
	g.emit(
		asm.Mov.Imm(asm.R1, 0),
		asm.StoreMem(asm.RFP, g.openValue()+OpenDict, asm.R1, asm.DWord),
	)
	if f.Plan.Dict == nil {
		return
	}
	if f.doubts() {
		g.emit(asm.JNE.Imm(regFailed, 0, none))
	}
	g.loadDict(f, none)
	g.stated(asm.R1, f)
	g.emit(asm.StoreMem(asm.RFP, g.openValue()+OpenDict, asm.R1, asm.DWord))
	g.label(none)
}

// undo generates what becomes of a call that is open, or of one under the same key
// whose return never came, when the call is not recorded: a return would be taken
// for that of the wrong call.
func (g *gen) undo() {
	if g.undoes == nil {
		return
	}
	u := g.undoes
	g.undoes = nil
	for cause, used := range u.causes {
		if used {
			g.label(u.label(cause))
			g.emit(asm.Mov.Imm(regFailed, int32(cause)), asm.Ja.Label(u.name+"undo"))
		}
	}
	if u.exits {
		g.label(u.label(lossCount))
		g.emit(asm.Mov.Imm(regFailed, lossCount))
	}
	g.label(u.name + "undo")
	g.note("the call is not recorded")
	g.openKey(u.f, u.name+"undone")
	switch a := u.f.Aggregate; {
	case a != nil && a.Unwinds:
		g.left(u.f, u.name+"undone", u.name+"undone", func(failed string) {
			g.forgetOpen(u.f, failed)
			g.emit(asm.JNE.Imm32(asm.R0, 0, failed))
		})
	case a != nil:
		g.whoseCall(u.name + "undone")
		g.forgetOpen(u.f, u.name+"undone")
		g.emit(asm.JNE.Imm32(asm.R0, 0, u.name+"undone"))
		g.overtaken(u.name + "undone")
	default:
		g.forgetOpen(u.f, u.name+"undone")
	}
	g.label(u.name + "undone")
	for cause, used := range u.causes {
		if used {
			g.emit(asm.JEq.Imm(regFailed, int32(cause), g.lost(cause)))
		}
	}
	g.emit(asm.Ja.Label("exit"))
}

// undoing is the function whose calls are to be forgotten where they are lost.
type undoing struct {
	f      *Func
	name   string
	causes [lossCount]bool
	exits  bool
}

func (u *undoing) label(cause int) string { return u.name + lossLabel(cause) }

// lost returns the label to jump to when a call is lost.
func (g *gen) lost(cause int) string {
	if g.undoes != nil {
		g.undoes.causes[cause] = true
		return g.undoes.label(cause)
	}
	if g.later && (cause == LossRing || cause == LossBusy) {
		cause = LossLater
	}
	g.losses[cause] = true
	return lossLabel(cause)
}

// ignored returns the label to jump to when a hit is no call of interest.
func (g *gen) ignored() string {
	if g.undoes != nil {
		g.undoes.exits = true
		return g.undoes.label(lossCount)
	}
	return "exit"
}

// openMap loads MapOpen and the key, the arguments of all helpers for maps.
func (g *gen) openMap() {
	g.emit(
		asm.LoadMapPtr(asm.R1, 0).WithReference(MapOpen),
		asm.Mov.Reg(asm.R2, asm.RFP), asm.Add.Imm(asm.R2, openKey),
	)
}

// findOpen leaves in R0 what MapOpen has of the call that returns, in regAddr when it
// began, or jumps to none.
func (g *gen) findOpen(f *Func, none string) {
	g.openMap()
	g.emit(
		asm.FnMapLookupElem.Call(),
		asm.JEq.Imm(asm.R0, 0, none),
		asm.LoadMem(asm.R1, asm.R0, OpenFunc, asm.DWord),
		asm.JNE.Imm(asm.R1, int32(f.ID), none),
		asm.LoadMem(regAddr, asm.R0, OpenTime, asm.DWord),
	)
}

// close finds the call that returns, and forgets it. It leaves what was known of it in
// the place of the value.
func (g *gen) close(f *Func) {
	g.openKey(f, g.lost(LossLater)) // it may be that of a call that is open
	g.note("which call returns?")
	none, emitNone := g.unmatched()
	defer emitNone()
	value := func(from asm.Register) {
		for _, field := range g.closing(f) {
			g.emit(
				asm.LoadMem(asm.R1, from, field, asm.DWord),
				asm.StoreMem(asm.RFP, g.openValue()+field, asm.R1, asm.DWord),
			)
		}
	}
	if !g.slotted(f) {
		g.findOpen(f, none)
		value(asm.R0)
		g.openMap()
		g.emit(asm.FnMapDeleteElem.Call())
		return
	}
	other, closed := g.fresh("other"), g.fresh("closed")
	g.slot()
	g.inSlot(other, none)
	g.emit(
		asm.LoadMem(asm.R1, asm.R2, OpenFunc, asm.DWord),
		asm.JNE.Imm(asm.R1, int32(f.ID), none),
		asm.Mov.Reg(regAddr, asm.R0),
	)
	value(asm.R2)
	g.giveUpSlot(none)
	g.emit(asm.Ja.Label(closed))
	g.label(other)
	g.emit(asm.StoreMem(asm.RFP, openG, asm.R2, asm.DWord))
	g.findOpen(f, none)
	value(asm.R0)
	g.deleteSpilled(none)
	g.label(closed)
}

// pair writes what joins entry and return to the record. The key may lie where the
// record is built: it is read before anything is written.
func (g *gen) pair(f *Func) {
	if !f.pairs() {
		return
	}
	g.note("what joins entry and return")
	g.emit(
		asm.LoadMem(asm.R1, asm.RFP, openKey+OpenGoroutine, asm.DWord),
		asm.LoadMem(asm.R2, asm.RFP, openKey+OpenDepth, asm.DWord),
		asm.LoadMapValue(asm.R3, 0, 0).WithReference(MapLater),
		asm.LoadMem(asm.R3, asm.R3, 0, asm.DWord),
	)
	g.pairMore(f)
	to := func(word int, r asm.Register) {
		g.emit(asm.StoreMem(regRecord, int16(f.Plan.Pair+word), r, asm.DWord))
	}
	to(capture.PairGoroutine, asm.R1)
	to(capture.PairDepth, asm.R2)
	to(capture.PairLost, asm.R3)
	switch {
	case f.Role == RoleReturn, f.Role == roleFiltered, f.Role == RolePanic, f.Role == RoleUnwound:
		to(capture.PairTime, regAddr)
	case f.Role == RoleEntry && f.Unwound != nil:
		to(capture.PairTime, asm.R4)
	default:
		g.emit(asm.Mov.Imm(asm.R1, 0))
		to(capture.PairTime, asm.R1)
	}
}

// pairedHeader writes time and goroutine to the header, as they are known already.
func (g *gen) pairedHeader(f *Func) {
	if f.opens() {
		g.emit(asm.StoreMem(regRecord, capture.OffTime, regAddr, asm.DWord))
	}
	known := g.fresh("known")
	g.emit(
		asm.LoadMem(asm.R1, regRecord, int16(f.Plan.Pair+capture.PairGoroutine), asm.DWord),
		asm.JSGE.Imm(asm.R1, 0, known),
		asm.Mov.Imm(asm.R1, 0),
	)
	g.label(known)
	g.emit(asm.StoreMem(regRecord, capture.OffGoroutine, asm.R1, asm.DWord))
}

// checkPair returns why no whole calls can be recorded of f, "" if they can.
func (g *gen) checkPair(f *Func) string {
	switch {
	case !f.pairs():
		if f.Role != RoleEntry {
			return "its plan has no room for what joins entry and return"
		}
	case f.Plan.Goroutine == 0 || !Usable(f.G, g.opts):
		return "nothing tells its goroutine"
	case f.Role == RoleReturn && !g.exactG(f):
		return "nothing tells its goroutine at a return"
	}
	return ""
}

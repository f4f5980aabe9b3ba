package probegen

import (
	"github.com/cilium/ebpf/asm"

	"github.com/argtap/argtap/abi"
	"github.com/argtap/argtap/internal/capture"
)

// GKind is a way to find the current g, the runtime's structure that describes
// the goroutine.
type GKind uint8

// The ways.
const (
	// GNone: there is none. Records show goroutine 0.
	GNone GKind = iota
	// GRegister: a register holds it.
	GRegister
	// GThread: it is in the thread's local storage.
	GThread
)

// G says where the g of the goroutine is at the entry site of a function.
type G struct {
	Kind GKind
	// Reg holds the g, if Kind is GRegister.
	Reg abi.Reg
	// TLS is the distance in bytes from the thread's base, the FS register's on
	// amd64 and that of GS on 386, to the word that holds the g, if Kind is GThread.
	TLS int64
}

// Usable reports whether programs with these options find the g. Where they do
// not, the goroutine is 0.
func Usable(g G, o Options) bool {
	switch g.Kind {
	case GRegister:
		return true
	case GThread:
		return o.ThreadBase != 0
	}
	return false
}

// reservedG reports whether the calling convention reserves a register for the
// g and that holds it, so that it does in the whole function, and not only at
// the entry site.
func (f *Func) reservedG() bool {
	return f.G.Kind == GRegister && f.Arch.HasG && f.G.Reg == f.Arch.G
}

// exactG reports whether the g can be found at any site of the function.
func (g *gen) exactG(f *Func) bool {
	return f.reservedG() || f.G.Kind == GThread && Usable(f.G, g.opts)
}

// stackG returns the place on the program's stack where threadG leaves the g for
// the header: below a record that is built there, or where chunks have the
// cursor later. Programs with loops have little stack to spare.
func stackG(p *capture.Plan) int16 {
	if fitsStack(p) && p.Walk == nil && !p.InScratch() {
		return -maxOnStack - 8
	}
	return stackCursor
}

// loadG loads the g into R3: from slot of the program's stack if threadG has read it
// there.
func (g *gen) loadG(f *Func, slot int16) {
	if f.G.Kind == GThread {
		g.emit(asm.LoadMem(asm.R3, asm.RFP, slot, asm.DWord))
	} else {
		g.loadReg(asm.R3, f.G.Reg)
	}
}

// threadG reads the g from the thread's local storage to the stack.
//
// The kernel keeps the base of the FS register in the task, from when it is set
// (arch_prctl, clone) on; only a program that sets it by WRFSBASE would have
// another, and neither Go's runtime nor a C library does so.
//
// Helpers clear what they fail to read. So a failure leaves 0, and the next
// read, near address 0, fails too.
func (g *gen) threadG(f *Func, at int16) {
	g.note("g, in the thread's local storage")
	g.emit(asm.FnGetCurrentTask.Call(), asm.Mov.Reg(asm.R3, asm.R0))
	g.add(asm.R3, g.opts.ThreadBase)
	to := func(size int32) {
		g.emit(
			asm.Mov.Reg(asm.R1, asm.RFP), asm.Add.Imm(asm.R1, int32(at)),
			asm.Mov.Imm(asm.R2, size),
		)
	}
	to(8)
	g.emit(
		asm.FnProbeReadKernel.Call(),
		asm.LoadMem(asm.R3, asm.RFP, at, asm.DWord),
	)
	if g.machine.tlsArray {
		// Intel SDM vol. 3, 3.4.5: the base is in bits 16 to 39 and 56 to 63.
		g.emit(
			asm.Mov.Reg(asm.R1, asm.R3),
			asm.LSh.Imm(asm.R3, 24), asm.RSh.Imm(asm.R3, 40),
			asm.RSh.Imm(asm.R1, 56), asm.LSh.Imm(asm.R1, 24),
			asm.Or.Reg(asm.R3, asm.R1),
			asm.Mov.Imm(asm.R1, 0), // a pointer has 4 bytes
			asm.StoreMem(asm.RFP, at, asm.R1, asm.DWord),
		)
	}
	g.add(asm.R3, f.G.TLS)
	if g.machine.tlsArray {
		g.emit(asm.Mov.Reg32(asm.R3, asm.R3))
	}
	to(int32(f.Arch.PtrSize))
	g.emit(asm.FnProbeReadUser.Call())
}

// goroutine writes the goroutine's ID to the header. R1 is 0.
func (g *gen) goroutine(f *Func) {
	if f.Plan.Goroutine == 0 || !Usable(f.G, g.opts) {
		g.emit(asm.StoreMem(regRecord, capture.OffGoroutine, asm.R1, asm.DWord))
		return
	}
	if f.G.Kind == GThread {
		at := stackG(f.Plan)
		g.threadG(f, at)
		g.note("g.goid")
		g.emit(asm.LoadMem(asm.R3, asm.RFP, at, asm.DWord))
	} else {
		g.note("g.goid")
		g.loadReg(asm.R3, f.G.Reg)
	}
	g.readFixed(capture.Read{Offset: capture.OffGoroutine, Size: 8}, f.Plan.Goroutine)
}

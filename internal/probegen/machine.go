package probegen

import (
	"math"

	"github.com/cilium/ebpf/asm"

	"github.com/argtap/argtap/abi"
	"github.com/argtap/argtap/internal/capture"
)

// machine says how a program sees an architecture: where the registers of the
// target are in its context.
type machine struct {
	regs map[abi.Reg]int16
	// pc is the offset of the address of the instruction that is probed.
	pc int16
	// word is the size of a register, and of a pointer in memory.
	word asm.Size
	// firstCond is the first of the architecture's sixteen conditions.
	firstCond Cond
	// jumpIf jumps to target when the saved flags satisfy one of them.
	jumpIf func(g *gen, cond Cond, target string)
	// fsBase says that the thread's base is known to the kernel as
	// thread.fsbase.
	fsBase bool
	// tlsArray says that it is in a segment descriptor, the first of
	// thread.tls_array: the one that the runtime and C libraries take.
	tlsArray bool
}

var machines = map[string]*machine{
	abi.AMD64.GOARCH: &amd64,
	abi.ARM64.GOARCH: &arm64,
	abi.I386.GOARCH:  &i386,
}

// check returns why no program can be generated for f, "" if one can.
func (g *gen) check(f *Func) string {
	if f.Arch == nil || machines[f.Arch.GOARCH] == nil {
		return "unsupported architecture"
	}
	if g.machine == nil {
		g.machine, g.arch = machines[f.Arch.GOARCH], f.Arch
	}
	if g.machine != machines[f.Arch.GOARCH] {
		return "architectures are mixed"
	}
	if f.Plan.PtrSize != int(f.Arch.PtrSize) {
		return "its plan was made for another architecture"
	}
	for _, s := range f.Plan.Stores {
		if !s.IsConst && g.unreadable(s.Reg) {
			return "register " + f.Arch.RegName(s.Reg) + " is not readable"
		}
	}
	for _, r := range f.Plan.Reads {
		if !r.Frame && g.unreadable(r.Reg) {
			return "register " + f.Arch.RegName(r.Reg) + " is not readable"
		}
	}
	if f.Receiver == nil && usesReceiver(f) {
		return "nothing leads to its receiver"
	}
	if f.Receiver != nil {
		if reason := f.Receiver.check(g); reason != "" {
			return reason
		}
	}
	if reason := g.checkDict(f); reason != "" {
		return reason
	}
	if reason := g.checkPair(f); reason != "" {
		return reason
	}
	if reason := g.checkStack(f); reason != "" {
		return reason
	}
	if reason := g.checkAggregate(f); reason != "" {
		return reason
	}
	if c := f.Skip; c != Never && c != Always && (c < g.machine.firstCond || c >= g.machine.firstCond+16) {
		return "it has a condition of another architecture"
	}
	switch {
	case f.G.Kind == GRegister && g.unreadable(f.G.Reg):
		return "register " + f.Arch.RegName(f.G.Reg) + " is not readable"
	case f.G.Kind == GThread && !g.machine.fsBase && !g.machine.tlsArray:
		return "the thread's base is not known on " + f.Arch.GOARCH
	case f.doubts() && !g.exactG(f):
		return "nothing tells its goroutine across a call of morestack"
	}
	return ""
}

func (g *gen) unreadable(r abi.Reg) bool {
	_, ok := g.machine.regs[r]
	return !ok && r != RegReceiver
}

// exitUnless ends the program unless a register satisfies a condition.
func (g *gen) exitUnless(t Test) {
	g.notef("%s: bits %#x, zero %t", g.arch.RegName(t.Reg), t.Mask, t.Zero)
	g.loadReg(asm.R1, t.Reg)
	g.emit(asm.LoadImm(asm.R2, int64(t.Mask), asm.DWord), asm.And.Reg(asm.R1, asm.R2))
	if t.Zero {
		g.emit(asm.JNE.Imm(asm.R1, 0, "exit"))
	} else {
		g.emit(asm.JEq.Imm(asm.R1, 0, "exit"))
	}
}

// loadReg loads a register of the target.
func (g *gen) loadReg(dst asm.Register, r abi.Reg) {
	if r == RegReceiver {
		g.loadReceiver(dst)
		return
	}
	g.emit(asm.LoadMem(dst, regCtx, g.machine.regs[r], g.machine.word))
}

// jumpIf jumps to target when the saved flags satisfy cond, which must be one
// that they sometimes do. It uses R1 and R2.
func (g *gen) jumpIf(cond Cond, target string) {
	g.notef("flags: condition %#x", int(cond))
	g.machine.jumpIf(g, cond, target)
}

// always reports whether all flags satisfy the condition.
func (c Cond) always() bool { return c == Always || c == condAL || c == condNV }

// add adds a constant to a register other than R1, which it may use.
func (g *gen) add(dst asm.Register, v int64) {
	switch {
	case v == 0:
	case v == int64(int32(v)):
		g.emit(asm.Add.Imm(dst, int32(v)))
	default:
		g.emit(asm.LoadImm(asm.R1, v, asm.DWord), asm.Add.Reg(dst, asm.R1))
	}
}

// length loads the length of a string or slice, which lies at src+off, into
// regSize. If that is not positive it jumps to store, with the slot's word in R2:
// what is there already, for a length of zero.
func (g *gen) length(src asm.Register, off int16, store string) {
	g.emit(
		asm.LoadMem(regSize, src, off, g.machine.word),
		asm.JEq.Imm(regSize, 0, store),
		asm.LoadImm(asm.R2, int64(capture.NoSlot(abi.Implausible)), asm.DWord),
	)
	if g.machine.word == asm.DWord {
		g.emit(asm.JSLT.Imm(regSize, 0, store))
	} else {
		g.emit(asm.JGT.Imm(regSize, math.MaxInt32, store))
	}
}

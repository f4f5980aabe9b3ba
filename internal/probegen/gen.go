package probegen

import (
	"fmt"
	"strconv"

	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/btf"

	"github.com/argtap/argtap/abi"
	"github.com/argtap/argtap/internal/capture"
)

// The registers that hold the same thing throughout a program. R0–R5 are lost
// at each helper call.
const (
	regCtx    = asm.R6 // the saved registers of the target
	regRecord = asm.R7 // the record that is being built
	regAddr   = asm.R8 // an address in the target
	regSize   = asm.R9 // a size in bytes or a count
	regFailed = asm.R9 // until the header is written: its word at OffFailed
)

// gen accumulates the instructions of a program.
type gen struct {
	opts    Options
	ins     asm.Instructions
	comment string    // for the next instruction
	symbol  string    // for the next instruction
	fn      *btf.Func // begins with the next instruction
	labels  int
	// callbacks generate the functions that follow the program.
	callbacks []func()
	// losses are the outcomes that the function at hand may have, counts says that
	// any has some.
	losses [lossCount]bool
	counts bool
	// budgeted are the instructions that store and load when the program began,
	// begun is the one that stores it in the function at hand.
	budgeted []int
	begun    int
	// received are the instructions that store, load or refer to where the receiver
	// of a method is.
	received []int
	// undoes is the function whose calls must be forgotten where they are lost, nil
	// if those of the function at hand need not. later says that it records no
	// entries: see lost.
	undoes *undoing
	later  bool
	// counting is the aggregation of the function at hand, nil for records.
	counting *Aggregate
	// walker is the walk that the function of the steps serves, which all
	// functions share. nil if none walks.
	walker *capture.Walk
	// stacks says that the function of frames is used, depth is what it is made for,
	// 0 if no function has a stack.
	stacks  bool
	depth   int
	machine *machine
	arch    *abi.Arch
}

func (g *gen) start(funcs []Func) error {
	if g.opts.CPUs <= 0 {
		return &UnsupportedError{Reason: "the number of CPUs is unknown"}
	}
	if g.opts.Sleepable && g.opts.NoAtomics {
		return &UnsupportedError{Reason: "a program that may sleep needs atomic exchange"}
	}
	if n := g.opts.Slots; n != 0 && (n < 2 || n&(n-1) != 0 || g.opts.NoAtomics) {
		return &UnsupportedError{Reason: fmt.Sprintf("%d slots, or no atomic exchange for them", n)}
	}
	if reason := g.opts.Limits.check(); reason != "" {
		return &UnsupportedError{funcs[0].Name, reason}
	}
	if reason := g.opts.checkWhose(); reason != "" {
		return &UnsupportedError{funcs[0].Name, reason}
	}
	for i := range funcs {
		if reason := g.check(&funcs[i]); reason != "" {
			return &UnsupportedError{funcs[i].Name, reason}
		}
	}
	return nil
}

func (g *gen) emit(ins ...asm.Instruction) {
	for _, in := range ins {
		if g.symbol != "" {
			in = in.WithSymbol(g.symbol)
			g.symbol = ""
		}
		if g.comment != "" {
			in = in.WithSource(asm.Comment(g.comment))
			g.comment = ""
		}
		if g.fn != nil {
			in = btf.WithFuncMetadata(in, g.fn)
			g.fn = nil
		}
		g.ins = append(g.ins, in)
	}
}

// note attaches a source comment to the next instruction, behind one that it
// has already.
func (g *gen) note(s string) {
	if g.comment != "" {
		s = g.comment + ": " + s
	}
	g.comment = s
}

func (g *gen) notef(format string, args ...any) { g.note(fmt.Sprintf(format, args...)) }

// label names the next instruction. Two labels in one place need an
// instruction between them.
func (g *gen) label(name string) {
	if g.symbol != "" {
		g.emit(asm.Ja.Label(name))
	}
	g.symbol = name
}

// fresh returns an unused label.
func (g *gen) fresh(prefix string) string {
	g.labels++
	return prefix + strconv.Itoa(g.labels)
}

func funcLabel(f *Func) string { return "func" + strconv.Itoa(int(f.Cookie)) }

// dispatch jumps to the code of the function that the attach cookie selects, by
// binary search.
func (g *gen) dispatch(funcs []Func) {
	g.function("argtap_entry", probe)
	g.note("program for " + funcs[0].Name)
	g.emit(asm.Mov.Reg(regCtx, asm.R1))
	if g.opts.ThreadStack {
		g.threadStack()
	}
	if len(funcs) == 1 {
		return
	}
	g.note("which site?")
	g.emit(asm.FnGetAttachCookie.Call())
	var search func(fs []Func)
	search = func(fs []Func) {
		if len(fs) == 1 {
			// LongJump would need a newer instruction set; bundles are kept
			// below the reach of a short one.
			g.emit(asm.Ja.Label(funcLabel(&fs[0])))
			return
		}
		mid := len(fs) / 2
		upper := g.fresh("search")
		g.emit(asm.JGE.Imm(asm.R0, int32(fs[mid].Cookie), upper))
		search(fs[:mid])
		g.label(upper)
		search(fs[mid:])
	}
	search(funcs)
}

// threadStack makes the kernel run the program on the stack of the thread.
//
// Since Linux 6.13 the JIT compiler gives kprobe programs, which programs for
// uprobes are to the kernel, stack frames of 64 bytes and more in memory of the
// CPU ("private stack", bpf_enable_priv_stack in kernel/bpf/verifier.c): the
// kernel takes it that no two of a program run on a CPU at a time. For uprobes
// that is not so: they are preempted, and wait for pages. Then two threads
// build their records in the same memory. A program with a tail call, executed
// or not, is exempt (check_max_stack_depth). This one is behind a condition
// that the verifier knows to be false: it is not looked at and removed.
func (g *gen) threadStack() {
	g.note("a tail call that is never made keeps the stack the thread's own")
	over := g.fresh("over")
	g.emit(
		asm.Mov.Imm(asm.R0, 0),
		asm.JEq.Imm(asm.R0, 0, over),
		asm.FnTailCall.Call(),
	)
	g.label(over)
}

// entry generates the code of one function.
func (g *gen) entry(f *Func) {
	defer g.outcomes(f, len(g.ins))
	g.label(funcLabel(f))
	if f.Role == RoleReturn {
		g.note("return of " + f.Name)
	} else {
		g.note("entry of " + f.Name)
	}
	g.onlyPID()
	g.counting = f.Aggregate
	if g.later = f.Role != RoleEntry; g.later {
		g.laterHit(f)
		return
	}
	if f.opens() {
		g.undoes = &undoing{f: f, name: funcLabel(f)}
		defer g.undo()
	}
	switch {
	case f.Skip.always():
		// The kernel refuses code that cannot be reached.
		g.undoes = nil
		g.emit(asm.Ja.Label("exit"))
		return
	case f.Skip != Never:
		g.jumpIf(f.Skip, "exit")
	}
	g.beginMeasure()
	g.mark(f)
	if g.opts.Cgroup != (Cgroup{}) {
		g.onlyCgroup(g.ignored())
	}
	g.receiver(f)
	g.onlyDicts(f)
	g.admit(f)
	g.where(f)
	g.take(f)
	if f.Aggregate != nil {
		g.aggregate(f)
		return
	}
	if f.opens() {
		g.keep(f)
		g.open(f)
	}
	g.record(f)
}

// laterHit generates the code of a function for another site than its entry.
func (g *gen) laterHit(f *Func) {
	g.beginMeasure()
	if f.Aggregate != nil {
		g.aggregateReturn(f)
		return
	}
	if f.Role == RoleReturn {
		g.close(f)
		if len(f.Where) > 0 {
			g.whereReturned(f)
			return
		}
	} else {
		g.onlyCgroup("exit")
		g.openKey(f, g.lost(LossLater))
	}
	switch f.Role {
	case RolePanic:
		g.panicking(f)
	case RoleUnwound:
		g.unwound(f)
	}
	g.record(f)
}

// epilogue ends the program: the counter of outcomes, and the exit.
func (g *gen) epilogue(name string) error {
	g.count()
	g.measure()
	g.label("exit")
	g.emit(asm.Mov.Imm(asm.R0, 0), asm.Return())
	if err := g.place(name); err != nil {
		return err
	}
	for len(g.callbacks) > 0 {
		next := g.callbacks[0]
		g.callbacks = g.callbacks[1:]
		next()
	}
	return nil
}

// Prototypes of the functions in a program. The kernel wants types for the
// functions that bpf_loop calls.
var (
	tInt  = &btf.Int{Name: "int", Size: 4, Encoding: btf.Signed}
	tU32  = &btf.Int{Name: "unsigned int", Size: 4}
	tPtr  = &btf.Pointer{Target: (*btf.Void)(nil)}
	probe = &btf.FuncProto{Return: tInt, Params: []btf.FuncParam{{Name: "ctx", Type: tPtr}}}
	each  = &btf.FuncProto{Return: tInt, Params: []btf.FuncParam{{Name: "index", Type: tU32}, {Name: "level", Type: tPtr}}}
)

// function makes the next instruction the first of a function.
func (g *gen) function(name string, proto *btf.FuncProto) {
	g.symbol = name
	g.fn = &btf.Func{Name: name, Type: proto, Linkage: btf.StaticFunc}
}

// loopCall calls bpf_loop for as many turns as R1 says, with a function that is given
// the address of slot of the program's stack.
func (g *gen) loopCall(callback string, slot int16) {
	g.emit(
		asm.Instruction{
			OpCode: asm.LoadImmOp(asm.DWord), Dst: asm.R2, Src: asm.PseudoFunc, Constant: -1,
		}.WithReference(callback),
		asm.Mov.Reg(asm.R3, asm.RFP),
		asm.Add.Imm(asm.R3, int32(slot)),
		asm.Mov.Imm(asm.R4, 0),
		asm.FnLoop.Call(),
	)
}

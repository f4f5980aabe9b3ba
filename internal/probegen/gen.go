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

// record builds a record and sends it.
func (g *gen) record(f *Func) {
	p := f.Plan
	switch {
	case p.Walk != nil:
		g.takeScratch(&walkScratch)
	case p.InScratch(), inScratch(p):
		g.takeScratch(&chunkScratch)
	case fitsStack(p):
		g.notef("a record of %d bytes on the stack", p.Fixed)
		g.emit(
			asm.Mov.Reg(regRecord, asm.RFP),
			asm.Add.Imm(regRecord, -int32(capture.Align8(int64(p.Fixed)))),
		)
	default:
		g.reserve(p)
	}
	g.pair(f)
	g.header(f)
	g.stack(f)
	g.images(f)
	g.exprs(f)
	switch {
	case p.Walk != nil:
		g.walk(f)
		g.sendScratch(&walkScratch)
	case p.InScratch(), inScratch(p):
		g.chunks(p)
		g.sendScratch(&chunkScratch)
	case fitsStack(p):
		g.sendStack(p)
	default:
		g.note("submit")
		g.emit(
			asm.Mov.Reg(asm.R1, regRecord),
			asm.Mov.Imm(asm.R2, 0),
			asm.FnRingbufSubmit.Call(),
			asm.Ja.Label("exit"),
		)
	}
}

func (g *gen) header(f *Func) {
	g.note("header")
	if kind := roleKinds[f.Role]; kind == capture.KindEntry {
		g.emit(asm.Mov.Imm(asm.R1, int32(f.ID)))
	} else {
		g.emit(asm.LoadImm(asm.R1, int64(kind<<(8*capture.OffKind)|uint64(f.ID)), asm.DWord))
	}
	g.emit(asm.StoreMem(regRecord, capture.OffPlan, asm.R1, asm.DWord))
	switch {
	case f.opens():
	case f.timed():
		g.emit(asm.StoreMem(regRecord, capture.OffTime, regNow, asm.DWord))
	default:
		g.emit(
			asm.FnKtimeGetNs.Call(),
			asm.StoreMem(regRecord, capture.OffTime, asm.R0, asm.DWord),
		)
	}
	g.pidTgid(regRecord, capture.OffPIDTID)
	g.emit(
		asm.StoreMem(regRecord, capture.OffPIDTID, asm.R0, asm.DWord),
		asm.Mov.Imm(asm.R1, 0),
	)
	failed := asm.R1
	if f.doubts() {
		failed = regFailed
	}
	g.emit(asm.StoreMem(regRecord, capture.OffFailed, failed, asm.DWord))
	if f.pairs() {
		g.pairedHeader(f)
		return
	}
	g.goroutine(f)
}

// readFixed reads what r says at R3+disp into the record, and sets r's bit of the
// failure word if that fails.
func (g *gen) readFixed(r capture.Read, disp int64) {
	ok := g.fresh("ok")
	g.add(asm.R3, disp)
	g.emit(
		asm.Mov.Reg(asm.R1, regRecord),
		asm.Add.Imm(asm.R1, int32(r.Offset)),
		asm.Mov.Imm(asm.R2, int32(r.Size)),
		asm.FnProbeReadUser.Call(),
		asm.JEq.Imm(asm.R0, 0, ok),
	)
	g.fetchReceiver(r, ok)
	g.note("failed: say so")
	g.emit(asm.LoadMem(asm.R1, regRecord, capture.OffFailed, asm.DWord))
	if r.Bit < 31 {
		g.emit(asm.Or.Imm(asm.R1, 1<<r.Bit))
	} else {
		g.emit(asm.LoadImm(asm.R2, int64(uint64(1)<<r.Bit), asm.DWord), asm.Or.Reg(asm.R1, asm.R2))
	}
	g.emit(asm.StoreMem(regRecord, capture.OffFailed, asm.R1, asm.DWord))
	g.label(ok)
}

// images writes the parameters. Bytes that no piece covers are zeroed, so that
// a record never shows what the buffer held before.
func (g *gen) images(f *Func) {
	p := f.Plan
	g.zeroGaps(p)
	for _, s := range p.Stores {
		size := memSize(s.Size)
		if s.IsConst {
			g.emit(asm.LoadImm(asm.R1, int64(s.Const), asm.DWord))
		} else {
			g.note(f.Arch.RegName(s.Reg))
			g.loadReg(asm.R1, s.Reg)
		}
		g.emit(asm.StoreMem(regRecord, int16(s.Offset), asm.R1, size))
	}
	for _, r := range p.Reads {
		reg, disp := r.Reg, r.Disp
		if r.Frame {
			reg, disp = f.Arch.SP, r.Disp+f.CFA
			name := ".dict"
			if r.Param >= 0 {
				name = p.Params[r.Param].Name
			}
			g.notef("%s at CFA%+d", name, r.Disp)
		}
		g.loadReg(asm.R3, reg)
		g.readFixed(r, disp)
	}
	g.dict(f)
	if len(p.Erase) > 0 {
		g.note("erase what is redacted")
		g.erase(regRecord, 0, p.Erase)
	}
}

// zeroGaps stores zero to every word of the images that is not written whole
// by one store or read.
func (g *gen) zeroGaps(p *capture.Plan) {
	words := (p.SlotBase - capture.HeaderSize) / 8
	written := make([]int, words)
	mark := func(off, size int) {
		for b := off - capture.HeaderSize; b < off-capture.HeaderSize+size; b++ {
			if b >= 0 && b/8 < words {
				written[b/8]++
			}
		}
	}
	for _, s := range p.Stores {
		mark(s.Offset, s.Size)
	}
	for _, r := range p.Reads {
		mark(r.Offset, r.Size)
	}
	if p.Pair != 0 {
		mark(p.Pair, capture.PairSize)
	}
	if p.Stack != 0 {
		mark(p.Stack, capture.StackSize)
	}
	first := true
	for i, n := range written {
		if n >= 8 {
			continue
		}
		if first {
			g.note("padding")
			g.emit(asm.Mov.Imm(asm.R1, 0))
			first = false
		}
		g.emit(asm.StoreMem(regRecord, int16(capture.HeaderSize+8*i), asm.R1, asm.DWord))
	}
}

func memSize(bytes int) asm.Size {
	switch bytes {
	case 1:
		return asm.Byte
	case 2:
		return asm.Half
	case 4:
		return asm.Word
	}
	return asm.DWord
}

func lossLabel(cause int) string { return "lost" + strconv.Itoa(cause) }

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

package probegen

import (
	"fmt"

	"github.com/cilium/ebpf/asm"

	"github.com/argtap/argtap/abi"
	"github.com/argtap/argtap/internal/capture"
	"github.com/argtap/argtap/internal/goruntime"
)

// License is the licence that generated programs declare to the kernel. The
// generator itself is under the project's licence.
const License = "Dual BSD/GPL"

// Names of the maps that programs refer to, to be given to
// [asm.Instructions.AssociateMap].
const (
	// MapCalls is the ring buffer.
	MapCalls = "calls"
	// MapScratch is an array whose elements [Scratch] describes.
	MapScratch = "scratch"
	// MapLosses is an array that each CPU has its own of, with an element of
	// [LossesSize] bytes for each [Func.ID].
	MapLosses = "losses"
	// MapRepeats is a hash of [RepeatKeySize] to 1 byte. Only programs for
	// functions with a [Mark] refer to it.
	MapRepeats = "repeats"
	// MapGrown is a hash of [RepeatKeySize] to 1 byte that forgets what was not
	// used for long. Only programs for functions that do not restore their
	// arguments behind morestack refer to it.
	MapGrown = "grown"
	// MapGates is an array of one element, of which each [Func.ID] has [GateSize]
	// bytes. Only programs with [Limits].First or Interval refer to it.
	MapGates = "gates"
	// MapBudget is an array of one element of [BudgetSize] bytes that each CPU has
	// its own of. Only programs with [Limits].Budget refer to it.
	MapBudget = "budget"
)

// What becomes of a call that is not sent: indexes of the u64 counters in
// MapLosses.
const (
	LossRing = iota // the ring buffer was full
	LossBusy        // no scratch area was free, or there was no room for a mark
	// Filtered is no loss: [Func.Where] was not met.
	Filtered
	LossOpen // MapOpen was full
	// LossLater counts records that are not of an entry: of returns and panics. All
	// of them are counted in MapLater, too.
	LossLater
	// Unmatched is no loss: a return of a call whose entry was not recorded.
	Unmatched
	// Limited, Beyond and Paused are no losses either: what [Limits] kept back by
	// Interval, First and Budget.
	Limited
	Beyond
	Paused
	// Seen counts the hits that Sample had to choose from. Those of each CPU that
	// it kept back follow: see [SampledOut].
	Seen
	// Overtaken is not what becomes of a hit, but of a call of the function that was
	// open to an [Aggregate] when another took its place: it has not returned. With
	// [Aggregate.Unwinds] these are the ones that could not be sent.
	Overtaken
	// LossUnread: what tells the goroutine, or leads to the receiver, could not be read.
	LossUnread
	lossCount
)

// LossesSize is the size of the counters of a function in bytes.
const LossesSize = lossCount * 8

// Layout of a scratch area, in bytes from its start.
const (
	scratchLock   = 0
	scratchCursor = 8
	scratchRecord = 16
	// scratchArea holds the largest record: one that begins a chunk just
	// below capture.VarMax.
	scratchArea = scratchRecord + capture.VarMax + 2*capture.MaxChunk + 16
	// areasPerCPU is explained in the package comment.
	areasPerCPU = 2
)

// maxElement is the size in bytes of the largest array element that all kernels
// have: KMALLOC_MAX_SIZE, which Linux 5.10 checks against and 6.1 no longer.
const maxElement = 4 << 20

// Scratch returns the number and the size in bytes of the elements of MapScratch
// for a machine with the given number of possible CPUs.
func Scratch(cpus int) (elements, size int) { return chunkScratch.elements(cpus) }

// RepeatKeySize is the size of a key of MapRepeats and MapGrown: g, SP, and
// process with plan.
const RepeatKeySize = 24

// Options are what a program needs to know of the machine and the tracer.
type Options struct {
	// CPUs is the number of possible CPUs.
	CPUs int
	// Sleepable programs fetch pages that are not in memory.
	Sleepable bool
	// PID restricts the program to one process, 0 for all; PIDs to several, nil for
	// all.
	PID  uint32
	PIDs []uint32
	// Cgroup and Namespace restrict it to processes in a cgroup and a namespace.
	Cgroup    Cgroup
	Namespace Namespace
	// ThreadBase is the offset in bytes of thread.fsbase in the kernel's
	// task_struct for programs of amd64, of thread.tls_array for those of 386, 0 if it is not known. See [Usable].
	ThreadBase int64
	// NoAtomics is for kernels that refuse [AtomicsProgram]. See the package
	// comment.
	NoAtomics bool
	// ThreadStack keeps the kernel from placing the program's stack in memory
	// of the CPU, which threads that are preempted would share: see threadStack.
	// Kernels that know no such stack need not accept it.
	ThreadStack bool
	// Limits keep calls back.
	Limits Limits
	// Kept is how many words the values of MapOpen have for what is kept of a call:
	// the most that a function of the tracer needs ([Func.KeptWords]).
	Kept int
	// KeptKey is how many words they have behind that for what an [Aggregate] keeps
	// ([Aggregate.OpenSize]), where programs of other roles write to MapOpen, too.
	KeptKey int
	// Slots is how many slots MapSlots has, a power of two, or 0 for none: then
	// MapOpen alone has open calls. They need atomic exchange.
	Slots int
}

// Cond is a condition on the flags register: a condition code of amd64 and 386
// (the low four bits of Jcc's opcode), 0x10 plus one of arm64 (that of B.cond),
// or one of the constants. The numbers are those of site.Cond.
type Cond uint8

// Conditions that are no condition codes.
const (
	Never  Cond = 0xfe
	Always Cond = 0xff
)

// Func is one probed function.
type Func struct {
	// ID comes back in the header of each record.
	ID uint32
	// Cookie is the attach cookie that selects the function when a program
	// serves several. Functions of a program are in its ascending order.
	Cookie uint32
	Name   string
	Arch   *abi.Arch
	Plan   *capture.Plan
	// Role is what the program does. Without a return, plans have no room for what
	// joins both.
	Role Role
	// Site is the address of the probed instruction as the binary states it. A
	// plan with a walk or a dictionary needs it.
	Site uint64
	// Dicts are the dictionaries, as the binary states their addresses, with which
	// a call is to be reported. nil stands for all; else Dict is where it is.
	Dicts []uint64
	Dict  abi.Location
	// CFA is the distance from SP up to the CFA at the probe site, in bytes.
	CFA int64
	// G is where the g is at the probe site. Marks that belong to a call of
	// morestack need it: SetGrown and SkipGrown.
	G G
	// Skip is the condition under which a hit is not a call.
	Skip Cond
	// Resume is where SetGrown and SkipGrown find whether the goroutine came
	// from morestack: see there.
	Resume Resume
	// Receiver leads to what locations call RegReceiver, nil if none does.
	Receiver *Receiver
	// Where are conditions that must all be met for a hit to be recorded. One
	// without a value is not met, nor one for which registers are needed that may
	// be overwritten. At a return for which they are not met a record says so.
	Where []*capture.Expr
	// Keep are values that an entry keeps for the conditions of the return, Unwound
	// is a condition of the entry, or nil, that says whether a call that panics is
	// to be delivered: it comes back in the record at [capture.PairTime].
	Keep    []*capture.Expr
	Unwound *capture.Expr
	// FirstLater says that [Limits].First does not hold for the function: its calls
	// are counted when they have returned.
	FirstLater bool
	// Aggregate has calls counted in place of being recorded, nil for records.
	Aggregate *Aggregate
	// Mark says how hits of this site and another are told to be one call.
	Mark Mark
	// Instances says that the results of generic code are walked by the types of
	// the instance. A plan of an entry says so by its Dict.
	Instances bool
	// Panics is, of RolePanic, where the runtime keeps the panics under way, nil if
	// that is not known.
	Panics *goruntime.PanicLayout
}

// Resume describes the return of morestack in a function.
type Resume struct {
	// SchedPC is the offset of sched.pc in g, 0 if it is not known.
	SchedPC int64
	// Behind is the distance in bytes from the probe's site to the instruction
	// behind the call of morestack.
	Behind int64
}

// Mark is a use of MapRepeats.
type Mark uint8

// The uses. A mark belongs to a goroutine in a function.
const (
	// NoMark: every hit is a call.
	NoMark Mark = iota
	// SkipRepeat: a hit that a back edge has announced is not a call. The mark
	// is bound to SP, which between the two cannot change.
	SkipRepeat
	// SetGrown: this is the site before the call of morestack. A hit is a call
	// unless the mark is set; it sets the mark.
	SetGrown
	// SkipGrown: a hit for which SetGrown has set the mark is not a call. It
	// clears the mark.
	//
	// Without a mark the goroutine may have been within morestack when the
	// probes were attached, and come to either site from there. Its g.sched.pc,
	// which morestack sets, then still is the instruction behind the call:
	// unless the goroutine is known from an earlier mark, the registers are
	// reported as overwritten.
	SkipGrown
)

// Entry generates the program for the entry sites of the given functions, or for
// those of other roles. If there are several, the program tells them apart by the
// attach cookie.
func Entry(funcs []Func, opts Options) (asm.Instructions, error) {
	g := &gen{opts: opts}
	if err := g.start(funcs); err != nil {
		return nil, err
	}
	g.dispatch(funcs)
	for i := range funcs {
		g.entry(&funcs[i])
	}
	if err := g.epilogue(funcs[0].Name); err != nil {
		return nil, err
	}
	return g.ins, nil
}

// Taken is when a branch is taken: the numbers are those of site.BackEdge.
type Taken struct {
	// Cond is the condition on the flags, Never if it is Test that tells.
	Cond Cond
	// Test is the condition on a register.
	Test Test
}

// Test is a condition on a register: those of its bits that are in Mask are all
// 0 if Zero, else not all 0. The zero Test is none.
type Test struct {
	Reg  abi.Reg
	Mask uint64
	Zero bool
}

// BackEdge generates the program for a branch back to the entry site of f: it
// announces that the next hit is not a call.
func BackEdge(f Func, taken Taken, opts Options) (asm.Instructions, error) {
	opts.Limits = Limits{} // this is not where calls are seen
	g := &gen{opts: opts}
	// Only its own condition matters, and the mark is one of this kind.
	f.Skip, f.Mark = taken.Cond, SkipRepeat
	if err := g.start([]Func{f}); err != nil {
		return nil, err
	}
	g.function("argtap_back_edge", probe)
	g.note("back edge of " + f.Name)
	g.emit(asm.Mov.Reg(regCtx, asm.R1))
	// In another process no hit of the entry would take the mark away.
	g.onlyPID()
	switch {
	case taken.Cond.always():
	case taken.Cond != Never:
		g.jumpIf(taken.Cond^1, "exit")
	case taken.Test.Mask == 0:
		return nil, &UnsupportedError{f.Name, "a back edge that is never taken"}
	default:
		if g.unreadable(taken.Test.Reg) {
			return nil, &UnsupportedError{f.Name, "register " + f.Arch.RegName(taken.Test.Reg) + " is not readable"}
		}
		g.exitUnless(taken.Test)
	}
	g.markKey(&f, true)
	g.update(MapRepeats, updateAny)
	if err := g.epilogue(f.Name); err != nil {
		return nil, err
	}
	return g.ins, nil
}

// UnsupportedError says that no program can be generated for a function.
type UnsupportedError struct {
	Func   string
	Reason string
}

func (e *UnsupportedError) Error() string {
	return fmt.Sprintf("function %s: cannot generate a program: %s", e.Func, e.Reason)
}

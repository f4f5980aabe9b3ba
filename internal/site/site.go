// Package site decodes the machine code of a function and chooses where to
// probe it: one address for the entry, and every return.
//
// The address for the entry is chosen by three promises, in this order:
//
//  1. The kernel can put a probe there, and the program does the same with
//     it as without.
//  2. A call hits it exactly once, and at the hit every register that holds
//     an argument still does, the distance from the stack pointer to the
//     CFA is known, and nothing has been stored that an argument may point
//     to. Where no address is hit exactly once, the branches that cause the
//     further hits are part of the answer (Sites.Repeats); where not even
//     those can be told, there is none, and Find says why.
//  3. It costs little: the kernel emulates some instructions when a probe
//     sits on them and has to execute the others out of line with a trap,
//     which is ten times dearer on a virtual machine.
//
// The code of an architecture is in files named after it; the choice itself
// (choose.go) knows no architecture. Everything here is deterministic, needs
// no privileges and builds on any operating system.
//
// One thing is not visible from a function's own code and so not promised:
// hand-written assembly that jumps or calls into the middle of another
// function (runtime.duffzero is always entered so) goes past its entry.
package site

import (
	"errors"
	"fmt"

	"github.com/argtap/argtap/abi"
	"github.com/argtap/argtap/symbols"
)

// MaxCode is the size in bytes of the largest function that Find decodes.
const MaxCode = 4 << 20

var (
	// ErrNoSite says that the function has no address of which it can be
	// proved that a call hits it once. The error text says why.
	ErrNoSite = errors.New("no probe site is provably hit once a call")
	// ErrDecode says that the bytes are not machine code that this package
	// can decode. The error is a *DecodeError.
	ErrDecode = errors.New("cannot decode machine code")
	// ErrCodeSize says that the function has no code, or more than MaxCode,
	// or more returns than any compiler writes.
	ErrCodeSize = errors.New("unusable code size")
	// ErrArch says that this package does not know the architecture.
	ErrArch = errors.New("no instruction decoder for the architecture")
)

// A DecodeError is an instruction that could not be decoded.
type DecodeError struct {
	Addr  symbols.VirtAddr // of the instruction
	Bytes []byte           // the first bytes there, up to 15
	Err   error            // the decoder's word
}

func (e *DecodeError) Error() string {
	return fmt.Sprintf("decode instruction at %#x: bytes % x: %v", uint64(e.Addr), e.Bytes, e.Err)
}

// Unwrap returns the decoder's error.
func (e *DecodeError) Unwrap() error { return e.Err }

// Is reports whether target is ErrDecode.
func (e *DecodeError) Is(target error) bool { return target == ErrDecode }

// Probe is an address for a uprobe, and what is true when it is hit.
type Probe struct {
	// Addr is the virtual address of the instruction.
	Addr symbols.VirtAddr
	// Instr is its disassembly in GNU syntax: "push %rbp".
	Instr string
	// Size is the instruction's size in bytes.
	Size int
	// Emulated says that every kernel since 5.10 emulates the instruction,
	// so that a hit costs no single-step trap.
	Emulated bool
	// CFA is the distance in bytes from the stack pointer up to the CFA
	// when the probe is hit, before its instruction is executed.
	CFA int64
	// Skip is the condition on the saved flags under which a hit is not a
	// call: the stack check fails and jumps to call morestack, after which
	// it is made again. Never for most.
	Skip Cond
}

// Kind says which rule found the entry's site.
type Kind uint8

const (
	// AfterCheck is an emulated instruction after the stack check.
	AfterCheck Kind = iota + 1
	// AtCheck is the conditional jump of the stack check; Probe.Skip is its
	// condition.
	AtCheck
	// EntryBlock is an emulated instruction in the first block of a function
	// without a stack check.
	EntryBlock
	// Stepped is an instruction that the kernel single-steps: the first one,
	// unless that cannot be probed.
	Stepped
)

var kindText = [...]string{
	AfterCheck: "after the stack check",
	AtCheck:    "the stack check's jump",
	EntryBlock: "in the entry block",
	Stepped:    "single-stepped",
}

// String returns the rule as a phrase.
func (k Kind) String() string {
	if int(k) < len(kindText) && k != 0 {
		return kindText[k]
	}
	return fmt.Sprintf("Kind(%d)", uint8(k))
}

// A BackEdge is a branch inside the function that leads back to its entry
// site. The probe is on the branch.
type BackEdge struct {
	Probe
	// Taken is the condition on the saved flags under which the branch is
	// taken: Always for an unconditional jump, Never if it is Test that
	// tells.
	Taken Cond
	// Test is the condition of a branch that looks at a register and not at
	// the flags (arm64: cbz, tbz and their opposites), valid if Taken is
	// Never.
	Test RegTest
}

// RegTest is a condition on a register. The zero RegTest is none.
type RegTest struct {
	Reg abi.Reg
	// Mask has the bits that matter.
	Mask uint64
	// Zero: it holds if all those bits are 0; otherwise, if any is 1.
	Zero bool
}

// Holds reports whether the condition holds for the register's value.
func (t RegTest) Holds(value uint64) bool { return t.Mask != 0 && (value&t.Mask == 0) == t.Zero }

// Sites is where to probe one function.
type Sites struct {
	Entry Probe
	Kind  Kind
	// Repeats are the branches inside the function that lead back to
	// Entry.Addr (or to the code before it); non-empty only when no better
	// site exists. A hit of one whose Taken holds announces that the next
	// hit of Entry in the same goroutine (thread) is not a call.
	Repeats []BackEdge
	// Grow is the call of morestack in a function that does not restore its
	// argument registers behind it (on arm64 perhaps the instruction before
	// it, which overwrites one), nil in all others. After a hit of Grow
	// the next hit of Entry in the same goroutine is of the same call, and
	// only at Grow do the registers hold the arguments.
	Grow *Probe
	// G is a register that holds the current g at Entry though the calling
	// convention does not say so: the stack check loaded it from thread-local
	// storage (Go before 1.17 on amd64, assembly on amd64, all of 386) and
	// nothing has overwritten it since. Valid if HasG.
	G    abi.Reg
	HasG bool
	// Returns has every return instruction, in order of address. There CFA
	// is the distance that holds when the return address is on top.
	Returns []Probe
	// TailJumps counts the jumps that leave the function, or may leave it
	// because their target is not known, without a return: a call that goes
	// this way hits no probe of Returns here.
	TailJumps int
	// Why says in one phrase how the entry's site was chosen.
	Why string
}

// Memory reads bytes that the program cannot change at run time (read-only
// data) from its file, into all of buf, by virtual address.
type Memory func(a symbols.VirtAddr, buf []byte) error

// Find chooses the probe sites of the function whose machine code is code
// and whose first instruction has the virtual address entry. live are the
// registers that must still hold at the site what they held at the entry:
// those of the arguments, and any other that is to be read, such as the one
// that holds the g. Registers that a program cannot read (floats) may be in
// it, too.
//
// ErrNoSite, ErrDecode, ErrCodeSize and ErrArch tell the errors apart.
func Find(a *abi.Arch, code []byte, entry symbols.VirtAddr, live []abi.Reg) (*Sites, error) {
	return FindIn(a, code, entry, live, nil)
}

// FindIn is Find with the means to read the jump tables of switch
// statements. Without it (mem is nil) a function that has no frame but a
// jump table ends in ErrNoSite: its loop may start at its entry. A mem that
// fails for an address is as good as none for the table there.
func FindIn(a *abi.Arch, code []byte, entry symbols.VirtAddr, live []abi.Reg, mem Memory) (*Sites, error) {
	m, err := machineFor(a, code)
	if err != nil {
		return nil, fmt.Errorf("probe site at %#x: %w", uint64(entry), err)
	}
	f, err := scan(m, code, entry, mem)
	if err != nil {
		return nil, fmt.Errorf("probe site at %#x: %w", uint64(entry), err)
	}
	s, err := f.choose(a, live)
	if err != nil {
		return nil, fmt.Errorf("probe site at %#x: %w", uint64(entry), err)
	}
	return s, nil
}

// First returns the probe on the first instruction of a function, where
// other tools put it: to compare with. It is hit again when the stack grows.
// ErrNoSite says that a kernel cannot put a probe there.
func First(a *abi.Arch, code []byte, entry symbols.VirtAddr) (Probe, error) {
	m, err := machineFor(a, code)
	if err != nil {
		return Probe{}, fmt.Errorf("first instruction at %#x: %w", uint64(entry), err)
	}
	in, err := m.decode(code, 0, entry)
	if err != nil {
		return Probe{}, fmt.Errorf("first instruction at %#x: %w", uint64(entry), err)
	}
	if in.refused != "" {
		return Probe{}, fmt.Errorf("first instruction at %#x: %q: %s: %w",
			uint64(entry), m.text(code, in, entry), in.refused, ErrNoSite)
	}
	f := &function{m: m, code: code, entry: entry}
	return f.probe(in, a.CFAAtEntry), nil
}

func machineFor(a *abi.Arch, code []byte) (machine, error) {
	if a == nil {
		return nil, fmt.Errorf("no architecture given: %w", ErrArch)
	}
	m, ok := machines[a.GOARCH]
	if !ok {
		return nil, fmt.Errorf("%s: %w", a.GOARCH, ErrArch)
	}
	if len(code) == 0 || len(code) > MaxCode {
		return nil, fmt.Errorf("%d bytes of code, want 1 to %d: %w", len(code), MaxCode, ErrCodeSize)
	}
	if p, ok := m.(preparer); ok {
		m = p.prepare(code)
	}
	return m, nil
}

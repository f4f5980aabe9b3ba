package dwarfargs

import (
	"fmt"

	"github.com/argtap/argtap/abi"
)

// Agreement says how the two words on a value's place compare: the calling
// convention's and DWARF's. All but [Foreign], [Contradicted] and [Unconfirmed]
// mean that the convention is believed. The rules are exact: a case that meets
// none of them is Contradicted. How often each comes up in real binaries is
// counted by TestCorpus, which also says where the machine code was read.
type Agreement uint8

// The agreements, for a function's entry and, where it is said, for its return.
const (
	// Agree: DWARF names the same place for every byte. For a result: it is on
	// the stack, and DWARF names its place in the caller's frame, and no other
	// there.
	Agree Agreement = iota
	// NoBytes: the value has no size, so there is nothing to place.
	NoBytes
	// Silent: DWARF gives no place at this point. The compiler describes
	// variables, and a parameter that is blank, unnamed or never read again is
	// none; but the caller has passed it all the same. Results are variables
	// only inside the function, so this is the rule for them.
	Silent
	// DeadPieces: DWARF leaves out some parts of the value, and agrees on the
	// others. The parts left out, such as the capacity of a slice, are not
	// used by the function; the caller has passed them all the same.
	DeadPieces
	// SpillSlot: DWARF names the memory that the caller has reserved for the
	// value, in case the callee must put it there (abi-internal.md, "spill
	// space"). Nothing has filled it at the entry, where the value is in
	// registers. Seen where the compiler keeps the parameter in memory from its
	// first instructions on: receivers of more than four words in wrappers; in Go
	// 1.17 one register argument in six, in 1.27 blank ones.
	//
	// The rule: some parts have exactly the address in the slot that
	// [abi.Assignment.SpillSlot] computes, and all others agree or are dead.
	//
	// In Go 1.17 the lists begin at the entry with the first place that a part
	// has in the body, whatever it is. There the rule takes parts in the slot
	// together with parts in the function's own frame ([OwnFrame]), and the slot
	// of another argument counts as a mention of that argument ([Reassigned]).
	// Releases from 1.18 on put the registers first
	// (cmd/compile/internal/ssa/debug.go, PopulateABIInRegArgOps).
	SpillSlot
	// OwnFrame: DWARF names a place in the function's own frame, or what a
	// pointer there points to. At the entry the frame does not exist yet: the
	// place is below the stack pointer, and nothing has been put there for
	// this call. Seen for parameters that the function moves to the heap
	// (asink = &p) and that are passed on the stack: in Go 1.26 their one
	// location, for the whole function, is the pointer to the copy
	// (cmd/compile/internal/dwarfgen, createHeapDerefLocationList).
	//
	// The rule: every part that DWARF does not leave out is below the stack
	// pointer of the entry, or the expression is that of
	// createHeapDerefLocationList, with such a place, or with that of the
	// return address on 386, which stands for none. For Go 1.17 see [SpillSlot].
	OwnFrame
	// Reassigned: DWARF names the place of another argument. The function
	// assigns one to the other (x, y = y, x), or finds them equal, and the
	// compiler's location lists take the variable's later value for its first
	// one. See [checkClaims] for the rule, and for why it takes nothing else
	// for a reassignment.
	Reassigned
	// EarlyRegister: DWARF names a register, in a function that takes no argument
	// in registers. The list begins at the entry with a place that the variable
	// has later, such as where a new value is computed that it is assigned. Seen
	// in Go 1.16.
	//
	// The rule: no release of the function's passes arguments in registers, some
	// parts are in registers, all others agree or are dead.
	EarlyRegister
	// InBody: a result that is returned in registers, or a copy of one that is
	// returned on the stack, for which DWARF names the place that it has inside
	// the function. That says nothing of the place at a return. Builds with -N
	// describe all results so.
	//
	// The rule: DWARF names no place in the caller's frame.
	InBody
	// Foreign: not compiled by Go. DWARF is believed, where it can be at an
	// entry: see [Func.AtEntry].
	Foreign
	// Unconfirmed: what would be [Silent], [SpillSlot], [OwnFrame],
	// [Reassigned] or [EarlyRegister], in a function of which the signature is in doubt: another
	// value is Contradicted, the compiler leaves out blank parameters
	// ([Func.BlanksMissing]), or there may be a hidden one (see placements).
	// One parameter more or less moves others, so the convention is not
	// believed where DWARF does not confirm it. The value is absent.
	Unconfirmed
	// Contradicted: the words differ, and nothing here explains it. The value
	// is absent.
	Contradicted
	agreementCount
)

var agreementText = [agreementCount]string{
	"agree", "no bytes", "silent", "dead pieces", "spill slot", "own frame",
	"reassigned", "early register", "in body", "foreign", "unconfirmed", "contradicted",
}

// String returns the agreement as argtap inspect shows it.
func (a Agreement) String() string {
	if int(a) < len(agreementText) {
		return agreementText[a]
	}
	return fmt.Sprintf("agreement%d", uint8(a))
}

// unconfirmed reports whether a value of this agreement is believed to be where
// the convention says without a word from DWARF on any of its bytes.
func (a Agreement) unconfirmed() bool {
	return a == Silent || a == SpillSlot || a == OwnFrame || a == Reassigned || a == EarlyRegister
}

// entryAgreement classifies the comparison of one parameter. The explanations
// of a disagreement are not mixed: each is what the compiler does to a whole
// parameter.
func (c *comparison) entryAgreement(t *abi.Type) Agreement {
	switch {
	case t.Size == 0:
		return NoBytes
	case c.unexplained:
		return Contradicted
	case c.early > 0:
		if c.spilled > 0 || c.ownFrame > 0 || len(c.claims) > 0 {
			return Contradicted
		}
		return EarlyRegister
	case c.spilled > 0:
		if !c.mixed && (c.ownFrame > 0 || len(c.claims) > 0) {
			return Contradicted
		}
		return SpillSlot
	case c.ownFrame > 0:
		if !c.mixed && (c.same > 0 || len(c.claims) > 0) {
			return Contradicted
		}
		return OwnFrame
	case len(c.claims) > 0:
		return Reassigned
	case c.same == 0:
		return Silent
	case c.dead > 0:
		return DeadPieces
	}
	return Agree
}

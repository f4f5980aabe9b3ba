package abi

import (
	"fmt"
	"strings"
)

// Reason says why a value, or a part of one, is absent. The zero Reason means
// that it is present. Reasons reach the user as their text.
type Reason uint8

// The reasons of absence.
const (
	Present Reason = iota
	// OptimizedOut: the compiler keeps the value nowhere at this point.
	OptimizedOut
	// RegisterNotReadable: the value is in a floating-point or vector register,
	// which a uprobe program cannot see.
	RegisterNotReadable
	// NotResident: the target's memory could not be read; the page is not in
	// memory, or the pointer is invalid.
	NotResident
	// Cut: the value lies beyond a limit on size or number.
	Cut
	// TooDeep: the value lies beyond the limit on the number of pointers that
	// are followed.
	TooDeep
	// UnknownLayout: no table says how values of this type lie in memory.
	UnknownLayout
	// Disagreement: debug information and calling convention name different
	// places for the value, and neither is known to be right.
	Disagreement
	// UnsupportedLocation: the debug information describes the place in a way
	// that a probe cannot evaluate.
	UnsupportedLocation
	// UnknownType: the debug information does not describe the type.
	UnknownType
	// NotFollowed: the pointer is known, what it points to was not captured.
	NotFollowed
	// Implausible: a captured header contradicts itself, such as a slice whose
	// length exceeds its capacity; the value was changing or is no Go value.
	Implausible
	// Overwritten: the register may have been used for something else since the
	// call, while the goroutine's stack grew, and the function does not need
	// its argument.
	Overwritten
	// UnknownRegister: the value is in a register, but nothing tells in which:
	// the sizes of the arguments are known, their types are not.
	UnknownRegister
	// NeedsLoops: the value is referred to from an element of a slice, and the
	// kernel cannot run the loop that would follow it for each element.
	NeedsLoops
	// HiddenParameter: the debug information may leave out another parameter or
	// result of the function, which would move this one, and nothing tells that
	// it does not.
	HiddenParameter
	// UnknownRelease: the calling convention of the Go release that compiled the
	// function is not known, and the debug information does not confirm the
	// place by itself.
	UnknownRelease
	// CutObjects: as many objects of the call were captured as the limits allow.
	CutObjects
	// CutRecord: as many bytes of the call were captured as the limits allow.
	CutRecord
	// CutScan: as many parts of maps were looked at in the call as the limits
	// allow.
	CutScan
	// Writing: a goroutine was writing to the map.
	Writing
	// Changed: a goroutine changed the map or channel while it was read.
	Changed
	// NilPointer: an expression follows a pointer that is nil.
	NilPointer
	// IndexOutOfRange: an expression selects an element that there is not.
	IndexOutOfRange
	// SliceOutOfRange: an expression slices beyond the capacity, or with limits
	// that are not in order.
	SliceOutOfRange
	// OtherType: an expression asserts that an interface holds a type, and it is
	// nil or holds another.
	OtherType
	// DivisionByZero: an expression divides an integer by zero.
	DivisionByZero
	// NegativeShift: an expression shifts an integer by less than nothing.
	NegativeShift
	// NoAddress: an expression needs the address of a value that is in registers.
	NoAddress
	// CutCall: one or the other, which cannot be told where both limits were reached.
	CutCall
	// CutString: the limit on the bytes of a string, or of a slice of bytes.
	CutString
	// CutElems: the limit on the elements of a slice.
	CutElems
	// CutValue: the limit on the bytes of one value, or of the elements of a slice.
	CutValue
	// CutArgs: the limit on the bytes of all parameters.
	CutArgs
	// CutReads: the limit on the places in memory that parameters are read from.
	CutReads
	// CutRefs: the limit on the references that straight-line code follows.
	CutRefs
	// CutTypes: the limit on types.
	CutTypes
	// CutOutput: the limit on what is printed or decoded of one value.
	CutOutput
	// CutCompiler: the compiler's own table of arguments ends before it.
	CutCompiler
	// OutOfRange: there is no such element.
	OutOfRange
	// Redacted: the value must not leave the kernel.
	Redacted
	// NotReturned: a result of a call that did not return.
	NotReturned
	// PanicUnseen: the value of a panic whose beginning was not seen.
	PanicUnseen
	// PanicUnclear: the value of one of several panics, and it is not known which.
	PanicUnclear
	// CutPanics: the limit on what is kept of calls that have not ended.
	CutPanics
	// Uncertain: the debug information of optimised code says where the variable is,
	// but not whether it was assigned to since.
	Uncertain
	// SharedPlace: the debug information of optimised code has another variable in
	// the same place. If one of both was assigned to since, it is wrong about one.
	SharedPlace
	// StaleList: the debug information of this Go release has variables of optimised
	// code in places that they have later only.
	StaleList
	// Unassigned: a variable in whose declaration the instruction may be: it has no
	// value yet.
	Unassigned
	reasonCount
)

var reasonText = [reasonCount]string{
	"present",
	"optimized out",
	"register not readable",
	"not resident",
	"cut at the limit",
	"too deep",
	"unknown layout",
	"debug information and calling convention disagree",
	"unsupported location",
	"unknown type",
	"not followed",
	"implausible",
	"perhaps overwritten while the stack grew",
	"its register is not known without a signature",
	"kernel lacks bpf_loop (Linux 5.17)",
	"the debug information may leave out a value before it",
	"the calling convention of this Go release is not known",
	"cut at the limit on objects of a call",
	"cut at the limit on bytes of a call",
	"cut at the limit on parts of maps in a call",
	"a goroutine was writing to the map",
	"changed while it was read",
	"nil pointer",
	"index out of range",
	"slice bounds out of range",
	"another dynamic type",
	"division by zero",
	"negative shift count",
	"in registers, where it has no address",
	"cut at the limit on objects or bytes of a call",
	"cut at the limit on bytes of a string",
	"cut at the limit on elements",
	"cut at the limit on bytes of a value",
	"cut at the limit on bytes of all arguments",
	"cut at the limit on places of arguments",
	"cut at the limit on references",
	"cut at the limit on types",
	"cut at the limit on output",
	"cut at the compiler's limit",
	"out of range",
	"redacted",
	"the call did not return",
	"the beginning of the panic was not seen",
	"one of several panics",
	"cut at the limit on bytes of open calls",
	"optimized code: may be out of date (WithUncertain)",
	"optimized code: in the same place as another variable, one of both may be out of date",
	"optimized code: the debug information of this Go release is not exact",
	"perhaps not assigned yet",
}

// String returns the reason as users see it.
func (r Reason) String() string {
	if int(r) < len(reasonText) {
		return reasonText[r]
	}
	return fmt.Sprintf("reason%d", uint8(r))
}

// CFAOffset is a distance in bytes from the canonical frame address: the value
// of SP before the call instruction. DWARF's DW_OP_fbreg operand in
// code by the Go compiler is one.
type CFAOffset int64

// PlaceKind says where a [Piece] is.
type PlaceKind uint8

// The kinds of places.
const (
	// Nowhere: the piece is absent, Reason says why.
	Nowhere PlaceKind = iota
	// InRegister: in Reg, in its low Size bytes.
	InRegister
	// InFrame: in memory at CFA + CFA.
	InFrame
	// InMemory: in memory at the address in Reg plus Disp.
	InMemory
	// Constant: the value is Const, little endian, in its low Size bytes.
	Constant
)

// Piece is a run of bytes of a value that lies in one place.
type Piece struct {
	// Offset and Size delimit the piece in bytes within the value's memory
	// layout.
	Offset, Size int64
	Kind         PlaceKind
	Reg          Reg       // InRegister, InMemory
	CFA          CFAOffset // InFrame
	Disp         int64     // InMemory
	Const        uint64    // Constant
	Reason       Reason    // Nowhere
}

// Location is where a value lies: its pieces, by ascending offset, without
// overlap. Bytes that no piece covers are padding or blank and carry no
// information. A value of size zero has no pieces.
type Location []Piece

// Absent returns the location of a value of the given size in bytes that is
// nowhere, for reason r.
func Absent(size int64, r Reason) Location {
	return Location{{Size: size, Kind: Nowhere, Reason: r}}
}

// Format returns the location in the notation of this package's tests and of
// argtap inspect: "RAX", "RAX:8 RBX:8", "[CFA+0]:24".
func (l Location) Format(a *Arch) string {
	if len(l) == 0 {
		return "(zero size)"
	}
	var b strings.Builder
	for i, p := range l {
		if i > 0 {
			b.WriteByte(' ')
		}
		switch p.Kind {
		case InRegister:
			b.WriteString(a.RegName(p.Reg))
		case InFrame:
			fmt.Fprintf(&b, "[CFA%+d]", int64(p.CFA))
		case InMemory:
			fmt.Fprintf(&b, "[%s%+d]", a.RegName(p.Reg), p.Disp)
		case Constant:
			fmt.Fprintf(&b, "$%#x", p.Const)
		default:
			fmt.Fprintf(&b, "(%s)", p.Reason)
		}
		fmt.Fprintf(&b, ":%d", p.Size)
	}
	return b.String()
}

package capture

import "github.com/argtap/argtap/abi"

// Offsets of the header's fields in a record, in bytes.
const (
	OffPlan      = 0  // u32: Plan.ID
	OffKind      = 4  // u16: what was hit, [KindEntry]
	OffFlags     = 6  // u16: of a walk, [FlagObjects] and others
	OffTime      = 8  // u64: ns of CLOCK_MONOTONIC at the hit
	OffPIDTID    = 16 // u64: process (thread group) ID << 32 | thread ID
	OffGoroutine = 24 // u64: goroutine ID
	OffFailed    = 32 // u64: bit i is set when fixed read i failed; see BitOverwritten
	HeaderSize   = 40
)

// What was hit, in the header at OffKind. All but KindEntry are of whole calls:
// see [Plan.Pair].
const (
	// KindEntry marks the record of a function's entry.
	KindEntry = iota
	// KindReturn: a return of the function, with the plan of its results.
	KindReturn
	// KindPanic: the goroutine begins to panic. Its plan has the value.
	KindPanic
	// KindFatal: no one recovers its panic, the program ends.
	KindFatal
	// KindUnwound: a panic was recovered. The frame is that of a call made by the
	// function that goes on.
	KindUnwound
	// KindExit: the goroutine begins to end, by runtime.Goexit.
	KindExit
	// KindFiltered: a return of a call for which a condition over the return is not
	// met. The record has nothing but what joins it with the entry.
	KindFiltered
	// KindStack is no hit, but a stack that hits refer to.
	KindStack
	// KindLeft: a call that was open has been left, as another begins in its place. It
	// is the header, with the plan of the former; what joins entry and return, as at the
	// return of the former; and what was kept of it. Only calls that are counted when they
	// return have it.
	KindLeft
)

// KindStart, at OffKind, is of no function: a process begins to run the file. Its
// record is the header.
const KindStart = 0xff

// Words in the records of whole calls, as offsets from [Plan.Pair], by which entry
// and return are joined.
const (
	// PairGoroutine is the goroutine's ID; on system stacks, which have none, the
	// address of the g with the highest bit set ([PairSystem]).
	PairGoroutine = 0
	// PairDepth is the distance in bytes from the upper end of the stack down to
	// the CFA. It is the same at entry and return, wherever the stack is moved to
	// in between.
	PairDepth = 8
	// PairTime is, at a return, what the record of the entry has at OffTime. At an
	// entry it is 1 if the call is to be delivered in case that it panics, which its
	// arguments decide, else 0. Of KindPanic it is which other panic is under way: see
	// [Within]. Of KindUnwound it is where the function that goes on was called back
	// to, as the binary states the address, 0 if that could not be read.
	PairTime = 16
	// PairLost is how many records other than those of entries were lost until
	// the hit.
	PairLost = 24
	PairSize = 32
)

// What KindPanic has at PairTime where no other panic is under way in the goroutine,
// and where it is not known whether.
const (
	WithinNone    = 0
	WithinUnknown = 1<<64 - 1
)

// Within takes the word of a panic apart that began in a call that another panic,
// the innermost of those under way, had deferred. frame is the depth of the stack
// pointer of the function that had deferred the call: the functions further down
// were passed by the other panic. panic is the depth of the runtime's record of that,
// which is within the frame of its runtime.gopanic.
func Within(w uint64) (frame, panic uint64) { return w & (1<<32 - 1), w >> 32 }

// PairSystem is the bit that tells the address of a g from a goroutine's ID.
const PairSystem = 1 << 63

// SlotSize is the size of a slot in bytes: u32 offset of the chunk in the
// record, u32 count of its elements. Offset 0 means that there is no chunk:
// the count is then 0 for a nil pointer or an empty string or slice, else the
// [abi.Reason].
const SlotSize = 8

// BitOverwritten of the header's word at OffFailed is set when the registers
// may no longer hold the arguments: [Plan.Stores] of registers say nothing.
const BitOverwritten = 63

// MaxFixedReads is the number of reads whose failure a record can tell apart:
// the other bits in the header's word at OffFailed.
const MaxFixedReads = BitOverwritten

// NoSlot is what a program writes to a slot for which there is no chunk.
func NoSlot(r abi.Reason) uint64 { return uint64(r) << 32 }

// Slot takes a slot's word apart.
func Slot(w uint64) (off uint32, count uint32) { return uint32(w), uint32(w >> 32) }

// Align8 rounds n up to a multiple of 8.
func Align8(n int64) int64 { return (n + 7) &^ 7 }

package capture

// Offsets of what a record of an entry has of the call's stack and of how its
// goroutine came to be, from [Plan.Stack], in bytes.
const (
	// StackID: the ID of the stack, of a record of its own ([KindStack]) that was
	// sent before, with [StackKept] set if other calls may have it, too. Below
	// StackFirst it is why there is none.
	StackID = 0
	// StackBias is by how much the addresses in the target are greater than those
	// that its binary states, which those of a stack are.
	StackBias = 8
	// StackParent is g.parentGoid, 0 where there is none; StackGoPC is g.gopc, and
	// two pointers behind it is g.startpc, as they are in the target.
	StackParent = 16
	StackGoPC   = 24
	StackSize   = 48
)

// Values of the word at StackID.
const (
	StackKept  = 1 << 63
	StackFirst = 1 << StackIndexBits
)

// Why a record has no stack: values of the word at StackID below StackFirst.
const (
	// StackNone: none was looked for, or no memory was free to do so.
	StackNone = iota
	// StackRing: the ring buffer was full.
	StackRing
	// StackGoroutine: nothing told the goroutine, whose stack has bounds.
	StackGoroutine
	// StackUnread: not even the return address could be read.
	StackUnread
	// StackFull: there was no room for another stack to count calls by. Records do
	// not have it.
	StackFull
)

// StackIndexBits is the width of the part of an ID that says which memory the
// stack was collected in.
const StackIndexBits = 24

// A record of a stack begins like any other, up to OffKind. These are the offsets
// of its other fields in bytes. What is at StackInfo and behind it is what stacks
// are told apart by.
const (
	StackSelf  = 8  // u64: its ID
	StackInfo  = 16 // u32: the number of addresses; u32: why it ends there, [StackStart]
	StackPCs   = 24 // u64 each: see [StackPC]
	StackFixed = 24
)

// Why a stack ends where it does.
const (
	// StackStart: there is no further frame.
	StackStart = 1 + iota
	// StackDepth: at the number of frames that was asked for.
	StackDepth
	// StackLeft: the next frame is not on the goroutine's stack.
	StackLeft
	// StackBroken: what should be a frame pointer is none.
	StackBroken
	// StackCut: the next frame is not resident.
	StackCut
)

// StackPCBits is the width of a return address in a word at StackPCs. Above it is
// how many words of 8 bytes the frame pointer that belongs to the address is above
// the one before, at most [StackFar]; 0 in the last word. The first one counts from
// 16 bytes below the CFA of the function that was called.
const (
	StackPCBits = 48
	StackFar    = 1<<(64-StackPCBits) - 1
)

// StackPC takes a word at StackPCs apart: the return address, as the binary states
// it, and the distance of the frame pointers in bytes, -1 if it is too large to be
// told.
func StackPC(w uint64) (pc uint64, distance int64) {
	distance = int64(w >> StackPCBits)
	if distance == StackFar {
		return uint64(int64(w<<16) >> 16), -1
	}
	return uint64(int64(w<<16) >> 16), 8 * distance
}

// MaxStack bounds the addresses of a stack.
const MaxStack = 127

// Creation is where a g has what tells how its goroutine came to be: displacements
// within g in bytes, 0 for what it does not have. The fields at GoPC are three
// pointers, of which the middle one is of no interest.
type Creation struct{ Parent, GoPC int64 }

// stack makes room behind the header for what an entry has of its stack.
func (b *builder) stack() {
	if b.limits.Stack <= 0 {
		return
	}
	b.plan.Stack = b.base
	b.plan.StackBit = b.bits
	b.bits++
	b.base += StackSize
}

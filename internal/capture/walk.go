package capture

import "github.com/argtap/argtap/abi"

// Walk is how a program follows references whose shape is known only when it
// runs: see the package comment.
type Walk struct {
	Types *Types
	// First and Rows are the rows of the parameters in the type table. Their
	// offsets count from the start of the record.
	First, Rows uint32
	// Depth is the number of pointers that are followed one after another,
	// Objects the number of objects in the heap, and Bytes the size of the
	// record at most.
	Depth, Objects, Bytes int
}

// Bounds of a walk.
const (
	// MaxWalk is the size in bytes of the largest record of a walk, and
	// MaxObjects the number of its objects.
	MaxWalk    = 32 << 10
	MaxObjects = 1024
	// MaxValue is the size in bytes of the largest object without its header.
	MaxValue = maxBytes

	defaultWalk      = 16 << 10
	defaultObjects   = 256
	defaultWalkDepth = 3
	maxWalkDepth     = 100
)

// Offsets of the fields of an object of the heap in bytes, and where its data
// begins. Objects are aligned to 8.
const (
	ObjectAddr   = 0  // u64: the address in the target
	ObjectType   = 8  // u32: its type's number in the low 24 bits, its depth above
	ObjectCount  = 12 // u32: the number of elements, 0 if it could not be read
	ObjectHeader = 16
	// ObjectTypeBits is the width of the number in the word at ObjectType.
	ObjectTypeBits = 24
)

// WalkHeaderSize is the size of the header of a walk's record. Behind what all
// records have is the load bias, by which the addresses in the target are
// greater than those that its binary states.
const (
	OffBias        = HeaderSize
	WalkHeaderSize = HeaderSize + 8
)

// Flags in the header of a walk's record: which limit cut something.
const (
	FlagObjects = 1 << iota
	FlagBytes
	FlagScan // [MaxScan]
)

// walkDepth returns how many pointers a walk follows.
func (l Limits) walkDepth() int {
	if l.Depth == 0 {
		return defaultWalkDepth
	}
	return min(max(l.Depth, 0), maxWalkDepth)
}

// BuildWalk makes the plan of a walk for the given parameters, and adds their
// types to the table. It never fails: what does not fit is cut.
func BuildWalk(a *abi.Arch, inputs []Input, limits Limits, types *Types) *Plan {
	l := limits.WithDefaults()
	b := &builder{limits: l, plan: &Plan{PtrSize: int(a.PtrSize)}, bits: 1, base: WalkHeaderSize}
	w := &Walk{Types: types, Depth: limits.walkDepth(), Objects: l.Objects, Bytes: l.Record}
	b.plan.Walk = w
	b.pair()
	b.stack()
	off := b.base
	off = b.reasons(b.params(inputs, off))
	w.Bytes = int(Align8(int64(max(w.Bytes, off)))) // as objects are
	w.First = uint32(len(types.rows))
	for i := range b.plan.Params {
		p := &b.plan.Params[i]
		types.refs(p.Image.Type, int64(p.Offset), int64(p.Offset)+p.Image.Size, func(off, size int64) bool {
			return p.Image.Absent(off-int64(p.Offset), size) != abi.Present
		})
	}
	w.Rows = uint32(len(types.rows)) - w.First
	types.complete()
	p := b.plan
	p.SlotBase, p.Fixed, p.MaxRecord = off, off, w.Bytes
	for i := range p.Params {
		p.Params[i].Slots = off
	}
	return p
}

package probegen

import (
	"math"
	"math/bits"

	"github.com/cilium/ebpf/asm"

	"github.com/argtap/argtap/abi"
)

// Layout of a row of [Aggregate], of u64 words, as offsets in bytes.
//
// A row that counts values by size does not count the calls themselves: the sum
// of its buckets does. Sum and extremes are written before the bucket.
const (
	// RowCount is the only word of a row without Buckets.
	RowCount = 0

	// RowAbsent counts calls whose value is absent, RowWhy has a bit for each
	// [abi.Reason] why.
	RowAbsent = 0
	RowWhy    = 8
	// RowSum and RowSumHigh are a number of 128 bits, in two's complement.
	RowSum     = 16
	RowSumHigh = 24
	// RowMax is the largest value, in the order of unsigned numbers (see
	// Buckets.Ordered), RowMin the complement of the smallest. Both are 0 at first.
	RowMax = 32
	RowMin = 40
	// RowBuckets is where the counts by size begin.
	RowBuckets = 48
)

// MaxBuckets bounds the buckets of a row: its size is that of a value which each CPU
// has of its own (PCPU_MIN_UNIT_SIZE, 32 KiB).
const MaxBuckets = 2048

// Buckets says how values are told apart by size.
type Buckets struct {
	// Signed says how the words of values are to be read.
	Signed bool
	// Step is the width of the buckets of a linear scale from Min to below Max. 0
	// is a scale by powers of two.
	Step     uint64
	Min, Max int64
}

// The buckets of a scale by powers of two. Bucket 0 has the 0, bucket i those from
// 1<<(i-1) to (1<<i)-1. Where values are signed, those of negative numbers, by their
// absolute values, are in front of that in reverse order; the first has the most
// negative one alone.
const (
	log2Buckets = 65
	log2Zero    = 64 // the bucket of 0, if values are signed
)

func (b *Buckets) check() string {
	switch {
	case b.Step == 0:
		return ""
	case b.Min >= b.Max:
		return "the scale ends before it begins"
	case !b.Signed && b.Min < 0:
		return "the scale begins below 0, and the value has no sign"
	case b.steps() > MaxBuckets-2:
		return "the scale has too many buckets"
	}
	return ""
}

// steps is the number of buckets from Min to Max.
func (b *Buckets) steps() uint64 {
	width := uint64(b.Max) - uint64(b.Min)
	return (width-1)/b.Step + 1
}

// Len returns the number of buckets. A linear scale has one below it and one above
// it.
func (b *Buckets) Len() int {
	switch {
	case b.Step > 0:
		return int(min(b.steps(), MaxBuckets)) + 2
	case b.Signed:
		return 2 * log2Zero
	}
	return log2Buckets
}

// RowSize returns the size of a row in bytes. b may be nil.
func (b *Buckets) RowSize() int {
	if b == nil {
		return 8
	}
	return RowBuckets + 8*b.Len()
}

// Bounds returns the smallest and the largest value that is in bucket i, as the words
// of values.
func (b *Buckets) Bounds(i int) (low, high uint64) {
	least, most := uint64(0), uint64(math.MaxUint64)
	if b.Signed {
		least, most = 1<<63, math.MaxInt64
	}
	if b.Step > 0 {
		last := b.Len() - 1
		switch i {
		case 0:
			if !b.Signed && b.Min == 0 {
				return 0, 0 // it is empty
			}
			return least, uint64(b.Min) - 1
		case last:
			return uint64(b.Max), most
		}
		low = uint64(b.Min) + uint64(i-1)*b.Step
		high = low + b.Step - 1
		if i == last-1 {
			high = uint64(b.Max) - 1
		}
		return low, high
	}
	if b.Signed {
		i -= log2Zero
	}
	switch {
	case i == 0:
		return 0, 0
	case i > 0:
		low = 1 << (i - 1)
		return low, low<<1 - 1
	case i == -log2Zero:
		return least, least // the most negative number has no opposite
	}
	high = 1 << (-i - 1)
	return -(high<<1 - 1), -high
}

// Bucket returns the bucket of a value: what programs compute.
func (b *Buckets) Bucket(v uint64) int {
	negative := b.Signed && int64(v) < 0
	if b.Step > 0 {
		switch {
		case b.Signed && int64(v) >= b.Max, !b.Signed && v >= uint64(b.Max):
			return b.Len() - 1
		case b.Signed && int64(v) < b.Min, !b.Signed && v < uint64(b.Min):
			return 0
		}
		return int((v-uint64(b.Min))/b.Step) + 1
	}
	i := bits.Len64(v)
	if negative {
		i = -bits.Len64(-v)
	}
	if b.Signed {
		i += log2Zero
	}
	return i
}

// Ordered returns a value such that unsigned numbers have the order of the values.
// It is its own inverse.
func (b *Buckets) Ordered(v uint64) uint64 {
	if b.Signed {
		return v ^ 1<<63
	}
	return v
}

// addValue adds the value in regAddr to the row in R0, or the reason in regSize if
// that is none.
func (g *gen) addValue(f *Func) {
	b, end := f.Aggregate.Buckets, g.fresh("added")
	if f.Aggregate.Value != nil {
		g.absentValue(end)
	}
	g.emit(asm.Mov.Reg(regRecord, asm.R0))
	g.note("extremes")
	g.ordered(b)
	g.extreme(RowMax)
	g.ordered(b)
	g.emit(asm.Xor.Imm(asm.R2, -1))
	g.extreme(RowMin)
	g.sum(b)
	g.bucket(b)
	g.emit(
		asm.LSh.Imm(asm.R1, 3),
		asm.Add.Reg(regRecord, asm.R1),
		asm.Mov.Imm(asm.R1, 1),
		asm.AddAtomic.Mem(regRecord, asm.R1, asm.DWord, RowBuckets),
	)
	g.label(end)
}

// absentValue counts a call without a value, and jumps to end, if regSize is a
// reason.
func (g *gen) absentValue(end string) {
	there := g.fresh("there")
	g.emit(asm.JEq.Imm(regSize, 0, there))
	g.note("no value: count why")
	g.emit(
		asm.Mov.Imm(asm.R1, 1),
		asm.AddAtomic.Mem(asm.R0, asm.R1, asm.DWord, RowAbsent),
		asm.Mov.Imm(asm.R1, 1),
		asm.LSh.Reg(asm.R1, regSize),
		asm.LoadMem(asm.R2, asm.R0, RowWhy, asm.DWord),
		asm.Mov.Reg(asm.R3, asm.R2), asm.Or.Reg(asm.R3, asm.R1),
		asm.JEq.Reg(asm.R2, asm.R3, end), // as nearly always
	)
	if g.opts.NoAtomics {
		g.emit(asm.StoreMem(asm.R0, RowWhy, asm.R3, asm.DWord))
	} else {
		g.emit(atomic(asm.OrAtomic, asm.R0, asm.R1, RowWhy))
	}
	g.emit(asm.Ja.Label(end))
	g.label(there)
}

// ordered makes R2 the value as Ordered has it.
func (g *gen) ordered(b *Buckets) {
	g.emit(asm.Mov.Reg(asm.R2, regAddr))
	if b.Signed {
		g.emit(asm.LoadImm(asm.R1, -1<<63, asm.DWord), asm.Xor.Reg(asm.R2, asm.R1))
	}
}

// tries is how often an extreme is tried to be stored: each time another program
// has stored one of a thread that it preempted, on the same CPU.
const tries = 4

// extreme makes a word of the row in regRecord at least R2. A call for which that
// does not succeed is not counted, but as lost.
func (g *gen) extreme(word int16) {
	ok := g.fresh("ok")
	if g.opts.NoAtomics {
		g.emit(
			asm.LoadMem(asm.R0, regRecord, word, asm.DWord),
			asm.JGE.Reg(asm.R0, asm.R2, ok),
			asm.StoreMem(regRecord, word, asm.R2, asm.DWord),
		)
		g.label(ok)
		return
	}
	g.emit(asm.LoadMem(asm.R0, regRecord, word, asm.DWord))
	for range tries {
		g.emit(
			asm.JGE.Reg(asm.R0, asm.R2, ok),
			asm.Mov.Reg(asm.R1, asm.R0),
			atomic(asm.CmpXchg, regRecord, asm.R2, word),
			asm.JEq.Reg(asm.R0, asm.R1, ok),
		)
	}
	g.emit(asm.JLT.Reg(asm.R0, asm.R2, g.lost(LossBusy)))
	g.label(ok)
}

// sum adds the value to the sum. R1 becomes what the lower word was, R2 what it
// became.
func (g *gen) sum(b *Buckets) {
	carried, done := g.fresh("carried"), g.fresh("summed")
	g.note("sum")
	if g.opts.NoAtomics {
		g.emit(
			asm.LoadMem(asm.R1, regRecord, RowSum, asm.DWord),
			asm.Mov.Reg(asm.R2, asm.R1), asm.Add.Reg(asm.R2, regAddr),
			asm.StoreMem(regRecord, RowSum, asm.R2, asm.DWord),
		)
	} else {
		g.emit(
			asm.Mov.Reg(asm.R1, regAddr),
			atomic(asm.FetchAdd, regRecord, asm.R1, RowSum),
			asm.Mov.Reg(asm.R2, asm.R1), asm.Add.Reg(asm.R2, regAddr),
		)
	}
	g.emit(asm.Mov.Imm(asm.R3, 0))
	if b.Signed {
		g.emit(asm.Mov.Reg(asm.R3, regAddr), asm.ArSh.Imm(asm.R3, 63))
	}
	g.emit(
		asm.JGE.Reg(asm.R2, asm.R1, carried),
		asm.Add.Imm(asm.R3, 1),
	)
	g.label(carried)
	g.emit(
		asm.JEq.Imm(asm.R3, 0, done),
		asm.AddAtomic.Mem(regRecord, asm.R3, asm.DWord, RowSumHigh),
	)
	g.label(done)
}

// bucket makes R1 the number of the value's bucket.
func (g *gen) bucket(b *Buckets) {
	if b.Step > 0 {
		g.linear(b)
		return
	}
	g.note("the power of two")
	g.emit(asm.Mov.Reg(asm.R2, regAddr))
	if b.Signed {
		// The absolute value; that of the most negative number is itself.
		g.emit(
			asm.Mov.Reg(asm.R4, regAddr), asm.ArSh.Imm(asm.R4, 63),
			asm.Xor.Reg(asm.R2, asm.R4), asm.Sub.Reg(asm.R2, asm.R4),
		)
	}
	// Half the bits at a time, without a jump: to the verifier each would double
	// the paths. Is anything left above? Then it is that, and its place counts.
	g.emit(asm.Mov.Imm(asm.R1, 0))
	for shift := int32(5); shift >= 0; shift-- {
		g.emit(
			asm.Mov.Reg(asm.R3, asm.R2), asm.RSh.Imm(asm.R3, 1<<shift),
			asm.Mul.Imm(asm.R3, -1), asm.RSh.Imm(asm.R3, 63),
			asm.LSh.Imm(asm.R3, shift),
			asm.RSh.Reg(asm.R2, asm.R3),
			asm.Add.Reg(asm.R1, asm.R3),
		)
	}
	g.note("1 is left, or 0 of 0")
	g.emit(asm.And.Imm(asm.R2, 1), asm.Add.Reg(asm.R1, asm.R2))
	if b.Signed {
		g.emit(asm.Xor.Reg(asm.R1, asm.R4), asm.Sub.Reg(asm.R1, asm.R4), asm.Add.Imm(asm.R1, log2Zero))
		g.bounded(b)
	}
}

// linear makes R1 the bucket of a linear scale.
func (g *gen) linear(b *Buckets) {
	above, below, within := g.fresh("above"), g.fresh("below"), g.fresh("within")
	g.note("the step")
	load := func(r asm.Register, v int64) { g.emit(asm.LoadImm(r, v, asm.DWord)) }
	less, atLeast := asm.JLT, asm.JGE
	if b.Signed {
		less, atLeast = asm.JSLT, asm.JSGE
	}
	load(asm.R2, b.Max)
	g.emit(atLeast.Reg(regAddr, asm.R2, above))
	g.emit(asm.Mov.Reg(asm.R1, regAddr))
	load(asm.R2, b.Min)
	bottom := b.Signed || b.Min > 0
	if bottom {
		g.emit(less.Reg(regAddr, asm.R2, below))
	}
	g.emit(asm.Sub.Reg(asm.R1, asm.R2))
	if b.Step > 1 {
		load(asm.R2, int64(b.Step))
		g.emit(asm.Div.Reg(asm.R1, asm.R2))
	}
	g.emit(asm.Add.Imm(asm.R1, 1), asm.Ja.Label(within))
	if bottom {
		g.label(below)
		g.emit(asm.Mov.Imm(asm.R1, 0), asm.Ja.Label(within))
	}
	g.label(above)
	g.emit(asm.Mov.Imm(asm.R1, int32(b.Len()-1)))
	g.label(within)
	g.bounded(b)
}

// bounded tells the verifier that R1 is the number of a bucket.
func (g *gen) bounded(b *Buckets) {
	g.note("as it always is")
	g.emit(asm.JGE.Imm(asm.R1, int32(b.Len()), g.lost(LossBusy)))
}

var _ [64 - int(abi.NotReturned)]struct{} // each reason has a bit in RowWhy

package uprobe

import (
	"encoding/binary"
	"math"
	"math/big"
	"math/bits"

	"github.com/argtap/argtap/abi"
	"github.com/argtap/argtap/internal/probegen"
)

// tally is a row of an aggregation: what all CPUs have counted under a key, or if key
// is nil without one.
type tally struct {
	fn  uint32
	key []byte
	// stack is what the key has the ID of, nil for none.
	stack *callStack
	// count are the calls, of a histogram those with a value.
	count, absent, why uint64
	sum, sumHigh       uint64 // a number of 128 bits, in two's complement
	// least and most are extremes in the order of [probegen.Buckets.Ordered], if
	// anything is counted.
	least, most uint64
	buckets     []uint64
}

// all is the number of calls that were counted.
func (y *tally) all() uint64 { return y.count + y.absent }

// add adds what a CPU has counted. b is nil if calls are counted only.
func (y *tally) add(b *probegen.Buckets, row []byte) {
	word := func(off int) uint64 { return binary.LittleEndian.Uint64(row[off:]) }
	if b == nil {
		y.count += word(probegen.RowCount)
		return
	}
	if y.buckets == nil {
		y.buckets = make([]uint64, b.Len())
		y.least = math.MaxUint64
	}
	y.absent += word(probegen.RowAbsent)
	y.why |= word(probegen.RowWhy)
	y.addSum(word(probegen.RowSum), word(probegen.RowSumHigh))
	y.most = max(y.most, word(probegen.RowMax))
	y.least = min(y.least, ^word(probegen.RowMin))
	for i := range y.buckets {
		n := word(probegen.RowBuckets + 8*i)
		y.buckets[i] += n
		y.count += n
	}
}

// addSum adds a number of 128 bits to the sum.
func (y *tally) addSum(low, high uint64) {
	var carry uint64
	y.sum, carry = bits.Add64(y.sum, low, 0)
	y.sumHigh, _ = bits.Add64(y.sumHigh, high, carry)
}

// number returns a value.
func number(b *probegen.Buckets, v uint64) Int { return Int{bits: v, unsigned: !b.Signed} }

// total returns the sum.
//
// While calls are counted, one half of a CPU's sum may be read before and one behind
// an addition that carries: then it is off by 2^64, and far from what so many values
// between the extremes can add up to.
func (y *tally) total(b *probegen.Buckets) *big.Int {
	sum := new(big.Int).Lsh(big.NewInt(int64(y.sumHigh)), 64)
	sum.Add(sum, new(big.Int).SetUint64(y.sum))
	n := new(big.Int).SetUint64(y.count)
	least, most := number(b, b.Ordered(y.least)).big(), number(b, b.Ordered(y.most)).big()
	half, whole := new(big.Int).Lsh(big.NewInt(1), 63), new(big.Int).Lsh(big.NewInt(1), 64)
	least.Sub(least.Mul(least, n), half)
	most.Add(most.Mul(most, n), half)
	for sum.Cmp(least) < 0 {
		sum.Add(sum, whole)
	}
	for sum.Cmp(most) > 0 {
		sum.Sub(sum, whole)
	}
	return sum
}

// aggregate makes a row one for users. keyed says that the function's calls have keys.
func (f *Func) row(y *tally) Aggregate {
	g := f.aggregated
	a := Aggregate{Func: f, Count: y.count, Absent: y.absent, value: g.value, scale: g.program.Buckets}
	switch {
	case y.key != nil:
		a.Key = f.parts(y)
	case len(g.key) > 0:
		a.Other = true
	}
	for r := range 64 {
		if y.why>>r&1 != 0 {
			a.AbsentWhy = append(a.AbsentWhy, abi.Reason(r).String())
		}
	}
	if a.scale == nil || y.count == 0 {
		return a
	}
	b := a.scale
	a.least, a.most, a.sum = number(b, b.Ordered(y.least)), number(b, b.Ordered(y.most)), y.total(b)
	first, last := -1, 0
	for i, n := range y.buckets {
		if n > 0 {
			last = i
			if first < 0 {
				first = i
			}
		}
	}
	for i := first; i <= last; i++ {
		low, high := b.Bounds(i)
		a.Buckets = append(a.Buckets, Bucket{number(b, low), number(b, high), y.buckets[i]})
	}
	return a
}

// parts returns the parts of a key.
func (f *Func) parts(y *tally) []Key {
	g, key := f.aggregated, y.key
	parts := make([]Key, len(g.key))
	for i, p := range g.key {
		k := &parts[i]
		k.Expr = p.text
		if r := abi.Reason(key[4+i]); r != abi.Present {
			k.Absent = r.String()
			continue
		}
		data := key[g.program.Layout.Offset(i):]
		v := binary.LittleEndian.Uint64(data)
		kind := g.program.Key[i].Kind
		switch {
		case kind == probegen.KeyCreator && v == 0:
			k.Absent = "no go statement has started it"
		case kind == probegen.KeyCreator:
			k.Value = f.createdBy(v)
		case kind == probegen.KeyStack && y.stack == nil:
			k.Absent = noStackKey(v)
		case kind == probegen.KeyStack:
			k.Value = f.stackKey(y.stack)
		case p.typ == nil:
			k.Value = v
		case p.typ.Kind == abi.Bool:
			k.Value = v != 0
		case p.typ.Kind == abi.String:
			k.Cut = v > probegen.KeyString
			k.Value = string(data[8:][:min(v, probegen.KeyString)])
		case p.typ.Kind <= abi.Int64:
			k.Value = int64(v)
		default:
			k.Value = v
		}
	}
	return parts
}

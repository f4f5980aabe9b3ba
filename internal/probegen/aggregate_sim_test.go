package probegen_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"math/big"
	"testing"

	"github.com/argtap/argtap/abi"
	"github.com/argtap/argtap/internal/bpfsim"
	"github.com/argtap/argtap/internal/capture"
	"github.com/argtap/argtap/internal/expr"
	"github.com/argtap/argtap/internal/probegen"
)

// row is a row as the documentation has it.
type row struct {
	count, absent, why uint64
	sum                big.Int
	least, most        uint64 // in the order of Ordered
	buckets            map[int]uint64
}

func (r *row) add(b *probegen.Buckets, v uint64, why abi.Reason) {
	switch {
	case b == nil:
		r.count++
	case why != abi.Present:
		r.absent++
		r.why |= 1 << why
	default:
		n := new(big.Int).SetUint64(v)
		if b.Signed {
			n.SetInt64(int64(v))
		}
		r.sum.Add(&r.sum, n)
		o := b.Ordered(v)
		if len(r.buckets) == 0 {
			r.buckets, r.least, r.most = map[int]uint64{}, o, o
		}
		r.least, r.most = min(r.least, o), max(r.most, o)
		r.buckets[b.Bucket(v)]++
	}
}

// is compares a row with the values of all CPUs.
func (r *row) is(b *probegen.Buckets, cpus []byte) error {
	size := b.RowSize()
	var got row
	got.buckets = map[int]uint64{}
	most, least := uint64(0), uint64(0)
	for ; len(cpus) >= size; cpus = cpus[size:] {
		word := func(off int) uint64 { return binary.LittleEndian.Uint64(cpus[off:]) }
		if b == nil {
			got.count += word(probegen.RowCount)
			continue
		}
		got.absent += word(probegen.RowAbsent)
		got.why |= word(probegen.RowWhy)
		high := new(big.Int).Lsh(big.NewInt(int64(word(probegen.RowSumHigh))), 64)
		got.sum.Add(&got.sum, high.Add(high, new(big.Int).SetUint64(word(probegen.RowSum))))
		most, least = max(most, word(probegen.RowMax)), max(least, word(probegen.RowMin))
		for i := range b.Len() {
			if n := word(probegen.RowBuckets + 8*i); n > 0 {
				got.buckets[i] += n
			}
		}
	}
	if len(got.buckets) > 0 {
		got.most, got.least = most, ^least
	}
	if got.count != r.count || got.absent != r.absent || got.why != r.why || got.sum.Cmp(&r.sum) != 0 ||
		got.least != r.least || got.most != r.most || fmt.Sprint(got.buckets) != fmt.Sprint(r.orNone()) {
		return fmt.Errorf("row %+v (sum %s), want %+v (sum %s)", got, &got.sum, *r, &r.sum)
	}
	return nil
}

func (r *row) orNone() map[int]uint64 {
	if r.buckets == nil {
		return map[int]uint64{}
	}
	return r.buckets
}

// randomBuckets is a random scale, nil for counts only.
func (r random) randomBuckets(signed bool) *probegen.Buckets {
	b := &probegen.Buckets{Signed: signed}
	switch r.IntN(4) {
	case 0:
		return nil
	case 1:
		b.Step = pick[uint64](r, 1, 2, 7, 1000, 1<<40)
		b.Min = pick[int64](r, 0, 1, 5, 1<<33)
		if signed {
			b.Min = pick[int64](r, 0, -1, -13, -1<<40, math.MinInt64, 17)
		}
		b.Max = b.Min + int64(b.Step*(1+r.Uint64N(100))-r.Uint64N(b.Step))
	}
	return b
}

// aggregateMaps gives the machine the maps of an aggregation.
func aggregateMaps(m *bpfsim.Machine, a *probegen.Aggregate, entries int) *bpfsim.Hash {
	size := a.Buckets.RowSize()
	keys := &bpfsim.Hash{KeySize: a.Layout.Size(), ValueSize: size, MaxEntries: entries, CPUs: simCPUs}
	m.Hashes[probegen.MapKeys] = keys
	m.Hashes[probegen.MapOpen] = &bpfsim.Hash{KeySize: probegen.OpenKeySize, ValueSize: a.OpenSize(), MaxEntries: 1 << 10}
	m.Arrays[probegen.MapOther] = make([]byte, simCPUs*simFuncs*size)
	m.Elements[probegen.MapOther], m.PerCPU[probegen.MapOther] = simCPUs*simFuncs, simFuncs
	m.Arrays[probegen.MapZero] = make([]byte, size)
	return keys
}

// otherRow returns the values of a function's row without a key.
func otherRow(m *bpfsim.Machine, a *probegen.Aggregate, id uint32) (all []byte) {
	size := a.Buckets.RowSize()
	for cpu := range simCPUs {
		all = append(all, m.Arrays[probegen.MapOther][(cpu*simFuncs+int(id))*size:][:size]...)
	}
	return all
}

// TestBuckets: a value is in the bucket whose bounds it is within, and there is no
// gap between two.
func TestBuckets(t *testing.T) {
	for seed := range uint64(200) {
		r := newRandom(seed, abi.AMD64)
		b := r.randomBuckets(r.one(2))
		if b == nil {
			continue
		}
		next := b.Ordered(0)
		if b.Signed {
			next = 0
		}
		for i := range b.Len() {
			low, high := b.Bounds(i)
			if i == 0 && b.Step > 0 && b.Min == 0 && !b.Signed || i == 0 && b.Step > 0 && b.Min == math.MinInt64 {
				continue // nothing is below
			}
			if b.Ordered(low) != next || b.Ordered(high) < b.Ordered(low) {
				t.Fatalf("%+v: bucket %d from %d to %d, want from %d on", b, i, low, high, b.Ordered(next))
			}
			if b.Bucket(low) != i || b.Bucket(high) != i {
				t.Fatalf("%+v: bucket %d from %d to %d: they are in %d and %d", b, i, low, high, b.Bucket(low), b.Bucket(high))
			}
			next = b.Ordered(high) + 1
		}
		if next != 0 {
			t.Fatalf("%+v: the last one ends before %d", b, next)
		}
	}
}

// TestAggregate runs programs that count random values by random keys, on random
// registers and memory, and compares all rows with what the interpreter says.
func TestAggregate(t *testing.T) {
	for _, a := range []*abi.Arch{abi.AMD64, abi.ARM64, abi.I386} {
		t.Run(a.GOARCH, func(t *testing.T) { testAggregate(t, a) })
	}
}

// asserted reports whether an expression asserts a type: the interpreter may have
// another reason why it has no value.
func asserted(n *expr.Node) bool {
	return n != nil && (n.Op == expr.Assert || asserted(n.X) || asserted(n.Y) || asserted(n.Hi) || asserted(n.Max))
}

func aggregated(k abi.Kind) bool { return k >= abi.Int && k <= abi.Uintptr }

// aggregateOf makes of the expressions of c an aggregation.
func (r random) aggregateOf(c *exprCase) (a *probegen.Aggregate, keys []*expr.Expr, value *expr.Expr) {
	a = &probegen.Aggregate{}
	var locations []abi.Location
	for _, in := range c.inputs {
		locations = append(locations, in.Location)
	}
	program := func(e *expr.Expr) *capture.Expr {
		return &capture.Expr{Root: e.Root, Params: locations, Descriptors: descriptors}
	}
	parts := r.IntN(probegen.MaxKeyParts)
	for try := 0; try < 2000; try++ {
		e, err := expr.Compile(c.expression(3), c.scope)
		if err != nil || e.Root.Op == expr.Const || partOfHeader(e.Root) || c.noAddress(e.Root) || asserted(e.Root) {
			continue
		}
		if aggregated(e.Root.Type.Kind) && value == nil && probegen.CheckValue(r.arch, program(e)) == "" {
			value = e
			continue
		}
		if len(keys) < parts && probegen.CheckKey(r.arch, program(e)) == "" {
			keys = append(keys, e)
			a.Key = append(a.Key, probegen.KeyPart{Expr: program(e)})
			a.Layout.Strings = append(a.Layout.Strings, e.Root.Type.Kind == abi.String || r.one(4))
		}
		if len(keys) == parts && value != nil {
			break
		}
	}
	if value != nil {
		a.Buckets = r.randomBuckets(value.Root.Type.Kind <= abi.Int64)
	}
	if a.Buckets != nil {
		a.Value = program(value)
	}
	return a, keys, value
}

func testAggregate(t *testing.T, a *abi.Arch) {
	rounds := 500
	if testing.Short() {
		rounds = 100
	}
	var counted, cut, keyless, full int
	reached := map[abi.Reason]int{}
	for seed := range rounds {
		r := newRandom(uint64(seed), a)
		c := r.exprCase(0)
		agg, keys, value := r.aggregateOf(c)
		f := c.fn(0, capture.Limits{})
		f.ID, f.Aggregate = uint32(r.IntN(simFuncs)), agg
		f.Plan = capture.Build(a, nil, capture.Limits{})
		o := probegen.Options{CPUs: simCPUs, Sleepable: r.one(2)}
		m := newMachine(0)
		if r.one(3) {
			o.Sleepable, o.NoAtomics, m.NoAtomics = false, true, true
		}
		prog := load(t, []probegen.Func{f}, o)
		hash := aggregateMaps(m, agg, pick(r, 1, 2, 100))
		want, other := map[string]*row{}, &row{}
		var hits []*hit
		w := r.world()
		for range 12 {
			hits = append(hits, w.hit(o.Sleepable))
		}
		for n := range 40 {
			h := pick(r, hits...)
			h.enter(m)
			m.CPU = r.Uint32N(simCPUs)
			var params [][]byte
			known := true
			for i, in := range c.inputs {
				image := h.image(&f, in.Type, in.Location)
				known = known && image != nil && !c.gaps[i]
				params = append(params, image)
			}
			if !known {
				continue // what is there of them may be enough
			}
			key := binary.LittleEndian.AppendUint64(nil, uint64(f.ID))
			for i, e := range keys {
				part, why := h.keyPart(e, params, f.Site)
				if why != abi.Present {
					key[4+i] = byte(why)
				}
				if len(part) > 8+probegen.KeyString {
					t.Fatal("too long")
				}
				if e.Root.Type.Kind == abi.String && part[0] > probegen.KeyString {
					cut++
				}
				room := agg.Layout.Offset(i+1) - agg.Layout.Offset(i)
				key = append(key, append(part, make([]byte, room-len(part))...)...)
				reached[why]++
			}
			var v uint64
			why := abi.Present
			if agg.Buckets != nil {
				v, why = h.number(value, params, f.Site)
				reached[why]++
			}
			at := other
			switch {
			case len(keys) == 0:
				keyless++
			case want[string(key)] != nil:
				at = want[string(key)]
			case len(want) < hash.MaxEntries:
				at = &row{}
				want[string(key)] = at
			default:
				full++
			}
			at.add(agg.Buckets, v, why)
			counted++
			if _, err := m.Run(prog); err != nil {
				t.Fatalf("seed %d, hit %d: %v", seed, n, err)
			}
			if m.Ring.Records != nil {
				t.Fatalf("seed %d: a record", seed)
			}
		}
		fail := func(err error) {
			t.Fatalf("seed %d: %v\nkeys %v, value %v, %+v\n%s", seed, err, keys, value, agg.Buckets, describe(&f))
		}
		if err := other.is(agg.Buckets, otherRow(m, agg, f.ID)); err != nil {
			fail(err)
		}
		if len(keys) > 0 && len(hash.Entries) != len(want) {
			fail(fmt.Errorf("%d keys, want %d", len(hash.Entries), len(want)))
		}
		for k, row := range want {
			if err := row.is(agg.Buckets, hash.Entries[k]); err != nil {
				for k, v := range hash.Entries {
					t.Logf("key %x: %x", k, v)
				}
				fail(fmt.Errorf("key %x: %w", k, err))
			}
		}
		if l := m.Arrays[probegen.MapLosses]; !bytes.Equal(l, make([]byte, len(l))) {
			fail(fmt.Errorf("losses %x", l))
		}
	}
	t.Logf("%d counted, %d without a key, %d found the map full, %d strings cut, %v", counted, keyless, full, cut, reached)
	if counted < 1000 || keyless < 100 || full < 100 || reached[abi.NilPointer] < 10 || reached[abi.NotResident] < 10 || reached[abi.Present] < 1000 || cut < 3 && !testing.Short() {
		t.Error("too uniform")
	}
}

// number returns the value of an integer, extended.
func (h *hit) number(e *expr.Expr, params [][]byte, site uint64) (uint64, abi.Reason) {
	v, why := expr.Eval(e, params, evalMemory{h, site})
	if why != expr.Present {
		return 0, reasons[why]
	}
	var word [8]byte
	n := copy(word[:], v.Bytes)
	u := binary.LittleEndian.Uint64(word[:])
	if k := e.Root.Type.Kind; k >= abi.Int && k <= abi.Int64 {
		u = uint64(int64(u<<(64-8*n)) >> (64 - 8*n))
	}
	return u, abi.Present
}

// keyPart returns a part of a key.
func (h *hit) keyPart(e *expr.Expr, params [][]byte, site uint64) ([]byte, abi.Reason) {
	word := func(v uint64) []byte { return binary.LittleEndian.AppendUint64(nil, v) }
	switch e.Root.Type.Kind {
	case abi.Bool:
		v, why := expr.Eval(e, params, evalMemory{h, site})
		if why == expr.Present && v.Bytes[0] != 0 {
			return word(1), abi.Present
		}
		return word(0), reasons[why]
	case abi.String:
		v, why := expr.Eval(e, params, evalMemory{h, site})
		if why != expr.Present {
			return word(0), reasons[why]
		}
		var words [2][8]byte
		copy(words[0][:h.arch.PtrSize], v.Bytes)
		copy(words[1][:h.arch.PtrSize], v.Bytes[h.arch.PtrSize:])
		size := binary.LittleEndian.Uint64(words[1][:])
		if size>>(8*h.arch.PtrSize-1) != 0 {
			return word(0), abi.Implausible
		}
		text := make([]byte, min(size, probegen.KeyString))
		if !h.mem.Read(binary.LittleEndian.Uint64(words[0][:]), text, h.wait) {
			return word(0), abi.NotResident
		}
		return append(word(min(size, probegen.KeyString+1)), text...), abi.Present
	}
	v, why := h.number(e, params, site)
	return word(v), why
}

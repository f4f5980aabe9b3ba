package uprobe

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/argtap/argtap/abi"
	"github.com/argtap/argtap/internal/probegen"
)

func TestAggregateOptions(t *testing.T) {
	hist := WithHistogram("n", Log2())
	for _, tt := range []struct {
		opts []Option
		want string
	}{
		{[]Option{WithCount(), hist}, "a second WithCount or WithHistogram"},
		{[]Option{WithCount("a", "b", "c", "d", "e")}, "a key of 5 parts: there may be 4"},
		{[]Option{WithHistogram("n", Scale{})}, "histogram of n: no scale: give Log2 or Linear"},
		{[]Option{WithHistogram("n", Linear(0, 10, 0))}, "steps of 0: must be positive"},
		{[]Option{WithHistogram("n", Linear(time.Second, time.Second, 1))}, "from 1s to 1s: must end behind its beginning"},
		{[]Option{WithHistogram("n", Linear(0, 1<<20, 1))}, "has more than 2046 buckets: make the steps wider"},
		{[]Option{WithHistogram("n", Linear(int64(math.MinInt64), math.MaxInt64, 1))}, "has more than 2046 buckets"},
		{[]Option{hist, WithResults()}, "leave out WithResults; for the duration use"},
		{[]Option{WithCapture("n"), hist}, "leave out WithCapture; expressions are given as keys"},
		{[]Option{WithCount("n"), WithStack(5)}, "leave out WithStack, or make \"stack\" a part of the key"},
		{[]Option{WithMaxKeys(5)}, "WithMaxKeys without WithCount or WithHistogram"},
		{[]Option{WithCount("n"), WithMaxKeys(0)}, "0 keys: must be between 1 and"},
	} {
		if _, err := newOptions(tt.opts); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%v, want %s", err, tt.want)
		}
	}
	if _, err := newOptions([]Option{WithHistogram("n", Linear(int8(-128), 127, 1), "a", "b", "c", "d"), WithMaxKeys(7), WithCondition("n > 1"), WithSampling(3)}); err != nil {
		t.Error(err)
	}
	if _, err := Trace("/bin/sh", "f", func(*Call) {}, WithCount()); err == nil || !strings.Contains(err.Error(), "pass nil") {
		t.Errorf("a handler: %v", err)
	}
	for depth, opts := range map[int][]Option{32: {WithCount("stack")}, 7: {WithStack(7), WithHistogram("n", Log2(), "m", "stack")}} {
		if o, err := newOptions(opts); err != nil || o.keyDepth != depth || o.limits.Stack != 0 {
			t.Errorf("depth %d: %v, %v", depth, o, err)
		}
	}
	o := &options{maxKeys: 1 << 20}
	if _, err := o.keysFor(1000, 64); err == nil || !strings.Contains(err.Error(), "WithMaxKeys to at most 16777") {
		t.Error(err)
	}
	for _, size := range []int{8, 1000, 16 << 10} {
		for _, cpus := range []int{1, 8, 512} {
			n, err := new(options).keysFor(size, cpus)
			if err != nil || n > defaultKeys || n < 16 || n > 16 && n*size*cpus > keyMemory {
				t.Errorf("%d keys of %d bytes on %d CPUs, %v", n, size, cpus, err)
			}
		}
	}
}

// rowOf is what a CPU has counted of values.
func rowOf(b *probegen.Buckets, values ...uint64) []byte {
	row := make([]byte, b.RowSize())
	word := func(off int, f func(uint64) uint64) {
		binary.LittleEndian.PutUint64(row[off:], f(binary.LittleEndian.Uint64(row[off:])))
	}
	sum := new(big.Int)
	for _, v := range values {
		sum.Add(sum, number(b, v).big())
		word(probegen.RowMax, func(w uint64) uint64 { return max(w, b.Ordered(v)) })
		word(probegen.RowMin, func(w uint64) uint64 { return max(w, ^b.Ordered(v)) })
		word(probegen.RowBuckets+8*b.Bucket(v), func(w uint64) uint64 { return w + 1 })
	}
	low := new(big.Int).And(sum, new(big.Int).SetUint64(math.MaxUint64))
	high := new(big.Int).Rsh(sum, 64)
	word(probegen.RowSum, func(uint64) uint64 { return low.Uint64() })
	word(probegen.RowSumHigh, func(uint64) uint64 { return uint64(high.Int64()) })
	return row
}

func TestAggregateRow(t *testing.T) {
	b := &probegen.Buckets{Signed: true}
	f := &Func{name: "main.f", aggregated: &aggregated{
		program: probegen.Aggregate{
			Buckets: b, Layout: probegen.KeyLayout{Strings: []bool{true, false}},
			Key: make([]probegen.KeyPart, 2),
		},
		key:   []aggregatedPart{{text: "s", typ: &abi.Type{Kind: abi.String, Name: "string"}}, {text: "n > 1", typ: &abi.Type{Kind: abi.Bool, Name: "bool"}}},
		value: aggregatedPart{text: "n", typ: &abi.Type{Kind: abi.Int, Name: "int"}},
	}}
	key := make([]byte, f.aggregated.program.Layout.Size())
	binary.LittleEndian.PutUint64(key[8:], 3)
	copy(key[16:], "GET")
	key[5] = byte(abi.NilPointer)
	y := tally{key: key}
	neg := func(n int64) uint64 { return uint64(-n) }
	row := rowOf(b, 1, 2, 3, neg(5))
	binary.LittleEndian.PutUint64(row[probegen.RowAbsent:], 2)
	binary.LittleEndian.PutUint64(row[probegen.RowWhy:], 1<<abi.NilPointer|1<<abi.NotResident)
	y.add(b, row)
	y.add(b, rowOf(b, 100))
	y.add(b, rowOf(b)) // a CPU that has counted nothing
	a := f.row(&y)
	got, err := any(a).(json.Marshaler).MarshalJSON() // a value, as a loop over them has it
	if err != nil {
		t.Fatal(err)
	}
	want := `{"func":"main.f","key":[{"expr":"s","value":"GET"},{"expr":"n > 1","absent":"nil pointer"}],"count":5,"value":"n",` +
		`"sum":101,"mean":20.2,"min":-5,"p50":2.25,"p90":82,"p99":98.2,"max":100,"absent":2,"absent_why":["not resident","nil pointer"],` +
		`"buckets":[{"low":-7,"high":-4,"count":1},{"low":-3,"high":-2,"count":0},{"low":-1,"high":-1,"count":0},{"low":0,"high":0,"count":0},` +
		`{"low":1,"high":1,"count":1},{"low":2,"high":3,"count":2},{"low":4,"high":7,"count":0},{"low":8,"high":15,"count":0},` +
		`{"low":16,"high":31,"count":0},{"low":32,"high":63,"count":0},{"low":64,"high":127,"count":1}]}`
	if string(got) != want || !json.Valid(got) {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if text := fmt.Sprint(a); text != `main.f "GET" (nil pointer): 5, mean 20, min -5, p50 2, p90 82, p99 98, max 100, 2 absent (not resident, nil pointer)` {
		t.Error(text)
	}
	if a.IsDuration() || a.Quantile(0) != -5 || a.Quantile(1) != 100 || a.Quantile(-3) != -5 || a.Quantile(7) != 100 {
		t.Errorf("quantiles %v and %v", a.Quantile(0), a.Quantile(1))
	}
	wide := tally{key: key}
	wide.add(b, rowOf(b, 1<<63, math.MaxInt64))
	w := f.row(&wide)
	if text := w.Summary(); !strings.Contains(text, "min -9223372036854775808, ") || !strings.HasSuffix(text, "max 9223372036854775807") {
		t.Errorf("%s: extremes are exact", text)
	}
	none := f.row(&tally{absent: 3})
	if !none.Other || !math.IsNaN(none.Mean()) || !math.IsNaN(none.Quantile(0.5)) || none.Sum().Sign() != 0 || len(none.Buckets) != 0 {
		t.Errorf("%s", &none)
	}
}

// TestAggregateSum: sums are exact beyond 64 bits, and where one half of a sum was
// read before and one behind an addition.
func TestAggregateSum(t *testing.T) {
	for _, tt := range []struct {
		signed bool
		values []uint64
		want   string
	}{
		{true, []uint64{1, math.MaxUint64}, "0"}, // 1 and -1
		{true, []uint64{1 << 63, 1 << 63, 1 << 63}, "-27670116110564327424"},
		{false, []uint64{1 << 63, 1 << 63, 1 << 63}, "27670116110564327424"},
		{false, []uint64{math.MaxUint64, math.MaxUint64}, "36893488147419103230"},
		{true, []uint64{math.MaxInt64, math.MaxInt64, 5}, "18446744073709551619"},
		{true, []uint64{math.MaxUint64 - 6}, "-7"},
	} {
		b := &probegen.Buckets{Signed: tt.signed}
		y := tally{}
		for _, v := range tt.values {
			y.add(b, rowOf(b, v))
		}
		if got := y.total(b).String(); got != tt.want || y.count != uint64(len(tt.values)) {
			t.Errorf("%v: %s, want %s", tt.values, got, tt.want)
		}
	}
	for _, off := range []uint64{1, math.MaxUint64} {
		b := &probegen.Buckets{Signed: true}
		y := tally{}
		y.add(b, rowOf(b, 100, math.MaxUint64-200, 300))
		y.sumHigh += off
		if got := y.total(b).String(); got != "199" {
			t.Errorf("a half that was read at another time: %s", got)
		}
	}
}

package e2e

import (
	"cmp"
	_ "embed"
	"fmt"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/argtap/argtap/internal/fixture"
	"github.com/argtap/argtap/uprobe"
)

//go:embed testdata/aggregate/main.go
var aggregateSource string

// counted are calls of a function with a key and a value, as the program tells.
type counted struct {
	Key   string
	Value int64
	None  bool
	N     uint64
}

// aggregateCase is a tracer of a function of testdata/aggregate.
type aggregateCase struct {
	name, fn, test string
	opts           []uprobe.Option
	// value makes the value of what the program tells, nil if only calls are counted.
	value func(int64) *big.Int
	// loose says that values are durations: what they are at least and at most, by key.
	loose map[string][2]time.Duration
	// keys is how many keys there is room for, 0 for enough.
	keys int
	// abandoned is how many calls do not return.
	abandoned uint64
	// reason is why values are absent, if not because an index is out of range.
	reason string
	// only are the calls that are counted, nil for all.
	only func(c counted) bool
}

func aggregateCases() []aggregateCase {
	// big.NewInt has a wrong sign now and then in emulated machines: see package vm.
	signed := func(v int64) *big.Int { return new(big.Int).SetInt64(v) }
	unsigned := func(v int64) *big.Int { return new(big.Int).SetUint64(uint64(v)) }
	log2 := uprobe.Log2()
	return []aggregateCase{
		{name: "count", fn: "hit", test: "count", opts: []uprobe.Option{uprobe.WithCount()}},
		{name: "count by", fn: "hit", test: "method", opts: []uprobe.Option{uprobe.WithCount("r.Method", "ok")}},
		{name: "log2 by", fn: "hit", test: "method", opts: []uprobe.Option{uprobe.WithHistogram("n", log2, "r.Method", "ok")}, value: signed},
		{name: "linear by", fn: "hit", test: "method", opts: []uprobe.Option{uprobe.WithHistogram("n", uprobe.Linear(-50, 50, 7), "r.Method", "ok")}, value: signed},
		{name: "small", fn: "hit", test: "small", opts: []uprobe.Option{uprobe.WithHistogram("small", uprobe.Linear(int8(-100), 100, 10), "small")}, value: signed},
		{name: "big", fn: "hit", test: "big", opts: []uprobe.Option{uprobe.WithHistogram("u", log2)}, value: unsigned},
		{name: "elem", fn: "hit", test: "elem", opts: []uprobe.Option{uprobe.WithHistogram("list[2]", log2)}, value: signed},
		{name: "condition", fn: "hit", test: "method", opts: []uprobe.Option{
			uprobe.WithHistogram("n", log2, "r.Method", "ok"), uprobe.WithCondition("n > 100 && ok"),
		}, value: signed, only: func(c counted) bool { return c.Value > 100 && strings.HasSuffix(c.Key, " true") }},
		{name: "typed", fn: "typed", test: "typed", opts: []uprobe.Option{uprobe.WithHistogram("n", log2, "m")}, value: signed},
		{name: "many", fn: "many", test: "many", opts: []uprobe.Option{uprobe.WithHistogram("n", log2, "k"), uprobe.WithMaxKeys(500)}, value: signed},
		{name: "too many", fn: "many", test: "many", opts: []uprobe.Option{uprobe.WithHistogram("n", log2, "k"), uprobe.WithMaxKeys(64)}, value: signed, keys: 64},
		{name: "fib", fn: "fib", test: "fib", opts: []uprobe.Option{uprobe.WithHistogram("duration", log2, "n")},
			loose: map[string][2]time.Duration{"": {1, time.Minute}}},
		{name: "sleeps", fn: "sleeps", test: "sleeps", opts: []uprobe.Option{uprobe.WithHistogram("duration", uprobe.Linear(0, time.Second, time.Millisecond), "d")},
			loose: map[string][2]time.Duration{"1000000": {time.Millisecond, time.Minute}, "50000000": {50 * time.Millisecond, time.Minute}}},
		{name: "generic", fn: "generic", test: "generic", opts: []uprobe.Option{uprobe.WithHistogram("n", log2)}, value: signed},
		{name: "generic durations", fn: "generic", test: "generic", opts: []uprobe.Option{uprobe.WithHistogram("duration", log2)},
			loose: map[string][2]time.Duration{"": {1, time.Minute}}},
		{name: "leaves", fn: "leaves", test: "leaves", opts: []uprobe.Option{uprobe.WithHistogram("duration", log2, "how")},
			loose: map[string][2]time.Duration{"": {1, time.Minute}}, abandoned: 8*20 + 8,
			only: func(c counted) bool { return c.Key == "0" }},
		{name: "leaves condition", fn: "leaves", test: "leaves", opts: []uprobe.Option{uprobe.WithCount("how"), uprobe.WithCondition("result0 == how && !panicked")},
			abandoned: 8*20 + 8, only: func(c counted) bool { return c.Key == "0" }},
		{name: "by results", fn: "answers", test: "byErr", opts: []uprobe.Option{uprobe.WithCount("err == nil", "n & 3")}},
		{name: "of results", fn: "answers", test: "bySize", opts: []uprobe.Option{uprobe.WithHistogram("len(out)", log2, "*s")}, value: signed},
		{name: "of parts of results", fn: "answers", test: "codes", opts: []uprobe.Option{
			uprobe.WithHistogram("int(err.(*failure).code) + n", log2, "result1.(*failure).code > 50")}, value: signed, reason: "another dynamic type"},
		{name: "return condition", fn: "answers", test: "chosen", opts: []uprobe.Option{
			uprobe.WithHistogram("n", log2, "n > 100 && len(out) > 30 || n == 3"), uprobe.WithCondition("n > 100 && len(out) > 30 && duration < 1h || n == 3"),
		}, value: signed, only: func(c counted) bool { return c.Key == "true" }},
		{name: "entry and return conditions", fn: "answers", test: "bySize", opts: []uprobe.Option{
			uprobe.WithHistogram("duration", log2, "*s"), uprobe.WithCondition("*s == \"s1\""), uprobe.WithCondition("len(result0) > 30"),
		}, loose: map[string][2]time.Duration{"": {1, time.Minute}}, only: func(c counted) bool { return c.Key == `"s1"` && c.Value > 30 }},
	}
}

// TestAggregates compares what is counted in the kernel with what the program says of
// its calls: keys, sums, extremes, and the buckets of all values.
func TestAggregates(t *testing.T) {
	needRoot(t)
	src := fixture.Source{"main.go": aggregateSource}
	for name, flags := range map[string][]string{"default": nil, "unoptimised": {"-gcflags=all=-N -l"}, "386": {"GOARCH=386"}} {
		t.Run(name, func(t *testing.T) { testAggregates(t, fixture.Build(t, src, flags...)) })
	}
}

func testAggregates(t *testing.T, path string) {
	target := fixture.Start(t, path)
	cases := aggregateCases()
	tracers := make([]*uprobe.Tracer, len(cases))
	for i, c := range cases {
		tr, err := uprobe.Trace(path, "main."+c.fn, nil, c.opts...)
		if err != nil {
			t.Fatalf("%s: %+v", c.name, err)
		}
		t.Cleanup(func() { tr.Close() })
		tracers[i] = tr
	}
	all := map[string][]counted{}
	type countedTest struct {
		Test string
		Rows []counted
	}
	for e := range told[countedTest](t, target) {
		all[e.Test] = e.Rows
		if _, err := tracers[0].Aggregates(); err != nil { // as it may be at any time
			t.Error(err)
		}
	}
	for i := range cases {
		t.Run(cases[i].name, func(t *testing.T) { cases[i].compare(t, tracers[i], all[cases[i].test]) })
	}
}

func (c *aggregateCase) compare(t *testing.T, tr *uprobe.Tracer, calls []counted) {
	if err := tr.Close(); err != nil {
		t.Fatal(err)
	}
	rows, err := tr.Aggregates()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]*uprobe.Aggregate{}
	for i := range rows {
		key := ""
		for _, k := range rows[i].Key {
			key += " " + k.String()
		}
		key = strings.TrimPrefix(key, " ")
		switch {
		case rows[i].Other:
			key = "other"
		case got[key] != nil:
			if c.fn != "generic" { // whose instances have rows of their own
				t.Errorf("two rows of one key: %s and %s", got[key], &rows[i])
			}
			merged := mergeCounts(*got[key], rows[i])
			got[key] = &merged
			continue
		}
		got[key] = &rows[i]
	}
	var total, kept uint64
	want := map[string][]counted{}
	for _, k := range calls {
		total += k.N
		if c.only != nil && !c.only(k) {
			continue
		}
		kept += k.N
		key := k.Key
		if c.loose == nil && len(rows) > 0 && len(rows[0].Key) == 0 {
			key = ""
		}
		if c.keys > 0 && got[key] == nil {
			key = "other"
		}
		want[key] = append(want[key], k)
	}
	s := tr.Stats()
	compared(t, int(kept))
	if s.Lost > 0 && s.Lost <= mayLose() && c.abandoned == 0 {
		someLost(t, s, total, kept, got, want)
		return
	}
	if c.abandoned > 0 {
		total += 8 // runtime.Goexit
	} else if s.Filtered != total-kept {
		t.Errorf("%d filtered, want %d", s.Filtered, total-kept)
	}
	if s.Calls != total || s.Aggregated != kept || s.Lost != 0 || s.Delivered != 0 || s.Open+s.Abandoned != c.abandoned ||
		s.Calls != s.Aggregated+s.Filtered+s.Open+s.Abandoned {
		t.Errorf("%d calls, of which %d count: %+v", total, kept, s)
	}
	if c.keys > 0 && len(got) != c.keys+1 {
		t.Errorf("%d keys, want %d and others", len(got), c.keys)
	}
	for key, a := range got {
		if want[key] == nil {
			t.Errorf("%s: there is no such key", a)
		}
	}
	for key, calls := range want {
		a := got[key]
		if a == nil {
			t.Errorf("no key %s", key)
			continue
		}
		if err := c.row(a, key, calls); err != nil {
			t.Errorf("%s: %v", a, err)
		}
	}
}

// someLost requires that those calls are missing in the rows that were lost, or kept
// back, and no others.
func someLost(t *testing.T, s uprobe.Stats, total, kept uint64, got map[string]*uprobe.Aggregate, want map[string][]counted) {
	t.Helper()
	missing := total - kept - s.Filtered
	for key, calls := range want {
		var n uint64
		for _, k := range calls {
			n += k.N
		}
		if a := got[key]; a != nil {
			n -= a.Count + a.Absent
		}
		missing += n
	}
	if s.Calls != total || missing != s.Lost || s.Calls != s.Aggregated+s.Filtered+s.Open+s.Abandoned+s.Lost {
		t.Errorf("%d calls, of which %d count; %d are missing: %+v", total, kept, missing, s)
	}
}

// mergeCounts adds the counts of two rows, and no values.
func mergeCounts(a, b uprobe.Aggregate) uprobe.Aggregate {
	a.Count += b.Count
	a.Absent += b.Absent
	a.Buckets = append(append([]uprobe.Bucket(nil), a.Buckets...), b.Buckets...)
	return a
}

// row compares a row with the calls that it counts.
func (c *aggregateCase) row(a *uprobe.Aggregate, key string, calls []counted) error {
	var n, none uint64
	var least, most *big.Int
	sum, left := new(big.Int), map[int]uint64{}
	limits := make([][2]*big.Int, len(a.Buckets))
	for i, b := range a.Buckets {
		limits[i] = [2]*big.Int{bigInt(b.Low), bigInt(b.High)}
	}
	for _, k := range calls {
		if k.None {
			none += k.N
			continue
		}
		n += k.N
		if c.value == nil {
			continue
		}
		v := c.value(k.Value)
		sum.Add(sum, new(big.Int).Mul(v, new(big.Int).SetUint64(k.N)))
		if least == nil || v.Cmp(least) < 0 {
			least = v
		}
		if most == nil || v.Cmp(most) > 0 {
			most = v
		}
		in := 0
		for i, l := range limits {
			if l[0].Cmp(v) <= 0 && v.Cmp(l[1]) <= 0 {
				left[i] += k.N
				in++
			}
		}
		if in != 1 && c.fn != "generic" {
			return fmt.Errorf("%s is in %d buckets", v, in)
		}
	}
	if a.Count != n || a.Absent != none {
		return fmt.Errorf("%d calls and %d without a value, want %d and %d", a.Count, a.Absent, n, none)
	}
	if none > 0 && (len(a.AbsentWhy) != 1 || a.AbsentWhy[0] != cmp.Or(c.reason, "index out of range")) {
		return fmt.Errorf("absent: %q", a.AbsentWhy)
	}
	if c.loose != nil {
		limits, ok := c.loose[key]
		if !ok {
			limits = c.loose[""]
		}
		low, _ := a.Min().Int64()
		high, _ := a.Max().Int64()
		if !a.IsDuration() || low < int64(limits[0]) || high > int64(limits[1]) {
			return fmt.Errorf("from %d to %d, want from %v to %v", low, high, limits[0], limits[1])
		}
	}
	if c.value == nil || c.fn == "generic" || n == 0 {
		return nil
	}
	if a.Sum().Cmp(sum) != 0 || bigInt(a.Min()).Cmp(least) != 0 || bigInt(a.Max()).Cmp(most) != 0 {
		return fmt.Errorf("sum %s from %s to %s, want %s from %s to %s", a.Sum(), a.Min(), a.Max(), sum, least, most)
	}
	for i, b := range a.Buckets {
		if b.Count != left[i] {
			return fmt.Errorf("%d from %s to %s, want %d", b.Count, b.Low, b.High, left[i])
		}
	}
	for _, q := range []float64{0, 0.5, 0.99, 1} {
		least, _ := new(big.Float).SetInt(least).Float64()
		most, _ := new(big.Float).SetInt(most).Float64()
		if v := a.Quantile(q); v < least || v > most {
			return fmt.Errorf("quantile %v is %v", q, v)
		}
	}
	return nil
}

func bigInt(i uprobe.Int) *big.Int {
	n, _ := new(big.Int).SetString(i.String(), 10)
	return n
}

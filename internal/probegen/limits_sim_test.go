package probegen_test

import (
	"encoding/binary"
	"fmt"
	"iter"
	"strings"
	"testing"

	"github.com/argtap/argtap/abi"
	"github.com/argtap/argtap/internal/bpfsim"
	"github.com/argtap/argtap/internal/capture"
	"github.com/argtap/argtap/internal/expr"
	"github.com/argtap/argtap/internal/probegen"
)

// TestLimits compares what becomes of each of many calls with the model, for
// random functions, limits and times, and what is sent with the record's model.
func TestLimits(t *testing.T) {
	reached := map[outcome]int{}
	for seed := range 300 {
		r := newRandom(uint64(seed), pick(newRandom(uint64(seed), abi.AMD64), abi.AMD64, abi.ARM64, abi.I386))
		var funcs []probegen.Func
		for id := range pick(r, 1, 1, 3) {
			f := r.fn(uint32(id))
			if r.one(5) {
				f = r.heavy(uint32(id))
			}
			f.ID = uint32(simFuncs - 1 - id)
			funcs = append(funcs, f)
		}
		// A condition on what all functions have: none, so it is a constant.
		meets := !r.one(6)
		if !meets {
			e, err := expr.Compile("1 > 2", &expr.Scope{Arch: r.arch, Package: "main"})
			if err != nil {
				t.Fatal(err)
			}
			for i := range funcs {
				funcs[i].Where = []*capture.Expr{{Root: e.Root}}
			}
		}
		o := probegen.Options{CPUs: simCPUs, Limits: r.randomLimits()}
		m := newMachine(1 << 22)
		if r.one(3) {
			o.NoAtomics, m.NoAtomics = true, true
		}
		prog := load(t, funcs, o)
		model := &limitsModel{o.Limits, map[uint32]*funcModel{}, map[uint32]*budgetModel{}}
		want := map[uint32]map[outcome]int{}
		var times []uint64
		m.Hook = func(helper string) {
			if helper == "ktime_get_ns" {
				m.Time += 100 + r.Uint64N(500)
				times = append(times, m.Time)
			}
		}
		w := r.world()
		m.Time = r.Uint64N(1 << 50)
		for n := range 120 {
			m.Time += pick[uint64](r, 0, 10, 1000, 50_000, 3_000_000, 60_000_000)
			f := &funcs[r.IntN(len(funcs))]
			h := w.hit(false)
			h.enter(m)
			m.Cookie, m.CPU, m.PID, m.TID = uint64(f.Cookie), r.Uint32N(simCPUs), h.pid, h.tid
			times = times[:0]
			if _, err := m.Run(prog); err != nil {
				t.Fatalf("seed %d: %v", seed, err)
			}
			recs := m.Ring.Take()
			if skipped(f.Skip, h.flags) {
				if len(recs) != 0 {
					t.Fatalf("seed %d: a record of a hit that is no call", seed)
				}
				continue
			}
			// What the program read of the clock: at its begin and end for the
			// budget, else for the rate, and for the record.
			var begin, now uint64
			if len(times) > 0 {
				begin, now = times[0], times[0]
			}
			got := model.hit(f.ID, m.CPU, begin, now, meets)
			reached[got]++
			if got != probegen.Paused && o.Limits.Budget > 0 {
				model.budget[m.CPU].spent += times[len(times)-1] - begin
				times = times[:len(times)-1]
			}
			if want[f.ID] == nil {
				want[f.ID] = map[outcome]int{}
			}
			want[f.ID][got]++
			if (len(recs) == 1) != (got == sent) {
				t.Fatalf("seed %d, hit %d: %d records, want outcome %d; %+v", seed, n, len(recs), got, o)
			}
			if got == sent {
				h.time = times[len(times)-1]
				if err := diff(recs[0], h.record(f)); err != nil {
					t.Fatalf("seed %d: %v\n%s", seed, err, describe(f))
				}
			}
		}
		for id, outcomes := range want {
			got := countersOf(m, o.Limits, id)
			got[sent] = outcomes[sent]
			for o, n := range outcomes {
				if got[o] != n {
					t.Fatalf("seed %d: function %d: counted %v, want %v", seed, id, got, outcomes)
				}
			}
			sum := 0
			for _, n := range got {
				sum += n
			}
			hits := 0
			for _, n := range outcomes {
				hits += n
			}
			if sum != hits {
				t.Fatalf("seed %d: function %d: %v are %d, of %d hits", seed, id, got, sum, hits)
			}
		}
	}
	for _, o := range []outcome{sent, sampledOut, probegen.Filtered, probegen.Limited, probegen.Beyond, probegen.Paused} {
		if reached[o] < 300 {
			t.Errorf("outcome %d was reached %d times only", o, reached[o])
		}
	}
	t.Log(reached)
}

// countersOf is what a function's counters say, of all CPUs.
func countersOf(m *bpfsim.Machine, l probegen.Limits, id uint32) map[outcome]int {
	got := map[outcome]int{}
	n := m.PerCPU[probegen.MapLosses]
	for cpu := range simCPUs {
		e := m.Arrays[probegen.MapLosses][(cpu*n+int(id))*probegen.LossesSize:][:probegen.LossesSize]
		for c := range probegen.LossesSize / 8 {
			v := binary.LittleEndian.Uint64(e[8*c:])
			if c == probegen.Seen {
				got[sampledOut] += int(l.SampledOut(v))
			} else {
				got[outcome(c)] += int(v)
			}
		}
	}
	return got
}

// limitsMachine is a small machine: there are many of them.
func limitsMachine() *bpfsim.Machine {
	return &bpfsim.Machine{
		Arrays: map[string][]byte{
			probegen.MapLosses: make([]byte, simCPUs*probegen.LossesSize),
			probegen.MapGates:  make([]byte, probegen.GateSize),
		},
		Elements: map[string]int{probegen.MapLosses: simCPUs},
		PerCPU:   map[string]int{probegen.MapLosses: 1},
		Ring:     bpfsim.Ring{Size: 1 << 20},
	}
}

// TestLimitsInterleaved runs a whole hit on another CPU, or on the same one where
// programs can be preempted, between any two instructions of a hit, and two hits
// in one another. Not one call more may pass than allowed, and none may be left
// uncounted; those that were refused too soon must get through later.
func TestLimitsInterleaved(t *testing.T) {
	for _, tt := range []struct {
		name   string
		limits probegen.Limits
		most   int
	}{
		{"first", probegen.Limits{First: 3}, 3},
		{"rate", probegen.Limits{Interval: 1000, Burst: 3}, 3},
		{"both", probegen.Limits{Interval: 1000, Burst: 4, First: 3}, 3},
		{"sample", probegen.Limits{Sample: 2, First: 1}, 1},
	} {
		for _, noAtomics := range []bool{false, true} {
			f := intFunc()
			o := probegen.Options{CPUs: simCPUs, Limits: tt.limits, NoAtomics: noAtomics}
			p := load(t, []probegen.Func{f}, o)
			// The first hit of a run stands alone in the middle of before others.
			for before := range tt.most + 1 {
				for first := 0; ; first++ {
					m := limitsMachine()
					m.Time = 5_000_000
					stringHit(1, 'x').enter(m)
					hits := 0
					hit := func() {
						hits++
						if _, err := m.Run(p); err != nil {
							t.Fatal(err)
						}
					}
					for range before {
						hit()
					}
					depth, ended := 0, true
					m.Step = func(n int) {
						if n != first || depth == 2 {
							return
						}
						ended = false
						depth++
						cpu := m.CPU
						if noAtomics || depth == 1 {
							m.CPU = (cpu + 1) % simCPUs
						}
						hit()
						m.CPU = cpu
						depth--
					}
					hit()
					m.Step = nil
					if ended {
						break // the hit has no more instructions
					}
					allowed := tt.most
					if noAtomics && strings.Contains(tt.name, "rate") && before == 0 {
						// Each of those that find the bucket long empty may make it so.
						allowed += 2
					}
					if n := len(m.Ring.Records); n > allowed {
						t.Fatalf("%s, no atomics %t: %d passed, %d hits before, another at instruction %d", tt.name, noAtomics, n, before, first)
					}
					for range 2 * tt.most {
						hit()
					}
					n := len(m.Ring.Records)
					if n < tt.most || n > allowed {
						t.Fatalf("%s, no atomics %t: %d passed in the end, %d hits before, another at instruction %d", tt.name, noAtomics, n, before, first)
					}
					sum := n
					for _, c := range countersOf(m, tt.limits, f.ID) {
						sum += c
					}
					if sum != hits {
						t.Fatalf("%s, no atomics %t: %d counted of %d, another at instruction %d", tt.name, noAtomics, sum, hits, first)
					}
				}
			}
		}
	}
}

// TestLimitsConcurrent has two CPUs run a hit at the same time: one goes so far, the
// other so far, then both to their ends.
func TestLimitsConcurrent(t *testing.T) {
	for _, limits := range []probegen.Limits{{First: 3}, {Interval: 1000, Burst: 3}} {
		for _, noAtomics := range []bool{false, true} {
			p := load(t, []probegen.Func{intFunc()}, probegen.Options{CPUs: simCPUs, Limits: limits, NoAtomics: noAtomics})
			for before := 1; before < 4; before++ {
				const steps = 32 // then there is a record already
				for schedule := range steps * steps {
					m := limitsMachine()
					m.Time = 5_000_000
					stringHit(1, 'x').enter(m)
					hit := func() {
						if _, err := m.Run(p); err != nil {
							t.Fatal(err)
						}
					}
					for range before {
						hit()
					}
					var step [simCPUs]func() bool // until it returns false
					var stops []func()
					for cpu := range step {
						next, stop := iter.Pull(func(yield func(struct{}) bool) {
							m.Step = func(int) { yield(struct{}{}) }
							hit()
						})
						stops = append(stops, stop)
						var own func(int)
						step[cpu] = func() bool {
							m.CPU, m.Step = uint32(cpu), own
							_, more := next()
							own = m.Step
							return more
						}
					}
					for cpu, n := range []int{schedule % steps, schedule / steps} {
						for ; n > 0 && step[cpu](); n-- {
						}
					}
					for cpu := range step {
						for step[cpu]() {
						}
						stops[cpu]()
					}
					m.Step = nil
					if n := len(m.Ring.Records); n > 3 {
						t.Fatalf("%+v, no atomics %t, %d before, schedule %d: %d passed", limits, noAtomics, before, schedule, n)
					}
					for range 3 {
						hit()
					}
					sum := len(m.Ring.Records)
					if sum != 3 {
						t.Fatalf("%+v, no atomics %t, %d before, schedule %d: %d passed in the end", limits, noAtomics, before, schedule, sum)
					}
					for _, c := range countersOf(m, limits, 0) {
						sum += c
					}
					if sum != before+2+3 {
						t.Fatalf("%+v, no atomics %t, %d before, schedule %d: %d counted", limits, noAtomics, before, schedule, sum)
					}
				}
			}
		}
	}
}

// TestSampledOut: what a CPU keeps back follows from what it has seen.
func TestSampledOut(t *testing.T) {
	for _, n := range []int32{0, 1, 2, 3, 10, 1 << 30} {
		passed := uint64(0)
		for seen := range uint64(50) {
			if got := (probegen.Limits{Sample: n}).SampledOut(seen); got != seen-passed {
				t.Errorf("one in %d: %d of %d kept back, want %d", n, got, seen, seen-passed)
			}
			if n <= 1 || seen%uint64(n) == 0 {
				passed++
			}
		}
	}
}

func TestBadLimits(t *testing.T) {
	for _, tt := range []struct {
		limits probegen.Limits
		want   string
	}{
		{probegen.Limits{Sample: -1}, "negative"},
		{probegen.Limits{Interval: 1}, "a rate needs a burst"},
		{probegen.Limits{Interval: 1 << 20, Burst: 1 << 20}, "the burst is too large"},
	} {
		_, err := probegen.Entry([]probegen.Func{intFunc()}, probegen.Options{CPUs: 1, Limits: tt.limits})
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%+v: %v", tt.limits, err)
		}
	}
}

// TestGoldenLimits: the code of all limits at once, and of one.
func TestGoldenLimits(t *testing.T) {
	all := probegen.Limits{Sample: 100, First: 50, Interval: 1_000_000, Burst: 100, Budget: 1_000_000}
	for name, o := range map[string]probegen.Options{
		"limits":            {CPUs: 4, Limits: all},
		"limits-no-atomics": {CPUs: 4, Limits: all, NoAtomics: true},
		"sample":            {CPUs: 4, Limits: probegen.Limits{Sample: 100}},
	} {
		f := intFunc()
		ins, err := probegen.Entry([]probegen.Func{f}, o)
		golden(t, name, about(o, f)+fmt.Sprintf("# limits: %+v\n", o.Limits), ins, err)
	}
}

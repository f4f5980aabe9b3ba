package probegen_test

import (
	"encoding/binary"
	"fmt"
	"maps"
	"slices"
	"testing"

	"github.com/argtap/argtap/abi"
	"github.com/argtap/argtap/internal/capture"
	"github.com/argtap/argtap/internal/expr"
	"github.com/argtap/argtap/internal/probegen"
)

// returning is a function of an argument n with a result r, whose calls are counted
// when they return.
type returning struct {
	entry, leave probegen.Func
	kept         int
	// what the expressions say, and whether a value is there.
	parts []returned
	value returned
	where func(n, r, duration int64) bool
	// asksN says that the condition needs n.
	asksN bool
}

// returned is an expression, with whether it needs n, and is computed at the return.
type returned struct {
	fn     func(n, r, duration int64) int64
	needsN bool
}

// The expressions over n, r and duration, and the same in Go. Those of n alone are
// computed at the entry.
var (
	returnedParts = map[string]func(n, r, d int64) int64{
		"n & 3":               func(n, r, d int64) int64 { return n & 3 },
		"r & 1":               func(n, r, d int64) int64 { return r & 1 },
		"r + n > 4":           func(n, r, d int64) int64 { return truth(r+n > 4) },
		"duration > 10us":     func(n, r, d int64) int64 { return truth(d > 10_000) },
		"n == r || n*2 == -4": func(n, r, d int64) int64 { return truth(n == r || n == -2) },
	}
	returnedValues = map[string]func(n, r, d int64) int64{
		"n":                    func(n, r, d int64) int64 { return n },
		"r":                    func(n, r, d int64) int64 { return r },
		"r*100 - n":            func(n, r, d int64) int64 { return r*100 - n },
		"int(duration) + r":    func(n, r, d int64) int64 { return d + r },
		"":                     func(n, r, d int64) int64 { return d },
		"n & 7 * (r + 3) * -1": func(n, r, d int64) int64 { return n & 7 * (r + 3) * -1 },
	}
	returnedConditions = map[string]func(n, r, d int64) bool{
		"":                                  nil,
		"r > 2":                             func(n, r, d int64) bool { return r > 2 },
		"r > n || duration > 50us":          func(n, r, d int64) bool { return r > n || d > 50_000 },
		"n*3 < r + 5 && duration <= 1000us": func(n, r, d int64) bool { return n*3 < r+5 && d <= 1_000_000 },
	}
)

func truth(b bool) int64 {
	if b {
		return 1
	}
	return 0
}

// anyOf picks a key of a map, in an order that does not depend on the run.
func anyOf[T any](r random, m map[string]T) string {
	var keys []string
	for k := range m {
		keys = append(keys, k)
	}
	least := keys[0]
	for range 1 + r.IntN(len(keys)) { // the so many smallest
		least = ""
		for _, k := range keys {
			if least == "" || k < least {
				least = k
			}
		}
		for i, k := range keys {
			if k == least {
				keys = append(keys[:i], keys[i+1:]...)
				break
			}
		}
	}
	return least
}

func (r random) returning(t *testing.T) *returning {
	scope := &expr.Scope{Arch: r.arch, Package: "main", Durations: true, Params: []abi.Param{
		{Name: "n", Type: tInt}, {Name: "r", Type: tInt}, {Name: "duration", Type: expr.DurationType},
	}}
	args := []abi.Location{{{Size: 8, Kind: abi.InFrame, CFA: 16}}}
	results := []abi.Location{{{Size: 8, Kind: abi.InRegister, Reg: map[*abi.Arch]abi.Reg{abi.AMD64: abi.RAX, abi.ARM64: abi.X0}[r.arch]}}}
	c := &returning{}
	late := func(n int64) bool { return n > 0 }
	// compile makes an expression one for the entry or for the return.
	compile := func(text string) *capture.Expr {
		e, err := expr.Compile(text, scope)
		if err != nil {
			t.Fatal(err)
		}
		if expr.Find(e.Root, late) == nil {
			return &capture.Expr{Root: e.Root, Params: args}
		}
		rest, kept, cannot := expr.Keep(e.Root, func(n int64) bool { return n == 0 }, 100)
		if cannot != nil {
			t.Fatal(cannot)
		}
		before := int64(len(c.entry.Keep))
		for _, k := range kept {
			c.entry.Keep = append(c.entry.Keep, &capture.Expr{Root: k, Params: args})
		}
		rest = expr.Replace(rest, func(n *expr.Node) *expr.Node {
			m := *n
			if m.N--; n.N >= 100 {
				m.N = 2 + before + n.N - 100
			}
			return &m
		})
		return &capture.Expr{Root: rest, Params: results, Return: true}
	}
	needs := func(text string) bool {
		e, err := expr.Compile(text, scope)
		return err == nil && expr.Find(e.Root, func(n int64) bool { return n == 0 }) != nil
	}
	a := &probegen.Aggregate{AtReturn: true}
	for range r.IntN(4) {
		text := anyOf(r, returnedParts)
		c.parts = append(c.parts, returned{returnedParts[text], needs(text)})
		a.Key = append(a.Key, probegen.KeyPart{Expr: compile(text)})
		a.Layout.Strings = append(a.Layout.Strings, r.one(5))
	}
	if !r.one(4) {
		text := anyOf(r, returnedValues)
		c.value = returned{returnedValues[text], needs(text)}
		a.Buckets = &probegen.Buckets{Signed: true}
		if text != "" {
			a.Value = compile(text)
		}
	}
	a.KeepValue = a.KeepsValue() || r.one(4)
	if a.Unwinds = r.one(3); a.Unwinds {
		for i := range a.Key {
			if p := &a.Key[i]; p.Expr.Return && !r.one(3) { // what the return overwrites
				p.Unwound = compile("n & 7")
			}
		}
	}
	var where []*capture.Expr
	if text := anyOf(r, returnedConditions); text != "" {
		c.where, c.asksN = returnedConditions[text], needs(text)
		where = append(where, compile(text))
	}
	c.entry.ID, c.entry.Cookie, c.entry.Name, c.entry.Arch, c.entry.Skip = 10, 0, "main.returning", r.arch, probegen.Never
	c.entry.G, c.entry.Site, c.entry.Aggregate = probegen.G{Kind: probegen.GRegister, Reg: r.arch.G}, 0x401000, a
	c.entry.Plan = capture.Build(r.arch, nil, capture.Limits{Pair: true})
	c.entry.Plan.Goroutine = 152
	c.entry.CFA = int64(8 * r.IntN(4))
	c.entry.FirstLater = c.where != nil
	c.leave = c.entry
	c.leave.Role, c.leave.Keep, c.leave.Where, c.leave.CFA = probegen.RoleReturn, nil, where, int64(8*r.IntN(2))
	c.kept = c.entry.KeptWords() + r.IntN(2)
	return c
}

// TestAggregateReturned enters and leaves functions whose calls are counted by what is
// known at their return, if their conditions are met then, and compares the rows and
// counters with what the same expressions say in Go.
func TestAggregateReturned(t *testing.T) {
	for _, a := range []*abi.Arch{abi.AMD64, abi.ARM64} {
		t.Run(a.GOARCH, func(t *testing.T) { testAggregateReturned(t, a) })
	}
}

func testAggregateReturned(t *testing.T, a *abi.Arch) {
	var counted, filtered, beyond, absent, unwound int
	for seed := range 300 {
		r := newRandom(uint64(seed), a)
		c := r.returning(t)
		agg := c.entry.Aggregate
		o := probegen.Options{CPUs: simCPUs, Kept: c.kept, Sleepable: r.one(3)}
		if c.where != nil && r.one(3) {
			o.Limits.First = pick[int32](r, 1, 5)
		}
		m := newMachine(0)
		if r.one(3) {
			o.NoAtomics, m.NoAtomics, o.Sleepable = true, true, false
		}
		keys := aggregateMaps(m, agg, 100)
		open := m.Hashes[probegen.MapOpen]
		open.ValueSize += 8 * c.kept
		enter, leave := load(t, []probegen.Func{c.entry}, o), load(t, []probegen.Func{c.leave}, o)
		w := r.world()
		g := w.mem.Alloc(400, 8)
		w.mem.PutWord(g+152, 5)
		rows, other := map[string]*row{}, &row{}
		want := map[int]uint64{}
		var taken int32
		for n := range 30 {
			now := uint64(1000 * (n + 1) * 1_000_000)
			stack := w.mem.Alloc(512, 8)
			w.mem.PutWord(g+8, stack+256)
			arg, result := int64(r.IntN(12)-4), int64(r.IntN(12)-4)
			lost := !o.Sleepable && r.one(10) // the argument cannot be read
			w.mem.PutWord(stack+16, uint64(arg))
			if lost {
				w.mem.Evict(stack+16, 8)
			}
			run := func(f *probegen.Func, at uint64) {
				h := w.hit(false)
				h.regs[a.SP], h.regs[a.G] = stack-uint64(f.CFA), g
				if f.Role == probegen.RoleReturn {
					h.regs[map[*abi.Arch]abi.Reg{abi.AMD64: abi.RAX, abi.ARM64: abi.X0}[a]] = uint64(result)
					w.mem.PutWord(stack+16, 999) // the function has overwritten it
				}
				h.time, m.CPU = at, r.Uint32N(simCPUs)
				h.enter(m)
				m.Cookie, m.PID, m.TID, m.Time = 0, h.pid, h.tid, h.time
				p := enter
				if f.Role == probegen.RoleReturn {
					p = leave
				}
				if _, err := m.Run(p); err != nil {
					t.Fatalf("seed %d, call %d: %v", seed, n, err)
				}
			}
			d := int64(pick(r, 1, 9_000, 11_000, 60_000, 2_000_000))
			run(&c.entry, now)
			if len(open.Entries) != 1 {
				t.Fatalf("seed %d: %d open calls", seed, len(open.Entries))
			}
			for _, v := range open.Entries {
				key := agg.KeptKey(v, c.kept)
				for i, p := range agg.Key {
					want, why := uint64(0), abi.Present
					switch {
					case p.Unwound == nil:
						continue
					case lost:
						why = abi.NotResident
					default:
						want = uint64(arg & 7)
					}
					unwound++
					if got := binary.LittleEndian.Uint64(key[agg.Layout.Offset(i):]); got != want || key[probegen.KeyReasons+i] != byte(why) {
						t.Fatalf("seed %d: part %d is %d, %d at the entry, want %d, %d", seed, i, got, key[probegen.KeyReasons+i], want, why)
					}
				}
			}
			run(&c.leave, now+uint64(d))
			if len(open.Entries) != 0 {
				t.Fatalf("seed %d: %d open calls behind the return", seed, len(open.Entries))
			}
			switch {
			case c.where != nil && (lost && c.asksN || !c.where(arg, result, d)):
				want[probegen.Filtered]++
				filtered++
				continue
			case o.Limits.First > 0 && taken == o.Limits.First:
				want[probegen.Beyond]++
				beyond++
				continue
			}
			taken++
			at := other
			if len(agg.Key) > 0 {
				key := make([]byte, agg.Layout.Size())
				binary.LittleEndian.PutUint32(key, c.entry.ID)
				for i, part := range c.parts {
					if part.needsN && lost {
						key[4+i] = byte(abi.NotResident)
						continue
					}
					binary.LittleEndian.PutUint64(key[agg.Layout.Offset(i):], uint64(part.fn(arg, result, d)))
				}
				if at = rows[string(key)]; at == nil {
					at = &row{}
					rows[string(key)] = at
				}
			}
			v, why := int64(0), abi.Present
			if c.value.needsN && lost {
				why = abi.NotResident
				absent++
			} else if c.value.fn != nil {
				v = c.value.fn(arg, result, d)
			}
			at.add(agg.Buckets, uint64(v), why)
			counted++
		}
		got := mapLosses(m)
		maps.DeleteFunc(got, func(_ int, n uint64) bool { return n == 0 })
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Fatalf("seed %d: losses %v, want %v\n%s", seed, got, want, describe(&c.leave))
		}
		for k, row := range rows {
			if err := row.is(agg.Buckets, keys.Entries[k]); err != nil {
				t.Fatalf("seed %d: key %x: %v; there are %x\n%s", seed, k, err, slices.Collect(maps.Keys(keys.Entries)), describe(&c.leave))
			}
		}
		if err := other.is(agg.Buckets, otherRow(m, agg, c.entry.ID)); err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
	}
	t.Logf("%d counted, %d filtered, %d beyond, %d without a value", counted, filtered, beyond, absent)
	if unwound < 500 || counted < 1000 || filtered < 500 || beyond < 100 || absent < 30 {
		t.Error("too uniform")
	}
}

package probegen_test

import (
	"github.com/argtap/argtap/internal/probegen"
)

// outcome is what becomes of a call: the index of its counter, or sent, or
// sampledOut.
type outcome int

const (
	sent       outcome = -1
	sampledOut outcome = -2
)

// limitsModel decides by the documentation of the limits.
type limitsModel struct {
	probegen.Limits
	funcs  map[uint32]*funcModel
	budget map[uint32]*budgetModel // by CPU
}

type funcModel struct {
	seen  map[uint32]int // by CPU
	taken int32
	// level is how full the bucket is, in nanoseconds, at the given time: each call
	// fills it by Interval, and it leaks.
	level, at int64
}

type budgetModel struct{ start, spent uint64 }

func (m *limitsModel) hit(id, cpu uint32, begin, now uint64, meets bool) outcome {
	f, b := m.funcs[id], m.budget[cpu]
	if f == nil {
		f = &funcModel{seen: map[uint32]int{}}
		m.funcs[id] = f
	}
	if b == nil {
		b = &budgetModel{}
		m.budget[cpu] = b
	}
	if m.Budget > 0 {
		if begin-b.start >= probegen.BudgetWindow {
			*b = budgetModel{start: begin}
		} else if b.spent >= uint64(m.Budget) {
			return probegen.Paused
		}
	}
	if m.First > 0 && f.taken >= m.First {
		return probegen.Beyond
	}
	if m.Sample > 1 {
		f.seen[cpu]++
		if f.seen[cpu]%int(m.Sample) != 1 {
			return sampledOut
		}
	}
	if !meets {
		return probegen.Filtered
	}
	if m.Interval > 0 {
		f.level, f.at = max(0, f.level-(int64(now)-f.at)), int64(now)
		if f.level > int64(m.Burst-1)*int64(m.Interval) {
			return probegen.Limited
		}
		f.level += int64(m.Interval)
	}
	f.taken++
	return sent
}

// randomLimits are random limits, small enough to be reached.
func (r random) randomLimits() (l probegen.Limits) {
	if r.one(2) {
		l.Sample = pick[int32](r, 1, 2, 3, 7)
	}
	if r.one(2) {
		l.First = pick[int32](r, 1, 5, 30)
	}
	if r.one(2) {
		l.Interval, l.Burst = pick[int32](r, 10_000, 500_000, 20_000_000), pick[int32](r, 1, 2, 5)
	}
	if r.one(2) {
		l.Budget = pick[int32](r, 1, 700, 5000)
	}
	return l
}

package uprobe

import (
	"fmt"
	"strconv"
	"time"

	"github.com/cilium/ebpf"

	"github.com/argtap/argtap/internal/probegen"
)

// maxGates is how many functions there is room for in the largest array element
// that all kernels have (KMALLOC_MAX_SIZE).
const maxGates = 4 << 20 / probegen.GateSize

// needCounts makes the maps in which the programs count calls and keep the state
// of the limits.
func (k *kernel) needCounts(funcs []*Func) (err error) {
	if k.lossMap, err = ebpf.NewMap(&ebpf.MapSpec{
		Name: "argtap_losses", Type: ebpf.PerCPUArray, KeySize: 4,
		ValueSize: probegen.LossesSize, MaxEntries: uint32(len(funcs)),
	}); err != nil {
		return kernelError("create the map of counters", err)
	}
	l := k.opts.throttle
	if l.First > 0 || l.Interval > 0 {
		if len(funcs) > maxGates {
			return fmt.Errorf("%d functions: a rate limit, or WithFirst, is for at most %d", len(funcs), maxGates)
		}
		if k.gates, err = ebpf.NewMap(&ebpf.MapSpec{
			Name: "argtap_gates", Type: ebpf.Array, KeySize: 4,
			ValueSize: uint32(len(funcs) * probegen.GateSize), MaxEntries: 1, Flags: k.gateFlags(),
		}); err != nil {
			return kernelError("create the map of limits", err)
		}
		if err := k.mapGates(); err != nil {
			return err
		}
	}
	if l.Budget > 0 {
		if k.budget, err = ebpf.NewMap(&ebpf.MapSpec{
			Name: "argtap_budget", Type: ebpf.PerCPUArray, KeySize: 4,
			ValueSize: probegen.BudgetSize, MaxEntries: 1,
		}); err != nil {
			return kernelError("create the map of the budget", err)
		}
	}
	return nil
}

// counts reads the counters.
func (k *kernel) counts() kernelCounts {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.last != nil {
		return *k.last
	}
	var c kernelCounts
	if k.lossMap != nil {
		c.funcs = make([]Stats, k.lossMap.MaxEntries())
		var cpus [][probegen.LossesSize / 8]uint64
		for i := range c.funcs {
			if k.lossMap.Lookup(uint32(i), &cpus) != nil {
				continue
			}
			s := &c.funcs[i]
			for j := range cpus {
				n := &cpus[j]
				s.add(&Stats{
					LostRing: n[probegen.LossRing], LostBusy: n[probegen.LossBusy], LostUnread: n[probegen.LossUnread],
					Filtered: n[probegen.Filtered], Limited: n[probegen.Limited],
					Beyond: n[probegen.Beyond], Paused: n[probegen.Paused],
					Sampled:  k.opts.throttle.SampledOut(n[probegen.Seen]),
					LostOpen: n[probegen.LossOpen], Unmatched: n[probegen.Unmatched],
				})
				s.Abandoned += n[probegen.Overtaken]
			}
		}
	}
	if k.budget != nil {
		var cpus [][probegen.BudgetSize / 8]uint64
		if k.budget.Lookup(uint32(0), &cpus) == nil {
			for i := range cpus {
				c.took += time.Duration(cpus[i][probegen.BudgetSpent/8])
			}
		}
	}
	k.countAggregates(&c)
	for _, p := range k.progs {
		if st, err := p.Stats(); err == nil {
			c.missed += st.RecursionMisses
		}
	}
	return c
}

// watchBudget logs when the probes begin to pause, and when they no longer do.
func (t *Tracer) watchBudget() {
	const interval = 500 * time.Millisecond
	tick := time.NewTicker(interval)
	defer tick.Stop()
	var last uint64
	pausing := false
	for {
		select {
		case <-t.stop:
			return
		case <-tick.C:
		}
		c := t.kernel.counts()
		var paused uint64
		for i := range c.funcs {
			paused += c.funcs[i].Paused
		}
		if now := paused > last; now != pausing {
			pausing = now
			if now {
				t.opts.log.Warn("the probes pause: they have taken more of a processor's time than the budget allows",
					"budget", strconv.FormatFloat(float64(t.opts.throttle.Budget)*100/probegen.BudgetWindow, 'g', -1, 64)+"%")
			} else {
				t.opts.log.Info("the probes no longer pause", "paused", paused)
			}
		}
		last = paused
	}
}

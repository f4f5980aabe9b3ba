package uprobe

import (
	"fmt"
	"os"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"github.com/argtap/argtap/internal/capture"
	"github.com/argtap/argtap/internal/probegen"
	"github.com/argtap/argtap/symbols"
)

// maxOpen bounds the calls that are open at the same time.
const maxOpen = 128 << 10

// needOpen makes the map of open calls, and that of the number of lost returns.
func (k *kernel) needOpen(funcs []*Func) (err error) {
	if k.open != nil {
		return nil
	}
	if k.open, err = ebpf.NewMap(&ebpf.MapSpec{
		Name: "argtap_open", Type: ebpf.Hash, KeySize: probegen.OpenKeySize,
		ValueSize: uint32(funcs[0].aggregate().OpenSize() + 8*k.kept), MaxEntries: maxOpen,
	}); err != nil {
		return kernelError("create the map of open calls", err)
	}
	if funcs[0].aggregate() == nil {
		k.needSlots()
	}
	if k.later, err = ebpf.NewMap(&ebpf.MapSpec{
		Name: "argtap_later", Type: ebpf.Array, KeySize: 4, ValueSize: 8, MaxEntries: 1,
	}); err != nil {
		return kernelError("create the map of lost returns", err)
	}
	return nil
}

// laterSites returns the sites of what comes after the entries of whole calls.
func laterSites(funcs []*Func, witnesses []witness) []entrySite {
	var all []entrySite
	whole := false
	for i, f := range funcs {
		if f.plan.Pair == 0 {
			continue
		}
		whole = true
		if len(f.returns) == 0 {
			continue // it can only panic
		}
		r := f.result
		e := entrySite{probegen.Func{
			ID: uint32(i), Cookie: uint32(len(all)), Name: f.name, Arch: f.arch, Plan: r.plan, Role: probegen.RoleReturn,
			CFA: r.sites.Returns[0].CFA, Skip: probegen.Never, G: f.returnG, Instances: len(f.instances) > 0, Aggregate: f.aggregate(),
		}, f, f.returns}
		e.askFor(f)
		all = append(all, e)
	}
	if !whole {
		return nil
	}
	for _, w := range witnesses {
		p := &w.fn.sites.Entry
		all = append(all, entrySite{probegen.Func{
			Cookie: uint32(len(all)), Name: w.fn.name, Arch: w.fn.arch, Plan: w.fn.plan, Role: w.role,
			Site: uint64(p.Addr), CFA: p.CFA, Skip: probegen.Cond(p.Skip), G: w.fn.g, Panics: w.panics,
		}, w.fn, []symbols.FileOffset{w.fn.offset}})
	}
	return all
}

// adaptResults gives up the results that this kernel cannot join with an entry.
func (k *kernel) adaptResults(funcs []*Func) {
	for _, f := range funcs {
		if f.plan.Pair == 0 {
			continue
		}
		limits := k.opts.limits
		limits.NoLoops = !k.caps.loops
		if f.g.Kind == probegen.GThread || f.returnG.Kind == probegen.GThread {
			if base, err := k.threadBase(f.arch); err != nil || base == 0 {
				f.noResults = fmt.Sprintf("nothing tells its goroutine at a return: it is in thread-local storage: %v", err)
				f.unpair(limits)
				k.opts.log.Warn("no results", "func", f.name, "why", f.noResults)
				continue
			}
		}
		if k.caps.loops {
			continue
		}
		limits.Pair, limits.Stack = true, 0
		goid := f.result.plan.Goroutine
		f.result.plan = capture.Build(f.arch, f.result.inputs, limits)
		f.result.plan.Goroutine = goid
		for i := range f.instances {
			in := &f.instances[i]
			in.resultPlan, _ = capture.Retype(f.arch, f.result.plan, f.result.inputs, in.resultTypes(f.result), limits)
		}
	}
}

// unpair makes the plan of a function one for entries only.
func (f *Func) unpair(limits capture.Limits) {
	defer f.keepStack(f.plan)
	goid := f.plan.Goroutine
	if w := f.plan.Walk; w != nil {
		f.plan = capture.BuildWalk(f.arch, f.inputs, limits, w.Types)
		for i := range f.instances {
			in := &f.instances[i]
			in.plan = capture.BuildWalk(f.arch, capture.Retyped(f.inputs, in.types), limits, w.Types)
		}
	} else {
		f.plan = capture.Build(f.arch, f.inputs, limits)
		f.wholeInstances(limits)
	}
	f.plan.Goroutine = goid
}

// openKey is a key of the map of open calls.
type openKey [probegen.OpenKeySize / 8]uint64

func (c callID) key() (k openKey) {
	k[probegen.OpenPID/8], k[probegen.OpenGoroutine/8], k[probegen.OpenDepth/8] = uint64(c.pid), c.goroutine, c.depth
	return k
}

// openTime returns the time in a value of the map of open calls.
func openTime(v []byte) uint64 { return order.Uint64(v[probegen.OpenTime:]) }

// isOpen implements openCalls.
func (k *kernel) isOpen(id callID) bool {
	if k.slots.has(id) {
		return true
	}
	v := make([]byte, k.open.ValueSize())
	return k.open.Lookup(id.key(), v) == nil && openTime(v) == id.time
}

// forget implements openCalls.
func (k *kernel) forget(id callID) (other uint64) {
	if k.slots.forget(id) || !k.isOpen(id) {
		return 0 // another has taken its place
	}
	// Meanwhile another may take it. Kernels before 5.14 cannot look again and
	// forget in one step. There the place is taken until the goroutine needs it, as
	// nothing may be forgotten by mistake.
	v := make([]byte, k.open.ValueSize())
	if err := k.open.LookupAndDelete(id.key(), v); err != nil {
		return 0
	}
	k.slots.removed(id)
	if t := openTime(v); t != id.time {
		return t
	}
	return 0
}

// missed is how many hits the kernel passed over, and since when it is no more.
type missed struct{ hits, since uint64 }

// passedOver implements openCalls. What happened between two looks counts as if it
// had just before the second.
func (k *kernel) passedOver(since uint64) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	if n := k.missedLater(); n != k.missed.hits {
		k.missed = missed{n, uint64(monotonic())}
	}
	return since < k.missed.since
}

// missedLater returns how many hits of other sites than entries were passed over.
func (k *kernel) missedLater() (n uint64) {
	for _, p := range k.laterProgs {
		if st, err := p.Stats(); err == nil {
			n += st.RecursionMisses
		}
	}
	return n
}

// watch implements openCalls.
func (k *kernel) watch(pid uint32) (ended func() bool, release func()) {
	fd, err := unix.PidfdOpen(int(pid), 0)
	switch {
	case err == unix.ESRCH:
		return func() bool { return true }, nil
	case err != nil:
		return nil, nil
	}
	f := os.NewFile(uintptr(fd), "pidfd")
	ended = func() bool {
		fds := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
		n, err := unix.Poll(fds, 0)
		return err == nil && n > 0
	}
	return ended, func() { f.Close() }
}

package uprobe

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"runtime"
	"sync"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/ringbuf"
	"github.com/cilium/ebpf/rlimit"
	"golang.org/x/sys/unix"

	"github.com/argtap/argtap/internal/capture"
	"github.com/argtap/argtap/internal/probegen"
)

// kernel holds everything that a tracer has in the kernel.
type kernel struct {
	opts *options
	caps capabilities
	cpus int
	// multi says that sites are attached by uprobe_multi links, not by perf
	// events.
	multi bool
	// namespace is that by whose process IDs programs go, cgroup that which they
	// select.
	namespace probegen.Namespace
	cgroup    *cgroup
	// clock is that by which programs tell the time.
	clock hostClock

	calls, scratch, lossMap, repeats, grown *ebpf.Map
	open, later                             *ebpf.Map // see needOpen
	slots                                   *openSlots
	missed                                  missed
	walk, types, rows, dynamic              *ebpf.Map // see needWalkMaps
	instances                               *ebpf.Map // see needInstances
	kept                                    int       // words of values of open, see checkReturns
	gates, budget                           *ebpf.Map // see needCounts
	stacks, stackArea                       *ebpf.Map // see needStacks
	ring                                    *ringbuf.Reader
	progs                                   []*ebpf.Program
	// aggregates are the maps in which calls are counted.
	aggregates aggregateMaps
	// unwinds says that calls are counted that a panic leaves: see unwinder.
	unwinds bool
	// joins says that the kernel itself joins returns with entries, to count calls.
	joins   bool
	gateMem []byte // the memory of gates, if the tracer takes from them, too
	// laterProgs are those for other sites than entries.
	laterProgs []*ebpf.Program
	startProg  *ebpf.Program // see attachStart

	mu    sync.Mutex
	links stagedLinks
	// funcLinks are those of functions that have their own: see owner.
	funcLinks map[*Func]*stagedLinks
	// last are the counts when the maps were closed.
	last *kernelCounts

	drained chan struct{} // closed when the reader has returned

	baseOnce sync.Once // see threadBase
	base     int64
	baseErr  error
}

// newKernel makes the maps.
func newKernel(o *options) (_ *kernel, err error) {
	k := &kernel{opts: o, drained: make(chan struct{})}
	defer func() {
		if err != nil {
			k.close()
		}
	}()
	if k.clock, err = newHostClock(); err != nil {
		return nil, err
	}
	if err := rlimit.RemoveMemlock(); err != nil {
		if !mayUseBPF() {
			return nil, permissionError(err)
		}
		return nil, fmt.Errorf("%w: the kernel counts BPF maps against it: "+
			"run `ulimit -l unlimited` first, or grant CAP_SYS_RESOURCE: %w", ErrMemlock, err)
	}
	if k.cpus, err = ebpf.PossibleCPU(); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			err = fmt.Errorf("%w: mount sysfs on /sys", err)
		}
		return nil, kernelError("number of CPUs", err)
	}
	size := uint32(max(os.Getpagesize(), minBuffer))
	for int(size) < o.buffer {
		size *= 2
	}
	if k.calls, err = ebpf.NewMap(&ebpf.MapSpec{Name: "argtap_calls", Type: ebpf.RingBuf, MaxEntries: size}); err != nil {
		return nil, kernelError("create the ring buffer", err)
	}
	if k.ring, err = ringbuf.NewReader(k.calls); err != nil {
		return nil, kernelError("map the ring buffer", err)
	}
	k.caps = probeCapabilities().without(o.lack)
	k.caps.logTo(o.log)
	if k.namespace, err = pidNamespace(); err != nil {
		return nil, err
	}
	if err := k.openCgroup(); err != nil {
		return nil, err
	}
	k.multi = k.caps.multi && (len(o.pids) == 0 || k.caps.pidFilter)
	return k, nil
}

// needMaps makes the maps that not every tracer needs.
func (k *kernel) needMaps(funcs []*Func) (err error) {
	if err := k.needCounts(funcs); err != nil {
		return err
	}
	if err := k.needStacks(funcs); err != nil {
		return err
	}
	if err := k.needAggregates(funcs); err != nil {
		return err
	}
	for _, f := range funcs {
		if err := k.needPlanMaps(f.plan, funcs); err != nil {
			return err
		}
		if f.plan.Pair != 0 {
			if err := k.needPlanMaps(f.result.plan, funcs); err != nil {
				return err
			}
			if err := k.needOpen(funcs); err != nil {
				return err
			}
		}
		if (len(f.repeats) > 0 || f.sites.Grow != nil) && k.repeats == nil {
			// An entry lives from one hit to the next of the same goroutine,
			// at most for the time that its stack grows: there are never
			// nearly so many.
			if k.repeats, err = ebpf.NewMap(&ebpf.MapSpec{
				Name: "argtap_repeats", Type: ebpf.Hash, KeySize: probegen.RepeatKeySize,
				ValueSize: 1, MaxEntries: 64 << 10,
			}); err != nil {
				return kernelError("create the map of repeated hits", err)
			}
		}
		if f.sites.Grow != nil && k.grown == nil {
			if k.grown, err = ebpf.NewMap(&ebpf.MapSpec{
				Name: "argtap_grown", Type: ebpf.LRUHash, KeySize: probegen.RepeatKeySize,
				ValueSize: 1, MaxEntries: 64 << 10,
			}); err != nil {
				return kernelError("create the map of grown stacks", err)
			}
		}
	}
	return nil
}

// needPlanMaps makes the maps that a plan needs.
func (k *kernel) needPlanMaps(p *capture.Plan, funcs []*Func) (err error) {
	if p.Walk != nil {
		if err := k.needWalkMaps(p.Walk.Types); err != nil {
			return err
		}
		return k.needInstances(funcs)
	}
	if (p.InScratch() || len(p.Erase) > 0 || p.Stack != 0) && k.scratch == nil {
		elements, size := probegen.Scratch(k.cpus)
		if k.scratch, err = ebpf.NewMap(&ebpf.MapSpec{
			Name: "argtap_scratch", Type: ebpf.Array, KeySize: 4,
			ValueSize: uint32(size), MaxEntries: uint32(elements),
		}); err != nil {
			return kernelError("create the scratch map", err)
		}
	}
	return nil
}

// load loads a program.
func (k *kernel) load(name string, ins asm.Instructions, sleepable bool) (*ebpf.Program, error) {
	for sym, m := range map[string]*ebpf.Map{
		probegen.MapCalls: k.calls, probegen.MapScratch: k.scratch,
		probegen.MapLosses: k.lossMap, probegen.MapRepeats: k.repeats, probegen.MapGrown: k.grown,
		probegen.MapWalk: k.walk, probegen.MapTypes: k.types, probegen.MapRows: k.rows, probegen.MapDynamic: k.dynamic,
		probegen.MapInstances: k.instances, probegen.MapGates: k.gates, probegen.MapBudget: k.budget,
		probegen.MapOpen: k.open, probegen.MapSlots: k.slots.bpf(), probegen.MapLater: k.later, probegen.MapCgroup: k.cgroup.array(),
		probegen.MapStacks: k.stacks, probegen.MapStackArea: k.stackArea,
		probegen.MapKeys: k.aggregates.keys, probegen.MapOther: k.aggregates.other, probegen.MapZero: k.aggregates.zero,
	} {
		if m == nil {
			continue
		}
		if err := ins.AssociateMap(sym, m); err != nil && !errors.Is(err, asm.ErrUnreferencedSymbol) {
			return nil, err
		}
	}
	spec := &ebpf.ProgramSpec{
		Name: "argtap_entry", Type: ebpf.Kprobe, AttachType: attachType(k.multi),
		License: probegen.License, Instructions: ins,
	}
	if sleepable {
		spec.Flags = unix.BPF_F_SLEEPABLE
	}
	p, err := ebpf.NewProgram(spec)
	if err != nil {
		return nil, loadError(name, err)
	}
	return p, nil
}

func (k *kernel) flush() {
	if err := k.ring.Flush(); err != nil {
		k.ring.Close()
	}
}

// close releases everything.
func (k *kernel) close() {
	k.detach()
	last := k.counts()
	k.mu.Lock()
	defer k.mu.Unlock()
	k.last = &last
	if k.ring != nil {
		k.ring.Close()
	}
	for _, p := range append(k.progs, k.laterProgs...) {
		p.Close()
	}
	k.progs, k.laterProgs = nil, nil
	k.cgroup.close()
	if k.startProg != nil {
		k.startProg.Close()
	}
	for _, m := range []*ebpf.Map{k.calls, k.open, k.later, k.scratch, k.lossMap, k.repeats, k.grown, k.walk, k.types, k.rows, k.dynamic, k.instances, k.gates, k.budget, k.stacks, k.stackArea} {
		if m != nil {
			m.Close()
		}
	}
	k.slots.close()
	k.aggregates.close()
	k.unmapGates()
}

// loaders is how many programs are loaded at the same time. Where the sites of
// a function have programs of their own, their order matters.
func (k *kernel) loaders() int {
	if !k.caps.cookies {
		return 1
	}
	return runtime.GOMAXPROCS(0)
}

package uprobe

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"sync"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"

	"github.com/argtap/argtap/internal/capture"
	"github.com/argtap/argtap/internal/probegen"
	"github.com/argtap/argtap/internal/site"
	"github.com/argtap/argtap/symbols"
)

// maxBundle bounds the instructions of a program that serves several
// functions: branches reach 32 767 instructions far.
const maxBundle = 14000

// bundle is a group of sites that share a program.
type bundle []entrySite

// entrySite is an entry site, or the site before a call of morestack, with its
// program.
type entrySite struct {
	probegen.Func
	fn *Func
	// offsets are where it is in the file: one but for returns.
	offsets []symbols.FileOffset
}

// entrySites returns the sites of all functions, their cookies in order.
func entrySites(funcs []*Func) []entrySite {
	var all []entrySite
	add := func(id int, f *Func, p *site.Probe, off symbols.FileOffset, mark probegen.Mark) {
		e := entrySite{probegen.Func{
			ID: uint32(id), Cookie: uint32(len(all)), Name: f.name, Arch: f.arch, Plan: f.plan,
			Site: uint64(p.Addr), CFA: p.CFA, Skip: probegen.Cond(p.Skip), Mark: mark, Resume: resume(f, p), G: f.g, Where: f.where,
			Dicts: f.dicts, Dict: f.dict, Receiver: f.receiver, Aggregate: f.aggregate(),
		}, f, []symbols.FileOffset{off}}
		e.keepFor(f)
		all = append(all, e)
	}
	for i, f := range funcs {
		mark := probegen.NoMark
		switch {
		case len(f.repeats) > 0:
			mark = probegen.SkipRepeat
		case f.sites.Grow != nil:
			// Sites are attached in this order. An entry that is hit before
			// the call of morestack is watched could show what newstack left
			// in the registers.
			mark = probegen.SkipGrown
			add(i, f, f.sites.Grow, f.grow, probegen.SetGrown)
		}
		add(i, f, &f.sites.Entry, f.offset, mark)
	}
	return all
}

// resume describes the return of morestack, seen from one of the sites of a
// function that does not restore its registers behind it.
func resume(f *Func, p *site.Probe) probegen.Resume {
	grow := f.sites.Grow
	if grow == nil {
		return probegen.Resume{}
	}
	return probegen.Resume{
		SchedPC: f.schedPC,
		Behind:  int64(grow.Addr) + int64(grow.Size) - int64(p.Addr),
	}
}

// attach loads the programs and puts the probes in place.
//
// What comes after an entry is watched first: a call that is seen to begin is then
// seen to end.
func (k *kernel) attach(tg *target, funcs []*Func, b *executable) error {
	k.adapt(funcs)
	k.unwinds, k.joins = unwinds(funcs), slices.ContainsFunc(funcs, (*Func).countedAtReturn)
	if err := k.checkReturns(funcs); err != nil {
		return err
	}
	if err := k.needMaps(funcs); err != nil {
		return err
	}
	if err := k.needPanics(funcs, b.witnesses); err != nil {
		return err
	}
	at, err := tg.attachPoints()
	if err != nil {
		return err
	}
	later, err := k.bundles(laterSites(funcs, b.witnesses))
	if err != nil {
		return err
	}
	entries, err := k.bundles(entrySites(funcs))
	if err != nil {
		return err
	}
	if err := k.attachStart(at, b); err != nil {
		return err
	}
	if err := k.attachBundles(at, later); err != nil {
		return err
	}
	return k.attachBundles(at, entries)
}

// attachBundles loads programs and puts their probes in place.
func (k *kernel) attachBundles(at []attachPoint, bundles []bundle) error {
	var (
		wg    sync.WaitGroup
		slots = make(chan struct{}, k.loaders())
		first onceError
	)
	for _, b := range bundles {
		slots <- struct{}{}
		if err := context.Cause(k.opts.ctx); err != nil {
			first.set(err)
		}
		if first.get() != nil {
			break
		}
		wg.Go(func() {
			defer func() { <-slots }()
			first.set(k.attachBundle(at, b))
		})
	}
	wg.Wait()
	return first.get()
}

// adapt makes the plans such that this kernel can carry them out.
func (k *kernel) adapt(funcs []*Func) {
	k.adaptResults(funcs)
	k.adaptStacks(funcs)
	if k.caps.loops {
		return
	}
	limits := k.opts.limits
	limits.NoLoops = true
	for _, f := range funcs {
		limits.Pair = f.plan.Pair != 0
		p := capture.Build(f.arch, f.inputs, limits)
		p.Goroutine = f.plan.Goroutine
		p.Creation = f.plan.Creation
		f.plan = p
		f.wholeInstances(limits)
	}
}

// onceError keeps the first error that it is given.
type onceError struct {
	mu  sync.Mutex
	err error
}

func (e *onceError) set(err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.err == nil {
		e.err = err
	}
}

func (e *onceError) get() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.err
}

func (k *kernel) genOptions(b bundle) probegen.Options {
	o := probegen.Options{
		CPUs: k.cpus, NoAtomics: !k.caps.atomics, ThreadStack: k.caps.threadStack, Limits: k.opts.throttle,
		Kept: k.kept, Slots: k.slots.number(),
	}
	if k.unwinds {
		o.KeptKey = (int(k.open.ValueSize()) - probegen.OpenSize - 8*k.kept) / 8
	}
	k.selectProcesses(&o)
	for i := range b {
		if b[i].G.Kind == probegen.GThread {
			o.ThreadBase = k.threadBaseOrNone(b[i].Arch)
			break
		}
	}
	if k.caps.sleepable {
		for i := range b {
			o.Sleepable = o.Sleepable || b[i].Receiver != nil || b[i].Plan.Follows() || slices.ContainsFunc(b[i].Where, (*capture.Expr).Follows) ||
				slices.ContainsFunc(b[i].Keep, (*capture.Expr).Follows) || b[i].Unwound != nil && b[i].Unwound.Follows() ||
				slices.ContainsFunc(b[i].Aggregate.Exprs(b[i].Role == probegen.RoleReturn), (*capture.Expr).Follows)
		}
	}
	return o
}

func (k *kernel) generate(b bundle) (asm.Instructions, error) {
	funcs := make([]probegen.Func, len(b))
	for i := range b {
		funcs[i] = b[i].Func
	}
	return probegen.Entry(funcs, k.genOptions(b))
}

// bundles groups the sites into programs.
func (k *kernel) bundles(sites []entrySite) ([]bundle, error) {
	var all []bundle
	size := maxBundle
	for _, s := range sites {
		ins, err := k.generate(bundle{s})
		if err != nil {
			return nil, err
		}
		// Without cookies a program cannot tell where it was hit.
		// The two sites of a function stay together.
		second := s.Mark == probegen.SkipGrown && k.caps.cookies
		if size += len(ins); !second && size > maxBundle || !k.caps.cookies {
			all = append(all, nil)
			size = len(ins)
		}
		all[len(all)-1] = append(all[len(all)-1], s)
	}
	return all, nil
}

// attachBundle loads and attaches the program of a bundle. If the kernel
// finds it too complex, it is taken apart.
func (k *kernel) attachBundle(at []attachPoint, b bundle) error {
	ins, err := k.generate(b)
	if err != nil {
		return err
	}
	p, err := k.load(b[0].Name, ins, k.genOptions(b).Sleepable)
	if errors.Is(err, ErrVerifier) && len(b) > 1 {
		half := len(b) / 2
		if err := k.attachBundle(at, b[:half]); err != nil {
			return err
		}
		return k.attachBundle(at, b[half:])
	}
	if err != nil {
		return err
	}
	later := b[0].Role != probegen.RoleEntry
	k.addProgram(p, later)
	for _, g := range k.groups(b) {
		if err := k.attachGroup(at, p, g); err != nil {
			return err
		}
	}
	return nil
}

// attachGroup attaches the program to the sites of a part of a bundle.
func (k *kernel) attachGroup(at []attachPoint, p *ebpf.Program, b bundle) error {
	var offsets, cookies []uint64
	for _, s := range b {
		// The back edges first: an announcement without an entry probe does
		// no harm, a repeated hit without its announcement would be a call.
		if s.Mark == probegen.SkipRepeat {
			if err := k.attachRepeats(at, s); err != nil {
				return err
			}
		}
		for _, off := range s.offsets {
			offsets = append(offsets, uint64(off))
			cookies = append(cookies, uint64(s.Cookie))
		}
	}
	return k.attachSites(at, p, offsets, cookies, &b[0], b[0].stage())
}

// attachRepeats attaches the programs of a function's back edges.
func (k *kernel) attachRepeats(at []attachPoint, s entrySite) error {
	o := k.genOptions(bundle{s})
	o.Sleepable = false
	for i, off := range s.fn.repeats {
		edge := s.fn.sites.Repeats[i]
		ins, err := probegen.BackEdge(s.Func, probegen.Taken{
			Cond: probegen.Cond(edge.Taken), Test: probegen.Test(edge.Test),
		}, o)
		if err != nil {
			return err
		}
		p, err := k.load(s.Name, ins, false)
		if err != nil {
			return err
		}
		k.addProgram(p, false)
		if err := k.attachSites(at, p, []uint64{uint64(off)}, []uint64{uint64(s.Cookie)}, &s, stageAnnounce); err != nil {
			return err
		}
	}
	return nil
}

// attachSites attaches a program to sites, in their order, in each of the places. The
// first site is that of which s is.
func (k *kernel) attachSites(at []attachPoint, p *ebpf.Program, offsets, cookies []uint64, s *entrySite, stage linkStage) error {
	for _, a := range at {
		if err := k.attachIn(a, p, offsets, cookies, s, stage); err != nil {
			return err
		}
	}
	return nil
}

func (k *kernel) attachIn(at attachPoint, p *ebpf.Program, offsets, cookies []uint64, s *entrySite, stage linkStage) error {
	if k.multi {
		o := &link.UprobeMultiOptions{Addresses: offsets, Cookies: cookies, PID: uint32(at.pid)}
		l, err := at.ex.UprobeMulti(nil, p, o)
		if err != nil {
			return k.attachError(s.Name, at.explain(err))
		}
		k.addLink(l, stage, k.owner(s))
		return nil
	}
	for i, off := range offsets {
		// The symbol only names the event; the place is Address, which here
		// is an offset in the file.
		o := &link.UprobeOptions{Address: off, PID: at.pid}
		if k.caps.cookies {
			o.Cookie = cookies[i]
		}
		l, err := at.ex.Uprobe("argtap", p, o)
		if err != nil {
			return k.attachError(s.Name, at.explain(perfError(err)))
		}
		k.addLink(l, stage, k.owner(s))
	}
	return nil
}

// perfError explains an error of attaching a site by a perf event.
func perfError(err error) error {
	if errors.Is(err, unix.EMFILE) {
		return fmt.Errorf("%w: each site takes two files on this kernel: raise the limit (ulimit -n), "+
			"trace fewer functions, or use Linux 6.6 or newer", err)
	}
	if _, e := os.Stat("/sys/bus/event_source/devices/uprobe"); errors.Is(e, fs.ErrNotExist) {
		return fmt.Errorf("%w: uprobes, which a kernel built with CONFIG_UPROBE_EVENTS has: %v", ErrKernel, err)
	}
	return err
}

func (k *kernel) addProgram(p *ebpf.Program, later bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if later {
		k.laterProgs = append(k.laterProgs, p)
	} else {
		k.progs = append(k.progs, p)
	}
}

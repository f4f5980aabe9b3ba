package uprobe

import (
	"errors"
	"fmt"
	"sync"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"

	"github.com/argtap/argtap/internal/probegen"
)

// maxBundle bounds the instructions of a program that serves several
// functions: branches reach 32 767 instructions far.
const maxBundle = 14000

// bundle is a group of functions that share a program.
type bundle struct {
	funcs []probegen.Func
	first int // index of the first function in the tracer
}

// attach loads the programs and puts the probes in place.
func (k *kernel) attach(path string, funcs []*Func) error {
	if err := k.needMaps(funcs); err != nil {
		return err
	}
	ex, err := link.OpenExecutable(path)
	if err != nil {
		return fmt.Errorf("%w", err)
	}
	bundles, err := k.bundles(funcs)
	if err != nil {
		return err
	}
	var (
		wg    sync.WaitGroup
		slots = make(chan struct{}, loaders())
		errs  = make([]error, len(bundles))
	)
	for i := range bundles {
		wg.Add(1)
		slots <- struct{}{}
		go func() {
			defer func() { <-slots; wg.Done() }()
			errs[i] = k.attachBundle(ex, bundles[i], funcs)
		}()
	}
	wg.Wait()
	return errors.Join(errs...)
}

func (k *kernel) genOptions(f []probegen.Func) probegen.Options {
	o := probegen.Options{CPUs: k.cpus, PID: uint32(k.opts.pid)}
	if k.caps.sleepable {
		for i := range f {
			o.Sleepable = o.Sleepable || f[i].Plan.Variable()
		}
	}
	return o
}

// bundles groups the functions into programs.
func (k *kernel) bundles(funcs []*Func) ([]bundle, error) {
	var all []bundle
	size := maxBundle
	for i, f := range funcs {
		g := probegen.Func{
			ID: uint32(i), Name: f.name, Arch: f.arch, Plan: f.plan, CFA: f.sites.Entry.CFA,
			Skip: probegen.Cond(f.sites.Entry.Skip), Repeats: len(f.repeats) > 0,
		}
		ins, err := probegen.Entry([]probegen.Func{g}, k.genOptions([]probegen.Func{g}))
		if err != nil {
			return nil, err
		}
		// Without multi links a program serves one function: cookies of
		// perf events came later than those.
		if size += len(ins); size > maxBundle || !k.caps.multi {
			all = append(all, bundle{first: i})
			size = len(ins)
		}
		b := &all[len(all)-1]
		b.funcs = append(b.funcs, g)
	}
	return all, nil
}

// attachBundle loads and attaches the program of a bundle. If the kernel
// finds it too complex, it is taken apart.
func (k *kernel) attachBundle(ex *link.Executable, b bundle, funcs []*Func) error {
	o := k.genOptions(b.funcs)
	ins, err := probegen.Entry(b.funcs, o)
	if err != nil {
		return err
	}
	p, err := k.load(b.funcs[0].Name, ins, o.Sleepable)
	if errors.Is(err, ErrVerifier) && len(b.funcs) > 1 {
		half := len(b.funcs) / 2
		if err := k.attachBundle(ex, bundle{b.funcs[:half], b.first}, funcs); err != nil {
			return err
		}
		return k.attachBundle(ex, bundle{b.funcs[half:], b.first + half}, funcs)
	}
	if err != nil {
		return err
	}
	k.addProgram(p)
	var offsets, cookies []uint64
	for i := range b.funcs {
		f := funcs[b.first+i]
		// The back edges first: an announcement without an entry probe does
		// no harm, a repeated hit without its announcement would be a call.
		if err := k.attachRepeats(ex, b.funcs[i], f); err != nil {
			return err
		}
		offsets = append(offsets, uint64(f.offset))
		cookies = append(cookies, uint64(b.funcs[i].ID))
	}
	return k.attachSites(ex, p, offsets, cookies, b.funcs[0].Name)
}

// attachRepeats attaches the programs of a function's back edges.
func (k *kernel) attachRepeats(ex *link.Executable, g probegen.Func, f *Func) error {
	for i, off := range f.repeats {
		edge := f.sites.Repeats[i]
		ins, err := probegen.BackEdge(g, probegen.Cond(edge.Taken), probegen.Options{CPUs: k.cpus})
		if err != nil {
			return err
		}
		p, err := k.load(f.name, ins, false)
		if err != nil {
			return err
		}
		k.addProgram(p)
		if err := k.attachSites(ex, p, []uint64{uint64(off)}, []uint64{uint64(g.ID)}, f.name); err != nil {
			return err
		}
	}
	return nil
}

func (k *kernel) attachSites(ex *link.Executable, p *ebpf.Program, offsets, cookies []uint64, name string) error {
	if k.caps.multi {
		o := &link.UprobeMultiOptions{Addresses: offsets, Cookies: cookies}
		if k.caps.pidFilter {
			o.PID = uint32(k.opts.pid)
		}
		l, err := ex.UprobeMulti(nil, p, o)
		if err != nil {
			return k.attachError(name, err)
		}
		k.addLink(l)
		return nil
	}
	for _, off := range offsets {
		// The symbol only names the event; the place is Address, which here
		// is an offset in the file.
		l, err := ex.Uprobe("argtap", p, &link.UprobeOptions{Address: off, PID: k.opts.pid})
		if err != nil {
			return k.attachError(name, err)
		}
		k.addLink(l)
	}
	return nil
}

func (k *kernel) addLink(l link.Link) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.links = append(k.links, l)
}

func (k *kernel) addProgram(p *ebpf.Program) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.progs = append(k.progs, p)
}

package uprobe

import (
	"context"
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"github.com/argtap/argtap/symbols"
)

// start analyses the binary, attaches the probes and begins to read. When it
// fails, nothing is left behind.
func (t *Tracer) start(path string, patterns []string) (err error) {
	tg, err := openTarget(path, t.opts.pids)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			tg.close()
		}
	}()
	tg.warnUnseen(t.opts.log)
	f := tg.file
	path = tg.path
	w, err := newWatcher(tg)
	if err != nil {
		return err
	}
	// Maps and feature probes do not depend on the binary: make them while
	// the debug information is read.
	type prepared struct {
		k   *kernel
		err error
	}
	ready := make(chan prepared, 1)
	go func() {
		k, err := newKernel(t.opts)
		ready <- prepared{k, err}
	}()
	b, funcs, leftOut, rerr := resolveFile(f, path, patterns, t.opts)
	p := <-ready
	defer func() {
		if err != nil {
			if b != nil {
				b.close()
			}
			w.close()
			if p.k != nil {
				p.k.close()
			}
		}
	}()
	if rerr != nil {
		return rerr
	}
	if p.err != nil {
		return p.err
	}
	funcs, patched, err := checkCode(tg, b, funcs, patterns)
	if err != nil {
		return err
	}
	t.funcs, t.leftOut, t.kernel, t.epoch = funcs, append(leftOut, patched...), p.k, p.k.clock.epoch()
	t.tallies = make([]funcTally, len(funcs))
	for _, f := range funcs {
		if size := p.k.ring.BufferSize(); f.plan.Fixed > size/2 {
			return &FuncError{f.name, fmt.Errorf("a record has %d bytes and more, too much for a buffer of %d: make the buffer larger",
				f.plan.Fixed, size)}
		}
	}
	if err := p.k.attach(tg, funcs, b); err != nil {
		return err
	}
	if err := tg.stillThere(); err != nil {
		return err
	}
	t.panics = panicsOf(b.witnesses)
	t.startJoiner()
	t.startUnwinder()
	if t.opts.processes != nil {
		t.procs = newProcesses(t.opts.processes, tg, funcs[0].offset)
		t.procs.scan(candidates(t.opts))
	}
	if t.opts.throttle.First > 0 {
		t.first = newFirsts(t, !b.unwitnessed)
		if t.joiner != nil {
			t.joiner.entriesGone = t.first.entriesGone
		}
		go t.first.watch()
	}
	t.opts.log.Info("attached", "binary", path, "funcs", len(funcs))
	go t.read()
	go t.watch(w)
	if t.kernel.open != nil && t.opts.aggregate != nil && t.unwinder == nil {
		t.swept = make(chan struct{})
		go t.sweep()
	}
	if t.opts.throttle.Budget > 0 {
		go t.watchBudget()
	}
	go t.supervise(tg, w, b)
	return nil
}

// resolveFile works out the functions of a file. The executable that it returns
// is for the names of funcs.
func resolveFile(f *os.File, path string, patterns []string, o *options) (b *executable, funcs []*Func, leftOut []error, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("%s: %w", path, err)
		}
	}()
	sf, err := symbols.NewFile(f)
	if err != nil {
		return nil, nil, nil, err
	}
	if b, err = newBinary(sf, path, o); err != nil {
		return nil, nil, nil, err
	}
	defer func() {
		b.closeDebug()
		if err != nil {
			b.close()
			b = nil
		}
	}()
	if err := b.checkMachine(); err != nil {
		return b, nil, nil, err
	}
	if funcs, leftOut, err = b.resolve(patterns, o); err == nil {
		err = joinAggregates(funcs)
	}
	if err == nil {
		o.warnUnused(funcs)
		if o.results || unwinds(funcs) {
			b.witnesses = b.findWitnesses(o)
			err = b.checkUnwinds(funcs)
		}
		b.findDynamic(o)
	}
	return b, funcs, leftOut, err
}

// supervise waits for the end and carries it out.
func (t *Tracer) supervise(tg *target, w *watcher, b *executable) {
	select {
	case <-t.stop:
	case <-t.opts.ctx.Done():
		t.end(context.Cause(t.opts.ctx))
	}
	w.wake()
	if t.first != nil {
		<-t.first.done // what it removes is removed when the tracer has ended
	}
	t.ending.Store(uint64(t.kernel.clock.now()))
	t.kernel.detach()
	t.kernel.flush() // the reader delivers what is left, then returns
	<-t.kernel.drained
	<-w.ended
	if t.swept != nil {
		<-t.swept
	}
	t.kernel.close()
	t.keepAggregates()
	w.close()
	b.close()
	tg.close()
	s := t.Stats()
	t.opts.log.Info("ended", "calls", s.Calls, "delivered", s.Delivered, "lost", s.Lost, "err", t.cause)
	close(t.done)
}

// processError explains why a process cannot be traced.
func processError(pid int, err error) error {
	if errors.Is(err, unix.ESRCH) || errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("process %d: %w", pid, ErrNoProcess)
	}
	return fmt.Errorf("process %d: %w", pid, err)
}

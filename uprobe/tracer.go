package uprobe

import (
	"bytes"
	"context"
	"errors"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// Tracer is a running trace. Its methods are safe for concurrent use.
type Tracer struct {
	funcs   []*Func
	leftOut []error
	opts    *options
	handler func(*Call)
	epoch   time.Time

	kernel *kernel

	stop     chan struct{} // closed when the tracer begins to end
	stopOnce sync.Once
	cause    error         // why it ended; set before stop is closed
	done     chan struct{} // closed when everything is released
	reader   atomic.Uint64 // ID of the goroutine that calls the handler

	tallies   []funcTally   // by function
	malformed atomic.Uint64 // records that do not tell their function
	unbound   atomic.Uint64

	// joiner makes calls of entries and returns; it belongs to the reader. It is nil
	// without WithResults. ending is the time (CLOCK_MONOTONIC) from which on probes
	// are missing.
	joiner *joiner
	panics *Func // the witness of panics, nil if there is none
	ending atomic.Uint64
	// procs belongs to the reader, too. It is nil without WithProcesses.
	procs *processes
	// first removes probes that are used up. It is nil without WithFirst.
	first *firsts
	// swept is closed when open calls are no longer looked at, nil if they are not:
	// see sweep.
	swept chan struct{}
	// unwinder belongs to the reader, too. It is nil unless calls that a panic leaves are
	// counted.
	unwinder *unwinder
	// final is what was counted, once that does not change any more.
	final atomic.Pointer[finalAggregates]

	stacks     stackTable // belongs to the reader
	lostStacks atomic.Uint64
}

// Stats are the counts of a tracer. Calls = Delivered + Aggregated + Lost + Filtered + Sampled +
// Limited + Beyond + Paused + Open + Abandoned: every call is in one of them, but for
// calls that are still in the buffer, which are in none yet. Open and Abandoned are 0
// without [WithResults], and unless calls are counted when they return: see
// [WithHistogram].
type Stats struct {
	// Calls is the number of calls that were seen.
	Calls uint64
	// Delivered is the number of calls that the handler was given.
	Delivered uint64
	// Aggregated is the number of calls that [WithCount] or [WithHistogram] has counted,
	// those of other keys and those without a value among them.
	Aggregated uint64
	// Lost is the number of calls that were seen but not delivered. It is the
	// sum of the counts by cause that follow.
	Lost uint64
	// LostRing calls found the ring buffer full: the handler was too slow for
	// the buffer's size.
	LostRing uint64
	// LostBusy calls found no free memory to build a record in, because other
	// threads were interrupted while they built theirs on the same CPU, or no
	// room to remember that a goroutine's stack was growing.
	LostBusy uint64
	// LostUnread calls are those of which it could not be read what tells their
	// goroutine, or what leads to the receiver of a method through a wrapper: whether
	// such a hit is a call at all, or which one returns, is not known.
	LostUnread uint64
	// LostMissed hits did not run the program, by the kernel's count, because
	// another program was running on the same CPU.
	// Before Linux 6.0 the kernel does not count the hits that it passes over
	// while other BPF code runs on the same CPU.
	LostMissed uint64
	// LostMalformed records could not be decoded.
	LostMalformed uint64
	// LostOpen calls began when too many others had not returned yet: at least 131,072, or
	// 256 MiB of arguments.
	LostOpen uint64
	// LostReturn calls have perhaps returned, but the record was lost, as LostRing,
	// LostBusy, LostUnread or LostMissed says of entries.
	LostReturn uint64
	// Filtered is the number of calls that a condition kept back, at the entry or at
	// the return.
	Filtered uint64
	// Sampled is the number of calls that [WithSampling] left out.
	Sampled uint64
	// Limited is the number of calls that came faster than [WithRateLimit] allows.
	Limited uint64
	// Beyond is the number of calls that came after those of [WithFirst], until the
	// probes were removed.
	Beyond uint64
	// Paused is the number of calls that came while [WithBudget] had the probes
	// pause.
	Paused uint64
	// ProbeTime is the time that the programs of the probes took, over all
	// processors. It is measured with WithBudget only.
	ProbeTime time.Duration
	// Open is the number of calls that have not returned. After the end of the
	// tracer, or of their process, these are those that had not until then.
	Open uint64
	// Abandoned is the number of calls that will not return, and are not known to
	// have panicked: because of runtime.Goexit, of a jump to another function in
	// place of a return, or because their process replaced its program.
	Abandoned uint64
	// Exited is the number of those abandoned calls that runtime.Goexit is known to
	// have ended. Calls that are counted in the kernel are not looked at so closely.
	Exited uint64
	// Unmatched is the number of returns of calls whose entry is not there: that
	// began before the tracer, or were kept back or lost. They are in none of the
	// other counts.
	Unmatched uint64
	// Unbound is the number of those calls that were delivered of which an
	// argument that the func of [Bind] takes was absent, so that it was not called.
	Unbound uint64
	// LostStacks is the number of calls without the stack that [WithStack] asked for,
	// or by which they are counted, because the ring buffer was full, no memory was free,
	// or there was no room for another. They are in the other counts, too.
	LostStacks uint64
}

// Trace traces the function fn of an executable file: handler is called for
// each call that any process makes that runs the file, whether it is running
// already or will be started later. Calls are handed over one at a time, in
// the order in which their probes were hit on each CPU. A handler that panics
// ends the program, as in any goroutine.
//
// fn is a function's full name as the symbol table has it, such as
// "main.computeE", "net/http.(*conn).serve" or "main.Map[go.shape.int]"; that of a
// generic function or method without type arguments, "main.Map" or
// "main.(*Stack).Push", for all its instances, or with them, "main.Map[int]", for
// one; or a pattern, in which * stands for any run of characters and ? for one:
// "main.(*Server).*" selects the methods of *Server. Functions that a pattern
// selects but that cannot be traced are left out: see [Tracer.LeftOut].
// [WithFuncs] adds further functions. Calls that the compiler has inlined are traced
// with [WithInlined].
//
// fn may also be a line of the source, "main.go:123" or "http/server.go:2060", with as
// much of the path as makes it unique. Then handler is called each time that control
// comes to a statement of the line from elsewhere, in each function and each inlined
// copy that has code of it, and the arguments of a [Call] are the parameters and local
// variables in scope there: not those that the line or later ones declare, nor those
// that others shadow. A "for" statement counts when it begins and after each pass. An
// optimising compiler moves code, and may do a part of a statement earlier, later or
// not at all; and where it does not say whether a variable is up to date, that is
// absent: see [WithUncertain]. Build with -gcflags=all='-N -l' for what a debugger
// would show. The error is [ErrNoLine] if no statement begins in the line.
//
// With the option [Bind], which calls a func with the arguments in Go variables,
// handler may be nil; with [WithCount] and [WithHistogram], which count calls in place
// of delivering them, it must be.
//
// With [WithPID], binary may be empty, for the file that the process runs, or a path
// as that process sees it.
//
// Trace returns when the probes are in place. The tracer runs until Close,
// until the context or the process given as options end, until all calls of
// [WithFirst] are captured, or until an error: see [Tracer.Wait].
func Trace(binary, fn string, handler func(*Call), opts ...Option) (*Tracer, error) {
	o, err := newOptions(opts)
	if err != nil {
		return nil, err
	}
	if handler != nil && o.aggregate != nil {
		return nil, errors.New("a handler given with WithCount or WithHistogram, which call none: pass nil, and read Tracer.Aggregates")
	}
	if handler == nil && o.bound == nil && o.aggregate == nil {
		return nil, errors.New("no handler given: pass a function that is called for each call, or the option Bind")
	}
	if err := context.Cause(o.ctx); err != nil {
		return nil, err
	}
	patterns := o.funcs
	if fn != "" {
		patterns = append([]string{fn}, patterns...)
	}
	t := &Tracer{
		opts:    o,
		handler: handler,
		stop:    make(chan struct{}),
		done:    make(chan struct{}),
	}
	if o.bound != nil {
		t.handler = t.bind(handler)
	}
	if err := t.start(binary, patterns); err != nil {
		return nil, err
	}
	return t, nil
}

// Funcs returns the functions that are traced.
func (t *Tracer) Funcs() []*Func { return t.funcs }

// LeftOut returns, for each function that a pattern selected but that cannot be
// traced, the reason: a [*FuncError].
func (t *Tracer) LeftOut() []error { return t.leftOut }

// end begins to end the tracer, for the given cause.
func (t *Tracer) end(cause error) {
	t.stopOnce.Do(func() {
		t.cause = cause
		close(t.stop)
	})
}

// Close ends the tracer: it removes the probes, delivers the calls that were
// captured, and releases everything. It returns the error that ended the
// tracer before, if any, like Err. Further calls do nothing but wait.
//
// When the handler calls Close, it returns at once, and the rest happens when
// the handler has returned.
func (t *Tracer) Close() error {
	t.end(nil)
	if t.reader.Load() == goroutineID() {
		return nil
	}
	return t.Wait()
}

// Wait waits until the tracer has ended and all calls are delivered. It
// returns the error that ended it, nil after Close or the end of the process.
// The handler must not call it.
func (t *Tracer) Wait() error {
	<-t.done
	return t.Err()
}

// Done returns a channel that is closed when the tracer has ended.
func (t *Tracer) Done() <-chan struct{} { return t.done }

// Err returns the error that ended the tracer: [ErrBinaryReplaced], the
// context's cause, or what the kernel said. It is nil while the tracer runs,
// and after an ordinary end.
func (t *Tracer) Err() error {
	select {
	case <-t.stop:
		return t.cause
	default:
		return nil
	}
}

// goroutineID returns the ID of the calling goroutine. It is slow, and used
// only to recognise that Close was called by the handler.
func goroutineID() uint64 {
	var buf [64]byte
	b, _ := bytes.CutPrefix(buf[:runtime.Stack(buf[:], false)], []byte("goroutine "))
	if i := bytes.IndexByte(b, ' '); i > 0 {
		id, _ := strconv.ParseUint(string(b[:i]), 10, 64)
		return id
	}
	return 0
}

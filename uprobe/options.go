package uprobe

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/argtap/argtap/internal/capture"
	"github.com/argtap/argtap/internal/probegen"
)

// Limits bound what one call's record holds; what lies beyond is cut, and says
// so. Zero fields mean the default.
type Limits struct {
	// String is the number of bytes captured of a string, []byte or other
	// slice of one-byte elements. Default 512.
	String int
	// Elems is the number of elements captured of any other slice. Default 64.
	Elems int
	// Bytes is the size in bytes of the largest single value that is captured
	// whole. Default 4096, at most 8192.
	Bytes int
	// Depth is the number of pointers that are followed one after another, not
	// counting those within strings, slices and interfaces. Default 3, at most
	// 100; negative for none.
	Depth int
	// Objects is the number of things captured that pointers, strings, slices and
	// interfaces lead to, over all of a call. Default 256, at most 1024. What is
	// captured by straight-line code is bounded by its shape instead.
	Objects int
	// Record is the number of bytes captured of a call in all. Default 16384, at
	// most 32768.
	Record int
}

const (
	defaultBuffer = 16 << 20
	defaultDelay  = 5 * time.Millisecond
	maxDelay      = time.Second
	minBuffer     = 4 << 10
	maxBuffer     = 1 << 30
)

// Option changes how [Trace] works.
type Option func(*options) error

type options struct {
	funcs  []string
	ctx    context.Context
	limits capture.Limits
	depth  int // see WithDepth; 0 if it was not given
	redact []string
	buffer int
	delay  time.Duration
	log    *slog.Logger
	whole  bool // read types to their ends
	first  bool // probe the first instruction; for measurements
	// lack names kernel features to do without; for tests.
	lack []string
	// stackRoom is how many stacks there is room for, 0 for the default; for tests.
	stackRoom int

	given     []givenSignature
	debugFile string
	printers  printers
	captures  []string // see WithCapture
	conds     []string // see WithCondition
	bound     *binding
	unbound   func(*Call, error)
	throttle  probegen.Limits // see WithSampling
	results   bool            // see WithResults
	inlined   bool            // see WithInlined
	uncertain bool            // see WithUncertain
	inspect   bool            // nothing will be traced

	aggregate *aggregation // see WithCount
	maxKeys   int
	keyDepth  int                // of stacks that calls are counted by
	pids      []int              // see WithPID
	cgroup    string             // see WithCgroup
	processes func(ProcessEvent) // see WithProcesses
}

func newOptions(opts []Option) (*options, error) {
	o := &options{
		ctx:    context.Background(),
		redact: defaultRedaction,
		buffer: defaultBuffer,
		delay:  defaultDelay,
		log:    slog.New(slog.DiscardHandler),
	}
	for _, opt := range opts {
		if opt == nil {
			continue
		}
		if err := opt(o); err != nil {
			return nil, err
		}
	}
	if o.depth != 0 {
		o.limits.Depth = o.depth
	}
	if err := o.checkAggregate(); err != nil {
		return nil, err
	}
	if len(o.redact) > 0 {
		var err error
		if o.limits.Redact, err = capture.NewRedaction(o.redact...); err != nil {
			return nil, err
		}
	}
	return o, nil
}

// WithFuncs traces further functions, by full name or by pattern as described
// at [Trace], with the same tracer, ring buffer and handler.
func WithFuncs(patterns ...string) Option {
	return func(o *options) error {
		o.funcs = append(o.funcs, patterns...)
		return nil
	}
}

// WithPID restricts the tracer to one process, or, given several times, to these
// processes, at most 256. It then ends when the last of them has ended.
//
// The path of the binary is looked up where the process sees it, too, so it may be
// that of a file in a container. If it is empty, the file is the one that the process
// runs. What is traced is always the very file that the process runs, also when
// another has taken its path since. Several processes may run different files of the
// same contents, as from copies of an image.
func WithPID(pid int) Option {
	return func(o *options) error {
		if pid <= 0 {
			return fmt.Errorf("process ID %d: %w: a process ID is positive", pid, ErrNoProcess)
		}
		if slices.Contains(o.pids, pid) {
			return nil
		}
		if len(o.pids) == maxPIDs {
			return fmt.Errorf("more than %d processes are given: leave WithPID out, or select them by WithCgroup", maxPIDs)
		}
		o.pids = append(o.pids, pid)
		return nil
	}
}

// maxPIDs bounds the processes that are given one by one: each has probes of its own.
const maxPIDs = 256

// WithSignature gives the signature of functions that the binary does not
// describe, because it was stripped: in Go syntax, as
// "func(iterations int64) float64", with a receiver as
// "func (s *struct{ n int }) (name string)". Struct types are declared in line;
// see the README for what may stand there. It holds for those of the traced
// functions that one of the names or patterns selects, for all if there are
// none. Of several that hold for a function the last counts.
//
// It is used where neither debug information nor the runtime's type data
// describe a function, and checked against the sizes that the compiler has
// recorded: a signature that they contradict is [ErrSignature].
func WithSignature(signature string, funcs ...string) Option {
	return func(o *options) error {
		o.given = append(o.given, givenSignature{text: signature, funcs: funcs})
		return nil
	}
}

// WithDebugFile reads debug information from a file of its own: what "objcopy
// --only-keep-debug" makes of the binary before it is stripped, or the unstripped
// binary itself. It must belong to the binary: the build IDs are compared, and
// they differ between two runs of "go build" with and without -ldflags=-s. Without this option a binary
// that has no debug information is looked up by build ID and .gnu_debuglink
// where debuggers look: beside the binary, under /usr/lib/debug and in the cache
// of the debuginfod client.
func WithDebugFile(path string) Option {
	return func(o *options) error {
		if path == "" {
			return errors.New("empty path of a debug file: leave the option out")
		}
		o.debugFile = path
		return nil
	}
}

// WithContext ends the tracer when the context does. [Tracer.Err] is then the
// context's cause.
func WithContext(ctx context.Context) Option {
	return func(o *options) error {
		if ctx == nil {
			return errors.New("nil context: pass context.Background, or leave the option out")
		}
		o.ctx = ctx
		return nil
	}
}

// WithLimits bounds what is captured of each call. Fields that are zero leave a limit
// as another option sets it, whichever of them comes first. Given several times, the
// last one that sets a field counts; but [WithDepth] counts in any case.
func WithLimits(l Limits) Option {
	return func(o *options) error {
		for _, f := range []struct {
			to *int
			n  int
		}{
			{&o.limits.String, l.String}, {&o.limits.Elems, l.Elems}, {&o.limits.Bytes, l.Bytes},
			{&o.limits.Depth, l.Depth}, {&o.limits.Objects, l.Objects}, {&o.limits.Record, l.Record},
		} {
			if f.n != 0 {
				*f.to = f.n
			}
		}
		return nil
	}
}

// WithDepth sets the number of pointers that are followed one after another, 0 for
// none, and leaves the other limits as they are: see [Limits]. It goes before the
// Depth of [WithLimits], in whatever order they are given.
func WithDepth(n int) Option {
	return func(o *options) error {
		if o.depth = n; n == 0 {
			o.depth = -1
		}
		return nil
	}
}

// WithBufferSize sets the size in bytes of the ring buffer between the kernel
// and the reader. It is rounded up to a power of two of at least one page; the
// default is 16 MiB. A burst of calls that does not fit is lost, and counted.
func WithBufferSize(bytes int) Option {
	return func(o *options) error {
		if bytes <= 0 || bytes > maxBuffer {
			return fmt.Errorf("buffer size %d: must be between 1 and %d bytes", bytes, maxBuffer)
		}
		o.buffer = bytes
		return nil
	}
}

// WithDelay bounds how long a call may wait in the buffer before the handler
// sees it. Waking the reader costs the target more than the capture itself, so
// the reader is woken at most about once per delay. The default is 5 ms. Zero
// delivers at once, like [WithImmediate].
func WithDelay(d time.Duration) Option {
	return func(o *options) error {
		if d < 0 || d > maxDelay {
			return fmt.Errorf("delay %v: must be between 0 and %v", d, maxDelay)
		}
		o.delay = d
		return nil
	}
}

// WithImmediate delivers each call as soon as it happens, at the price of
// waking the reader for it.
func WithImmediate() Option { return WithDelay(0) }

// WithLogger reports what the tracer does, and what it cannot do, to l.
// Nothing is logged by default, and when l is nil.
func WithLogger(l *slog.Logger) Option {
	return func(o *options) error {
		if l == nil {
			l = slog.New(slog.DiscardHandler)
		}
		o.log = l
		return nil
	}
}

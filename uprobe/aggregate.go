package uprobe

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/argtap/argtap/internal/probegen"
)

// The options of this file count calls in the kernel, for functions that are called
// too often to look at each call.

// WithCount counts the calls in the kernel, by a key, in place of delivering them:
// see [Tracer.Aggregates].
//
//	uprobe.Trace("./app", "main.(*server).serve", nil, uprobe.WithCount("r.Method", "len(body) > 0"))
//
// The parts of the key, at most four, are expressions as in [WithCapture] that are
// integers, bools or strings, of which the first 64 bytes count. Results, by their
// names or as result0 and so on, and "duration" may be in them, as in [WithCondition].
// These words are parts, too, unless a parameter has that name (a result that has it is
// result0 and so on):
//
//	goroutine  the ID of the goroutine, 0 on a system stack
//	parent     that of the goroutine that started it, 0 if the runtime did; since Go 1.21
//	creator    the go statement that started it: a Frame
//	stack      the callers: a Stack, of 32 frames or as many as WithStack says
//	pid        the ID of the process
//
// Without a key all calls of a function are counted together. A part that has no value
// in a call is absent, for a reason, and that is a key like others.
//
// Stacks are told apart by all of their frames; deeper ones that have the same innermost
// frames are counted together, and [Stack.End] says that they were cut. Of frames outside
// the binary only the address is known, relative to it. Stacks need Linux 5.17.
//
// No handler is called: give nil for it. What keeps calls back, such as
// [WithCondition] and [WithSampling], does so before they are counted, and
// [Stats].Aggregated is the number of those that are. Values that are redacted cannot
// be in a key: an error says so.
//
// Where the key, or a condition, needs what is known only when a call returns, calls
// are counted then: as with the durations of [WithHistogram]. A call that is left by a
// panic does not return. It is counted if the key or a condition asks for it, by
// "panicked", which is true of it:
//
//	uprobe.WithCount("r.Method", "panicked")
//	uprobe.WithCount("err == nil"), uprobe.WithCondition("panicked || err != nil")
//
// Its results and duration are absent. The tracer finds such calls, some seconds later
// where their goroutine calls nothing at the same place of its stack.
func WithCount(by ...string) Option {
	return aggregate(&aggregation{by: by})
}

// WithHistogram counts the calls in the kernel as [WithCount] does, and in each count
// how many there are of each size of a value: of an expression that is an integer, over
// parameters and results, or of "duration", unless one of these has that name. Besides,
// their sum and extremes.
//
//	uprobe.WithHistogram("len(body)", uprobe.Log2(), "r.Method")
//	uprobe.WithHistogram("duration", uprobe.Linear(0, 100*time.Millisecond, 5*time.Millisecond))
//	uprobe.WithHistogram("len(result0)", uprobe.Log2(), "stack")
//
// Calls in which the value is absent are counted apart, with the reasons. Durations are
// those of [Call.Duration], in nanoseconds. They, and results, need the probes of
// [WithResults]: the calls are counted when they return, by what the arguments were at
// their entry, and a function of which no results can be captured cannot be traced so.
// A call that is left by a panic does not return: unless a condition or the key asks for
// "panicked" it is in [Stats].Abandoned, or as long as that is not known in Open.
func WithHistogram(expr string, scale Scale, by ...string) Option {
	if scale.err == nil && scale.buckets == (probegen.Buckets{}) && !scale.log2 {
		scale.err = errors.New("no scale: give Log2 or Linear")
	}
	return aggregate(&aggregation{value: expr, sized: true, scale: scale, by: by})
}

func aggregate(a *aggregation) Option {
	return func(o *options) error {
		switch {
		case o.aggregate != nil:
			return errors.New("a second WithCount or WithHistogram: a tracer has one, a histogram counts the calls too, and two tracers may trace one function")
		case len(a.by) > probegen.MaxKeyParts:
			return fmt.Errorf("a key of %d parts: there may be %d", len(a.by), probegen.MaxKeyParts)
		case a.scale.err != nil:
			return fmt.Errorf("histogram of %s: %w", a.value, a.scale.err)
		}
		o.aggregate = a
		o.whole = true
		return nil
	}
}

// WithMaxKeys sets how many keys [WithCount] and [WithHistogram] count apart, of all
// functions together. Calls with further keys are counted as [Aggregate].Other. The
// kernel takes the memory for all of them at once, for each processor: by default there
// are 1024, and fewer where they would take more than 64 MiB.
func WithMaxKeys(n int) Option {
	return func(o *options) error {
		if n <= 0 || n > maxKeys {
			return fmt.Errorf("%d keys: must be between 1 and %d", n, maxKeys)
		}
		o.maxKeys = n
		return nil
	}
}

const (
	maxKeys     = 1 << 20
	defaultKeys = 1 << 10
	// keyMemory is what keys may take by default, maxKeyMemory what they may at all,
	// in bytes.
	keyMemory    = 64 << 20
	maxKeyMemory = 1 << 30
)

// Scale says how a histogram tells values apart by size: see [Log2] and [Linear].
type Scale struct {
	buckets probegen.Buckets // but for Signed
	log2    bool
	err     error
}

// Log2 has a bucket for 0 and one for each power of two: 1, 2–3, 4–7 and so on; and the
// same for negative values.
func Log2() Scale { return Scale{log2: true} }

// Linear has buckets of a width of step from min to below max, the last narrower if they
// do not fit evenly, and one each for what is below and above. There may be 2046.
// Durations are given as such.
func Linear[T ~int | ~int8 | ~int16 | ~int32 | ~int64 | ~uint8 | ~uint16 | ~uint32](min, max, step T) Scale {
	s := Scale{buckets: probegen.Buckets{Min: int64(min), Max: int64(max), Step: uint64(step)}}
	switch {
	case step <= 0:
		s.err = fmt.Errorf("steps of %v: must be positive", step)
	case min >= max:
		s.err = fmt.Errorf("a scale from %v to %v: must end behind its beginning", min, max)
	case (uint64(max)-uint64(min)-1)/uint64(step) >= probegen.MaxBuckets-2:
		s.err = fmt.Errorf("a scale from %v to %v in steps of %v has more than %d buckets: make the steps wider", min, max, step, probegen.MaxBuckets-2)
	}
	return s
}

// aggregation is what is asked for by WithCount or WithHistogram.
type aggregation struct {
	value string
	sized bool // a histogram
	scale Scale
	by    []string
}

// checkAggregate returns what the options say that cannot be together with an
// aggregation.
func (o *options) checkAggregate() error {
	if o.aggregate == nil {
		if o.maxKeys != 0 {
			return errors.New("WithMaxKeys without WithCount or WithHistogram: nothing has keys")
		}
		return nil
	}
	const instead = "WithCount and WithHistogram count calls in place of delivering them: leave out "
	switch {
	case o.results:
		return errors.New(instead + "WithResults; for the duration use WithHistogram(\"duration\", …), and results may be in keys, values and conditions")
	case len(o.captures) > 0:
		return errors.New(instead + "WithCapture; expressions are given as keys and value")
	case o.limits.Stack > 0 && !slices.Contains(o.aggregate.by, stackName):
		return errors.New(instead + "WithStack, or make \"stack\" a part of the key, to which it gives the depth")
	case o.bound != nil:
		return errors.New(instead + "Bind")
	}
	if !o.namesPanicked() {
		o.buffer = minBuffer // nothing is sent
	}
	o.keyDepth, o.limits.Stack = cmp.Or(o.limits.Stack, keyDepth), 0
	return nil
}

// keysFor returns how many keys are counted apart, each of so many bytes on each of so
// many processors.
func (o *options) keysFor(size, cpus int) (int, error) {
	each := size * cpus
	if n := o.maxKeys; n > 0 {
		if n > math.MaxInt/each || n*each > maxKeyMemory {
			return 0, fmt.Errorf("%d keys of %d bytes on %d processors take too much memory: set WithMaxKeys to at most %d", n, size, cpus, maxKeyMemory/each)
		}
		return n, nil
	}
	return max(min(defaultKeys, keyMemory/each), 16), nil
}

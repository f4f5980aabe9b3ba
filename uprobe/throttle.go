package uprobe

import (
	"fmt"
	"math"
	"time"

	"github.com/argtap/argtap/internal/probegen"
)

// The options of this file keep calls back before anything is captured of them,
// for programs that must not be slowed down. They decide in the probe, in this
// order:
//
//  1. WithBudget: are the probes paused?
//  2. WithFirst: are the first calls all captured?
//  3. WithSampling
//  4. WithCondition
//  5. WithRateLimit
//
// So a condition chooses from the sampled calls, and only calls that meet it use
// up the rate and the first calls. Each call that is kept back is counted by the
// one that did it: see [Stats]. The probe itself remains, and with it the trap
// that it costs: what a call costs that is kept back is hardly more than with an
// empty program, and not less. With [WithResults] it is more: the program looks
// whether it knows of an earlier call in the same place on the stack, so that no
// return is taken for the wrong call's, and the returns of such calls remain probed.
// Only WithFirst takes probes away.

// WithSampling captures one call in n of each function: on each processor the
// first call and then every nth, so that processors do not wait for one another.
// Of h calls at least h/n are captured, and fewer than h/n + 1 for each processor.
// Of calls that come in a pattern always the same may be chosen, if n is a multiple
// of its length. The others are counted in [Stats].Sampled.
func WithSampling(n int) Option {
	return func(o *options) error {
		if n <= 0 || n > math.MaxInt32 {
			return fmt.Errorf("sampling of one call in %d: must be between 1 and %d", n, math.MaxInt32)
		}
		o.throttle.Sample = int32(n)
		return nil
	}
}

// maxRate bounds the rate, so that its interval in nanoseconds is nearly exact.
const maxRate = 1_000_000

// WithRateLimit captures at most so many calls per second of each function, over
// all processors. After a pause calls may come faster, at most as many at once as
// a tenth of a second's and at least one: in any d seconds no more are captured
// than perSecond × (d + 1/10), or perSecond × d + 1 below ten per second. On kernels
// without atomic exchange (before Linux 5.12, on arm64 5.18) each processor may
// capture one call more after a pause. The others are counted in [Stats].Limited.
func WithRateLimit(perSecond int) Option {
	return func(o *options) error {
		if perSecond <= 0 || perSecond > maxRate {
			return fmt.Errorf("rate of %d calls per second: must be between 1 and %d", perSecond, maxRate)
		}
		second := int(time.Second)
		o.throttle.Interval = int32((second + perSecond - 1) / perSecond)
		o.throttle.Burst = int32(max(1, perSecond/10))
		return nil
	}
}

// WithFirst captures the first n calls of each function, over all processes, and then
// no more. Calls that were captured but lost are among them. When a function has had
// them its probes are removed, and its calls cost nothing any more and are not counted;
// those that come in the meantime are counted in [Stats].Beyond. When all functions
// have had theirs the tracer ends, without an error: see [Tracer.Done].
//
// With [WithResults] the calls that have begun still end: the returns of a function
// remain probed until all its calls have returned. A return that
// comes then and may be that of a call that was not seen to begin, because the first one
// in its place on the stack may have panicked, is not shown but counted in
// [Stats].LostReturn. Calls that meet a condition only when they return are counted
// then. Where calls are only counted, nothing tells of those that a panic has left:
// when none has returned for 10 seconds the others are [Stats].Open.
func WithFirst(n int) Option {
	return func(o *options) error {
		if n <= 0 || n > math.MaxInt32 {
			return fmt.Errorf("first %d calls: must be between 1 and %d", n, math.MaxInt32)
		}
		o.throttle.First = int32(n)
		return nil
	}
}

// WithBudget bounds the time that the probes take of each processor, as a fraction:
// with 0.01 they may take one percent. A processor on which the programs of the
// tracer's probes have taken more of a tenth of a second pauses until the next
// tenth begins: calls are counted, in [Stats].Paused, but not captured. That the
// probes pause and that they no longer do is logged: see [WithLogger].
//
// What is measured, by the programs themselves, is the time from their begin to
// their end, also that for which they wait for a page or other threads run. It is
// in [Stats].ProbeTime. The trap into the kernel, which comes before, is not in it,
// nor what counting takes while the probes pause. Only the end of the tracer saves
// these. The last call before a pause may exceed the budget by what it takes. With
// [WithResults] the probes of returns are measured, but never pause: calls that have
// begun must end.
//
// There is no budget by default: measuring costs two readings of the clock a call.
func WithBudget(fraction float64) Option {
	return func(o *options) error {
		budget := math.Round(fraction * probegen.BudgetWindow)
		if !(budget >= 1 && fraction <= 1) {
			return fmt.Errorf("budget of %v: must be a fraction of a processor's time, at least %v and at most 1, such as 0.01",
				fraction, 1.0/probegen.BudgetWindow)
		}
		o.throttle.Budget = int32(budget)
		return nil
	}
}

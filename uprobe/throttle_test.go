package uprobe

import (
	"math"
	"strings"
	"testing"

	"github.com/argtap/argtap/internal/probegen"
)

func TestThrottleOptions(t *testing.T) {
	o, err := newOptions([]Option{WithSampling(7), WithRateLimit(3), WithFirst(9), WithBudget(0.01)})
	want := probegen.Limits{Sample: 7, First: 9, Interval: 333_333_334, Burst: 1, Budget: 1_000_000}
	if err != nil || o.throttle != want {
		t.Errorf("%+v, %v", o.throttle, err)
	}
	o, err = newOptions([]Option{WithRateLimit(25_000), WithBudget(1)})
	if want := (probegen.Limits{Interval: 40_000, Burst: 2500, Budget: probegen.BudgetWindow}); err != nil || o.throttle != want {
		t.Errorf("%+v, %v", o.throttle, err)
	}
	for _, tt := range []struct {
		opt  Option
		want string
	}{
		{WithSampling(0), "sampling of one call in 0: must be between 1 and 2147483647"},
		{WithSampling(-5), "sampling of one call in -5"},
		{WithSampling(math.MaxInt), "must be between"},
		{WithFirst(0), "first 0 calls: must be between 1 and 2147483647"},
		{WithFirst(math.MaxInt32 + 1), "must be between"},
		{WithRateLimit(0), "rate of 0 calls per second: must be between 1 and 1000000"},
		{WithRateLimit(1_000_001), "must be between"},
		{WithBudget(0), "budget of 0: must be a fraction of a processor's time"},
		{WithBudget(-0.1), "budget of -0.1"},
		{WithBudget(1.01), "budget of 1.01"},
		{WithBudget(math.NaN()), "budget of NaN"},
		{WithBudget(1e-12), "budget of 1e-12"},
	} {
		if _, err := newOptions([]Option{tt.opt}); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%v, want %s", err, tt.want)
		}
	}
	// A tenth of a second's calls and all rates fit what programs take.
	for rate := 1; rate <= maxRate; rate += 1 + rate/50 {
		o, err := newOptions([]Option{WithRateLimit(rate)})
		if err != nil || int64(o.throttle.Interval)*int64(o.throttle.Burst) > 1_000_000_000 || o.throttle.Burst < 1 {
			t.Errorf("%d: %+v, %v", rate, o.throttle, err)
		}
	}
}

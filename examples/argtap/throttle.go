package main

import (
	"flag"
	"fmt"
	"strconv"
	"strings"

	"github.com/argtap/argtap/uprobe"
)

// throttle are the flags that keep calls back.
type throttle []uprobe.Option

func (t *throttle) register(fs *flag.FlagSet) {
	fs.Func("sample", "capture one call in `N` of each function", t.number(uprobe.WithSampling))
	fs.Func("rate", "capture at most `N` calls a second of each function", t.number(uprobe.WithRateLimit))
	fs.Func("first", "capture the first `N` calls of each function, and then no more: its probes are\nremoved; without COMMAND it ends when that is so of all functions", t.number(uprobe.WithFirst))
	fs.Func("budget", "pause while the probes take more of a processor's time than `FRACTION`,\nas 1% or 0.01; the trap that each call costs is not in it", t.budget)
}

func (t *throttle) number(option func(int) uprobe.Option) func(string) error {
	return func(text string) error {
		n, err := strconv.Atoi(text)
		if err != nil {
			return fmt.Errorf("%q is no number of calls", text)
		}
		if n <= 0 {
			return fmt.Errorf("%d: must be positive", n)
		}
		*t = append(*t, option(n))
		return nil
	}
}

func (t *throttle) budget(text string) error {
	number, percent := strings.CutSuffix(text, "%")
	x, err := strconv.ParseFloat(number, 64)
	if err != nil {
		return fmt.Errorf("%q is no fraction, such as 1%% or 0.01", text)
	}
	if percent {
		x /= 100
	}
	if !(x > 0 && x <= 1) {
		return fmt.Errorf("%s: must be more than 0 and at most 100%%", text)
	}
	*t = append(*t, uprobe.WithBudget(x))
	return nil
}

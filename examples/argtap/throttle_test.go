package main

import (
	"fmt"
	"strings"
	"testing"
)

// TestThrottle: calls that are kept back are counted behind the four counts that
// are always there.
func TestThrottle(t *testing.T) {
	needTrace(t)
	for _, tt := range []struct {
		flags, want string
		lines       int
	}{
		{"-first 5", "calls=40 delivered=5 lost=0 filtered=0 beyond=35", 5},
		{"-results -first 5", "calls=40 delivered=5 lost=0 filtered=0 beyond=35 unmatched=35", 5},
		{"-rate 1", "calls=40 delivered=1 lost=0 filtered=0 limited=39", 1},
		{"-budget 100%", "calls=40 delivered=40 lost=0 filtered=0", 40},
		{"-sample 1 -first 3 -where n>9", "calls=40 delivered=3 lost=0 filtered=10 beyond=27", 3},
	} {
		args := append([]string{"trace"}, strings.Fields(tt.flags)...)
		r := argtap(t, append(args, built.target, "main.work", "--", built.target, "-n", "40")...)
		if r.code != 0 || r.lastLine() != tt.want || len(r.lines()) != tt.lines {
			t.Errorf("%s: status %d, %q, want %q\n%s", tt.flags, r.code, r.lastLine(), tt.want, r.stdout)
		}
	}
	// Which of the calls are sampled depends on the processors that made them.
	r := argtap(t, "trace", "-sample", "4", built.target, "main.work", "--", built.target, "-n", "40")
	var calls, delivered, lost, filtered, sampled int
	_, err := fmt.Sscanf(r.lastLine(), "calls=%d delivered=%d lost=%d filtered=%d sampled=%d", &calls, &delivered, &lost, &filtered, &sampled)
	if err != nil || calls != 40 || delivered < 10 || delivered+sampled != 40 || len(r.lines()) != delivered {
		t.Errorf("%v: %q", err, r.lastLine())
	}
	// A budget that is spent by the first call: the others come within the window.
	r = argtap(t, "trace", "-budget", "0.000001%", built.target, "main.work", "--", built.target, "-n", "40")
	if !strings.Contains(r.lastLine(), " paused=") || !strings.HasPrefix(r.lastLine(), "calls=40 delivered=") {
		t.Errorf("%q", r.lastLine())
	}
}

func TestThrottleErrors(t *testing.T) {
	for _, tt := range []struct{ flag, value, want string }{
		{"sample", "0", "must be positive"},
		{"sample", "half", `"half" is no number of calls`},
		{"sample", "9999999999", "must be between 1 and 2147483647"},
		{"first", "-1", "must be positive"},
		{"rate", "0", "must be positive"},
		{"rate", "5000000", "must be between 1 and 1000000"},
		{"budget", "0", "more than 0 and at most 100%"},
		{"budget", "101%", "more than 0 and at most 100%"},
		{"budget", "NaN", "more than 0 and at most 100%"},
		{"budget", "much", `"much" is no fraction, such as 1% or 0.01`},
	} {
		r := argtap(t, "trace", "-"+tt.flag, tt.value, built.target, "main.work")
		if r.code == 0 || !strings.Contains(r.stderr, tt.want) {
			t.Errorf("-%s %s: status %d, %s", tt.flag, tt.value, r.code, r.stderr)
		}
	}
}

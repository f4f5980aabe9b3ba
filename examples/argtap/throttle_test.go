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
		{"-rate 1", "calls=40 delivered=1 lost=0 filtered=0 limited=39", 1},
		{"-budget 100%", "calls=40 delivered=40 lost=0 filtered=0", 40},
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

// TestFirst: when the first calls are captured the command goes on, and later calls
// are not counted any more. Without one the trace ends.
func TestFirst(t *testing.T) {
	needTrace(t)
	for _, tt := range []struct {
		flags string
		lines int
	}{
		{"-first 5", 5}, {"-results -first 5", 5}, {"-sample 1 -first 3 -where n>9", 3}, {"-results -first 3 -where duration>0", 3},
	} {
		args := append([]string{"trace"}, strings.Fields(tt.flags)...)
		r := argtap(t, append(args, built.target, "main.work", "--", built.target, "-n", "40")...)
		var calls, delivered, lost, filtered, beyond int
		n, _ := fmt.Sscanf(r.lastLine(), "calls=%d delivered=%d lost=%d filtered=%d beyond=%d", &calls, &delivered, &lost, &filtered, &beyond)
		if r.code != 0 || n < 4 || calls > 40 || delivered != tt.lines || calls != delivered+filtered+beyond || len(r.lines()) != tt.lines {
			t.Errorf("%s: status %d, %q\n%s%s", tt.flags, r.code, r.lastLine(), r.stdout, r.stderr)
		}
	}
}

// TestWhereResults: conditions over what a call returns.
func TestWhereResults(t *testing.T) {
	needTrace(t)
	r := argtap(t, "trace", "-results", "-where", "n > 9 && duration < 24h && (panicked || duration >= 0)", built.target, "main.work", "--", built.target, "-n", "40")
	if c := countsOf(t, r); r.code != 0 || c != (counts{calls: 40, delivered: 30, filtered: 10}) {
		t.Errorf("status %d, %+v\n%s", r.code, c, r.stderr)
	}
	r = argtap(t, "trace", "-results", "-where", "duration > 24h", built.target, "main.work", "--", built.target, "-n", "40")
	if c := countsOf(t, r); r.code != 0 || c != (counts{calls: 40, filtered: 40}) {
		t.Errorf("status %d, %+v\n%s", r.code, c, r.stderr)
	}
	wantError(t, argtap(t, "trace", "-where", "n > 9 && duration > 10ms", built.target, "main.work"),
		"column 10: duration is known only when the call returns", "add the flag -results")
	wantError(t, argtap(t, "trace", "-results", "-capture", "duration", built.target, "main.work"), "what is captured are values of the entry")
	wantError(t, argtap(t, "trace", "-results", "-where", "duration > 10 min", built.target, "main.work"), "column 15")
	wantError(t, argtap(t, "trace", "-results", "-where", "duration > 10min", built.target, "main.work"), "column 12: 10min is no duration")
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

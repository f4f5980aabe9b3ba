package main

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/argtap/argtap/uprobe"
)

// TestAggregateCounts: calls are counted in place of being printed.
func TestAggregateCounts(t *testing.T) {
	needTrace(t)
	run := func(flags ...string) result {
		t.Helper()
		args := append(append([]string{"trace"}, flags...), built.target, "main.work", "--", built.target, "-n", "40")
		r := argtap(t, args...)
		if r.code != 0 || !strings.HasPrefix(r.lastLine(), "calls=40 delivered=0 lost=0 filtered=") || strings.Contains(r.lastLine(), " aggregated=") != (r.stdout != "no calls were counted\n") {
			t.Errorf("%v: status %d\n%s", flags, r.code, r.stderr)
		}
		return r
	}
	const full = "@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@"
	for _, tt := range []struct {
		flags []string
		want  string
	}{
		{[]string{"-count-by", "n < 10"}, "main.work\n" +
			"  n < 10=false  30 |" + full + "|\n" +
			"  n < 10=true   10 |" + full[:13] + strings.Repeat(" ", 27) + "|\n"},
		{[]string{"-count-by", "func"}, "  main.work  40 |" + full + "|\n"},
		{[]string{"-hist", "n:linear:0:30:10", "-where", "n < 35"}, "main.work\n" +
			"  n: 35 calls, mean 17, min 0, p50 17, p90 31, p99 34, max 34\n" +
			"  [0, 10)    10 |" + full + "|\n" +
			"  [10, 20)   10 |" + full + "|\n" +
			"  [20, 30)   10 |" + full + "|\n" +
			"  [30, inf)   5 |" + full[:20] + strings.Repeat(" ", 20) + "|\n"},
		{[]string{"-hist", "n-2", "-by", "n < 3", "-first", "4"}, "main.work n < 3=true\n" +
			"  n-2: 3 calls, mean -1, min -2, p50 -1, p90 0, p99 0, max 0\n" +
			"  [-3, -1)  1 |" + full + "|\n" +
			"  -1        1 |" + full + "|\n" +
			"  0         1 |" + full + "|\n" +
			"main.work n < 3=false\n" +
			"  n-2: 1 call, mean 1, min 1, p50 1, p90 1, p99 1, max 1\n" +
			"  1  1 |" + full + "|\n"},
		{[]string{"-hist", "n/(n-3):log2", "-where", "n == 3"}, "main.work\n" +
			"  n/(n-3): 0 calls, 1 absent (division by zero)\n"},
		{[]string{"-hist", "time.Duration(n)*time.Duration(n)*8000", "-where", "n > 20"}, "main.work\n" +
			"  time.Duration(n)*time.Duration(n)*8000: 19 calls, mean 7.44ms, min 3.528ms, p50 7.34ms, p90 11.14ms, p99 12.07ms, max 12.17ms\n" +
			"  [2.097ms, 4.194ms)   2 |" + full[:8] + strings.Repeat(" ", 32) + "|\n" +
			"  [4.194ms, 8.389ms)  10 |" + full + "|\n" +
			"  [8.389ms, 16.78ms)   7 |" + full[:28] + strings.Repeat(" ", 12) + "|\n"},
		{[]string{"-hist", "time.Duration(n*500*1000+1):linear:0:3ms:750us", "-where", "n < 7"}, "main.work\n" +
			"  time.Duration(n*500*1000+1): 7 calls, mean 1.5ms, min 1ns, p50 1.687ms, p90 3ms, p99 3ms, max 3ms\n" +
			"  [0s, 750µs)      2 |" + full + "|\n" +
			"  [750µs, 1.5ms)   1 |" + full[:20] + strings.Repeat(" ", 20) + "|\n" +
			"  [1.5ms, 2.25ms)  2 |" + full + "|\n" +
			"  [2.25ms, 3ms)    1 |" + full[:20] + strings.Repeat(" ", 20) + "|\n" +
			"  [3ms, inf)       1 |" + full[:20] + strings.Repeat(" ", 20) + "|\n"},
		{[]string{"-count-by", "n", "-where", "n < 0"}, "no calls were counted\n"},
	} {
		if r := run(tt.flags...); r.stdout != tt.want {
			t.Errorf("%v:\n%s\nwant\n%s", tt.flags, r.stdout, tt.want)
		}
	}
	if r := run("-count-by", "stack", "-count-by", "creator", "-count-by", "n < 10", "-frames", "1"); !strings.Contains(r.stdout, "  stack creator=runtime.") ||
		!strings.Contains(r.stdout, " n < 10=false  30 |"+full+"|\n      main.main main.go:") || strings.Count(r.stdout, "\n      <cut at depth 1>\n") != 2 || len(r.lines()) != 7 {
		t.Errorf("stacks:\n%s", r.stdout)
	}
	r := run("-json", "-hist", "duration", "-by", "n < 10")
	var total uint64
	for _, line := range r.lines() {
		var row struct {
			Func, Value, Unit string
			Key               []struct {
				Expr  string
				Value bool
			}
			Count, Sum uint64
		}
		if err := json.Unmarshal([]byte(line), &row); err != nil {
			t.Errorf("%s: %v", line, err)
		}
		if row.Func != "main.work" || row.Value != "duration" || row.Unit != "ns" || len(row.Key) != 1 || row.Key[0].Expr != "n < 10" || row.Sum == 0 {
			t.Errorf("%s", line)
		}
		total += row.Count
	}
	if len(r.lines()) != 2 || total != 40 {
		t.Errorf("%d calls in %d lines", total, len(r.lines()))
	}
}

func TestAggregateErrors(t *testing.T) {
	for _, tt := range []struct{ flags, want string }{
		{"-by n", "-by without -hist"},
		{"-max-keys 5", "-max-keys without"},
		{"-count-by n -hist n", "use -hist with -by"},
		{"-count-by n -n 5", "use -first"},
		{"-hist n -results", "use -hist duration"},
		{"-hist n -count", "they print no calls anyway"},
		{"-hist n -capture n", "give the expressions to them"},
		{"-hist n:linear:0:5", "EXPR:linear:MIN:MAX:STEP"},
		{"-hist n:linear:0:x:5", `"x" is no integer, and no duration`},
		{"-hist n:linear:5:0:1", "must end behind its beginning"},
		{"-hist s", "what is counted by size is an integer"},
		{"-count-by p", "a key is an integer, a bool or a string; this is *main.point"},
		{"-count-by nn", "no parameter or result nn"},
		{"-count-by 1", "a constant"},
		{"-count-by n -stack", "use -count-by stack, or -hist with -by stack"},
		{"-count-by n -pprof f", "-pprof with -count-by"},
		{"-count-by n -by n", "repeat -count-by for a key of several parts"},
		{"-count-by goroutin", "a key can also be goroutine, parent, creator, stack or pid"},
		{"-duration 5", "a duration has a unit, as 10s or 1m30s"},
		{"-count-by p", "ask for a part of it, or whether it is nil"},
		{"-hist s", "this is string: ask for its len"},
		{"-hist n:log10", `"log10" is no scale: give log2, or linear:MIN:MAX:STEP`},
		{"-hist duration:linear:0:10s:1ns", "a scale from 0s to 10s in steps of 1ns has more than"},
		{"-hist duration:linear:-1ms:10ms:1ms", "begins at -1ms, and they are never negative"},
		{"-where s=='abc'", "a string stands in double quotes"},
		{"-count-by=", "-count-by is given, and empty"},
		{"-cgroup=", "-cgroup is given, and empty"},
		{"-where= -hist n", "-where is given, and empty"},
		{"-count-by n -frames 3", "-frames is for -stack and -pprof, and for counts by stack"},
	} {
		args := append(append([]string{"trace"}, strings.Fields(tt.flags)...), built.target, "main.work")
		if r := argtap(t, args...); r.code == 0 || !strings.Contains(r.stderr, tt.want) {
			t.Errorf("%s: status %d, %s", tt.flags, r.code, r.stderr)
		}
	}
}

// TestPathAsFunc: a command without -- is said to be one.
func TestPathAsFunc(t *testing.T) {
	r := argtap(t, "trace", built.target, "main.work", built.target)
	if want := "FUNC " + built.target + " is a file: a command to start comes behind --"; r.code == 0 || !strings.Contains(r.stderr, want) {
		t.Errorf("status %d, %s", r.code, r.stderr)
	}
}

func TestParseHist(t *testing.T) {
	for text, want := range map[string]string{
		"n": "n", "n:log2": "n", "s[1:2]": "s[1:2]", "s[1:2][0]:log2": "s[1:2][0]", "d:linear:0:1s:10ms": "d", "len(b[:2]):linear:-5:0x10:1": "len(b[:2])",
	} {
		expr, scale, err := parseHist(text)
		if err != nil || expr != want || scale == (uprobe.Scale{}) {
			t.Errorf("%s: %s, %v, %v", text, expr, scale, err)
		}
	}
}

package judge

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
)

func newResult(program string) *Result {
	return &Result{Program: program, Absent: map[string]int{}, Example: map[string]string{}, Explained: map[string]int{}}
}

// String has one line of counts, and one for each reason.
func (r *Result) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %d functions, %d calls, %d values equal, %d different; stack grew %d times, %d came back; argtap saw %d calls and lost %d, %d of them compared ones",
		r.Program, r.Funcs, r.Calls, r.Equal, len(r.Differences), r.Grew, r.Back, r.Seen, r.Lost, r.Unsent)
	for _, why := range byCount(r.Absent) {
		fmt.Fprintf(&b, "\n\t%8d  %s, e.g. %s", r.Absent[why], why, r.Example[why])
	}
	for _, why := range byCount(r.Explained) {
		fmt.Fprintf(&b, "\n\t%8d  different: %s", r.Explained[why], why)
	}
	return b.String()
}

// byCount returns the reasons, the most frequent first.
func byCount(counts map[string]int) []string {
	return slices.SortedFunc(maps.Keys(counts), func(x, y string) int {
		return cmp.Or(cmp.Compare(counts[y], counts[x]), strings.Compare(x, y))
	})
}

// absent returns how many values a side does not show.
func (r *Result) absent(side string) (n int) {
	for why, count := range r.Absent {
		if strings.HasPrefix(why, side+": ") {
			n += count
		}
	}
	return n
}

// explanation says why Delve shows a part of a parameter differently.
type explanation struct {
	fn, param string
	why       string
}

// explanations are the differences in which Delve is known to be wrong.
var explanations = []explanation{
	// The function begins with "if cause == nil { cause = err }", and the
	// compiler's debug information has cause in the registers of err from the
	// function's first instruction on. The machine code tests RSI, where the
	// calling convention has cause, and overwrites it with RCX, which is err.
	{"context.(*cancelCtx).cancel", "cause", "the debug information names the registers of another argument, which is assigned to this one"},
}

// explain returns why Delve shows something else, "" if that is not known.
func explain(d Difference) string {
	for _, e := range explanations {
		if d.Func == e.fn && d.Param == e.param {
			return e.why
		}
	}
	return ""
}

package uprobe

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/argtap/argtap/abi"
)

// withoutFeatures lets a tracer do without features that the kernel has.
func withoutFeatures(names ...string) Option {
	return func(o *options) error { o.lack = names; return nil }
}

// forEachWay runs a test with all features that the kernel has, and without some
// of those: as on older kernels.
func forEachWay(t *testing.T, test func(t *testing.T, lack []string)) {
	seen := map[capabilities]bool{}
	all := probeCapabilities()
	for _, lack := range [][]string{
		nil,
		{"pidFilter"},                                    // Linux 6.6
		{"multi"},                                        // 6.0
		{"multi", "sleepable"},                           // 5.17
		{"multi", "sleepable", "loops"},                  // 5.15
		{"cookies", "sleepable", "loops"},                // 5.12
		{"cookies", "loops", "atomics"},                  // 5.8
		{"sleepable"}, {"loops"}, {"sleepable", "loops"}, // what may be backported otherwise
	} {
		if c := all.without(lack); !seen[c] {
			seen[c] = true
			t.Run("without "+strings.Join(lack, ","), func(t *testing.T) { test(t, lack) })
		}
	}
}

// traceOne returns the only call of a function, as text.
func traceOne(t *testing.T, target *capsTarget, fn, command string, opts ...Option) (arg, answer string) {
	t.Helper()
	n := 0
	tr, err := Trace(target.path, fn, func(c *Call) {
		n++
		arg = c.Arg(c.NumArgs() - 1).String()
	}, opts...)
	if err != nil {
		t.Fatalf("%+v", err)
	}
	answer = target.do(command)
	if err := tr.Close(); err != nil {
		t.Fatal(err)
	}
	if n != 1 {
		t.Fatalf("%d calls of %s", n, fn)
	}
	return arg, answer
}

// TestNotResident: sleepable programs read what other programs cannot, and those
// say so.
func TestNotResident(t *testing.T) {
	needRoot(t)
	target := startCaps(t, buildFixture(t, "caps"))
	forEachWay(t, func(t *testing.T, lack []string) {
		got, text := traceOne(t, target, "main.text", "text", withoutFeatures(lack...))
		want := strconv.Quote(text)
		c := probeCapabilities().without(lack)
		if c.sleepable != (got == want) || !c.sleepable && !strings.Contains(got, abi.NotResident.String()) {
			t.Errorf("a string on a page that is not there is %s, with %+v", got, c)
		}
	})
}

// TestLoops: without bpf_loop the elements of a slice are there, what they refer
// to is absent with the reason.
func TestLoops(t *testing.T) {
	needRoot(t)
	target := startCaps(t, buildFixture(t, "caps"))
	forEachWay(t, func(t *testing.T, lack []string) {
		got, _ := traceOne(t, target, "main.refs", "refs", withoutFeatures(lack...))
		c := probeCapabilities().without(lack)
		followed := strings.Contains(got, "X: 1") && strings.Contains(got, "X: 3")
		if c.loops != followed || !c.loops && strings.Count(got, abi.NeedsLoops.String()) != 2 {
			t.Errorf("a slice of two pointers is %s, with %+v", got, c)
		}
	})
}

// linkCut is a pointer that was not followed for want of loops.
var linkCut = regexp.MustCompile(`\(\*main\.link\)\(0x[0-9a-f]+ <` + regexp.QuoteMeta(abi.NeedsLoops.String()))

// TestWalkInEveryWay: a walk needs bpf_loop, and nothing else that not every
// kernel has. Without it four pointers are followed.
func TestWalkInEveryWay(t *testing.T) {
	needRoot(t)
	target := startCaps(t, buildFixture(t, "caps"))
	forEachWay(t, func(t *testing.T, lack []string) {
		c := probeCapabilities().without(lack)
		for _, n := range []int{1, 3, 20, 60} {
			got, _ := traceOne(t, target, "main.chain", fmt.Sprint("chain ", n), withoutFeatures(lack...), WithDepth(100))
			links, cut := strings.Count(got, "main.link{"), linkCut.MatchString(got)
			want := n
			if !c.loops {
				want = min(n, 4)
			}
			if links != want || cut != (want < n) {
				t.Errorf("of a chain of %d, %d links are there: %s, with %+v", n, links, got, c)
			}
		}
	})
}

package e2e

import (
	"bufio"
	"bytes"
	"io"
	"maps"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// outcome is how a run of tests ended.
type outcome struct {
	tests   map[string]string // PASS, FAIL or SKIP, of subtests too
	overdue []string          // tests that were ended
	took    time.Duration     // without the overdue tests' time
	err     error             // of the last process
	out     []byte
}

func (o *outcome) count(how string) (n int) {
	for _, v := range o.tests {
		if v == how {
			n++
		}
	}
	return n
}

var (
	verdict = regexp.MustCompile(`^ *--- (PASS|FAIL|SKIP): (\S+) \(`)
	begins  = regexp.MustCompile(`^=== (?:RUN|CONT) +(\S+)`)
)

func topTest(name string) string {
	top, _, _ := strings.Cut(name, "/")
	return top
}

// run runs tests, in as few processes as it takes to end those that are overdue. The
// tracer, if there is one, is told of them.
func (b *built) run(t *testing.T, tests []string, g *tracing) *outcome {
	t.Helper()
	o := &outcome{tests: map[string]string{}}
	for left := tests; len(left) > 0; {
		last, late := b.process(t, left, o, g)
		switch {
		case late:
			o.overdue = append(o.overdue, last)
		case o.tests[last] == "":
			o.tests[last] = "CRASH"
		}
		// Those that were paused when the process ended have no verdict yet.
		n := len(left)
		left = slices.DeleteFunc(slices.Clone(left), func(name string) bool {
			return late && name == last || o.tests[name] != ""
		})
		if len(left) == n {
			break
		}
	}
	for _, late := range o.overdue {
		maps.DeleteFunc(o.tests, func(test, _ string) bool { return topTest(test) == late })
	}
	return o
}

// process runs tests in one process until it ends, or the first is overdue. It returns
// which it ran last.
func (b *built) process(t *testing.T, tests []string, o *outcome, g *tracing) (current string, late bool) {
	t.Helper()
	// One test at a time: so it is known which takes long.
	cmd := exec.Command(b.exe, "-test.short", "-test.v", "-test.timeout=0", "-test.parallel=1",
		"-test.run", "^("+strings.Join(tests, "|")+")$")
	cmd.Dir, cmd.Env = b.dir, b.env
	r, w := io.Pipe()
	cmd.Stdout, cmd.Stderr = w, w
	cmd.WaitDelay = 10 * time.Second // tests start processes that may outlive them
	start := time.Now()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() {
		err := cmd.Wait()
		w.Close()
		ended <- err
	}()
	lines := make(chan []byte, 64)
	go func() {
		defer close(lines)
		br := bufio.NewReader(r)
		for {
			line, err := br.ReadBytes('\n')
			if len(line) > 0 {
				lines <- line
			}
			if err != nil {
				return
			}
		}
	}()
	var out bytes.Buffer
	since, limit := start, testTime()
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for lines != nil {
		select {
		case line, ok := <-lines:
			if !ok {
				lines = nil
				break
			}
			out.Write(line)
			if m := verdict.FindSubmatch(line); m != nil {
				o.tests[string(m[2])] = string(m[1])
			}
			if m := begins.FindSubmatch(line); m != nil && topTest(string(m[1])) != current && !late {
				current, since = topTest(string(m[1])), time.Now()
				if g != nil {
					g.begin()
				}
			}
		case <-tick.C:
			if !late && time.Since(since) > limit {
				current, late = cmpOr(current, tests[0]), true
				cmd.Process.Kill()
			}
		}
	}
	o.err = <-ended
	if late && g != nil {
		g.late(current)
	}
	o.took += time.Since(start)
	if late {
		o.took -= time.Since(since)
	}
	o.out = append(o.out, out.Bytes()...)
	return current, late
}

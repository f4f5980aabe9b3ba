package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/argtap/argtap/internal/fixture"
	"github.com/argtap/argtap/uprobe"
)

// TestTimeNamespace runs a tracer in time namespaces of its own: see helpClock.
func TestTimeNamespace(t *testing.T) {
	needRoot(t)
	path := fixture.Build(t, fixture.Source{"main.go": ownPID})
	for _, ahead := range []string{"100000", "-1"} {
		cmd := helper(t, "clock", path, ahead)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%s s: %v\n%s", ahead, err, out)
		}
	}
}

// helpClock enters a time namespace in which the clock is some seconds ahead of the
// host's, and has itself run there: the times of calls are when they were made, of a
// process in the namespace.
func helpClock(args []string) error {
	path, ahead := args[0], args[1]
	if len(args) == 2 {
		// A namespace is for the children of the thread.
		runtime.LockOSThread()
		if err := unix.Unshare(unix.CLONE_NEWTIME); err != nil {
			return fmt.Errorf("unshare: %w", err)
		}
		offsets := fmt.Sprintf("/proc/%d/timens_offsets", unix.Gettid())
		if err := os.WriteFile(offsets, []byte("monotonic "+ahead+" 0\n"), 0); err != nil {
			return err
		}
		outside, err := monotonic()
		if err != nil {
			return err
		}
		cmd := exec.Command("/proc/self/exe", path, ahead, strconv.FormatInt(outside, 10))
		cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
		return cmd.Run()
	}
	outside, err := strconv.ParseInt(args[2], 10, 64)
	if err != nil {
		return err
	}
	if now, err := monotonic(); err != nil || ahead == "100000" && now-outside < 50_000e9 {
		return fmt.Errorf("the clock is at %d, outside of the namespace it was at %d: %v", now, outside, err)
	}
	p, err := fixture.Run(path, "CALLS=20", "NAME=own")
	if err != nil {
		return err
	}
	defer p.Kill()
	n := 0
	var first, last time.Time
	tr, err := uprobe.Trace(path, "main.hit", func(c *uprobe.Call) {
		if n++; n == 1 {
			first = c.Time()
		}
		last = c.Time()
	}, uprobe.WithPID(p.PID), uprobe.WithResults())
	if err != nil {
		return err
	}
	before := time.Now()
	if err := p.Go(); err != nil {
		return err
	}
	if _, err := p.Calls(); err != nil {
		return err
	}
	after := time.Now()
	if err := tr.Close(); err != nil {
		return err
	}
	const slack = 100 * time.Millisecond // the wall clock may be adjusted
	if s := tr.Stats(); n != 20 || s.Delivered != 20 || first.Before(before.Add(-slack)) || last.After(after.Add(slack)) {
		return fmt.Errorf("%d calls from %v to %v, made between %v and %v; %+v", n, first, last, before, after, s)
	}
	return nil
}

// monotonic returns the nanoseconds of CLOCK_MONOTONIC.
func monotonic() (int64, error) {
	var ts unix.Timespec
	err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts)
	return ts.Nano(), err
}

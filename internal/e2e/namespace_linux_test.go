package e2e

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/argtap/argtap/internal/fixture"
	"github.com/argtap/argtap/uprobe"
)

// TestNestedTracer runs a tracer in a PID namespace of its own: see helpNested. All
// the while a process outside calls the same function.
func TestNestedTracer(t *testing.T) {
	needRoot(t)
	path := fixture.Build(t, fixture.Source{"main.go": ownPID})
	outside := fixture.Start(t, path, "CALLS=1000", "NAME=outside")
	cmd := helper(t, "nested", path)
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWPID | syscall.CLONE_NEWNS}
	done := make(chan error, 1)
	go func() {
		out, err := cmd.CombinedOutput()
		if err != nil {
			err = fmt.Errorf("%w\n%s", err, out)
		}
		done <- err
	}()
	for {
		select {
		case err := <-done:
			if err != nil {
				t.Error(err)
			}
			return
		default:
			outside.Go()
			outside.Calls()
		}
	}
}

// helpNested traces processes in its own PID namespace, by the IDs that they have
// there. Processes outside are not seen, nor are those in a namespace below, whose IDs
// the kernel does not tell.
func helpNested(args []string) (err error) {
	path := args[0]
	ignore := func(*uprobe.Call) {}
	if _, err := uprobe.Trace(path, "main.hit", ignore, uprobe.WithPID(os.Getpid())); !errors.Is(err, uprobe.ErrNamespace) || !strings.Contains(err.Error(), "mount proc") {
		return fmt.Errorf("with the host's /proc: %v", err)
	}
	if err := errors.Join(unix.Mount("none", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""), unix.Mount("proc", "/proc", "proc", 0, "")); err != nil {
		return err
	}
	own, err := fixture.Run(path, "CALLS=20", "NAME=own")
	if err != nil {
		return err
	}
	defer own.Kill()
	below := exec.Command(path)
	below.Env = append(os.Environ(), "CALLS=20", "NAME=below")
	below.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWPID}
	nested, err := fixture.RunCmd(below)
	if err != nil {
		return err
	}
	defer nested.Kill()
	if _, err := uprobe.Trace(path, "main.hit", ignore, uprobe.WithPID(nested.PID)); !errors.Is(err, uprobe.ErrNamespace) || !strings.Contains(err.Error(), strconv.Itoa(nested.PID)) {
		return fmt.Errorf("a process in a namespace below: %v", err)
	}
	for name, opts := range map[string][]uprobe.Option{
		"all":       nil,
		"whole":     {uprobe.WithResults()},
		"one":       {uprobe.WithPID(own.PID)},
		"one whole": {uprobe.WithPID(own.PID), uprobe.WithResults()},
	} {
		n := 0
		tr, err := uprobe.Trace(path, "main.hit", func(c *uprobe.Call) {
			n++
			pid, _ := c.Arg(0).Int()
			task := fmt.Sprintf("/proc/%d/task/%d", c.PID(), c.TID())
			if _, e := os.Stat(task); e != nil || int(pid) != own.PID || c.PID() != own.PID {
				err = fmt.Errorf("%v by process %d, want %d: %v", c, c.PID(), own.PID, e)
			}
			if len(opts) > 0 && name != "one" && c.NumResults() != 1 {
				err = fmt.Errorf("%v has not returned", c)
			}
		}, opts...)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		for _, p := range []*fixture.Process{own, nested} {
			if err := p.Go(); err != nil {
				return err
			}
			if _, err := p.Calls(); err != nil {
				return err
			}
		}
		if e := tr.Close(); e != nil {
			return e
		}
		if s := tr.Stats(); err != nil || n != 20 || s.Calls != 20 || s.Delivered != 20 {
			return fmt.Errorf("%s: %d calls, %+v: %v", name, n, s, err)
		}
	}
	return nil
}

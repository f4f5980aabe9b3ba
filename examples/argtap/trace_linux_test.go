package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// nobody is a user without any privileges.
const nobody = 65534

// TestUnprivileged runs argtap as a user who may not trace.
func TestUnprivileged(t *testing.T) {
	needTrace(t)
	as := func(args ...string) result {
		ctx, cancel := context.WithTimeout(t.Context(), runLimit)
		defer cancel()
		cmd := exec.CommandContext(ctx, built.argtap, args...)
		cmd.Dir = "/"
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
		return runCmd(t, cmd)
	}
	wantError(t, as("trace", built.target, "main.work"), "not permitted", "CAP_BPF", "setcap cap_bpf,cap_perfmon+ep "+built.argtap)
	// Mistakes are told before privileges are asked for.
	wantError(t, as("trace", built.target, "main.wrok"), "did you mean main.work")
	for _, args := range [][]string{{"list", built.target}, {"inspect", built.target, "main.work", "main.*"}} {
		if r := as(args...); r.code != 0 || r.stderr != "" || !strings.Contains(r.stdout, "main.work\n") {
			t.Errorf("argtap %s: status %d\n%s", args, r.code, r.stderr)
		}
	}
}

// terminal returns both ends of a pseudoterminal.
func terminal(t *testing.T) (master, slave *os.File) {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { master.Close() })
	n, err := unix.IoctlGetInt(int(master.Fd()), unix.TIOCGPTN)
	if err == nil {
		err = unix.IoctlSetPointerInt(int(master.Fd()), unix.TIOCSPTLCK, 0)
	}
	if err != nil {
		t.Fatal(err)
	}
	slave, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	return master, slave
}

// onTerminal returns what argtap writes to a terminal.
func onTerminal(t *testing.T, env []string, args ...string) string {
	t.Helper()
	master, slave := terminal(t)
	ctx, cancel := context.WithTimeout(t.Context(), runLimit)
	defer cancel()
	cmd := exec.CommandContext(ctx, built.argtap, args...)
	cmd.Env = append(os.Environ(), append([]string{"TERM=xterm", "NO_COLOR="}, env...)...)
	cmd.Stdout = slave
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	slave.Close()
	// Reading fails with EIO when the other end is closed.
	out, _ := io.ReadAll(master)
	if err := cmd.Wait(); err != nil {
		t.Errorf("argtap %s: %v", args, err)
	}
	return strings.ReplaceAll(string(out), "\r\n", "\n")
}

func TestTerminal(t *testing.T) {
	needTrace(t)
	trace := []string{"trace", built.target, "main.(*server).serve", "--", built.target}
	if out := onTerminal(t, nil, trace...); !strings.Contains(out, "\x1b[36mmain.(*server).serve\x1b[0m(s=&main.server{") ||
		!strings.Contains(out, "  g1 ") || strings.Count(out, "\n") != 1 {
		t.Errorf("trace on a terminal: %q", out)
	}
	for _, env := range []string{"NO_COLOR=1", "TERM=dumb"} {
		out := onTerminal(t, []string{env}, trace...)
		if strings.Contains(out, "\x1b") || !strings.Contains(out, "  g1 ") || !strings.HasSuffix(out, ", id=0)\n") {
			t.Errorf("trace with %s: %q", env, out)
		}
	}
	out := onTerminal(t, []string{"NO_COLOR=1"}, "inspect", built.target, "main.work")
	if strings.Contains(out, "\t") || !strings.Contains(out, "\n    ok  bool         R10:1            agree\n") {
		t.Errorf("inspect on a terminal:\n%s", out)
	}
}

// TestAggregateTerminal: what is counted is drawn again, in place of what was drawn
// before, and once more at the end.
func TestAggregateTerminal(t *testing.T) {
	needTrace(t)
	out := onTerminal(t, nil, "trace", "-count-by", "id % 2", "-duration", "2500ms", built.target, "main.(*server).serve", "--", built.target, "-quiet", "-n", "-1", "-pause", "10ms")
	drawn := strings.Split(out, "\x1b[")
	if strings.Count(out, "A\x1b[J") < 1 || !strings.Contains(out, "|\n\x1b[3A\x1b[J\x1b[36mmain.(*server).serve\x1b[0m\n  id % 2=") || !strings.HasSuffix(out, "|\n") {
		t.Errorf("%d: %q", len(drawn), out)
	}
}

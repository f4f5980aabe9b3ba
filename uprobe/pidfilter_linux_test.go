package uprobe

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// TestPIDFilter requires that exactly the calls of one process are seen: of all
// its threads, those that are there already and those that come later; not those
// of its children, nor of another process that runs the same file.
func TestPIDFilter(t *testing.T) {
	needRoot(t)
	path := buildFixture(t, "caps")
	forEachWay(t, func(t *testing.T, lack []string) {
		for _, filtered := range []bool{true, false} {
			t.Run(fmt.Sprintf("WithPID=%t", filtered), func(t *testing.T) { testPIDFilter(t, path, filtered, withoutFeatures(lack...)) })
		}
	})
}

func testPIDFilter(t *testing.T, path string, filtered bool, opts ...Option) {
	one, other := startCaps(t, path), startCaps(t, path)
	one.do("threads 16") // some of them stay
	calls, threads := map[int]int{}, map[int]bool{}
	if filtered {
		opts = append(opts, WithPID(one.pid()))
	}
	tr, err := Trace(path, "main.hit", func(c *Call) {
		calls[c.PID()]++
		threads[c.TID()] = true
	}, append(opts, WithFuncs("syscall.runtime_AfterForkInChild"))...)
	if err != nil {
		t.Fatalf("%+v", err)
	}
	want := map[int]int{one.pid(): 64 + 32 + 5}
	one.do("threads 64")
	one.do("threads 32")
	one.do("hit 5")
	other.do("hit 7")
	other.do("threads 8")
	forked := one.doPID("fork")
	started := one.doPID("exec")
	later := startCaps(t, path)
	later.do("hit 9")
	if !filtered {
		want[other.pid()] = 7 + 8
		want[forked] = 2
		// Between fork and exec it shares its parent's memory.
		want[started] = 2 + 1
		want[later.pid()] = 9
	}
	if err := tr.Close(); err != nil {
		t.Fatal(err)
	}
	for pid, n := range want {
		if calls[pid] != n {
			t.Errorf("process %d: %d calls, want %d", pid, calls[pid], n)
		}
		delete(calls, pid)
	}
	if len(calls) != 0 {
		t.Errorf("calls of other processes: %v; forked %d, started %d, other %d, later %d",
			calls, forked, started, other.pid(), later.pid())
	}
	if len(threads) < 32 {
		t.Errorf("the calls of %d threads were seen", len(threads))
	}
	if s := tr.Stats(); s.Lost != 0 {
		t.Errorf("%+v", s)
	}
}

// nsVar says that this process is the first in a PID namespace.
const nsVar = "ARGTAP_PID_NAMESPACE"

// TestPIDNamespace runs testPIDNamespace in a PID namespace of its own: process
// IDs there are not those that programs see.
func TestPIDNamespace(t *testing.T) {
	needRoot(t)
	if os.Getenv(nsVar) != "" {
		testPIDNamespace(t, os.Getenv(nsVar))
		return
	}
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(exe, "-test.run=^TestPIDNamespace$", "-test.v")
	cmd.Env = append(os.Environ(), nsVar+"="+buildFixture(t, "caps"))
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWPID | unix.CLONE_NEWNS}
	if out, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(out), "--- PASS") {
		t.Errorf("%v\n%s", err, out)
	}
}

func testPIDNamespace(t *testing.T, path string) {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil && err != unix.EINVAL {
		t.Fatal(err) // the first file system of a machine cannot be made private
	}
	if err := unix.Mount("proc", "/proc", "proc", 0, ""); err != nil {
		t.Fatal(err)
	}
	if initialPIDNamespace() || os.Getpid() != 1 {
		t.Fatalf("process %d: no namespace", os.Getpid())
	}
	one, other := startCaps(t, path), startCaps(t, path)
	forEachWay(t, func(t *testing.T, lack []string) {
		calls := 0
		tr, err := Trace(path, "main.hit", func(*Call) { calls++ }, WithPID(one.pid()), withoutFeatures(lack...))
		if err != nil {
			t.Fatalf("%+v", err)
		}
		other.do("hit 7")
		one.do("threads 16")
		one.doPID("fork")
		one.doPID("exec")
		one.do("hit 5")
		if err := tr.Close(); err != nil {
			t.Fatal(err)
		}
		if calls != 16+5 {
			t.Errorf("%d calls, want %d", calls, 16+5)
		}
	})
}

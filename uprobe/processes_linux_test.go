package uprobe

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestSeveralInEveryWay requires that exactly the calls of some of the processes of a
// file are seen, each once.
func TestSeveralInEveryWay(t *testing.T) {
	needRoot(t)
	path := buildFixture(t, "caps")
	a, b, c := startCaps(t, path), startCaps(t, path), startCaps(t, path)
	forEachWay(t, func(t *testing.T, lack []string) {
		calls := map[int]int{}
		tr, err := Trace("", "main.hit", func(c *Call) { calls[c.PID()]++ }, WithPID(a.pid()), WithPID(c.pid()), withoutFeatures(lack...))
		if err != nil {
			t.Fatalf("%+v", err)
		}
		a.do("hit 5")
		b.do("hit 7")
		c.do("threads 8")
		a.doPID("fork")
		c.doPID("exec")
		if err := tr.Close(); err != nil {
			t.Fatal(err)
		}
		if len(calls) != 2 || calls[a.pid()] != 5 || calls[c.pid()] != 8 {
			t.Errorf("calls %v, want 5 of %d and 8 of %d", calls, a.pid(), c.pid())
		}
		if s := tr.Stats(); s.Calls != 13 || s.Delivered != 13 {
			t.Errorf("%+v", s)
		}
	})
}

// mountedCgroup returns a new cgroup of version 2 in a mount of its own, which are
// removed when the test ends.
func mountedCgroup(t testing.TB) string {
	t.Helper()
	mount, err := os.MkdirTemp("", "argtap-cgroup-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.Remove(mount); err != nil {
			t.Error(err)
		}
	})
	if err := unix.Mount("none", mount, "cgroup2", 0, ""); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(mount, 0); err != nil {
			t.Error(err)
		}
	})
	dir := filepath.Join(mount, fmt.Sprintf("argtap-uprobe-test-%d", os.Getpid()))
	makeCgroup(t, dir)
	return dir
}

// makeCgroup makes a cgroup, which is removed when the test ends.
func makeCgroup(t testing.TB, dir string) {
	t.Helper()
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		var err error
		for range 500 {
			if err = os.Remove(dir); err == nil {
				return
			}
			time.Sleep(10 * time.Millisecond)
		}
		t.Error(err)
	})
}

func moveTo(t testing.TB, cgroup string, pid int) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(cgroup, "cgroup.procs"), []byte(strconv.Itoa(pid)), 0); err != nil {
		t.Fatal(err)
	}
}

// TestCgroupInEveryWay requires that exactly the calls of the processes in a cgroup are
// seen, whatever helper the kernel has.
func TestCgroupInEveryWay(t *testing.T) {
	needRoot(t)
	path := buildFixture(t, "caps")
	dir := mountedCgroup(t)
	in, out := startCaps(t, path), startCaps(t, path)
	moveTo(t, dir, in.pid())
	t.Cleanup(func() { moveTo(t, filepath.Dir(dir), in.pid()) })
	forEachWay(t, func(t *testing.T, lack []string) {
		for i, lack := range [][]string{lack, append(slices.Clip(lack), "cgroupIDs")} {
			variants := [][]Option{nil, {WithPID(in.pid())}, {WithResults()}}
			if len(lack) > i { // an old kernel detaches slowly
				variants = variants[:1]
			}
			for _, opts := range variants {
				calls := map[int]int{}
				tr, err := Trace(path, "main.hit", func(c *Call) { calls[c.PID()]++ }, append(opts, WithCgroup(dir), withoutFeatures(lack...))...)
				if err != nil {
					t.Fatalf("%v: %+v", lack, err)
				}
				in.do("hit 5")
				out.do("hit 7")
				in.do("threads 8")
				if err := tr.Close(); err != nil {
					t.Fatal(err)
				}
				if s := tr.Stats(); len(calls) != 1 || calls[in.pid()] != 13 || s.Calls != 13 || s.Unmatched != 0 {
					t.Errorf("%v: calls %v, want 13 of %d: %+v", lack, calls, in.pid(), s)
				}
			}
		}
	})
}

// TestProcessesInEveryWay: starts and ends are told of on every kernel.
func TestProcessesInEveryWay(t *testing.T) {
	needRoot(t)
	path := buildFixture(t, "caps")
	forEachWay(t, func(t *testing.T, lack []string) {
		var story []string
		before := startCaps(t, path)
		tr, err := Trace(path, "main.hit", func(c *Call) { story = append(story, fmt.Sprint(c.PID())) }, withoutFeatures(lack...),
			WithProcesses(func(e ProcessEvent) { story = append(story, fmt.Sprint(e.PID, " ", e.State, " ", e.Calls)) }))
		if err != nil {
			t.Fatalf("%+v", err)
		}
		before.do("hit 1")
		later := startCaps(t, path)
		later.do("hit 2")
		forked := before.doPID("fork") // makes two calls and does not pass the entry point
		if err := tr.Close(); err != nil {
			t.Fatal(err)
		}
		a, b, c := strconv.Itoa(before.pid()), strconv.Itoa(later.pid()), strconv.Itoa(forked)
		want := []string{a + " found 0", a, b + " started 0", b, b, c + " found 0", c, c, c + " ended 2"}
		if !slices.Equal(story, want) {
			t.Errorf("story %q, want %q", story, want)
		}
	})
}

func TestStartTime(t *testing.T) {
	b, err := os.ReadFile("/proc/self/stat")
	if err != nil {
		t.Fatal(err)
	}
	at, ok := startTime(string(b))
	if age := time.Since(at); !ok || age < 0 || age > time.Hour {
		t.Errorf("this process was made at %v, %t", at, ok)
	}
	_, rest, _ := cutLast(string(b), ')')
	if again, ok := startTime("7 (a ) 1 2 (b)" + rest); !ok || again.Sub(at).Abs() > time.Second {
		t.Errorf("with another name it was made at %v, %t", again, ok)
	}
	for _, bad := range []string{"", "7", "7 (a)", "7 (a) " + strings.Repeat("1 ", 19), "7 (a) " + strings.Repeat("x ", 30), "7 (a) " + strings.Repeat("-1 ", 30)} {
		if at, ok := startTime(bad); ok {
			t.Errorf("%q: %v", bad, at)
		}
	}
}

func TestMappedAt(t *testing.T) {
	const maps = `00400000-00452000 r-xp 00001000 08:02 173521      /usr/bin/my app
00651000-00652000 r--p 00051000 08:02 173521      /usr/bin/my app
7f0000000000-7f0000010000 r-xp 00100000 08:02 173521      /usr/bin/my app (deleted)
7f0000000000-7f0000010000 r-xp 00000000 00:00 0
x-y r-xp 0 00:00 0 /usr/bin/my app
00500000-00400000 r-xp 00000000 08:02 173521      /usr/bin/my app
`
	for at, want := range map[uint64]uint64{0x1000: 0x400000, 0x1234: 0x400234, 0x52fff: 0x451fff, 0x53000: 0, 0xfff: 0, 0x100000: 0} {
		if got, ok := mappedAt(maps, "/usr/bin/my app", at); got != want || ok != (want != 0) {
			t.Errorf("offset %#x is at %#x, %t, want %#x", at, got, ok, want)
		}
	}
	if got, ok := mappedAt(maps, "/usr/bin/my app (deleted)", 0x100001); !ok || got != 0x7f0000000001 {
		t.Errorf("a removed file is at %#x, %t", got, ok)
	}
}

// TestCgroupLevel: how deep a cgroup is, also where it is mounted by itself.
func TestCgroupLevel(t *testing.T) {
	needRoot(t)
	dir := mountedCgroup(t)
	below := filepath.Join(dir, "below")
	if err := os.Mkdir(below, 0o755); err != nil {
		t.Fatal(err)
	}
	defer os.Remove(below)
	elsewhere, err := os.MkdirTemp("", "argtap-cgroup-")
	if err != nil {
		t.Fatal(err)
	}
	defer os.Remove(elsewhere)
	check := func(path string, level, deeper int32) {
		t.Helper()
		c, err := findCgroup(path)
		if err != nil {
			t.Error(err)
			return
		}
		c.close()
		st, err := os.Stat(path)
		if err != nil || c.id != st.Sys().(*syscall.Stat_t).Ino || c.level != level || c.deeper != deeper {
			t.Errorf("%s: %+v, %v, want level %d", path, c, err, level)
		}
	}
	check(filepath.Dir(dir), 0, 0)
	check(dir, 1, 0)
	check(below, 2, 0)
	for _, at := range []string{elsewhere, below} { // in the second one is seen in the other
		if err := unix.Mount(dir, at, "", unix.MS_BIND, ""); err != nil {
			t.Fatal(err)
		}
		check(at, 1, maxCgroupLevel)
		check(filepath.Join(at, "below"), 2, maxCgroupLevel)
		if err := unix.Unmount(at, 0); err != nil {
			t.Error(err)
		}
	}
}

func TestBadProcessOptions(t *testing.T) {
	many := make([]Option, maxPIDs+1)
	for i := range many {
		many[i] = WithPID(i + 1)
	}
	for want, opts := range map[string][]Option{
		"empty path of a cgroup":        {WithCgroup("")},
		"only one can be selected":      {WithCgroup("/a"), WithCgroup("/b")},
		"nil func":                      {WithProcesses(nil)},
		"more than 256 processes":       many,
		"no binary given: pass the pat": nil,
	} {
		if _, err := Trace("", "main.f", func(*Call) {}, opts...); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
	if _, err := Trace("", "main.f", func(*Call) {}, WithPID(1<<30)); !errors.Is(err, ErrNoProcess) {
		t.Errorf("a process that there is not: %v", err)
	}
}

func TestProcessEventText(t *testing.T) {
	e := ProcessEvent{State: ProcessStarted, PID: 7, Executable: "/app", Args: []string{"app", "-port", "8080"}}
	for want, e := range map[string]ProcessEvent{
		"process 7 started: /app -port 8080":                                                  e,
		"process 7 found: it cannot be looked at: it has ended, or CAP_SYS_PTRACE is missing": {State: ProcessFound, PID: 7},
		"process 7 ended":           {State: ProcessEnded, PID: 7}, // or calls are only counted
		"process 7 ended: 1 call":   {State: ProcessEnded, PID: 7, Calls: 1},
		"process 7 ended: 12 calls": {State: ProcessEnded, PID: 7, Calls: 12, Executable: "/app"},
		"process 7 found: /app":     {State: ProcessFound, PID: 7, Executable: "/app"},
		"process 7 ProcessState(9)": {State: 9, PID: 7, Executable: "x"},
	} {
		if got := e.String(); !strings.HasPrefix(got, want) {
			t.Errorf("%s, want %s", got, want)
		}
	}
	var text strings.Builder
	slog.New(slog.NewTextHandler(&text, nil)).Info("process", "event", e)
	if !strings.Contains(text.String(), `event.pid=7 event.state=started`) || !strings.Contains(text.String(), `event.args="[app -port 8080]"`) {
		t.Error(text.String())
	}
}

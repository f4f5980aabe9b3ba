package e2e

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/argtap/argtap/internal/fixture"
	"github.com/argtap/argtap/uprobe"
)

// ownPID is a program that calls main.hit with its own ID, as far as it knows it, the
// ID that it is given, and 0, 1, … as often as CALLS says, for every line that it is
// given.
const ownPID = `package main

import (
	"os"
	"strconv"

	"fixture/truth"
)

//go:noinline
func hit(pid int, name string, i int) int { return i + 1 }

func main() {
	n, err := strconv.Atoi(os.Getenv("CALLS"))
	if err != nil {
		panic(err)
	}
	truth.Start()
	for i := 0; ; {
		for range n {
			i = hit(os.Getpid(), os.Getenv("NAME"), i)
		}
		truth.Done()
	}
}
`

// TestContainerOverlay traces a process that runs its binary through an overlay, in a
// container with mounts, root and process IDs of its own, by each of the paths that
// the binary has.
func TestContainerOverlay(t *testing.T) {
	needRoot(t)
	path := fixture.Build(t, fixture.Source{"main.go": ownPID})
	image := overlay(t, path)
	image.Pivot, image.Proc = true, true
	inside := image.start(t, syscall.CLONE_NEWPID, "CALLS=20", "NAME=inside")
	lower := filepath.Join(image.Lower, "app")
	outside := fixture.Start(t, lower, "CALLS=20", "NAME=outside")
	merged := fmt.Sprintf("/proc/%d/root/app", inside.PID)

	for _, tt := range []struct {
		name, path      string
		pids            []int
		inside, outside int // calls
	}{
		{"lower", lower, nil, 20, 20},
		{"merged", merged, nil, 20, 20},
		{"exe", fmt.Sprintf("/proc/%d/exe", inside.PID), nil, 20, 20},
		{"path in the container", "/app", []int{inside.PID}, 20, 0},
		{"no path", "", []int{inside.PID}, 20, 0},
		{"lower, process through the overlay", lower, []int{inside.PID}, 20, 0},
		{"merged, process without the overlay", merged, []int{outside.PID}, 0, 20},
		{"both processes", lower, []int{outside.PID, inside.PID}, 20, 20},
		{"both processes, no path", "", []int{inside.PID, outside.PID}, 20, 20},
	} {
		t.Run(tt.name, func(t *testing.T) {
			calls := map[string]int{}
			var opts []uprobe.Option
			for _, pid := range tt.pids {
				opts = append(opts, uprobe.WithPID(pid))
			}
			tr := trace(t, tt.path, []string{"main.hit"}, func(c *uprobe.Call) {
				pid, _ := c.Arg(0).Int()
				name, _ := c.Arg(1).Str()
				calls[name]++
				switch {
				case name == "inside" && pid == 1 && c.PID() == inside.PID:
				case name == "outside" && int(pid) == outside.PID && c.PID() == outside.PID:
				default:
					t.Errorf("%v by process %d; inside is %d, outside %d", c, c.PID(), inside.PID, outside.PID)
				}
			}, opts...)
			for _, p := range []*fixture.Target{inside, outside} {
				p.Go()
				p.Calls()
			}
			closeAll(t, tr)
			if calls["inside"] != tt.inside || calls["outside"] != tt.outside {
				t.Errorf("calls %v, want %d inside and %d outside", calls, tt.inside, tt.outside)
			}
		})
	}
}

// TestContainerCopiedUp: a file that was written to in the container is another one,
// though its numbers are those of the lower layer's.
func TestContainerCopiedUp(t *testing.T) {
	needRoot(t)
	path := fixture.Build(t, fixture.Source{"main.go": ownPID})
	image := overlay(t, path)
	image.Pivot = true
	lower := filepath.Join(image.Lower, "app")
	fixture.Copy(t, path, image.Upper, "app") // as copying up leaves it
	inside := image.start(t, 0, "CALLS=10")
	count := func(path string, opts ...uprobe.Option) (n int) {
		t.Helper()
		tr := trace(t, path, []string{"main.hit"}, func(c *uprobe.Call) { n++ }, opts...)
		inside.Go()
		inside.Calls()
		closeAll(t, tr)
		return n
	}
	found := 0
	told := uprobe.WithProcesses(func(e uprobe.ProcessEvent) { found++ })
	if n := count(lower, told); n != 0 || found != 0 {
		t.Errorf("%d calls of the lower file, which the process does not run, %d events", n, found)
	}
	if n := count(lower, uprobe.WithPID(inside.PID)); n != 10 {
		t.Errorf("%d calls with the process named, want 10", n)
	}
	if n := count("/app", uprobe.WithPID(inside.PID)); n != 10 {
		t.Errorf("%d calls by the path in the container, want 10", n)
	}
}

// TestRootOfProcess: paths are followed in the root of the process, and links do not
// lead out of it. A decoy of the same name outside is not meant.
func TestRootOfProcess(t *testing.T) {
	needRoot(t)
	path := fixture.Build(t, fixture.Source{"main.go": ownPID})
	decoy := fixture.Build(t, fixture.Source{"main.go": countedCalls})
	root := t.TempDir()
	bin := filepath.Join(t.TempDir(), "argtap-bin") // outside and inside
	for _, dir := range []string{filepath.Join(root, bin), bin, filepath.Join(root, "usr")} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	fixture.Copy(t, path, filepath.Join(root, bin), "app")
	fixture.Copy(t, decoy, bin, "app")
	if err := os.Symlink(filepath.Join(bin, "app"), filepath.Join(root, "usr", "app")); err != nil {
		t.Fatal(err)
	}
	for _, e := range []enter{
		{Root: root, Path: "/usr/app"},                              // chroot
		{Root: root, Path: "/usr/app", Bind: [2]string{root, root}}, // on a bind mount
		{Root: root, Path: "/usr/app", Bind: [2]string{root, root}, Pivot: true},
	} {
		target := e.start(t, 0, "CALLS=10")
		for _, path := range []string{"/usr/app", filepath.Join(bin, "app"), filepath.Join(root, bin, "app"), ""} {
			n := 0
			tr := trace(t, path, []string{"main.hit"}, func(c *uprobe.Call) {
				if pid, _ := c.Arg(0).Int(); int(pid) != target.PID || c.PID() != target.PID {
					t.Errorf("%v of process %d, want %d", c, c.PID(), target.PID)
				}
				n++
			}, uprobe.WithPID(target.PID))
			target.Go()
			target.Calls()
			closeAll(t, tr)
			if n != 10 {
				t.Errorf("%+v: path %q: %d calls, want 10", e, path, n)
			}
		}
		_, err := uprobe.Trace("/usr/none", "main.hit", func(*uprobe.Call) {}, uprobe.WithPID(target.PID))
		if !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), "nor in the root of that process") {
			t.Errorf("a path that is nowhere: %v", err)
		}
		target.Close()
	}
}

// TestOldBinary traces processes that run a file which was removed, or in whose place
// is another one now. Offsets are those of the old file.
func TestOldBinary(t *testing.T) {
	needRoot(t)
	built := fixture.Build(t, fixture.Source{"main.go": countedCalls})
	edit := strings.NewReplacer("hit(i int, s string)", "hit(s string, b []byte, i int)", `hit(i, "hit")`, `hit("hit", nil, i)`, "i++", "i += 2")
	other := fixture.Build(t, fixture.Source{"main.go": edit.Replace(countedCalls)})
	for name, change := range map[string]func(t *testing.T, path, dir string) error{
		"removed": func(t *testing.T, path, dir string) error { return os.Remove(path) },
		"replaced": func(t *testing.T, path, dir string) error {
			return os.Rename(fixture.Copy(t, other, dir, "new"), path)
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			path := fixture.Copy(t, built, dir, "app")
			target := fixture.Start(t, path, "CALLS=10")
			if err := change(t, path, dir); err != nil {
				t.Fatal(err)
			}
			for _, p := range []string{path, "", fmt.Sprintf("/proc/%d/exe", target.PID)} {
				var got []string
				tr := trace(t, p, []string{"main.hit"}, func(c *uprobe.Call) { got = append(got, c.String()) }, uprobe.WithPID(target.PID))
				target.Go()
				target.Calls()
				closeAll(t, tr)
				if len(got) != 10 || !strings.HasPrefix(got[0], "main.hit(i=") || !strings.HasSuffix(got[0], `, s="hit")`) {
					t.Errorf("path %q: calls %v", p, got)
				}
			}
		})
	}
}

// TestSeveralPIDs traces some of the processes of a file, and ends with the last.
func TestSeveralPIDs(t *testing.T) {
	needRoot(t)
	path := fixture.Build(t, fixture.Source{"main.go": countedCalls})
	another := fixture.Copy(t, path, t.TempDir(), "copy") // of the same contents
	a, b, c, d := fixture.Start(t, path, "CALLS=50"), fixture.Start(t, path, "CALLS=50"), fixture.Start(t, path, "CALLS=50"), fixture.Start(t, another, "CALLS=50")
	var calls perPID
	tr := trace(t, "", []string{"main.hit"}, calls.handle, uprobe.WithPID(a.PID), uprobe.WithPID(c.PID), uprobe.WithPID(d.PID), uprobe.WithPID(a.PID), uprobe.WithResults())
	for _, target := range []*fixture.Target{a, b, c, d} {
		target.Go()
		target.Calls()
	}
	eventually(t, "all calls are delivered", func() bool {
		return calls.of(a.PID) == 50 && calls.of(c.PID) == 50 && calls.of(d.PID) == 50
	})
	if n := calls.of(b.PID); n != 0 {
		t.Errorf("%d calls of a process that is not selected", n)
	}
	a.Close()
	d.Close()
	select {
	case <-tr.Done():
		t.Error("the tracer ended before the last of its processes")
	case <-time.After(50 * time.Millisecond):
	}
	c.Close()
	select {
	case <-tr.Done():
	case <-time.After(10 * time.Second):
		t.Error("the tracer goes on after the last of its processes has ended")
	}
	if s := closeAll(t, tr); s.Calls != 150 {
		t.Errorf("%d calls, want 150", s.Calls)
	}

	other := fixture.Start(t, fixture.Build(t, fixture.Source{"main.go": ownPID}), "CALLS=1")
	_, err := uprobe.Trace("", "main.hit", func(*uprobe.Call) {}, uprobe.WithPID(b.PID), uprobe.WithPID(other.PID))
	if !errors.Is(err, uprobe.ErrWrongProcess) || !strings.Contains(err.Error(), fmt.Sprint(other.PID)) {
		t.Errorf("processes that run different programs: %v", err)
	}
}

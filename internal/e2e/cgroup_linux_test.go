package e2e

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/argtap/argtap/internal/fixture"
	"github.com/argtap/argtap/uprobe"
)

// cgroups returns a new cgroup of version 2, which is removed when the test ends, and
// with it those below.
func cgroups(t *testing.T) string {
	t.Helper()
	mount := ""
	for _, dir := range []string{"/sys/fs/cgroup", "/sys/fs/cgroup/unified"} {
		var st unix.Statfs_t
		if unix.Statfs(dir, &st) == nil && st.Type == unix.CGROUP2_SUPER_MAGIC {
			mount = dir
		}
	}
	if mount == "" {
		mount = t.TempDir()
		if err := unix.Mount("none", mount, "cgroup2", 0, ""); err != nil {
			t.Fatalf("mount cgroup2: %v", err)
		}
		t.Cleanup(func() {
			if err := unix.Unmount(mount, 0); err != nil {
				t.Error(err)
			}
		})
	}
	dir := filepath.Join(mount, fmt.Sprintf("argtap-test-%d", os.Getpid()))
	mkCgroup(t, dir)
	return dir
}

// mkCgroup makes a cgroup and removes it when the test ends.
func mkCgroup(t *testing.T, dir string) {
	t.Helper()
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		// A process that has ended leaves its cgroup a little later.
		var err error
		for range 500 {
			if err = os.Remove(dir); err == nil {
				return
			}
			time.Sleep(10 * time.Millisecond)
		}
		t.Errorf("a cgroup is left: %v", err)
	})
}

// startIn starts a fixture program in a cgroup.
func startIn(t *testing.T, cgroup, path string, env ...string) *fixture.Target {
	t.Helper()
	cmd := exec.Command(path)
	cmd.Env = append(os.Environ(), env...)
	target := fixture.StartCmd(t, cmd)
	move(t, cgroup, target.PID)
	return target
}

func move(t *testing.T, cgroup string, pid int) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(cgroup, "cgroup.procs"), []byte(strconv.Itoa(pid)), 0); err != nil {
		t.Fatal(err)
	}
}

// TestCgroup traces the processes of a cgroup and of those below it, and no others.
func TestCgroup(t *testing.T) {
	needRoot(t)
	path := fixture.Build(t, fixture.Source{"main.go": ownPID})
	dir := cgroups(t)
	for _, name := range []string{"a", "a/below", "b"} {
		mkCgroup(t, filepath.Join(dir, name))
	}
	in := func(name string) *fixture.Target { return startIn(t, filepath.Join(dir, name), path, "CALLS=30") }
	targets := map[string]*fixture.Target{"a": in("a"), "a/below": in("a/below"), "b": in("b"), "outside": fixture.Start(t, path, "CALLS=30")}
	for _, tt := range []struct {
		cgroup string
		want   []string
		opts   []uprobe.Option
	}{
		{dir + "/a", []string{"a", "a/below"}, nil},
		{dir + "/a", []string{"a", "a/below"}, []uprobe.Option{uprobe.WithResults()}},
		{dir + "/a/below", []string{"a/below"}, nil},
		{dir + "/b/", []string{"b"}, []uprobe.Option{uprobe.WithResults()}},
		{dir, []string{"a", "a/below", "b"}, nil},
		{filepath.Dir(dir), []string{"a", "a/below", "b", "outside"}, nil},
		{dir + "/a", []string{"a/below"}, []uprobe.Option{uprobe.WithPID(targets["a/below"].PID)}},
		{dir + "/a", nil, []uprobe.Option{uprobe.WithPID(targets["b"].PID)}},
	} {
		var calls perPID
		tr := trace(t, path, []string{"main.hit"}, calls.handle, append(tt.opts, uprobe.WithCgroup(tt.cgroup))...)
		later := in("a") // a process that starts later, and moves there
		all := append([]string{"later"}, tt.want...)
		if !strings.HasSuffix(tt.cgroup, "/a") && tt.cgroup != dir && tt.cgroup != filepath.Dir(dir) || len(tt.opts) > 0 && len(tt.want) < 2 {
			all = tt.want
		}
		targets["later"] = later
		for _, target := range targets {
			target.Go()
			target.Calls()
		}
		s := closeAll(t, tr)
		for _, name := range all {
			if n := calls.of(targets[name].PID); n != 30 {
				t.Errorf("%s: %d calls in %s, want 30", tt.cgroup, n, name)
			}
		}
		if s.Calls != uint64(30*len(all)) || s.Unmatched != 0 {
			t.Errorf("%s: stats %+v, want %d calls", tt.cgroup, s, 30*len(all))
		}
		later.Close()
		delete(targets, "later")
	}
}

// TestCgroupMove moves a process in the middle of calls: those that began inside are
// delivered with their return, and none is joined wrongly.
func TestCgroupMove(t *testing.T) {
	needRoot(t)
	path := fixture.Build(t, fixture.Source{"main.go": `package main

import "fixture/truth"

//go:noinline
func wait(n int) int {
	truth.Done()
	return n * 2
}

func main() {
	truth.Start()
	for n := 1; ; n++ {
		wait(n)
	}
}
`})
	dir := cgroups(t)
	target := fixture.Start(t, path)
	var got []string
	tr := trace(t, path, []string{"main.wait"}, func(c *uprobe.Call) {
		n, _ := c.Arg(0).Int()
		r, _ := c.Result(0).Int()
		got = append(got, fmt.Sprintf("%d=%d", n, r))
	}, uprobe.WithCgroup(dir), uprobe.WithResults())
	step := func() { // one call returns, the next begins
		t.Helper()
		target.Go()
		target.Calls()
	}
	target.Go() // the first begins outside
	target.Calls()
	move(t, dir, target.PID)
	step() // 2 begins inside
	step() // 3
	move(t, filepath.Dir(dir), target.PID)
	step() // 3 returns outside
	step()
	move(t, dir, target.PID)
	step() // the one that began outside returns inside
	step()
	if err := tr.Close(); err != nil {
		t.Error(err)
	}
	s := tr.Stats()
	t.Logf("%v %+v", got, s)
	if want := "[2=4 3=6 6=12]"; fmt.Sprint(got) != want || s.Delivered != 3 || s.Open != 1 || s.Unmatched != 2 || s.Calls != 4 {
		t.Errorf("calls %v, want %s; stats %+v", got, want, s)
	}
}

// TestCgroupErrors: what is no cgroup of version 2 is said to be none.
func TestCgroupErrors(t *testing.T) {
	needRoot(t)
	path := fixture.Build(t, fixture.Source{"main.go": ownPID})
	dir := cgroups(t)
	for _, tt := range []struct {
		cgroup, want string
		is           error
	}{
		{dir + "/none", "none: wrong cgroup: no such directory: a process's cgroup is", uprobe.ErrCgroup},
		{dir + "/none", "", fs.ErrNotExist},
		{dir + "/cgroup.procs", "not a directory", uprobe.ErrCgroup},
		{t.TempDir(), "not in a cgroup file system", uprobe.ErrCgroup},
		{"", "empty path", nil},
	} {
		fds := openFiles(t)
		tr, err := uprobe.Trace(path, "main.hit", func(*uprobe.Call) {}, uprobe.WithCgroup(tt.cgroup))
		if err == nil {
			tr.Close()
		}
		if err == nil || tt.is != nil && !errors.Is(err, tt.is) || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %s", tt.cgroup, err, tt.want)
		}
		if n := openFiles(t); n != fds {
			t.Errorf("%s: %d files are open, %d before", tt.cgroup, n, fds)
		}
		t.Log(err)
	}
	if v1 := cgroupV1(); v1 != "" {
		_, err := uprobe.Trace(path, "main.hit", func(*uprobe.Call) {}, uprobe.WithCgroup(v1))
		if !errors.Is(err, uprobe.ErrCgroup) || !strings.Contains(err.Error(), "version 1") {
			t.Errorf("%s: %v", v1, err)
		}
		t.Log(err)
	}
}

// cgroupV1 returns a directory of cgroup version 1, "" where there is none.
func cgroupV1() string {
	dirs, _ := filepath.Glob("/sys/fs/cgroup/*")
	for _, dir := range dirs {
		var st unix.Statfs_t
		if unix.Statfs(dir, &st) == nil && st.Type == unix.CGROUP_SUPER_MAGIC {
			return dir
		}
	}
	return ""
}

// TestCgroupInContainer runs a tracer in a cgroup namespace, in which it does not see
// how deep a cgroup is.
func TestCgroupInContainer(t *testing.T) {
	needRoot(t)
	path := fixture.Build(t, fixture.Source{"main.go": ownPID})
	dir := cgroups(t)
	for _, name := range []string{"pod", "pod/app", "pod/app/worker", "pod/other"} {
		mkCgroup(t, filepath.Join(dir, name))
	}
	cmd := helper(t, "cgroup", path)
	f, err := os.Open(filepath.Join(dir, "pod"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: syscall.CLONE_NEWNS | syscall.CLONE_NEWCGROUP, UseCgroupFD: true, CgroupFD: int(f.Fd()),
	}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

func helpCgroup(args []string) error {
	path := args[0]
	if err := unix.Mount("none", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return err
	}
	if err := unix.Mount("none", "/sys/fs/cgroup", "cgroup2", 0, ""); err != nil {
		return err
	}
	start := func(cgroup string) (*fixture.Process, error) {
		p, err := fixture.Run(path, "CALLS=10")
		if err != nil {
			return nil, err
		}
		return p, os.WriteFile(filepath.Join("/sys/fs/cgroup", cgroup, "cgroup.procs"), []byte(strconv.Itoa(p.PID)), 0)
	}
	var all []*fixture.Process
	for _, cgroup := range []string{"app", "app/worker", "other", "."} {
		p, err := start(cgroup)
		if p != nil {
			defer p.Kill()
		}
		if err != nil {
			return err
		}
		all = append(all, p)
	}
	for cgroup, want := range map[string]int{"app": 20, "app/worker": 10, "other": 10, ".": 40} {
		var calls perPID
		tr, err := uprobe.Trace(path, "main.hit", calls.handle, uprobe.WithCgroup(filepath.Join("/sys/fs/cgroup", cgroup)))
		if err != nil {
			return err
		}
		for _, p := range all {
			if err := p.Go(); err != nil {
				return err
			}
			if _, err := p.Calls(); err != nil {
				return err
			}
		}
		if err := tr.Close(); err != nil {
			return err
		}
		if s := tr.Stats(); s.Calls != uint64(want) {
			return fmt.Errorf("%s: %d calls, want %d", cgroup, s.Calls, want)
		}
	}
	return nil
}

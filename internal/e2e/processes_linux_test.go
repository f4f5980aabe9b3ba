package e2e

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/argtap/argtap/internal/fixture"
	"github.com/argtap/argtap/uprobe"
)

// TestManyProcesses traces 32 processes of one file that make calls at the same time,
// half of them started later: each call is that of the process that made it, and none
// is missing.
func TestManyProcesses(t *testing.T) {
	needRoot(t)
	const many, each = 32, 500
	path := fixture.Build(t, fixture.Source{"main.go": ownPID})
	for _, results := range []bool{false, true} {
		t.Run(fmt.Sprintf("results=%t", results), func(t *testing.T) {
			next := map[int]int64{}
			var events []uprobe.ProcessEvent
			opts := []uprobe.Option{uprobe.WithProcesses(func(e uprobe.ProcessEvent) { events = append(events, e) })}
			if results {
				opts = append(opts, uprobe.WithResults())
			}
			targets := make([]*fixture.Target, many)
			for i := range many / 2 {
				targets[i] = fixture.Start(t, path, fmt.Sprint("CALLS=", each))
			}
			tr := trace(t, path, []string{"main.hit"}, func(c *uprobe.Call) {
				pid, _ := c.Arg(0).Int()
				i, _ := c.Arg(2).Int()
				if int(pid) != c.PID() || i != next[c.PID()] {
					t.Errorf("%v by process %d, want call %d", c, c.PID(), next[c.PID()])
				}
				if results {
					if r, ok := c.Result(0).Int(); !ok || r != i+1 {
						t.Errorf("%v returned %d", c, r)
					}
				}
				next[c.PID()]++
			}, opts...)
			for i := many / 2; i < many; i++ {
				targets[i] = fixture.Start(t, path, fmt.Sprint("CALLS=", each))
			}
			for _, target := range targets {
				target.Go() // all at once
			}
			for _, target := range targets {
				target.Calls()
			}
			for _, target := range targets {
				target.Close()
			}
			if s := closeAll(t, tr); s.Calls != many*each {
				t.Errorf("%d calls, want %d", s.Calls, many*each)
			}
			var story []string
			for _, e := range events {
				story = append(story, fmt.Sprint(e.PID, e.State, e.Calls))
			}
			for i, target := range targets {
				if next[target.PID] != each {
					t.Errorf("%d calls of process %d, want %d", next[target.PID], target.PID, each)
				}
				state := uprobe.ProcessFound
				if i >= many/2 {
					state = uprobe.ProcessStarted
				}
				for _, want := range []string{fmt.Sprint(target.PID, state, uint64(0)), fmt.Sprint(target.PID, uprobe.ProcessEnded, uint64(each))} {
					if !slices.Contains(story, want) {
						t.Errorf("no event %s", want)
					}
				}
			}
			if len(story) != 2*many {
				t.Errorf("%d events, want %d: %v", len(story), 2*many, story)
			}
		})
	}
}

// story keeps what is told of processes, in between their calls.
type story struct {
	mu     sync.Mutex
	lines  []string
	events []uprobe.ProcessEvent
}

func (s *story) event(e uprobe.ProcessEvent) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lines = append(s.lines, fmt.Sprintf("%d %v %d", e.PID, e.State, e.Calls))
	s.events = append(s.events, e)
}

func (s *story) call(c *uprobe.Call) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lines = append(s.lines, fmt.Sprintf("%d call", c.PID()))
}

// has waits until the story is what is wanted.
func (s *story) has(t *testing.T, want ...string) []uprobe.ProcessEvent {
	t.Helper()
	var got []string
	for deadline := time.Now().Add(15 * time.Second); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		s.mu.Lock()
		got = slices.Clone(s.lines)
		events := slices.Clone(s.events)
		s.mu.Unlock()
		if slices.Equal(got, want) {
			return events
		}
	}
	t.Errorf("story %q, want %q", got, want)
	return s.events
}

// TestProcessEvents: a process is told of before its first call and after its last,
// with what it runs; in place of a program that replaces itself comes another.
func TestProcessEvents(t *testing.T) {
	needRoot(t)
	path := fixture.Build(t, fixture.Source{"main.go": `package main

import (
	"os"
	"syscall"

	"fixture/truth"
)

//go:noinline
func hit(i int) {}

func main() {
	truth.Start()
	hit(1)
	truth.Done()
	if next := os.Getenv("NEXT"); next != "" {
		os.Unsetenv("NEXT")
		panic(syscall.Exec(next, []string{"renamed", "-n", "a b"}, os.Environ()))
	}
}
`})
	other := fixture.Build(t, fixture.Source{"main.go": countedCalls}) // which is not traced
	var s story
	before := fixture.Start(t, path)
	began := time.Now()
	tr := trace(t, path, []string{"main.hit"}, s.call, uprobe.WithProcesses(s.event))
	found := fmt.Sprintf("%d found 0", before.PID)
	s.has(t, found)
	before.Go()
	before.Calls()
	before.Close()
	ended := fmt.Sprintf("%d ended 1", before.PID)
	called := func(p *fixture.Target) string { return fmt.Sprintf("%d call", p.PID) }
	lines := []string{found, called(before), ended}
	events := s.has(t, lines...)
	if e := events[0]; e.Executable != path || len(e.Args) != 1 || e.Args[0] != path || e.Started.After(began) || began.Sub(e.Started) > time.Minute || e.Cgroup == "" {
		t.Errorf("%+v", e)
	}

	later := fixture.Start(t, path, "NEXT="+path)
	lines = append(lines, fmt.Sprintf("%d started 0", later.PID))
	s.has(t, lines...)
	later.Go()
	later.Calls()
	later.Go() // it replaces itself
	var ready struct{}
	later.Event("ready", &ready)
	lines = append(lines, called(later), fmt.Sprintf("%d ended 1", later.PID), fmt.Sprintf("%d started 0", later.PID))
	events = s.has(t, lines...)
	if e := events[len(events)-1]; e.Executable != path || !slices.Equal(e.Args, []string{"renamed", "-n", "a b"}) {
		t.Errorf("%+v", e)
	} else if want := fmt.Sprintf("process %d started: %s -n a b", later.PID, path); e.String() != want {
		t.Errorf("%s, want %s", e, want)
	}
	later.Go()
	later.Calls()
	later.Close()
	lines = append(lines, called(later), fmt.Sprintf("%d ended 1", later.PID))
	s.has(t, lines...)

	away := fixture.Start(t, path, "NEXT="+other, "CALLS=1")
	away.Go()
	away.Calls()
	away.Go() // it runs another program from now on
	away.Event("ready", &ready)
	lines = append(lines, fmt.Sprintf("%d started 0", away.PID), called(away), fmt.Sprintf("%d ended 1", away.PID))
	s.has(t, lines...)
	closeAll(t, tr)
	s.has(t, lines...)
}

// TestShortProcesses: of processes that end at once each is told of once, and all of
// their calls are theirs.
func TestShortProcesses(t *testing.T) {
	needRoot(t)
	path := fixture.Build(t, fixture.Source{"main.go": "package main\n\n//go:noinline\nfunc hit(i int) {}\n\nfunc main() {\n\tfor i := range 3 {\n\t\thit(i)\n\t}\n}\n"})
	var s story
	tr := trace(t, path, []string{"main.hit"}, s.call, uprobe.WithProcesses(s.event))
	var want []string
	for range 50 {
		cmd := exec.Command(path)
		if err := cmd.Run(); err != nil {
			t.Fatal(err)
		}
		pid := cmd.Process.Pid
		call := fmt.Sprintf("%d call", pid)
		want = append(want, fmt.Sprintf("%d started 0", pid), call, call, call, fmt.Sprintf("%d ended 3", pid))
	}
	closeAll(t, tr)
	slices.Sort(want)
	got := slices.Sorted(slices.Values(s.lines))
	if !slices.Equal(got, want) {
		t.Errorf("story %q, want %q", got, want)
	}
	for _, e := range s.events {
		if e.Executable != "" && e.Executable != path {
			t.Errorf("%+v", e)
		}
	}
}

// TestFoundInContainers: processes that run the file through an overlay, or in the
// cgroup that is selected, are found where they run already.
func TestFoundInContainers(t *testing.T) {
	needRoot(t)
	path := fixture.Build(t, fixture.Source{"main.go": ownPID})
	image := overlay(t, path)
	image.Pivot, image.Proc = true, true
	inside := image.start(t, syscall.CLONE_NEWPID, "CALLS=2")
	lower := filepath.Join(image.Lower, "app")
	outside := fixture.Start(t, lower, "CALLS=2")
	in, out := fmt.Sprintf("%d found 0", inside.PID), fmt.Sprintf("%d found 0", outside.PID)
	found := func(path string, opts ...uprobe.Option) []string {
		var s story
		tr := trace(t, path, []string{"main.hit"}, s.call, append(opts, uprobe.WithProcesses(s.event))...)
		closeAll(t, tr)
		for _, e := range s.events {
			if e.PID == inside.PID && e.Executable != "/app" {
				t.Errorf("%+v", e)
			}
		}
		return slices.Sorted(slices.Values(s.lines))
	}
	both := slices.Sorted(slices.Values([]string{in, out}))
	if got := found(lower); !slices.Equal(got, both) {
		t.Errorf("found %v, want %v", got, both)
	}
	if got := found(fmt.Sprintf("/proc/%d/root/app", inside.PID)); !slices.Equal(got, both) {
		t.Errorf("found %v, want %v", got, both)
	}
	if got := found("", uprobe.WithPID(inside.PID)); !slices.Equal(got, []string{in}) {
		t.Errorf("found %v, want %v", got, in)
	}
	dir := cgroups(t)
	move(t, dir, inside.PID)
	if got := found(lower, uprobe.WithCgroup(dir)); !slices.Equal(got, []string{in}) {
		t.Errorf("found %v, want %v", got, in)
	}
	move(t, filepath.Dir(dir), inside.PID)
}

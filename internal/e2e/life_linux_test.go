package e2e

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/argtap/argtap/internal/fixture"
	"github.com/argtap/argtap/uprobe"
)

// perPID counts calls by process.
type perPID struct {
	sync.Mutex
	n map[int]int
}

func (p *perPID) handle(c *uprobe.Call) {
	p.Lock()
	defer p.Unlock()
	if p.n == nil {
		p.n = map[int]int{}
	}
	p.n[c.PID()]++
}

func (p *perPID) of(pid int) int {
	p.Lock()
	defer p.Unlock()
	return p.n[pid]
}

// TestMultiProcess traces several processes of one file, or only one of them.
func TestMultiProcess(t *testing.T) {
	needRoot(t)
	path := fixture.Build(t, fixture.Source{"main.go": countedCalls})
	a, b := fixture.Start(t, path, "CALLS=100"), fixture.Start(t, path, "CALLS=100")
	var all, one perPID
	trAll := trace(t, path, []string{"main.hit"}, all.handle)
	trOne := trace(t, path, []string{"main.hit"}, one.handle, uprobe.WithPID(b.PID))
	c := fixture.Start(t, path, "CALLS=100") // later
	for _, target := range []*fixture.Target{a, b, c} {
		target.Go()
		target.Calls()
	}
	eventually(t, "the calls of three processes are delivered", func() bool {
		return all.of(a.PID) == 100 && all.of(b.PID) == 100 && all.of(c.PID) == 100
	})
	eventually(t, "the calls of one process are delivered", func() bool { return one.of(b.PID) == 100 })
	select {
	case <-trOne.Done():
		t.Error("the tracer ended before its process")
	default:
	}
	b.Close()
	select {
	case <-trOne.Done():
		if err := trOne.Wait(); err != nil {
			t.Error(err)
		}
	case <-time.After(5 * time.Second):
		t.Error("the tracer of one process goes on after its end")
	}
	a.Go()
	a.Calls()
	if s := closeAll(t, trAll); s.Calls != 400 {
		t.Errorf("%d calls, want 400", s.Calls)
	}
	if s := closeAll(t, trOne); s.Calls != 100 || one.of(a.PID)+one.of(c.PID) != 0 {
		t.Errorf("%d calls of one process, want 100; %d of others", s.Calls, one.of(a.PID)+one.of(c.PID))
	}
}

// TestClose requires that nothing is left after a tracer ended, in each of the
// ways to end one.
func TestClose(t *testing.T) {
	needRoot(t)
	path := fixture.Build(t, fixture.Source{"main.go": countedCalls})
	target := fixture.Start(t, path, "CALLS=50")
	stop := errors.New("enough")
	for name, end := range map[string]func(*uprobe.Tracer, context.CancelCauseFunc) error{
		"close":   func(tr *uprobe.Tracer, _ context.CancelCauseFunc) error { return tr.Close() },
		"context": func(tr *uprobe.Tracer, cancel context.CancelCauseFunc) error { cancel(stop); return tr.Wait() },
	} {
		t.Run(name, func(t *testing.T) {
			if n := patched(t, target.PID, path, path); n != 0 {
				t.Fatalf("%d bytes of code differ before the trace", n)
			}
			ctx, cancel := context.WithCancelCause(context.Background())
			defer cancel(nil)
			n := 0
			tr := trace(t, path, []string{"main.hit"}, func(*uprobe.Call) { n++ }, uprobe.WithContext(ctx))
			if patched(t, target.PID, path, path) == 0 || linksTo(t, path) == 0 {
				t.Error("nothing is attached")
			}
			target.Go()
			target.Calls()
			if err := end(tr, cancel); err != nil && !(name == "context" && errors.Is(err, stop)) {
				t.Error(err)
			}
			if n != 50 {
				t.Errorf("%d calls were delivered, want 50", n)
			}
			eventually(t, "the code is the file's again", func() bool { return patched(t, target.PID, path, path) == 0 })
			eventually(t, "no link is left", func() bool { return linksTo(t, path) == 0 })
			if e := tracefsEvents(t, path); e != 0 {
				t.Errorf("%d events are left in tracefs", e)
			}
			tr.Close()
			target.Go()
			target.Calls()
			if s := tr.Stats(); s.Calls != 50 || n != 50 {
				t.Errorf("%d calls after the end, %+v", n, s)
			}
		})
	}
	target.Close()
}

// helpTrace traces a function until it is killed.
func helpTrace(args []string) error {
	_, err := uprobe.Trace(args[0], args[1], func(*uprobe.Call) {})
	if err != nil {
		return err
	}
	fmt.Println("attached")
	select {}
}

// TestKillTracer kills a tracer with SIGKILL while its target makes calls.
func TestKillTracer(t *testing.T) {
	needRoot(t)
	path := fixture.Build(t, fixture.Source{"main.go": countedCalls, "doc.go": "package main // of this test alone"})
	target := fixture.Start(t, path, "CALLS=100000")
	cmd := helper(t, "trace", path, "main.hit")
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	killed := false
	defer func() {
		if !killed {
			cmd.Process.Kill()
			cmd.Wait()
		}
	}()
	if line, err := bufio.NewReader(out).ReadString('\n'); line != "attached\n" {
		t.Fatalf("helper: %q, %v", line, err)
	}
	target.Go()
	if patched(t, target.PID, path, path) == 0 || linksTo(t, path) == 0 {
		t.Error("nothing is attached")
	}
	killed = true
	cmd.Process.Kill()
	cmd.Wait()
	eventually(t, "the code is the file's again", func() bool { return patched(t, target.PID, path, path) == 0 })
	eventually(t, "no link is left", func() bool { return linksTo(t, path) == 0 })
	if n := tracefsEvents(t, path); n != 0 {
		t.Errorf("%d events are left in tracefs", n)
	}
	target.Calls()
	target.Close()
}

// TestKillTarget kills targets in the middle of calls.
func TestKillTarget(t *testing.T) {
	needRoot(t)
	path := fixture.Build(t, fixture.Source{"main.go": countedCalls})
	for _, withPID := range []bool{false, true} {
		t.Run(fmt.Sprintf("WithPID=%v", withPID), func(t *testing.T) {
			target := fixture.Start(t, path, "CALLS=1000000000")
			var opts []uprobe.Option
			if withPID {
				opts = append(opts, uprobe.WithPID(target.PID))
			}
			calls := make(chan bool, 1)
			last := int64(-1)
			tr := trace(t, path, []string{"main.hit"}, func(c *uprobe.Call) {
				i, ok := c.Arg(0).Int()
				if !ok || i <= last {
					t.Errorf("call %v after %d", c, last)
				}
				last = i
				select {
				case calls <- true:
				default:
				}
			}, opts...)
			target.Go()
			<-calls
			target.Kill()
			if withPID {
				select {
				case <-tr.Done():
				case <-time.After(10 * time.Second):
					t.Error("the tracer goes on after its process was killed")
				}
			}
			if err := tr.Close(); err != nil {
				t.Error(err)
			}
			if s := tr.Stats(); s.Calls == 0 || s.Calls != s.Delivered+s.Lost+s.Filtered {
				t.Errorf("stats %+v", s)
			}
		})
	}
}

// TestBinaryReplaced replaces the binary on disk while it is traced.
func TestBinaryReplaced(t *testing.T) {
	needRoot(t)
	built := fixture.Build(t, fixture.Source{"main.go": countedCalls})
	// In the new binary hit has other parameters, so its code is another.
	edit := strings.NewReplacer("hit(i int, s string)", "hit(s string, b []byte, i int)", `hit(i, "hit")`, `hit("hit", nil, i)`)
	other := fixture.Build(t, fixture.Source{"main.go": edit.Replace(countedCalls)})
	dir := t.TempDir()
	path := fixture.Copy(t, built, dir, "app")
	target := fixture.Start(t, path, "CALLS=100")
	var calls perPID
	tr := trace(t, path, []string{"main.hit"}, calls.handle)
	target.Go()
	target.Calls()
	if err := os.Rename(fixture.Copy(t, other, dir, "new"), path); err != nil {
		t.Fatal(err)
	}
	select {
	case <-tr.Done():
	case <-time.After(10 * time.Second):
		t.Fatal("the replacement was not noticed")
	}
	for i, err := range []error{tr.Err(), tr.Wait(), tr.Close()} {
		if !errors.Is(err, uprobe.ErrBinaryReplaced) {
			t.Errorf("error %d: %v", i, err)
		}
	}
	if n := calls.of(target.PID); n != 100 {
		t.Errorf("%d calls were delivered, want the 100 before the replacement", n)
	}
	if n := patched(t, target.PID, path, built); n != 0 {
		t.Errorf("%d bytes of code are still patched", n)
	}
	target.Go()
	target.Calls()
	target.Close()
}

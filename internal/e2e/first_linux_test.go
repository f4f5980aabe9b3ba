package e2e

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/argtap/argtap/internal/fixture"
	"github.com/argtap/argtap/uprobe"
)

const firstProgram = `package main

import (
	"bufio"
	"fmt"
	"os"
	"sync"
)

var sink int

//go:noinline
func quick(n int) int { sink += n; return n * 10 }

//go:noinline
func other(n int) int { sink -= n; return n }

//go:noinline
func waits(n int, c chan bool) int { <-c; return n }

//go:noinline
func fails(n int) int {
	if n == 0 {
		panic("nothing")
	}
	sink += n
	return sink
}

//go:noinline
func tries(n int) {
	defer func() { recover() }()
	fails(n)
}

func main() {
	fmt.Println("ready")
	c := make(chan bool)
	var waiting sync.WaitGroup
	for in := bufio.NewScanner(os.Stdin); in.Scan(); fmt.Println("ok") {
		var what string
		var n int
		fmt.Sscan(in.Text(), &what, &n)
		switch what {
		case "quick":
			for i := 0; i < n; i++ {
				quick(i)
			}
		case "other":
			for i := 0; i < n; i++ {
				other(i)
			}
		case "wait":
			waiting.Add(1)
			go func() { defer waiting.Done(); waits(n, c) }()
		case "try":
			tries(n)
		case "release":
			close(c)
			waiting.Wait()
		}
	}
}
`

// firstTarget is a process of firstProgram.
type firstTarget struct {
	t    *testing.T
	path string
	cmd  *exec.Cmd
	in   io.WriteCloser
	out  *bufio.Scanner
}

func startFirst(t *testing.T, path string) *firstTarget {
	t.Helper()
	f := &firstTarget{t: t, path: path, cmd: exec.Command(path)}
	f.cmd.Stderr = os.Stderr
	var err error
	if f.in, err = f.cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	out, err := f.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := f.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.in.Close(); f.cmd.Wait() })
	f.out = bufio.NewScanner(out)
	f.out.Scan()
	return f
}

func (f *firstTarget) do(format string, args ...any) {
	f.t.Helper()
	fmt.Fprintf(f.in, format+"\n", args...)
	if !f.out.Scan() {
		f.t.Fatalf("the program ended: %v", f.out.Err())
	}
}

// patched counts the bytes that probes have changed in it.
func (f *firstTarget) patched() int { return patched(f.t, f.cmd.Process.Pid, f.path, f.path) }

// TestFirst: when a function has had the calls that were asked for, its probes go, and
// with those of the last function the tracer.
func TestFirst(t *testing.T) {
	needRoot(t)
	path := fixture.Build(t, fixture.Source{"main.go": firstProgram})
	t.Run("entries", func(t *testing.T) {
		target := startFirst(t, path)
		tr := trace(t, path, []string{"main.quick", "main.other"}, func(*uprobe.Call) {}, uprobe.WithFirst(3))
		if n := target.patched(); n != 2 {
			t.Errorf("%d bytes are changed, want those of 2 functions", n)
		}
		target.do("other 2")
		target.do("quick 10")
		eventually(t, "the probe of quick goes", func() bool { return target.patched() == 1 })
		before := tr.FuncStats()[0]
		target.do("quick 1000")
		if after := tr.FuncStats()[0]; after != before || after.Delivered != 3 || after.Calls != 3+after.Beyond || after.Calls > 10 {
			t.Errorf("%+v, then %+v", before.Stats, after.Stats)
		}
		// A process that begins now has what is left.
		later := startFirst(t, path)
		later.do("quick 5")
		if n := later.patched(); n != 1 {
			t.Errorf("%d bytes are changed in a new process", n)
		}
		select {
		case <-tr.Done():
			t.Fatal("the tracer has ended before other was called often enough")
		default:
		}
		later.do("other 1")
		eventually(t, "the tracer ends", func() bool {
			select {
			case <-tr.Done():
				return true
			default:
				return false
			}
		})
		if n, m, links := target.patched(), later.patched(), linksTo(t, path); n+m+links != 0 || tr.Wait() != nil {
			t.Errorf("%d and %d bytes are changed, %d links, error %v", n, m, links, tr.Wait())
		}
		if s := tr.Stats(); s.Delivered != 6 || s.Calls != 6+s.Beyond {
			t.Errorf("%+v", s)
		}
		target.do("quick 10")
	})
	t.Run("open calls", func(t *testing.T) {
		target := startFirst(t, path)
		var mu sync.Mutex
		var got []int64
		tr := trace(t, path, []string{"main.quick", "main.waits"}, func(c *uprobe.Call) {
			n, _ := c.Result(0).Int()
			mu.Lock()
			defer mu.Unlock()
			got = append(got, n)
		}, uprobe.WithFirst(2), uprobe.WithResults())
		all := target.patched()
		target.do("wait 7")
		target.do("wait 8")
		eventually(t, "both calls have begun", func() bool { return tr.Stats().Open == 2 })
		target.do("quick 2")
		// quick's entry and return, and the entry of waits.
		eventually(t, "probes go", func() bool { return target.patched() == all-3 })
		target.do("wait 9")
		if s := tr.FuncStats()[1]; s.Open != 2 || s.Calls != 2 {
			t.Errorf("%+v", s.Stats)
		}
		select {
		case <-tr.Done():
			t.Error("the tracer has ended with calls open")
		default:
		}
		target.do("release")
		if err := tr.Wait(); err != nil {
			t.Error(err)
		}
		slices.Sort(got)
		if s := tr.Stats(); s.Delivered != 4 || s.Open != 0 || s.Calls != 4+s.Beyond || !slices.Equal(got, []int64{0, 7, 8, 10}) {
			t.Errorf("%v, %+v", got, s)
		}
		if n, links := target.patched(), linksTo(t, path); n+links != 0 {
			t.Errorf("%d bytes are changed, %d links", n, links)
		}
	})
	t.Run("durations", func(t *testing.T) {
		target := startFirst(t, path)
		tr, err := uprobe.Trace(path, "main.waits", nil, uprobe.WithFirst(2), uprobe.WithHistogram("duration", uprobe.Log2()))
		if err != nil {
			t.Fatal(err)
		}
		defer tr.Close()
		target.do("wait 7")
		target.do("wait 8")
		target.do("wait 9")
		time.Sleep(2500 * time.Millisecond) // the reader looks about each second
		target.do("release")
		if err := tr.Wait(); err != nil {
			t.Error(err)
		}
		if s := tr.Stats(); s.Aggregated != 2 || s.Open != 0 || s.Beyond != 1 || s.Calls != 3 {
			t.Errorf("%+v", s)
		}
		if n, links := target.patched(), linksTo(t, path); n+links != 0 {
			t.Errorf("%d bytes are changed, %d links", n, links)
		}
	})
	// A call that a panic has left has its place until another comes, whose return is
	// not that of the first.
	t.Run("durations of calls that are left", func(t *testing.T) {
		target := startFirst(t, path)
		tr, err := uprobe.Trace(path, "main.fails", nil, uprobe.WithFirst(1), uprobe.WithHistogram("duration", uprobe.Log2()))
		if err != nil {
			t.Fatal(err)
		}
		defer tr.Close()
		target.do("try 0")
		time.Sleep(1500 * time.Millisecond)
		target.do("try 5")
		if err := tr.Wait(); err != nil {
			t.Error(err)
		}
		if s := tr.Stats(); s.Aggregated != 0 || s.Abandoned != 1 || s.Beyond != 1 || s.Calls != 2 {
			t.Errorf("%+v", s)
		}
	})
	t.Run("condition", func(t *testing.T) {
		target := startFirst(t, path)
		var got []int64
		tr := trace(t, path, []string{"main.quick"}, func(c *uprobe.Call) {
			n, _ := c.Result(0).Int()
			got = append(got, n)
		}, uprobe.WithFirst(3), uprobe.WithResults(), uprobe.WithCondition("result0 > 100 && n % 2 == 0"))
		target.do("quick 5")
		target.do("quick 200")
		if err := tr.Wait(); err != nil {
			t.Error(err)
		}
		if s := tr.Stats(); s.Delivered != 3 || s.Filtered < 9 || s.Calls != 3+s.Filtered+s.Beyond+s.Open || s.Open > 1 || !slices.Equal(got, []int64{120, 140, 160}) {
			t.Errorf("%v, %+v", got, s)
		}
		if n, links := target.patched(), linksTo(t, path); n+links != 0 {
			t.Errorf("%d bytes are changed, %d links", n, links)
		}
	})
}

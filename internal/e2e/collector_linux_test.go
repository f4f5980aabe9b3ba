package e2e

import (
	"errors"
	"os"
	"slices"
	"sync/atomic"
	"testing"

	"github.com/argtap/argtap/internal/fixture"
	"github.com/argtap/argtap/uprobe"
)

// TestCollector runs a program that keeps the garbage collector busy and
// checks it, while stacks grow and shrink and everything is traced.
func TestCollector(t *testing.T) {
	needRoot(t)
	path := fixture.Build(t, fixture.Source{"main.go": collectorProgram})
	for _, debug := range []string{"gccheckmark=1", "gcstoptheworld=1", "clobberfree=1"} {
		t.Run(debug, func(t *testing.T) {
			target := fixture.Start(t, path, "GODEBUG="+debug, "GOGC=1")
			var calls, wrong atomic.Uint64
			tr := trace(t, path, []string{"main.*"}, func(c *uprobe.Call) {
				if c.Name() != "main.walk" {
					return
				}
				calls.Add(1)
				if name, ok := c.Arg(1).Str(); !ok || name != "walk" {
					wrong.Add(1)
				}
			}, uprobe.WithPID(target.PID), uprobe.WithBufferSize(64<<20))
			target.Go()
			var sum struct{ Sum, Walks uint64 }
			target.Event("sum", &sum)
			target.Calls()
			target.Close()
			if err := tr.Wait(); err != nil && !errors.Is(err, os.ErrProcessDone) {
				t.Error(err)
			}
			if sum.Sum != 100*(1<<12-1) {
				t.Errorf("the program computed %d", sum.Sum)
			}
			// On a busy machine the reader may fall behind. What is lost is counted.
			s := tr.FuncStats()[slices.IndexFunc(tr.Funcs(), func(f *uprobe.Func) bool { return f.Name() == "main.walk" })]
			if s.Calls+tr.Stats().LostMissed < sum.Walks || s.Calls > sum.Walks ||
				calls.Load() != s.Delivered || s.Delivered < s.Calls/20 || wrong.Load() != 0 {
				t.Errorf("%d calls, %d of them wrong, want %d; stats %+v", calls.Load(), wrong.Load(), sum.Walks, s.Stats)
			}
		})
	}
}

const collectorProgram = `package main

import (
	"runtime"
	"sync"
	"sync/atomic"

	"fixture/truth"
)

type tree struct {
	left, right *tree
	payload     []byte
}

//go:noinline
func grow(depth int) *tree {
	t := &tree{payload: make([]byte, 32)}
	if depth > 1 {
		t.left, t.right = grow(depth-1), grow(depth-1)
	}
	return t
}

var walks atomic.Uint64

//go:noinline
func walk(t *tree, name string, path [4]int) uint64 {
	walks.Add(1)
	var buf [512]byte
	buf[path[0]%512] = 1
	n := uint64(buf[path[0]%512])
	if t.left != nil {
		path[0]++
		n += walk(t.left, name, path) + walk(t.right, name, path)
	}
	return n
}

func main() {
	truth.Start()
	stop := make(chan bool)
	var gc sync.WaitGroup
	gc.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
				runtime.GC()
			}
		}
	})
	var sum atomic.Uint64
	for range 25 {
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() { sum.Add(walk(grow(12), "walk", [4]int{})) })
		}
		wg.Wait()
	}
	close(stop)
	gc.Wait()
	truth.Print(` + "`" + `{"ev":"sum","sum":%d,"walks":%d}` + "`" + `, sum.Load(), walks.Load())
	truth.Done()
}
`

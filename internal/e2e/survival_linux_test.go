package e2e

import (
	"bytes"
	"errors"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/argtap/argtap/internal/fixture"
	"github.com/argtap/argtap/uprobe"
)

// TestSurvival runs tests of the standard library while every function of
// their package is traced: they must still pass, and every call be accounted for.
func TestSurvival(t *testing.T) {
	needRoot(t)
	for _, tt := range []struct {
		pkg   string
		args  []string
		least int // functions that must be traced, to know that the pattern worked
	}{
		{"encoding/json", []string{"-test.short"}, 150},
		{"sort", []string{"-test.short"}, 40},
		{"strings", []string{"-test.short"}, 60},
		{"net/http", []string{"-test.short", "-test.run", "Serve|Cookie|Header|Transport(Reuse|Keep|Gzip|Proxy)|Request|Chunk|Mux"}, 1000},
	} {
		for _, results := range []bool{false, true} {
			name := tt.pkg
			if results {
				name += "/results"
			}
			t.Run(name, func(t *testing.T) { survive(t, tt.pkg, tt.args, tt.least, results) })
		}
	}
}

func survive(t *testing.T, pkg string, args []string, least int, results bool) {
	exe := filepath.Join(t.TempDir(), "stdlib.test")
	// No DWARF in what "go test" links by default, unless told to.
	build := fixture.GoCommand("test", "-c", "-o", exe, "-ldflags=-w=0 -s=0", pkg)
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %v\n%s", build, err, out)
	}
	goroot, err := fixture.GoCommand("env", "GOROOT").Output()
	if err != nil {
		t.Fatal(err)
	}
	var calls atomic.Uint64
	var logged bytes.Buffer
	start := time.Now()
	opts := []uprobe.Option{uprobe.WithLogger(slog.New(slog.NewTextHandler(&logged, nil))), uprobe.WithBufferSize(64 << 20)}
	if results {
		opts = append(opts, uprobe.WithResults())
	}
	tr, err := uprobe.Trace(exe, pkg+".*", func(c *uprobe.Call) {
		calls.Add(1)
		if c.NumArgs() > 0 {
			_ = c.Arg(0).Kind()
		}
		if c.NumResults() > 0 {
			_ = c.Result(0).Kind()
		}
	}, opts...)
	if err != nil {
		t.Fatalf("%+v", err)
	}
	defer tr.Close()
	attached := time.Since(start)
	cmd := exec.Command(exe, append(args, "-test.timeout=150s")...)
	cmd.Dir = filepath.Join(strings.TrimSpace(string(goroot)), "src", filepath.FromSlash(pkg))
	cmd.Env = append(os.Environ(), "GOTRACEBACK=all")
	start = time.Now()
	out, err := cmd.CombinedOutput()
	ran := time.Since(start)
	if err != nil {
		t.Errorf("the tests fail while they are traced: %v\n%.6000s", err, out)
		if out, err := untraced(cmd); err != nil {
			t.Fatalf("and without: %v\n%.3000s", err, out)
		}
	}
	if err := tr.Close(); err != nil {
		t.Error(err)
	}
	s := tr.Stats()
	t.Logf("%d functions attached in %v, ran %v, %+v", len(tr.Funcs()), attached, ran, s)
	if len(tr.Funcs()) < least {
		t.Errorf("%d functions are traced, want at least %d", len(tr.Funcs()), least)
	}
	if s.Calls == 0 || s.Calls != s.Delivered+s.Lost+s.Filtered+s.Open+s.Abandoned || s.Delivered != calls.Load() || s.LostMalformed != 0 {
		t.Errorf("%d calls were delivered, stats %+v", calls.Load(), s)
	}
	if n := strings.Count(logged.String(), "\n"); n > 0 {
		t.Logf("the log has %d lines, such as %.300s", n, logged.String())
	}
}

// untraced runs a command again.
func untraced(cmd *exec.Cmd) ([]byte, error) {
	again := exec.Command(cmd.Path, cmd.Args[1:]...)
	again.Dir, again.Env = cmd.Dir, cmd.Env
	return again.CombinedOutput()
}

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

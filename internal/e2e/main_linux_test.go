package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/argtap/argtap/internal/fixture"
	"github.com/argtap/argtap/internal/leaktest"
	"github.com/argtap/argtap/uprobe"
)

// TestMain runs the tests, or a helper process of one of them: see helper.
func TestMain(m *testing.M) {
	if name := os.Getenv(helperVar); name != "" {
		if err := helpers[name](os.Args[1:]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(leaktest.Run(fixtures{m}))
}

// fixtures runs tests and removes the programs that were built for them.
type fixtures struct{ *testing.M }

func (m fixtures) Run() int { return fixture.Main(m.M) }

const helperVar = "ARGTAP_E2E_HELPER"

// helpers run in processes of their own, by name.
var helpers = map[string]func(args []string) error{
	"trace":  helpTrace,
	"fail":   helpFail,
	"pid":    helpPID,
	"enter":  helpEnter,
	"nested": helpNested,
	"clock":  helpClock,
	"cgroup": helpCgroup,
}

// helper is a command that runs a helper in a new process of this test binary.
func helper(t *testing.T, name string, args ...string) *exec.Cmd {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(exe, args...)
	cmd.Env = append(os.Environ(), helperVar+"="+name)
	return cmd
}

// needRoot skips a test that can't trace here, but never in CI.
func needRoot(t *testing.T) {
	t.Helper()
	if os.Geteuid() == 0 {
		return
	}
	if os.Getenv("CI") != "" {
		t.Fatal("the end-to-end tests need root")
	}
	t.Skip("needs root")
}

// recorder is a handler that keeps every call, as JSON would tell it.
type recorder struct {
	mu    sync.Mutex
	calls []fixture.Call
	errs  []error
}

func (r *recorder) handle(c *uprobe.Call) {
	line, err := c.MarshalJSON()
	var call fixture.Call
	if err == nil {
		call, err = fixture.ParseCall(line)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if err != nil {
		r.errs = append(r.errs, err)
		return
	}
	r.calls = append(r.calls, call)
}

// get returns the calls so far.
func (r *recorder) get(t *testing.T) []fixture.Call {
	t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, err := range r.errs {
		t.Errorf("a call's JSON: %v", err)
	}
	return r.calls
}

// compared tells how many calls a test compared: the table of kernels is made of it.
func compared(t *testing.T, calls int) {
	t.Helper()
	t.Attr("compared", strconv.Itoa(calls))
}

// trace traces functions and closes the tracer when the test ends.
func trace(t *testing.T, path string, funcs []string, handler func(*uprobe.Call), opts ...uprobe.Option) *uprobe.Tracer {
	t.Helper()
	opts = append(opts, uprobe.WithFuncs(funcs[1:]...))
	tr, err := uprobe.Trace(path, funcs[0], handler, opts...)
	if err != nil {
		t.Fatalf("%+v", err)
	}
	t.Cleanup(func() { tr.Close() })
	return tr
}

// closeAll closes a tracer that ended well and must have delivered every call.
func closeAll(t *testing.T, tr *uprobe.Tracer) uprobe.Stats {
	t.Helper()
	if err := tr.Close(); err != nil {
		t.Errorf("close: %v", err)
	}
	s := tr.Stats()
	if s.Lost != 0 || s.Filtered != 0 || s.Calls != s.Delivered {
		t.Errorf("stats %+v: not every call was delivered", s)
	}
	return s
}

// eventually waits until cond holds.
func eventually(t *testing.T, what string, cond func() bool) {
	t.Helper()
	for deadline := time.Now().Add(15 * time.Second); !cond(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited too long until %s", what)
		}
	}
}

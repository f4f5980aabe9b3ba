package uprobe

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"golang.org/x/sys/unix"

	"github.com/argtap/argtap/abi"
)

// exactVar is set where the kernel is known to have exactly what its version
// says: where no distribution has added features.
const exactVar = "ARGTAP_KERNEL_EXACT"

// fixtureVar names a folder with programs that are built already, for machines
// without a go command.
const fixtureVar = "ARGTAP_FIXTURES"

// prebuilt returns the path of a program of testdata in that folder.
func prebuilt(name string) (string, bool) {
	path := filepath.Join(os.Getenv(fixtureVar), "uprobe-"+name)
	_, err := os.Stat(path)
	return path, os.Getenv(fixtureVar) != "" && err == nil
}

// kernelVersion is the kernel's release as a number, 510 for 5.10.
func kernelVersion(t *testing.T) (version int, release string) {
	t.Helper()
	var uts unix.Utsname
	if err := unix.Uname(&uts); err != nil {
		t.Fatal(err)
	}
	release = unix.ByteSliceToString(uts.Release[:])
	var major, minor int
	if _, err := fmt.Sscanf(release, "%d.%d", &major, &minor); err != nil {
		t.Fatalf("kernel release %q: %v", release, err)
	}
	return major*100 + minor, release
}

// TestCapabilities compares what probing finds with the history of Linux. Only
// the test knows versions.
func TestCapabilities(t *testing.T) {
	needRoot(t)
	version, release := kernelVersion(t)
	c := probeCapabilities()
	t.Logf("%s %s: %+v", release, runtime.GOARCH, c)
	for _, tt := range []struct {
		name  string
		have  bool
		since int
	}{
		{"bpf_loop", c.loops, 517},
		{"atomic exchange", c.atomics, 512},
		{"cookies", c.cookies, 515},
		{"sleepable programs", c.sleepable, 600},
		{"uprobe_multi", c.multi, 606},
		{"PID filter of uprobe_multi", c.pidFilter, 610},
		{"stacks of the thread", c.threadStack, 606},
	} {
		switch {
		case version >= tt.since && !tt.have:
			t.Errorf("%s was not found, Linux has it since %d.%d", tt.name, tt.since/100, tt.since%100)
		case version < tt.since && tt.have && os.Getenv(exactVar) != "":
			t.Errorf("%s was found, Linux has it since %d.%d only", tt.name, tt.since/100, tt.since%100)
		}
	}
	// Everything that is lacking is said.
	var text strings.Builder
	c.logTo(slog.New(slog.NewTextHandler(&text, nil)))
	for _, l := range c.lacks() {
		if !strings.Contains(text.String(), l.feature) || !strings.Contains(text.String(), "Linux "+l.since) {
			t.Errorf("%+v is not logged:\n%s", l, text.String())
		}
	}
	if c == (capabilities{true, true, true, true, true, true, true}) != (text.Len() == 0) {
		t.Errorf("logged with %+v:\n%s", c, text.String())
	}
}

// TestThreadBase reads this thread's base address through the offset that the
// kernel's type information gives, and compares it with what the kernel says.
func TestThreadBase(t *testing.T) {
	needRoot(t)
	if runtime.GOARCH != "amd64" {
		if off, err := findThreadBase(abi.AMD64); err == nil {
			t.Errorf("offset %d on %s", off, runtime.GOARCH)
		}
		return
	}
	k, err := newKernel(&options{buffer: minBuffer, log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer k.close()
	off, err := k.threadBase(abi.AMD64)
	if err != nil {
		t.Fatal(err)
	}
	m, err := ebpf.NewMap(&ebpf.MapSpec{Type: ebpf.Array, KeySize: 4, ValueSize: 8, MaxEntries: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	p, err := ebpf.NewProgram(&ebpf.ProgramSpec{
		Type: ebpf.RawTracepoint, License: "GPL",
		Instructions: asm.Instructions{
			asm.FnGetCurrentTask.Call(),
			asm.Mov.Reg(asm.R3, asm.R0),
			asm.Add.Imm(asm.R3, int32(off)),
			asm.Mov.Imm(asm.R2, 8),
			asm.LoadMapValue(asm.R1, m.FD(), 0),
			asm.FnProbeReadKernel.Call(),
			asm.Mov.Imm(asm.R0, 0),
			asm.Return(),
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if _, err := p.Run(&ebpf.RunOptions{}); err != nil {
		t.Fatal(err)
	}
	var got, want uint64
	if err := m.Lookup(uint32(0), &got); err != nil {
		t.Fatal(err)
	}
	const (
		sysArchPrctl = 158    // on amd64, the only one that has it
		archGetFS    = 0x1003 // ARCH_GET_FS of asm/prctl.h
	)
	if _, _, errno := unix.Syscall(sysArchPrctl, archGetFS, uintptr(unsafe.Pointer(&want)), 0); errno != 0 {
		t.Fatal(errno)
	}
	if got != want || got == 0 {
		t.Errorf("thread base %#x at offset %d, want %#x", got, off, want)
	}
}

// capsTarget is testdata/caps, running.
type capsTarget struct {
	t    *testing.T
	path string
	cmd  *exec.Cmd
	in   io.WriteCloser
	out  *bufio.Scanner
}

func startCaps(t *testing.T, path string) *capsTarget {
	t.Helper()
	c := &capsTarget{t: t, path: path, cmd: exec.Command(path)}
	c.cmd.Stderr = os.Stderr
	var err error
	if c.in, err = c.cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	out, err := c.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.in.Close(); c.cmd.Wait() })
	c.out = bufio.NewScanner(out)
	c.line()
	return c
}

func (c *capsTarget) pid() int { return c.cmd.Process.Pid }

func (c *capsTarget) line() string {
	c.t.Helper()
	if !c.out.Scan() {
		c.t.Fatalf("target ended: %v", c.out.Err())
	}
	return c.out.Text()
}

// do gives a command and returns the answer.
func (c *capsTarget) do(command string) string {
	c.t.Helper()
	fmt.Fprintln(c.in, command)
	return c.line()
}

// doPID is do where the answer is the ID of another process.
func (c *capsTarget) doPID(command string) int {
	c.t.Helper()
	pid, err := strconv.Atoi(c.do(command))
	if err != nil {
		c.t.Fatal(err)
	}
	return pid
}

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

// withoutFeatures lets a tracer do without features that the kernel has.
func withoutFeatures(names ...string) Option {
	return func(o *options) error { o.lack = names; return nil }
}

// forEachWay runs a test with all features that the kernel has, and without some
// of those: as on older kernels.
func forEachWay(t *testing.T, test func(t *testing.T, lack []string)) {
	seen := map[capabilities]bool{}
	all := probeCapabilities()
	for _, lack := range [][]string{
		nil,
		{"pidFilter"},                                    // Linux 6.6
		{"multi"},                                        // 6.0
		{"multi", "sleepable"},                           // 5.17
		{"multi", "sleepable", "loops"},                  // 5.15
		{"cookies", "sleepable", "loops"},                // 5.12
		{"cookies", "loops", "atomics"},                  // 5.8
		{"sleepable"}, {"loops"}, {"sleepable", "loops"}, // what may be backported otherwise
	} {
		if c := all.without(lack); !seen[c] {
			seen[c] = true
			t.Run("without "+strings.Join(lack, ","), func(t *testing.T) { test(t, lack) })
		}
	}
}

// traceOne returns the only call of a function, as text.
func traceOne(t *testing.T, target *capsTarget, fn, command string, opts ...Option) (arg, answer string) {
	t.Helper()
	n := 0
	tr, err := Trace(target.path, fn, func(c *Call) {
		n++
		arg = c.Arg(c.NumArgs() - 1).String()
	}, opts...)
	if err != nil {
		t.Fatalf("%+v", err)
	}
	answer = target.do(command)
	if err := tr.Close(); err != nil {
		t.Fatal(err)
	}
	if n != 1 {
		t.Fatalf("%d calls of %s", n, fn)
	}
	return arg, answer
}

// TestNotResident: sleepable programs read what other programs cannot, and those
// say so.
func TestNotResident(t *testing.T) {
	needRoot(t)
	target := startCaps(t, buildFixture(t, "caps"))
	forEachWay(t, func(t *testing.T, lack []string) {
		got, text := traceOne(t, target, "main.text", "text", withoutFeatures(lack...))
		want := strconv.Quote(text)
		c := probeCapabilities().without(lack)
		if c.sleepable != (got == want) || !c.sleepable && !strings.Contains(got, abi.NotResident.String()) {
			t.Errorf("a string on a page that is not there is %s, with %+v", got, c)
		}
	})
}

// TestLoops: without bpf_loop the elements of a slice are there, what they refer
// to is absent with the reason.
func TestLoops(t *testing.T) {
	needRoot(t)
	target := startCaps(t, buildFixture(t, "caps"))
	forEachWay(t, func(t *testing.T, lack []string) {
		got, _ := traceOne(t, target, "main.refs", "refs", withoutFeatures(lack...))
		c := probeCapabilities().without(lack)
		followed := strings.Contains(got, "X: 1") && strings.Contains(got, "X: 3")
		if c.loops != followed || !c.loops && strings.Count(got, abi.NeedsLoops.String()) != 2 {
			t.Errorf("a slice of two pointers is %s, with %+v", got, c)
		}
	})
}

// linkCut is a pointer that was not followed for want of loops.
var linkCut = regexp.MustCompile(`\(\*main\.link\)\(0x[0-9a-f]+ <` + regexp.QuoteMeta(abi.NeedsLoops.String()))

// TestWalkInEveryWay: a walk needs bpf_loop, and nothing else that not every
// kernel has. Without it four pointers are followed.
func TestWalkInEveryWay(t *testing.T) {
	needRoot(t)
	target := startCaps(t, buildFixture(t, "caps"))
	forEachWay(t, func(t *testing.T, lack []string) {
		c := probeCapabilities().without(lack)
		for _, n := range []int{1, 3, 20, 60} {
			got, _ := traceOne(t, target, "main.chain", fmt.Sprint("chain ", n), withoutFeatures(lack...), WithDepth(100))
			links, cut := strings.Count(got, "main.link{"), linkCut.MatchString(got)
			want := n
			if !c.loops {
				want = min(n, 4)
			}
			if links != want || cut != (want < n) {
				t.Errorf("of a chain of %d, %d links are there: %s, with %+v", n, links, got, c)
			}
		}
	})
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

// limitedVar says that this process may use BPF but not raise its limits.
const limitedVar = "ARGTAP_LIMITED"

// TestMemlock traces with the capabilities that tracing needs and no others,
// and little memory that may be locked: kernels before 5.11 count maps against
// that, and the error says so.
func TestMemlock(t *testing.T) {
	if path := os.Getenv(limitedVar); path != "" {
		tr, err := Trace(path, "main.hit", func(*Call) {})
		if err == nil {
			err = tr.Close()
		}
		fmt.Printf("memlock=%t ulimit=%t error=%v\n", errors.Is(err, ErrMemlock), err != nil && strings.Contains(err.Error(), "ulimit -l"), err)
		return
	}
	needRoot(t)
	// Somebody else must be able to read both files.
	dir, err := os.MkdirTemp("", "argtap-memlock-")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for name, from := range map[string]string{"caps": buildFixture(t, "caps"), "test": exe} {
		b, err := os.ReadFile(from)
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, name), b, 0o755)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	var old unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_MEMLOCK, &old); err != nil {
		t.Fatal(err)
	}
	if err := unix.Setrlimit(unix.RLIMIT_MEMLOCK, &unix.Rlimit{Cur: 64 << 10, Max: 64 << 10}); err != nil {
		t.Fatal(err)
	}
	defer unix.Setrlimit(unix.RLIMIT_MEMLOCK, &old)
	cmd := exec.Command(filepath.Join(dir, "test"), "-test.run=^TestMemlock$")
	cmd.Env = append(os.Environ(), limitedVar+"="+filepath.Join(dir, "caps"))
	cmd.Dir = dir
	const nobody = 65534
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Credential:  &syscall.Credential{Uid: nobody, Gid: nobody},
		AmbientCaps: []uintptr{capPerfmon, capBPF},
	}
	out, err := cmd.CombinedOutput()
	version, _ := kernelVersion(t)
	want := "memlock=false ulimit=false error=<nil>\n"
	level, _ := perfParanoid()
	switch {
	case version < 511:
		want = "memlock=true ulimit=true "
	case level > 2 && !probeCapabilities().multi:
		// Debian's kernels keep all perf events from all others than root.
		want = "kernel.perf_event_paranoid is 3, at which some kernels want CAP_SYS_ADMIN"
	}
	if err != nil || !strings.Contains(string(out), want) {
		t.Errorf("%v: %s; want %s", err, out, want)
	}
	t.Logf("%s", out)
}

// TestDetachTime logs how long it takes to attach to many functions, and to
// detach.
func TestDetachTime(t *testing.T) {
	needRoot(t)
	path := buildFixture(t, "caps")
	start := time.Now()
	// Perf events are detached one after another, at some 50 to 100 ms each.
	tr, err := Trace(path, "strconv.*", func(*Call) {}, WithPID(startCaps(t, path).pid()))
	if err != nil {
		t.Fatalf("%+v", err)
	}
	attached := time.Now()
	if err := tr.Close(); err != nil {
		t.Fatal(err)
	}
	t.Logf("%d functions: attached in %v, detached in %v", len(tr.Funcs()), attached.Sub(start), time.Since(attached))
}

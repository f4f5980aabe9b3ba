package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"reflect"
	"regexp"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/argtap/argtap/internal/fixture"
)

func canTrace() bool { return runtime.GOOS == "linux" && os.Geteuid() == 0 }

func needTrace(t *testing.T) {
	t.Helper()
	if !canTrace() {
		t.Skip("uprobes need Linux and privileges: run as root")
	}
}

func TestTraceJSON(t *testing.T) {
	needTrace(t)
	start := time.Now()
	r := argtap(t, "trace", "-json", built.target, "main.work", "main.(*server).*", "--", built.target, "-n", "40")
	want := announced(t, r, "main.work", "main.(*server).serve")
	if c := countsOf(t, r); r.code != 0 || c != (counts{calls: 80, delivered: 80}) || len(want) != 80 {
		t.Fatalf("status %d, %d calls announced, %+v", r.code, len(want), c)
	}
	lines := r.lines()
	if len(lines) != len(want) {
		t.Fatalf("%d lines, want %d", len(lines), len(want))
	}
	names := map[string]string{"main.work": "n s p b ok u", "main.(*server).serve": "s id"}
	types := map[string]string{
		"main.work":            "int string *main.point []uint8 bool []uint16",
		"main.(*server).serve": "*main.server uint16",
	}
	pid := 0
	for i, line := range lines {
		var got struct {
			Time      time.Time
			Func      string
			PID, TID  int
			Goroutine uint64
			Args      []struct {
				Name, Type, Absent string
				Value              any
			}
			Results, Stack any
		}
		dec := json.NewDecoder(strings.NewReader(line))
		dec.DisallowUnknownFields()
		if err := dec.Decode(&got); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		var n, ty []string
		var values []any
		for _, a := range got.Args {
			n, ty, values = append(n, a.Name), append(ty, a.Type), append(values, a.Value)
			if a.Absent != "" {
				t.Errorf("%s of call %d is absent: %s", a.Name, i, a.Absent)
			}
		}
		if got.Func != want[i].Func || !reflect.DeepEqual(values, want[i].Args) {
			t.Errorf("call %d is %s%v, the target says %s%v", i, got.Func, values, want[i].Func, want[i].Args)
		}
		if n, ty := strings.Join(n, " "), strings.Join(ty, " "); n != names[got.Func] || ty != types[got.Func] {
			t.Errorf("call %d has the parameters %s of the types %s", i, n, ty)
		}
		if pid == 0 {
			pid = got.PID
		}
		if got.PID != pid || got.PID == 0 || got.TID == 0 || got.Goroutine != 1 {
			t.Errorf("call %d: pid %d, tid %d, goroutine %d", i, got.PID, got.TID, got.Goroutine)
		}
		if got.Time.Before(start.Add(-time.Second)) || got.Time.After(time.Now().Add(time.Second)) {
			t.Errorf("call %d: at %v", i, got.Time)
		}
	}
}

func TestTraceText(t *testing.T) {
	needTrace(t)
	r := argtap(t, "trace", built.target, "main.work", "main.odd", "--", built.target, "-n", "2")
	want := `main.work(n=0, s="", p=&main.point{X: 0, Y: 0, Name: "p0", tag: [2]uint8{1, 0}}, b=[]uint8("\x00\x00\xff"), ok=true, u=[]uint16{})
main.work(n=1, s="ü\n", p=&main.point{X: 1, Y: -1, Name: "p1", tag: [2]uint8{1, 1}}, b=[]uint8("\x01\x00\xff"), ok=false, u=[]uint16{0})
main.odd(x=<register not readable>, v=main.pair{n: 3, f: <register not readable>}, err=`
	if r.code != 0 || !strings.HasPrefix(r.stdout, want) || len(r.lines()) != 3 {
		t.Errorf("status %d, output:\n%swant\n%s", r.code, r.stdout, want)
	}
	if c := countsOf(t, r); c != (counts{calls: 3, delivered: 3}) {
		t.Errorf("%+v", c)
	}
	if !strings.HasPrefix(r.stderr, "argtap: tracing 2 functions in every process that runs "+built.target+"\n") {
		t.Errorf("announcement:\n%s", r.stderr)
	}
}

func TestLimit(t *testing.T) {
	needTrace(t)
	for _, n := range []int{1, 7, 5000} {
		r := argtap(t, "trace", "-n", fmt.Sprint(n), built.target, "main.work", "--", built.target, "-n", "-1", "-quiet", "-pause", "10us")
		if c := countsOf(t, r); r.code != 0 || c.delivered != n || len(r.lines()) != n {
			t.Errorf("-n %d: status %d, %d lines, %s", n, r.code, len(r.lines()), r.lastLine())
		}
		for i, line := range r.lines() {
			if !strings.HasPrefix(line, fmt.Sprintf("main.work(n=%d, ", i)) {
				t.Fatalf("-n %d: line %d is %s", n, i, line)
			}
		}
	}
}

func TestCount(t *testing.T) {
	needTrace(t)
	r := argtap(t, "trace", "-count", built.target, "main.work", "--", built.target, "-n", "2000", "-quiet")
	if c := countsOf(t, r); r.code != 0 || r.stdout != "" || c != (counts{calls: 2000, delivered: 2000}) {
		t.Errorf("status %d, %+v, output %q", r.code, c, r.stdout)
	}
}

func TestDuration(t *testing.T) {
	needTrace(t)
	start := time.Now()
	r := argtap(t, "trace", "-duration", "300ms", built.target, "main.work", "--", built.target, "-n", "-1", "-quiet", "-pause", "1ms")
	took := time.Since(start)
	if c := countsOf(t, r); r.code != 0 || c.delivered == 0 || c.delivered != len(r.lines()) || c.lost != 0 {
		t.Errorf("status %d, %d lines, %s", r.code, len(r.lines()), r.lastLine())
	}
	if took < 300*time.Millisecond || took > 10*time.Second {
		t.Errorf("took %v", took)
	}
	// Without a command it ends too.
	if r := argtap(t, "trace", "-duration", "50ms", built.target, "main.work"); r.code != 0 || countsOf(t, r) != (counts{}) {
		t.Errorf("status %d\n%s", r.code, r.stderr)
	}
}

func TestCommandStatus(t *testing.T) {
	needTrace(t)
	for _, test := range []struct {
		command []string
		want    int
	}{
		{[]string{built.target}, 0},
		{[]string{built.target, "-exit", "7"}, 7},
		{[]string{built.target, "-suicide"}, 128 + 9},
		// The command need not be the binary, and not make any call.
		{[]string{"sh", "-c", built.target + " -exit 3; exit 4"}, 4},
		{[]string{"false"}, 1},
	} {
		r := argtap(t, append([]string{"trace", built.target, "main.work", "--"}, test.command...)...)
		if r.code != test.want {
			t.Errorf("%s: status %d, want %d\n%s", test.command, r.code, test.want, r.stderr)
		}
		want := 1
		if test.command[0] == "false" {
			want = 0
		}
		if c := countsOf(t, r); c.delivered != want || strings.Count(r.stdout, "\n") != want {
			t.Errorf("%s: %s, output:\n%s", test.command, r.lastLine(), r.stdout)
		}
	}
}

// TestPID traces one of two processes that run the binary.
func TestPID(t *testing.T) {
	needTrace(t)
	one := background(t, "-n", "-1", "-quiet", "-pause", "1ms")
	background(t, "-n", "-1", "-quiet", "-pause", "1ms")
	r := argtap(t, "trace", "-json", "-n", "50", "-p", fmt.Sprint(one.Process.Pid), built.target, "main.work")
	if r.code != 0 || len(r.lines()) != 50 {
		t.Errorf("status %d, %d lines\n%s", r.code, len(r.lines()), r.stderr)
	}
	for _, line := range r.lines() {
		if !strings.Contains(line, fmt.Sprintf(`"pid":%d,`, one.Process.Pid)) {
			t.Fatalf("call of another process: %s", line)
		}
	}
	// The end of the process is the end of the trace.
	s := start(t, "trace", "-p", fmt.Sprint(one.Process.Pid), built.target, "main.work")
	s.line()
	one.Process.Kill()
	if r := s.end(); r.code != 0 || countsOf(t, r).delivered == 0 {
		t.Errorf("status %d\n%s", r.code, r.stderr)
	}
}

func TestInterrupt(t *testing.T) {
	needTrace(t)
	background(t, "-n", "-1", "-quiet", "-pause", "1ms")
	for _, sig := range []os.Signal{os.Interrupt, syscall.SIGTERM} {
		s := start(t, "trace", built.target, "main.work")
		s.line()
		s.signal(sig)
		r := s.end()
		if c := countsOf(t, r); r.code != 0 || c.lost != 0 || c.delivered != 1+strings.Count(r.stdout, "\n") {
			t.Errorf("%v: status %d, %d lines, %s", sig, r.code, 1+strings.Count(r.stdout, "\n"), r.lastLine())
		}
	}
}

// TestInterruptCommand checks that the command learns of the interrupt, and
// that what it does then is still traced.
func TestInterruptCommand(t *testing.T) {
	needTrace(t)
	for _, sig := range []os.Signal{os.Interrupt, syscall.SIGTERM} {
		s := start(t, "trace", built.target, "main.(*server).close", "main.work", "--",
			built.target, "-polite", "-n", "-1", "-quiet", "-pause", "1ms")
		s.line()
		s.signal(sig)
		r := s.end()
		if want := `main.(*server).close(s=&main.server{name: "last"}, id=9)` + "\n"; !strings.Contains(r.stdout, want) {
			t.Errorf("%v: the last call was not traced:\n%s", sig, r.stdout)
		}
		if c := countsOf(t, r); r.code != 0 || c.delivered != 1+strings.Count(r.stdout, "\n") {
			t.Errorf("%v: status %d, %s", sig, r.code, r.lastLine())
		}
	}
}

// TestStubbornCommand ends a command that will not end by itself.
func TestStubbornCommand(t *testing.T) {
	needTrace(t)
	begin := time.Now()
	r := argtap(t, "trace", "-n", "1", built.target, "main.work", "--", "sh", "-c",
		`trap "" TERM INT; `+built.target+` -quiet; while :; do sleep 0.1; done`)
	if r.code != 0 || len(r.lines()) != 1 || time.Since(begin) > 20*time.Second {
		t.Errorf("status %d after %v\n%s%s", r.code, time.Since(begin), r.stdout, r.stderr)
	}
}

// TestClosedOutput reads the first line only, as head -1 does.
func TestClosedOutput(t *testing.T) {
	needTrace(t)
	background(t, "-n", "-1", "-quiet", "-pause", "100us")
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(built.argtap, "trace", built.target, "main.work")
	var stderr strings.Builder
	cmd.Stdout, cmd.Stderr = w, &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	w.Close()
	line, err := bufio.NewReader(r).ReadString('\n')
	if err != nil || !strings.HasPrefix(line, "main.work(n=") {
		t.Errorf("first line %q: %v", line, err)
	}
	r.Close()
	timer := time.AfterFunc(runLimit, func() { cmd.Process.Kill() })
	defer timer.Stop()
	if err := cmd.Wait(); err != nil {
		t.Errorf("%v\n%s", err, stderr.String())
	}
	countsOf(t, result{stderr: stderr.String()})
}

// TestReplaced replaces the binary while it is traced.
func TestReplaced(t *testing.T) {
	needTrace(t)
	dir := t.TempDir()
	binary := fixture.Copy(t, built.target, dir, "target")
	s := start(t, "trace", binary, "main.work")
	if err := os.Rename(fixture.Copy(t, built.target, dir, "new"), binary); err != nil {
		t.Fatal(err)
	}
	r := s.end()
	if r.code != 1 || !strings.Contains(r.stderr, "argtap: "+binary+": binary was replaced") || countsOf(t, r) != (counts{}) {
		t.Errorf("status %d\n%s", r.code, r.stderr)
	}
}

// TestLeftOut traces a pattern that selects functions which cannot be traced.
func TestLeftOut(t *testing.T) {
	needTrace(t)
	inspected := argtap(t, "inspect", built.target, "runtime.*.abi0")
	_, total, _ := strings.Cut(inspected.stdout, "\ntotal: ")
	var functions, traced int
	if _, err := fmt.Sscanf(total, "%d functions, %d can be traced", &functions, &traced); err != nil || functions == traced {
		t.Fatalf("no function of the pattern is left out: %v\n%s", err, inspected.stdout)
	}
	r := argtap(t, "trace", "-duration", "10ms", built.target, "runtime.*.abi0")
	for _, want := range []string{
		fmt.Sprintf("argtap: tracing %d functions in ", traced),
		fmt.Sprintf("argtap: cannot trace %d of the functions: ", functions-traced),
	} {
		if !strings.Contains(r.stderr, want) {
			t.Errorf("standard error lacks %q:\n%s", want, r.stderr)
		}
	}
}

// TestLeftOutWrappers: of a wrapper it is not said that it cannot be traced, when all of
// its calls are seen as those of its method.
func TestLeftOutWrappers(t *testing.T) {
	needTrace(t)
	r := argtap(t, "trace", "-duration", "10ms", built.target, "reflect.*")
	if !strings.Contains(r.stderr, " of the functions are wrappers of methods, traced as calls of these\n") || strings.Contains(r.stderr, "cannot trace") {
		t.Error(r.stderr)
	}
}

func TestTraceErrors(t *testing.T) {
	needTrace(t)
	other := exec.Command("sleep", "60")
	if err := other.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { other.Process.Kill(); other.Wait() }()
	gone := exec.Command("true")
	if err := gone.Run(); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name string
		args []string
		want []string
	}{
		{"near miss", []string{built.target, "main.wrok"}, []string{"no such function", "did you mean main.work"}},
		{"second function", []string{built.target, "main.work", "main.nothing"}, []string{"main.nothing", "no such function"}},
		{"pattern", []string{built.target, "nothing.*"}, []string{"nothing.*", "no such function"}},
		{"inlined", []string{built.target, "main.tiny"}, []string{"main.tiny", "inlined everywhere"}},
		{"wrong process", []string{"-p", fmt.Sprint(other.Process.Pid), built.target, "main.work"},
			[]string{fmt.Sprint(other.Process.Pid), "does not run the binary"}},
		{"no process", []string{"-p", fmt.Sprint(gone.Process.Pid), built.target, "main.work"}, []string{"no such process"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := argtap(t, append([]string{"trace"}, test.args...)...)
			wantError(t, r, test.want...)
			if regexp.MustCompile(`0x[0-9a-f]{16}`).MatchString(r.stderr) {
				t.Errorf("message has a pointer in it: %s", r.stderr)
			}
		})
	}
}

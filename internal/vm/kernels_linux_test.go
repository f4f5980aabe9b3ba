package vm

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/argtap/argtap/internal/matrix"
)

// kernelsVar lists the kernels to boot, "5.10/amd64,6.1/arm64"; "all" is every
// kernel for both architectures. Without it none is booted: kernels are
// downloaded, and take a minute each.
const kernelsVar = "ARGTAP_KERNELS"

// kernels are those to boot.
func kernels(t *testing.T) [][2]string {
	t.Helper()
	var list [][2]string
	s := os.Getenv(kernelsVar)
	if s == "all" {
		for _, arch := range []string{"amd64", "arm64"} {
			for _, name := range Names() {
				list = append(list, [2]string{name, arch})
			}
		}
		return list
	}
	for f := range strings.SplitSeq(s, ",") {
		if f = strings.TrimSpace(f); f == "" {
			continue
		}
		name, arch, ok := strings.Cut(f, "/")
		if !ok {
			t.Fatalf("%s: %q is not KERNEL/ARCHITECTURE", kernelsVar, f)
		}
		list = append(list, [2]string{name, arch})
	}
	return list
}

// goBuild runs the go command to build something static for an architecture.
func goBuild(t *testing.T, arch string, args ...string) {
	t.Helper()
	cmd := exec.Command("go", args...)
	cmd.Env = append(os.Environ(), "GOOS=linux", "GOARCH="+arch, "CGO_ENABLED=0", "GOFLAGS=-buildvcs=false", "GOTOOLCHAIN=local")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("go %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

// TestKernels boots the kernels and runs the checks on each.
func TestKernels(t *testing.T) {
	list := kernels(t)
	if len(list) == 0 {
		t.Logf("no kernel to boot: %s names some, such as %q", kernelsVar, "5.10/amd64,sid/arm64")
		return
	}
	for i, k := range list {
		name, arch := k[0], k[1]
		t.Run(name+"/"+arch, func(t *testing.T) {
			k, err := Fetch(t.Context(), name, arch, os.Stderr)
			if err != nil {
				t.Fatal(err)
			}
			t.Run("guest", func(t *testing.T) { testGuest(t, k) })
			if i == 0 { // nothing of this depends on the kernel
				t.Run("end", func(t *testing.T) { testEnd(t, k) })
			}
			t.Run("uprobe", func(t *testing.T) { testUprobe(t, k) })
			t.Run("programs", func(t *testing.T) { testPrograms(t, k) })
			for _, set := range []string{"values", "calls", "unoptimised"} {
				t.Run(set, func(t *testing.T) { testPrebuilt(t, k, set) })
			}
		})
	}
}

// testGuest looks at a guest from inside, and requires its output and status.
func testGuest(t *testing.T, k *Kernel) {
	dir := write(t, map[string]string{"sub/file": "a file of the host"})
	app := filepath.Join(dir, "guest")
	goBuild(t, k.Arch, "build", "-o", app, "./testdata/guest")
	var out, errs bytes.Buffer
	c := Config{
		Kernel: k, Files: map[string]string{"/app": app, "/data": dir}, Args: []string{"/app", "facts", "a b", ""},
		Env: []string{"GUEST=yes"}, Dir: "/run/here", CPUs: 3, Stdout: &out, Stderr: &errs, Timeout: 3 * time.Minute,
	}
	status, err := Run(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	var f struct {
		Release, Arch, Dir, Data, Env, Loopback string
		Args, Mounts                            []string
		CPUs, PID                               int
	}
	if err := json.Unmarshal(out.Bytes(), &f); err != nil {
		t.Fatalf("%v: %q, %q", err, out.String(), errs.String())
	}
	if status != 7 || errs.String() != "that is all\n" {
		t.Errorf("status %d, standard error %q", status, errs.String())
	}
	if f.Release != k.Release || f.Arch != k.Arch || f.Dir != "/run/here" || f.Data != "a file of the host" || f.Env != "yes" ||
		f.Loopback != "<nil>" || !slices.Equal(f.Args, []string{"a b", ""}) || f.CPUs != 3 || f.PID == 1 {
		t.Errorf("%+v", f)
	}
	for _, m := range []string{"/proc", "/sys", "/dev", "/tmp", "/sys/kernel/tracing", "/sys/kernel/debug"} {
		if !slices.Contains(f.Mounts, m) {
			t.Errorf("nothing is mounted on %s: %q", m, f.Mounts)
		}
	}

	// A program that is not static, with the C library.
	out.Reset()
	errs.Reset()
	goBuild(t, k.Arch, "build", "-buildmode=pie", "-o", app, "./testdata/guest")
	libraries, err := Libraries(t.Context(), k.Arch, os.Stderr)
	if err != nil {
		t.Fatal(err)
	}
	maps.Copy(c.Files, libraries)
	c.Args = []string{"/app", "output"}
	if status, err := Run(t.Context(), c); status != 0 || err != nil {
		t.Errorf("status %d, %v", status, err)
	}
	var wantOut, wantErr strings.Builder
	for i := range 20000 {
		fmt.Fprintln(&wantOut, "stdout", i, "[    1.0] kernel: message")
		if i%4 == 0 {
			fmt.Fprintln(&wantErr, "stderr", i)
		}
	}
	wantOut.WriteString("\x00\x01\x02\xff\r\nx")
	if out.String() != wantOut.String() || errs.String() != wantErr.String() {
		t.Errorf("%d and %d bytes of output, want %d and %d", out.Len(), errs.Len(), wantOut.Len(), wantErr.Len())
	}
}

// testEnd ends guests in all kinds of ways, after which nothing may be left.
func testEnd(t *testing.T, k *Kernel) {
	app := filepath.Join(t.TempDir(), "guest")
	goBuild(t, k.Arch, "build", "-o", app, "./testdata/guest")
	tmp := t.TempDir()
	t.Setenv("TMPDIR", tmp)
	run := func(ctx context.Context, timeout time.Duration, args ...string) (status int, out string, err error) {
		var b bytes.Buffer
		status, err = Run(ctx, Config{
			Kernel: k, Files: map[string]string{"/app": app}, Args: args, Stdout: &b, Timeout: timeout, Memory: 512, CPUs: 1,
		})
		left, gerr := filepath.Glob(filepath.Join(tmp, "argtap-vm-*"))
		if len(left) != 0 || gerr != nil {
			t.Errorf("%q: left behind: %q, %v", args, left, gerr)
		}
		return status, b.String(), err
	}
	if status, _, err := run(t.Context(), 3*time.Minute, "/app", "kill"); status != 128+9 || err != nil {
		t.Errorf("killed: status %d, %v", status, err)
	}
	if status, _, err := run(t.Context(), 3*time.Minute, "/app", "orphan"); status != 0 || err != nil {
		t.Errorf("a process was left: status %d, %v", status, err)
	}
	var guest *Error
	if _, _, err := run(t.Context(), 3*time.Minute, "/none"); !errors.As(err, &guest) || !strings.Contains(err.Error(), "/none") {
		t.Errorf("no such program: %v", err)
	}
	_, out, err := run(t.Context(), 3*time.Minute, "/app", "crash")
	if !errors.As(err, &guest) || !strings.Contains(guest.Console, "Kernel panic") || out != "crashing\n" {
		t.Errorf("a crash: output %q, error %v", out, err)
	}
	if _, _, err := run(t.Context(), 20*time.Second, "/app", "sleep"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("time is over: %v", err)
	}
	stop := errors.New("enough")
	ctx, cancel := context.WithCancelCause(t.Context())
	time.AfterFunc(10*time.Second, func() { cancel(stop) })
	if _, _, err := run(ctx, 3*time.Minute, "/app", "sleep"); !errors.Is(err, stop) {
		t.Errorf("cancelled: %v", err)
	}
}

// runTests runs tests of another package in a guest, and requires that some of
// them passed and none was skipped. It returns their output.
func runTests(t *testing.T, k *Kernel, pkg, pattern string, files map[string]string, env ...string) string {
	t.Helper()
	// Programs are then preempted wherever they may be.
	return runTestsWith(t, k, "preempt=full", pkg, pattern, files, env...)
}

// runTestsWith is runTests with arguments for the kernel.
func runTestsWith(t *testing.T, k *Kernel, kernelArgs, pkg, pattern string, files map[string]string, env ...string) string {
	t.Helper()
	bin := filepath.Join(t.TempDir(), "package.test")
	goBuild(t, k.Arch, "test", "-c", "-o", bin, pkg)
	const dir = "/run/vm"
	all := map[string]string{path.Join(dir, "package.test"): bin}
	for guest, host := range files {
		all[path.Join(dir, guest)] = host
	}
	var out bytes.Buffer
	status, err := Run(t.Context(), Config{
		Kernel: k, Files: all, Dir: dir, Env: append(env, "CI=true"),
		Append: kernelArgs,
		Args:   []string{path.Join(dir, "package.test"), "-test.v", "-test.short", "-test.timeout=8m", "-test.run=" + pattern},
		Stdout: &out, Stderr: &out,
	})
	if err != nil {
		t.Fatalf("%v\n%s", err, out.String())
	}
	if status != 0 || !strings.Contains(out.String(), "\n--- PASS") || strings.Contains(out.String(), "--- SKIP") {
		t.Errorf("status %d\n%s", status, out.String())
	}
	for line := range strings.Lines(out.String()) {
		if text := strings.TrimSpace(line); !strings.HasPrefix(text, "=== ") && !strings.HasPrefix(text, "--- PASS") {
			t.Log(text)
		}
	}
	return out.String()
}

// testUprobe runs the tests of package uprobe about what kernels can do.
func testUprobe(t *testing.T, k *Kernel) {
	dir := t.TempDir()
	goBuild(t, k.Arch, "build", "-o", filepath.Join(dir, "uprobe-caps"), "../../uprobe/testdata/caps")
	runTests(t, k, "../../uprobe", "^(TestCapabilities|TestThreadBase|TestPIDFilter|TestPIDNamespace|TestSeveralInEveryWay|TestCgroupInEveryWay|TestProcessesInEveryWay|TestNotResident|TestLoops|TestMemlock|TestConcurrentHits|TestDetachTime|TestThrottle|TestBudgetPauses|TestFuncStats)$",
		map[string]string{"fixtures": dir}, "ARGTAP_FIXTURES=/run/vm/fixtures", "ARGTAP_KERNEL_EXACT=1")
}

// testPrograms has the kernel load generated programs.
func testPrograms(t *testing.T, k *Kernel) {
	runTests(t, k, "../probegen", "^TestVerifier", nil)
}

// releasesVar lists the releases of Go that build the programs of testPrebuilt.
const releasesVar = "ARGTAP_RELEASES"

// testPrebuilt traces programs of which all is compared with what they print, by
// package e2e, built by an old release and by the newest: a set of its TestPrebuilt.
func testPrebuilt(t *testing.T, k *Kernel, set string) {
	releases := os.Getenv(releasesVar)
	if releases == "" {
		releases = "1.16.15,1.27.4"
	}
	dir := t.TempDir()
	cmd := exec.Command("go", "test", "-count=1", "-run=^TestPrebuild$", "../e2e")
	cmd.Env = append(os.Environ(), fmt.Sprintf("ARGTAP_PREBUILD=%s:%s:%s:%s", k.Arch, set, releases, dir))
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %v\n%s", cmd, err, out)
	}
	preempt := "preempt=full"
	if set != "values" {
		// A return that the kernel passes over because its program has been preempted
		// is counted, and so is what depends on it: TestStorm is about that. Here each
		// call is to be seen.
		preempt = ""
	}
	out := runTestsWith(t, k, preempt, "../e2e", "^TestPrebuilt$", map[string]string{"programs": dir}, "ARGTAP_PREBUILT=/run/vm/programs")
	lines := compared(t, k, releases, out)
	if len(lines) == 0 {
		t.Error("nothing was compared")
	}
	if os.Getenv(recordVar) != "1" || t.Failed() {
		return
	}
	if err := matrix.RecordCompared("../../docs/kernels.jsonl", lines); err != nil {
		t.Error(err)
	}
}

// recordVar has how many calls were compared recorded, for the table in README.md.
const recordVar = "ARGTAP_RECORD"

// attribute is what TestPrebuilt tells of a program: how many calls it compared.
var attribute = regexp.MustCompile(`(?m)^=== ATTR +TestPrebuilt/(\w+)-(\d+)\S* compared (\d+)$`)

// compared is how many calls of each program were compared.
func compared(t *testing.T, k *Kernel, releases, out string) (lines []matrix.Compared) {
	kernel := strings.Join(strings.SplitN(k.Release, ".", 3)[:2], ".")
	for _, m := range attribute.FindAllStringSubmatch(out, -1) {
		c := matrix.Compared{Kernel: kernel, Arch: k.Arch, Program: m[1]}
		for release := range strings.SplitSeq(releases, ",") {
			if strings.HasPrefix(release, "1."+m[2]+".") {
				c.Release = release
			}
		}
		n, err := strconv.Atoi(m[3])
		if err != nil {
			t.Fatal(err)
		}
		same := func(o matrix.Compared) bool { return o.Release == c.Release && o.Program == c.Program }
		i := slices.IndexFunc(lines, same)
		if i < 0 {
			i, lines = len(lines), append(lines, c)
		}
		lines[i].Calls += n
	}
	return lines
}

// TestCompared reads what a test tells.
func TestCompared(t *testing.T) {
	out := "=== RUN   TestPrebuilt/panics_noopt-16\n=== ATTR  TestPrebuilt/panics_noopt-16 compared 3000\n    x.go:1: some text\n" +
		"=== ATTR  TestPrebuilt/aggregates-27/too_many compared 2\n=== ATTR  TestPrebuilt/aggregates-27/fib compared 40\n" +
		"=== ATTR  TestOther/aggregates-27 compared 5\n"
	got := compared(t, &Kernel{Release: "6.12.9-cloud", Arch: "arm64"}, "1.16.15,1.27.4", out)
	want := []matrix.Compared{
		{Kernel: "6.12", Arch: "arm64", Release: "1.16.15", Program: "panics_noopt", Calls: 3000},
		{Kernel: "6.12", Arch: "arm64", Release: "1.27.4", Program: "aggregates", Calls: 42},
	}
	if !slices.Equal(got, want) {
		t.Errorf("%+v, want %+v", got, want)
	}
}

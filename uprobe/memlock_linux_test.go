package uprobe

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

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
	var old unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_MEMLOCK, &old); err != nil {
		t.Fatal(err)
	}
	if err := unix.Setrlimit(unix.RLIMIT_MEMLOCK, &unix.Rlimit{Cur: 64 << 10, Max: 64 << 10}); err != nil {
		t.Fatal(err)
	}
	defer unix.Setrlimit(unix.RLIMIT_MEMLOCK, &old)
	out, err := asNobody(t, buildFixture(t, "caps"), func(caps string) string { return limitedVar + "=" + caps })
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

// asNobody runs the test that calls it in a process of another user, with the
// capabilities that tracing needs and no others, and returns its output. env makes an
// environment variable of the path of a copy of the program that such a process can read.
func asNobody(t *testing.T, program string, env func(path string) string) ([]byte, error) {
	t.Helper()
	// Somebody else must be able to read both files: not below t.TempDir.
	dir, err := os.MkdirTemp("", "argtap-nobody-")
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
	for name, from := range map[string]string{"caps": program, "test": exe} {
		b, err := os.ReadFile(from)
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, name), b, 0o755)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command(filepath.Join(dir, "test"), "-test.run=^"+t.Name()+"$")
	cmd.Env = append(os.Environ(), env(filepath.Join(dir, "caps")))
	cmd.Dir = dir
	const nobody = 65534
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Credential:  &syscall.Credential{Uid: nobody, Gid: nobody},
		AmbientCaps: []uintptr{capPerfmon, capBPF},
	}
	return cmd.CombinedOutput()
}

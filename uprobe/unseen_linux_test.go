package uprobe

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// unseenVar has the process that may not be looked at, and the paths of what it runs
// and does not, for the tracer of TestUnseen.
const unseenVar = "ARGTAP_UNSEEN"

// TestUnseen traces a process of another user, without the capability to look at it:
// that it cannot be seen what it runs is said at once, and what cannot be traced at all
// is an error.
func TestUnseen(t *testing.T) {
	if v := os.Getenv(unseenVar); v != "" {
		fields := strings.Fields(v)
		pid, _ := strconv.Atoi(fields[0])
		for _, path := range append(fields[1:], "") {
			var log bytes.Buffer
			tr, err := Trace(path, "main.hit", func(*Call) {}, WithPID(pid), WithLogger(slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelWarn}))))
			if err == nil {
				err = tr.Close()
			}
			fmt.Printf("%q: warned=%t permission=%t error=%v\n", filepath.Base(path), strings.Contains(log.String(), "CAP_SYS_PTRACE"), errors.Is(err, ErrPermission), err)
			fmt.Print(log.String())
		}
		for _, p := range allProcesses() {
			if runsNothing(p) {
				_, err := Trace(fields[1], "main.hit", func(*Call) {}, WithPID(p))
				fmt.Printf("thread: %t\n", errors.Is(err, ErrWrongProcess))
				break
			}
		}
		return
	}
	needRoot(t)
	target := startCaps(t, buildFixture(t, "caps")) // of root
	dir, err := os.MkdirTemp("", "argtap-unseen-")
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
	for name, from := range map[string]string{"caps": target.path, "test": exe} {
		b, err := os.ReadFile(from)
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, name), b, 0o755)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command(filepath.Join(dir, "test"), "-test.run=^TestUnseen$")
	cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%d %s", unseenVar, target.pid(), filepath.Join(dir, "caps")))
	cmd.Dir = dir
	const nobody = 65534
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Credential: &syscall.Credential{Uid: nobody, Gid: nobody}, AmbientCaps: []uintptr{capPerfmon, capBPF},
	}
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	for _, want := range []string{`"caps": warned=true`, `".": warned=false permission=true error=process`} {
		if !strings.Contains(string(out), want) {
			t.Errorf("%s; want %s", out, want)
		}
	}
	if strings.Contains(string(out), "thread: false") {
		t.Errorf("a kernel thread is no error: %s", out)
	}
	t.Logf("%s", out)
}

package uprobe

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
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
	out, err := asNobody(t, target.path, func(caps string) string { return fmt.Sprintf("%s=%d %s", unseenVar, target.pid(), caps) })
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

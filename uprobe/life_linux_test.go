package uprobe

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"
)

func needRoot(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		if os.Getenv("CI") != "" {
			t.Fatal("must run as root")
		}
		t.Skip("tracing needs root")
	}
}

// ends waits for the end of a tracer.
func ends(t *testing.T, tr *Tracer) error {
	t.Helper()
	select {
	case <-tr.Done():
	case <-time.After(20 * time.Second):
		t.Fatal("the tracer does not end")
	}
	return tr.Wait()
}

// TestHandlerExit: a handler that ends its goroutine ends the tracer, and says
// so.
func TestHandlerExit(t *testing.T) {
	needRoot(t)
	target := startBench(t, "bench")
	tr, err := Trace(target.path, "main.one", func(*Call) { runtime.Goexit() })
	if err != nil {
		t.Fatal(err)
	}
	target.run("one", 1)
	if err := ends(t, tr); !errors.Is(err, ErrHandlerExit) {
		t.Errorf("error %v, want %v", err, ErrHandlerExit)
	}
}

// TestRetargetedLink: a link on the way to the file that is made to lead
// elsewhere is noticed, though nothing happens to the file.
func TestRetargetedLink(t *testing.T) {
	needRoot(t)
	path := buildFixture(t, "bench")
	dir := t.TempDir()
	link := filepath.Join(dir, "current")
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, release := range []string{"one", "two"} {
		if err := os.Mkdir(filepath.Join(dir, release), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, release, "app"), data, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("one", link); err != nil {
		t.Fatal(err)
	}
	tr, err := Trace(filepath.Join(link, "app"), "main.one", func(*Call) {})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("two", link+".new"); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(link+".new", link); err != nil {
		t.Fatal(err)
	}
	if err := ends(t, tr); !errors.Is(err, ErrBinaryReplaced) {
		t.Errorf("error %v, want %v", err, ErrBinaryReplaced)
	}
}

// TestKernelThread: a process that runs no file does not run this one.
func TestKernelThread(t *testing.T) {
	needRoot(t)
	path := buildFixture(t, "bench")
	tr, err := Trace(path, "main.one", func(*Call) {}, WithPID(2))
	if !errors.Is(err, ErrWrongProcess) {
		t.Errorf("error %v, want %v", err, ErrWrongProcess)
	}
	if tr != nil {
		tr.Close()
	}
}

// TestSmallBuffer: a buffer in which no record fits is an error, not a loss of
// every call.
func TestSmallBuffer(t *testing.T) {
	needRoot(t)
	path := buildFixture(t, "bench")
	if tr, err := Trace(path, "main.huge", func(*Call) {}, WithBufferSize(4096)); err == nil {
		tr.Close()
		t.Error("no error")
	}
}

package e2e

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/argtap/argtap/internal/fixture"
	"github.com/argtap/argtap/uprobe"
)

// TestProcessErrors provokes the errors of naming a process.
func TestProcessErrors(t *testing.T) {
	needRoot(t)
	path := fixture.Build(t, fixture.Source{"main.go": countedCalls})
	other := fixture.Build(t, fixture.Source{"main.go": ownPID})
	target := fixture.Start(t, path, "CALLS=1")
	sh := shell(t)
	fds := openFiles(t)
	for _, tt := range []struct {
		name, path string
		pid        int
		is         error
		want       []string
	}{
		{"another program", other, target.PID, uprobe.ErrWrongProcess, []string{"it runs " + path, "not " + other, "leave the path out"}},
		{"no such path", "/does/not/exist", target.PID, os.ErrNotExist, []string{"/does/not/exist", "runs " + path}},
		{"kernel thread", "", 2, uprobe.ErrWrongProcess, []string{"process 2", "kernel thread"}},
		{"no process", "", 1 << 28, uprobe.ErrNoProcess, []string{fmt.Sprint(1 << 28)}},
		{"no Go program", "", sh, nil, []string{"main.hit"}},
	} {
		tr, err := uprobe.Trace(tt.path, "main.hit", func(*uprobe.Call) {}, uprobe.WithPID(tt.pid))
		if err == nil {
			tr.Close()
			t.Errorf("%s: no error", tt.name)
			continue
		}
		t.Log(err)
		if tt.is != nil && !errors.Is(err, tt.is) {
			t.Errorf("%s: %v is not %v", tt.name, err, tt.is)
		}
		for _, want := range tt.want {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %v does not say %s", tt.name, err, want)
			}
		}
	}
	eventually(t, "no file is left open", func() bool { return openFiles(t) <= fds })
}

// shell starts a program that was not built by Go, and returns its process ID.
func shell(t *testing.T) int {
	t.Helper()
	cmd := helper(t, "")
	cmd.Path, cmd.Args = "/bin/sh", []string{"sh", "-c", "read line"}
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { in.Close(); cmd.Wait() })
	return cmd.Process.Pid
}

// helpPID traces a process of which nothing else is known.
func helpPID(args []string) error {
	pid, err := strconv.Atoi(args[0])
	if err != nil {
		return err
	}
	tr, err := uprobe.Trace("", "main.hit", func(*uprobe.Call) {}, uprobe.WithPID(pid))
	if err == nil {
		tr.Close()
	}
	fmt.Printf("%v\n%v\n", errors.Is(err, uprobe.ErrPermission), err)
	return nil
}

// TestProcessPermission names a process as somebody who may not look at it.
func TestProcessPermission(t *testing.T) {
	needRoot(t)
	target := fixture.Start(t, fixture.Build(t, fixture.Source{"main.go": countedCalls}), "CALLS=1")
	dir, err := os.MkdirTemp("", "argtap-e2e-") // unlike t.TempDir's, one that others may be let into
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	cmd := helper(t, "pid", strconv.Itoa(target.PID))
	cmd.Path, cmd.Dir = fixture.Copy(t, cmd.Path, dir, "helper"), "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if is, text, _ := strings.Cut(string(out), "\n"); is != "true" || !strings.Contains(text, "CAP_SYS_PTRACE") {
		t.Errorf("error %s", text)
	}
}

// TestEndsMeanwhile kills processes while they are attached to: that is an error that
// says so, or the tracer ends as it does with its process; and nothing is left.
func TestEndsMeanwhile(t *testing.T) {
	needRoot(t)
	path := fixture.Build(t, fixture.Source{"main.go": countedCalls, "doc.go": "package main // killed"})
	r := rand.New(rand.NewPCG(1, 2))
	failed, ended := 0, 0
	start := time.Now()
	first := fixture.Start(t, path, "CALLS=1")
	closeAll(t, trace(t, path, []string{"main.hit"}, func(*uprobe.Call) {}, uprobe.WithPID(first.PID)))
	took := time.Since(start)
	for round := range 8 {
		target := fixture.Start(t, path, "CALLS=1")
		opts := []uprobe.Option{uprobe.WithPID(target.PID)}
		if round%2 == 1 {
			opts = append(opts, uprobe.WithResults(), uprobe.WithProcesses(func(uprobe.ProcessEvent) {}))
		}
		kill := time.AfterFunc(time.Duration(r.Int64N(int64(took*2))), func() { target.Cmd.Process.Kill() })
		start := time.Now()
		tr, err := uprobe.Trace(path, "main.hit", func(*uprobe.Call) {}, opts...)
		if err == nil {
			took = time.Since(start)
		}
		switch {
		case err == nil:
			ended++
			select {
			case <-tr.Done():
			case <-time.After(15 * time.Second):
				t.Error("the tracer goes on without its process")
			}
			if err := tr.Close(); err != nil {
				t.Error(err)
			}
		case errors.Is(err, uprobe.ErrNoProcess), errors.Is(err, uprobe.ErrWrongProcess):
			failed++
		default:
			t.Errorf("error %v", err)
		}
		kill.Stop()
		target.Kill()
	}
	t.Logf("%d attached, %d failed", ended, failed)
	if failed == 0 {
		t.Error("none was killed while it was attached to")
	}
	eventually(t, "no link is left", func() bool { return linksTo(t, path) == 0 })
}

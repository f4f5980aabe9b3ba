package e2e

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/argtap/argtap/internal/fixture"
	"github.com/argtap/argtap/uprobe"
)

const errorsProgram = `package main

import (
	"os"

	"fixture/truth"
)

//go:noinline
func computeE(iterations int64) float64 { return float64(iterations) }

func tiny(n int) int { return n + 1 }

func main() {
	truth.Start()
	computeE(int64(tiny(os.Getpid())))
	truth.Done()
}
`

// TestErrors provokes errors, by name of the sentinel that they are.
func TestErrors(t *testing.T) {
	needRoot(t)
	src := fixture.Source{"main.go": errorsProgram}
	path := fixture.Build(t, src)
	dir := t.TempDir()
	write := func(name, text string) string {
		p := filepath.Join(dir, name)
		if err := os.WriteFile(p, []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
		return p
	}
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	gone := exec.Command("true")
	if err := gone.Run(); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name string
		path string
		fn   string
		opts []uprobe.Option
		want error  // nil: any
		text string // that the message must contain
	}{
		{"no such file", filepath.Join(dir, "absent"), "main.computeE", nil, fs.ErrNotExist, filepath.Join(dir, "absent")},
		{"empty file", write("empty", ""), "main.computeE", nil, uprobe.ErrNotELF, "empty"},
		{"script", write("script", "#!/bin/sh\necho\n"), "main.computeE", nil, uprobe.ErrNotELF, "script"},
		{"text", write("text", strings.Repeat("text ", 1000)), "main.computeE", nil, uprobe.ErrNotELF, ""},
		{"directory", dir, "main.computeE", nil, nil, dir},
		{"cut off", write("cut", string(whole[:5000])), "main.computeE", nil, nil, "cut"},
		{"arm64", fixture.Build(t, src, "GOARCH=arm64"), "main.computeE", nil, uprobe.ErrArch, "arm64"},
		{"no such function", path, "main.computE", nil, uprobe.ErrNoFunc, "main.computeE"},
		{"other case", path, "main.computee", nil, uprobe.ErrNoFunc, "main.computeE"},
		{"package missing", path, "computeE", nil, uprobe.ErrNoFunc, "main.computeE"},
		{"empty name", path, "", nil, nil, ""},
		{"no match", path, "main.nothing*", nil, uprobe.ErrNoFunc, "main.nothing*"},
		{"second function", path, "main.computeE", []uprobe.Option{uprobe.WithFuncs("main.none")}, uprobe.ErrNoFunc, "main.none"},
		{"inlined", path, "main.tiny", nil, uprobe.ErrInlined, "main.tiny"},
		{"wrong signature", fixture.Build(t, src, "-ldflags=-s -w"), "main.computeE", []uprobe.Option{uprobe.WithSignature("func(n string)")}, uprobe.ErrSignature, "func(n string)"},
		{"malformed signature", fixture.Build(t, src, "-ldflags=-s -w"), "main.computeE", []uprobe.Option{uprobe.WithSignature("func(n strin)")}, uprobe.ErrSignature, "strin"},
		{"no such process", path, "main.computeE", []uprobe.Option{uprobe.WithPID(gone.Process.Pid)}, uprobe.ErrNoProcess, fmt.Sprint(gone.Process.Pid)},
		{"other process", path, "main.computeE", []uprobe.Option{uprobe.WithPID(os.Getpid())}, uprobe.ErrWrongProcess, fmt.Sprint(os.Getpid())},
		{"negative process", path, "main.computeE", []uprobe.Option{uprobe.WithPID(-1)}, nil, ""},
		{"buffer size", path, "main.computeE", []uprobe.Option{uprobe.WithBufferSize(-1)}, nil, ""},
	}
	target := fixture.Start(t, path)
	fds := openFiles(t)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tr, err := uprobe.Trace(tt.path, tt.fn, func(*uprobe.Call) {}, tt.opts...)
			if err == nil {
				tr.Close()
				t.Fatal("no error")
			}
			t.Log(err)
			if tt.want != nil && !errors.Is(err, tt.want) {
				t.Errorf("error %q is not %q", err, tt.want)
			}
			if !strings.Contains(err.Error(), tt.text) {
				t.Errorf("error %q does not say %q", err, tt.text)
			}
			if n := linksTo(t, tt.path); n != 0 {
				t.Errorf("%d links are left", n)
			}
			if n := patched(t, target.PID, path, path); n != 0 {
				t.Errorf("%d bytes of code are left patched", n)
			}
			if n := openFiles(t); n != fds {
				t.Errorf("%d files are open, %d were before", n, fds)
				fds = n
			}
		})
	}
	if tr, err := uprobe.Trace(path, "main.computeE", nil); err == nil {
		tr.Close()
		t.Error("no error without a handler")
	}
}

// openFiles counts the files that this process has open.
func openFiles(t *testing.T) int {
	t.Helper()
	list, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(list)
}

// helpFail traces and says which sentinels the error is.
func helpFail(args []string) error {
	tr, err := uprobe.Trace(args[0], args[1], func(*uprobe.Call) {})
	if err == nil {
		tr.Close()
	}
	fmt.Printf("%v\n%v\n", errors.Is(err, uprobe.ErrPermission), err)
	return nil
}

// TestPermission traces as somebody who may not.
func TestPermission(t *testing.T) {
	needRoot(t)
	path := fixture.Build(t, fixture.Source{"main.go": errorsProgram})
	target := fixture.Start(t, path)
	dir, err := os.MkdirTemp("", "argtap-e2e-") // unlike t.TempDir's, one that others may be let into
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	exe := fixture.Copy(t, helper(t, "fail").Path, dir, "helper")
	cmd := helper(t, "fail", path, "main.computeE")
	cmd.Path, cmd.Dir = exe, "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	is, text, _ := strings.Cut(string(out), "\n")
	t.Log(text)
	if is != "true" {
		t.Errorf("not ErrPermission: %s", text)
	}
	if !strings.Contains(text, "CAP_") || !strings.Contains(text, "sudo") && !strings.Contains(text, "setcap") {
		t.Errorf("the error names no capability or no command that helps: %s", text)
	}
	if n := patched(t, target.PID, path, path); n != 0 {
		t.Errorf("%d bytes of code are patched", n)
	}
	if n := linksTo(t, path); n != 0 {
		t.Errorf("%d links are left", n)
	}
}

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/argtap/argtap/internal/fixture"
)

// built are the programs that all tests share. Other users may run them.
var built struct{ argtap, target, stripped, noDWARF string }

func TestMain(m *testing.M) { os.Exit(buildAndRun(m)) }

func buildAndRun(m *testing.M) int {
	dir, err := os.MkdirTemp("", "argtap-cli-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	os.Chmod(dir, 0o755)
	built.argtap = filepath.Join(dir, "argtap")
	built.target = filepath.Join(dir, "target")
	built.stripped = filepath.Join(dir, "stripped")
	built.noDWARF = filepath.Join(dir, "nodwarf")
	linux := []string{"GOOS=linux", "GOARCH=amd64"}
	tool := []string{"build", "-o", built.argtap}
	if race {
		tool = append(tool, "-race")
		os.Setenv("GORACE", "atexit_sleep_ms=0") // a second for each run, else
	}
	// One build ID for all three, as strip leaves it: they are the same code.
	const id = "-buildid= -B 0x6172677461702d7465737473"
	for _, b := range []struct {
		env  []string
		args []string
	}{
		{[]string{"CGO_ENABLED=" + cgo}, append(tool, ".")},
		{linux, []string{"build", "-ldflags=" + id, "-o", built.target, "./testdata/target"}},
		{linux, []string{"build", "-ldflags=-w " + id, "-o", built.noDWARF, "./testdata/target"}},
		{linux, []string{"build", "-ldflags=-s -w " + id, "-o", built.stripped, "./testdata/target"}},
	} {
		cmd := fixture.GoCommand(b.args...)
		cmd.Env = append(cmd.Env, b.env...)
		if out, err := cmd.CombinedOutput(); err != nil {
			fmt.Fprintf(os.Stderr, "go %s: %v\n%s", strings.Join(b.args, " "), err, out)
			return 1
		}
	}
	return m.Run()
}

// result is what a run of argtap left.
type result struct {
	stdout, stderr string
	code           int
}

func (r result) lines() []string {
	return strings.Split(strings.TrimSuffix(r.stdout, "\n"), "\n")
}

// lastLine returns the last line of standard error.
func (r result) lastLine() string {
	s := strings.TrimSuffix(r.stderr, "\n")
	return s[strings.LastIndexByte(s, '\n')+1:]
}

// runLimit bounds a run of argtap.
const runLimit = 60 * time.Second

// argtap runs the tool.
func argtap(t *testing.T, args ...string) result {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), runLimit)
	defer cancel()
	return runCmd(t, exec.CommandContext(ctx, built.argtap, args...))
}

func runCmd(t *testing.T, cmd *exec.Cmd) result {
	t.Helper()
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	cmd.WaitDelay = time.Second
	err := cmd.Run()
	var failed *exec.ExitError
	if err != nil && !errors.As(err, &failed) {
		t.Fatalf("%s: %v\n%s", cmd, err, stderr.Bytes())
	}
	return result{stdout.String(), stderr.String(), cmd.ProcessState.ExitCode()}
}

// wantError requires that argtap failed with status 1 and a message of one
// line that contains all the texts.
func wantError(t *testing.T, r result, texts ...string) {
	t.Helper()
	if r.code != 1 {
		t.Errorf("exit status %d, want 1", r.code)
	}
	if r.stdout != "" {
		t.Errorf("standard output has %q, want nothing", r.stdout)
	}
	if !strings.HasPrefix(r.stderr, "argtap: ") || strings.Count(r.stderr, "\n") != 1 {
		t.Errorf("message is not one line with the tool's name:\n%s", r.stderr)
	}
	for _, text := range texts {
		if !strings.Contains(r.stderr, text) {
			t.Errorf("message lacks %q:\n%s", text, r.stderr)
		}
	}
}

func TestUsageErrors(t *testing.T) {
	bin := built.target
	for _, test := range []struct {
		args []string
		want string
	}{
		{[]string{}, "no command given"},
		{[]string{"lits"}, `unknown command "lits"`},
		{[]string{"list"}, "no BINARY"},
		{[]string{"list", bin, "a", "b"}, "more than one PATTERN"},
		{[]string{"list", bin, "main.go:12"}, "main.go:12 is a line, and list prints functions"},
		{[]string{"list", "-json", bin}, "-json"},
		{[]string{"inspect"}, "no BINARY"},
		{[]string{"inspect", bin}, "no FUNC"},
		{[]string{"trace"}, "no BINARY"},
		{[]string{"trace", bin}, "no FUNC"},
		{[]string{"trace", "--", bin, "main.work"}, "no BINARY"},
		{[]string{"trace", bin, "--", bin}, "no FUNC"},
		{[]string{"trace", bin, "main.work", "--"}, "no COMMAND"},
		{[]string{"trace", "-n", "0", bin, "main.work"}, "must be positive"},
		{[]string{"trace", "-n", "-3", bin, "main.work"}, "must be positive"},
		{[]string{"trace", "-n", "x", bin, "main.work"}, "-n"},
		{[]string{"trace", "-p", "0", bin, "main.work"}, "a process ID is positive"},
		{[]string{"trace", "-duration", "0s", bin, "main.work"}, "must be positive"},
		{[]string{"trace", "-duration", "5", bin, "main.work"}, "-duration"},
		{[]string{"trace", bin, "main.work", "-n", "3"}, "flags go before it"},
		// Features that are not there are not accepted.
		{[]string{"trace", "-nothing", bin, "main.work"}, "-nothing"},
		// A mistake in COMMAND shows before anything is attached.
		{[]string{"trace", bin, "main.work", "--", "no-such-command-anywhere"}, "executable file not found"},
		{[]string{"trace", bin, "main.work", "--", "./no/such/file"}, "no such file"},
	} {
		t.Run(strings.Join(test.args, " "), func(t *testing.T) {
			wantError(t, argtap(t, test.args...), test.want)
		})
	}
}

func TestHelp(t *testing.T) {
	for _, args := range [][]string{{"help"}, {"-h"}, {"--help"}, {"list", "-h"}, {"inspect", "-h"}, {"trace", "-h"}} {
		r := argtap(t, args...)
		if r.code != 0 || r.stderr != "" || !strings.Contains(r.stdout, "argtap "+args[0]) && len(args) > 1 {
			t.Errorf("argtap %s: status %d, standard error %q, output:\n%s", args, r.code, r.stderr, r.stdout)
		}
		if args[0] == "trace" {
			for _, flag := range []string{"-p PID", "-json", "-n N", "-duration D", "-count", "-sample N", "-rate N", "-first N", "-budget FRACTION", "-cgroup PATH", "-processes"} {
				if !strings.Contains(r.stdout, flag) {
					t.Errorf("argtap trace -h does not list %s", flag)
				}
			}
		}
	}
}

// TestBadFiles gives every command files that it cannot use.
func TestBadFiles(t *testing.T) {
	dir := t.TempDir()
	file := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
		return path
	}
	whole, err := os.ReadFile(built.target)
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct{ name, path, want string }{
		{"missing", filepath.Join(dir, "missing"), "no such file"},
		{"directory", dir, "not an ELF file"},
		{"empty", file("empty", ""), "not an ELF file"},
		{"garbage", file("garbage", "\x7fELG garbage \x00\x01"), "not an ELF file"},
		{"script", file("script", "#!/bin/sh\necho\n"), "not an ELF file"},
		{"header only", file("header", string(whole[:70])), "truncated"},
	} {
		t.Run(test.name, func(t *testing.T) {
			wantError(t, argtap(t, "list", test.path), test.want)
			wantError(t, argtap(t, "inspect", test.path, "main.work"), test.want)
			if canTrace() {
				wantError(t, argtap(t, "trace", test.path, "main.work"), test.want)
			}
		})
	}
}

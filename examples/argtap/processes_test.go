package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestWhoseBinary: the path of the binary may be left out where a process is given.
func TestWhoseBinary(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	if err := os.WriteFile(filepath.Join(dir, "app"), nil, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "odd.go:1"), nil, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(dir, "main.f"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		args []string
		path string
	}{
		{[]string{"app", "main.f"}, "app"},
		{[]string{"/app", "main.f"}, "/app"},
		{[]string{"./none", "main.f"}, "./none"},
		{[]string{"../none"}, "../none"},
		{[]string{"main.f"}, ""},
		{[]string{"main.f", "main.g"}, ""},
		{[]string{"net/http.(*conn).serve"}, ""},
		{[]string{"main.go:12"}, ""},
		{[]string{"/src/app/main.go:12", "main.f"}, ""},
		{[]string{"/main.go:x", "main.f"}, "/main.go:x"},
		{[]string{"./odd.go:1", "main.f"}, "./odd.go:1"}, // the name of a file
	} {
		w := whose{pids: []int{7}}
		want := tt.args
		if tt.path != "" {
			want = want[1:]
		}
		if path, funcs := w.binary(tt.args); path != tt.path || !slices.Equal(funcs, want) {
			t.Errorf("%q: binary %q, functions %q", tt.args, path, funcs)
		}
		w = whose{}
		if path, funcs := w.binary(tt.args); path != tt.args[0] || !slices.Equal(funcs, tt.args[1:]) {
			t.Errorf("%q without a process: binary %q, functions %q", tt.args, path, funcs)
		}
	}
	var w whose
	for _, bad := range []string{"", "x", "1,", "0", "-1", "1,x"} {
		if w.add(bad) == nil {
			t.Errorf("%q is a process ID", bad)
		}
	}
}

// TestProcessesTold traces two of three processes without the path of the binary, and
// tells of them on standard error alone.
func TestProcessesTold(t *testing.T) {
	needTrace(t)
	one := background(t, "-n", "-1", "-quiet", "-pause", "1ms")
	two := background(t, "-n", "-1", "-quiet", "-pause", "1ms")
	background(t, "-n", "-1", "-quiet", "-pause", "1ms")
	pids := fmt.Sprint(one.Process.Pid, ",", two.Process.Pid)
	pids = strings.ReplaceAll(pids, " ", "")
	r := argtap(t, "trace", "-json", "-n", "200", "-processes", "-p", pids, "main.work")
	if r.code != 0 || len(r.lines()) != 200 || !strings.Contains(r.stderr, "in 2 processes") {
		t.Errorf("status %d, %d lines\n%s", r.code, len(r.lines()), r.stderr)
	}
	seen := map[int]int{}
	for _, line := range r.lines() {
		for _, p := range []int{one.Process.Pid, two.Process.Pid} {
			if strings.Contains(line, fmt.Sprintf(`"pid":%d,`, p)) {
				seen[p]++
			}
		}
	}
	for _, p := range []int{one.Process.Pid, two.Process.Pid} {
		if want := fmt.Sprintf("argtap: process %d found: %s -n -1 -quiet", p, built.target); !strings.Contains(r.stderr, want) {
			t.Errorf("%q is not told of:\n%s", want, r.stderr)
		}
		if seen[p] == 0 {
			t.Errorf("no calls of process %d", p)
		}
	}
	if seen[one.Process.Pid]+seen[two.Process.Pid] != 200 {
		t.Errorf("calls %v of 200", seen)
	}
	// A command that starts and ends.
	r = argtap(t, "trace", "-processes", built.target, "main.work", "--", built.target, "-n", "3", "-quiet", "-pause", "100ms")
	if !strings.Contains(r.stderr, "started: "+built.target+" -n 3 -quiet") || !strings.Contains(r.stderr, "ended: 3 calls") {
		t.Errorf("status %d\n%s\n%s", r.code, r.stdout, r.stderr)
	}
	wantError(t, argtap(t, "trace", "-cgroup", "/", built.target, "main.work"), "cgroup /", "not in a cgroup file system")
}

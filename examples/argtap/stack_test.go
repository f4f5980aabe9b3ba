package main

import (
	"encoding/json"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestStack prints stacks of the command, as text and as JSON, and writes a profile
// that go tool pprof reads.
func TestStack(t *testing.T) {
	needTrace(t)
	r := argtap(t, "trace", "-stack", "-n", "2", built.target, "main.work", "--", built.target, "-n", "3")
	lines := strings.Split(r.stdout, "\n")
	if r.code != 0 || len(lines) < 12 || !strings.HasPrefix(lines[0], "main.work(n=0, ") ||
		lines[1] != "\tmain.work(...)" || !strings.HasPrefix(lines[2], "\t\t") || !strings.Contains(lines[2], "main.go:33") ||
		lines[3] != "\tmain.main(...)" || !strings.Contains(r.stdout, "\n\tcreated by ") {
		t.Errorf("status %d\n%s%s", r.code, r.stdout, r.stderr)
	}

	profile := filepath.Join(t.TempDir(), "calls.pprof")
	r = argtap(t, "trace", "-stack", "-pprof", profile, "-results", "-json", built.target, "main.work", "main.(*server).serve", "--", built.target, "-n", "40")
	if r.code != 0 {
		t.Fatalf("status %d\n%s", r.code, r.stderr)
	}
	for line := range strings.Lines(r.stdout) {
		type frame struct {
			Func, File string
			Line       int
		}
		var c struct {
			Stack   []frame
			End     string `json:"stack_end"`
			Created frame  `json:"created_by"`
		}
		if err := json.Unmarshal([]byte(line), &c); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		if n := len(c.Stack); n < 4 || c.Stack[1].Func != "main.main" || filepath.Base(c.Stack[1].File) != "main.go" || c.Stack[1].Line < 66 ||
			c.Stack[n-1].Func != "runtime.goexit" || c.End != "" || c.Created.Func == "" {
			t.Fatalf("%s", line)
		}
	}
	for sample, want := range map[string]string{"calls": "main.work", "duration": "main.work"} {
		out, err := exec.Command("go", "tool", "pprof", "-top", "-sample_index="+sample, profile).CombinedOutput()
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		found := false
		for line := range strings.Lines(string(out)) {
			f := strings.Fields(line)
			if len(f) == 6 && f[5] == want && (sample != "calls" || f[0] == "40") {
				found = true
			}
		}
		if !found {
			t.Errorf("no %s in\n%s", want, out)
		}
	}

	for _, args := range [][]string{
		{"trace", "-stack", "-frames", "0"}, {"trace", "-stack", "-frames", "128"}, {"trace", "-frames", "5"},
		{"trace", "-pprof", t.TempDir()},
	} {
		if r := argtap(t, append(args, built.target, "main.work", "--", built.target)...); r.code == 0 || r.stdout != "" {
			t.Errorf("%q: status %d\n%s", args, r.code, r.stderr)
		}
	}
}

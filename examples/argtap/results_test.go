package main

import (
	"encoding/json"
	"strings"
	"testing"
)

// TestResults prints whole calls of the command, as text and as JSON.
func TestResults(t *testing.T) {
	needTrace(t)
	r := argtap(t, "trace", "-results", "-n", "3", built.target, "main.work", "--", built.target, "-n", "3")
	if r.code != 0 {
		t.Fatalf("status %d\n%s", r.code, r.stderr)
	}
	for line := range strings.Lines(r.stdout) {
		_, end, ok := strings.Cut(line, ") = (")
		if !strings.HasPrefix(line, "main.work(n=") || !ok || !strings.Contains(end, ") ") || !strings.HasSuffix(end, "s\n") {
			t.Errorf("line %q", line)
		}
	}
	r = argtap(t, "trace", "-results", "-json", "-n", "3", built.target, "main.work", "--", built.target, "-n", "3")
	if n := strings.Count(r.stdout, "\n"); n != 3 {
		t.Fatalf("%d lines\n%s%s", n, r.stdout, r.stderr)
	}
	for line := range strings.Lines(r.stdout) {
		var c struct {
			Results []struct {
				Name, Type string
				Value      *int
			}
			Duration int64 `json:"duration_ns"`
		}
		if err := json.Unmarshal([]byte(line), &c); err != nil {
			t.Fatal(err)
		}
		if len(c.Results) != 1 || c.Results[0].Name != "~r0" || c.Results[0].Type != "int" || c.Results[0].Value == nil || c.Duration <= 0 {
			t.Errorf("line %s", line)
		}
	}
}

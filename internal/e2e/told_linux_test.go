package e2e

import (
	"bytes"
	"encoding/json"
	"iter"
	"os/exec"
	"strings"
	"testing"

	"github.com/argtap/argtap/internal/fixture"
)

// told lets a program go on and yields what it tells, an object of JSON a line, until
// it says that this is all; then it has the program end.
func told[T any](t *testing.T, target *fixture.Target) iter.Seq[T] {
	t.Helper()
	return func(yield func(T) bool) {
		target.Go()
		for line := range target.Until("all") {
			var e T
			if err := json.Unmarshal(line, &e); err != nil {
				t.Fatalf("%s: %v", line, err)
			}
			if !yield(e) {
				return
			}
		}
		target.Calls()
		target.Close()
	}
}

// toldAll lets a program go on until it has told all, and has it end.
func toldAll(t *testing.T, target *fixture.Target) {
	t.Helper()
	for range told[struct{}](t, target) {
	}
}

// printed runs a program that waits for a line, and returns the lines that it prints,
// cut at the tabs.
func printed(t *testing.T, path string) (lines [][]string) {
	t.Helper()
	cmd := exec.Command(path)
	cmd.Stdin = strings.NewReader("go\n")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, stderr.Bytes())
	}
	for line := range strings.Lines(string(out)) {
		lines = append(lines, strings.Split(strings.TrimSuffix(line, "\n"), "\t"))
	}
	return lines
}

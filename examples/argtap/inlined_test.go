package main

import (
	"regexp"
	"strings"
	"testing"
)

// TestInlined lists where a function was inlined, inspects a copy, and a line.
func TestInlined(t *testing.T) {
	r := argtap(t, "list", "-inlined", built.target, "main.tiny")
	if want := regexp.MustCompile(`(?m)\Amain\.tiny: inlined in place of its calls only, 1 place\n  \S*main\.go:\d+ in main\.main\n\z`); !want.MatchString(r.stdout) || r.code != 0 {
		t.Errorf("status %d\n%s%s", r.code, r.stdout, r.stderr)
	}
	wantError(t, argtap(t, "list", "-inlined", built.target, "main.none"), "main.none", "was inlined")
	line := regexp.MustCompile(`main\.go:\d+`).FindString(r.stdout)
	r = argtap(t, "inspect", built.target, line)
	for _, want := range []string{"main.main\n", "  line\t", "variables in scope", "WithUncertain"} {
		if !strings.Contains(r.stdout, want) {
			t.Errorf("no %q in\n%s%s", want, r.stdout, r.stderr)
		}
	}
	wantError(t, argtap(t, "inspect", built.target, "main.go:1"), "main.go:1", "nearest")
	wantError(t, argtap(t, "inspect", built.target, "nowhere.go:1"), "nowhere.go", "no source file")
}

package main

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/argtap/argtap/internal/fixture"
)

// TestListIsNM compares list with what the toolchain's own nm says.
func TestListIsNM(t *testing.T) {
	out, err := fixture.GoCommand("tool", "nm", built.target).Output()
	if err != nil {
		t.Fatal(err)
	}
	var want []string
	for line := range strings.Lines(string(out)) {
		f := strings.Fields(line)
		// Symbols of the linker that mark places, and are no functions.
		marker := len(f) == 3 && (f[2] == "runtime.text" || f[2] == "runtime.etext" || strings.HasPrefix(f[2], "go:"))
		if len(f) >= 3 && (f[1] == "T" || f[1] == "t") && !marker {
			want = append(want, strings.Join(f[2:], " "))
		}
	}
	slices.Sort(want)
	r := argtap(t, "list", built.target)
	got := slices.DeleteFunc(r.lines(), func(s string) bool { return strings.HasPrefix(s, "go:") })
	if r.code != 0 || len(want) < 1000 {
		t.Fatalf("status %d, nm lists %d functions\n%s", r.code, len(want), r.stderr)
	}
	for _, name := range got {
		if _, ok := slices.BinarySearch(want, name); !ok {
			t.Errorf("list has %s, nm has not", name)
		}
	}
	for _, name := range want {
		if _, ok := slices.BinarySearch(got, name); !ok {
			t.Errorf("nm has %s, list has not", name)
		}
	}
}

func TestListPattern(t *testing.T) {
	for _, test := range []struct{ pattern, want string }{
		{"main.(*server).*", "main.(*server).close\nmain.(*server).serve\n"},
		{"main.wor?", "main.work\n"},
		{"main.work", "main.work\n"},
	} {
		if r := argtap(t, "list", built.target, test.pattern); r.stdout != test.want || r.stderr != "" || r.code != 0 {
			t.Errorf("list %s: status %d\n%s%s", test.pattern, r.code, r.stdout, r.stderr)
		}
	}
	wantError(t, argtap(t, "list", built.target, "main.wrok"), "no such function", "did you mean main.work")
	wantError(t, argtap(t, "list", built.target, "nothing.*"), "no such function")
}

// masked replaces what changes with every release of the compiler.
func masked(s string) string {
	s = regexp.MustCompile(`0x[0-9a-f]+`).ReplaceAllString(s, "ADDR")
	s = regexp.MustCompile(`\d+ bytes, go1[^\n]*`).ReplaceAllString(s, "N bytes, GO")
	s = regexp.MustCompile(`record\t.*`).ReplaceAllString(s, "record\tN")
	return s
}

func TestInspect(t *testing.T) {
	r := argtap(t, "inspect", built.target, "main.(*server).serve", "main.work", "main.odd")
	if r.code != 0 || r.stderr != "" {
		t.Fatalf("status %d\n%s", r.code, r.stderr)
	}
	const arguments = "  arguments: name, type, location at entry, debug information, what is missing\n"
	got := masked(r.stdout)
	for _, want := range []string{
		"main.(*server).serve\n  signature\tfunc (s *main.server) (id uint16)\n  source\tdebug information\n  entry\tADDR, N bytes, GO\n  probe\tADDR  ",
		"\n" + arguments + "    s\t*main.server\tRAX:8\tagree\n    id\tuint16\tRBX:2\tagree\n" +
			"  no results\n  returns, probed for results only\n    ADDR\tret\tsingle-stepped by the kernel",
		"  results: name, type, location at return, debug information, what is missing\n    ~r0\tint\tRAX:8\tsilent\n",
		"main.work\n  signature\tfunc(n int, s string, p *main.point, b []uint8, ok bool, u []uint16) int\n",
		// Nine integer registers: one is left for u, which needs three.
		"    n\tint\tRAX:8\tagree\n" +
			"    s\tstring\tRBX:8 RCX:8\tagree\n" +
			"    p\t*main.point\tRDI:8\tagree\n" +
			"    b\t[]uint8\tRSI:8 R8:8 R9:8\tagree\n" +
			"    ok\tbool\tR10:1\tagree\n" +
			"    u\t[]uint16\t[CFA+0]:24\t",
		"    x\tfloat64\tX0:8\tagree\tregister not readable\n",
		"    v\tmain.pair\tRAX:1 X1:4\tagree\t.f: register not readable\n",
		"    err\terror\tRBX:8 RCX:8\tagree\n",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("output lacks\n%s", want)
		}
	}
	for _, f := range []string{"\n  cost\t", "\n  why there\t"} {
		if n := strings.Count(got, f); n != 3 {
			t.Errorf("%d lines %q, want 3", n, f)
		}
	}
	if t.Failed() {
		t.Logf("output:\n%s", got)
	}
}

// TestInspectAssembly does not take a signature that nobody knows for an empty
// one.
func TestInspectAssembly(t *testing.T) {
	r := argtap(t, "inspect", built.target, "runtime.memequal")
	if r.code != 0 || !strings.Contains(r.stdout, "  signature\tunknown\n") || !strings.Contains(r.stdout, "  arguments unknown: ") {
		t.Errorf("status %d\n%s%s", r.code, r.stdout, r.stderr)
	}
}

func TestInspectErrors(t *testing.T) {
	wantError(t, argtap(t, "inspect", built.target, "main.wrok"), "no such function", "did you mean main.work")
	wantError(t, argtap(t, "inspect", built.target, "main.tiny"), "main.tiny", "inlined everywhere", "main.main (main.go:", "WithInlined", "//go:noinline")
	wantError(t, argtap(t, "inspect", built.target, "nothing.*"), "no such function")
	r := argtap(t, "inspect", built.target, "main.wrok", "main.work")
	if r.code != 1 || !strings.Contains(r.stdout, "main.work\n") || strings.Count(r.stderr, "\n") != 1 {
		t.Errorf("one good and one bad name: status %d\n%s%s", r.code, r.stdout, r.stderr)
	}
}

// TestInspectPattern holds the total against the rows of the table.
func TestInspectPattern(t *testing.T) {
	r := argtap(t, "inspect", built.target, "runtime.*")
	if r.code != 0 || r.stderr != "" {
		t.Fatalf("status %d\n%s", r.code, r.stderr)
	}
	rows, rest, _ := strings.Cut(r.stdout, "\n\n")
	var functions, failed, emulated, whole, unknown int
	for line := range strings.Lines(rows) {
		f := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		if len(f) != 5 {
			t.Fatalf("row has %d fields: %q", len(f), line)
		}
		functions++
		var n, of int
		switch f[3] {
		case "cannot be traced":
			failed++
			if len(f[4]) < 5 {
				t.Errorf("no reason: %q", line)
			}
			continue
		case "emulated":
			emulated++
		case "single-stepped":
		default:
			t.Errorf("row %q", line)
		}
		if f[4] == "arguments unknown" {
			unknown++
			continue
		}
		if _, err := fmt.Sscanf(f[4], "%d of %d arguments whole", &n, &of); err != nil {
			t.Errorf("row %q: %v", line, err)
		} else if n == of {
			whole++
		}
	}
	want := fmt.Sprintf("total: %d functions, %d can be traced, %d on an emulated instruction, %d with all arguments whole\n",
		functions, functions-failed, emulated, whole)
	if !strings.HasPrefix(rest, want) {
		t.Errorf("total does not fit the rows:\n%swant\n%s", rest, want)
	}
	if functions < 500 || emulated < functions/2 || unknown == 0 || unknown > functions/4 {
		t.Errorf("%d functions, %d emulated, %d with unknown arguments", functions, emulated, unknown)
	}
	// sumOf adds up the table below a title.
	sumOf := func(title string) (total int) {
		_, table, _ := strings.Cut(rest, title)
		for line := range strings.Lines(table) {
			n, _, ok := strings.Cut(strings.TrimLeft(line, " "), "\t")
			if !ok {
				break
			}
			count, err := strconv.Atoi(n)
			if err != nil {
				t.Errorf("line %q: %v", line, err)
			}
			total += count
		}
		return total
	}
	if n := sumOf("cannot be traced:\n"); n != failed {
		t.Errorf("%d failures are counted by reason, %d functions failed:\n%s", n, failed, rest)
	}
	if n := sumOf("signatures come from:\n"); n != functions-failed {
		t.Errorf("%d sources of signatures are counted, %d functions can be traced:\n%s", n, functions-failed, rest)
	}
	if n := sumOf("by number of places:\n"); n < functions-failed-unknown-whole {
		t.Errorf("%d absences are counted by reason, %d functions have some:\n%s", n, functions-failed-unknown-whole, rest)
	}
}

package main

import (
	"fmt"
	"strings"
	"testing"
)

// TestCapture: expressions instead of the arguments, and only some calls.
func TestCapture(t *testing.T) {
	needTrace(t)
	r := argtap(t, "trace", "-capture", "p.Name", "-capture", "n+1", "-capture", "b[n-2]", "-capture", "u[:1]", "-where", `n > 1 && p.Name != "p5"`,
		built.target, "main.work", "--", built.target, "-n", "8")
	if c := countsOf(t, r); r.code != 0 || c != (counts{calls: 8, delivered: 5, filtered: 3}) {
		t.Fatalf("status %d, %+v\n%s", r.code, c, r.stderr)
	}
	var want []string
	for n := range 8 {
		b := []string{fmt.Sprint(n), "0", "255"}
		elem, slice := "<index out of range>", "<slice bounds out of range>"
		if n-2 >= 0 && n-2 < 3 {
			elem = b[n-2]
		}
		if n%3 > 0 {
			slice = "[]uint16{0}"
		}
		if n > 1 && n != 5 {
			want = append(want, fmt.Sprintf(`main.work(p.Name="p%d", n+1=%d, b[n-2]=%s, u[:1]=%s)`, n, n+1, elem, slice))
		}
	}
	if got := r.lines(); strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got\n%s\nwant\n%s", r.stdout, strings.Join(want, "\n"))
	}
	r = argtap(t, "trace", "-json", "-capture", "len(s)", "-capture", "u[9]", "-n", "1", built.target, "main.work", "--", built.target)
	if want := `"args":[{"name":"len(s)","type":"int","value":0},{"name":"u[9]","type":"uint16","absent":"index out of range"}]}`; !strings.Contains(r.stdout, want) {
		t.Errorf("got %s\nwant …%s", r.stdout, want)
	}
}

func TestInspectCapture(t *testing.T) {
	r := argtap(t, "inspect", "-capture", "p.Name", "-capture", "n", "-capture", "len(b)", "-where", "ok", built.target, "main.work")
	want := "  captured instead: expression, type, where it comes from\n" +
		"    p.Name\tstring\tcomputed by the probe\n    n\tint\tRAX:8\n    len(b)\tint\tcomputed by the probe\n"
	if r.code != 0 || !strings.HasSuffix(r.stdout, want) {
		t.Errorf("status %d\n%s\nwant …%s", r.code, r.stdout, want)
	}
	wantError(t, argtap(t, "inspect", "-capture", "p.Nam", built.target, "main.work"), "expression p.Nam: column 3: no field Nam in main.point", "did you mean Name")
	wantError(t, argtap(t, "trace", "-where", "n", built.target, "main.work"), "a condition is a bool")
	// Functions for which an expression makes no sense are counted by that.
	r = argtap(t, "inspect", "-capture", "id", built.target, "main.*")
	if !strings.Contains(r.stdout, "wrong expression") || !strings.Contains(r.stdout, ", 2 can be traced") {
		t.Errorf("status %d\n%s", r.code, r.stdout)
	}
}

package main

import (
	"strings"
	"testing"
)

// TestInspectRedacted: inspect says what is redacted.
func TestInspectRedacted(t *testing.T) {
	r := argtap(t, "inspect", "-redact", "s", "-redact", "name", "-redact", "tag", built.target, "main.work", "main.odd")
	for _, want := range []string{
		"    s\tstring\tRBX:8 RCX:8\tagree\tredacted\n",
		"    p\t*main.point\tRDI:8\tagree\t.Name: redacted\n    \t\t\t\t.tag: redacted\n",
	} {
		if !strings.Contains(r.stdout, want) {
			t.Errorf("got\n%s\nwant %s", r.stdout, want)
		}
	}
	r = argtap(t, "inspect", "-redact", "main.point", built.target, "main.*")
	if !strings.Contains(r.stdout, "1\tredacted\n") {
		t.Errorf("got\n%s", r.stdout)
	}
	r = argtap(t, "inspect", "-redact", "main.point", built.target, "main.work")
	if !strings.Contains(r.stdout, "    p\t*main.point\tRDI:8\tagree\t*: redacted\n") {
		t.Errorf("got\n%s", r.stdout)
	}
	r = argtap(t, "inspect", "-redact", "s", "-no-redact", built.target, "main.work")
	if strings.Count(r.stdout, "redacted") != 1 {
		t.Errorf("-no-redact takes back -redact:\n%s", r.stdout)
	}
	wantError(t, argtap(t, "inspect", "-redact", "http.", built.target, "main.work"), `redact "http."`, "as net/http.Cookie")
}

func TestTraceRedacted(t *testing.T) {
	needTrace(t)
	r := argtap(t, "trace", "-redact", "x", "-redact", "s", built.target, "main.work", "--", built.target, "-n", "1")
	if !strings.HasPrefix(r.stdout, `main.work(n=0, s=<redacted>, p=&main.point{X: <redacted>, Y: 0,`) {
		t.Errorf("got %s", r.stdout)
	}
	r = argtap(t, "trace", "-json", "-redact", "main.point", built.target, "main.work", "--", built.target, "-n", "1")
	if !strings.Contains(r.stdout, `{"name":"p","type":"*main.point","value":{"ptr":"0x`) || !strings.Contains(r.stdout, `","absent":"redacted"}}`) {
		t.Errorf("got %s", r.stdout)
	}
}

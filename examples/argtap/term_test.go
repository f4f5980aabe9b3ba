package main

import (
	"strings"
	"testing"
)

func TestPrintable(t *testing.T) {
	for text, want := range map[string]string{
		"main.f":                   "main.f",
		"main.(*T[int]).Ändern":    "main.(*T[int]).Ändern",
		"main.\x1b[31m":            `main.\x1b[31m`,
		"main.a\nmain.b\r\t\x7f":   `main.a\nmain.b\r\t\x7f`,
		"main.\u009b2J":            `main.\u009b2J`,
		"main.it's \"q\" \\ \xff'": `main.it's "q" \ \xff'`,
		"main.\x9b2J\ufffd":        "main.\\x9b2J\ufffd",
	} {
		if got := printable(text); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
		if got := string(printableFrom([]byte("\n"+text), 1)); got != "\n"+want {
			t.Errorf("%q behind a line: %q", text, got)
		}
	}
	var out strings.Builder
	tab := table{}
	tab.row(cell{"main.a\nb", ""}, cell{"x", ""})
	tab.print(&out)
	if got, want := out.String(), "main.a\\nb\tx\n"; got != want {
		t.Errorf("table: %q, want %q", got, want)
	}
}

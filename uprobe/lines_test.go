package uprobe

import (
	"errors"
	"testing"
)

// TestNotLine: what can only have been meant as a line is no function's name.
func TestNotLine(t *testing.T) {
	for _, s := range []string{"main.go:", "main.go:0", "a/b.go:-1", "main.go:12:3", "main.go:12-14", "main.go:99999999999999999999", "main.go:x"} {
		if IsLine(s) {
			t.Errorf("%s is a line", s)
		}
		if err := notLine(s); !errors.Is(err, ErrNoLine) {
			t.Errorf("%s: %v", s, err)
		}
	}
	for _, s := range []string{"main.work", "main.*", "a.go/b.F", "x.go::y", ":5", "type:.eq.main.T", ""} {
		if err := notLine(s); err != nil || IsLine(s) {
			t.Errorf("%s: %v", s, err)
		}
	}
	if err := notLine("main.go:0").Error(); err != `no such line in the binary: main.go:0: a line is FILE.go:LINE, a number from 1, as in main.go:12; "0" is none` {
		t.Error(err)
	}
}

package uprobe

import (
	"strings"
	"testing"
)

// FuzzShortName shortens arbitrary type names: only package paths may go.
func FuzzShortName(f *testing.F) {
	for _, s := range []string{
		"map[a/b.G[a/b.T]]a/b.T", "struct { a/b.x struct { a/b.y a/b.T \"tag\" } }", "func(a/b.T, ...*a/b.T) <-chan a/b.T", "]}][{ ;",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, name string) {
		got := shortName(name)
		if len(got) > len(name) {
			t.Errorf("%q: %q is longer", name, got)
		}
		if !strings.ContainsAny(name, "/{·") && got != name {
			t.Errorf("%q: %q", name, got)
		}
		// What remains stands in the name in this order.
		rest := name
		for i := range len(got) {
			i := strings.IndexByte(rest, got[i])
			if i < 0 {
				t.Fatalf("%q: %q", name, got)
			}
			rest = rest[i+1:]
		}
	})
}

package symbols

import (
	"errors"
	"slices"
	"strings"
	"testing"
)

func suggestions(t *testing.T, f *File, name string) []string {
	t.Helper()
	_, err := f.Lookup(name)
	var e *NotFoundError
	if !errors.As(err, &e) {
		t.Fatalf("Lookup(%q): %v", name, err)
	}
	for _, s := range e.Suggestions {
		if _, err := f.Lookup(s); err != nil {
			t.Errorf("%q for %q: %v", s, name, err)
		}
	}
	if len(e.Suggestions) > maxSuggestions {
		t.Errorf("%d suggestions for %q", len(e.Suggestions), name)
	}
	return e.Suggestions
}

func TestSuggestions(t *testing.T) {
	f := plain.open(t)
	for _, tt := range []struct{ name, want string }{
		{"computeE", "main.computeE"},
		{"main.computee", "main.computeE"},
		{"Main.ComputeE", "main.computeE"},
		{"main.compueE", "main.computeE"},
		{"main.cmoputeE", "main.computeE"},
		{"compueE", "main.computeE"},
		{"prog.computeE", "main.computeE"},
		{"example.com/prog.computeE", "main.computeE"},
		{"main.Server.Serve", "main.(*Server).Serve"},
		{"main.*Server.Serve", "main.(*Server).Serve"},
		{"main.(Server).Serve", "main.(*Server).Serve"},
		{"main.server.serve", "main.(*Server).Serve"},
		{"(*Server).Serve", "main.(*Server).Serve"},
		{"Server.Serve", "main.(*Server).Serve"},
		{"Server.Srve", "main.(*Server).Serve"},
		{"main.Serve", "main.(*Server).Serve"},
		{"main.Sum", "main.Sum[go.shape.int]"},
		{"main.Sum[int]", "main.Sum[go.shape.int]"},
		{"main.Stack.Push", "main.(*Stack[go.shape.string]).Push"},
		{"main.(*Stack).Push", "main.(*Stack[go.shape.string]).Push"},
		{"main.Café", "main.café"},
		{"main.man", "main.main"},
		{"runtime.asyncPreempt", "runtime.asyncPreempt.abi0"},
	} {
		got := suggestions(t, f, tt.name)
		if len(got) == 0 || !slices.Contains(got[:min(2, len(got))], tt.want) {
			t.Errorf("%s: %q, want %s among the first two", tt.name, got, tt.want)
		}
	}
	for _, name := range []string{"", "zzqy", "(", "main.", "[x]", strings.Repeat("main.x", 100)} {
		if got := suggestions(t, f, name); len(got) != 0 {
			t.Errorf("%.20s: %q, want none", name, got)
		}
	}
}

func TestDistance(t *testing.T) {
	for _, tt := range []struct {
		a, b string
		want int
	}{
		{"", "", 0}, {"abc", "abc", 0}, {"abc", "abd", 1}, {"abc", "ab", 1}, {"ab", "abc", 1},
		{"abcd", "acbd", 1}, {"abcdef", "badcfe", 3}, {"abc", "xyz", 3}, {"ca", "abc", 3}, {"main.f", "f", 4},
		{"abcdefgh", "hgfedcba", 4},
	} {
		for _, limit := range []int{0, 1, 2, 3} {
			e := editor{want: []byte(tt.a)}
			if got, want := e.distance([]byte(tt.b), limit), min(tt.want, limit+1); got != want {
				t.Errorf("distance(%q, %q) up to %d = %d, want %d", tt.a, tt.b, limit, got, want)
			}
		}
	}
}

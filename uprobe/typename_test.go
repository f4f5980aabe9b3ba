package uprobe

import "testing"

func TestShortName(t *testing.T) {
	for _, tt := range []struct{ name, want string }{
		{"int", "int"},
		{"main.T", "main.T"},
		{"*net/http.Request", "*http.Request"},
		{"[]*a.org/b/c.T", "[]*c.T"},
		{"map[net/http.Key][]a/b.T", "map[http.Key][]b.T"},
		{"[4]a/b.T", "[4]b.T"},
		{"a/b.G[a/b.T,int]", "b.G[a/b.T,int]"},
		{"map[a/b.G[a/b.T]]a/b.T", "map[b.G[a/b.T]]b.T"},
		{"func(a/b.T, *a/b.T) a/b.T", "func(b.T, *b.T) b.T"},
		{"struct { main.e error; main.n int; main.m map[int]int }", "struct { e error; n int; m map[int]int }"},
		{"struct { main._ main.Empty }", "struct { _ main.Empty }"},
		{"struct { main.Empty }", "struct { main.Empty }"},
		{"struct { a/b.Empty; X a/b.T }", "struct { b.Empty; X b.T }"},
		{"struct { a/b.x struct { a/b.y a/b.T } }", "struct { x struct { y b.T } }"},
		{"struct {}", "struct {}"},
		{"interface { F() a/b.T }", "interface { F() b.T }"},
		{"]}][{", "]}][{"},
	} {
		if got := shortName(tt.name); got != tt.want {
			t.Errorf("shortName(%q) = %q, want %q", tt.name, got, tt.want)
		}
	}
}

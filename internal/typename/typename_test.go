package typename

import "testing"

func TestMatch(t *testing.T) {
	names := map[string]string{"gopkg.in/yaml.v3": "yaml", "example.com/go-x": "x"}
	for _, tt := range []struct {
		full, query  string
		match, exact bool
	}{
		{"*io/fs.PathError", "*fs.PathError", true, false},
		{"*io/fs.PathError", "*io/fs.PathError", true, true},
		{"*io/fs.PathError", "fs.PathError", false, false},
		{"*io/fs.PathError", "*os.PathError", false, false},
		{"io/fs.PathError", "PathError", false, false},
		{"main.T", "main.T", true, true},
		{"gopkg.in/yaml%2ev3.Node", "yaml.Node", true, false},
		{"gopkg.in/yaml%2ev3.Node", "gopkg.in/yaml.v3.Node", true, true},
		{"gopkg.in/yaml%2ev3.Node", "yaml.v3.Node", false, false},
		{"map[string]*example.com/go-x.T", "map[string]*x.T", true, false},
		{"map[net/http.S]*io/fs.T", "map[http.S]*io/fs.T", true, false},
		{"main.Pair[int,net/http.S]", "main.Pair[int, http.S]", true, false},
		{"[]uint8", "[]byte", true, true},
		{"map[int32]interface {}", "map[rune]any", true, true},
		{"interface {}", "interface{}", true, true},
		{"struct {}", "struct{}", true, true},
		{"chan<- int", "chan<- int", true, true},
		{"<-chan int", "chan int", false, false},
		{"func(int, ...string) error", "func(int,...string) error", true, true},
		{`struct { A int "json:\"a b\"" }`, `struct { A int "json:\"a b\"" }`, true, true},
		{`struct { A int "json:\"a b\"" }`, `struct { A int "json:\"ab\"" }`, false, false},
		{"struct { main.b []uint8; A main.T }", "struct { b []byte; A main.T }", true, true},
		{"struct { main.pair[int]; sync.Mutex; io/fs.T \"x\" }", "struct{main.pair[int]; sync.Mutex; fs.T \"x\"}", true, false},
		{"struct { sync.Mutex }", "struct { Mutex }", false, false},
		{"interface { main.m(int) string; M() }", "interface{ m(int) string; M() }", true, true},
		{"interface { main.m() }", "interface { n() }", false, false},
		{"int", "uint", false, false},
		{"main.T", "", false, false},
		{"", "", true, true},
	} {
		short := Short(tt.full, func(path string) string { return names[path] })
		match, exact := Parse(tt.query).Match(tt.full, short)
		if match != tt.match || exact != tt.exact {
			t.Errorf("%q for %q, short %q: %v, %v", tt.query, tt.full, short, match, exact)
		}
	}
}

func TestIdent(t *testing.T) {
	for query, want := range map[string]string{
		"*fs.PathError": "PathError", "a/b.v2.T": "T", "[]int": "int", "map[string]x.T": "T", "": "", "*": "", "a/": "",
	} {
		if got := Parse(query).Ident(); got != want {
			t.Errorf("%q: %q, want %q", query, got, want)
		}
	}
}

func FuzzMatch(f *testing.F) {
	f.Add("*io/fs.PathError", "*fs.PathError")
	f.Add(`struct { A int "json:\"a\"" }`, "struct { A any }")
	f.Fuzz(func(t *testing.T, full, query string) {
		q := Parse(query)
		if match, exact := q.Match(query, query); len(q.tokens) < maxTokens && (!match || !exact) {
			t.Errorf("%q is not %q", query, query)
		}
		q.Match(full, Short(full, func(string) string { return "" }))
	})
}

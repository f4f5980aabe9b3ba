// Package typename compares names of Go types as people write them with those
// that compilers do: the same type is *fs.PathError in source code,
// *io/fs.PathError in debug information, and gopkg.in/yaml%2ev3.Node there is
// yaml.Node.
package typename

import (
	"strings"
)

// maxTokens bounds what one name is split into.
const maxTokens = 1 << 14

// Query is a type's name as it was asked for.
type Query struct {
	tokens []string
	ident  string
}

// Parse reads the name of a type in Go syntax, with package names or import
// paths before the names of types. Spaces count only between words; byte, rune
// and any stand for the types that they are.
func Parse(name string) Query {
	q := Query{tokens: split(name)}
	for _, t := range q.tokens {
		if isWord(t) {
			q.ident = t[strings.LastIndexAny(t, "./")+1:]
		}
	}
	return q
}

// Ident is an identifier that every name that matches has in it, to rule out
// most names quickly.
func (q Query) Ident() string { return q.ident }

// Match compares the query with a type whose name with import paths is full,
// and with package names is short. exact says that the query has no shortened
// name in it.
func (q Query) Match(full, short string) (match, exact bool) {
	f, s := split(full), split(short)
	if len(f) != len(q.tokens) || len(s) != len(q.tokens) {
		return false, false
	}
	exact = true
	for i, t := range q.tokens {
		if t == f[i] {
			continue
		}
		if t != s[i] {
			return false, false
		}
		exact = false
	}
	return true, exact
}

// Short returns the name with package names for import paths. packageName
// returns the name of the package with a path, as it is in source code; where
// it returns "", the last element of the path is taken.
func Short(full string, packageName func(path string) string) string {
	var b strings.Builder
	each(full, func(t string) bool {
		if isWord(t) {
			slash := strings.LastIndexByte(t, '/') + 1
			if dot := strings.IndexByte(t[slash:], '.'); dot > 0 {
				path := Unescape(t[:slash+dot])
				pkg := packageName(path)
				if pkg == "" {
					pkg = path[strings.LastIndexByte(path, '/')+1:]
				}
				t = pkg + t[slash+dot:]
			}
		}
		b.WriteString(t)
		return true
	})
	return b.String()
}

// split returns the tokens of a name, without spaces that mean nothing. Names
// of fields and methods that are not exported have their package before them in
// compilers' names, and none in source code: it is left out.
func split(name string) []string {
	var tokens []string
	member := false // the last token is the first word of a field or method
	spaced := false
	each(name, func(t string) bool {
		if t == " " {
			spaced = true
			return true
		}
		if member && t != ";" && t != "}" && t[0] != '"' && (t != "[" || spaced) {
			// What follows is a type, or parameters. T[int] is embedded.
			last := &tokens[len(tokens)-1]
			*last = (*last)[strings.LastIndexByte(*last, '.')+1:]
		}
		member, spaced = false, false
		if isWord(t) {
			t = Unescape(t)
			n := len(tokens)
			member = n > 0 && (tokens[n-1] == "{" || tokens[n-1] == ";")
		}
		switch t {
		case "byte":
			t = "uint8"
		case "rune":
			t = "int32"
		case "any":
			tokens = append(tokens, "interface", "{")
			t, member = "}", false
		}
		tokens = append(tokens, t)
		return len(tokens) < maxTokens
	})
	return tokens
}

// each calls f with the tokens of a name, spaces too: words, quoted strings,
// arrows, and other characters one by one.
func each(name string, f func(token string) bool) {
	for name != "" {
		n := 1
		switch c := name[0]; {
		case c == '"':
			n = quoted(name)
		case strings.HasPrefix(name, "<-"):
			n = 2
		case !isDelimiter(c):
			for n < len(name) && !isDelimiter(name[n]) {
				n++
			}
		}
		if !f(name[:n]) {
			return
		}
		name = name[n:]
	}
}

// quoted returns the length of the quoted string that s begins with.
func quoted(s string) int {
	for i := 1; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
	return len(s)
}

func isDelimiter(c byte) bool { return strings.IndexByte(" *[](){},;<\"", c) >= 0 }

func isWord(t string) bool { return t != "" && !isDelimiter(t[0]) }

// Unescape undoes what symbols do to import paths
// (cmd/internal/objabi.PathToPrefix): "%2e" is a dot.
func Unescape(s string) string {
	if strings.IndexByte(s, '%') < 0 {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '%' && i+2 < len(s) {
			if hi, lo := unhex(s[i+1]), unhex(s[i+2]); hi >= 0 && lo >= 0 {
				b.WriteByte(byte(hi<<4 | lo))
				i += 2
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

func unhex(c byte) int {
	switch {
	case '0' <= c && c <= '9':
		return int(c - '0')
	case 'a' <= c && c <= 'f':
		return int(c-'a') + 10
	}
	return -1
}

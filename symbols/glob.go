package symbols

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Match reports whether the whole of name matches pattern. In a pattern
//
//   - '*' stands for any run of characters, also none, also '/' and '.';
//   - '?' stands for one character;
//   - anything else stands for itself, brackets and dots too.
//
// A '*' that is a pointer's star in the name of a method or of an instance of
// a generic function stands for itself, so that a full name is not taken for a
// pattern and "main.(*Server).*" matches the methods of *Server. It is one if
// it is within parentheses, brackets or braces, comes directly after one of
//
//	(  [  ]  ,  a space  "go.shape."  another such star
//
// and directly before the beginning of a type: a letter, '_', '(', '[', '*' or
// '?'. So in "main.(*Server).Serve", "main.Gen[*int]" and
// "main.Gen[go.shape.*uint8,[]*T]" all stars stand for themselves, while
// "main.Gen[*]" matches all instances of Gen, "main.(*).Serve" a Serve of any
// receiver type with a pointer or in parentheses, "main.(**).Serve" of pointers
// only, and "main.(*S*).Serve" of pointers to types that begin with S.
func Match(pattern, name string) bool { return match(parsePattern(pattern), name) }

// IsPattern reports whether s has a '*' or '?' that [Match] does not take for
// itself. "main.(*Server).Serve" is not a pattern.
func IsPattern(s string) bool {
	for _, t := range parsePattern(s) {
		if t != tokenByte(t) {
			return true
		}
	}
	return false
}

// token is a byte that stands for itself, anyRun or anyOne.
type token uint16

const (
	anyRun token = 256 + iota
	anyOne
)

func tokenByte(t token) token { return t & 0xff }

func parsePattern(p string) []token {
	tokens := make([]token, 0, len(p))
	depth := 0
	literal := false // the byte before is a star that stands for itself
	for i := range len(p) {
		c := p[i]
		star := false
		switch c {
		case '(', '[', '{':
			depth++
		case ')', ']', '}':
			depth = max(depth-1, 0)
		case '?':
			tokens = append(tokens, anyOne)
			literal = false
			continue
		case '*':
			star = depth > 0 && (literal || beforeType(p[:i])) && beginsType(p[i+1:])
			if !star {
				if n := len(tokens); n == 0 || tokens[n-1] != anyRun {
					tokens = append(tokens, anyRun)
				}
				literal = false
				continue
			}
		}
		tokens = append(tokens, token(c))
		literal = star
	}
	return tokens
}

func beforeType(s string) bool {
	return s != "" && strings.IndexByte("([], ", s[len(s)-1]) >= 0 || strings.HasSuffix(s, "go.shape.")
}

func beginsType(s string) bool {
	if s == "" {
		return false
	}
	if strings.IndexByte("_([*?", s[0]) >= 0 {
		return true
	}
	r, _ := utf8.DecodeRuneInString(s)
	return unicode.IsLetter(r)
}

// match compares without recursion: on a mismatch it lets the last anyRun take
// one byte more. Earlier ones need no second try.
func match[S string | []byte](p []token, name S) bool {
	i, j := 0, 0
	run, from := -1, 0 // the last anyRun, and where the name goes on behind it
	for j < len(name) {
		switch {
		case i < len(p) && p[i] == anyRun:
			run, from = i, j
			i++
			continue
		case i < len(p) && p[i] == anyOne:
			i++
			j++
			for j < len(name) && name[j]&0xc0 == 0x80 { // rest of a UTF-8 sequence
				j++
			}
			continue
		case i < len(p) && p[i] == token(name[j]):
			i++
			j++
			continue
		case run < 0:
			return false
		}
		from++
		i, j = run+1, from
	}
	for i < len(p) && p[i] == anyRun {
		i++
	}
	return i == len(p)
}

// Glob returns the functions whose names match pattern as [Match] does, by
// ascending entry. Functions of the same name and entry are listed once. They
// are from where [File.Lookup] takes them. The error is a [*NotFoundError] if
// there are none.
func (f *File) Glob(pattern string) ([]Func, error) {
	src, err := f.functions()
	if errors.Is(err, ErrNoSymbols) {
		return nil, &NotFoundError{File: f.path, Name: pattern, Pattern: true, Stripped: true}
	}
	if err != nil {
		return nil, fmt.Errorf("find functions %s: %w", pattern, err)
	}
	p := parsePattern(pattern)
	var found []Func
	var total, limit uint64 = 0, maxName + 2*f.size
	err = src.each(func(name []byte) bool { return match(p, name) }, func(fn Func) bool {
		total += uint64(len(fn.Name))
		found = append(found, fn)
		return total <= limit
	})
	if err != nil {
		return nil, fmt.Errorf("find functions %s: %w", pattern, err)
	}
	if total > limit {
		// Functions may share a name's bytes, but not to this extent.
		return nil, fmt.Errorf("find functions %s: %w", pattern,
			f.malformed(src.part(), 0, "the names of functions add up to more than twice the file"))
	}
	if len(found) == 0 {
		return nil, &NotFoundError{File: f.path, Name: pattern, Pattern: true,
			Stripped: src.kind() == DynamicSymbols, Source: src.kind()}
	}
	slices.SortFunc(found, byEntry)
	return slices.CompactFunc(found, func(a, b Func) bool { return a.Entry == b.Entry && a.Name == b.Name }), nil
}

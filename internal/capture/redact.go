package capture

import (
	"fmt"
	"strings"
	"sync"
	"unicode"

	"github.com/argtap/argtap/abi"
)

// Redaction says which values must not leave the kernel, by the name of a
// parameter or field and by type. The nil Redaction redacts nothing. It is safe
// for concurrent use.
//
// A pattern without a dot is a name: see [Redaction.Name]. One with a dot is a
// type: see [Redaction.Type].
type Redaction struct {
	names    map[string]bool // in the form of joined
	longest  int             // of names, in bytes
	types    map[string]bool // full or short names
	packages map[string]bool // of which all types are redacted: paths or last elements

	mu       sync.Mutex
	nameMemo map[string]bool
	typeMemo map[*abi.Type]typeMemo
}

// typeMemo is what is known of a type: whether its values are redacted as a
// whole, and whether there is something redacted in them.
type typeMemo struct{ whole, within bool }

// maxMemo bounds what is remembered of names and types each.
const maxMemo = 1 << 16

// NewRedaction returns what patterns say together.
func NewRedaction(patterns ...string) (*Redaction, error) {
	r := &Redaction{
		names: map[string]bool{}, types: map[string]bool{}, packages: map[string]bool{},
		nameMemo: map[string]bool{}, typeMemo: map[*abi.Type]typeMemo{},
	}
	for _, p := range patterns {
		if err := r.add(p); err != nil {
			return nil, fmt.Errorf("redact %q: %w", p, err)
		}
	}
	return r, nil
}

func (r *Redaction) add(pattern string) error {
	if !strings.ContainsAny(pattern, "./") {
		for _, c := range pattern {
			if !unicode.IsLetter(c) && !unicode.IsDigit(c) && c != '_' && c != '-' {
				return fmt.Errorf("%q cannot stand in the name of a parameter or field; a type is named with its package, as http.Cookie", c)
			}
		}
		name := strings.Join(words(pattern), "")
		if name == "" {
			return fmt.Errorf("no name: give that of a parameter or field, as password, or of a type, as http.Cookie")
		}
		r.names[name] = true
		r.longest = max(r.longest, len(name))
		return nil
	}
	base, args, _ := strings.Cut(pattern, "[")
	dot := strings.LastIndexByte(base, '.')
	if slash := strings.LastIndexByte(base, '/'); dot <= slash+1 || dot == len(base)-1 {
		return fmt.Errorf("a type is a package and a name, as net/http.Cookie or http.Cookie, or all of a package, as crypto/rsa.*")
	}
	pkg, name := base[:dot], base[dot+1:]
	switch {
	case strings.HasPrefix(base, "*"):
		return fmt.Errorf("name the type that the pointer leads to: %s", strings.TrimLeft(base, "*"))
	case strings.ContainsAny(pkg, "*?()]{} ;,") || args != "" && !strings.HasSuffix(args, "]"):
		return fmt.Errorf("not the name of a type")
	case name == "*" && args == "":
		r.packages[pkg] = true
	case strings.IndexFunc(name, func(c rune) bool { return !unicode.IsLetter(c) && !unicode.IsDigit(c) && c != '_' }) >= 0:
		return fmt.Errorf("not the name of a type; * stands for all types of a package, alone behind the dot")
	default:
		r.types[pattern] = true
	}
	return nil
}

// words takes an identifier apart, at underscores, digits and changes of case:
// dbPassword, DBPassword and db_password2 are "db" and "password". Digits are
// words, too. All are in lower case.
func words(name string) (list []string) {
	const (
		sep = iota
		lower
		upper
		digit
	)
	class := func(c rune) int {
		switch {
		case unicode.IsUpper(c):
			return upper
		case unicode.IsLetter(c) || unicode.IsMark(c):
			return lower
		case unicode.IsDigit(c):
			return digit
		}
		return sep
	}
	var word []rune
	end := func() {
		if len(word) > 0 {
			list = append(list, strings.ToLower(string(word)))
			word = word[:0]
		}
	}
	last := sep
	for _, c := range name {
		k := class(c)
		switch {
		case k == sep:
			end()
		case k == digit != (last == digit), k == upper && last == lower:
			end()
			word = append(word, c)
		case k == lower && last == upper && len(word) > 1:
			// The capital before belongs to this word: APIKey.
			first := word[len(word)-1]
			word = word[:len(word)-1]
			end()
			word = append(word, first, c)
		default:
			word = append(word, c)
		}
		last = k
	}
	end()
	return list
}

// Name reports whether what has this name is redacted: whether one of the
// patterns, or its plural with an s, stands in the name as one or more whole
// words. Words end at underscores, digits, changes of case and whatever else
// cannot stand in an identifier; case does not matter otherwise, nor do
// underscores in patterns. password stands in dbPassword, password_hash,
// PASSWORD and userPasswords, not in passwordless; apiKey in API_KEY and apikey.
func (r *Redaction) Name(name string) bool {
	if r == nil || len(r.names) == 0 || name == "" {
		return false
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	known, ok := r.nameMemo[name]
	if !ok {
		known = r.matchName(name)
		if len(r.nameMemo) < maxMemo {
			r.nameMemo[name] = known
		}
	}
	return known
}

func (r *Redaction) matchName(name string) bool {
	list := words(name)
	for i := range list {
		joined := ""
		for _, w := range list[i:] {
			if joined += w; len(joined) > r.longest+1 {
				break
			}
			if r.names[joined] || r.names[strings.TrimSuffix(joined, "s")] {
				return true
			}
		}
	}
	return false
}

// Type reports whether values of a type are redacted: whether a pattern is its
// name, with the package's path or with its last element alone, or names all
// types of its package ("crypto/rsa.*"). Type arguments need not be given. So
// are slices and arrays of such types, because their lengths tell something, but
// not pointers to them, which just are not followed.
func (r *Redaction) Type(t *abi.Type) bool {
	if r == nil || t == nil || len(r.types)+len(r.packages) == 0 {
		return false
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.whole(t, 0)
}

// Input reports whether a parameter, or whatever else has a name and a type, is
// redacted as a whole.
func (r *Redaction) Input(name string, t *abi.Type) bool { return r.Name(name) || r.Type(t) }

func (r *Redaction) whole(t *abi.Type, nesting int) bool {
	if m, ok := r.typeMemo[t]; ok {
		return m.whole
	}
	yes := r.matchType(t.Name)
	if !yes && (t.Kind == abi.Slice || t.Kind == abi.Array) && t.Elem != nil && nesting < maxTypeNesting {
		yes = r.whole(t.Elem, nesting+1)
	}
	return yes
}

func (r *Redaction) matchType(name string) bool {
	if strings.Contains(name, "%2e") {
		name = strings.ReplaceAll(name, "%2e", ".") // as symbols have dots in paths
	}
	base, _, generic := strings.Cut(name, "[")
	dot := strings.LastIndexByte(base, '.')
	if dot <= strings.LastIndexByte(base, '/') {
		return false
	}
	last := func(s string) string { return s[strings.LastIndexByte(base, '/')+1:] }
	pkg := base[:dot]
	return r.types[base] || r.types[last(base)] || r.packages[pkg] || r.packages[last(pkg)] ||
		generic && (r.types[name] || r.types[last(name)])
}

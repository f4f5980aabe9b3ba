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

// Span is a run of bytes.
type Span struct{ Offset, Size int64 }

// Bounds of what is redacted within one value, and how many parts of one are
// looked at. Where that does not suffice the rest of the value is redacted.
const (
	maxSpans   = 256
	spanBudget = 1 << 12
)

// Spans returns which of the first size bytes of a value of type t are redacted,
// by ascending offset if the fields of structs are.
func (r *Redaction) Spans(t *abi.Type, size int64) []Span {
	spans, _ := r.find(t, size)
	return spans
}

// find is Spans, and says how many parts were looked at.
func (r *Redaction) find(t *abi.Type, size int64) ([]Span, int) {
	if r == nil || t == nil || size <= 0 {
		return nil, 0
	}
	if r.Type(t) {
		return []Span{{0, size}}, 1
	}
	f := spanFinder{r: r, size: size, budget: spanBudget}
	if f.within(t, 0) {
		f.walk(t, 0, 0)
	}
	return f.spans, spanBudget - f.budget
}

type spanFinder struct {
	r      *Redaction
	size   int64
	budget int
	spans  []Span
	full   bool
}

// add adds a part that lies at off, cut to what is captured.
func (f *spanFinder) add(off, size int64) {
	end := f.size
	if size < end-off {
		end = off + size
	}
	if off = max(off, 0); off < end {
		f.spans = append(f.spans, Span{off, end - off})
	}
}

func (f *spanFinder) walk(t *abi.Type, off int64, nesting int) {
	if f.full {
		return
	}
	if f.budget--; f.budget < 0 || nesting > maxTypeNesting || len(f.spans) >= maxSpans-1 {
		f.full = true
		f.add(off, f.size)
		return
	}
	switch t.Kind {
	case abi.Struct:
		for i := range t.Fields {
			fd := &t.Fields[i]
			at := off + fd.Offset
			switch {
			case fd.Type == nil || fd.Type.Size <= 0 || at >= f.size || fd.Offset < 0:
			case f.r.Input(fd.Name, fd.Type):
				if len(f.spans) >= maxSpans-1 {
					f.full = true
					f.add(at, f.size)
					return
				}
				f.add(at, fd.Type.Size)
			case f.within(fd.Type, 0):
				f.walk(fd.Type, at, nesting+1)
			}
		}
	case abi.Array:
		if t.Elem == nil || t.Elem.Size <= 0 || !f.within(t.Elem, 0) {
			return
		}
		for i := int64(0); i < t.Len && off+i*t.Elem.Size < f.size && !f.full; i++ {
			f.walk(t.Elem, off+i*t.Elem.Size, nesting+1)
		}
	}
}

// within reports whether something in values of a type is redacted.
func (f *spanFinder) within(t *abi.Type, nesting int) bool {
	switch {
	case t == nil || t.Kind != abi.Struct && t.Kind != abi.Array:
		return false
	case nesting > maxTypeNesting:
		return true // malformed: walk finds out
	}
	r := f.r
	r.mu.Lock()
	m, ok := r.typeMemo[t]
	r.mu.Unlock()
	if ok {
		return m.whole || m.within
	}
	if t.Kind == abi.Array {
		if t.Elem != nil {
			m.within = r.Type(t.Elem) || f.within(t.Elem, nesting+1)
		}
	} else {
		for i := range t.Fields {
			fd := &t.Fields[i]
			if m.within = r.Input(fd.Name, fd.Type) || f.within(fd.Type, nesting+1); m.within {
				break
			}
		}
	}
	m.whole = r.Type(t)
	r.mu.Lock()
	if len(r.typeMemo) < maxMemo {
		r.typeMemo[t] = m
	}
	r.mu.Unlock()
	return m.whole || m.within
}

// redacted returns spans as holes.
func redacted(spans []Span) (holes []Hole) {
	for _, s := range spans {
		holes = append(holes, Hole{Offset: s.Offset, Size: s.Size, Reason: abi.Redacted})
	}
	return holes
}

// joined joins spans that overlap or touch.
func joined(spans []Span) (out []Span) {
	for _, s := range spans {
		if n := len(out); n > 0 {
			l := &out[n-1]
			if end := l.Offset + l.Size; l.Offset <= s.Offset && s.Offset <= end {
				l.Size = max(end, s.Offset+s.Size) - l.Offset
				continue
			}
		}
		out = append(out, s)
	}
	return out
}

// kept returns how many bytes of a piece that is stored are not redacted: those
// up to the first that is. The rest is in the same register, and is left out with
// it.
func (b *builder) kept(img *Image, off, size int64) int64 {
	keep := size
	for _, s := range img.Erase {
		if s.Offset < off+keep && off < s.Offset+s.Size {
			keep = max(s.Offset-off, 0)
		}
	}
	if keep == size {
		return size
	}
	if !storable(keep) {
		keep = 0
	}
	for _, s := range img.Erase {
		if s.Offset <= off+keep && off+size <= s.Offset+s.Size {
			return keep
		}
	}
	img.Holes = append(img.Holes, Hole{Offset: off + keep, Size: size - keep, Reason: abi.Redacted})
	return keep
}

// erase has the plan erase what is redacted of a read, or read less. It reports
// whether there is something to read.
func (b *builder) erase(img *Image, r *Read) bool {
	lo, hi := r.Within, r.Within+int64(r.Size)
	from, to := lo, hi
	for _, s := range img.Erase {
		if s.Offset <= from && from < s.Offset+s.Size {
			from = s.Offset + s.Size
		}
	}
	for i := len(img.Erase) - 1; i >= 0; i-- {
		if s := img.Erase[i]; s.Offset < to && to <= s.Offset+s.Size {
			to = s.Offset
		}
	}
	if from >= to {
		return false
	}
	for _, s := range img.Erase {
		if at, end := max(s.Offset, from), min(s.Offset+s.Size, to); at < end {
			b.plan.Erase = append(b.plan.Erase, Span{int64(r.Offset) + at - lo, end - at})
		}
	}
	r.Offset += int(from - lo)
	r.Disp += from - lo
	r.Within = from
	r.Size = int(to - from)
	return true
}

// image returns the image of a value of type t of which so many bytes are
// captured.
func (l *Limits) image(t *abi.Type, size int64) *Image {
	m := &Image{Type: t, Size: size, NoLoops: l.NoLoops}
	if spans := l.Redact.Spans(t, size); spans != nil {
		m.Holes, m.Erase = redacted(spans), joined(spans)
	}
	return m
}

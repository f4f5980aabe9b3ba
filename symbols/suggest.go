package symbols

import (
	"bytes"
	"cmp"
	"math/bits"
	"slices"
	"strings"
)

const (
	maxSuggestions = 5
	// maxSuggested is the length in bytes beyond which names are not compared.
	maxSuggested = 256
)

// The ways in which a name may be near to what was asked for, the best first.
// Names that are spelt otherwise come between nearMethod and nearElsewhere, by
// their distance.
const (
	nearSame      = 0 // same but for case, pointer stars, type arguments, ABI suffix
	nearTail      = 1 // same without the package, its path, or the receiver
	nearMethod    = 2 // same package and last part, other or no receiver
	nearElsewhere = 7 // same in another package
	notNear       = 8

	maxEdits = nearElsewhere - nearMethod - 2
)

// suggestion is a name of the file with what orders it among others.
type suggestion struct {
	name  string
	near  int
	cased bool // ends as the wanted name does, in the same case
	main  bool // in package main
}

func (a suggestion) compare(b suggestion) int {
	return cmp.Or(
		cmp.Compare(a.near, b.near),
		compareBool(b.main, a.main),
		compareBool(b.cased, a.cased),
		cmp.Compare(len(a.name), len(b.name)),
		cmp.Compare(a.name, b.name),
	)
}

func compareBool(a, b bool) int {
	switch {
	case a == b:
		return 0
	case b:
		return -1
	}
	return 1
}

// suggest returns names of functions, of those that each visits, that may have
// been meant by name, the likeliest first. It keeps no more names than it returns.
func suggest(name string, each func(visit func(name []byte) bool) error) ([]string, error) {
	if name == "" || len(name) > maxSuggested {
		return nil, nil
	}
	want := plainName(nil, []byte(name))
	if len(want) == 0 {
		return nil, nil
	}
	last := name[strings.LastIndexByte(name, '.')+1:]
	var best []suggestion
	var buf []byte
	e := editor{want: want}
	err := each(func(full []byte) bool {
		if len(full) > maxSuggested {
			return true
		}
		buf = plainName(buf[:0], full)
		near := e.near(buf)
		if near == notNear || len(best) == maxSuggestions && near > best[len(best)-1].near {
			return true
		}
		s := suggestion{
			name: string(full), near: near,
			cased: bytes.HasSuffix(full, []byte(last)),
			main:  bytes.HasPrefix(full, []byte("main.")),
		}
		i, found := slices.BinarySearchFunc(best, s, suggestion.compare)
		if found || i == maxSuggestions {
			return true
		}
		best = slices.Insert(best, i, s)
		best = best[:min(len(best), maxSuggestions)]
		return true
	})
	var names []string
	for _, s := range best {
		if s.near > nearTail && best[0].near <= nearTail {
			break // beside the right word, other words only distract
		}
		names = append(names, s.name)
	}
	return names, err
}

// plainName appends name to to in lower case, without type arguments, the
// parentheses and star of a receiver, and the suffix of ABI0 functions.
func plainName(to, name []byte) []byte {
	name = bytes.TrimSuffix(name, []byte(".abi0"))
	depth := 0
	for _, c := range name {
		switch {
		case c == '[':
			depth++
		case c == ']':
			depth = max(depth-1, 0)
		case depth > 0 || c == '(' || c == ')' || c == '*':
		case 'A' <= c && c <= 'Z':
			to = append(to, c+'a'-'A')
		default:
			to = append(to, c)
		}
	}
	return to
}

// split cuts a plain name into package and the rest: the first dot behind the
// last slash ends the package. A name without a dot has no package.
func split(plain []byte) (pkg, local []byte) {
	start := bytes.LastIndexByte(plain, '/') + 1
	dot := bytes.IndexByte(plain[start:], '.')
	if dot < 0 {
		return nil, plain
	}
	return plain[:start+dot], plain[start+dot+1:]
}

// editor compares plain names with the wanted one.
type editor struct {
	want []byte
	rows [3][maxSuggested + 1]uint8
}

// near returns how near have is to the wanted name.
func (e *editor) near(have []byte) int {
	want := e.want
	if bytes.Equal(have, want) {
		return nearSame
	}
	if n := len(have) - len(want); n > 0 && bytes.HasSuffix(have, want) && (have[n-1] == '.' || have[n-1] == '/') {
		return nearTail
	}
	pkg, local := split(have)
	wantPkg, wantLocal := split(want)
	if len(wantLocal) > 0 {
		tail, wantTail := afterDot(local), afterDot(wantLocal)
		if wantPkg != nil && bytes.Equal(pkg, wantPkg) && bytes.Equal(tail, wantTail) {
			return nearMethod
		}
		if wantPkg != nil && bytes.Equal(local, wantLocal) {
			return nearElsewhere
		}
	}
	// One edit in four characters, or it is another word.
	limit := min(maxEdits, max(1, len(wantLocal)/4))
	if d := e.distance(e.parallel(have), limit); d <= limit {
		return nearMethod + d
	}
	return notNear
}

// parallel cuts have to as many parts at its end as the wanted name has.
func (e *editor) parallel(have []byte) []byte {
	if bytes.IndexByte(e.want, '/') >= 0 {
		return have
	}
	have = have[bytes.LastIndexByte(have, '/')+1:]
	dots := bytes.Count(e.want, []byte{'.'})
	for n := bytes.Count(have, []byte{'.'}); n > dots; n-- {
		have = have[bytes.IndexByte(have, '.')+1:]
	}
	return have
}

// letters returns the set of bytes in b, taken modulo 64.
func letters(b []byte) (set uint64) {
	for _, c := range b {
		set |= 1 << (c & 63)
	}
	return set
}

func afterDot(b []byte) []byte { return b[bytes.LastIndexByte(b, '.')+1:] }

// distance returns the number of edits (insert, delete, replace, swap
// neighbours) between have and the wanted name, or limit+1 if there are more
// than limit.
func (e *editor) distance(have []byte, limit int) int {
	want := e.want
	if d := len(have) - len(want); d > limit || -d > limit {
		return limit + 1
	}
	// An edit changes at most one letter; most names fail this.
	a, b := letters(have), letters(want)
	if bits.OnesCount64(a&^b) > limit || bits.OnesCount64(b&^a) > limit {
		return limit + 1
	}
	// What both begin and end with does not count.
	for len(have) > 0 && len(want) > 0 && have[0] == want[0] {
		have, want = have[1:], want[1:]
	}
	for len(have) > 0 && len(want) > 0 && have[len(have)-1] == want[len(want)-1] {
		have, want = have[:len(have)-1], want[:len(want)-1]
	}
	before, row, next := &e.rows[0], &e.rows[1], &e.rows[2]
	over := uint8(limit + 1)
	for j := range len(want) + 1 {
		row[j] = uint8(min(j, limit+1))
	}
	for i := 1; i <= len(have); i++ {
		next[0] = uint8(min(i, limit+1))
		least := next[0]
		for j := 1; j <= len(want); j++ {
			d := row[j-1]
			if have[i-1] != want[j-1] {
				d = min(d, row[j], next[j-1]) + 1
			}
			if i > 1 && j > 1 && have[i-1] == want[j-2] && have[i-2] == want[j-1] {
				d = min(d, before[j-2]+1)
			}
			next[j] = min(d, over)
			least = min(least, next[j])
		}
		if least >= over {
			return limit + 1
		}
		before, row, next = row, next, before
	}
	return int(row[len(want)])
}

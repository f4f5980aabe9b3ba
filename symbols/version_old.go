package symbols

import (
	"bytes"
	"debug/elf"
)

// oldVersion returns the version of a Go program without build information,
// "" if it does not tell: the contents of runtime.buildVersion, a string
// variable that the linker fills (cmd/link/internal/ld, addstrdata).
func (f *File) oldVersion() string {
	if v, ok := f.buildVersionSymbol(); ok {
		return v
	}
	// Later releases have build information, and if somebody removed that,
	// then for a reason: only for older ones is the search worth while.
	t, err := f.table()
	if err != nil || t.magic != magic1_11 {
		return ""
	}
	return f.searchVersion()
}

// buildVersionSymbol reads runtime.buildVersion by its symbol.
func (f *File) buildVersionSymbol() (string, bool) {
	t, err := f.symtab()
	if err != nil || !t.full {
		return "", false
	}
	const name = "runtime.buildVersion"
	offsets, err := t.findName(name)
	if err != nil || len(offsets) == 0 {
		return "", false
	}
	var version string
	err = t.eachSymbol(func(s symbol) bool {
		if s.typ == elf.STT_OBJECT && contains(offsets, s.name) {
			version = f.stringAt(s.value)
		}
		return version == ""
	})
	return version, err == nil && version != ""
}

// stringAt returns the version that the string header at a refers to, "" if
// it is none.
func (f *File) stringAt(a VirtAddr) string {
	w := f.wordSize()
	b := make([]byte, 2*w)
	if f.image(a, b) != nil {
		return ""
	}
	off, err := f.FileOffset(VirtAddr(f.word(b)))
	if err != nil {
		return ""
	}
	v, _ := f.versionAt(uint64(off), f.word(b[w:]))
	return v
}

// releasePrefix begins the version of every release that has no build
// information and a function table that is known here: Go 1.11 and 1.12, and
// 1.13 to 1.15 if somebody removed it.
const releasePrefix = "go1.1"

// maxCandidates bounds the places in the data that look like the text of a
// version.
const maxCandidates = 64

// searchVersion searches the file's constants for texts of releases, and its
// variables for strings of exactly such a text. If all that it finds have one
// text it is the version; "" otherwise, as in a program that knows several.
func (f *File) searchVersion() string {
	texts := map[VirtAddr]string{} // by where they begin
	for _, s := range f.segments {
		f.findEach(extent{uint64(s.Offset), s.FileSize}, []byte(releasePrefix), func(at uint64) bool {
			var b [16]byte
			if v := releaseText(b[:f.readSome(b[:], at)]); v != "" {
				texts[s.Addr+VirtAddr(at-uint64(s.Offset))] = v
			}
			return len(texts) < maxCandidates
		})
	}
	version, several := "", false
	w := f.wordSize()
	for start, text := range texts {
		err := f.eachPointer(start, true, func(a VirtAddr) bool {
			b := make([]byte, w)
			if f.image(a+VirtAddr(w), b) != nil {
				return true
			}
			n := f.word(b)
			if n == 0 || n > uint64(len(text)) || releaseText([]byte(text[:n])) != text[:n] {
				return true
			}
			// A number may be cut: the texts of constants follow each other.
			if minor, _ := goMinor(text[:n]); minor < 11 || minor > 15 {
				return true
			}
			several = several || version != "" && version != text[:n]
			version = text[:n]
			return !several
		})
		if err != nil || several {
			return ""
		}
	}
	return version
}

// releaseText returns the release that b begins with, such as "go1.11.13" or
// "go1.12rc1"; "" if it does not begin with one.
func releaseText(b []byte) string {
	if !bytes.HasPrefix(b, []byte("go1.")) {
		return ""
	}
	digits := func(i int) int {
		n := 0
		for i+n < len(b) && n < 3 && '0' <= b[i+n] && b[i+n] <= '9' {
			n++
		}
		return n
	}
	end := 4 + digits(4)
	if end == 4 {
		return ""
	}
	for _, mark := range []string{".", "rc", "beta"} {
		if bytes.HasPrefix(b[end:], []byte(mark)) {
			if n := digits(end + len(mark)); n > 0 {
				return string(b[:end+len(mark)+n])
			}
		}
	}
	return string(b[:end])
}

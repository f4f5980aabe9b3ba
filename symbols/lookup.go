package symbols

import (
	"bytes"
	"debug/elf"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
)

// Func is a function of the file.
type Func struct {
	// Name is the symbol's name, such as "main.(*Server).Serve". Go's linker
	// appends ".abi0" to the name of an ABI0 function if there is one of the
	// same name in ABIInternal (cmd/link/internal/ld, mangleABIName).
	Name string
	// Entry is the address of the first instruction.
	Entry VirtAddr
	// Size is the number of bytes of code; 0 if the symbol does not tell, as
	// for some functions in assembly.
	Size uint64
}

// End returns the address behind the function's last byte.
func (fn Func) End() VirtAddr { return fn.Entry + VirtAddr(fn.Size) }

func (s symbol) function(name string) Func { return Func{Name: name, Entry: s.value, Size: s.size} }

// Lookup returns the function of exactly the given name. Its cost is one pass
// over the names and one over the functions; nothing is kept.
//
// Symbols of the same name and entry count as one. Where there are several
// entries the error is an [*AmbiguousError]. A symbol without a type, as
// assembly in C programs may have it, counts if there is no function symbol of
// the name. A function that is not there gives a [*NotFoundError] with names
// that may have been meant, to find which takes another pass.
//
// A file without .symtab is looked up in its function table, if it is a Go
// program ([File.Table], where the names' differences stand), and in .dynsym,
// which has at best the functions that a shared library exports.
func (f *File) Lookup(name string) (Func, error) {
	fn, err := f.find1(name)
	if err != nil && !isLookupError(err) {
		err = fmt.Errorf("find function %s: %w", name, err)
	}
	return fn, err
}

// isLookupError reports whether err says all that is to be said.
func isLookupError(err error) bool {
	switch err.(type) {
	case *NotFoundError, *AmbiguousError:
		return true
	}
	return false
}

func (f *File) find1(name string) (Func, error) {
	src, err := f.functions()
	if errors.Is(err, ErrNoSymbols) {
		return Func{}, &NotFoundError{File: f.path, Name: name, Stripped: true}
	}
	if err != nil {
		return Func{}, err
	}
	found, err := src.lookup(name)
	if err != nil {
		return Func{}, err
	}
	switch len(found) {
	case 0:
		e := &NotFoundError{File: f.path, Name: name, Stripped: src.kind() == DynamicSymbols, Source: src.kind()}
		if e.Suggestions, err = suggest(name, src.eachName); err != nil {
			return Func{}, err
		}
		return Func{}, e
	case 1:
		return found[0], nil
	}
	return Func{}, &AmbiguousError{File: f.path, Name: name, Funcs: found}
}

// lookup returns the functions of the given name by ascending entry, at most
// maxAmbiguous of them.
func (t *symtab) lookup(name string) ([]Func, error) {
	if name == "" || len(name) > maxName || strings.IndexByte(name, 0) >= 0 {
		return nil, nil
	}
	offsets, err := t.findName(name)
	if err != nil || len(offsets) == 0 {
		return nil, err
	}
	var funcs, untyped []Func
	add := func(to []Func, s symbol) []Func {
		for i := range to {
			if to[i].Entry == s.value {
				to[i].Size = max(to[i].Size, s.size)
				return to
			}
		}
		if len(to) == maxAmbiguous {
			return to
		}
		return append(to, s.function(name))
	}
	low, high := offsets[0], offsets[len(offsets)-1]
	err = t.eachChunk(func(b []byte) bool {
		for ; len(b) > 0; b = b[t.entry:] {
			at := t.f.u32(b)
			if at < low || at > high {
				continue
			}
			if !contains(offsets, at) {
				continue
			}
			s := t.symbol(b)
			switch {
			case t.isFunc(s):
				if s.size != 0 || !isMarker(name) {
					funcs = add(funcs, s)
				}
			case s.typ == elf.STT_NOTYPE && t.inCode(s):
				untyped = add(untyped, s)
			}
		}
		return true
	})
	if err != nil {
		return nil, err
	}
	if len(funcs) == 0 {
		funcs = untyped
	}
	slices.SortFunc(funcs, byEntry)
	return funcs, nil
}

// maxNeedle is how many bytes are searched for at once. bytes.Index has vector
// instructions for needles of up to 31 bytes at least (internal/bytealg.MaxLen)
// and is several times slower beyond.
const maxNeedle = 31

// findName returns the offsets in the string table at which name stands.
func (t *symtab) findName(name string) ([]uint32, error) {
	return t.f.findText(t.strs.stored, t.strs.name, 0, name)
}

// findText returns the offsets from the start of where at which name stands
// with a zero behind it, ascending. What stands before it does not matter:
// linkers store a string that is another's tail only once. where is in the
// file, and at base in the section that errors name.
func (f *File) findText(where extent, section string, base uint64, name string) ([]uint32, error) {
	text := append([]byte(name), 0)
	needle := text[max(0, len(text)-maxNeedle):]
	lead := len(text) - len(needle) // bytes of text before needle

	// Offsets have 32 bits, so nothing behind those can be a name.
	size := min(where.size, 1<<32)
	chunk := chunks.Get().(*[chunkSize]byte)
	defer chunks.Put(chunk)
	var found []uint32
	keep := 0 // bytes at the chunk's start that the previous one ended with
	for at := uint64(0); at < size; {
		n := int(min(size-at, uint64(chunkSize-keep)))
		if err := f.read(chunk[keep:keep+n], where.off+at); err != nil {
			return nil, f.malformed(section, base+at, "%w", err)
		}
		b := chunk[:keep+n]
		start := at - uint64(keep) // where b starts in the section
		for i := lead; ; {
			j := bytes.Index(b[min(i, len(b)):], needle)
			if j < 0 {
				break
			}
			i += j
			if bytes.Equal(b[i-lead:i], text[:lead]) {
				found = append(found, uint32(start+uint64(i-lead)))
			}
			i++
		}
		at += uint64(n)
		keep = min(len(b), len(text)-1)
		copy(chunk[:keep], b[len(b)-keep:])
	}
	return found, nil
}

func contains(sorted []uint32, x uint32) bool {
	_, ok := slices.BinarySearch(sorted, x)
	return ok
}

func byEntry(a, b Func) int {
	switch {
	case a.Entry < b.Entry:
		return -1
	case a.Entry > b.Entry:
		return 1
	case a.Name < b.Name:
		return -1
	case a.Name > b.Name:
		return 1
	}
	return 0
}

// Funcs returns an iterator over the functions of the file, in the order of
// its symbol table: symbols of type STT_FUNC in sections of code, but not the
// marks of Go's linker, runtime.text and runtime.etext. Several may share an
// entry, under different names. For a file without .symtab they are those of
// the function table, by ascending entry, and then of .dynsym; see
// [File.Lookup]. An error ends the iteration; it is [ErrNoSymbols] for a file
// that has neither, else mostly a [*FormatError]. Names of over 64 KiB are left
// out.
func (f *File) Funcs() iter.Seq2[Func, error] {
	return func(yield func(Func, error) bool) {
		src, err := f.functions()
		if err != nil {
			yield(Func{}, f.stripped("list functions", err))
			return
		}
		stopped := false
		err = src.each(nil, func(fn Func) bool {
			stopped = !yield(fn, nil)
			return !stopped
		})
		if err != nil && !stopped {
			yield(Func{}, err)
		}
	}
}

// stripped adds to ErrNoSymbols what to do; other errors name the file
// already.
func (f *File) stripped(op string, err error) error {
	if errors.Is(err, ErrNoSymbols) {
		err = fmt.Errorf("%w: the file was stripped: build it without -ldflags=-s, or keep the unstripped file", err)
		return f.wrap(op, err)
	}
	return fmt.Errorf("%s: %w", op, err)
}

// At returns the function that contains address a. Of several that do, it is
// the one that starts last, and of those the first in the symbol table. A
// function of unknown size contains its entry only. The error is [ErrNoFunc] if
// there is none, [ErrNoSymbols] for a file without symbol and function table.
// Each call reads the whole symbol table, but only a little of a function
// table.
func (f *File) At(a VirtAddr) (Func, error) {
	op := fmt.Sprintf("find function at %#x", uint64(a))
	src, err := f.functions()
	if err != nil {
		return Func{}, f.stripped(op, err)
	}
	fn, err := src.at(a)
	switch {
	case errors.Is(err, ErrNoFunc):
		return Func{}, f.wrap(op, ErrNoFunc)
	case err != nil:
		return Func{}, fmt.Errorf("%s: %w", op, err)
	}
	return fn, nil
}

// at is At in a symbol table.
func (t *symtab) at(a VirtAddr) (Func, error) {
	n := t.names()
	var best symbol
	var name string
	var fault error
	err := t.eachSymbol(func(s symbol) bool {
		if a < s.value || uint64(a-s.value) >= max(s.size, 1) || !t.isFunc(s) || s.name == 0 {
			return true
		}
		better := name == "" || s.value > best.value || s.value == best.value && best.size == 0 && s.size > 0
		if !better {
			return true
		}
		b, ok, err := n.at(uint64(s.name))
		if err != nil {
			fault = err
			return false
		}
		if ok && len(b) > 0 && (s.size > 0 || !isMarker(string(b))) {
			best, name = s, string(b)
		}
		return true
	})
	if err = errors.Join(err, fault); err != nil {
		return Func{}, err
	}
	if name == "" {
		return Func{}, ErrNoFunc
	}
	return best.function(name), nil
}

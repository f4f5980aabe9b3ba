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
// over the string table and one over the symbol table; nothing is kept.
//
// Symbols of the same name and entry count as one. Where there are several
// entries the error is an [*AmbiguousError]. A symbol without a type, as
// assembly in C programs may have it, counts if there is no function symbol of
// the name. A function that is not there gives a [*NotFoundError] with names
// that may have been meant, to find which takes another pass.
//
// A file without .symtab is looked up in .dynsym, which has at best the
// functions that a shared library exports.
func (f *File) Lookup(name string) (Func, error) {
	t, err := f.symtab()
	if errors.Is(err, ErrNoSymbols) {
		return Func{}, &NotFoundError{File: f.path, Name: name, Stripped: true}
	}
	if err != nil {
		return Func{}, fmt.Errorf("find function %s: %w", name, err)
	}
	found, err := t.lookup(name)
	if err != nil {
		return Func{}, fmt.Errorf("find function %s: %w", name, err)
	}
	switch len(found) {
	case 0:
		e := &NotFoundError{File: f.path, Name: name, Stripped: !t.full}
		if e.Suggestions, err = t.suggest(name); err != nil {
			return Func{}, fmt.Errorf("find function %s: %w", name, err)
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
			if _, ok := slices.BinarySearch(offsets, at); !ok {
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

// findName returns the offsets in the string table at which name stands with a
// zero behind it, ascending. What stands before it does not matter: linkers
// store a string that is another's tail only once.
func (t *symtab) findName(name string) ([]uint32, error) {
	text := append([]byte(name), 0)
	needle := text[max(0, len(text)-maxNeedle):]
	lead := len(text) - len(needle) // bytes of text before needle

	// Offsets have 32 bits, so nothing behind those can be a name.
	size := min(t.strs.stored.size, 1<<32)
	chunk := chunks.Get().(*[chunkSize]byte)
	defer chunks.Put(chunk)
	var found []uint32
	keep := 0 // bytes at the chunk's start that the previous one ended with
	for at := uint64(0); at < size; {
		n := int(min(size-at, uint64(chunkSize-keep)))
		if err := t.f.read(chunk[keep:keep+n], t.strs.stored.off+at); err != nil {
			return nil, t.f.malformed(t.strs.name, at, "%w", err)
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

// Funcs returns an iterator over the functions of the symbol table, in the
// table's order: symbols of type STT_FUNC in sections of code, but not the
// marks of Go's linker, runtime.text and runtime.etext. Several may share an
// entry, under different names. An error ends the iteration; it is
// [ErrNoSymbols] for a stripped file, else mostly a [*FormatError]. Names of
// over 64 KiB are left out.
func (f *File) Funcs() iter.Seq2[Func, error] {
	return func(yield func(Func, error) bool) {
		t, err := f.symtab()
		if err != nil {
			yield(Func{}, f.stripped("list functions", err))
			return
		}
		stopped := false
		err = t.eachFunc(func(s symbol, name []byte) bool {
			stopped = !yield(s.function(string(name)), nil)
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
// there is none, [ErrNoSymbols] for a stripped file. Each call reads the whole
// symbol table.
func (f *File) At(a VirtAddr) (Func, error) {
	t, err := f.symtab()
	if err != nil {
		return Func{}, f.stripped(fmt.Sprintf("find function at %#x", uint64(a)), err)
	}
	n := names{t: t}
	var best symbol
	var name string
	var fault error
	err = t.each(func(s symbol) bool {
		if a < s.value || uint64(a-s.value) >= max(s.size, 1) || !t.isFunc(s) || s.name == 0 {
			return true
		}
		better := name == "" || s.value > best.value || s.value == best.value && best.size == 0 && s.size > 0
		if !better {
			return true
		}
		b, ok, err := n.at(s.name)
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
		return Func{}, fmt.Errorf("find function at %#x: %w", uint64(a), err)
	}
	if name == "" {
		return Func{}, f.wrap(fmt.Sprintf("find function at %#x", uint64(a)), ErrNoFunc)
	}
	return best.function(name), nil
}

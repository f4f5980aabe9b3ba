package symbols

import (
	"bytes"
	"debug/elf"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Dictionary is what the code of generic functions, which is shared by types of
// one shape, gets to know the true types from: words, some of which point to
// descriptors of types.
type Dictionary struct {
	Addr VirtAddr
	Size uint64 // bytes
	// Name of the instance, with import paths as symbols have them:
	// "main.Map[string,int]". Methods have the dictionary of their type, of
	// which it is the name then: "main.Stack[string]". Up to Go 1.19 each has
	// its own: "main.(*Stack[string]).Push".
	Name string
}

// maxDictionaries bounds the dictionaries of one file.
const maxDictionaries = 1 << 20

// dictMark is in the names of dictionaries, between the package and the rest
// (cmd/internal/objabi.GlobalDictPrefix; cmd/compile/internal/typecheck,
// MakeDictSym, up to 1.19).
const dictMark = "..dict."

// Dictionaries returns the dictionaries of the file's generic functions, by
// their addresses; there are some from Go 1.18 on. Each call reads the whole
// symbol table. The error is [ErrNoSymbols] for a stripped file.
func (f *File) Dictionaries() ([]Dictionary, error) {
	t, err := f.symtab()
	if err == nil && !t.full {
		err = ErrNoSymbols
	}
	if err != nil {
		return nil, f.stripped("list dictionaries", err)
	}
	var (
		list  []Dictionary
		fault error
		n     = t.names()
	)
	err = t.eachSymbol(func(s symbol) bool {
		if s.typ != elf.STT_OBJECT || s.name == 0 || s.index == elf.SHN_UNDEF {
			return true
		}
		name, ok, err := n.at(uint64(s.name))
		if err != nil {
			fault = err
			return false
		}
		if !ok || !bytes.Contains(name, []byte(dictMark)) {
			return true
		}
		if len(list) == maxDictionaries {
			fault = f.malformed(t.syms.name, 0, "more than %d dictionaries", maxDictionaries)
			return false
		}
		pkg, rest, _ := strings.Cut(string(name), dictMark)
		list = append(list, Dictionary{Addr: s.value, Size: s.size, Name: pkg + "." + rest})
		return true
	})
	if err = errors.Join(fault, err); err != nil {
		return nil, fmt.Errorf("list dictionaries: %w", err)
	}
	slices.SortFunc(list, func(a, b Dictionary) int {
		if a.Addr != b.Addr {
			if a.Addr < b.Addr {
				return -1
			}
			return 1
		}
		return strings.Compare(a.Name, b.Name)
	})
	return list, nil
}

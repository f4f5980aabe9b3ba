package rtype

import (
	"fmt"

	"github.com/argtap/argtap/symbols"
)

// maxDictionary bounds the words of a dictionary.
const maxDictionary = 1 << 20

// DictionaryType returns the offset from runtime.types of the descriptor that a
// word of a dictionary of a generic function points to: of a type that the code
// of the function knows by its shape only. Which word it is, debug information
// says (DW_AT_go_dict_index, dwarfargs.Param.TypeParam). The address of the
// dictionary is as the file states it. The error is [ErrNoType] if the word is of
// something else.
//
// In Go 1.18 and 1.19 the first words are the type arguments, then come types
// that are made of them, then other dictionaries
// (cmd/compile/internal/noder/stencil.go, getDictionarySym). From 1.20 on methods
// and other dictionaries come first, then all types, then itabs
// (cmd/compile/internal/noder/reader.go, readerDict).
func (d *Data) DictionaryType(dict symbols.VirtAddr, word int) (uint64, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if word < 0 || word >= maxDictionary {
		return 0, fmt.Errorf("%w: word %d of a dictionary", ErrNoType, word)
	}
	b := make([]byte, d.r.layout.ptr)
	if err := d.r.mem.DataAt(dict+symbols.VirtAddr(int64(word)*d.r.layout.ptr), b); err != nil {
		return 0, fmt.Errorf("%w: dictionary at %#x, word %d: %w", ErrNoType, uint64(dict), word, err)
	}
	off, err := d.r.ref(d.r.word(b))
	if err == nil && uint64(off)%uint64(d.r.layout.ptr) != 0 {
		err = bad(off, "not aligned")
	}
	if err == nil {
		_, err = d.r.descriptor(off)
	}
	if err != nil {
		return 0, fmt.Errorf("%w: dictionary at %#x, word %d: %w", ErrNoType, uint64(dict), word, err)
	}
	return uint64(off), nil
}

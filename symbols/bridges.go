package symbols

import (
	"bytes"
	"debug/elf"
	"hash/maphash"
)

// suffixABI0 is what the linker appends in the symbol table to the name of a
// function with arguments on the stack if there is one of the same name that
// takes them in registers (cmd/link/internal/ld, mangleABIName). The function
// table has both under the same name.
const suffixABI0 = ".abi0"

// A bridge is a function that the compiler makes so that code of one ABI can
// call a function of the other (cmd/compile/internal/ssagen, makeABIWrapper).
// There are none before Go 1.17, on 32-bit machines and for generic functions.
func (t *FuncTable) mayBridge() bool {
	if t.magic == magic1_16 {
		version, _ := t.f.GoVersion()
		minor, ok := goMinor(version)
		return ok && minor >= 17 && t.ptr == 8
	}
	return t.magic != magic1_11 && t.ptr == 8
}

// bridgesAll reports whether the compiler makes a bridge for each function in
// assembly that Go code declares, though the linker may leave it out
// (internal/buildcfg, RegabiWrappers): on amd64 from Go 1.17, on arm64 and
// ppc64 from 1.18.
func (t *FuncTable) bridgesAll() bool {
	switch t.f.machine {
	case elf.EM_X86_64:
		return t.mayBridge()
	case elf.EM_AARCH64, elf.EM_PPC64:
		return t.magic == magic1_18 || t.magic == magic1_20
	}
	return false
}

// isABI0 reports whether the function of r, which the table calls name, has
// ".abi0" although it is the only one of its name.
func (n *tableReader) isABI0(r *record, name []byte) (bool, error) {
	if !n.t.bridgesAll() {
		return false, nil
	}
	if asm, err := n.asm(r); err != nil {
		return false, err
	} else if asm {
		// The compiler describes the arguments of functions in assembly that
		// Go code declares, and of no others (cmd/internal/obj, Flushplist). Up
		// to Go 1.21 it does not if the assembly names them with their package.
		refs, err := n.t.refs(r)
		return err == nil && refs.has(FuncDataArgInfo), err
	}
	id, known := n.t.wrapper()
	return isCgoCall(name) && !(known && n.t.id(r) == id), nil
}

// isCgoCall reports whether name is that of a function that cmd/cgo generates
// to call one in C, which is compiled with its arguments on the stack
// (cmd/cgo/out.go, go:cgo_unsafe_args).
func isCgoCall(name []byte) bool {
	i := bytes.LastIndexByte(name, '.') + 1
	local := name[i:]
	if i == 0 || len(local) < 2 || local[0] != '_' {
		return false
	}
	if string(local) == "_cgo_cmalloc" || bytes.HasPrefix(local, []byte("_C2func_")) {
		return true
	}
	c, ok := bytes.CutPrefix(local, []byte("_Cfunc_"))
	switch string(c) {
	case "GoString", "GoStringN", "GoBytes", "CString", "CBytes", "_CMalloc": // builtinDefs
		return false
	}
	return ok
}

// fullName returns the function's name as the symbol table would have it. The
// bytes are valid until the next call; ok is false if it has none, or one that
// is too long.
func (n *tableReader) fullName(r *record) (name []byte, ok bool, err error) {
	bridges, err := n.t.bridges()
	if err != nil {
		return nil, false, err
	}
	name, ok, err = n.name(n.t.nameOffset(r))
	if err != nil || !ok || len(name) == 0 {
		return nil, false, err
	}
	abi0 := bridges[uint32(r.index)]
	if !abi0 {
		if abi0, err = n.isABI0(r, name); err != nil {
			return nil, false, err
		}
	}
	if abi0 {
		n.full = append(append(n.full[:0], name...), suffixABI0...)
		name = n.full
	}
	return name, true, nil
}

// findBridges returns which of the functions, by their position in the index,
// have ".abi0" because another one of the same name is there.
func (t *FuncTable) findBridges() (map[uint32]bool, error) {
	if !t.mayBridge() {
		return nil, nil
	}
	twice, err := t.repeatedNames()
	if err != nil || len(twice) == 0 {
		return nil, err
	}
	indices := map[uint32][]uint32{} // of functions, by the offset of their name
	err = t.each(func(r *record) bool {
		if first, ok := twice[t.nameOffset(r)]; ok {
			indices[first] = append(indices[first], uint32(r.index))
		}
		return true
	})
	if err != nil {
		return nil, err
	}
	bridges := map[uint32]bool{}
	n := t.reader()
	for _, which := range indices {
		if len(which) != 2 {
			continue
		}
		var two [2]TableFunc
		var names [2]string
		for i, index := range which {
			if two[i], names[i], err = n.at(uint64(index)); err != nil {
				return nil, err
			}
		}
		if names[0] != names[1] {
			continue
		}
		i, ok, err := n.abi0Of(two, names[0])
		if err != nil {
			return nil, err
		}
		if ok {
			bridges[which[i]] = true
		}
	}
	return bridges, nil
}

// maxRepeated bounds the names that are in the table repeatedly, of which
// programs have some dozens, or hundreds; maxNames those that may be: a program
// of 100 MB has some ten thousand.
const (
	maxRepeated = 1 << 16
	maxNames    = 1 << 20
)

// repeatedNames returns the offsets of the names that functions with a bridge
// may have and that are in the table several times, as the linker writes them
// for each function; for each the offset of the first of that name.
func (t *FuncTable) repeatedNames() (map[uint32]uint32, error) {
	type entry struct {
		hash uint64
		at   uint32
	}
	// Of names with the same hash, here taken for the same, the first is kept.
	entries := make([]entry, 1<<10)
	used := 0
	place := func(entries []entry, hash uint64) *entry {
		i := int(hash>>1) & (len(entries) - 1)
		for entries[i].hash != 0 && entries[i].hash != hash {
			i = (i + 1) & (len(entries) - 1)
		}
		return &entries[i]
	}
	seed := maphash.MakeSeed()
	twice := map[uint32]uint32{}
	err := t.eachNameText(func(at uint32, name []byte) bool {
		if !mayBeBridged(name) {
			return true
		}
		hash := maphash.Bytes(seed, name) | 1
		e := place(entries, hash)
		if e.hash != 0 {
			twice[e.at], twice[at] = e.at, e.at
			return len(twice) < maxRepeated
		}
		*e = entry{hash, at}
		if used++; used == maxNames {
			return false
		}
		if used > len(entries)/2 {
			more := make([]entry, 2*len(entries))
			for _, e := range entries {
				if e.hash != 0 {
					*place(more, e.hash) = e
				}
			}
			entries = more
		}
		return true
	})
	if err == nil && (used == maxNames || len(twice) >= maxRepeated) {
		err = t.malformed(t.names.off, "%d names, %d of them repeated, are too many", used, len(twice))
	}
	return twice, err
}

// startsName reports whether a name begins at an offset of the table of names, and
// not before it.
func (t *FuncTable) startsName(at uint32) (bool, error) {
	if at == 0 {
		return true, nil
	}
	var before [1]byte
	err := t.read(before[:], t.names.off+uint64(at)-1)
	return before[0] == 0, err
}

// eachNameText calls visit with each name in the table of names, and its
// offset, until it returns false. The bytes are valid during the call. Names of
// over 64 KiB are left out.
func (t *FuncTable) eachNameText(visit func(at uint32, name []byte) bool) error {
	chunk := chunks.Get().(*[chunkSize]byte)
	defer chunks.Put(chunk)
	size := min(t.names.size, 1<<32)
	keep := 0 // bytes at the chunk's start that the previous one ended with
	for at := uint64(0); at < size; {
		n := int(min(size-at, uint64(chunkSize-keep)))
		if err := t.read(chunk[keep:keep+n], t.names.off+at); err != nil {
			return err
		}
		start := at - uint64(keep)
		at += uint64(n)
		b := chunk[:keep+n]
		for {
			end := bytes.IndexByte(b, 0)
			if end < 0 {
				break
			}
			if end > 0 && end <= maxName && !visit(uint32(start), b[:end]) {
				return nil
			}
			b = b[end+1:]
			start += uint64(end + 1)
		}
		// What is left of a name that is too long is taken for a shorter one;
		// no function has it.
		if keep = len(b); keep > maxName {
			keep = 0
		}
		copy(chunk[:keep], b[:keep])
	}
	return nil
}

// at returns the function at a position of the index, and its name as the
// table has it.
func (n *tableReader) at(index uint64) (fn TableFunc, name string, err error) {
	var fault error
	err = n.t.eachFrom(index, index+1, func(r *record) bool {
		if fn, fault = n.function(r); fault != nil {
			return false
		}
		var b []byte
		var ok bool
		if b, ok, fault = n.name(n.t.nameOffset(r)); ok {
			name = string(b)
		}
		return false
	})
	if fault != nil {
		err = fault
	}
	return fn, name, err
}

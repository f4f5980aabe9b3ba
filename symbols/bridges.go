package symbols

import (
	"bytes"
	"debug/elf"
	"hash/maphash"
	"math/bits"
	"slices"
	"strings"
)

// suffixABI0 is what the linker appends in the symbol table to the name of a
// function with arguments on the stack if there is one of the same name that
// takes them in registers (cmd/link/internal/ld, mangleABIName). The function
// table has both under the same name.
const suffixABI0 = ".abi0"

// A bridge is a function that the compiler makes so that code of one ABI can
// call a function of the other (cmd/compile/internal/ssagen, makeABIWrapper).
// There are none before Go 1.17, on 32-bit machines, and for generic
// functions.
func (t *FuncTable) mayBridge() bool { return t.magic != magic1_11 && t.ptr == 8 }

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

// isDeclared reports whether the function of r is one in assembly, of ABI0,
// that Go code declares. The compiler describes the arguments of those, and of
// no other in assembly (cmd/internal/obj, Flushplist). Up to Go 1.21 it does
// not if the assembly names it with its package.
func (n *tableReader) isDeclared(r *record) (bool, error) {
	if !n.t.bridgesAll() {
		return false, nil
	}
	if asm, err := n.asm(r); err != nil || !asm {
		return false, err
	}
	refs, err := n.t.refs(r)
	if err != nil {
		return false, err
	}
	return refs.has(FuncDataArgInfo), nil
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
		if abi0, err = n.isDeclared(r); err != nil {
			return nil, false, err
		}
	}
	if abi0 {
		n.full = append(append(n.full[:0], name...), suffixABI0...)
		name = n.full
	}
	return name, true, nil
}

// findBridges returns the functions whose names lack the linker's ".abi0".
func (t *FuncTable) findBridges() (map[uint32]bool, error) {
	if !t.mayBridge() {
		return nil, nil
	}
	// An open hash table of the names' hashes: collisions are rare, and all
	// that are found are looked at again.
	size := 1 << bits.Len64(2*t.count)
	hashes, who := make([]uint64, size), make([]uint32, size)
	seed := maphash.MakeSeed()
	n := t.reader()
	others := map[uint32][]uint32{} // by the first function of a name
	found := 0
	var fault error
	err := t.each(func(r *record) bool {
		name, _, err := n.name(t.nameOffset(r))
		if err != nil {
			fault = err
			return false
		}
		if bytes.IndexByte(name, '[') >= 0 {
			return true
		}
		h := maphash.Bytes(seed, name) | 1
		i := int(h>>1) & (size - 1)
		for hashes[i] != 0 && hashes[i] != h {
			i = (i + 1) & (size - 1)
		}
		if hashes[i] == h {
			others[who[i]] = append(others[who[i]], uint32(r.index))
			found++
			return found < maxPairs
		}
		hashes[i], who[i] = h, uint32(r.index)
		return true
	})
	if fault != nil {
		err = fault
	}
	if err != nil {
		return nil, err
	}
	bridges := map[uint32]bool{}
	for first, rest := range others {
		if len(rest) != 1 {
			continue
		}
		indices := [2]uint32{first, rest[0]}
		var two [2]TableFunc
		var names [2]string
		for i, index := range indices {
			if two[i], names[i], err = n.at(uint64(index)); err != nil {
				return nil, err
			}
		}
		if names[0] != names[1] {
			continue
		}
		if i, ok := abi0Of(two); ok {
			bridges[indices[i]] = true
		}
	}
	return bridges, nil
}

// maxPairs bounds the functions that have the name of another. Programs have
// some dozens, or hundreds.
const maxPairs = 1 << 16

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

// nameOf returns the full name of fn, which the table calls name. It looks for
// others of that name, where that matters, instead of for all bridges.
func (t *FuncTable) nameOf(fn TableFunc, name string) (string, error) {
	if !fn.Wrapper && !fn.Asm || !t.mayBridge() {
		return name, nil
	}
	for _, full := range []string{name, name + suffixABI0} {
		found, err := t.lookup(full)
		if err != nil {
			return "", err
		}
		if slices.ContainsFunc(found, func(f TableFunc) bool { return f.Entry == fn.Entry }) {
			return full, nil
		}
	}
	return name, nil // one of very many functions of the name
}

// abi0Of returns which of two functions of one name takes its arguments on the
// stack; false if they are not a function and its bridge.
func abi0Of(two [2]TableFunc) (int, bool) {
	a, b := two[0], two[1]
	switch {
	case a.Wrapper && b.Asm:
		return 1, true
	case a.Asm && b.Wrapper:
		return 0, true
	case a.Wrapper && !b.Wrapper:
		return 0, true
	case b.Wrapper && !a.Wrapper:
		return 1, true
	}
	return 0, false
}

// lookup returns the functions of the given name by ascending entry, at most
// maxAmbiguous of them.
func (t *FuncTable) lookup(name string) ([]TableFunc, error) {
	base := name
	if t.mayBridge() {
		base = strings.TrimSuffix(name, suffixABI0)
	}
	if base == "" || len(base) > maxName || strings.IndexByte(base, 0) >= 0 {
		return nil, nil
	}
	where := extent{t.stored.off + t.names.off, t.names.size}
	offsets, err := t.f.findText(where, t.section, t.names.off, base)
	if err != nil || len(offsets) == 0 {
		return nil, err
	}
	low, high := offsets[0], offsets[len(offsets)-1]
	n := t.reader()
	var found []TableFunc
	var fault error
	err = t.each(func(r *record) bool {
		at := t.nameOffset(r)
		if at < low || at > high || !contains(offsets, at) {
			return true
		}
		var fn TableFunc
		var declared bool
		if fn, fault = n.function(r); fault != nil {
			return false
		}
		if declared, fault = n.isDeclared(r); fault != nil {
			return false
		}
		fn.Name = base
		if declared {
			fn.Name += suffixABI0
		}
		found = append(found, fn)
		return len(found) < maxAmbiguous
	})
	if fault != nil {
		err = fault
	}
	if err != nil {
		return nil, err
	}
	if len(found) == 2 && t.mayBridge() && !strings.Contains(base, "[") {
		if i, ok := abi0Of([2]TableFunc(found)); ok {
			found[i].Name = base + suffixABI0
		}
	}
	return slices.DeleteFunc(found, func(fn TableFunc) bool { return fn.Name != name }), nil
}

package rtype

import (
	"fmt"
	"slices"

	"github.com/argtap/argtap/abi"
	"github.com/argtap/argtap/symbols"
)

// maxMethods bounds the methods of one program.
const maxMethods = 1 << 22

// Module says where a program's type data is, as its moduledata does
// (runtime/symtab.go).
type Module struct {
	// Text is where functions count from, Types and ETypes delimit the type
	// data.
	Text, Types, ETypes symbols.VirtAddr
	// TypeLinks is the address of TypeLinkCount offsets of type descriptors from
	// Types, of four bytes each: up to Go 1.26.
	TypeLinks     symbols.VirtAddr
	TypeLinkCount int
	// TypeDescSize is where the descriptors that type links would lead to end,
	// ItabOffset where the others do: bytes, from Types on. Since Go 1.27.
	TypeDescSize, ItabOffset uint64
}

// methodIndex finds methods by their code.
type methodIndex struct {
	// keys are ordered: the code's distance from the begin of the text, and in
	// the lower half the number of the entry. Numbers are quicker to sort than
	// entries, and there may be 100 000.
	keys    []uint64
	entries []entry
	// types are the descriptors that were found, in order.
	types []offset32
}

// entry is a method of a type.
type entry struct {
	typ  offset32
	mtyp offset32
	// viaPointer says that the receiver is a pointer to the type: of the
	// wrapper that interfaces call for types that they hold by a pointer.
	viaPointer bool
}

// offset32 is an [offset], in less space.
type offset32 uint32

// indexer finds all methods of a program.
type indexer struct {
	reader
	methodIndex
	seen    []uint64 // a bit for every place where a descriptor may be
	pending []offset
	// broken is the first error. What one descriptor says is no reason to give
	// up on all.
	broken error
}

// index returns the methods of all types that can be found. It fails only if
// there is not one.
func (r reader) index(m *Module) (*methodIndex, error) {
	r.budget = indexBudget
	x := &indexer{reader: r, seen: make([]uint64, r.size/uint64(r.layout.ptr)/64+1)}
	if r.contiguous {
		x.descriptors(m)
	} else {
		x.links(m)
	}
	for len(x.pending) > 0 {
		off := x.pending[len(x.pending)-1]
		x.pending = x.pending[:len(x.pending)-1]
		if err := x.visit(off); err != nil && x.broken == nil {
			x.broken = err
		}
		if len(x.entries) > maxMethods {
			return nil, bad(off, "more than %d methods", maxMethods)
		}
	}
	if len(x.entries) == 0 && x.broken != nil {
		return nil, x.broken
	}
	slices.Sort(x.keys)
	slices.Sort(x.types)
	return &methodIndex{slices.Clip(x.keys), slices.Clip(x.entries), slices.Clip(x.types)}, nil
}

// push marks a descriptor to be visited.
func (x *indexer) push(off offset) {
	i := uint64(off) / uint64(x.layout.ptr)
	if uint64(off)%uint64(x.layout.ptr) != 0 || i/64 >= uint64(len(x.seen)) || x.seen[i/64]>>(i%64)&1 != 0 {
		return
	}
	x.seen[i/64] |= 1 << (i % 64)
	x.pending = append(x.pending, off)
}

func (x *indexer) pushPointer(p uint64) {
	if off, err := x.ref(p); err == nil {
		x.push(off)
	}
}

func (x *indexer) note(err error) {
	if x.broken == nil {
		x.broken = err
	}
}

// links pushes what the type links lead to: types without a name. The others
// are reached through these; itabs lead to no more.
func (x *indexer) links(m *Module) {
	const step = 1 << 14 // links at once
	for i := 0; i < m.TypeLinkCount; i += step {
		b := make([]byte, 4*min(step, m.TypeLinkCount-i))
		if err := x.mem.DataAt(m.TypeLinks+symbols.VirtAddr(4*i), b); err != nil {
			x.note(fmt.Errorf("type links: %w", err))
			return
		}
		for ; len(b) > 0; b = b[4:] {
			x.push(offset(x.order.Uint32(b)))
		}
	}
}

// descriptors pushes all descriptors of a release that writes them one behind
// the other, as moduleTypelinks in runtime/type.go finds them: behind one word.
func (x *indexer) descriptors(m *Module) {
	ptr := x.layout.ptr
	end := max(m.TypeDescSize, m.ItabOffset)
	for off := ptr; uint64(off) < end; {
		off = align(off, ptr)
		d, err := x.descriptor(offset(off))
		if err == nil {
			var n int64
			if n, err = x.extent(d); err == nil {
				x.push(d.off)
				off += n
			}
		}
		if err != nil {
			// Behind typedesclen nobody reads on in this way.
			if uint64(off) < m.TypeDescSize {
				x.note(err)
			}
			break
		}
	}
}

// visit takes down the methods of a type, and pushes the types that it leads to.
func (x *indexer) visit(off offset) error {
	d, err := x.descriptor(off)
	if err != nil {
		return err
	}
	x.types = append(x.types, offset32(off))
	u, ok, err := x.uncommon(d)
	if err != nil {
		return err
	}
	if ok {
		if err := x.methodsOf(d, u); err != nil {
			return err
		}
	}
	first, ptr := off+offset(x.typeSize()), offset(x.layout.ptr)
	switch d.kind {
	case abi.Pointer, abi.Slice, abi.Chan, abi.Array:
		e, err := x.pointer(first)
		if err == nil {
			x.push(e)
		}
		return err
	case abi.Map:
		for _, at := range []offset{first, first + ptr} {
			e, err := x.pointer(at)
			if err != nil {
				return err
			}
			x.push(e)
		}
	case abi.Struct:
		return x.fieldTypes(d)
	case abi.Func:
		in, out, _, err := x.params(d)
		for _, p := range append(in, out...) {
			x.push(p)
		}
		return err
	}
	return nil
}

// fieldTypes pushes the types of a struct's fields. Their names do not matter
// here.
func (x *indexer) fieldTypes(d descriptor) error {
	ptr := x.layout.ptr
	at, n, err := x.slice(d.off + offset(x.typeSize()+ptr))
	if err != nil {
		return err
	}
	b, err := x.bytes(at, int64(n)*3*ptr)
	for ; len(b) > 0; b = b[3*ptr:] {
		x.pushPointer(x.word(b[ptr:]))
	}
	return err
}

func (x *indexer) methodsOf(d descriptor, u uncommon) error {
	b, err := x.methods(u)
	for ; len(b) > 0; b = b[methodSize:] {
		m := x.method(b)
		if gone(uint32(m.typ)) {
			continue
		}
		x.push(m.typ)
		e := entry{typ: offset32(d.off), mtyp: offset32(m.typ)}
		if gone(m.tfn) {
			continue
		}
		x.add(m.tfn, e)
		if !gone(m.ifn) && m.ifn != m.tfn {
			e.viaPointer = true
			x.add(m.ifn, e)
		}
	}
	return err
}

func (x *methodIndex) add(text uint32, e entry) {
	x.keys = append(x.keys, uint64(text)<<32|uint64(len(x.entries)))
	x.entries = append(x.entries, e)
}

// find returns the methods with code at text.
func (x *methodIndex) find(text uint32) []entry {
	var found []entry
	from, _ := slices.BinarySearch(x.keys, uint64(text)<<32)
	for _, k := range x.keys[from:] {
		if uint32(k>>32) != text {
			break
		}
		found = append(found, x.entries[uint32(k)])
	}
	return found
}

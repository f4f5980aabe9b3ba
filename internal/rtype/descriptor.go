package rtype

import (
	"fmt"

	"github.com/argtap/argtap/abi"
)

const (
	// maxName bounds a name, in bytes.
	maxName = 1 << 16
	// maxFields bounds the fields of a struct, the parameters of a func type
	// and the methods of a type. reflect stops at 65535 fields too.
	maxFields = 1 << 16
	// maxTypeSize bounds a type, in bytes: Go's own limit on 64-bit targets
	// (cmd/compile/internal/types.MaxWidth).
	maxTypeSize = 1 << 50
)

// descriptor is the begin of a type descriptor, which all kinds share.
type descriptor struct {
	off   offset
	size  uint64 // of values of the type
	str   offset // of the name
	kind  abi.Kind
	tflag uint8
	align uint8
	// direct says that an interface's data word is the value, rather than a
	// pointer to it.
	direct bool
}

// reader reads type data in one layout.
type reader struct {
	*data
	*layout
}

// descriptor reads the descriptor at off.
func (r reader) descriptor(off offset) (descriptor, error) {
	b, err := r.bytes(off, r.typeSize())
	if err != nil {
		return descriptor{}, err
	}
	t := descriptor{
		off: off, size: r.word(b), str: offset(r.order.Uint32(b[r.layout.str():])),
		kind:  abi.Kind(b[r.layout.kind()] & kindMask),
		tflag: b[r.layout.tflag()], align: b[r.layout.align()],
	}
	if r.directInTFlag {
		t.direct = t.tflag&flagDirect != 0
	} else {
		t.direct = b[r.layout.kind()]&kindDirect != 0
	}
	switch {
	case t.kind == abi.Invalid || t.kind > abi.UnsafePointer:
		return t, bad(off, "no type: kind %d", uint8(t.kind))
	case t.align == 0 || t.align > 64 || t.align&(t.align-1) != 0:
		return t, bad(off, "no type: alignment of %d bytes", t.align)
	case t.size > maxTypeSize || t.size%uint64(t.align) != 0:
		return t, bad(off, "no type: %d bytes, aligned to %d", t.size, t.align)
	}
	return t, nil
}

// own returns the size of a descriptor without what may follow it.
func (l *layout) own(k abi.Kind) int64 {
	switch k {
	case abi.Pointer, abi.Slice: // elem
		return l.typeSize() + l.ptr
	case abi.Chan: // elem, dir
		return l.typeSize() + 2*l.ptr
	case abi.Array: // elem, slice, len
		return l.typeSize() + 3*l.ptr
	case abi.Interface, abi.Struct: // pkgPath, and a slice of three words
		return l.typeSize() + 4*l.ptr
	case abi.Func: // inCount, outCount
		return align(l.typeSize()+4, l.ptr)
	case abi.Map:
		return l.mapType
	}
	return l.typeSize()
}

// extent returns the bytes from a descriptor's begin to its end, with all that
// belongs to it, where releases write them one behind the other
// (internal/abi.Type.DescriptorSize).
func (r reader) extent(t descriptor) (int64, error) {
	n := r.own(t.kind)
	switch t.kind {
	case abi.Func:
		in, out, _, err := r.counts(t)
		if err != nil {
			return 0, err
		}
		n += int64(in+out) * r.layout.ptr
	case abi.Interface:
		_, count, err := r.slice(t.off + offset(r.typeSize()+r.layout.ptr))
		if err != nil {
			return 0, err
		}
		n += int64(count) * imethodSize
	case abi.Struct:
		_, count, err := r.slice(t.off + offset(r.typeSize()+r.layout.ptr))
		if err != nil {
			return 0, err
		}
		n += int64(count) * 3 * r.layout.ptr
	}
	u, ok, err := r.uncommon(t)
	if err != nil || !ok {
		return n, err
	}
	return n + uncommonSize + int64(u.methods)*methodSize, nil
}

// counts returns how many parameters and results a func type has, and whether
// it is variadic.
func (r reader) counts(t descriptor) (in, out int, variadic bool, err error) {
	b, err := r.bytes(t.off+offset(r.typeSize()), 4)
	if err != nil {
		return 0, 0, false, err
	}
	n := r.order.Uint16(b[2:])
	return int(r.order.Uint16(b)), int(n &^ (1 << 15)), n>>15 != 0, nil
}

// slice reads the header of a slice: where it points to, and its length.
func (r reader) slice(off offset) (offset, int, error) {
	b, err := r.bytes(off, 2*r.layout.ptr)
	if err != nil {
		return 0, 0, err
	}
	n := r.word(b[r.layout.ptr:])
	if n == 0 {
		return 0, 0, nil
	}
	if n > maxFields {
		return 0, 0, bad(off, "%d elements: more than %d", n, maxFields)
	}
	start, err := r.ref(r.word(b))
	if err == nil {
		err = r.spend(int(n))
	}
	return start, int(n), err
}

// uncommon is what named types and types with methods have.
type uncommon struct {
	off     offset
	pkgPath offset // of a name; 0 if there is none
	methods int
	moff    uint32 // from off to the methods
}

// uncommon returns that of t; false if it has none.
func (r reader) uncommon(t descriptor) (u uncommon, ok bool, err error) {
	if t.tflag&flagUncommon == 0 {
		return u, false, nil
	}
	u.off = t.off + offset(r.own(t.kind))
	b, err := r.bytes(u.off, uncommonSize)
	if err != nil {
		return u, false, err
	}
	u.pkgPath = offset(r.order.Uint32(b))
	u.methods = int(r.order.Uint16(b[4:]))
	u.moff = r.order.Uint32(b[8:])
	return u, true, nil
}

// name is a name with what belongs to it.
type name struct {
	text, tag string
	embedded  bool
	exported  bool
	// pkgPath is the name of the package of a name that is not exported, where
	// that is not the type's; 0 if there is none.
	pkgPath offset
}

// name reads the name at off. The zero offset is no name.
func (r reader) name(off offset) (name, error) {
	if off == 0 {
		return name{}, nil
	}
	b, err := r.bytes(off, 1)
	if err != nil {
		return name{}, err
	}
	n := name{embedded: b[0]&nameEmbedded != 0, exported: b[0]&nameExported != 0}
	flags, next := b[0], off+1
	if n.text, next, err = r.text(next); err == nil && flags&nameTag != 0 {
		n.tag, next, err = r.text(next)
	}
	if err == nil && flags&namePkgPath != 0 {
		if b, err = r.bytes(next, 4); err == nil {
			n.pkgPath = offset(r.order.Uint32(b))
		}
	}
	return n, err
}

// text reads a length and the bytes, and returns where they end.
func (r reader) text(off offset) (string, offset, error) {
	var n, used uint64
	if r.varint {
		for shift := 0; ; shift += 7 {
			b, err := r.bytes(off+offset(used), 1)
			if err != nil {
				return "", 0, err
			}
			used++
			n |= uint64(b[0]&0x7f) << shift
			if b[0]&0x80 == 0 {
				break
			}
			if shift >= 28 {
				return "", 0, bad(off, "a name of more than %d bytes", maxName)
			}
		}
	} else {
		b, err := r.bytes(off, 2)
		if err != nil {
			return "", 0, err
		}
		n, used = uint64(b[0])<<8|uint64(b[1]), 2
	}
	if n > maxName {
		return "", 0, bad(off, "a name of %d bytes: more than %d", n, maxName)
	}
	b, err := r.bytes(off+offset(used), int64(n))
	if err == nil {
		err = r.spend(int(n))
	}
	return string(b), off + offset(used+n), err
}

// params returns the offsets of the descriptors of a func type's parameters and
// results.
func (r reader) params(t descriptor) (in, out []offset, variadic bool, err error) {
	if t.kind != abi.Func {
		return nil, nil, false, bad(t.off, "a type of kind %s, not func", t.kind)
	}
	nin, nout, variadic, err := r.counts(t)
	if err != nil {
		return nil, nil, false, err
	}
	at := t.off + offset(r.own(abi.Func))
	if t.tflag&flagUncommon != 0 {
		at += uncommonSize
	}
	if err := r.spend(nin + nout); err != nil {
		return nil, nil, false, err
	}
	all := make([]offset, nin+nout)
	for i := range all {
		if all[i], err = r.pointer(at + offset(int64(i)*r.layout.ptr)); err != nil {
			return nil, nil, false, err
		}
	}
	return all[:nin], all[nin:], variadic, nil
}

// field is a field of a struct as its descriptor has it.
type field struct {
	name
	typ    offset
	offset uint64
}

// fields returns the fields of a struct type, and the package of those that are
// not exported.
func (r reader) fields(t descriptor) (fields []field, err error) {
	at, n, err := r.slice(t.off + offset(r.typeSize()+r.layout.ptr))
	if err != nil {
		return nil, err
	}
	ptr := r.layout.ptr
	b, err := r.bytes(at, int64(n)*3*ptr)
	if err != nil {
		return nil, err
	}
	fields = make([]field, n)
	for i := range fields {
		b := b[int64(i)*3*ptr:]
		f := &fields[i]
		nameAt, err := r.ref(r.word(b))
		if err == nil {
			f.name, err = r.name(nameAt)
		}
		if err == nil {
			f.typ, err = r.ref(r.word(b[ptr:]))
		}
		if err != nil {
			return nil, fmt.Errorf("field %d: %w", i, err)
		}
		if f.offset = r.word(b[2*ptr:]); !r.embeddedInName {
			f.embedded = f.offset&1 != 0
			f.offset >>= 1
		}
	}
	return fields, nil
}

// pkgPath returns the package of a struct's or an interface's unexported names.
func (r reader) pkgPath(t descriptor) (string, error) {
	b, err := r.bytes(t.off+offset(r.typeSize()), r.layout.ptr)
	if err != nil {
		return "", err
	}
	p := r.word(b)
	if p == 0 {
		return "", nil
	}
	off, err := r.ref(p)
	if err != nil {
		return "", err
	}
	n, err := r.name(off)
	return n.text, err
}

// imethod is a method of an interface: its name, and the descriptor of its type.
type imethod struct {
	name, typ offset
}

func (r reader) imethods(t descriptor) ([]imethod, error) {
	at, n, err := r.slice(t.off + offset(r.typeSize()+r.layout.ptr))
	if err != nil {
		return nil, err
	}
	b, err := r.bytes(at, int64(n)*imethodSize)
	if err != nil {
		return nil, err
	}
	list := make([]imethod, n)
	for i := range list {
		b := b[i*imethodSize:]
		list[i] = imethod{offset(r.order.Uint32(b)), offset(r.order.Uint32(b[4:]))}
	}
	return list, nil
}

// method is an entry of a type's table of methods. The code is at ifn for calls
// through an interface, at tfn for others, from the begin of the text; both and
// the type are not positive in a method that was taken out.
type method struct {
	typ      offset
	ifn, tfn uint32
}

// gone are the values by which the linker marks what it has taken out: 0 up to
// Go 1.14, and -1 (cmd/link/internal/ld/data.go, R_METHODOFF).
func gone(n uint32) bool { return n == 0 || int32(n) < 0 }

func (r reader) methods(u uncommon) ([]byte, error) {
	if u.methods == 0 {
		return nil, nil
	}
	if err := r.spend(u.methods); err != nil {
		return nil, err
	}
	return r.bytes(u.off+offset(u.moff), int64(u.methods)*methodSize)
}

func (r reader) method(b []byte) method {
	return method{typ: offset(r.order.Uint32(b[4:])), ifn: r.order.Uint32(b[8:]), tfn: r.order.Uint32(b[12:])}
}

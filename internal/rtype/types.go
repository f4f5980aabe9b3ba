package rtype

import (
	"fmt"

	"github.com/argtap/argtap/abi"
)

const (
	// maxTypes bounds what one call reads.
	maxTypes = 1 << 17
	// keptTypes is how many types are kept for the calls to come.
	keptTypes = 1 << 15
	// maxDepth is where a wish for more pointer hops ends.
	maxDepth = 64
)

// Whole is the depth to read types to if all that pointers lead to is wanted.
// Each type is then there once, so that types which refer to themselves are
// cycles.
const Whole = 1 << 30

// hopsFor returns the hops for a depth that the user asks for.
func hopsFor(depth int) int {
	if depth >= Whole {
		return Whole
	}
	return min(max(depth, 0), maxDepth)
}

// typeKey identifies a type as it was read: to a number of pointer hops, -1 for
// a stub. So a type never changes once it is returned, and what a call gets does
// not depend on the calls before it.
type typeKey struct {
	off  offset
	hops int
}

// typeNode is a type that is being read.
type typeNode struct {
	key   typeKey
	t     *abi.Type
	state int8 // 0 only promised, 1 being read, 2 read
}

// typeReader reads the types of one call.
type typeReader struct {
	reader
	known map[typeKey]*abi.Type // of the calls before
	fresh map[typeKey]*typeNode
	queue []*typeNode
}

// finish reads all that was promised.
func (r *typeReader) finish() error {
	for len(r.queue) > 0 {
		n := r.queue[0]
		r.queue = r.queue[1:]
		if n.state == 0 {
			if err := r.fill(n, 0); err != nil {
				return err
			}
		}
	}
	return nil
}

func (r *typeReader) node(key typeKey) (*typeNode, error) {
	if len(r.fresh) == maxTypes {
		return nil, bad(key.off, "more than %d types", maxTypes)
	}
	n := &typeNode{key: key, t: new(abi.Type)}
	r.fresh[key] = n
	return n, nil
}

// read returns the type at off, complete but for what is promised behind its
// pointers.
func (r *typeReader) read(off offset, hops, nest int) (*abi.Type, error) {
	key := typeKey{off, hops}
	if t := r.known[key]; t != nil {
		return t, nil
	}
	n := r.fresh[key]
	if n == nil {
		var err error
		if n, err = r.node(key); err != nil {
			return nil, err
		}
	}
	switch {
	case n.state == 2:
		return n.t, nil
	case n.state == 1:
		return nil, bad(off, "type contains itself")
	case nest > maxTypeNest:
		return nil, bad(off, "type: %w", errTooDeep)
	}
	return n.t, r.fill(n, nest)
}

// pointee returns the type at off, one pointer hop away from one that is read
// to the given number of hops.
func (r *typeReader) pointee(off offset, hops int) (*abi.Type, error) {
	key := typeKey{off, Whole}
	if hops != Whole {
		key.hops = max(hops-1, -1)
	}
	if t := r.known[key]; t != nil {
		return t, nil
	}
	if n := r.fresh[key]; n != nil {
		return n.t, nil
	}
	n, err := r.node(key)
	if err != nil {
		return nil, err
	}
	if key.hops >= 0 {
		r.queue = append(r.queue, n)
		return n.t, nil
	}
	n.state = 2
	n.t.Name, err = r.typeName(off)
	return n.t, err
}

// fill reads the descriptor of n.
func (r *typeReader) fill(n *typeNode, nest int) error {
	n.state = 1
	d, err := r.descriptor(n.key.off)
	if err != nil {
		return err
	}
	t := n.t
	if t.Name, err = r.typeName(d.off); err != nil {
		return err
	}
	t.Kind, t.Size, t.Align = d.kind, int64(d.size), int64(d.align)
	t.RuntimeType = uint64(d.off)
	if want := d.kind.Size(r.layout.ptr); want >= 0 && t.Size != want {
		return bad(d.off, "type %s: %d bytes for kind %s", t.Name, t.Size, t.Kind)
	}
	if err := r.parts(d, t, n.key.hops, nest); err != nil {
		return err
	}
	n.state = 2
	return nil
}

// parts reads what a type consists of.
func (r *typeReader) parts(d descriptor, t *abi.Type, hops, nest int) error {
	first, ptr := d.off+offset(r.typeSize()), offset(r.layout.ptr)
	pointee := func(at offset) (*abi.Type, error) {
		e, err := r.pointer(at)
		if err != nil {
			return nil, err
		}
		return r.pointee(e, hops)
	}
	var err error
	switch t.Kind {
	case abi.Pointer, abi.Slice, abi.Chan:
		t.Elem, err = pointee(first)
	case abi.Map:
		if t.Key, err = pointee(first); err == nil {
			t.Elem, err = pointee(first + ptr)
		}
	case abi.Interface:
		var methods []imethod
		methods, err = r.imethods(d)
		t.NumMethod = len(methods)
	case abi.Array:
		e, err := r.pointer(first)
		if err != nil {
			return err
		}
		b, err := r.bytes(first+2*ptr, r.layout.ptr)
		if err != nil {
			return err
		}
		n := r.word(b)
		if t.Elem, err = r.read(e, hops, nest+1); err != nil {
			return err
		}
		if size := uint64(t.Elem.Size); n > maxTypeSize || size > 0 && n > maxTypeSize/size || n*size != d.size {
			return bad(d.off, "type %s: %d bytes for %d elements of %d", t.Name, d.size, n, size)
		}
		t.Len = int64(n)
	case abi.Struct:
		fields, err := r.fields(d)
		if err != nil {
			return err
		}
		t.Fields = make([]abi.Field, len(fields))
		end := uint64(0)
		for i, f := range fields {
			ft, err := r.read(f.typ, hops, nest+1)
			if err != nil {
				return fmt.Errorf("field %s: %w", f.text, err)
			}
			if f.offset < end || f.offset > d.size || uint64(ft.Size) > d.size-f.offset {
				return bad(d.off, "type %s: field %s does not fit at byte %d of %d", t.Name, f.text, f.offset, d.size)
			}
			end = f.offset + uint64(ft.Size)
			t.Fields[i] = abi.Field{Name: f.text, Type: ft, Offset: int64(f.offset), Embedded: f.embedded}
		}
	}
	return err
}

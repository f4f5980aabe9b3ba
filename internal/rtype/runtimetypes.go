package rtype

import (
	"fmt"
	"iter"
	"strings"

	"github.com/argtap/argtap/abi"
	"github.com/argtap/argtap/internal/typename"
)

// RuntimeTypes are the types of a program by their descriptors. It is safe for
// concurrent use.
//
// It knows the types that lists in the file and other types lead to, which are
// not quite all (sync.dequeueNil is missing in every program): At reads any
// descriptor.
type RuntimeTypes struct {
	d     *Data
	types []offset32
}

var _ abi.RuntimeTypes = (*RuntimeTypes)(nil)

// RuntimeTypes finds the types. The first call, or that of [Data.Method], takes
// the time to go through all of them.
func (d *Data) RuntimeTypes() (*RuntimeTypes, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.makeIndex(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNoType, err)
	}
	return &RuntimeTypes{d, d.index.types}, nil
}

// Len returns the number of types.
func (x *RuntimeTypes) Len() int { return len(x.types) }

// At returns the type whose descriptor is at an offset from runtime.types, read
// to depth pointer hops, with stubs (kind Invalid, with a name) beyond. The
// offset must be that of a descriptor, as the program has them in its memory:
// of other bytes it is not always seen that they are none. The error is
// [ErrNoType] where it is.
func (x *RuntimeTypes) At(off uint64, depth int) (*abi.Type, error) {
	d := x.d
	d.mu.Lock()
	defer d.mu.Unlock()
	if off == 0 || off%uint64(d.r.layout.ptr) != 0 {
		return nil, fmt.Errorf("%w: at runtime.types+%#x", ErrNoType, off)
	}
	d.r.budget = callBudget
	r := &typeReader{reader: d.r, known: d.known, fresh: make(map[typeKey]*typeNode)}
	t, err := r.read(offset(off), min(max(depth, 0), maxDepth), 0)
	if err == nil {
		err = d.keep(r)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNoType, err)
	}
	return t, nil
}

// Direct reports whether an interface holds values of the type directly: its
// second word is the value then, or the only field or element of it that has a
// size, rather than a pointer to the value. The type is that of [RuntimeTypes.At].
//
// The descriptor says so since Go 1.11 and before. Types alone do not tell:
// pointers to what is not in the heap are not held directly, and from Go 1.26 on
// fields without size do not count (cmd/compile/internal/types.IsDirectIface).
func (x *RuntimeTypes) Direct(off uint64) (bool, error) {
	x.d.mu.Lock()
	defer x.d.mu.Unlock()
	if off == 0 || off%uint64(x.d.r.layout.ptr) != 0 {
		return false, fmt.Errorf("%w: at runtime.types+%#x", ErrNoType, off)
	}
	t, err := x.d.r.descriptor(offset(off))
	if err == nil && t.direct && t.size != uint64(x.d.r.layout.ptr) {
		err = bad(t.off, "%d bytes in the word of an interface", t.size)
	}
	if err != nil {
		return false, fmt.Errorf("%w: %w", ErrNoType, err)
	}
	return t.direct, nil
}

// Named returns the types of a name in Go syntax: with import paths, or with
// package names ("*fs.PathError"), of which several packages may have the same.
// Where one has the name with full import paths, it is the only one. Without
// any, the result is empty and the error nil.
func (x *RuntimeTypes) Named(name string) ([]abi.RuntimeType, error) {
	q := typename.Parse(name)
	x.d.mu.Lock()
	defer x.d.mu.Unlock()
	x.d.r.budget = indexBudget
	var exact, short []abi.RuntimeType
	for _, off := range x.types {
		d, err := x.d.r.descriptor(offset(off))
		if err != nil {
			return nil, fmt.Errorf("type %s: %w", name, err)
		}
		n, err := x.d.r.name(d.str)
		if err != nil || !strings.Contains(n.text, q.Ident()) {
			continue // one that is broken is not the one that was asked for
		}
		full, err := x.d.r.typeName(offset(off))
		if err != nil {
			continue
		}
		text := n.text
		if d.tflag&flagExtraStar != 0 {
			text = strings.TrimPrefix(text, "*")
		}
		switch match, all := q.Match(full, text); {
		case match && all:
			exact = append(exact, abi.RuntimeType{Offset: uint64(off), Name: full})
		case match:
			short = append(short, abi.RuntimeType{Offset: uint64(off), Name: full})
		}
	}
	if len(exact) > 0 {
		return exact, nil
	}
	return short, nil
}

// All ranges over the types by their offsets. There are no errors: types that
// have no name in Go are left out, such as the buckets of maps, which contain
// themselves.
func (x *RuntimeTypes) All() iter.Seq2[abi.RuntimeType, error] {
	return func(yield func(abi.RuntimeType, error) bool) {
		for _, off := range x.types {
			x.d.mu.Lock()
			x.d.r.budget = callBudget
			name, err := x.d.r.typeName(offset(off))
			x.d.mu.Unlock()
			if err == nil && !yield(abi.RuntimeType{Offset: uint64(off), Name: name}, nil) {
				return
			}
		}
	}
}

package dwarfargs

import (
	"bytes"
	"cmp"
	"fmt"
	"iter"
	"math"
	"slices"
	"sort"

	"github.com/argtap/argtap/abi"
	"github.com/argtap/argtap/internal/typename"
)

const (
	// maxRuntimeTypes bounds the types of one program that have descriptors.
	// The largest programs known to the author have some 200 000.
	maxRuntimeTypes = 1 << 22
	// maxTypeOffset bounds where a descriptor is: they refer to each other by
	// offsets of 31 bits.
	maxTypeOffset = math.MaxInt32
)

// RuntimeTypes are the types of a program that have both a DIE and a descriptor
// at run time. It is safe for concurrent use, until [Data.Close].
//
// Not every type with a descriptor has a DIE: up to Go 1.24 those have none that
// a program only converts to interfaces. For them there are the descriptors.
type RuntimeTypes struct {
	d *Data
	// entries are ordered by offset.
	entries []runtimeEntry
	// packages are the names of packages by import path, where they differ
	// from its last element; nil until they are read.
	packages map[string]string
}

var _ abi.RuntimeTypes = (*RuntimeTypes)(nil)

// runtimeEntry says where the DIE of the type is that has a descriptor at
// offset.
type runtimeEntry struct {
	offset uint32 // from runtime.types
	die    uint32 // in .debug_info
}

// RuntimeTypes finds the types with descriptors: it goes through the types of
// the program once, without reading them.
func (d *Data) RuntimeTypes() (*RuntimeTypes, error) {
	defer d.hurry()()
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.runtimeTypes == nil {
		x := &RuntimeTypes{d: d}
		if err := x.index(); err != nil {
			return nil, fmt.Errorf("types with descriptors: %w", err)
		}
		d.runtimeTypes = x
	}
	return d.runtimeTypes, nil
}

// index fills in entries. Go's linker puts all types into one unit, named
// runtime (cmd/link/internal/ld/dwarf.go, runtimeCU); the others are only gone
// through if that has none.
func (x *RuntimeTypes) index() error {
	for _, hinted := range []bool{true, false} {
		_, err := x.d.eachUnit(func(u *unit) (bool, error) {
			if !u.isGo() || hinted != (u.name == "runtime") {
				return false, nil
			}
			err := x.indexUnit(u)
			return len(x.entries) > 0, err
		})
		if len(x.entries) > 0 {
			break // what cannot be read of other units keeps nobody from these
		}
		if err != nil {
			return err
		}
	}
	slices.SortFunc(x.entries, func(a, b runtimeEntry) int {
		return cmp.Or(cmp.Compare(a.offset, b.offset), cmp.Compare(a.die, b.die))
	})
	x.entries = slices.Clip(slices.CompactFunc(x.entries, func(a, b runtimeEntry) bool { return a.offset == b.offset }))
	return nil
}

// indexUnit takes down the types of one unit.
func (x *RuntimeTypes) indexUnit(u *unit) error {
	return x.d.walk(u, func(a *abbrev) bool { return a.hasRuntimeType }, func(e *die) (bool, error) {
		if off := x.d.runtimeType(u, e); off > 0 && off <= maxTypeOffset {
			if len(x.entries) == maxRuntimeTypes {
				return false, decodeErr(".debug_info", e.off, fmt.Errorf("more than %d types with descriptors", maxRuntimeTypes))
			}
			x.entries = append(x.entries, runtimeEntry{uint32(off), uint32(e.off)})
		}
		return true, nil
	})
}

// runtimeType returns where the descriptor of a type is, from runtime.types; 0
// if it has none, or if that is not known.
//
// The attribute is of the form of an address, but holds that offset
// (cmd/internal/dwarf, putattr, DW_CLS_GO_TYPEREF). Only uintptr has a true
// address up to Go 1.22 (cmd/link/internal/ld/dwarf.go, DW_CLS_ADDRESS).
func (d *Data) runtimeType(u *unit, e *die) uint64 {
	off := e.uint(attrGoRuntimeType)
	if off == 0 || e.uint(attrGoKind) != uint64(abi.Uintptr) {
		return off
	}
	if version, _, _ := goProducer(u.producer); !parseRelease(version).before(23) {
		return off
	}
	if name, err := d.str(u, e, attrName); err != nil || name != "uintptr" {
		return off
	}
	if d.typesBase == nil {
		return 0
	}
	base, ok := d.typesBase()
	if !ok || off <= base {
		return 0
	}
	return off - base
}

// Len returns the number of types.
func (x *RuntimeTypes) Len() int { return len(x.entries) }

// At returns the type whose descriptor is offset bytes from runtime.types, read
// to depth pointer hops, with stubs (kind Invalid, with a name) beyond. The
// error is [ErrNoEntry] if DWARF describes no such type.
func (x *RuntimeTypes) At(offset uint64, depth int) (*abi.Type, error) {
	i := sort.Search(len(x.entries), func(i int) bool { return uint64(x.entries[i].offset) >= offset })
	if i == len(x.entries) || uint64(x.entries[i].offset) != offset {
		return nil, fmt.Errorf("type with descriptor at runtime.types+%#x: %w", offset, ErrNoEntry)
	}
	x.d.mu.Lock()
	defer x.d.mu.Unlock()
	r := x.d.newTypeReader()
	t, err := r.read(int(x.entries[i].die), hopsFor(depth), 0)
	if err == nil {
		err = r.commit()
	}
	if err != nil {
		return nil, fmt.Errorf("type with descriptor at runtime.types+%#x: %w", offset, err)
	}
	return t, nil
}

// Named returns the types of a name in Go syntax: with import paths, or with
// package names ("*fs.PathError"), of which several packages may have the same.
// Where one has the name with full import paths, it is the only one. Without
// any, the result is empty and the error nil.
func (x *RuntimeTypes) Named(name string) ([]abi.RuntimeType, error) {
	q := typename.Parse(name)
	x.d.mu.Lock()
	defer x.d.mu.Unlock()
	if err := x.readPackages(); err != nil {
		return nil, fmt.Errorf("type %s: %w", name, err)
	}
	var exact, short []abi.RuntimeType
	for _, e := range x.entries {
		full, err := x.name(e, q.Ident())
		if err != nil {
			return nil, fmt.Errorf("type %s: %w", name, err)
		}
		if full == "" {
			continue
		}
		match, all := q.Match(full, typename.Short(full, func(path string) string { return x.packages[path] }))
		switch t := (abi.RuntimeType{Offset: uint64(e.offset), Name: full}); {
		case match && all:
			exact = append(exact, t)
		case match:
			short = append(short, t)
		}
	}
	if len(exact) > 0 {
		return exact, nil
	}
	return short, nil
}

// All ranges over the types by their offsets. It ends with the first error.
func (x *RuntimeTypes) All() iter.Seq2[abi.RuntimeType, error] {
	return func(yield func(abi.RuntimeType, error) bool) {
		for _, e := range x.entries {
			x.d.mu.Lock()
			name, err := x.name(e, "")
			x.d.mu.Unlock()
			if !yield(abi.RuntimeType{Offset: uint64(e.offset), Name: name}, err) || err != nil {
				return
			}
		}
	}
}

// name returns the name of a type, "" if it does not contain part. Data.mu is
// held.
func (x *RuntimeTypes) name(e runtimeEntry, part string) (string, error) {
	u, err := x.d.unitAt(int(e.die))
	if err != nil {
		return "", err
	}
	c := x.d.cursor(x.d.info, int(e.die), u.end)
	a := u.abbrevs.get(c.uleb())
	if a != nil && len(a.attrs) > 0 && a.attrs[0].name == attrName && a.attrs[0].form == formString {
		b := c.cstring() // as Go's linker writes it
		if !bytes.Contains(b, []byte(part)) {
			return "", c.err
		}
		return string(b), c.err
	}
	_, d, err := x.d.dieAt(int(e.die))
	if err != nil {
		return "", err
	}
	s, err := x.d.str(u, d, attrName)
	if err != nil || !bytes.Contains([]byte(s), []byte(part)) {
		return "", err
	}
	return s, nil
}

// readPackages reads the names of packages from the units. Data.mu is held.
func (x *RuntimeTypes) readPackages() error {
	if x.packages != nil {
		return nil
	}
	packages := make(map[string]string)
	_, err := x.d.eachUnit(func(u *unit) (bool, error) {
		if u.isGo() && u.packageName != "" {
			packages[u.name] = u.packageName
		}
		return false, nil
	})
	if err != nil && len(packages) == 0 {
		return err
	}
	x.packages = packages
	return nil
}

package abi

import "iter"

// RuntimeType is a type that has a descriptor in the program: what the first
// word of an interface value, or its itab, leads to.
type RuntimeType struct {
	// Offset of the descriptor from runtime.types, in bytes. Its address in a
	// process is the load bias, plus the address of runtime.types, plus this.
	Offset uint64
	// Name with full import paths, as [Type] has it.
	Name string
}

// RuntimeTypes finds the types of a program by their descriptors. It is made
// from debug information (package dwarfargs), or from the descriptors
// themselves. Implementations are safe for concurrent use.
type RuntimeTypes interface {
	// Len is the number of types that are known.
	Len() int
	// At returns the type whose descriptor is at an offset from runtime.types,
	// read to depth pointer hops with stubs (kind Invalid, with a name) beyond.
	At(offset uint64, depth int) (*Type, error)
	// Named returns the types of a name in Go syntax: with import paths, or
	// with package names ("*fs.PathError"), of which several packages may have
	// the same. Where one has the name with full import paths, it is the only one.
	Named(name string) ([]RuntimeType, error)
	// All ranges over the types by their offsets. It ends with the first error.
	All() iter.Seq2[RuntimeType, error]
}

// Package bpfsim runs generated programs without a kernel, for tests on any
// operating system.
//
// It interprets the encoded form of a program, so that what is tested is what
// a kernel would be given, and knows the instructions and helpers that
// internal/probegen emits and no others. It is stricter than a machine: reading
// a register or a stack byte that was not written, an access outside the
// memory that a pointer was made for, or a ring buffer record that is neither
// submitted nor discarded ends the run with a [Fault]. Memory that the kernel
// does not clear is filled with [Garbage] first, so that bytes which a program
// forgets to write can be seen.
//
// The semantics are those of the kernel's Documentation/bpf/standardization/
// instruction-set.rst and of the helpers in include/uapi/linux/bpf.h.
package bpfsim

// Package probegen turns capture plans into eBPF programs.
//
// A program is made for its functions alone: every offset, size and limit is a
// constant in straight-line code, and only slices whose elements hold further
// pointers need a loop. Programs are data; nothing here talks to the kernel.
//
// # Where a record is built
//
// A plan without references has a record of fixed size. A small one is built on
// the program's stack, a large one in place in the ring buffer. Any other record
// is built in scratch memory and sent with its true length.
//
// Scratch memory cannot simply be one area per CPU: uprobe programs run with
// migration disabled but may be preempted, and sleepable ones may wait for a
// page, so that another thread runs the same program on the same CPU in the
// middle of the first. Each CPU has two areas, each with a lock word that the
// program takes by an atomic exchange; when both are taken the call is counted
// as lost instead of being mixed with another.
//
// # How the verifier is kept short
//
// The kernel's verifier follows every path. Paths must therefore meet again in
// the same state: the cursor, the only thing that differs behind a read that
// may fail, lives in scratch memory, where the verifier knows nothing of its
// value, and is checked against its bound wherever it is loaded. Loops are
// calls of bpf_loop, whose body the verifier walks through once. The work is
// then linear in the length of the program.
//
// # Licence
//
// Programs use helpers that the kernel offers to GPL-compatible programs only
// (bpf_probe_read_user, bpf_copy_from_user). [License] is what they declare.
package probegen

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
// Kernels without atomic exchange need no lock: all of them are older than Linux
// 6.0, and until then a uprobe program runs with preemption disabled (and never
// sleeps), so no other runs on its CPU in the middle of it.
//
// # Walks
//
// A plan with a walk has no code for its references. One function, called by
// bpf_loop, takes a step: it looks at the next reference of the record and
// appends what that leads to. See [capture.Walk] and gen.walk.
//
// # Expressions
//
// An image that is computed from the parameters ([capture.Expr]) is straight-line
// code, made from the tree of operations that package expr has of an expression.
// What has no value jumps to where the reason is stored. Values are numbers and
// addresses of the target, which the verifier knows nothing of; they are never
// used as addresses or sizes of the program's own. A condition ([Func.Where]) is
// made by the same generator, as jumps, and decides before there is a record.
//
// # What is kept back
//
// [Limits] decide before anything else is done with a call, and what becomes of a
// call that is not sent is counted for its function, on its CPU: each outcome
// jumps to code of the function, which names the counter, and from there to code
// that all share. A call that is sent is counted by the reader alone, and costs
// nothing here. A program with a budget reads the clock when it begins and when it
// ends.
//
// # Whole calls
//
// The program of an entry remembers the call in a map ([MapOpen], with [MapSlots] in
// front of it where the kernel has atomic exchange) under process, goroutine and depth
// of its frame, and that of a return finds it there, and says
// in its record which entry it belongs to. Whatever way a call takes of which the
// entry is not recorded, it makes sure that nothing is left under its key: what was
// there is a call that did not return, and the return would be taken for that one's.
// Some functions of the runtime are probed to tell how calls end otherwise ([Role]).
//
// # Stacks
//
// The program of an entry may follow the frame pointers of its goroutine, one for
// each call of a function by bpf_loop, in scratch memory of its own. What it finds
// is a key of a map ([MapStacks]), so the kernel compares all of it: a stack that is
// not there is sent in a record of its own, then remembered, and the record of the
// call, which comes behind it in the ring buffer, has its ID.
//
// # Aggregates
//
// A function with an [Aggregate] sends nothing: its program adds the call to a row of
// counters, one of each CPU for each key. Keys and values are expressions. A row is
// found by its key in a hash, and made there by a copy of a row of zeros; if the hash
// is full, or there is no key, it is the function's own in an array. Threads may
// preempt one another on a CPU, so all is added atomically, and extremes are compared
// and exchanged; where that is not to be had, no program is preempted. For a duration
// the key waits in [MapOpen] from the entry to the return, and a call that is found
// there in the place of another is counted ([Overtaken]), as no record tells of it.
//
// # What is erased
//
// What is redacted is zeroed behind the helper call that read it: in the fixed
// part by stores, in the elements of slices by a function that bpf_loop calls
// before the chunk is counted in, in the objects of a walk by another, which goes
// by rows of the type table. A record of fixed size of which something is erased
// is not built in place in the ring buffer, where it could be seen. A plan of
// which nothing is redacted has no instruction for all that.
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
// # What needs which kernel
//
// Every program needs Linux 5.8:
//
//	the ring buffer                               5.8
//	bpf_probe_read_user, bpf_probe_read_kernel    5.5
//	the address of an array element as a constant 5.2
//	more than 4096 instructions                   5.2
//	jumps that compare 32 bits                    5.1
//	jumps on less-than                            4.14
//	bpf_get_current_task                          4.8
//	bpf_ktime_get_ns, _get_current_pid_tgid, …    4.2
//
// Some need more, and can do without:
//
//	several functions in one program: the attach cookie  5.15  give Entry one function
//	elements of slices that refer to more: bpf_loop      5.17  capture.Limits.NoLoops
//	walks: bpf_loop                                      5.17  capture.Build instead
//	walks: bpf_loop                                      5.17  a static plan
//	scratch memory, Limits, Aggregate: atomic exchange   5.12  Options.NoAtomics
//	    and comparison, and
//	    addition that returns the old sum
//	    on arm64, where the compiler came later          5.18
//	stacks: bpf_loop, atomic exchange                    5.17  Plan.StackDepth 0
//	Options.Sleepable: bpf_copy_from_user in uprobes     6.0   leave it out
//	GThread: task_struct in the kernel's type data             Options.ThreadBase 0
//
// The atomic addition that counts what is not sent is older than the rest of the atomic
// operations. The types of functions
// are there for bpf_loop; cilium/ebpf leaves them out where the kernel does not
// take them. An array element of more than 4 MiB needs a kernel newer than 5.10,
// see [Scratch].
//
// # Licence
//
// Programs use helpers that the kernel offers to GPL-compatible programs only
// (bpf_probe_read_user, bpf_copy_from_user). [License] is what they declare.
package probegen

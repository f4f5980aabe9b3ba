// Package judge compares what argtap captures of calls with what Delve shows of
// them, in programs that nobody here wrote. It is a module of its own, because
// Delve's service brings dependencies that the library must not have.
//
// # The same moment
//
// A breakpoint and a uprobe cannot share an instruction, and between two
// instructions other threads may change what an argument refers to. So Delve
// stops at the function's first instruction, where no byte of the frame has
// been touched, and shows the arguments. Then it steps this one thread, while it
// holds all others, over the instruction that argtap has probed. What argtap
// sends of that call it has read from the same memory that Delve reads before
// and after, up to the next time that the program is let run.
//
// Functions that argtap probes on their first instruction are left out.
// A goroutine whose stack grows goes another way than to the probe; it comes to
// the breakpoint again when it has a larger one, and that is the call.
//
// # What is compared
//
// Each parameter is walked in both at once, by the types: bits of scalars,
// lengths and capacities, addresses, names of dynamic types, entries of maps,
// what pointers point to. Each object that argtap has captured is compared once
// a call, and loaded by Delve on its own, from the address and as the type that
// Delve shows for it: so that neither tells the other where to look. What one
// side does not have is counted, by the reason that it gives.
package judge

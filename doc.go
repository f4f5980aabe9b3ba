// Package argtap is the front page of a module that shows the arguments of
// functions in Go programs that are already running, without recompiling,
// restarting or stopping them. It has no API of its own.
//
// Most programs want package uprobe, which traces functions:
//
//	t, err := uprobe.Trace("./app", "main.computeE", func(c *uprobe.Call) { fmt.Println(c) })
//
// The packages that it is made of stand alone. None of them needs privileges,
// and all work on any operating system:
//
//   - symbols reads ELF files: functions, their code, addresses and offsets,
//     build IDs and the version of Go.
//   - dwarfargs reads the signature of a function from the DWARF debug
//     information: parameters and results with their types and locations.
//   - abi has types and locations as data, and works out where Go's calling
//     conventions put arguments and results.
//
// # The way of the data
//
//	ELF file ──symbols──▶ function, entry address, code, build ID, Go version
//	         ──dwarfargs─▶ parameters: name, type, location at a program counter
//	         ──abi──────▶ where the calling convention puts each of them
//	         ──internal/site────▶ the address to probe
//	         ──internal/capture─▶ a plan: what to read, and the layout of the record
//	         ──internal/probegen▶ eBPF instructions
//	         ──uprobe───▶ load, attach, read the ring buffer, decode, call the handler
//
// Where to start: the README; the command-line tool in examples/argtap; the
// smallest program that traces another in examples/quickstart.
package argtap

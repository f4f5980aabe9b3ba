// Package dwarfargs reads the signature of one function out of the DWARF 4 or
// 5 of a big binary: its parameters and results in order, their names, types
// and layouts, and where DWARF says that each of them is at a program counter.
//
// It is made for binaries whose debug information is tens of megabytes,
// compressed, when one function of thousands is wanted. Nothing is indexed
// ahead. Sections inflate in the background, front to back, and only as far as
// somebody reads; unit headers are skipped through until the unit that has the
// name of the function's package and contains its entry; only that unit's
// entries are walked, and only once however many functions are asked for.
//
// Types are read up to a number of pointer hops. What lies beyond is a stub:
// a type of kind [abi.Invalid] with its name.
//
// The package reads hostile input: every offset is checked, every nesting,
// count and length has a limit, and what does not fit is an error that names
// section and offset, never a guess. It does not need debug/dwarf, whose reader
// wants whole sections in memory and all of their units at once.
//
// A [Data] may be used by several goroutines at once. What it returns is
// immutable and stays valid after [Data.Close].
package dwarfargs

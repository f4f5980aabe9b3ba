// Package symbols reads from an ELF file what tracing one of its functions
// needs: the function's entry address, size and code bytes, the segments that
// relate virtual addresses to file offsets, the build IDs, the Go version and
// the raw debug sections.
//
// It is made for one question about a large file. Opening reads the headers
// only. [File.Lookup] scans the string table for the bytes of the name and
// then the symbol table for the entries that refer to them, both in chunks of
// a fixed size, so that finding one function among 100 000 takes milliseconds
// and builds no table.
//
//	f, err := symbols.Open("./app")
//	fn, err := f.Lookup("main.(*Server).Serve")
//	off, err := f.FileOffset(fn.Entry)
//
// A Go program without symbol table is read by the table of functions that its
// runtime has ([FuncTable]), from Go 1.11 on: the same questions have the same
// answers, to the byte, with the exceptions that stand there.
// [File.FuncSource] says which it is. The table also leads to what the compiler
// tells the runtime about a function ([FuncTable.FuncData],
// [FuncTable.Inlined]), and [File.ModuleData] to the program's types;
// [File.DataAt] reads such data. [FindDebugFile] finds the debug information of
// a stripped program.
//
// Two kinds of numbers are kept apart by type: a [VirtAddr] is an address as
// the file's program headers and symbols state it, before a loader moves a
// position-independent file; a [FileOffset] is a position in the file, which
// is what the kernel wants for a uprobe. [File.FileOffset] and [File.VirtAddr]
// convert, and fail where the file has no bytes for an address.
//
// Files are treated as hostile input: no size or count that a file states is
// trusted beyond the size of the file, and a malformed file leads to an error
// ([*FormatError]), not to a panic. Everything works on any operating system,
// for files of any architecture; amd64, arm64 and 386 are what the rest of the
// module knows.
//
// Formats are those of the System V ABI (gABI), chapters 4 and 5; what only
// the Go toolchain does is cited where it is used.
package symbols

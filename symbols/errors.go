package symbols

import (
	"errors"
	"fmt"
	"strings"
)

// Causes, to be tested with [errors.Is]. A file that does not exist or must
// not be read is told by [io/fs.ErrNotExist] and [io/fs.ErrPermission].
var (
	// ErrNotELF: the file is of another kind; the error's text says of which.
	ErrNotELF = errors.New("not an ELF file")
	// ErrNotProgram: the file is an ELF file, but neither a program nor a
	// shared library: an object file or a core dump.
	ErrNotProgram = errors.New("not a program or shared library")
	// ErrTruncated: the file ends before what its headers promise.
	ErrTruncated = errors.New("file is truncated")
	// ErrNoFunc: the file has no such function.
	ErrNoFunc = errors.New("no such function")
	// ErrNoSymbols: the file has neither a symbol table nor a function table;
	// it was stripped, and is not a Go program.
	ErrNoSymbols = errors.New("no symbol table")
	// ErrNoTable: the file has no function table: it is not a Go program, or
	// holds debug information only.
	ErrNoTable = errors.New("no Go function table")
	// ErrNoModuleData: the runtime's module data was not found, or what its
	// layout is in the release of Go that built the file is not known.
	ErrNoModuleData = errors.New("no module data")
	// ErrNoDebugFile: no file with the debug information of the file was found.
	ErrNoDebugFile = errors.New("no debug file")
	// ErrNoCode: the file does not hold the function's code bytes.
	ErrNoCode = errors.New("no code in the file")
	// ErrNotMapped: no segment of the file holds the address or offset.
	ErrNotMapped = errors.New("not in a loaded segment of the file")
	// ErrNotReadOnly: the bytes at the address may differ in a running process
	// from those in the file.
	ErrNotReadOnly = errors.New("not read-only data")
)

// SectionOffset is a position in bytes from the start of a section or, where a
// [FormatError] says so, of a table of headers. In a compressed section it
// counts uncompressed bytes.
type SectionOffset uint64

// FormatError tells that a file, or a part of it, does not follow its format.
type FormatError struct {
	// File is the path of the file, "" if it is not known.
	File string
	// Section is the section's name as stored, or "ELF header", "program
	// headers" or "section headers".
	Section string
	// Offset is where in Section the fault is.
	Offset SectionOffset
	// Err is the cause.
	Err error
}

// Error returns file, section, offset and cause.
func (e *FormatError) Error() string {
	var b strings.Builder
	if e.File != "" {
		b.WriteString(e.File)
		b.WriteString(": ")
	}
	fmt.Fprintf(&b, "malformed %s at %#x: %v", e.Section, uint64(e.Offset), e.Err)
	if errors.Is(e.Err, ErrTruncated) {
		b.WriteString(": copy or build the file again")
	}
	return b.String()
}

// Unwrap returns the cause.
func (e *FormatError) Unwrap() error { return e.Err }

// NotFoundError tells that a file has no function of a name, or none that a
// pattern matches. It is [ErrNoFunc], and also [ErrNoSymbols] if Stripped.
type NotFoundError struct {
	// File is the path of the file, "" if it is not known.
	File string
	// Name is what was asked for: a name, or a pattern if Pattern is set.
	Name    string
	Pattern bool
	// Stripped says that the file has neither a full symbol table nor a
	// function table, so that the function may well exist.
	Stripped bool
	// Source is where functions were looked for.
	Source FuncSource
	// Suggestions are names of functions that the file has and that may have
	// been meant, the likeliest first.
	Suggestions []string
}

// Error returns what was looked for and the suggestions.
func (e *NotFoundError) Error() string {
	var b strings.Builder
	b.WriteString("find ")
	if e.Pattern {
		b.WriteString("functions ")
	} else {
		b.WriteString("function ")
	}
	b.WriteString(e.Name)
	if e.File != "" {
		b.WriteString(" in ")
		b.WriteString(e.File)
	}
	b.WriteString(": ")
	switch {
	case e.Stripped:
		b.WriteString(ErrNoSymbols.Error())
		b.WriteString(": the file was stripped: build it without -ldflags=-s, or keep the unstripped file")
	case e.Pattern:
		b.WriteString(ErrNoFunc.Error())
		b.WriteString(": no name matches the whole pattern: '*' stands for any characters, '?' for one")
	case len(e.Suggestions) > 0:
		b.WriteString(ErrNoFunc.Error())
		b.WriteString(": did you mean ")
		for i, s := range e.Suggestions {
			switch {
			case i == 0:
			case i == len(e.Suggestions)-1:
				b.WriteString(" or ")
			default:
				b.WriteString(", ")
			}
			b.WriteString(s)
		}
		b.WriteByte('?')
	default:
		b.WriteString(ErrNoFunc.Error())
		source := SymbolTable
		if e.Source == FunctionTable {
			source = FunctionTable
		}
		b.WriteString(": names are those of the " + source.String() + ", such as main.run or main.(*Server).Serve;" +
			" a function that is inlined everywhere or never called has none")
	}
	return b.String()
}

// Is reports whether target is a cause of e.
func (e *NotFoundError) Is(target error) bool {
	return target == ErrNoFunc || e.Stripped && target == ErrNoSymbols
}

// maxAmbiguous bounds the functions that an [AmbiguousError] lists.
const maxAmbiguous = 64

// AmbiguousError tells that several functions have the name that was looked
// up, as static functions of different C files can. Go functions do in the
// function table of a stripped program that Go 1.18 to 1.20 built: there all
// instances of a generic function are called "main.Gen[...]".
type AmbiguousError struct {
	// File is the path of the file, "" if it is not known.
	File string
	Name string
	// Funcs are the functions by ascending entry, at most 64 of them.
	Funcs []Func
}

// Error returns the name and the entry addresses.
func (e *AmbiguousError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "find function %s", e.Name)
	if e.File != "" {
		b.WriteString(" in ")
		b.WriteString(e.File)
	}
	b.WriteString(": several functions have this name, at")
	const shown = 6
	for i, fn := range e.Funcs {
		if i == shown {
			fmt.Fprintf(&b, " and %d more", len(e.Funcs)-shown)
			break
		}
		fmt.Fprintf(&b, " %#x", uint64(fn.Entry))
	}
	b.WriteString(": use a pattern that selects them all")
	return b.String()
}

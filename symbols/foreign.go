package symbols

import (
	"bytes"
	"fmt"
	"unicode/utf8"
)

// magics are the first bytes of files that people give for a program, with
// what the file is and what to do.
var magics = []struct{ magic, what string }{
	{"\xfe\xed\xfa\xce", machO}, {"\xfe\xed\xfa\xcf", machO},
	{"\xce\xfa\xed\xfe", machO}, {"\xcf\xfa\xed\xfe", machO},
	{"\xca\xfe\xba\xbe", "it is a universal Mach-O program, for macOS, or a Java class: build the program with GOOS=linux"},
	{"MZ", "it is a PE program, for Windows: build it with GOOS=linux"},
	{"!<arch>\n", "it is an archive of object files: link it into a program first"},
	{"!<thin>\n", "it is an archive of object files: link it into a program first"},
	{"go object ", "it is an object file of the Go compiler: build the program with go build"},
	{"\x00asm", "it is a WebAssembly module: build the program with GOOS=linux"},
	{"BC\xc0\xde", "it is LLVM bitcode: compile and link it first"},
	{"#!", "it is a script: give the program that runs it"},
	{"\x1f\x8b", packed}, {"BZh", packed}, {"PK\x03\x04", packed},
	{"\xfd7zXZ\x00", packed}, {"\x28\xb5\x2f\xfd", packed},
}

const (
	machO  = "it is a Mach-O program, for macOS: build it with GOOS=linux"
	packed = "it is compressed: unpack it first"
)

// foreign says what a file that does not start as an ELF file is. start are
// its first bytes.
func foreign(start []byte, f *File) string {
	if len(start) == 0 {
		return "it is empty: build it again"
	}
	for _, m := range magics {
		if bytes.HasPrefix(start, []byte(m.magic)) {
			return m.what
		}
	}
	if bytes.HasPrefix([]byte("\x7fELF"), start) {
		return fmt.Sprintf("it has only %d bytes: build it again", f.size)
	}
	sample := make([]byte, min(f.size, 512))
	if f.read(sample, 0) == nil && isText(sample) {
		return "it is a text file: give the program that is built from it"
	}
	return fmt.Sprintf("it starts with % x: give the program's own file", start[:min(len(start), 4)])
}

func isText(b []byte) bool {
	for len(b) > 0 {
		r, n := utf8.DecodeRune(b)
		if r == utf8.RuneError && n == 1 {
			return !utf8.FullRune(b) // the sample may end within a character
		}
		if r < ' ' && r != '\n' && r != '\t' && r != '\r' && r != '\f' {
			return false
		}
		b = b[n:]
	}
	return true
}

package dwarfargs

import (
	"strings"

	"github.com/argtap/argtap/abi"
	"github.com/argtap/argtap/internal/typename"
)

// funcName is what the name of a Go function tells.
type funcName struct {
	pkg    string // import path as the symbol has it, with escapes
	recv   string // the receiver's type name without type arguments and *, "" if there is none
	ptr    bool   // the receiver is a pointer
	shaped bool   // takes a dictionary: generic code, shared by types of one shape
}

// parseName takes apart a name as cmd/compile makes them (ir.MethodSym,
// ir.closureName, and cmd/compile/internal/noder/reader.go for type
// arguments): pkg.F, pkg.T.M, pkg.(*T[args]).M, pkg.F[args].func1.
//
// A closure's name can look like that of a method on a type (pkg.F.func1);
// those that can be told are.
func parseName(name string) funcName {
	if strings.HasPrefix(name, "type:") || strings.HasPrefix(name, "go:") || strings.HasPrefix(name, "type..") {
		if _, literal := literalReceiver(name); !literal {
			return funcName{} // equality and hash functions of types
		}
	}
	// Go 1.17 calls closures of go and defer statements pkg.F·dwrap·1. Types
	// have such dots, too: pkg.T·1 is declared in a function.
	name = strings.ReplaceAll(name, "·dwrap·", ".dwrap.")
	pkg, rest := splitPackage(name)
	n := funcName{pkg: pkg}
	if rest == "" {
		return n
	}
	var method string
	if strings.HasPrefix(rest, "(*") {
		end := matching(rest, 0, '(', ')')
		if end < 0 {
			return n
		}
		n.recv, n.ptr = stripTypeArgs(rest[2:end]), true
		method = strings.TrimPrefix(rest[end+1:], ".")
		n.shaped = isShaped(rest[2:end])
	} else {
		first := rest
		if i := indexOutside(rest, '.'); i >= 0 {
			first, method = rest[:i], rest[i+1:]
		}
		n.shaped = isShaped(first)
		if method != "" {
			n.recv = stripTypeArgs(first)
		}
	}
	if method == "" {
		// pkg.F[args]-range1 is the body of a loop, and takes no dictionary.
		n.recv, n.ptr, n.shaped = "", false, n.shaped && !strings.Contains(rest, "]-range")
		return n
	}
	// What follows a method's name, or a function's, makes a closure.
	m, closure := method, false
	if i := indexOutside(method, '.'); i >= 0 {
		m, closure = method[:i], true
	}
	if closure || isClosure(m) || strings.HasSuffix(m, "-fm") || strings.Contains(m, "-range") {
		n.recv, n.ptr, n.shaped = "", false, false
	}
	return n
}

// Dictionary returns by its symbol's name where a function that release
// go1.minor compiled takes the dictionary of generic code that types of one
// shape share, and whether the name is that of a method. A closure's can look like
// one (pkg.F.func1 does not, pkg.F.1 is none). ok is false for closures in such
// code: the name does not tell whether, and where, they take one.
func Dictionary(symbol string, minor int) (place abi.DictPlace, method, ok bool) {
	n := parseName(strings.TrimSuffix(symbol, ".abi0"))
	method = n.recv != ""
	switch {
	case !n.shaped && isShaped(symbol):
		return abi.NoDict, false, false
	case !n.shaped:
		return abi.NoDict, method, true
	case method && minor >= 20:
		return abi.DictAfterReceiver, true, true
	}
	return abi.DictFirst, method, true
}

// literalReceiver returns what follows the package in the name of a method of a
// type literal: go.struct { sync.Mutex }.Lock, since Go 1.20 go:struct { … }.Lock.
func literalReceiver(name string) (rest string, ok bool) {
	rest, ok = strings.CutPrefix(name, "go")
	if !ok || rest == "" || rest[0] != '.' && rest[0] != ':' {
		return "", false
	}
	rest = rest[1:]
	return rest, strings.HasPrefix(rest, "struct {") || strings.HasPrefix(rest, "(*struct {")
}

// receiverType returns the name of the type that a method belongs to, with
// package and type arguments and without *, as DWARF has it. It is for names of
// which parseName says that they are a method's.
func receiverType(name string) string {
	pkg, rest := splitPackage(name)
	if strings.HasPrefix(rest, "(*") {
		rest = rest[2:max(2, matching(rest, 0, '(', ')'))]
	} else {
		rest = rest[:max(0, indexOutside(rest, '.'))]
	}
	if _, literal := literalReceiver(name); literal {
		return rest
	}
	return typename.Unescape(pkg) + "." + rest
}

// hasTypeArgs reports whether the name has type arguments, in full or as
// "[...]".
func hasTypeArgs(name string) bool { return strings.Contains(name, "[") }

// isShaped reports whether type arguments are shapes (1.18 and later:
// [go.shape.int], [go.shape.int_0]).
func isShaped(s string) bool {
	return strings.Contains(s, "[go.shape.") || strings.Contains(s, ",go.shape.")
}

// isClosure reports whether the part of a name behind the last dot is one that
// the compiler gives to closures: func1, gowrap1, deferwrap2, 1.
func isClosure(s string) bool {
	for _, prefix := range []string{"func", "gowrap", "deferwrap", ""} {
		if n, ok := strings.CutPrefix(s, prefix); ok && n != "" && strings.Trim(n, "0123456789") == "" {
			return true
		}
	}
	return false
}

// isMadeUp reports whether the compiler made the function up, by its name.
func isMadeUp(name string) bool {
	if strings.HasSuffix(name, "-fm") {
		return true
	}
	last := name[strings.LastIndexByte(name, '.')+1:]
	for _, prefix := range []string{"gowrap", "deferwrap"} {
		if n, ok := strings.CutPrefix(last, prefix); ok && n != "" && strings.Trim(n, "0123456789") == "" {
			return true
		}
	}
	return false
}

// splitPackage splits a symbol name behind the import path: at the first dot
// behind the last slash that is not within type arguments.
func splitPackage(name string) (pkg, rest string) {
	if rest, ok := literalReceiver(name); ok {
		return "go", rest
	}
	end := len(name)
	if i := strings.IndexAny(name, "[("); i >= 0 {
		end = i
	}
	from := strings.LastIndexByte(name[:end], '/') + 1
	dot := strings.IndexByte(name[from:end], '.')
	if dot < 0 {
		return "", name
	}
	return name[:from+dot], name[from+dot+1:]
}

// unitNames returns the names that the unit of a function may have. A symbol
// escapes dots and other bytes of the import path's last element
// (cmd/internal/objabi.PathToPrefix); the unit's name does not.
func unitNames(symbol string) []string {
	pkg, _ := splitPackage(symbol)
	if pkg == "" {
		return nil
	}
	if plain := typename.Unescape(pkg); plain != pkg {
		return []string{plain, pkg}
	}
	return []string{pkg}
}

// stripTypeArgs removes type arguments: "Stack[go.shape.int]" is "Stack".
func stripTypeArgs(s string) string {
	if i := strings.IndexByte(s, '['); i >= 0 {
		return s[:i]
	}
	return s
}

// indexOutside returns where c is in s, not within brackets; -1 if nowhere.
func indexOutside(s string, c byte) int {
	depth := 0
	for i := range len(s) {
		switch s[i] {
		case '[', '(', '{':
			depth++
		case ']', ')', '}':
			depth--
		case c:
			if depth == 0 {
				return i
			}
		}
	}
	return -1
}

// matching returns where the bracket that opens at s[i] closes, -1 if it
// does not.
func matching(s string, i int, open, shut byte) int {
	depth := 0
	for ; i < len(s); i++ {
		switch s[i] {
		case open:
			depth++
		case shut:
			if depth--; depth == 0 {
				return i
			}
		}
	}
	return -1
}

package symbols

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Select returns the functions that a name or pattern selects for tracing, by
// ascending entry.
//
// A pattern ([IsPattern]) selects as [File.Glob] does, a name as [File.Lookup]
// does. A name without type arguments that is no function's own selects all code
// of the generic function or method: "main.Map" the functions
// "main.Map[go.shape.int]", "main.Map[go.shape.string]", …,
// "main.(*Stack).Push" the methods "main.(*Stack[go.shape.int]).Push", …, and
// "main.Map.func1" closures.
//
// Code of generic methods is called by the wrappers that interfaces and method
// values hold, "main.(*Stack[string]).Push". Of a wrapper and the code that it
// calls, only the latter is selected, so that one call is one.
//
// The function table of a stripped program that Go 1.18 to 1.20 built calls all
// instances "main.Map[...]". Those are only selected by this name.
func (f *File) Select(pattern string) ([]Func, error) {
	if IsPattern(pattern) {
		found, err := f.Glob(pattern)
		return withoutWrappers(found), err
	}
	fn, err := f.Lookup(pattern)
	if err == nil {
		return []Func{fn}, nil
	}
	if !errors.Is(err, ErrNoFunc) || errors.Is(err, ErrNoSymbols) || strings.ContainsRune(pattern, '[') {
		return nil, err
	}
	found, gerr := f.Generic(pattern)
	if gerr != nil {
		return nil, gerr
	}
	if len(found) == 0 {
		return nil, err
	}
	return found, nil
}

// Generic returns the code of a generic function or method, by ascending entry:
// the functions whose names are the given one if type arguments are left out of
// both. There are none if it is not generic, or if all its code is part of its
// callers'. See [File.Select] for wrappers, which are left out.
func (f *File) Generic(name string) ([]Func, error) {
	fail := func(err error) ([]Func, error) {
		return nil, fmt.Errorf("find generic function %s: %w", name, err)
	}
	src, err := f.functions()
	if err != nil {
		return fail(err)
	}
	name = WithoutTypeArgs(name)
	base, _, _ := strings.Cut(name, ".")
	var found []Func
	var total, limit uint64 = 0, maxName + 2*f.size
	err = src.each(func(n []byte) bool {
		if len(n) <= len(name) || !strings.HasPrefix(string(n[:min(len(n), len(base))]), base) {
			return false
		}
		s := string(n)
		return strings.Contains(s, "[") && !strings.Contains(s, "[...]") && WithoutTypeArgs(s) == name
	}, func(fn Func) bool {
		total += uint64(len(fn.Name))
		found = append(found, fn)
		return total <= limit
	})
	if err != nil {
		return fail(err)
	}
	if total > limit {
		return fail(f.malformed(src.part(), 0, "the names of functions add up to more than twice the file"))
	}
	slices.SortFunc(found, byEntry)
	found = slices.CompactFunc(found, func(a, b Func) bool { return a.Entry == b.Entry && a.Name == b.Name })
	return withoutWrappers(found), nil
}

// isShaped reports whether the name is that of code that types of one shape
// share (cmd/compile/internal/noder, shapify).
func isShaped(name string) bool { return strings.Contains(name, "go.shape.") }

// withoutWrappers removes the functions with true type arguments where there is
// one of the same generic function with shapes: those call these.
func withoutWrappers(funcs []Func) []Func {
	shaped := make(map[string]bool)
	for _, fn := range funcs {
		if isShaped(fn.Name) {
			shaped[WithoutTypeArgs(fn.Name)] = true
		}
	}
	if len(shaped) == 0 {
		return funcs
	}
	return slices.DeleteFunc(funcs, func(fn Func) bool {
		return strings.Contains(fn.Name, "[") && !isShaped(fn.Name) && shaped[WithoutTypeArgs(fn.Name)]
	})
}

// WithoutTypeArgs returns the name of a function or method without type
// arguments: "main.(*Stack[go.shape.int]).Push" is "main.(*Stack).Push". Names of
// the functions that the compiler makes for types, such as
// "type:.eq.[2]string", are returned as they are.
func WithoutTypeArgs(name string) string {
	if strings.IndexByte(name, '[') < 0 || strings.HasPrefix(name, "type:") ||
		strings.HasPrefix(name, "type..") || strings.HasPrefix(name, "go:") || strings.HasPrefix(name, "go.struct") {
		return name
	}
	var b strings.Builder
	for {
		from := strings.IndexByte(name, '[')
		if from < 0 {
			break
		}
		n := bracketLen(name[from:])
		if n < 0 {
			break
		}
		b.WriteString(name[:from])
		name = name[from+n:]
	}
	b.WriteString(name)
	return b.String()
}

// TypeArgs returns the first list of type arguments in the name of a function or
// type, without its brackets; "" if there is none. Those of methods are their
// receivers'.
func TypeArgs(name string) string {
	from := strings.IndexByte(name, '[')
	if from < 0 {
		return ""
	}
	n := bracketLen(name[from:])
	if n < 0 {
		return ""
	}
	return name[from+1 : from+n-1]
}

// bracketLen returns the length of what the bracket at the start of s encloses,
// with both brackets; -1 if it is not closed. Brackets in the tags of fields do
// not count.
func bracketLen(s string) int {
	depth, quoted := 0, false
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '[':
			depth++
		case c == ']':
			if depth--; depth == 0 {
				return i + 1
			}
		}
	}
	return -1
}

package symbols

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
)

// suffixMethodValue is what the compiler appends to the name of a method for the
// function that a method value x.M refers to.
const suffixMethodValue = "-fm"

// Generated reports whether the compiler made fn, a function of this table, without
// any source: a method on a pointer or of an embedded type, a bridge between ABIs,
// an equality function, or an init function of a package. Unlike
// [TableFunc].Wrapper it knows those that end in a jump, and those of all releases.
// It does not know method values before Go 1.16: their names end in "-fm".
func (t *FuncTable) Generated(fn TableFunc) (bool, error) {
	if fn.Wrapper {
		return true, nil
	}
	r, err := t.record(fn)
	if err == nil {
		var is bool
		if is, err = t.reader().isGenerated(r); err == nil {
			return is, nil
		}
	}
	return false, t.f.wrap(fmt.Sprintf("file of %s", fn.Name), err)
}

// MethodName returns what a function's name says of a method of type recv, which has
// its package and is in "(*…)" if it is a pointer: its own name, without "-fm" if it
// is that of a method value. It is not ok for functions and for the closures that
// are recognised. "main.F.G" can only be told from a closure by its name.
func MethodName(fn string) (recv, name string, ok bool) {
	fn = strings.TrimSuffix(strings.TrimSuffix(fn, suffixMethodValue), suffixABI0)
	dot := strings.LastIndexByte(fn, '.')
	if dot <= 0 || dot == len(fn)-1 || strings.ContainsAny(fn[dot:], "])}\"") {
		return "", "", false
	}
	recv, name = fn[:dot], fn[dot+1:]
	end := len(recv)
	if i := strings.IndexAny(recv, "[("); i >= 0 {
		end = i
	}
	local := recv[strings.LastIndexByte(recv[:end], '/')+1:]
	if !strings.ContainsRune(local, '.') || closureName(name) {
		return "", "", false
	}
	return recv, name, true
}

// closureName reports whether the compiler names closures so.
func closureName(s string) bool {
	if strings.Contains(s, "·") || strings.Contains(s, "-range") {
		return true
	}
	for _, prefix := range []string{"func", "gowrap", "deferwrap", "dwrap", ""} {
		if n, ok := strings.CutPrefix(s, prefix); ok && n != "" && strings.Trim(n, "0123456789") == "" {
			return true
		}
	}
	return false
}

// MethodsNamed returns the functions that are methods of one of the names, of any
// type, and their method values, by ascending entry. See [MethodName].
func (f *File) MethodsNamed(names map[string]bool) ([]Func, error) {
	fail := func(err error) ([]Func, error) { return nil, fmt.Errorf("find methods: %w", err) }
	src, err := f.functions()
	if err != nil {
		return fail(err)
	}
	suffix := []byte(suffixMethodValue)
	var found []Func
	var total, limit uint64 = 0, maxName + 2*f.size
	err = src.each(func(n []byte) bool {
		n = bytes.TrimSuffix(n, suffix)
		return names[string(n[bytes.LastIndexByte(n, '.')+1:])]
	}, func(fn Func) bool {
		if total += uint64(len(fn.Name)); total > limit {
			return false
		}
		if _, _, ok := MethodName(fn.Name); ok {
			found = append(found, fn)
		}
		return true
	})
	if err != nil {
		return fail(err)
	}
	if total > limit {
		return fail(f.malformed(src.part(), 0, "the names of functions add up to more than twice the file"))
	}
	slices.SortFunc(found, byEntry)
	return slices.CompactFunc(found, func(a, b Func) bool { return a.Entry == b.Entry }), nil
}

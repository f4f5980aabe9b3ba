package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/argtap/argtap/abi"
	"github.com/argtap/argtap/uprobe"
)

// maxMissing is how many missing parts of one parameter are shown.
const maxMissing = 6

// shownPointers is through how many pointers missing parts are looked for, and
// maxPath how long their names get: types may refer to themselves.
const (
	shownPointers = 1
	maxPath       = 200
)

// missingOf is missing for parameter i of a function: of generic code, for any of
// its instances.
func (in *inspector) missingOf(f *uprobe.Func, i int) []string {
	instances := f.Instances()
	if len(instances) == 0 {
		return in.missing(f.Params()[i])
	}
	var parts []string
	for _, of := range instances {
		for _, m := range in.missing(of.Params[i]) {
			if !slices.Contains(parts, m) {
				parts = append(parts, m)
			}
		}
	}
	return parts
}

// missing returns what of a parameter is known not to be captured, and why:
// nothing if it is captured whole.
func (in *inspector) missing(p uprobe.Param) []string {
	if why, absent := p.Absent(); absent {
		return []string{why}
	}
	var parts []string
	for _, piece := range p.Location {
		why := piece.Reason
		switch {
		case piece.Kind == abi.InRegister && in.arch.IsFloat(piece.Reg):
			why = abi.RegisterNotReadable
		case piece.Kind != abi.Nowhere:
			continue
		}
		parts = append(parts, fmt.Sprintf("%s: %s", partAt(p.Type, piece.Offset), why))
	}
	hidden := p.Redacted()
	for _, path := range hidden {
		parts = append(parts, path+": "+abi.Redacted.String())
	}
	n := len(parts)
	parts = undecoded(parts, p.Type, "", shownPointers)
	return append(parts[:n], slices.DeleteFunc(parts[n:], func(part string) bool {
		path, _, _ := strings.Cut(part, ":")
		return slices.ContainsFunc(hidden, func(h string) bool {
			rest, within := strings.CutPrefix(path, h)
			return within && (rest == "" || rest[0] == '.' || rest[0] == '[')
		})
	})...)
}

// few shortens what [inspector.missing] returns.
func few(parts []string) []string {
	if len(parts) <= maxMissing {
		return parts
	}
	return append(parts[:maxMissing-1:maxMissing-1], fmt.Sprintf("and %d more", len(parts)-maxMissing+1))
}

// partAt names the field or element of t at an offset in bytes, as a selector:
// ".origin.x", "[0].name".
func partAt(t *abi.Type, offset int64) string {
	path := ""
	for t != nil {
		var next *abi.Type
		switch {
		case t.Kind == abi.Struct:
			for i := range t.Fields {
				f := &t.Fields[i]
				if f.Offset <= offset && offset < f.Offset+f.Type.Size {
					next = f.Type
					path += "." + f.Name
					offset -= f.Offset
					break
				}
			}
		case t.Kind == abi.Array && t.Elem != nil && t.Elem.Size > 0:
			next = t.Elem
			path += fmt.Sprintf("[%d]", offset/t.Elem.Size)
			offset %= t.Elem.Size
		}
		t = next
	}
	if path == "" {
		return fmt.Sprintf("bytes from %d", offset)
	}
	return path
}

// undecoded appends to parts those parts of a value of type t that are shown
// as raw words only, because nobody knows what they lead to. It looks through as many pointers as it is told.
func undecoded(parts []string, t *abi.Type, path string, pointers int) []string {
	if t == nil || len(parts) > 64 || len(path) > maxPath {
		return parts
	}
	switch t.Kind {
	case abi.UnsafePointer:
		if path != "" {
			path += ": "
		}
		return append(parts, fmt.Sprintf("%s%s as raw words", path, t.Kind))
	case abi.Struct:
		for i := range t.Fields {
			parts = undecoded(parts, t.Fields[i].Type, path+"."+t.Fields[i].Name, pointers)
		}
	case abi.Array:
		if t.Len > 0 {
			parts = undecoded(parts, t.Elem, path+"[]", pointers)
		}
	case abi.Slice:
		parts = undecoded(parts, t.Elem, path+"[]", 0)
	case abi.Pointer:
		if pointers > 0 {
			parts = undecoded(parts, t.Elem, path, pointers-1)
		}
	}
	return parts
}

package expr

import (
	"go/token"
	"strings"

	"github.com/argtap/argtap/abi"
)

// maxSize bounds a type, in bytes: no address space of user programs has more.
const maxSize = 1 << 47

// identical reports whether two types are the same. Types of one program that
// have the same name are, whoever read them.
func identical(a, b *abi.Type) bool {
	return a == b || a.Name == b.Name && (a.Kind == b.Kind || a.Kind == abi.Invalid || b.Kind == abi.Invalid)
}

// isNamed reports whether a type has a name of its own, and is no literal.
func isNamed(t *abi.Type) bool {
	for _, p := range []string{"*", "[", "map[", "chan ", "chan<- ", "<-chan ", "func(", "struct {", "interface {"} {
		if strings.HasPrefix(t.Name, p) {
			return false
		}
	}
	return true
}

// complete returns a type that was read, and that does not contradict itself as
// far as its own words go.
func (c *checker) complete(pos token.Pos, t *abi.Type) (*abi.Type, error) {
	if t == nil {
		return nil, c.errorAt(pos, "its type is not known")
	}
	if t.Kind == abi.Invalid {
		full := c.found[t.Name]
		if full == nil && c.Types != nil {
			for _, f := range c.Types.Lookup(t.Name) {
				if f != nil && f.Kind != abi.Invalid && f.Name == t.Name {
					full = f
					break
				}
			}
		}
		if full == nil {
			return nil, c.errorAt(pos, "type %s is not described", t.Name)
		}
		c.found[t.Name] = full
		t = full
	}
	if t.Kind == abi.Pointer && t.Elem == nil && strings.HasPrefix(t.Name, "go.shape.") {
		return nil, c.errorAt(pos, "what %s points to is not known: generic code has one shape for all pointers", t.Name)
	}
	ok := t.Size >= 0 && t.Size <= maxSize
	if want := t.Kind.Size(c.Arch.PtrSize); want >= 0 {
		ok = ok && t.Size == want
	}
	switch t.Kind {
	case abi.Map:
		ok = ok && t.Key != nil && t.Elem != nil
	case abi.Pointer, abi.Slice, abi.Chan:
		ok = ok && t.Elem != nil
	case abi.Array:
		ok = ok && t.Elem != nil && t.Len >= 0
	}
	if !ok || t.Kind > abi.UnsafePointer {
		return nil, c.errorAt(pos, "type %s: its description contradicts itself", t.Name)
	}
	return t, nil
}

// elem returns the type of the elements of t, or of what it points to.
func (c *checker) elem(pos token.Pos, t *abi.Type) (*abi.Type, error) {
	if t.Kind == abi.Pointer && (t.Elem == nil || t.Elem.Name == "void") {
		return nil, c.errorAt(pos, "what %s points to is not known", t.Name)
	}
	e, err := c.complete(pos, t.Elem)
	if err != nil {
		return nil, err
	}
	if t.Kind == abi.Array && (e.Size > 0 && t.Len > maxSize/e.Size || e.Size*t.Len != t.Size) {
		return nil, c.errorAt(pos, "type %s: its description contradicts itself", t.Name)
	}
	return e, nil
}

// holdsItself reports whether an interface that holds a t holds the value and
// not its address: cmd/compile/internal/types.IsDirectIface. Until Go 1.25 it
// was so for pointers, maps, channels, funcs and unsafe pointers, and for
// structs of one field and arrays of one element that are so; since then it is
// so for whatever is one pointer in size and all pointer.
func (c *checker) holdsItself(pos token.Pos, t *abi.Type) (bool, error) {
	if c.Direct != nil {
		return c.Direct(t), nil
	}
	before, budget := onePointer(t, 100), 1000
	since := t.Size == c.Arch.PtrSize && hasPointer(t, &budget)
	if before != since {
		return false, c.errorAt(pos, "how an interface holds a %s depends on the Go release, which is not known", t.Name)
	}
	return before, nil
}

func onePointer(t *abi.Type, nest int) bool {
	if nest == 0 || t == nil {
		return false
	}
	switch t.Kind {
	case abi.Pointer, abi.Map, abi.Chan, abi.Func, abi.UnsafePointer:
		return true
	case abi.Array:
		return t.Len == 1 && onePointer(t.Elem, nest-1)
	case abi.Struct:
		return len(t.Fields) == 1 && onePointer(t.Fields[0].Type, nest-1)
	}
	return false
}

// hasPointer reports whether a value of one word has a pointer in it.
func hasPointer(t *abi.Type, budget *int) bool {
	if *budget--; *budget < 0 || t == nil {
		return false
	}
	switch t.Kind {
	case abi.Array:
		return t.Len > 0 && hasPointer(t.Elem, budget)
	case abi.Struct:
		for i := range t.Fields {
			if hasPointer(t.Fields[i].Type, budget) {
				return true
			}
		}
		return false
	}
	return onePointer(t, 1)
}

// fieldNames are the names that can be said of a struct's fields, those of
// embedded ones not included.
func fieldNames(t *abi.Type) []string {
	var names []string
	for i := range t.Fields {
		if n := t.Fields[i].Name; n != "_" && n != "" {
			names = append(names, n)
		}
	}
	return names
}

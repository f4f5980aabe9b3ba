package uprobe

import (
	"slices"
	"strings"

	"github.com/argtap/argtap/abi"
	"github.com/argtap/argtap/internal/expr"
	"github.com/argtap/argtap/internal/rtype"
)

// exprTypes finds the types that expressions name.
type exprTypes struct {
	b      *executable
	params []abi.Param
	// known are the types that the parameters lead to, by name.
	known map[string]*abi.Type
}

// descriptors returns the types by their descriptors, nil if they are not known.
func (x *exprTypes) descriptors() *rtype.RuntimeTypes {
	data, err := x.b.runtimeTypes()
	if err != nil {
		return nil
	}
	d, err := data.RuntimeTypes()
	if err != nil {
		return nil
	}
	return d
}

// Lookup implements expr.Types: the debug information knows most about a type,
// the descriptors know those that only interfaces hold, and the parameters those
// that no interface can hold.
func (x *exprTypes) Lookup(name string) (found []*abi.Type) {
	have := map[uint64]bool{}
	from := func(types abi.RuntimeTypes) {
		named, err := types.Named(name)
		if err != nil {
			return
		}
		for _, rt := range named {
			if have[rt.Offset] {
				continue
			}
			if t, err := types.At(rt.Offset, wholeTypes); err == nil {
				have[rt.Offset] = true
				found = append(found, t)
			}
		}
	}
	if x.b.dwarf != nil {
		if types, err := x.b.dwarf.RuntimeTypes(); err == nil {
			from(types)
		}
	}
	if d := x.descriptors(); d != nil {
		from(d)
	}
	if len(found) > 0 {
		return found
	}
	if x.known == nil {
		x.known = map[string]*abi.Type{}
		for _, p := range x.params {
			x.add(p.Type)
		}
	}
	if t := x.known[name]; t != nil {
		return []*abi.Type{t}
	}
	for full, t := range x.known {
		if expr.ShortName(full) == name {
			found = append(found, t)
		}
	}
	slices.SortFunc(found, func(a, b *abi.Type) int { return strings.Compare(a.Name, b.Name) })
	return found
}

// maxKnown bounds the types that are looked at for a name.
const maxKnown = 1 << 16

func (x *exprTypes) add(t *abi.Type) {
	for queue := []*abi.Type{t}; len(queue) > 0 && len(x.known) < maxKnown; queue = queue[1:] {
		t := queue[0]
		if t == nil || t.Kind == abi.Invalid || x.known[t.Name] != nil {
			continue
		}
		x.known[t.Name] = t
		queue = append(queue, t.Elem, t.Key)
		for i := range t.Fields {
			queue = append(queue, t.Fields[i].Type)
		}
	}
}

package expr

import (
	"go/ast"
	"go/constant"
	"go/token"
	"strings"

	"github.com/argtap/argtap/abi"
)

// selector is x.f, or a constant of package time.
func (c *checker) selector(e *ast.SelectorExpr) (*operand, error) {
	if id, ok := e.X.(*ast.Ident); ok && c.param(id.Name) < 0 {
		if x, err := c.qualified(id, e); x != nil || err != nil {
			return x, err
		}
	}
	x, err := c.expr(e.X)
	if err != nil {
		return nil, err
	}
	name, pos := e.Sel.Name, e.Sel.Pos()
	switch {
	case x.mode == isType:
		return nil, c.unsupported(pos, "method expression %s.%s: expressions call no functions", x.name, name)
	case x.mode != isValue || x.typ == nil:
		return nil, c.errorAt(pos, "no field %s in %s", name, c.describe(x))
	case name == "_":
		return nil, c.errorAt(pos, "blank fields cannot be named")
	}
	return c.field(x, name, pos)
}

// qualified resolves what has a package's name before it. It returns nil if the
// name is of no package that is known here.
func (c *checker) qualified(id *ast.Ident, e *ast.SelectorExpr) (*operand, error) {
	if id.Name == "unsafe" {
		return nil, c.unsupported(id.Pos(), "package unsafe: expressions keep to the types")
	}
	if c.basic[id.Name] != nil || id.Name == "_" || id.Name == "nil" || id.Name == "true" || id.Name == "false" {
		return nil, nil
	}
	t, err := c.namedType(e, c.source(e))
	if err != nil {
		return nil, err
	}
	if t != nil {
		return &operand{mode: isType, pos: e.Pos(), typ: t, name: c.source(e)}, nil
	}
	if id.Name == "time" {
		d := &abi.Type{Name: "time.Duration", Kind: abi.Int64, Size: 8, Align: c.basic["int64"].Align}
		if n, ok := durations[e.Sel.Name]; ok {
			return &operand{mode: isConst, pos: e.Pos(), typ: d, val: constant.MakeInt64(n)}, nil
		}
		if e.Sel.Name == "Duration" {
			return &operand{mode: isType, pos: e.Pos(), typ: d, name: d.Name}, nil
		}
	}
	return nil, nil
}

// durations are the constants of package time.
var durations = map[string]int64{
	"Nanosecond": 1, "Microsecond": 1e3, "Millisecond": 1e6, "Second": 1e9, "Minute": 60e9, "Hour": 3600e9,
}

// field selects a field of a struct, or of what a pointer to one points to.
func (c *checker) field(x *operand, name string, pos token.Pos) (*operand, error) {
	t, n, addressable := x.typ, x.node, x.addressable
	if t.Kind == abi.Pointer {
		under, err := c.elem(pos, t)
		if err != nil {
			return nil, err
		}
		if under.Kind != abi.Struct {
			if under.Kind == abi.Pointer || under.Kind == abi.Interface {
				return nil, c.errorAt(pos, "no field %s in %s: it is a pointer to a %s; write (*%s).%s", name, t.Name, under.Kind, c.text[c.offset(x.pos):c.offset(pos-1)], name)
			}
			return nil, c.noField(pos, under, name)
		}
		t, n, addressable = under, c.node(Deref, pos, under, 0, n), true
	}
	if t.Kind != abi.Struct {
		if t.Kind == abi.Interface {
			return nil, c.errorAt(pos, "no field %s in %s: say what the interface holds, as in x.(T).%s", name, t.Name, name)
		}
		return nil, c.noField(pos, t, name)
	}
	path, err := c.findField(pos, t, name)
	if err != nil {
		return nil, err
	}
	for i, f := range path {
		if i > 0 && t.Kind == abi.Pointer {
			if t, err = c.elem(pos, t); err != nil {
				return nil, err
			}
			n, addressable = c.node(Deref, pos, t, 0, n), true
		}
		ft, err := c.complete(pos, f.Type)
		if err != nil {
			return nil, err
		}
		if f.Offset < 0 || f.Offset > t.Size-ft.Size {
			return nil, c.errorAt(pos, "type %s: field %s lies outside", t.Name, f.Name)
		}
		t, n = ft, c.node(Field, pos, ft, f.Offset, n)
	}
	return &operand{mode: isValue, pos: x.pos, typ: t, node: n, addressable: addressable}, nil
}

// maxStructs bounds the structs that the search for a field looks at.
const maxStructs = 2000

// findField returns the fields that lead to the one called name: embedded ones,
// and itself. Of several the one at the least depth is meant, and there must be
// only one (the Go specification, "Selectors").
func (c *checker) findField(pos token.Pos, t *abi.Type, name string) ([]*abi.Field, error) {
	type embedded struct {
		t    *abi.Type
		path []*abi.Field
		many bool // there are several of this type at this depth
	}
	seen := map[*abi.Type]bool{}
	level := []embedded{{t: t}}
	for structs := 0; len(level) > 0; {
		var found []embedded
		var next []embedded
		index := map[*abi.Type]int{} // in next
		for _, at := range level {
			if seen[at.t] {
				continue
			}
			seen[at.t] = true
			if structs++; structs > maxStructs {
				return nil, c.errorAt(pos, "type %s has too many embedded structs", t.Name)
			}
			for i := range at.t.Fields {
				f := &at.t.Fields[i]
				path := append(at.path[:len(at.path):len(at.path)], f)
				if f.Name == name {
					found = append(found, embedded{path: path, many: at.many})
					continue
				}
				if !f.Embedded {
					continue
				}
				under, err := c.complete(pos, f.Type)
				if err == nil && under.Kind == abi.Pointer {
					under, err = c.elem(pos, under)
				}
				if err != nil || under.Kind != abi.Struct {
					continue // what is not known has no fields that can be read
				}
				if j, ok := index[under]; ok {
					next[j].many = true
				} else {
					index[under] = len(next)
					next = append(next, embedded{under, path, at.many})
				}
			}
		}
		switch {
		case len(found) == 1 && !found[0].many:
			return found[0].path, nil
		case len(found) > 0:
			var names []string
			for _, f := range found {
				names = append(names, pathName(f.path))
			}
			if len(found) == 1 {
				return nil, c.errorAt(pos, "%s is ambiguous in %s: it is promoted more than once, as %s", name, t.Name, names[0])
			}
			return nil, c.errorAt(pos, "%s is ambiguous in %s: %s", name, t.Name, strings.Join(sorted(names), " or "))
		}
		level = next
	}
	return nil, c.noField(pos, t, name)
}

func pathName(path []*abi.Field) string {
	var names []string
	for _, f := range path {
		names = append(names, f.Name)
	}
	return strings.Join(names, ".")
}

// noField is the error for a field that is not there.
func (c *checker) noField(pos token.Pos, t *abi.Type, name string) error {
	if t.Kind != abi.Struct {
		return c.errorAt(pos, "no field %s in %s, which is no struct", name, t.Name)
	}
	names := fieldNames(t)
	return c.errorAt(pos, "no field %s in %s; fields: %s%s", name, t.Name, list(names), didYouMean(name, names))
}

// star is *x.
func (c *checker) star(e *ast.StarExpr) (*operand, error) {
	x, err := c.expr(e.X)
	if err != nil {
		return nil, err
	}
	if x.mode == isType {
		return nil, c.unsupported(e.Pos(), "*%s is a type: expressions convert between integer types only", x.name)
	}
	if x.mode != isValue || x.typ == nil || x.typ.Kind != abi.Pointer {
		return nil, c.errorAt(e.Pos(), "* needs a pointer; this is %s", c.describe(x))
	}
	t, err := c.elem(e.Pos(), x.typ)
	if err != nil {
		return nil, err
	}
	return &operand{mode: isValue, pos: e.Pos(), typ: t, node: c.node(Deref, e.Pos(), t, 0, x.node), addressable: true}, nil
}

package gosig

import (
	"fmt"
	"go/ast"
	"go/token"
	"go/types"
	"strconv"
	"strings"

	"github.com/argtap/argtap/abi"
)

// maxSize bounds a type, in bytes: larger arguments do not fit in any frame.
const maxSize = 1<<31 - 1

// converter makes types as abi has them.
type converter struct {
	src     *source
	ptrSize int64
}

// tuple converts parameters or results. The syntax tells where they are.
func (c *converter) tuple(tuple *types.Tuple, list *ast.FieldList, results bool) ([]abi.Param, error) {
	var params []abi.Param
	var positions []token.Pos
	if list != nil {
		for _, f := range list.List {
			for range max(1, len(f.Names)) {
				positions = append(positions, f.Type.Pos())
			}
		}
	}
	for i := range tuple.Len() {
		v := tuple.At(i)
		t, err := c.convert(v.Type(), 0)
		if err != nil {
			if i < len(positions) {
				return nil, c.src.errorAt(positions[i], "%v", err)
			}
			return nil, c.src.errorf(0, "%v", err)
		}
		name := v.Name()
		if name == "" || name == "_" {
			if name = "_"; results {
				name = "~r" + strconv.Itoa(i)
			}
		}
		params = append(params, abi.Param{Name: name, Type: t})
	}
	return params, nil
}

var kinds = map[types.BasicKind]abi.Kind{
	types.Bool: abi.Bool, types.String: abi.String, types.UnsafePointer: abi.UnsafePointer,
	types.Int: abi.Int, types.Int8: abi.Int8, types.Int16: abi.Int16, types.Int32: abi.Int32, types.Int64: abi.Int64,
	types.Uint: abi.Uint, types.Uint8: abi.Uint8, types.Uint16: abi.Uint16, types.Uint32: abi.Uint32,
	types.Uint64: abi.Uint64, types.Uintptr: abi.Uintptr, types.Float32: abi.Float32, types.Float64: abi.Float64,
	types.Complex64: abi.Complex64, types.Complex128: abi.Complex128,
}

// convert returns t with its size, and with all types that it is made of.
func (c *converter) convert(t types.Type, nest int) (*abi.Type, error) {
	if nest > maxNest {
		return nil, fmt.Errorf("types nested more than %d deep", maxNest)
	}
	// Most are words.
	out := &abi.Type{Name: typeName(t), Size: c.ptrSize, Align: c.ptrSize}
	elem := func(k abi.Kind, e types.Type) (err error) {
		out.Kind = k
		out.Elem, err = c.convert(e, nest+1)
		return err
	}
	var err error
	switch u := t.Underlying().(type) {
	case *types.Basic:
		var ok bool
		if out.Kind, ok = kinds[u.Kind()]; !ok {
			return nil, fmt.Errorf("type %s: no type of a parameter", out.Name)
		}
		c.basic(out)
	case *types.Pointer:
		err = elem(abi.Pointer, u.Elem())
	case *types.Slice:
		out.Size = 3 * c.ptrSize
		err = elem(abi.Slice, u.Elem())
	case *types.Chan:
		err = elem(abi.Chan, u.Elem())
	case *types.Array:
		out.Len = u.Len()
		if err = elem(abi.Array, u.Elem()); err != nil {
			return nil, err
		}
		if e := out.Elem.Size; e > 0 && out.Len > maxSize/e {
			return nil, fmt.Errorf("type %s: too large for an argument", out.Name)
		}
		out.Size, out.Align = out.Len*out.Elem.Size, out.Elem.Align
	case *types.Map:
		if out.Key, err = c.convert(u.Key(), nest+1); err == nil {
			err = elem(abi.Map, u.Elem())
		}
	case *types.Signature:
		out.Kind = abi.Func
	case *types.Interface:
		out.Kind = abi.Interface
		if !u.IsMethodSet() {
			return nil, fmt.Errorf("type %s: a constraint, and no type of a parameter", out.Name)
		}
		out.NumMethod, out.Size = u.NumMethods(), 2*c.ptrSize
	case *types.Struct:
		out.Kind = abi.Struct
		err = c.fields(out, u, nest)
	default:
		return nil, fmt.Errorf("type %s: no type of a parameter", out.Name)
	}
	return out, err
}

// basic lays out a type without elements: aligned to its size, to that of its
// halves if it is complex, and to a pointer's at most
// (cmd/compile/internal/types.CalcSize).
func (c *converter) basic(out *abi.Type) {
	align := int64(0)
	switch out.Kind {
	case abi.Bool, abi.Int8, abi.Uint8:
		out.Size = 1
	case abi.Int16, abi.Uint16:
		out.Size = 2
	case abi.Int32, abi.Uint32, abi.Float32:
		out.Size = 4
	case abi.Int64, abi.Uint64, abi.Float64:
		out.Size = 8
	case abi.Complex64:
		out.Size, align = 8, 4
	case abi.Complex128:
		out.Size, align = 16, 8
	case abi.String:
		out.Size = 2 * c.ptrSize
	}
	if align == 0 {
		align = out.Size
	}
	out.Align = min(align, c.ptrSize)
}

// fields lays out a struct as cmd/compile/internal/types.CalcStructSize does.
// go/types would, too, but in time that is exponential in the depth of structs.
func (c *converter) fields(out *abi.Type, u *types.Struct, nest int) error {
	out.Size, out.Align = 0, 1
	for i := range u.NumFields() {
		v := u.Field(i)
		t, err := c.convert(v.Type(), nest+1)
		if err != nil {
			return err
		}
		offset := alignUp(out.Size, t.Align)
		out.Fields = append(out.Fields, abi.Field{Name: v.Name(), Type: t, Offset: offset, Embedded: v.Embedded()})
		if out.Size = offset + t.Size; out.Size > maxSize {
			return fmt.Errorf("type %s: too large for an argument", out.Name)
		}
		out.Align = max(out.Align, t.Align)
	}
	if n := len(out.Fields); out.Size > 0 && out.Fields[n-1].Type.Size == 0 {
		out.Size++ // so that the address of the last field is inside
	}
	out.Size = alignUp(out.Size, out.Align)
	return nil
}

// alignUp rounds n up to a multiple of align, a power of two.
func alignUp(n, align int64) int64 { return (n + align - 1) &^ (align - 1) }

// typeName writes a type as the compiler does in its debug information
// (cmd/compile/internal/types/fmt.go): "struct { n int }", "interface {}",
// "uint8" for byte. There is no package to write before the names of fields.
func typeName(t types.Type) string {
	switch t := types.Unalias(t).(type) {
	case *types.Basic:
		if t.Kind() == types.UnsafePointer {
			return "unsafe.Pointer"
		}
		return types.Typ[t.Kind()].Name() // not the alias
	case *types.Pointer:
		return "*" + typeName(t.Elem())
	case *types.Slice:
		return "[]" + typeName(t.Elem())
	case *types.Array:
		return fmt.Sprintf("[%d]%s", t.Len(), typeName(t.Elem()))
	case *types.Map:
		return "map[" + typeName(t.Key()) + "]" + typeName(t.Elem())
	case *types.Chan:
		elem := typeName(t.Elem())
		switch t.Dir() {
		case types.SendOnly:
			return "chan<- " + elem
		case types.RecvOnly:
			return "<-chan " + elem
		}
		if strings.HasPrefix(elem, "<-") {
			elem = "(" + elem + ")"
		}
		return "chan " + elem
	case *types.Signature:
		return "func" + signature(t)
	case *types.Interface:
		var parts []string
		for i := range t.NumMethods() {
			m := t.Method(i)
			parts = append(parts, m.Name()+signature(m.Signature()))
		}
		return braces("interface", parts)
	case *types.Struct:
		var parts []string
		for i := range t.NumFields() {
			f := t.Field(i)
			part := typeName(f.Type())
			if !f.Embedded() {
				part = f.Name() + " " + part
			}
			if tag := t.Tag(i); tag != "" {
				part += " " + strconv.Quote(tag)
			}
			parts = append(parts, part)
		}
		return braces("struct", parts)
	}
	return t.String() // error
}

func braces(word string, parts []string) string {
	if len(parts) == 0 {
		return word + " {}"
	}
	return word + " { " + strings.Join(parts, "; ") + " }"
}

func signature(s *types.Signature) string {
	list := func(tuple *types.Tuple, variadic bool) string {
		parts := make([]string, tuple.Len())
		for i := range parts {
			t := tuple.At(i).Type()
			if parts[i] = typeName(t); variadic && i == len(parts)-1 {
				parts[i] = "..." + strings.TrimPrefix(parts[i], "[]")
			}
		}
		return strings.Join(parts, ", ")
	}
	out := "(" + list(s.Params(), s.Variadic()) + ")"
	switch s.Results().Len() {
	case 0:
		return out
	case 1:
		return out + " " + list(s.Results(), false)
	}
	return out + " (" + list(s.Results(), false) + ")"
}

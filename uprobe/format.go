package uprobe

import (
	"fmt"
	"strconv"

	"github.com/argtap/argtap/abi"
)

// Format implements fmt.Formatter. The verbs print what fmt would print for the
// Go value itself, with the same flags, width and precision: %v and %+v
// its plain form, %#v its Go syntax, %d, %x, %q and so on its parts. But %s
// prints what [Value.String] returns, and there are differences where a captured
// value has more to tell, or less, than the value had:
//
//   - what is absent is its reason in angle brackets, and what was cut ends in
//     "…" and the length;
//   - pointers show what they point to at any depth, as &{1 2}, and their address
//     where that was shown before;
//   - blank fields, and those that generated code keeps for itself in protocol
//     buffer messages, are left out;
//   - methods of the traced program are not called: errors and Stringers show
//     their fields, but for known types ([WithPrinter]), which %v and %+v show as
//     their String and Error methods would, wherever they stand;
//   - funcs show their name if it is known.
func (v Value) Format(f fmt.State, verb rune) {
	p := formatter{verb: verb, format: fmt.FormatString(f, verb)}
	switch {
	case verb == 's':
		fmt.Fprintf(f, p.format, v.String())
		return
	case verb == 'q' && v.Kind() != abi.String && v.Kind() != abi.Slice:
		fmt.Fprintf(f, p.format, v.String())
		return
	}
	p.plus = verb == 'v' && f.Flag('+')
	p.sharp = verb == 'v' && f.Flag('#')
	_, p.wide = f.Width()
	p.value(v, 0)
	f.Write(p.b)
}

// formatter prints a value for package fmt.
type formatter struct {
	printer
	verb        rune
	format      string // of a leaf
	plus, sharp bool   // %+v, %#v
	wide        bool
}

// leaf prints a part that has no parts.
func (p *formatter) leaf(x any) { p.b = fmt.Appendf(p.b, p.format, x) }

// word prints text in place of a part.
func (p *formatter) word(s string) {
	if p.wide && p.verb == 'v' && !p.sharp {
		p.leaf(s)
		return
	}
	p.str(s)
}

func (p *formatter) value(v Value, depth int) {
	if r := p.cut(v, depth); r != abi.Present {
		p.word("<" + r.String() + ">")
		return
	}
	if p.known(v, depth) {
		return
	}
	p.plain(v, depth)
}

// known prints a value of a known type.
func (p *formatter) known(v Value, depth int) bool {
	if p.verb != 'v' || p.sharp {
		return false
	}
	x, ok := v.readable(inFmt)
	if !ok {
		return false
	}
	if inner, ok := x.(Value); ok {
		if r := p.cut(inner, depth+1); r == abi.Present {
			p.plain(inner, depth+1)
			return true
		}
		return false
	}
	p.word(fmtOf(x))
	return true
}

func (p *formatter) plain(v Value, depth int) {
	switch v.typ.Kind {
	case abi.Bool:
		if x, ok := v.Bool(); ok {
			p.leaf(x)
			return
		}
		p.word("<" + abi.Implausible.String() + ">")
	case abi.Int, abi.Int8, abi.Int16, abi.Int32, abi.Int64:
		x, _ := v.Int()
		p.leaf(integer(v.typ.Kind, uint64(x)))
	case abi.Uint, abi.Uint8, abi.Uint16, abi.Uint32, abi.Uint64, abi.Uintptr:
		x, _ := v.Uint()
		p.leaf(integer(v.typ.Kind, x))
	case abi.Float32:
		x, _ := v.Float()
		p.leaf(float32(x))
	case abi.Float64:
		x, _ := v.Float()
		p.leaf(x)
	case abi.Complex64:
		x, _ := v.Complex()
		p.leaf(complex64(x))
	case abi.Complex128:
		x, _ := v.Complex()
		p.leaf(x)
	case abi.String:
		s, ok := v.Str()
		if !ok {
			_, _, r := v.elems()
			p.word("<" + r.String() + ">")
			return
		}
		p.leaf(s)
		p.rest(len(s), v.Len())
	case abi.Slice:
		p.slice(v, depth)
	case abi.Array:
		if p.bytes(v.typ) {
			n := v.shown(v.Captured())
			b := make([]byte, 0, n)
			for i := range n {
				x, _ := v.Index(i).Uint()
				b = append(b, byte(x))
			}
			p.leaf(b)
			p.rest(len(b), v.Len())
			return
		}
		p.elems(v, v.Captured(), typeName(v.typ), depth)
	case abi.Struct:
		p.structure(v, depth)
	case abi.Pointer:
		p.pointer(v, depth)
	default:
		p.dynamic(v, depth)
	}
}

// integer returns a number as the Go type of its kind, of which fmt speaks where
// the verb is wrong for it.
func integer(k abi.Kind, x uint64) any {
	switch k {
	case abi.Int:
		return int(x)
	case abi.Int8:
		return int8(x)
	case abi.Int16:
		return int16(x)
	case abi.Int32:
		return int32(x)
	case abi.Int64:
		return int64(x)
	case abi.Uint:
		return uint(x)
	case abi.Uint8:
		return uint8(x)
	case abi.Uint16:
		return uint16(x)
	case abi.Uint32:
		return uint32(x)
	case abi.Uintptr:
		return uintptr(x)
	}
	return x
}

// bytes reports whether the verb prints values of a type as a string of bytes.
func (p *formatter) bytes(t *abi.Type) bool {
	return (p.verb == 'x' || p.verb == 'X' || p.verb == 'q') && t.Elem != nil && t.Elem.Kind == abi.Uint8
}

// null prints a nil of a type.
func (p *formatter) null(t *abi.Type) {
	switch {
	case p.sharp && t.Kind == abi.Interface:
		p.typeName(t)
		p.str("(nil)")
	case p.sharp:
		p.b = append(p.b, '(')
		p.typeName(t)
		p.str(")(nil)")
	case t.Kind == abi.Interface:
		p.str("<nil>")
	case p.verb == 'v':
		p.word("<nil>")
	default:
		p.leaf(uintptr(0))
	}
}

// address prints the address that a value holds.
func (p *formatter) address(v Value) {
	switch {
	case p.sharp:
		p.conversion(v)
	case p.verb == 'v':
		p.word("0x" + strconv.FormatUint(v.word(0), 16))
	default:
		p.leaf(v.word(0))
	}
}

func (p *formatter) slice(v Value, depth int) {
	name := typeName(v.typ)
	if v.IsNil() && v.Len() == 0 && p.sharp {
		if depth == 0 && name == "[]uint8" {
			name = "[]byte"
		}
		p.str(name)
		p.str("(nil)")
		return
	}
	first, n, r := v.elems()
	if r != abi.Present {
		p.word("<" + r.String() + ">")
		return
	}
	if p.bytes(v.typ) {
		p.leaf(first.bytes(n))
		p.rest(int(n), v.Len())
		return
	}
	if p.again(v) {
		p.address(v)
		return
	}
	if depth == 0 && name == "[]uint8" {
		name = "[]byte" // fmt cannot tell them apart either
	}
	p.elems(v, int(n), name, depth)
}

func (p *formatter) elems(v Value, n int, name string, depth int) {
	n = v.shown(n)
	open, sep, end := "[", " ", byte(']')
	if p.sharp {
		p.str(name)
		open, sep, end = "{", ", ", '}'
	}
	p.str(open)
	for i := range n {
		if i > 0 {
			p.str(sep)
		}
		p.value(v.Index(i), depth+1)
	}
	p.rest(n, v.Len())
	p.b = append(p.b, end)
}

func (p *formatter) structure(v Value, depth int) {
	sep := " "
	if p.sharp {
		p.typeName(v.typ)
		sep = ", "
	}
	p.b = append(p.b, '{')
	first, hidden := true, hiddenFields(v.typ)
	for i := range v.typ.Fields {
		f := &v.typ.Fields[i]
		if hidden(f) {
			continue
		}
		if !first {
			p.str(sep)
		}
		first = false
		if p.plus || p.sharp {
			p.str(f.Name)
			p.b = append(p.b, ':')
		}
		p.value(v.Field(i), depth+1)
	}
	p.b = append(p.b, '}')
}

func (p *formatter) pointer(v Value, depth int) {
	if v.word(0) == 0 {
		p.null(v.typ)
		return
	}
	e := v.Elem()
	if r := e.reason(); r != abi.Present {
		p.address(v)
		p.word("<" + r.String() + ">")
		return
	}
	if p.known(e, depth) {
		return
	}
	if p.again(v) {
		p.address(v)
		return
	}
	p.b = append(p.b, '&')
	p.value(e, depth+1)
}

func (p *formatter) dynamic(v Value, depth int) {
	if v.word(0) == 0 {
		if v.typ.Kind != abi.Map {
			p.null(v.typ)
			return
		}
		if p.sharp {
			p.typeName(v.typ)
			p.str("(nil)")
		} else {
			p.str("map[]")
		}
		return
	}
	switch r := v.unfollowed(); {
	case r != abi.Present && v.typ.Kind == abi.Interface:
		p.wordsText(v, r)
	case r != abi.Present && v.typ.Kind == abi.Map:
		p.address(v)
		p.word("<" + r.String() + ">")
	case v.typ.Kind == abi.Interface:
		p.value(v.Dynamic(), depth+1)
	case v.typ.Kind == abi.Map:
		p.entries(v, depth)
	case v.typ.Kind == abi.Func && r == abi.Present && p.verb == 'v':
		name, _ := v.FuncName()
		p.word(name)
	default:
		p.address(v)
	}
}

func (p *formatter) entries(v Value, depth int) {
	if p.again(v) {
		p.address(v)
		return
	}
	open, sep, end := "map[", " ", byte(']')
	if p.sharp {
		p.typeName(v.typ)
		open, sep, end = "{", ", ", '}'
	}
	p.str(open)
	list := v.entries()
	for i := range list {
		if i > 0 {
			p.str(sep)
		}
		p.value(list[i].key, depth+1)
		p.b = append(p.b, ':')
		p.value(list[i].elem, depth+1)
	}
	p.restOf(v, len(list))
	p.b = append(p.b, end)
}

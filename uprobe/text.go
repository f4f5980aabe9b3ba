package uprobe

import (
	"math"
	"strconv"

	"github.com/argtap/argtap/abi"
)

func appendInt(b []byte, i int64) []byte   { return strconv.AppendInt(b, i, 10) }
func appendUint(b []byte, u uint64) []byte { return strconv.AppendUint(b, u, 10) }

// String returns the value in Go syntax. What is absent stands in angle
// brackets: "<optimized out>". Cut strings, slices and maps end in "…" and say
// how long they are. A pointer shows what it points to, and the address alone,
// as (*T)(0xc000012340), where that was shown before. Values of known types are
// shown as people read them, such as a time.Time: see [WithPrinter].
func (v Value) String() string { return string(v.AppendText(nil)) }

// AppendText appends what String returns to b.
func (v Value) AppendText(b []byte) []byte {
	p := printer{b: b, start: len(b)}
	p.text(v, 0)
	return p.b
}

// appendSized appends a value of which only the size is known.
func (v Value) appendSized(b []byte) []byte {
	if _, absent := v.Absent(); absent {
		return v.AppendText(b)
	}
	if n := v.NumField(); v.Kind() == abi.Struct {
		b = append(b, '{')
		for i := range n {
			if i > 0 {
				b = append(b, ", "...)
			}
			b = v.Field(i).appendSized(b)
		}
		return append(b, '}')
	}
	if x, ok := v.Uint(); ok {
		return appendHex(b, x)
	}
	return v.AppendText(b)
}

func appendHex(b []byte, x uint64) []byte {
	return strconv.AppendUint(append(b, "0x"...), x, 16)
}

func (p *printer) str(s string)         { p.b = append(p.b, s...) }
func (p *printer) typeName(t *abi.Type) { p.b = append(p.b, typeName(t)...) }

// absent appends a reason in angle brackets.
func (p *printer) absent(r abi.Reason) {
	p.b = append(p.b, '<')
	p.b = append(p.b, r.String()...)
	p.b = append(p.b, '>')
}

// rest says how long a value is of which only n elements were captured.
func (p *printer) rest(n, length int) {
	if n < length {
		p.b = append(p.b, "…("...)
		p.b = append(appendInt(p.b, int64(length)), ')')
	}
}

// restOf is rest for a map or channel v, with the reason where it is no limit.
func (p *printer) restOf(v Value, n int) {
	r := v.restReason()
	if n >= v.Len() || r == abi.Present {
		p.rest(n, v.Len())
		return
	}
	p.str("…(")
	p.b = append(appendInt(p.b, int64(v.Len())), ' ')
	p.absent(r)
	p.b = append(p.b, ')')
}

// text appends a value in Go syntax.
func (p *printer) text(v Value, depth int) {
	if r := p.cut(v, depth); r != abi.Present {
		p.absent(r)
		return
	}
	if x, ok := v.readable(inText); ok {
		p.readableText(x, depth)
		return
	}
	p.plainText(v, depth)
}

// readableText appends what a [Printer] returned.
func (p *printer) readableText(x any, depth int) {
	if inner, ok := x.(Value); ok {
		if r := p.cut(inner, depth+1); r != abi.Present {
			p.absent(r)
			return
		}
		p.plainText(inner, depth+1)
		return
	}
	p.str(textOf(x))
}

func (p *printer) plainText(v Value, depth int) {
	switch v.typ.Kind {
	case abi.Bool:
		if x, ok := v.Bool(); ok {
			p.b = strconv.AppendBool(p.b, x)
			return
		}
		p.absent(abi.Implausible)
	case abi.Int, abi.Int8, abi.Int16, abi.Int32, abi.Int64:
		x, _ := v.Int()
		p.b = appendInt(p.b, x)
	case abi.Uint, abi.Uint8, abi.Uint16, abi.Uint32, abi.Uint64:
		x, _ := v.Uint()
		p.b = appendUint(p.b, x)
	case abi.Uintptr:
		x, _ := v.Uint()
		p.b = appendHex(p.b, x)
	case abi.Float32, abi.Float64:
		x, _ := v.Float()
		p.b = strconv.AppendFloat(p.b, x, 'g', -1, int(v.typ.Size*8))
	case abi.Complex64, abi.Complex128:
		x, _ := v.Complex()
		p.str(strconv.FormatComplex(x, 'g', -1, int(v.typ.Size*8)))
	case abi.String:
		p.stringText(v)
	case abi.Slice:
		p.sliceText(v, depth)
	case abi.Array:
		p.typeName(v.typ)
		p.elemsText(v, v.Captured(), int(v.typ.Len), depth)
	case abi.Struct:
		p.structText(v, depth)
	case abi.Pointer:
		p.pointerText(v, depth)
	default:
		p.dynamicText(v, depth)
	}
}

func (p *printer) stringText(v Value) {
	s, n, r := v.elems()
	if r != abi.Present {
		p.absent(r)
		return
	}
	p.b = strconv.AppendQuote(p.b, string(s.bytes(n)))
	p.rest(int(n), v.Len())
}

// conversion appends an address as a value of v's type.
func (p *printer) conversion(v Value) {
	p.b = append(p.b, '(')
	p.typeName(v.typ)
	p.b = append(p.b, ")("...)
	p.b = append(appendHex(p.b, v.word(0)), ')')
}

func (p *printer) sliceText(v Value, depth int) {
	if v.IsNil() && v.Len() == 0 {
		p.typeName(v.typ)
		p.str("(nil)")
		return
	}
	first, n, r := v.elems()
	if r != abi.Present {
		p.absent(r)
		return
	}
	if p.again(v) {
		p.conversion(v)
		return
	}
	p.typeName(v.typ)
	if n > 0 && v.typ.Elem.Kind == abi.Uint8 {
		p.b = append(p.b, '(')
		p.b = strconv.AppendQuote(p.b, string(first.bytes(n)))
		p.rest(int(n), v.Len())
		p.b = append(p.b, ')')
		return
	}
	p.elemsText(v, int(n), v.Len(), depth)
}

func (p *printer) elemsText(v Value, n, length, depth int) {
	n = v.shown(n)
	p.b = append(p.b, '{')
	for i := range n {
		if i > 0 {
			p.str(", ")
		}
		p.text(v.Index(i), depth+1)
	}
	if v.typ.Kind == abi.Chan {
		p.restOf(v, n)
	} else {
		p.rest(n, length)
	}
	p.b = append(p.b, '}')
}

func (p *printer) structText(v Value, depth int) {
	p.typeName(v.typ)
	p.fieldsText(v, depth)
}

func (p *printer) fieldsText(v Value, depth int) {
	p.b = append(p.b, '{')
	first, hidden := true, hiddenFields(v.typ)
	for i := range v.typ.Fields {
		f := &v.typ.Fields[i]
		if hidden(f) {
			continue
		}
		if !first {
			p.str(", ")
		}
		first = false
		p.str(f.Name)
		p.str(": ")
		p.text(v.Field(i), depth+1)
	}
	p.b = append(p.b, '}')
}

func (p *printer) pointerText(v Value, depth int) {
	if v.word(0) == 0 {
		p.str("nil")
		return
	}
	e := v.Elem()
	if r := e.reason(); r != abi.Present {
		p.b = append(p.b, '(')
		p.typeName(v.typ)
		p.str(")(")
		p.b = append(appendHex(p.b, v.word(0)), ' ')
		p.absent(r)
		p.b = append(p.b, ')')
		return
	}
	if x, ok := e.readable(inText); ok {
		p.readableText(x, depth)
		return
	}
	if p.again(v) {
		p.conversion(v)
		return
	}
	p.b = append(p.b, '&')
	p.text(e, depth+1)
}

// dynamicText appends a value of which only the run-time knows what it refers
// to: an interface, map, channel, func or unsafe.Pointer.
func (p *printer) dynamicText(v Value, depth int) {
	if v.word(0) == 0 {
		p.str("nil")
		return
	}
	if r := v.unfollowed(); r != abi.Present {
		p.wordsText(v, r)
		return
	}
	switch v.typ.Kind {
	case abi.Interface:
		p.interfaceText(v.Dynamic(), depth)
	case abi.Map:
		p.mapText(v, depth)
	case abi.Chan:
		p.chanText(v, depth)
	case abi.Func:
		name, _ := v.FuncName()
		p.str(name)
		if vars := v.Closure(); vars.NumField() > 0 {
			p.fieldsText(vars, depth)
		}
	}
}

// wordsText appends a value that was not followed, as its words.
func (p *printer) wordsText(v Value, r abi.Reason) {
	p.b = append(p.b, '(')
	p.typeName(v.typ)
	p.str(")(")
	for i := int64(0); i*v.wordSize() < v.typ.Size; i++ {
		p.b = append(appendHex(p.b, v.word(i)), ' ')
	}
	p.absent(r)
	p.b = append(p.b, ')')
}

// interfaceText appends what an interface holds. Where Go syntax does not tell
// the type, it is a conversion: int64(5).
func (p *printer) interfaceText(v Value, depth int) {
	convert := false
	if _, ok := v.readable(inText); !ok {
		switch v.typ.Kind {
		case abi.Bool, abi.Int, abi.Complex128, abi.String:
			convert = v.typ.Name != v.typ.Kind.String()
		case abi.Float64:
			x, _ := v.Float()
			convert = v.typ.Name != "float64" || x == math.Trunc(x) || x != x // 2 is an int
		case abi.Int8, abi.Int16, abi.Int32, abi.Int64, abi.Float32, abi.Complex64,
			abi.Uint, abi.Uint8, abi.Uint16, abi.Uint32, abi.Uint64, abi.Uintptr:
			convert = true
		case abi.Pointer, abi.Map, abi.Chan, abi.Func, abi.UnsafePointer:
			if v.IsNil() {
				p.b = append(p.b, '(')
				p.typeName(v.typ)
				p.str(")(nil)")
				return
			}
		}
		convert = convert || v.reason() != abi.Present
	}
	if convert {
		p.typeName(v.typ)
		p.b = append(p.b, '(')
	}
	p.text(v, depth+1)
	if convert {
		p.b = append(p.b, ')')
	}
}

func (p *printer) mapText(v Value, depth int) {
	if p.again(v) {
		p.conversion(v)
		return
	}
	p.typeName(v.typ)
	p.b = append(p.b, '{')
	list := v.entries()
	for i := range list {
		if i > 0 {
			p.str(", ")
		}
		p.text(list[i].key, depth+1)
		p.str(": ")
		p.text(list[i].elem, depth+1)
	}
	p.restOf(v, len(list))
	p.b = append(p.b, '}')
}

func (p *printer) chanText(v Value, depth int) {
	if p.again(v) {
		p.conversion(v)
		return
	}
	p.b = append(p.b, '(')
	p.typeName(v.typ)
	p.str(")(")
	p.b = appendHex(p.b, v.word(0))
	p.str(" len=")
	p.b = appendInt(p.b, int64(v.Len()))
	p.str(" cap=")
	p.b = appendInt(p.b, int64(v.Cap()))
	if closed, _ := v.Closed(); closed {
		p.str(" closed")
	}
	if v.Len() > 0 {
		p.b = append(p.b, ' ')
		p.elemsText(v, v.Captured(), v.Len(), depth)
	}
	p.b = append(p.b, ')')
}

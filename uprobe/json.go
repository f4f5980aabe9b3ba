package uprobe

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"math"
	"strconv"
	"unicode/utf8"

	"github.com/argtap/argtap/abi"
)

// MarshalJSON returns the value as encoding/json would print the Go value,
// with every field by its own name whether exported or not, and an object
// where JSON alone would lose the truth: {"absent":"…"} for what is missing,
// {"string":"…","len":n} and {"elems":[…],"len":n} for what was cut,
// {"ptr":"0x…","absent":"…"} for a pointer that was not followed, {"ref":"0x…"}
// for one to what was shown already, {"type":"…","value":…} for what an
// interface holds. The README has the whole table.
func (v Value) MarshalJSON() ([]byte, error) { return v.AppendJSON(nil), nil }

// AppendJSON appends what MarshalJSON returns to b.
func (v Value) AppendJSON(b []byte) []byte {
	p := printer{b: b, start: len(b)}
	p.json(v, 0)
	return p.b
}

func (p *printer) absentJSON(r abi.Reason) {
	p.str(`{"absent":`)
	p.b = append(appendJSONString(p.b, r.String()), '}')
}

// json appends a value as JSON.
func (p *printer) json(v Value, depth int) {
	if r := p.cut(v, depth); r != abi.Present {
		p.absentJSON(r)
		return
	}
	if x, ok := v.readable(inJSON); ok && p.readableJSON(x, depth) {
		return
	}
	p.plainJSON(v, depth)
}

// readableJSON appends what a [Printer] returned, unless it cannot be JSON.
func (p *printer) readableJSON(x any, depth int) bool {
	inner, ok := x.(Value)
	if !ok {
		var ok bool
		p.b, ok = appendMarshalled(p.b, x)
		return ok
	}
	if r := p.cut(inner, depth+1); r != abi.Present {
		p.absentJSON(r)
	} else {
		p.plainJSON(inner, depth+1)
	}
	return true
}

// appendMarshalled appends what encoding/json makes of x, but leaves <, > and &
// as they are.
func appendMarshalled(b []byte, x any) ([]byte, bool) {
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	if err := e.Encode(x); err != nil {
		return b, false
	}
	return append(b, bytes.TrimSuffix(out.Bytes(), []byte("\n"))...), true
}

func (p *printer) plainJSON(v Value, depth int) {
	switch v.typ.Kind {
	case abi.Bool:
		if x, ok := v.Bool(); ok {
			p.b = strconv.AppendBool(p.b, x)
			return
		}
		p.absentJSON(abi.Implausible)
	case abi.Int, abi.Int8, abi.Int16, abi.Int32, abi.Int64:
		x, _ := v.Int()
		p.b = appendInt(p.b, x)
	case abi.Uint, abi.Uint8, abi.Uint16, abi.Uint32, abi.Uint64, abi.Uintptr:
		x, _ := v.Uint()
		p.b = appendUint(p.b, x)
	case abi.Float32, abi.Float64:
		x, _ := v.Float()
		p.b = appendFloatJSON(p.b, x, int(v.typ.Size*8))
	case abi.Complex64, abi.Complex128:
		x, _ := v.Complex()
		bits := int(v.typ.Size * 4)
		p.b = appendFloatJSON(append(p.b, '['), real(x), bits)
		p.b = appendFloatJSON(append(p.b, ','), imag(x), bits)
		p.b = append(p.b, ']')
	case abi.String:
		p.stringJSON(v)
	case abi.Slice:
		p.sliceJSON(v, depth)
	case abi.Array:
		p.elemsJSON(v, v.Captured(), int(v.typ.Len), depth)
	case abi.Struct:
		p.structJSON(v, depth)
	case abi.Pointer:
		p.pointerJSON(v, depth)
	default:
		p.dynamicJSON(v, depth)
	}
}

// appendFloatJSON prints a float as encoding/json does, and NaN and the
// infinities, which JSON does not have, as strings.
func appendFloatJSON(b []byte, x float64, bits int) []byte {
	switch {
	case math.IsNaN(x):
		return append(b, `"NaN"`...)
	case math.IsInf(x, 1):
		return append(b, `"+Inf"`...)
	case math.IsInf(x, -1):
		return append(b, `"-Inf"`...)
	}
	var out []byte
	if bits == 32 {
		out, _ = json.Marshal(float32(x))
	} else {
		out, _ = json.Marshal(x)
	}
	return append(b, out...)
}

// appendJSONString appends s as a JSON string. Bytes that are not UTF-8 become
// U+FFFD, as in encoding/json.
func appendJSONString[T string | []byte](b []byte, s T) []byte {
	const hex = "0123456789abcdef"
	b = append(b, '"')
	for i := 0; i < len(s); {
		c := s[i]
		if c < utf8.RuneSelf {
			switch {
			case c == '"' || c == '\\':
				b = append(b, '\\', c)
			case c == '\n':
				b = append(b, '\\', 'n')
			case c == '\r':
				b = append(b, '\\', 'r')
			case c == '\t':
				b = append(b, '\\', 't')
			case c == '\b':
				b = append(b, '\\', 'b')
			case c == '\f':
				b = append(b, '\\', 'f')
			case c < 0x20:
				b = append(b, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
			default:
				b = append(b, c)
			}
			i++
			continue
		}
		r, n := utf8.DecodeRuneInString(string(s[i:min(i+utf8.UTFMax, len(s))]))
		switch {
		case r == utf8.RuneError && n == 1:
			b = append(b, `\ufffd`...)
		case r == '\u2028' || r == '\u2029':
			b = append(b, `\u202`...)
			b = append(b, hex[r&15])
		default:
			b = append(b, s[i:i+n]...)
		}
		i += n
	}
	return append(b, '"')
}

func (p *printer) stringJSON(v Value) {
	first, n, r := v.elems()
	if r != abi.Present {
		p.absentJSON(r)
		return
	}
	s := first.bytes(n)
	length := v.Len()
	if len(s) >= length {
		p.b = appendJSONString(p.b, s)
		return
	}
	p.str(`{"string":`)
	p.b = appendJSONString(p.b, wholeRunes(s))
	p.lenJSON(length)
}

// lenJSON ends the object of a value that was cut.
func (p *printer) lenJSON(length int) {
	p.str(`,"len":`)
	p.b = append(appendInt(p.b, int64(length)), '}')
}

// wholeRunes drops the beginning of a UTF-8 sequence that the cut left at the
// end of s.
func wholeRunes(s []byte) []byte {
	for i := 1; i < utf8.UTFMax && i <= len(s); i++ {
		if tail := s[len(s)-i:]; utf8.RuneStart(tail[0]) {
			if !utf8.FullRune(tail) {
				return s[:len(s)-i]
			}
			break
		}
	}
	return s
}

// refJSON appends a back-reference.
func (p *printer) refJSON(v Value) {
	p.str(`{"ref":"`)
	p.b = appendHex(p.b, v.word(0))
	p.str(`"}`)
}

func (p *printer) sliceJSON(v Value, depth int) {
	if v.IsNil() && v.Len() == 0 {
		p.str("null")
		return
	}
	first, n, r := v.elems()
	if r != abi.Present {
		p.absentJSON(r)
		return
	}
	if p.again(v) {
		p.refJSON(v)
		return
	}
	if v.typ.Elem != nil && v.typ.Elem.Kind == abi.Uint8 {
		cut := int(n) < v.Len()
		if cut {
			p.str(`{"elems":`)
		}
		p.b = append(p.b, '"')
		p.b = base64.StdEncoding.AppendEncode(p.b, first.bytes(n))
		p.b = append(p.b, '"')
		if cut {
			p.lenJSON(v.Len())
		}
		return
	}
	p.elemsJSON(v, int(n), v.Len(), depth)
}

func (p *printer) elemsJSON(v Value, n, length, depth int) {
	n = v.shown(n)
	if n < length {
		p.str(`{"elems":`)
	}
	p.listJSON(v, n, depth)
	if n < length {
		p.lenJSON(length)
	}
}

func (p *printer) listJSON(v Value, n, depth int) {
	p.b = append(p.b, '[')
	for i := range n {
		if i > 0 {
			p.b = append(p.b, ',')
		}
		p.json(v.Index(i), depth+1)
	}
	p.b = append(p.b, ']')
}

func (p *printer) structJSON(v Value, depth int) {
	p.b = append(p.b, '{')
	first, hidden := true, hiddenFields(v.typ)
	for i := range v.typ.Fields {
		f := &v.typ.Fields[i]
		if hidden(f) {
			continue
		}
		if !first {
			p.b = append(p.b, ',')
		}
		first = false
		p.b = append(appendJSONString(p.b, f.Name), ':')
		p.json(v.Field(i), depth+1)
	}
	p.b = append(p.b, '}')
}

// ptrJSON begins the object of an address.
func (p *printer) ptrJSON(ptr uint64) {
	p.str(`{"ptr":"`)
	p.b = append(appendHex(p.b, ptr), '"')
}

func (p *printer) unfollowedJSON(ptr uint64, r abi.Reason) {
	p.ptrJSON(ptr)
	p.str(`,"absent":`)
	p.b = append(appendJSONString(p.b, r.String()), '}')
}

func (p *printer) pointerJSON(v Value, depth int) {
	if v.word(0) == 0 {
		p.str("null")
		return
	}
	e := v.Elem()
	if r := e.reason(); r != abi.Present {
		p.unfollowedJSON(v.word(0), r)
		return
	}
	if x, ok := e.readable(inJSON); ok && p.readableJSON(x, depth) {
		return
	}
	if p.again(v) {
		p.refJSON(v)
		return
	}
	p.json(e, depth+1)
}

// dynamicJSON appends a value of which only the run-time knows what it refers
// to.
func (p *printer) dynamicJSON(v Value, depth int) {
	if v.word(0) == 0 {
		p.str("null")
		return
	}
	if r := v.unfollowed(); r != abi.Present {
		p.wordsJSON(v, r)
		return
	}
	switch v.typ.Kind {
	case abi.Interface:
		d := v.Dynamic()
		p.str(`{"type":`)
		p.b = appendJSONString(p.b, typeName(d.typ))
		p.str(`,"value":`)
		p.json(d, depth+1)
		p.b = append(p.b, '}')
	case abi.Map:
		p.mapJSON(v, depth)
	case abi.Chan:
		p.chanJSON(v, depth)
	case abi.Func:
		name, _ := v.FuncName()
		p.str(`{"func":`)
		p.b = appendJSONString(p.b, name)
		if vars := v.Closure(); vars.NumField() > 0 {
			p.str(`,"vars":`)
			p.structJSON(vars, depth)
		}
		p.b = append(p.b, '}')
	}
}

// wordsJSON appends a value that was not followed.
func (p *printer) wordsJSON(v Value, r abi.Reason) {
	if v.typ.Size == v.wordSize() {
		p.unfollowedJSON(v.word(0), r)
		return
	}
	p.str(`{"words":[`)
	for i := int64(0); i*v.wordSize() < v.typ.Size; i++ {
		if i > 0 {
			p.b = append(p.b, ',')
		}
		p.b = append(p.b, '"')
		p.b = append(appendHex(p.b, v.word(i)), '"')
	}
	p.str(`],"absent":`)
	p.b = append(appendJSONString(p.b, r.String()), '}')
}

// mapJSON appends a map with string keys as an object, any other as a list of
// entries, and so one of whose keys some were cut.
func (p *printer) mapJSON(v Value, depth int) {
	if p.again(v) {
		p.refJSON(v)
		return
	}
	list := v.entries()
	cut := len(list) < v.Len()
	if cut {
		p.str(`{"elems":`)
	}
	object := v.typ.Key != nil && v.typ.Key.Kind == abi.String
	for i := range list {
		object = object && list[i].key.whole()
	}
	open, end := byte('['), byte(']')
	if object {
		open, end = '{', '}'
	}
	p.b = append(p.b, open)
	for i := range list {
		if i > 0 {
			p.b = append(p.b, ',')
		}
		if object {
			s, _ := list[i].key.Text()
			p.b = append(appendJSONString(p.b, s), ':')
			p.json(list[i].elem, depth+1)
			continue
		}
		p.str(`{"key":`)
		p.json(list[i].key, depth+1)
		p.str(`,"value":`)
		p.json(list[i].elem, depth+1)
		p.b = append(p.b, '}')
	}
	p.b = append(p.b, end)
	if cut {
		p.restJSON(v)
		p.lenJSON(v.Len())
	}
}

// restJSON says why not all of a map or channel was captured, where that is not
// because of a limit on it.
func (p *printer) restJSON(v Value) {
	if r := v.restReason(); r != abi.Present && v.Captured() < v.Len() {
		p.str(`,"absent":`)
		p.b = appendJSONString(p.b, r.String())
	}
}

// whole reports whether all of a string was captured, and is valid UTF-8: two
// that are not may be the same in JSON.
func (v Value) whole() bool {
	s, ok := v.Text()
	return ok && len(s) == v.Len() && utf8.Valid(s)
}

func (p *printer) chanJSON(v Value, depth int) {
	if p.again(v) {
		p.refJSON(v)
		return
	}
	p.ptrJSON(v.word(0))
	p.str(`,"len":`)
	p.b = appendInt(p.b, int64(v.Len()))
	p.str(`,"cap":`)
	p.b = appendInt(p.b, int64(v.Cap()))
	if closed, _ := v.Closed(); closed {
		p.str(`,"closed":true`)
	}
	if n := v.Captured(); n > 0 {
		p.str(`,"elems":`)
		p.listJSON(v, v.shown(n), depth)
	}
	p.restJSON(v)
	p.b = append(p.b, '}')
}

package uprobe

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"strconv"

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

// lenJSON ends the object of a value that was cut.
func (p *printer) lenJSON(length int) {
	p.str(`,"len":`)
	p.b = append(appendInt(p.b, int64(length)), '}')
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

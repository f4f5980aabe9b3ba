package uprobe

import (
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
// {"ptr":"0x…","absent":"…"} for a pointer that was not followed.
func (v Value) MarshalJSON() ([]byte, error) { return v.AppendJSON(nil), nil }

// AppendJSON appends what MarshalJSON returns to b.
func (v Value) AppendJSON(b []byte) []byte { return v.appendJSON(b, 0) }

func appendAbsentJSON(b []byte, r abi.Reason) []byte {
	b = append(b, `{"absent":`...)
	b = appendJSONString(b, r.String())
	return append(b, '}')
}

func (v Value) appendJSON(b []byte, depth int) []byte {
	if r := v.reason(); r != abi.Present {
		return appendAbsentJSON(b, r)
	}
	if depth > maxDecodeDepth {
		return appendAbsentJSON(b, abi.TooDeep)
	}
	switch v.typ.Kind {
	case abi.Bool:
		if x, ok := v.Bool(); ok {
			return strconv.AppendBool(b, x)
		}
		return appendAbsentJSON(b, abi.Implausible)
	case abi.Int, abi.Int8, abi.Int16, abi.Int32, abi.Int64:
		x, _ := v.Int()
		return appendInt(b, x)
	case abi.Uint, abi.Uint8, abi.Uint16, abi.Uint32, abi.Uint64, abi.Uintptr:
		x, _ := v.Uint()
		return appendUint(b, x)
	case abi.Float32, abi.Float64:
		x, _ := v.Float()
		return appendFloatJSON(b, x, int(v.typ.Size*8))
	case abi.Complex64, abi.Complex128:
		x, _ := v.Complex()
		bits := int(v.typ.Size * 4)
		b = appendFloatJSON(append(b, '['), real(x), bits)
		b = appendFloatJSON(append(b, ','), imag(x), bits)
		return append(b, ']')
	case abi.String:
		return v.appendStringJSON(b)
	case abi.Slice:
		return v.appendSliceJSON(b, depth)
	case abi.Array:
		return v.appendElemsJSON(b, v.Captured(), int(v.typ.Len), depth)
	case abi.Struct:
		return v.appendStructJSON(b, depth)
	case abi.Pointer:
		return v.appendPointerJSON(b, depth)
	}
	return v.appendWordsJSON(b)
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

func (v Value) appendStringJSON(b []byte) []byte {
	first, n, r := v.elems()
	if r != abi.Present {
		return appendAbsentJSON(b, r)
	}
	s := first.bytes(n)
	length := v.Len()
	if len(s) >= length {
		return appendJSONString(b, s)
	}
	b = append(b, `{"string":`...)
	b = appendJSONString(b, wholeRunes(s))
	b = append(b, `,"len":`...)
	b = appendInt(b, int64(length))
	return append(b, '}')
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

func (v Value) appendSliceJSON(b []byte, depth int) []byte {
	if v.IsNil() && v.Len() == 0 {
		return append(b, "null"...)
	}
	first, n, r := v.elems()
	if r != abi.Present {
		return appendAbsentJSON(b, r)
	}
	if v.typ.Elem != nil && v.typ.Elem.Kind == abi.Uint8 {
		cut := int(n) < v.Len()
		if cut {
			b = append(b, `{"elems":`...)
		}
		b = append(b, '"')
		b = base64.StdEncoding.AppendEncode(b, first.bytes(n))
		b = append(b, '"')
		if cut {
			b = append(b, `,"len":`...)
			b = append(appendInt(b, int64(v.Len())), '}')
		}
		return b
	}
	return v.appendElemsJSON(b, int(n), v.Len(), depth)
}

func (v Value) appendElemsJSON(b []byte, n, length, depth int) []byte {
	if v.Kind() == abi.Array && v.typ.Elem.Size == 0 {
		n = min(n, maxZeroSized)
	}
	if n < length {
		b = append(b, `{"elems":`...)
	}
	b = append(b, '[')
	for i := range n {
		if i > 0 {
			b = append(b, ',')
		}
		b = v.Index(i).appendJSON(b, depth+1)
	}
	b = append(b, ']')
	if n < length {
		b = append(b, `,"len":`...)
		b = append(appendInt(b, int64(length)), '}')
	}
	return b
}

func (v Value) appendStructJSON(b []byte, depth int) []byte {
	b = append(b, '{')
	first := true
	for i := range v.typ.Fields {
		f := &v.typ.Fields[i]
		if f.Name == "_" {
			continue
		}
		if !first {
			b = append(b, ',')
		}
		first = false
		b = appendJSONString(b, f.Name)
		b = append(b, ':')
		b = v.Field(i).appendJSON(b, depth+1)
	}
	return append(b, '}')
}

func appendPtrJSON(b []byte, ptr uint64, r abi.Reason) []byte {
	b = append(b, `{"ptr":"`...)
	b = appendHex(b, ptr)
	b = append(b, `","absent":`...)
	b = appendJSONString(b, r.String())
	return append(b, '}')
}

func (v Value) appendPointerJSON(b []byte, depth int) []byte {
	if v.word(0) == 0 {
		return append(b, "null"...)
	}
	e := v.Elem()
	if r := e.reason(); r != abi.Present {
		return appendPtrJSON(b, v.word(0), r)
	}
	return e.appendJSON(b, depth+1)
}

// appendWordsJSON appends a value whose layout is not decoded.
func (v Value) appendWordsJSON(b []byte) []byte {
	if v.word(0) == 0 {
		return append(b, "null"...)
	}
	if v.typ.Size == v.wordSize() {
		return appendPtrJSON(b, v.word(0), abi.NotFollowed)
	}
	b = append(b, `{"words":[`...)
	for i := int64(0); i*v.wordSize() < v.typ.Size; i++ {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, '"')
		b = append(appendHex(b, v.word(i)), '"')
	}
	b = append(b, `],"absent":`...)
	b = appendJSONString(b, abi.NotFollowed.String())
	return append(b, '}')
}

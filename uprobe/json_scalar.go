package uprobe

import (
	"encoding/json"
	"math"
	"unicode/utf8"

	"github.com/argtap/argtap/abi"
)

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

package uprobe

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"io/fs"
	"math/big"
	"slices"
	"strconv"
	"strings"

	"github.com/argtap/argtap/abi"
)

// knownBigInt is a big.Int of which all words were captured.
func knownBigInt(v Value, _ mode) (any, bool) {
	f, ok := v.parts("neg", "abs")
	if !ok {
		return nil, false
	}
	neg, ok := f[0].Bool()
	abs := f[1]
	n := abs.Len()
	if !ok || abs.Kind() != abi.Slice || n < 0 || abs.Captured() != n {
		return nil, false
	}
	size := int(v.wordSize())
	b := make([]byte, n*size)
	for i := range n {
		w, ok := abs.Index(i).Uint()
		if !ok || int(abs.Type().Elem.Size) != size {
			return nil, false
		}
		for j := range size {
			b[len(b)-1-i*size-j] = byte(w >> (8 * j))
		}
	}
	if n > 0 && slices.Max(b[:size]) == 0 {
		return nil, false // it has no leading zeros
	}
	x := new(big.Int).SetBytes(b)
	if neg {
		x.Neg(x)
	}
	return x, !neg || n > 0
}

// contents is what a strings.Builder or bytes.Buffer holds.
type contents struct {
	typ    string
	b      []byte
	n      int // the length of all
	base64 bool
}

// String returns it in Go syntax, with the name of its type.
func (c contents) String() string {
	b := append([]byte(c.typ), '(')
	b = strconv.AppendQuote(b, string(c.b))
	p := printer{b: b}
	p.rest(len(c.b), c.n)
	return string(append(p.b, ')'))
}

// fmtString returns the contents, as fmt does.
func (c contents) fmtString() string {
	p := printer{b: slices.Clone(c.b)}
	p.rest(len(c.b), c.n)
	return string(p.b)
}

// MarshalJSON returns text as a string, bytes in base64.
func (c contents) MarshalJSON() ([]byte, error) {
	key, s := `{"string":`, c.b
	if c.base64 {
		key, s = `{"elems":`, []byte(base64.StdEncoding.EncodeToString(c.b))
	} else if len(s) < c.n {
		s = wholeRunes(s)
	}
	if len(c.b) >= c.n {
		return appendJSONString(nil, s), nil
	}
	p := printer{b: appendJSONString([]byte(key), s)}
	p.lenJSON(c.n)
	return p.b, nil
}

func knownBuilder(v Value, m mode) (any, bool) {
	f, ok := v.parts("addr", "buf")
	if !ok {
		return nil, false
	}
	b, ok := f[1].Bytes()
	c := contents{typ: "strings.Builder", b: slices.Clone(b), n: f[1].Len()}
	if m == inGo {
		return string(b), ok && len(b) == c.n
	}
	return c, ok
}

// knownBuffer shows the part of a buffer that was not read yet.
func knownBuffer(v Value, m mode) (any, bool) {
	f, ok := v.parts("buf", "off", "lastRead")
	if !ok {
		if f, ok = v.parts("buf", "off", "bootstrap", "lastRead"); !ok { // before Go 1.12
			return nil, false
		}
	}
	b, ok1 := f[0].Bytes()
	off, ok2 := f[1].Int()
	n := int64(f[0].Len())
	if !ok1 || !ok2 || off < 0 || off > n || off > int64(len(b)) {
		return nil, false
	}
	c := contents{typ: "bytes.Buffer", b: slices.Clone(b[off:]), n: int(n - off), base64: true}
	if m == inGo {
		return c.b, len(c.b) == c.n
	}
	return c, true
}

func knownRawMessage(v Value, m mode) (any, bool) {
	b, ok := v.wholeBytes()
	if !ok || !json.Valid(b) {
		return nil, false
	}
	if m == inGo {
		return json.RawMessage(slices.Clone(b)), true
	}
	var out bytes.Buffer
	if json.Compact(&out, b) != nil {
		return nil, false
	}
	if m == inJSON {
		return json.RawMessage(out.Bytes()), true
	}
	return out.String(), true
}

func knownFileMode(v Value, _ mode) (any, bool) {
	u, ok := v.Uint()
	return textOnly{fs.FileMode(u)}, ok
}

// knownError is the text of the errors that errors.New and fmt.Errorf make. In
// Go syntax they are shown with what they wrap.
func knownError(v Value, m mode) (any, bool) {
	if m != inFmt {
		return nil, false
	}
	f, ok := v.parts("s")
	if !ok {
		if f, ok = v.parts("msg", "err"); !ok {
			if f, ok = v.parts("msg", "errs"); !ok {
				return nil, false
			}
		}
	}
	s, ok := f[0].wholeText()
	return textOnly{s}, ok
}

// uuid returns the usual form of a UUID: of an array of 16 bytes whose type is
// called so.
func (v Value) uuid() (any, bool) {
	if v.typ.Kind != abi.Array || v.typ.Size != 16 || v.typ.Len != 16 || v.typ.Elem == nil || v.typ.Elem.Kind != abi.Uint8 ||
		!strings.EqualFold(v.typ.Name[strings.LastIndexByte(v.typ.Name, '.')+1:], "uuid") {
		return nil, false
	}
	var b [16]byte
	for i := range b {
		x, ok := v.Index(i).Uint()
		if !ok {
			return nil, false
		}
		b[i] = byte(x)
	}
	h := hex.EncodeToString(b[:])
	return h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:], true
}

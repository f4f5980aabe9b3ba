package uprobe

import (
	"log/slog"
	"strconv"

	"github.com/argtap/argtap/abi"
)

func appendInt(b []byte, i int64) []byte   { return strconv.AppendInt(b, i, 10) }
func appendUint(b []byte, u uint64) []byte { return strconv.AppendUint(b, u, 10) }

// String returns the value in Go syntax. What is absent stands in angle
// brackets: "<optimized out>". Cut strings and slices end in "…" and say how
// long they are.
func (v Value) String() string { return string(v.AppendText(nil)) }

// AppendText appends what String returns to b.
func (v Value) AppendText(b []byte) []byte { return v.appendText(b, 0) }

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
		return strconv.AppendUint(append(b, "0x"...), x, 16)
	}
	return v.AppendText(b)
}

func appendAbsent(b []byte, r abi.Reason) []byte {
	b = append(b, '<')
	b = append(b, r.String()...)
	return append(b, '>')
}

func (v Value) appendText(b []byte, depth int) []byte {
	if r := v.reason(); r != abi.Present {
		return appendAbsent(b, r)
	}
	if depth > maxDecodeDepth {
		return appendAbsent(b, abi.TooDeep)
	}
	switch v.typ.Kind {
	case abi.Bool:
		if x, ok := v.Bool(); ok {
			return strconv.AppendBool(b, x)
		}
		return appendAbsent(b, abi.Implausible)
	case abi.Int, abi.Int8, abi.Int16, abi.Int32, abi.Int64:
		x, _ := v.Int()
		return appendInt(b, x)
	case abi.Uint, abi.Uint8, abi.Uint16, abi.Uint32, abi.Uint64:
		x, _ := v.Uint()
		return appendUint(b, x)
	case abi.Uintptr:
		x, _ := v.Uint()
		return appendHex(b, x)
	case abi.Float32, abi.Float64:
		x, _ := v.Float()
		return strconv.AppendFloat(b, x, 'g', -1, int(v.typ.Size*8))
	case abi.Complex64, abi.Complex128:
		x, _ := v.Complex()
		return append(b, strconv.FormatComplex(x, 'g', -1, int(v.typ.Size*8))...)
	case abi.String:
		return v.appendString(b)
	case abi.Slice:
		return v.appendSlice(b, depth)
	case abi.Array:
		b = append(b, typeName(v.typ)...)
		return v.appendElems(b, v.Captured(), int(v.typ.Len), depth)
	case abi.Struct:
		return v.appendStruct(b, depth)
	case abi.Pointer:
		return v.appendPointer(b, depth)
	}
	return v.appendWords(b)
}

func appendHex(b []byte, x uint64) []byte {
	return strconv.AppendUint(append(b, "0x"...), x, 16)
}

func (v Value) appendString(b []byte) []byte {
	s, n, r := v.elems()
	if r != abi.Present {
		return appendAbsent(b, r)
	}
	b = strconv.AppendQuote(b, string(s.bytes(n)))
	return appendRest(b, int(n), v.Len())
}

// appendRest says how long a value is of which only n elements were captured.
func appendRest(b []byte, n, length int) []byte {
	if n >= length {
		return b
	}
	b = append(b, "…("...)
	b = appendInt(b, int64(length))
	return append(b, ')')
}

func (v Value) appendSlice(b []byte, depth int) []byte {
	if v.IsNil() && v.Len() == 0 {
		b = append(b, typeName(v.typ)...)
		return append(b, "(nil)"...)
	}
	first, n, r := v.elems()
	if r != abi.Present {
		return appendAbsent(b, r)
	}
	b = append(b, typeName(v.typ)...)
	if n > 0 && v.typ.Elem.Kind == abi.Uint8 {
		b = append(b, '(')
		b = strconv.AppendQuote(b, string(first.bytes(n)))
		return append(appendRest(b, int(n), v.Len()), ')')
	}
	return v.appendElems(b, int(n), v.Len(), depth)
}

// maxZeroSized bounds how many elements of size zero of an array are printed:
// an array of any length takes no memory.
const maxZeroSized = 64

func (v Value) appendElems(b []byte, n, length, depth int) []byte {
	if v.Kind() == abi.Array && v.typ.Elem.Size == 0 {
		n = min(n, maxZeroSized)
	}
	b = append(b, '{')
	for i := range n {
		if i > 0 {
			b = append(b, ", "...)
		}
		b = v.Index(i).appendText(b, depth+1)
	}
	return append(appendRest(b, n, length), '}')
}

func (v Value) appendStruct(b []byte, depth int) []byte {
	b = append(b, typeName(v.typ)...)
	b = append(b, '{')
	first := true
	for i := range v.typ.Fields {
		f := &v.typ.Fields[i]
		if f.Name == "_" {
			continue
		}
		if !first {
			b = append(b, ", "...)
		}
		first = false
		b = append(b, f.Name...)
		b = append(b, ": "...)
		b = v.Field(i).appendText(b, depth+1)
	}
	return append(b, '}')
}

func (v Value) appendPointer(b []byte, depth int) []byte {
	if v.word(0) == 0 {
		return append(b, "nil"...)
	}
	e := v.Elem()
	if r := e.reason(); r != abi.Present {
		b = append(b, '(')
		b = append(b, typeName(v.typ)...)
		b = append(b, ")("...)
		b = appendHex(b, v.word(0))
		b = append(b, ' ')
		b = appendAbsent(b, r)
		return append(b, ')')
	}
	return e.appendText(append(b, '&'), depth+1)
}

// appendWords appends a value whose layout is not decoded, as its words.
func (v Value) appendWords(b []byte) []byte {
	if v.word(0) == 0 {
		return append(b, "nil"...)
	}
	b = append(b, '(')
	b = append(b, typeName(v.typ)...)
	b = append(b, ")("...)
	for i := int64(0); i*v.wordSize() < v.typ.Size; i++ {
		b = append(appendHex(b, v.word(i)), ' ')
	}
	return append(appendAbsent(b, abi.NotFollowed), ')')
}

// Any returns the value as a Go value: bool, int64, uint64, float64,
// complex128, string, []any for slices and arrays, map[string]any for structs,
// the pointee for a pointer, nil for nil, and an [Absent] for what is absent,
// cut or not decoded.
func (v Value) Any() any { return v.any(0) }

// Absent is what [Value.Any] returns for a value that is absent.
type Absent struct{ Reason string }

// String returns the reason in angle brackets.
func (a Absent) String() string { return "<" + a.Reason + ">" }

func (v Value) any(depth int) any {
	r := v.reason()
	if r == abi.Present && depth > maxDecodeDepth {
		r = abi.TooDeep
	}
	if r != abi.Present {
		return Absent{r.String()}
	}
	switch v.typ.Kind {
	case abi.Bool:
		if x, ok := v.Bool(); ok {
			return x
		}
		return Absent{abi.Implausible.String()}
	case abi.Int, abi.Int8, abi.Int16, abi.Int32, abi.Int64:
		x, _ := v.Int()
		return x
	case abi.Uint, abi.Uint8, abi.Uint16, abi.Uint32, abi.Uint64, abi.Uintptr:
		x, _ := v.Uint()
		return x
	case abi.Float32, abi.Float64:
		x, _ := v.Float()
		return x
	case abi.Complex64, abi.Complex128:
		x, _ := v.Complex()
		return x
	case abi.String:
		if s, ok := v.Str(); ok {
			return s
		}
		_, _, r := v.elems()
		return Absent{r.String()}
	case abi.Slice, abi.Array:
		return v.anyElems(depth)
	case abi.Struct:
		m := make(map[string]any, len(v.typ.Fields))
		for i := range v.typ.Fields {
			if name := v.typ.Fields[i].Name; name != "_" {
				m[name] = v.Field(i).any(depth + 1)
			}
		}
		return m
	}
	if v.word(0) == 0 {
		return nil
	}
	if v.typ.Kind == abi.Pointer {
		return v.Elem().any(depth + 1)
	}
	return Absent{abi.NotFollowed.String()}
}

func (v Value) anyElems(depth int) any {
	if v.typ.Kind == abi.Slice {
		if v.IsNil() && v.Len() == 0 {
			return nil
		}
		if _, _, r := v.elems(); r != abi.Present {
			return Absent{r.String()}
		}
	}
	n := v.Captured()
	if v.Kind() == abi.Array && v.typ.Elem.Size == 0 {
		n = min(n, maxZeroSized)
	}
	s := make([]any, 0, n+1)
	for i := range n {
		s = append(s, v.Index(i).any(depth+1))
	}
	if n < v.Len() {
		s = append(s, Absent{abi.Cut.String()})
	}
	return s
}

// LogValue implements slog.LogValuer: scalars and strings as themselves, the
// rest as text.
func (v Value) LogValue() slog.Value {
	switch x := v.Any().(type) {
	case bool, int64, uint64, float64:
		return slog.AnyValue(x)
	case string:
		if v.Captured() == v.Len() {
			return slog.StringValue(x)
		}
	}
	return slog.StringValue(v.String())
}

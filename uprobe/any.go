package uprobe

import (
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"time"

	"github.com/argtap/argtap/abi"
)

// Absent stands for a value that is absent in what [Value.Any] returns. It is an
// error: the one that [Value.Decode] returns for such a value, too.
type Absent struct{ Reason string }

// String returns the reason in angle brackets.
func (a Absent) String() string { return "<" + a.Reason + ">" }

func (a Absent) Error() string { return a.String() }

// Cut stands for a string, slice, array or map in what [Value.Any] returns of
// which only a part was captured. Value is that part, of the type that the whole
// would have; Len is the length of the whole.
type Cut struct {
	Value any
	Len   int
}

// String returns the part that is there, and the length.
func (c Cut) String() string { return fmt.Sprintf("%v…(%d)", c.Value, c.Len) }

// Ref stands for an object in what [Value.Any] returns that contains itself, at
// the place where it does. It is the object's address in the target.
type Ref uint64

// String returns the address in hexadecimal.
func (r Ref) String() string { return "0x" + strconv.FormatUint(uint64(r), 16) }

// Entry is an entry of a map in what [Value.Any] returns, if its keys are not
// strings.
type Entry struct{ Key, Value any }

// Chan is a channel in what [Value.Any] returns, with the elements in its buffer.
type Chan struct {
	Addr     uint64
	Len, Cap int
	Closed   bool
	Elems    []any
}

// FuncValue is a func in what [Value.Any] returns: the name of its code, and the
// variables that it has captured, if there are any.
type FuncValue struct {
	Name string
	Vars map[string]any
}

// Any returns the value as a plain Go value that does not refer to the call:
//
//   - bool, int64, uint64, float64, complex128 and string for values of these
//     kinds, whatever their size and name;
//   - []byte for slices of bytes, []any for other slices and arrays;
//   - map[string]any for structs, by the names of the fields, and for maps with
//     string keys; []Entry for other maps, sorted by key;
//   - what a pointer points to, or an interface holds; nil for what is nil;
//   - [Chan] and [FuncValue];
//   - of known types [time.Time] (in a zone called "-00:00" where its zone was not
//     captured), [time.Duration], [net/netip.Addr], [net/netip.Prefix],
//     [net/netip.AddrPort], [net.IP], *[math/big.Int] and
//     [encoding/json.RawMessage]; strings for strings.Builder and UUIDs, []byte for
//     bytes.Buffer, and what the types of sync/atomic hold;
//   - an [Absent] for what is absent, a [Cut] for what was cut;
//   - a [Ref] where an object contains itself. Objects that are shared otherwise
//     are the same Go value at each place.
func (v Value) Any() any {
	var c converter
	return c.any(v, 0)
}

// converter makes plain values.
type converter struct {
	printer printer // for its limits
	made    map[object]any
	budget  int // what was made, in values
}

// maxValues bounds how many plain values are made of one value, as
// maxPrintBytes bounds text.
const maxValues = 1 << 18

func (c *converter) any(v Value, depth int) any {
	r := c.printer.cut(v, depth)
	if c.budget++; r == abi.Present && c.budget > maxValues {
		r = abi.CutOutput
	}
	if r != abi.Present {
		return Absent{r.String()}
	}
	if x, ok := v.readable(inGo); ok {
		inner, isValue := x.(Value)
		if _, only := x.(textOnly); !isValue && !only {
			return x
		}
		if isValue {
			return c.any(inner, depth+1)
		}
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
		s, ok := v.Str()
		if !ok {
			_, _, r := v.elems()
			return Absent{r.String()}
		}
		return cutTo(s, len(s), v.Len())
	case abi.Array:
		return c.elems(v, depth)
	case abi.Struct:
		return c.fields(v, depth)
	case abi.Slice:
		if v.IsNil() && v.Len() == 0 {
			return nil
		}
		if _, _, r := v.elems(); r != abi.Present {
			return Absent{r.String()}
		}
	default:
		if v.word(0) == 0 {
			return nil
		}
		if v.typ.Kind == abi.Pointer {
			if r := v.Elem().reason(); r != abi.Present {
				return Absent{r.String()}
			}
		} else if r := v.unfollowed(); r != abi.Present {
			return Absent{r.String()}
		}
	}
	return c.object(v, depth)
}

func cutTo(x any, n, length int) any {
	if n < length {
		return Cut{x, length}
	}
	return x
}

// object converts what v refers to, once.
func (c *converter) object(v Value, depth int) any {
	o, ok := v.object()
	if !ok {
		return c.referred(v, depth)
	}
	if x, ok := c.made[o]; ok {
		return x
	}
	if c.made == nil {
		c.made = make(map[object]any)
	}
	c.made[o] = Ref(o.addr) // within itself
	x := c.referred(v, depth)
	c.made[o] = x
	return x
}

func (c *converter) referred(v Value, depth int) any {
	switch v.typ.Kind {
	case abi.Pointer:
		return c.any(v.Elem(), depth+1)
	case abi.Interface:
		return c.any(v.Dynamic(), depth+1)
	case abi.Slice:
		if v.typ.Elem != nil && v.typ.Elem.Kind == abi.Uint8 {
			b, _ := v.Bytes()
			return cutTo(append([]byte{}, b...), len(b), v.Len())
		}
		return c.elems(v, depth)
	case abi.Map:
		return c.entries(v, depth)
	case abi.Chan:
		closed, _ := v.Closed()
		return Chan{Addr: v.word(0), Len: v.Len(), Cap: v.Cap(), Closed: closed, Elems: c.list(v, v.shown(v.Captured()), depth)}
	case abi.Func:
		name, _ := v.FuncName()
		f := FuncValue{Name: name}
		if vars := v.Closure(); vars.NumField() > 0 {
			f.Vars = c.fields(vars, depth)
		}
		return f
	}
	return Absent{abi.NotFollowed.String()}
}

func (c *converter) elems(v Value, depth int) any {
	n := v.shown(v.Captured())
	return cutTo(c.list(v, n, depth), n, v.Len())
}

func (c *converter) list(v Value, n, depth int) []any {
	s := make([]any, 0, min(n, 4096))
	for i := range n {
		s = append(s, c.any(v.Index(i), depth+1))
		if c.budget > maxValues {
			break
		}
	}
	return slices.Clip(s)
}

func (c *converter) fields(v Value, depth int) map[string]any {
	m := make(map[string]any, len(v.typ.Fields))
	hidden := hiddenFields(v.typ)
	for i := range v.typ.Fields {
		if f := &v.typ.Fields[i]; !hidden(f) {
			m[f.Name] = c.any(v.Field(i), depth+1)
		}
	}
	return m
}

func (c *converter) entries(v Value, depth int) any {
	list := v.entries()
	text := v.typ.Key != nil && v.typ.Key.Kind == abi.String
	for i := range list {
		_, whole := list[i].key.wholeText()
		text = text && whole
	}
	if text {
		m := make(map[string]any, len(list))
		for _, e := range list {
			key, _ := e.key.Str()
			m[key] = c.any(e.elem, depth+1)
		}
		return cutTo(m, len(list), v.Len())
	}
	out := make([]Entry, len(list))
	for i, e := range list {
		out[i] = Entry{c.any(e.key, depth+1), c.any(e.elem, depth+1)}
	}
	return cutTo(out, len(list), v.Len())
}

// LogValue implements slog.LogValuer. Booleans, numbers, strings, times and
// durations are logged as such. Anything else is JSON to a handler that writes
// JSON, and text to any other. What it returns does not refer to the call.
func (v Value) LogValue() slog.Value {
	switch v.Kind() {
	case abi.Pointer, abi.Map, abi.Chan, abi.Func, abi.Interface, abi.Slice, abi.UnsafePointer:
	case abi.Struct:
		if x, ok := v.readable(inGo); ok {
			if t, ok := x.(time.Time); ok && t.Location() != unknownZone {
				return slog.TimeValue(t)
			}
		}
	default:
		if len(v.printers) > 0 {
			break
		}
		switch x := v.Any().(type) {
		case bool, int64, uint64, float64, string, time.Duration:
			return slog.AnyValue(x)
		}
	}
	return slog.AnyValue(logged{v.String(), v.AppendJSON(nil)})
}

// logged is a value as a log needs it, whichever form the handler writes.
type logged struct {
	text string
	json []byte
}

func (l logged) String() string               { return l.text }
func (l logged) MarshalText() ([]byte, error) { return []byte(l.text), nil }
func (l logged) MarshalJSON() ([]byte, error) { return l.json, nil }

package uprobe

import (
	"cmp"
	"slices"
	"strings"

	"github.com/argtap/argtap/abi"
)

// Bounds of what one value prints, which hold for records that no program wrote
// too: the same bytes may be referred to from everywhere.
const (
	maxPrintDepth = 1000
	maxPrintBytes = 4 << 20
	// maxZeroSized bounds how many elements of size zero of an array are
	// shown: an array of any length takes no memory.
	maxZeroSized = 64
)

// object is what a back-reference refers to: what lies at an address of the
// target, as a value of a type. n is the length of a slice. Types are told apart
// by name and size, because one that was found twice, by way of an interface and
// without, need not be the same [abi.Type].
type object struct {
	addr uint64
	typ  string
	size int64
	n    int
}

// printer prints one value: as text, as JSON or for package fmt. It shows each
// object once, so that shared data is printed once and circles end.
type printer struct {
	b     []byte
	start int // where b began
	seen  objects
}

// objects is a set of objects. Few values have more than fit into first, so it
// rarely allocates.
type objects struct {
	n     int
	first [12]object
	more  map[object]struct{}
}

// add reports whether o is new.
func (s *objects) add(o object) bool {
	for i := range s.n {
		if s.first[i] == o {
			return false
		}
	}
	if _, ok := s.more[o]; ok {
		return false
	}
	if s.n < len(s.first) {
		s.first[s.n] = o
		s.n++
		return true
	}
	if s.more == nil {
		s.more = make(map[object]struct{})
	}
	s.more[o] = struct{}{}
	return true
}

// cut returns why no more is printed of v, [abi.Present] if it is to be printed.
func (p *printer) cut(v Value, depth int) abi.Reason {
	if r := v.reason(); r != abi.Present {
		return r
	}
	if depth > maxPrintDepth {
		return abi.TooDeep
	}
	if len(p.b)-p.start > maxPrintBytes {
		return abi.Cut
	}
	return abi.Present
}

// again reports whether what v refers to was shown already. From now on it was.
// Objects without a size have no address of their own.
func (p *printer) again(v Value) bool {
	o, ok := v.object()
	return ok && !p.seen.add(o)
}

// object returns the object that a pointer, map or slice refers to. It is not ok
// for what can be shown repeatedly: values without a size, and slices whose
// elements refer to nothing further.
func (v Value) object() (object, bool) {
	addr, ok := v.Pointer()
	if !ok || addr == 0 {
		return object{}, false
	}
	o := object{addr: addr, typ: v.typ.Name}
	switch v.typ.Kind {
	case abi.Pointer:
		if v.typ.Elem != nil {
			o.size = v.typ.Elem.Size
		}
		return o, o.size > 0
	case abi.Map, abi.Chan:
		return o, true
	case abi.Slice:
		o.n = v.Len()
		return o, v.typ.Elem != nil && v.typ.Elem.Size > 0 && v.Captured() > 0 && !flat(v.typ.Elem)
	}
	return object{}, false
}

// flat reports whether values of type t refer to nothing but text.
func flat(t *abi.Type) bool {
	budget := 1000
	return isFlat(t, &budget)
}

// isFlat gives up with false after budget steps: structs within structs may have
// more fields than there is time for.
func isFlat(t *abi.Type, budget *int) bool {
	if *budget--; *budget < 0 || t == nil {
		return false
	}
	switch t.Kind {
	case abi.Pointer, abi.Slice, abi.Map, abi.Interface, abi.Func, abi.Chan, abi.UnsafePointer:
		return false
	case abi.Array:
		return isFlat(t.Elem, budget)
	case abi.Struct:
		for i := range t.Fields {
			if !isFlat(t.Fields[i].Type, budget) {
				return false
			}
		}
	}
	return true
}

// shown returns how many of the n elements captured are shown.
func (v Value) shown(n int) int {
	if v.typ.Kind == abi.Array && v.typ.Elem != nil && v.typ.Elem.Size == 0 {
		return min(n, maxZeroSized)
	}
	return n
}

// hidden reports which fields of structs are not shown: blank ones, and what
// generated code keeps for itself in a protocol buffer message.
func hiddenFields(t *abi.Type) func(f *abi.Field) bool {
	message := false
	for i := range t.Fields {
		f := &t.Fields[i]
		message = message || f.Name == "state" && f.Type != nil && f.Type.Name == "google.golang.org/protobuf/internal/impl.MessageState" ||
			f.Name == "XXX_unrecognized"
	}
	if !message {
		return blank
	}
	return func(f *abi.Field) bool {
		switch f.Name {
		case "state", "sizeCache", "unknownFields", "extensionFields", "weakFields":
			return f.Type != nil && (strings.HasPrefix(f.Type.Name, "google.golang.org/protobuf/") || !strings.Contains(f.Type.Name, "."))
		}
		return blank(f) || strings.HasPrefix(f.Name, "XXX_")
	}
}

func blank(f *abi.Field) bool { return f.Name == "_" }

// unfollowed returns why nothing is known of what a map, channel, func or
// interface that is not nil refers to, [abi.Present] if something is.
func (v Value) unfollowed() abi.Reason {
	var part Value
	switch v.typ.Kind {
	case abi.Map, abi.Chan:
		s := v.scanned()
		if s == nil || s.ok {
			return abi.Present
		}
		return s.why
	case abi.Func:
		if _, ok := v.FuncName(); ok {
			return abi.Present
		}
		part = v.Closure()
	case abi.Interface:
		part = v.Dynamic()
		if part.typ != nil {
			return abi.Present
		}
	default:
		return abi.NotFollowed
	}
	if r := part.reason(); r != abi.Present {
		return r
	}
	return abi.NotFollowed
}

// restReason returns why not all of a map or channel was captured, where that is
// not because of a limit on it.
func (v Value) restReason() abi.Reason {
	if s := v.scanned(); s != nil && s.ok && s.rest != abi.Cut {
		return s.rest
	}
	return abi.Present
}

// entry is an entry of a map.
type entry struct{ key, elem Value }

// entries returns the captured entries of a map, sorted by key as package fmt
// does where that is possible.
func (v Value) entries() []entry {
	list := make([]entry, 0, min(max(v.Captured(), 0), 1024))
	for k, e := range v.MapRange() {
		list = append(list, entry{k, e})
	}
	slices.SortStableFunc(list, func(a, b entry) int {
		budget := 1000
		return compareKeys(a.key, b.key, &budget)
	})
	return list
}

// compareKeys orders keys: numbers and strings by value, structs and arrays by
// their parts, interfaces by type first, pointers by address. After budget steps
// they are as good as equal.
func compareKeys(a, b Value, budget *int) int {
	if *budget--; *budget < 0 || a.typ == nil || b.typ == nil {
		return 0
	}
	if a.typ != b.typ {
		return cmp.Or(cmp.Compare(a.typ.Kind, b.typ.Kind), strings.Compare(a.typ.Name, b.typ.Name))
	}
	switch a.typ.Kind {
	case abi.Bool:
		x, _ := a.Bool()
		y, _ := b.Bool()
		return cmp.Compare(btoi(x), btoi(y))
	case abi.Int, abi.Int8, abi.Int16, abi.Int32, abi.Int64:
		x, _ := a.Int()
		y, _ := b.Int()
		return cmp.Compare(x, y)
	case abi.Uint, abi.Uint8, abi.Uint16, abi.Uint32, abi.Uint64, abi.Uintptr:
		x, _ := a.Uint()
		y, _ := b.Uint()
		return cmp.Compare(x, y)
	case abi.Float32, abi.Float64:
		x, _ := a.Float()
		y, _ := b.Float()
		return cmp.Compare(x, y)
	case abi.Complex64, abi.Complex128:
		x, _ := a.Complex()
		y, _ := b.Complex()
		return cmp.Or(cmp.Compare(real(x), real(y)), cmp.Compare(imag(x), imag(y)))
	case abi.String:
		x, _ := a.Text()
		y, _ := b.Text()
		return slices.Compare(x, y)
	case abi.Struct:
		for i := range min(a.NumField(), 100) {
			if c := compareKeys(a.Field(i), b.Field(i), budget); c != 0 {
				return c
			}
		}
	case abi.Array:
		for i := range min(a.Captured(), 100) {
			if c := compareKeys(a.Index(i), b.Index(i), budget); c != 0 {
				return c
			}
		}
	case abi.Interface:
		return compareKeys(a.Dynamic(), b.Dynamic(), budget)
	default:
		x, _ := a.Pointer()
		y, _ := b.Pointer()
		return cmp.Compare(x, y)
	}
	return 0
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

package uprobe

import (
	"errors"
	"fmt"
	"net/url"
	"reflect"
	"strconv"

	"github.com/argtap/argtap/abi"
)

// DecodeError says which part of a value [Value.Decode] could not decode, and
// why. Err is an [Absent] for a part that was not captured.
type DecodeError struct {
	// Path is the part in Go syntax, as "URL.Path" or "Header[\"Host\"][0]",
	// empty for the value itself.
	Path string
	Err  error
}

func (e *DecodeError) Error() string {
	if e.Path == "" {
		return e.Err.Error()
	}
	return e.Path + ": " + e.Err.Error()
}

// Unwrap returns the cause.
func (e *DecodeError) Unwrap() error { return e.Err }

// Decode stores a copy of the value in the variable that dst points to. What it
// stores does not refer to the call, unless it is a [Value].
//
// Booleans, numbers and strings, and types made of them, are stored in variables
// of the same kind, an integer in one of any size and sign that can hold it.
// Slices, arrays and maps are stored element by element. A pointer is stored as a
// pointer to a copy, or as what it points to, as dst has it; and a value in a
// pointer as a pointer to a copy. Objects that are shared, or that contain
// themselves, are the same way in the copy, where that has pointers. An interface
// is stored as what it holds. An any receives what [Value.Any] returns.
//
// The fields of a struct are looked up by the names of the fields that dst has,
// exported in the traced program or not; if there is none of the name, among the
// fields of embedded structs, and by the name in another case, so that Name
// receives name. The tag `argtap:"name"` gives another name, `argtap:"-"` leaves a
// field as it is. Fields that dst lacks are ignored; one that the value lacks is
// an error.
//
// Of known types, a time.Time is stored in a time.Time (in a zone called "-00:00"
// where its zone was not captured), a netip.Addr, AddrPort or Prefix, a url.URL
// and a big.Int in a variable of the same type. Any value is stored in a Value as
// it is, absent or not.
//
// What is absent or was cut is an error, and nothing is stored for it: it is never
// zero instead. A field tagged `argtap:",optional"` is left as it is where a part of
// its value is absent, or nil and the variable cannot be, or where there is no such
// field. One tagged `argtap:",cut"` receives as much of a string, slice or map as
// was captured.
//
// Errors are of type [*DecodeError]. After an error dst may be filled in part.
func (v Value) Decode(dst any) error {
	p := reflect.ValueOf(dst)
	if p.Kind() != reflect.Pointer || p.IsNil() {
		return fmt.Errorf("decode into %T: give a pointer to a variable", dst)
	}
	d := decoder{made: map[madeKey]reflect.Value{}}
	return d.decode(v, p.Elem(), "", 0, false)
}

// decoder decodes one value.
type decoder struct {
	printer printer // for its limits
	made    map[madeKey]reflect.Value
	order   []madeKey // of made
	budget  int
}

// madeKey is an object that was decoded into a type, in part if need be.
type madeKey struct {
	object
	t   reflect.Type
	cut bool
}

// make remembers what an object becomes, before it is filled.
func (d *decoder) make(key madeKey, x reflect.Value) {
	d.made[key] = x
	d.order = append(d.order, key)
}

// forget gives up what was made since there were n objects.
func (d *decoder) forget(n int) {
	for _, key := range d.order[n:] {
		delete(d.made, key)
	}
	d.order = d.order[:n]
}

var typeValue = reflect.TypeFor[Value]()

func fail(path string, err error) error { return &DecodeError{path, err} }

func absentAt(path string, r abi.Reason) error { return fail(path, Absent{r.String()}) }

// mismatch says that a value is of another type than the variable.
func mismatch(path string, t *abi.Type, dst reflect.Type) error {
	return fail(path, fmt.Errorf("%s, not %s", typeName(t), dst))
}

var (
	errNil = errors.New("nil")
	// errPart: it is not known which.
	errPart = errors.New("a part of it was not captured")
)

// decode stores v in dst. cut says that a part will do.
func (d *decoder) decode(v Value, dst reflect.Value, path string, depth int, cut bool) error {
	if dst.Type() == typeValue {
		dst.Set(reflect.ValueOf(v))
		return nil
	}
	if d.budget++; d.budget > maxValues {
		return fail(path, fmt.Errorf("more than %d values", maxValues))
	}
	if r := d.printer.cut(v, depth); r != abi.Present {
		return absentAt(path, r)
	}
	if dst.Kind() == reflect.Interface && dst.NumMethod() == 0 {
		c := converter{budget: d.budget}
		x := c.any(v, depth)
		if a, ok := x.(Absent); ok {
			return fail(path, a)
		}
		if x, ok := x.(Cut); ok && cut {
			dst.Set(reflect.ValueOf(x.Value))
			return nil
		}
		if _, ok := x.(Cut); ok {
			return absentAt(path, v.cutBy())
		}
		d.budget = c.budget
		if x == nil {
			dst.SetZero()
		} else {
			dst.Set(reflect.ValueOf(x))
		}
		return nil
	}
	if ok, err := d.known(v, dst, path); ok {
		return err
	}
	switch v.typ.Kind {
	case abi.Interface:
		if v.word(0) == 0 {
			return d.null(v, dst, path)
		}
		if r := v.unfollowed(); r != abi.Present {
			return absentAt(path, r)
		}
		return d.decode(v.Dynamic(), dst, path, depth+1, cut)
	case abi.Pointer:
		return d.pointer(v, dst, path, depth, cut)
	}
	if dst.Kind() == reflect.Pointer {
		if v.IsNil() {
			dst.SetZero()
			return nil
		}
		p := reflect.New(dst.Type().Elem())
		if err := d.decode(v, p.Elem(), path, depth+1, cut); err != nil {
			return err
		}
		dst.Set(p)
		return nil
	}
	return d.kind(v, dst, path, depth, cut)
}

// null stores nil.
func (d *decoder) null(v Value, dst reflect.Value, path string) error {
	switch dst.Kind() {
	case reflect.Pointer, reflect.Interface, reflect.Slice, reflect.Map:
		dst.SetZero()
		return nil
	}
	return fail(path, fmt.Errorf("%w %s, not %s", errNil, typeName(v.typ), dst.Type()))
}

func (d *decoder) pointer(v Value, dst reflect.Value, path string, depth int, cut bool) error {
	if v.word(0) == 0 {
		return d.null(v, dst, path)
	}
	e := v.Elem()
	if r := e.reason(); r != abi.Present {
		return absentAt(path, r)
	}
	if dst.Kind() != reflect.Pointer {
		return d.decode(e, dst, path, depth+1, cut)
	}
	p := reflect.New(dst.Type().Elem())
	if o, ok := v.object(); ok {
		key := madeKey{o, dst.Type(), cut}
		if old, ok := d.made[key]; ok {
			dst.Set(old)
			return nil
		}
		d.make(key, p)
	}
	if err := d.decode(e, p.Elem(), path, depth+1, cut); err != nil {
		return err
	}
	dst.Set(p)
	return nil
}

// known stores values of known types. It is not ok where they are to be stored
// like any other: variables of such types have no fields that could be set.
func (d *decoder) known(v Value, dst reflect.Value, path string) (ok bool, err error) {
	if !isKnown[dst.Type()] {
		return false, nil
	}
	for range maxPrintDepth {
		if v.typ.Kind != abi.Pointer || v.IsNil() || v.Elem().reason() != abi.Present {
			break
		}
		v = v.Elem()
	}
	switch {
	case v.typ.Kind == abi.Interface || v.typ.Kind == abi.Pointer:
		return false, nil // until what it holds is there
	case v.typ.Name != fullName(dst.Type()):
		return true, mismatch(path, v.typ, dst.Type())
	}
	x, ok := v.readable(inGo)
	if only, is := x.(textOnly); is {
		x = only.any
	}
	if _, is := x.(*url.URL); !ok && !is { // an empty URL is shown by its fields
		return true, fail(path, errPart)
	}
	got := reflect.ValueOf(x)
	if got.Kind() == reflect.Pointer {
		got = got.Elem()
	}
	dst.Set(got)
	return true, nil
}

func fullName(t reflect.Type) string { return t.PkgPath() + "." + t.Name() }

// kind stores values of the kinds that a variable of the same kind can hold.
func (d *decoder) kind(v Value, dst reflect.Value, path string, depth int, cut bool) error {
	switch v.typ.Kind {
	case abi.Bool:
		x, ok := v.Bool()
		if !ok {
			return absentAt(path, abi.Implausible)
		}
		if dst.Kind() != reflect.Bool {
			break
		}
		dst.SetBool(x)
		return nil
	case abi.Int, abi.Int8, abi.Int16, abi.Int32, abi.Int64:
		x, _ := v.Int()
		switch {
		case dst.CanInt() && !dst.OverflowInt(x):
			dst.SetInt(x)
		case dst.CanUint() && x >= 0 && !dst.OverflowUint(uint64(x)):
			dst.SetUint(uint64(x))
		default:
			return overflow(v, dst, path, strconv.FormatInt(x, 10))
		}
		return nil
	case abi.Uint, abi.Uint8, abi.Uint16, abi.Uint32, abi.Uint64, abi.Uintptr:
		x, _ := v.Uint()
		switch {
		case dst.CanUint() && !dst.OverflowUint(x):
			dst.SetUint(x)
		case dst.CanInt() && int64(x) >= 0 && !dst.OverflowInt(int64(x)):
			dst.SetInt(int64(x))
		default:
			return overflow(v, dst, path, strconv.FormatUint(x, 10))
		}
		return nil
	case abi.Float32, abi.Float64:
		x, _ := v.Float()
		if !dst.CanFloat() {
			break
		}
		if dst.OverflowFloat(x) {
			return overflow(v, dst, path, fmt.Sprint(x))
		}
		dst.SetFloat(x)
		return nil
	case abi.Complex64, abi.Complex128:
		x, _ := v.Complex()
		if !dst.CanComplex() {
			break
		}
		if dst.OverflowComplex(x) {
			return overflow(v, dst, path, fmt.Sprint(x))
		}
		dst.SetComplex(x)
		return nil
	case abi.String:
		s, ok := v.Str()
		if !ok {
			_, _, r := v.elems()
			return absentAt(path, r)
		}
		if dst.Kind() != reflect.String {
			break
		}
		if err := cutError(path, v, len(s), "bytes", cut); err != nil {
			return err
		}
		dst.SetString(s)
		return nil
	case abi.Slice, abi.Array:
		return d.list(v, dst, path, depth, cut)
	case abi.Map:
		return d.mapping(v, dst, path, depth, cut)
	case abi.Struct:
		return d.structure(v, dst, path, depth)
	}
	return mismatch(path, v.typ, dst.Type())
}

// overflow says that a number does not fit, or that the variable is for none.
func overflow(v Value, dst reflect.Value, path, number string) error {
	if !dst.CanInt() && !dst.CanUint() && !dst.CanFloat() && !dst.CanComplex() ||
		v.typ.Kind < abi.Float32 && (dst.CanFloat() || dst.CanComplex()) {
		return mismatch(path, v.typ, dst.Type())
	}
	return fail(path, fmt.Errorf("%s overflows %s", number, dst.Type()))
}

// cutError says that a value was cut, unless that will do.
func cutError(path string, v Value, n int, what string, ok bool) error {
	if n >= v.Len() || ok {
		return nil
	}
	return fail(path, fmt.Errorf("%w: %d of %d %s", Absent{v.cutBy().String()}, n, v.Len(), what))
}

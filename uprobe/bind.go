package uprobe

import (
	"errors"
	"fmt"
	"reflect"
	"slices"

	"github.com/argtap/argtap/abi"
)

// Bind calls fn, which is a func, for each call, with the arguments of the call
// in Go variables:
//
//	uprobe.Trace("./app", "main.computeE", nil, uprobe.Bind(func(iterations int64) { … }))
//
// The parameters of fn are those of the traced function in order, of which the
// receiver may be left out; or, where names are given, the parameters with these
// names. A *[Call] may stand before them. Arguments are converted as
// [Value.Decode] does; a struct type with some of the fields is enough:
//
//	uprobe.Bind(func(c *uprobe.Call, r struct{ URL *url.URL }, n int64) { … }, "r", "n")
//
// Whether fn fits is checked when the function is looked up, by [Trace] and by
// [Inspect]; an error that is [ErrHandler] shows both signatures. Of the functions
// that a pattern selects those that do not fit are left out. A parameter of fn must
// hold every value that the argument can have: an int64 does not fit an int32.
//
// A call of which an argument that fn takes is absent or was cut, even in part, or
// is nil where the parameter of fn cannot be, is not given to fn: it is counted in
// [Stats].Unbound, and given to the function of [WithUnbound]. To have such calls,
// take the argument as a [Value], which is valid until fn returns, or leave parts
// out as Decode describes it. The handler of Trace may be nil; if not, it is called
// first.
func Bind(fn any, names ...string) Option {
	return func(o *options) error {
		v := reflect.ValueOf(fn)
		switch {
		case v.Kind() != reflect.Func || v.IsNil():
			return fmt.Errorf("bind %T: %w: give a func whose parameters are arguments of the function that is traced", fn, ErrHandler)
		case v.Type().IsVariadic(), v.Type().NumOut() > 0:
			return fmt.Errorf("bind %T: %w: give a func that is not variadic and has no results", fn, ErrHandler)
		case o.bound != nil:
			return fmt.Errorf("bind %T: %w: there is one already, %v", fn, ErrHandler, o.bound.fn.Type())
		}
		b := &binding{fn: v, names: names}
		for i := range v.Type().NumIn() {
			if i == 0 && v.Type().In(0) == reflect.TypeFor[*Call]() {
				b.takesCall = true
				continue
			}
			b.types = append(b.types, v.Type().In(i))
		}
		if len(names) > 0 && len(names) != len(b.types) {
			return fmt.Errorf("bind %T: %w: it takes %d arguments, and there are %d names", fn, ErrHandler, len(b.types), len(names))
		}
		o.bound = b
		return nil
	}
}

// WithUnbound gives the calls that cannot be given to the function of [Bind] to
// unbound, with the reason: a [*DecodeError], whose path begins with the
// parameter's name.
func WithUnbound(unbound func(c *Call, reason error)) Option {
	return func(o *options) error {
		if unbound == nil {
			return errors.New("nil function for calls that cannot be bound: leave the option out")
		}
		o.unbound = unbound
		return nil
	}
}

// binding is a func that is called with arguments.
type binding struct {
	fn        reflect.Value
	takesCall bool
	types     []reflect.Type // of the arguments that it takes
	names     []string       // of the parameters, if they were given
}

// check returns which parameters of f the bound func takes.
func (b *binding) check(f *Func) ([]int, error) {
	fail := func(err error) ([]int, error) {
		return nil, fmt.Errorf("%w: %v does not fit %s: %w", ErrHandler, b.fn.Type(), f.sig, err)
	}
	if !f.SignatureKnown() {
		if len(b.types) == 0 {
			return nil, nil
		}
		return nil, fmt.Errorf("%w: %v takes arguments, and nothing describes those of the function: give its signature by WithSignature",
			ErrHandler, b.fn.Type())
	}
	var index []int
	args, what := f.arguments(), "parameter"
	if f.captures != nil {
		what = "captured expression"
	}
	switch n := len(b.types); {
	case len(b.names) > 0:
		for _, name := range b.names {
			i := slices.IndexFunc(args, func(p abi.Param) bool { return p.Name == name })
			if i < 0 {
				return fail(fmt.Errorf("it has no %s %s", what, name))
			}
			index = append(index, i)
		}
	case n == len(args):
		for i := range n {
			index = append(index, i)
		}
	case f.sig.Method && f.captures == nil && n == len(args)-1:
		for i := range n {
			index = append(index, i+1)
		}
	default:
		return fail(fmt.Errorf("it has %d %ss, not %d", len(args), what, n))
	}
	for i, j := range index {
		c := fitter{seen: map[fitKey]bool{}}
		if err := c.fits(args[j].Type, b.types[i], args[j].Name, 0); err != nil {
			return fail(fmt.Errorf("%s %w", what, err))
		}
	}
	return index, nil
}

// call calls the bound func, unless an argument is not there.
func (b *binding) call(c *Call) error {
	in := make([]reflect.Value, 0, 1+len(b.types))
	if b.takesCall {
		in = append(in, reflect.ValueOf(c))
	}
	d := decoder{made: map[madeKey]reflect.Value{}}
	for i, j := range c.fn.bound {
		x := reflect.New(b.types[i]).Elem()
		if err := d.decode(c.Arg(j), x, c.ArgName(j), 0, false); err != nil {
			return err
		}
		in = append(in, x)
	}
	b.fn.Call(in)
	return nil
}

// bind returns a handler that calls the bound func after handler, which may be
// nil.
func (t *Tracer) bind(handler func(*Call)) func(*Call) {
	return func(c *Call) {
		if handler != nil {
			handler(c)
		}
		err := t.opts.bound.call(c)
		if err == nil {
			return
		}
		t.unbound.Add(1)
		if t.opts.unbound != nil {
			t.opts.unbound(c, err)
		}
	}
}

// fitter checks whether values of a type can be decoded into variables of
// another, whatever they are.
type fitter struct{ seen map[fitKey]bool }

type fitKey struct {
	t   *abi.Type
	dst reflect.Type
}

func (c *fitter) fits(t *abi.Type, dst reflect.Type, path string, depth int) error {
	no := func() error { return mismatch(path, t, dst) }
	key := fitKey{t, dst}
	if t == nil || t.Kind == abi.Invalid || dst == typeValue || dst.Kind() == reflect.Interface && dst.NumMethod() == 0 ||
		depth > 100 || c.seen[key] {
		return nil
	}
	c.seen[key] = true
	switch {
	case t.Kind == abi.Interface:
		return nil // as the value will be
	case t.Kind == abi.Pointer && dst.Kind() == reflect.Pointer:
		return c.fits(t.Elem, dst.Elem(), path, depth+1)
	case t.Kind == abi.Pointer:
		return c.fits(t.Elem, dst, path, depth+1)
	case isKnown[dst]:
		if t.Name != fullName(dst) {
			return no()
		}
		return nil
	case dst.Kind() == reflect.Pointer:
		return c.fits(t, dst.Elem(), path, depth+1)
	}
	switch t.Kind {
	case abi.Slice:
		if dst.Kind() == reflect.Slice {
			return c.fits(t.Elem, dst.Elem(), path+"[]", depth+1)
		}
	case abi.Array:
		if dst.Kind() == reflect.Slice || dst.Kind() == reflect.Array && int64(dst.Len()) == t.Len {
			return c.fits(t.Elem, dst.Elem(), path+"[]", depth+1)
		}
	case abi.Map:
		if dst.Kind() == reflect.Map {
			if err := c.fits(t.Key, dst.Key(), path+" (key)", depth+1); err != nil {
				return err
			}
			return c.fits(t.Elem, dst.Elem(), path+"[]", depth+1)
		}
	case abi.Struct:
		if dst.Kind() == reflect.Struct {
			return c.fields(t, dst, path, depth)
		}
	default:
		if holds(t, dst) {
			return nil
		}
	}
	return no()
}

// holds reports whether a variable can hold every value of a type without parts.
func holds(t *abi.Type, dst reflect.Type) bool {
	bits := int(t.Size) * 8
	switch k := dst.Kind(); t.Kind {
	case abi.Bool:
		return k == reflect.Bool
	case abi.String:
		return k == reflect.String
	case abi.Int, abi.Int8, abi.Int16, abi.Int32, abi.Int64:
		return k >= reflect.Int && k <= reflect.Int64 && dst.Bits() >= bits
	case abi.Uint, abi.Uint8, abi.Uint16, abi.Uint32, abi.Uint64, abi.Uintptr:
		return k >= reflect.Uint && k <= reflect.Uintptr && dst.Bits() >= bits ||
			k >= reflect.Int && k <= reflect.Int64 && dst.Bits() > bits
	case abi.Float32, abi.Float64:
		return (k == reflect.Float32 || k == reflect.Float64) && dst.Bits() >= bits
	case abi.Complex64, abi.Complex128:
		return (k == reflect.Complex64 || k == reflect.Complex128) && dst.Bits() >= bits
	}
	return false
}

// fields checks the fields that dst has, as [Value.Decode] looks them up in a
// struct of type t.
func (c *fitter) fields(t *abi.Type, dst reflect.Type, path string, depth int) error {
	for i := range dst.NumField() {
		f := dst.Field(i)
		tag, err := tagOf(f)
		if err != nil {
			return fail(path, err)
		}
		if tag.skip {
			continue
		}
		name := tag.name
		if name == "" {
			name = f.Name
		}
		at := join(path, name)
		way, ok := lookupField(t, name, tag.name != "")
		switch {
		case !ok && f.Anonymous && f.Type.Kind() == reflect.Struct && tag.name == "" && f.IsExported():
			if depth > 100 {
				return nil
			}
			if err := c.fields(t, f.Type, path, depth+1); err != nil {
				return err
			}
			continue
		case !f.IsExported() && ok:
			return notExported(at, dst)
		case !f.IsExported(), !ok && tag.optional:
			continue
		case !ok:
			return noField(at, t)
		}
		if err := c.fits(fieldType(t, way), f.Type, at, depth+1); err != nil {
			return err
		}
	}
	return nil
}

// fieldType returns the type of the field that indexes lead to.
func fieldType(t *abi.Type, way []int) *abi.Type {
	for _, i := range way {
		if t.Kind == abi.Pointer {
			t = t.Elem
		}
		t = t.Fields[i].Type
	}
	return t
}

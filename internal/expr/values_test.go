package expr

import (
	"fmt"
	"go/types"
	"strings"
)

// plain names a type as in a source file of the package.
func plain(p *types.Package) string {
	if p.Path() == "main" {
		return ""
	}
	return p.Name()
}

// literal writes a random value of a type, as Go that can be assigned to a
// variable of that type.
func (w *world) literal(t types.Type, depth int) string {
	name := types.TypeString(t, plain)
	if _, ok := t.(*types.Signature); ok || strings.HasPrefix(name, "*") || strings.HasPrefix(name, "chan") {
		name = "(" + name + ")"
	}
	switch u := t.Underlying().(type) {
	case *types.Basic:
		return name + "(" + w.basicLiteral(u) + ")"
	case *types.Pointer:
		if depth <= 0 || w.rnd.IntN(6) == 0 {
			return name + "(nil)"
		}
		return name + "(ptr[" + types.TypeString(u.Elem(), plain) + "](" + w.literal(u.Elem(), depth-1) + "))"
	case *types.Slice:
		if depth <= 0 || w.rnd.IntN(6) == 0 {
			return w.pick(name+"(nil)", name+"{}")
		}
		var elems []string
		for range w.rnd.IntN(6) {
			elems = append(elems, w.literal(u.Elem(), depth-1))
		}
		text := name + "{" + strings.Join(elems, ", ") + "}"
		if w.rnd.IntN(2) == 0 {
			text = fmt.Sprintf("append(make(%s, 0, %d), %s...)", name, len(elems)+w.rnd.IntN(4), text)
		}
		return text
	case *types.Array:
		var elems []string
		for range u.Len() {
			elems = append(elems, w.literal(u.Elem(), depth-1))
		}
		return name + "{" + strings.Join(elems, ", ") + "}"
	case *types.Struct:
		var fields []string
		for i := range u.NumFields() {
			if f := u.Field(i); f.Name() != "_" {
				fields = append(fields, f.Name()+": "+w.literal(f.Type(), depth-1))
			}
		}
		return name + "{" + strings.Join(fields, ", ") + "}"
	case *types.Map:
		if depth <= 0 || w.rnd.IntN(6) == 0 {
			return w.pick(name+"(nil)", name+"{}")
		}
		keys := []string{"0", "1", "2", "127", "2", "3"}
		switch k, _ := u.Key().Underlying().(*types.Basic); {
		case k == nil:
		case k.Info()&types.IsString != 0:
			keys = []string{`"a"`, `"key"`, `""`, `"xy"`, `"z"`}
		case k.Info()&types.IsBoolean != 0:
			keys = []string{"true", "false"}
		}
		var elems []string
		for _, k := range keys[:w.rnd.IntN(3)] {
			elems = append(elems, k+": "+w.literal(u.Elem(), depth-1))
		}
		return name + "{" + strings.Join(elems, ", ") + "}"
	case *types.Interface:
		if depth <= 0 || w.rnd.IntN(6) == 0 {
			return "nil"
		}
		for {
			if d := w.dyn[w.rnd.IntN(len(w.dyn))]; types.AssignableTo(d, t) {
				return w.literal(d, depth-1)
			}
		}
	case *types.Chan:
		if depth <= 0 || w.rnd.IntN(6) == 0 {
			return name + "(nil)"
		}
		n := w.rnd.IntN(4)
		return fmt.Sprintf("channel[%s](%d, %d)", types.TypeString(u.Elem(), plain), n, w.rnd.IntN(n+1))
	}
	return "nil"
}

func (w *world) basicLiteral(u *types.Basic) string {
	switch {
	case u.Info()&types.IsBoolean != 0:
		return w.pick("true", "false")
	case u.Info()&types.IsString != 0:
		return w.pick(`""`, `"a"`, `"key"`, `"GET"`, `"hello, world"`, `"x\ty"`, `"\xff"`, `"ab"`)
	case u.Info()&types.IsFloat != 0:
		return w.pick("0", "1.5", "0.1", "-1", "1e3", "math.NaN()", "math.Copysign(0, -1)", "math.Inf(1)")
	case u.Info()&types.IsComplex != 0:
		return w.pick("0", "1.5", "2i", "1+2i", "-1.5i")
	case u.Kind() == types.UnsafePointer:
		return w.pick("nil", "unsafe.Pointer(new(int))")
	case u.Info()&types.IsUnsigned != 0:
		return w.pick("0", "1", "2", "3", "7", "64", "127", "128", "255")
	}
	return w.pick("0", "1", "2", "3", "-1", "-2", "7", "64", "100", "127", "-128")
}

// programTail is what a program needs besides types, variables and expressions.
// It writes one line for each thing that the test must know:
//
//	param NAME HEX           the image of a variable
//	mem ADDRESS HEX          memory that something refers to
//	map ADDRESS KEY ELEMENT  where a copy of an element is
//	type WORD NAME           a descriptor
//	val NUMBER VALUE         what an expression has
const programTail = `
func ptr[T any](v T) *T { return &v }

func channel[T any](size, n int) chan T {
	c := make(chan T, size)
	for range n {
		var zero T
		c <- zero
	}
	return c
}

var out = bufio.NewWriter(os.Stdout)
var seen = map[string]bool{}

func mem(at unsafe.Pointer, size uintptr) {
	if at != nil && size > 0 {
		fmt.Fprintf(out, "mem %x %x\n", uintptr(at), unsafe.Slice((*byte)(at), size))
	}
}

func typ(t reflect.Type) {
	name := t.String()
	if !seen["type "+name] {
		seen["type "+name] = true
		a := any(t)
		fmt.Fprintf(out, "type %x %s\n", (*[2]uintptr)(unsafe.Pointer(&a))[1], name)
	}
}

// visit writes what an addressable value refers to.
func visit(v reflect.Value) {
	at := unsafe.Pointer(v.UnsafeAddr())
	key := fmt.Sprint(at, v.Type())
	if seen[key] {
		return
	}
	seen[key] = true
	typ(v.Type())
	v = reflect.NewAt(v.Type(), at).Elem()
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			mem(v.UnsafePointer(), v.Type().Elem().Size())
			visit(v.Elem())
		}
	case reflect.String:
		mem(unsafe.Pointer(unsafe.StringData(v.String())), uintptr(v.Len()))
	case reflect.Slice:
		mem(v.UnsafePointer(), uintptr(v.Cap())*v.Type().Elem().Size())
		for i := range v.Cap() {
			visit(v.Slice(0, v.Cap()).Index(i))
		}
	case reflect.Array:
		for i := range v.Len() {
			visit(v.Index(i))
		}
	case reflect.Struct:
		for i := range v.NumField() {
			visit(v.Field(i))
		}
	case reflect.Interface:
		if v.IsNil() {
			return
		}
		words := (*[2]unsafe.Pointer)(at)
		if v.NumMethod() > 0 {
			mem(words[0], 24)
		}
		t := v.Elem().Type()
		typ(t)
		if t.Size() == unsafe.Sizeof(words[1]) && pointer(t) {
			visit(reflect.NewAt(t, unsafe.Pointer(&words[1])).Elem())
			return
		}
		mem(words[1], t.Size())
		visit(reflect.NewAt(t, words[1]).Elem())
	case reflect.Map:
		mem(v.UnsafePointer(), 8)
		for iter := v.MapRange(); iter.Next() && v.Type().Key().Kind() != reflect.Interface; {
			e := reflect.New(v.Type().Elem())
			e.Elem().Set(iter.Value())
			keep = append(keep, e)
			fmt.Fprintf(out, "map %x %s %x\n", v.Pointer(), text(iter.Key()), e.Pointer())
			mem(e.UnsafePointer(), v.Type().Elem().Size())
			visit(e.Elem())
		}
	case reflect.Chan:
		mem(v.UnsafePointer(), 16)
	}
}

// pointer reports whether a type of one word is a pointer.
func pointer(t reflect.Type) bool {
	switch t.Kind() {
	case reflect.Pointer, reflect.Map, reflect.Chan, reflect.Func, reflect.UnsafePointer:
		return true
	case reflect.Array:
		return t.Len() > 0 && pointer(t.Elem())
	case reflect.Struct:
		for i := range t.NumField() {
			if pointer(t.Field(i).Type) {
				return true
			}
		}
	}
	return false
}

var keep []reflect.Value

func param(name string, p any) {
	v := reflect.ValueOf(p).Elem()
	fmt.Fprintf(out, "param %s %x\n", name, unsafe.Slice((*byte)(v.Addr().UnsafePointer()), v.Type().Size()))
	visit(v)
}

func text(v reflect.Value) string {
	switch v.Kind() {
	case reflect.Bool:
		return fmt.Sprint(v.Bool())
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return fmt.Sprint(v.Int())
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64, reflect.Uintptr:
		return fmt.Sprint(v.Uint())
	case reflect.Float32, reflect.Float64:
		return fmt.Sprintf("%x", math.Float64bits(v.Float()))
	case reflect.Complex64, reflect.Complex128:
		return fmt.Sprintf("%x+%x", math.Float64bits(real(v.Complex())), math.Float64bits(imag(v.Complex())))
	case reflect.String:
		return strconv.Quote(v.String())
	case reflect.Slice:
		if v.IsNil() {
			return "nil"
		}
		s := "["
		for i := range v.Len() {
			s += text(v.Index(i)) + " "
		}
		return s + "]" + fmt.Sprint(v.Cap())
	case reflect.Array:
		s := "["
		for i := range v.Len() {
			s += text(v.Index(i)) + " "
		}
		return s + "]"
	case reflect.Struct:
		s := "{"
		for i := range v.NumField() {
			if v.Type().Field(i).Name != "_" {
				s += text(v.Field(i)) + " "
			}
		}
		return s + "}"
	case reflect.Interface:
		words := (*[2]uintptr)(unsafe.Pointer(v.UnsafeAddr()))
		return fmt.Sprintf("(%x %x)", words[0], words[1])
	}
	if v.Kind() == reflect.Func {
		return fmt.Sprintf("%x", *(*uintptr)(unsafe.Pointer(v.UnsafeAddr())))
	}
	return fmt.Sprintf("%x", uintptr(v.UnsafePointer()))
}

func val[T any](n int, f func() T) {
	defer func() {
		if e := recover(); e != nil {
			fmt.Fprintf(out, "val %d panic: %v\n", n, e)
		}
	}()
	v := f()
	fmt.Fprintf(out, "val %d %s\n", n, text(reflect.ValueOf(&v).Elem()))
}
`

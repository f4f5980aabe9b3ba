package uprobe

import (
	"errors"
	"fmt"
	"math/big"
	"net/netip"
	"net/url"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/argtap/argtap/abi"
)

// isKnown are the Go types that values of known types are decoded into as a
// whole.
var isKnown = map[reflect.Type]bool{
	reflect.TypeFor[time.Time]():      true,
	reflect.TypeFor[netip.Addr]():     true,
	reflect.TypeFor[netip.AddrPort](): true,
	reflect.TypeFor[netip.Prefix]():   true,
	reflect.TypeFor[url.URL]():        true,
	reflect.TypeFor[big.Int]():        true,
}

var typeBytes = reflect.TypeFor[[]byte]()

// maxDecoded bounds the bytes of a slice that is decoded.
const maxDecoded = 64 << 20

func index(path string, i int) string { return path + "[" + strconv.Itoa(i) + "]" }

// list stores a slice or an array.
func (d *decoder) list(v Value, dst reflect.Value, path string, depth int, cut bool) error {
	slice := v.typ.Kind == abi.Slice
	switch {
	case dst.Kind() == reflect.Slice:
	case dst.Kind() == reflect.Array && !slice && int64(dst.Len()) == v.typ.Len:
	default:
		return mismatch(path, v.typ, dst.Type())
	}
	if slice {
		if v.IsNil() && v.Len() == 0 {
			dst.SetZero()
			return nil
		}
		if _, _, r := v.elems(); r != abi.Present {
			return absentAt(path, r)
		}
	}
	n := v.Captured()
	if err := cutError(path, v, n, "elements", cut && dst.Kind() == reflect.Slice); err != nil {
		return err
	}
	if b, ok := v.Bytes(); ok && v.typ.Elem.Kind == abi.Uint8 && typeBytes.ConvertibleTo(dst.Type()) {
		dst.Set(reflect.ValueOf(append([]byte{}, b...)).Convert(dst.Type()))
		return nil
	}
	var key madeKey
	if o, ok := v.object(); ok {
		key = madeKey{o, dst.Type(), cut}
		if old, ok := d.made[key]; ok {
			dst.Set(old)
			return nil
		}
	}
	out := dst
	if dst.Kind() == reflect.Slice {
		if n > maxValues-d.budget || uint64(n)*uint64(dst.Type().Elem().Size()) > maxDecoded {
			return fail(path, fmt.Errorf("%d elements are too many", n))
		}
		out = reflect.MakeSlice(dst.Type(), n, n)
		if key.t != nil {
			d.make(key, out)
		}
	}
	for i := range n {
		if err := d.decode(v.Index(i), out.Index(i), index(path, i), depth+1, false); err != nil {
			return err
		}
	}
	if dst.Kind() == reflect.Slice {
		dst.Set(out)
	}
	return nil
}

// mapping stores a map.
func (d *decoder) mapping(v Value, dst reflect.Value, path string, depth int, cut bool) error {
	if dst.Kind() != reflect.Map {
		return mismatch(path, v.typ, dst.Type())
	}
	if v.word(0) == 0 {
		dst.SetZero()
		return nil
	}
	if r := v.unfollowed(); r != abi.Present {
		return absentAt(path, r)
	}
	if err := cutError(path, v, v.Captured(), "entries", cut); err != nil {
		return err
	}
	o, _ := v.object()
	key := madeKey{o, dst.Type(), cut}
	if old, ok := d.made[key]; ok {
		dst.Set(old)
		return nil
	}
	out := reflect.MakeMap(dst.Type())
	d.make(key, out)
	for _, e := range v.entries() {
		name := path + "[" + keyText(e.key) + "]"
		k, x := reflect.New(dst.Type().Key()).Elem(), reflect.New(dst.Type().Elem()).Elem()
		if err := d.decode(e.key, k, name, depth+1, false); err != nil {
			return err
		}
		if err := d.decode(e.elem, x, name, depth+1, false); err != nil {
			return err
		}
		if !k.Comparable() {
			return fail(name, fmt.Errorf("%s cannot be a key of %s", typeName(e.key.typ), dst.Type()))
		}
		out.SetMapIndex(k, x)
	}
	dst.Set(out)
	return nil
}

// keyText is a key as it stands in a path.
func keyText(k Value) string {
	switch kind := k.Kind(); {
	case kind == abi.String:
		s, _ := k.Str()
		if len(s) > 40 {
			return strconv.Quote(s[:40]) + "…"
		}
		return strconv.Quote(s)
	case kind <= abi.Complex128:
		return k.String()
	}
	return "…"
}

// tag is what the tag of a field says.
type tag struct {
	name                string
	skip, optional, cut bool
}

func tagOf(f reflect.StructField) (tag, error) {
	name, opts, _ := strings.Cut(f.Tag.Get("argtap"), ",")
	t := tag{name: name, skip: name == "-" || f.Name == "_"}
	for opts != "" {
		var opt string
		opt, opts, _ = strings.Cut(opts, ",")
		switch opt {
		case "optional":
			t.optional = true
		case "cut":
			t.cut = true
		default:
			return t, fmt.Errorf("tag %q of field %s: unknown option %q; there are optional and cut", f.Tag.Get("argtap"), f.Name, opt)
		}
	}
	return t, nil
}

// structure stores the fields that dst has.
func (d *decoder) structure(v Value, dst reflect.Value, path string, depth int) error {
	if dst.Kind() != reflect.Struct {
		return mismatch(path, v.typ, dst.Type())
	}
	for i := range dst.NumField() {
		f := dst.Type().Field(i)
		t, err := tagOf(f)
		if err != nil {
			return fail(path, err)
		}
		if t.skip {
			continue
		}
		name := t.name
		if name == "" {
			name = f.Name
		}
		at := join(path, name)
		part, ok := v.lookup(name, t.name != "")
		switch {
		case !ok && f.Anonymous && f.Type.Kind() == reflect.Struct && t.name == "" && f.IsExported():
			// The fields of an embedded struct are fields of dst.
			if err := d.structure(v, dst.Field(i), path, depth+1); err != nil {
				return err
			}
			continue
		case !f.IsExported():
			if ok {
				return notExported(at, dst.Type())
			}
			continue // it is not about the value
		case !ok && t.optional:
			continue
		case !ok:
			return noField(at, v.typ)
		}
		if t.optional {
			// Decode elsewhere, so that nothing is stored in part.
			x := reflect.New(f.Type).Elem()
			made := len(d.order)
			err := d.decode(part, x, at, depth+1, t.cut)
			var missing Absent
			if errors.As(err, &missing) || errors.Is(err, errPart) || errors.Is(err, errNil) {
				d.forget(made)
				continue
			}
			if err != nil {
				return err
			}
			dst.Field(i).Set(x)
			continue
		}
		if err := d.decode(part, dst.Field(i), at, depth+1, t.cut); err != nil {
			return err
		}
	}
	return nil
}

func notExported(path string, dst reflect.Type) error {
	return fail(path, fmt.Errorf("the field of %s is not exported: it cannot be set", dst))
}

func noField(path string, t *abi.Type) error {
	return fail(path, fmt.Errorf("%s has no such field; it has %s", typeName(t), fieldNames(t)))
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

// fieldNames lists the fields of a struct, for errors.
func fieldNames(t *abi.Type) string {
	var names []string
	for i := range t.Fields {
		if n := t.Fields[i].Name; n != "_" {
			if len(names) == 12 {
				names = append(names, "…")
				break
			}
			names = append(names, n)
		}
	}
	if names == nil {
		return "none"
	}
	return strings.Join(names, ", ")
}

// lookup finds a field by name, also among those of embedded structs, and, unless
// exact, one whose name differs in case.
func (v Value) lookup(name string, exact bool) (Value, bool) {
	path, ok := lookupField(v.typ, name, exact)
	if !ok {
		return Value{}, false
	}
	for _, i := range path {
		if v.Kind() == abi.Pointer {
			if v = v.Elem(); v.reason() != abi.Present {
				return absent(nil, v.reason()), true
			}
		}
		v = v.Field(i)
	}
	return v, true
}

// lookupField returns the indexes that lead to a field: of the struct itself, or
// of the least deep embedded struct that has it.
func lookupField(t *abi.Type, name string, exact bool) ([]int, bool) {
	type level struct {
		t    *abi.Type
		path []int
	}
	seen := map[*abi.Type]bool{}
	for queue := []level{{t, nil}}; len(queue) > 0 && len(seen) < 64; queue = queue[1:] {
		l := queue[0]
		if l.t == nil || l.t.Kind != abi.Struct || seen[l.t] {
			continue
		}
		seen[l.t] = true
		for i := range l.t.Fields {
			f := &l.t.Fields[i]
			path := append(l.path[:len(l.path):len(l.path)], i)
			if f.Name == name {
				return path, true
			}
			if f.Embedded && f.Type != nil {
				e := f.Type
				if e.Kind == abi.Pointer {
					e = e.Elem
				}
				queue = append(queue, level{e, path})
			}
		}
	}
	if exact {
		return nil, false
	}
	found := -1
	for i := range t.Fields {
		if strings.EqualFold(t.Fields[i].Name, name) {
			if found >= 0 {
				return nil, false // which one?
			}
			found = i
		}
	}
	return []int{found}, found >= 0
}

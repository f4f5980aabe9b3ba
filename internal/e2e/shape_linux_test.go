package e2e

import (
	"fmt"
	"slices"
	"strings"

	"github.com/argtap/argtap/abi"
	"github.com/argtap/argtap/uprobe"
)

// shape prints values such that programs can print the same of their own:
// numbers, quoted strings, [elements], {fields}, dynamic type:value for
// interfaces, &address and the value for pointers, ^address where the same was
// printed already, and (?) for what is not there.
type shape struct {
	b    []byte
	seen map[string]bool
	why  map[string]int // reasons of absence
}

func shapeOf(v uprobe.Value) (string, map[string]int) {
	s := shape{seen: map[string]bool{}, why: map[string]int{}}
	s.value(v)
	return string(s.b), s.why
}

func (s *shape) printf(format string, args ...any) {
	s.b = append(s.b, fmt.Sprintf(format, args...)...)
}

func (s *shape) absent(reason string) {
	s.why[reason]++
	s.printf("(?)")
}

func (s *shape) value(v uprobe.Value) {
	if reason, absent := v.Absent(); absent {
		s.absent(reason)
		return
	}
	switch k := v.Kind(); k {
	case abi.Bool:
		x, _ := v.Bool()
		s.printf("%t", x)
	case abi.Int, abi.Int8, abi.Int16, abi.Int32, abi.Int64:
		x, _ := v.Int()
		s.printf("%d", x)
	case abi.Uint, abi.Uint8, abi.Uint16, abi.Uint32, abi.Uint64, abi.Uintptr:
		x, _ := v.Uint()
		s.printf("%d", x)
	case abi.Float32, abi.Float64:
		x, _ := v.Float()
		s.printf("%v", x)
	case abi.Complex64, abi.Complex128:
		x, _ := v.Complex()
		s.printf("%v", x)
	case abi.String:
		x, ok := v.Str()
		switch {
		case !ok:
			why := "string"
			if a, ok := v.Any().(uprobe.Absent); ok {
				why = a.Reason
			}
			s.absent(why)
		case len(x) < v.Len():
			s.printf("%q…(%d)", x, v.Len())
		default:
			s.printf("%q", x)
		}
	case abi.Slice, abi.Array:
		if v.IsNil() {
			s.printf("nil")
			return
		}
		s.printf("[")
		for i := range v.Captured() {
			if i > 0 {
				s.printf(" ")
			}
			s.value(v.Index(i))
		}
		if n := v.Captured(); n < v.Len() {
			reason, _ := v.Index(n).Absent()
			s.why[reason]++
			s.printf("…(%d)", v.Len())
		}
		s.printf("]")
	case abi.Struct:
		s.printf("{")
		for i := range v.NumField() {
			if i > 0 {
				s.printf(" ")
			}
			s.value(v.Field(i))
		}
		s.printf("}")
	case abi.Pointer:
		switch p, _ := v.Pointer(); {
		case p == 0:
			s.printf("nil")
		case !s.again(v, "&"):
			s.value(v.Elem())
		}
	case abi.Interface:
		if v.IsNil() {
			s.printf("nil")
			return
		}
		d := v.Dynamic()
		s.printf("%s:", d.TypeName())
		s.value(d)
	case abi.Map:
		s.mapping(v)
	case abi.Chan:
		s.channel(v)
	case abi.Func:
		s.function(v)
	default:
		s.printf("?")
	}
}

// unfollowed prints a map, channel or func of which nothing is to be printed besides,
// and reports whether it is one.
func (s *shape) unfollowed(v uprobe.Value) bool {
	if v.IsNil() {
		s.printf("nil")
		return true
	}
	reason, absent := v.Unfollowed()
	if absent {
		s.absent(reason)
	}
	return absent
}

// again reports whether what is at an address was printed, and if not that it is
// going to be.
func (s *shape) again(v uprobe.Value, mark string) bool {
	p, _ := v.Pointer()
	key := fmt.Sprintf("%#x %s", p, v.TypeName())
	if s.seen[key] {
		s.printf("^%#x", p)
		return true
	}
	s.seen[key] = true
	s.printf("%s%#x", mark, p)
	return false
}

// mapping prints the entries in the order of how their keys print.
func (s *shape) mapping(v uprobe.Value) {
	if s.unfollowed(v) {
		return
	}
	if s.again(v, "map") {
		return
	}
	s.printf("%d{", v.Len())
	type entry struct {
		text      string
		key, elem uprobe.Value
	}
	var list []entry
	for k, e := range v.MapRange() {
		text, _ := shapeOf(k)
		list = append(list, entry{text, k, e})
	}
	slices.SortFunc(list, func(a, b entry) int { return strings.Compare(a.text, b.text) })
	for i, e := range list {
		if i > 0 {
			s.printf(" ")
		}
		s.value(e.key)
		s.printf(":")
		s.value(e.elem)
	}
	s.printf("}")
}

func (s *shape) channel(v uprobe.Value) {
	if s.unfollowed(v) {
		return
	}
	if s.again(v, "chan") {
		return
	}
	s.printf(" %d/%d", v.Len(), v.Cap())
	if closed, _ := v.Closed(); closed {
		s.printf(" closed")
	}
	s.printf("[")
	for i := range v.Len() {
		if i > 0 {
			s.printf(" ")
		}
		s.value(v.Index(i))
	}
	s.printf("]")
}

func (s *shape) function(v uprobe.Value) {
	if s.unfollowed(v) {
		return
	}
	name, _ := v.FuncName()
	s.printf("func:%s{", name)
	vars := v.Closure()
	for i := range vars.NumField() {
		if i > 0 {
			s.printf(" ")
		}
		s.printf("%s=", vars.Type().Fields[i].Name)
		s.value(vars.Field(i))
	}
	s.printf("}")
}

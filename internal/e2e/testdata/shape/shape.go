// Package main has what programs of package e2e have in common: they print their
// own values in the form of its shape. It is compiled by every release from Go
// 1.11 on.
package main

import (
	"fmt"
	"reflect"
	"runtime"
	"sort"
	"strings"
	"unsafe"
)

// What reflection does not tell: the elements in a channel's buffer, and what a
// func has captured. Programs that know set them.
var (
	buffered  func(c reflect.Value) []reflect.Value
	variables func(f reflect.Value) (names []string, values []reflect.Value)
)

// shape appends values: see package e2e.
type shape struct {
	b    []byte
	seen map[string]bool
}

func (s *shape) printf(format string, args ...interface{}) {
	s.b = append(s.b, fmt.Sprintf(format, args...)...)
}

// again reports whether what is at an address was printed, and if not that it is
// going to be.
func (s *shape) again(v reflect.Value, mark string) bool {
	key := fmt.Sprintf("%#x %s", v.Pointer(), v.Type())
	if s.seen[key] {
		s.printf("^%#x", v.Pointer())
		return true
	}
	s.seen[key] = true
	s.printf("%s%#x", mark, v.Pointer())
	return false
}

func (s *shape) value(v reflect.Value) {
	if !v.IsValid() {
		s.printf("nil")
		return
	}
	switch v.Kind() {
	case reflect.Bool:
		s.printf("%t", v.Bool())
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		s.printf("%d", v.Int())
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64, reflect.Uintptr:
		s.printf("%d", v.Uint())
	case reflect.Float32, reflect.Float64:
		s.printf("%v", v.Float())
	case reflect.Complex64, reflect.Complex128:
		s.printf("%v", v.Complex())
	case reflect.String:
		s.printf("%q", v.String())
	case reflect.Slice:
		if v.IsNil() {
			s.printf("nil")
			return
		}
		s.list(v)
	case reflect.Array:
		s.list(v)
	case reflect.Struct:
		s.printf("{")
		for i := 0; i < v.NumField(); i++ {
			if i > 0 {
				s.printf(" ")
			}
			s.value(v.Field(i))
		}
		s.printf("}")
	case reflect.Ptr:
		if v.IsNil() {
			s.printf("nil")
		} else if !s.again(v, "&") {
			s.value(v.Elem())
		}
	case reflect.Interface:
		if v.IsNil() {
			s.printf("nil")
			return
		}
		s.printf("%s:", v.Elem().Type())
		s.value(v.Elem())
	case reflect.Map:
		s.mapping(v)
	case reflect.Chan:
		s.channel(v)
	case reflect.Func:
		s.function(v)
	default:
		s.printf("?")
	}
}

func (s *shape) list(v reflect.Value) {
	s.printf("[")
	for i := 0; i < v.Len(); i++ {
		if i > 0 {
			s.printf(" ")
		}
		s.value(v.Index(i))
	}
	s.printf("]")
}

// mapping prints the entries in the order of how their keys print.
func (s *shape) mapping(v reflect.Value) {
	if v.IsNil() {
		s.printf("nil")
		return
	}
	if s.again(v, "map") {
		return
	}
	type entry struct {
		text string
		key  reflect.Value
	}
	var list []entry
	for _, k := range v.MapKeys() {
		in := shape{seen: map[string]bool{}}
		in.value(k)
		list = append(list, entry{string(in.b), k})
	}
	sort.Slice(list, func(i, j int) bool { return list[i].text < list[j].text })
	s.printf("%d{", v.Len())
	for i, e := range list {
		if i > 0 {
			s.printf(" ")
		}
		s.value(e.key)
		s.printf(":")
		s.value(v.MapIndex(e.key))
	}
	s.printf("}")
}

func (s *shape) channel(v reflect.Value) {
	if v.IsNil() {
		s.printf("nil")
		return
	}
	if s.again(v, "chan") {
		return
	}
	s.printf(" %d/%d", v.Len(), v.Cap())
	if isClosed(v) {
		s.printf(" closed")
	}
	s.printf("[")
	if buffered != nil {
		for i, e := range buffered(v) {
			if i > 0 {
				s.printf(" ")
			}
			s.value(e)
		}
	}
	s.printf("]")
}

// isClosed looks at runtime.hchan, whose field of this has not moved.
func isClosed(v reflect.Value) bool {
	ptr := unsafe.Sizeof(uintptr(0))
	return *(*uint32)(unsafe.Pointer(v.Pointer() + 3*ptr + 4)) != 0
}

func (s *shape) function(v reflect.Value) {
	if v.IsNil() {
		s.printf("nil")
		return
	}
	name := runtime.FuncForPC(v.Pointer()).Name()
	if strings.Contains(name, "[") {
		s.printf("func") // the names of generic code differ
		return
	}
	s.printf("func:%s{", name)
	if variables != nil {
		names, values := variables(v)
		for i, name := range names {
			if i > 0 {
				s.printf(" ")
			}
			s.printf("%s=", name)
			s.value(values[i])
		}
	}
	s.printf("}")
}

package main

import (
	"fmt"
	"reflect"
	"runtime"
	"strings"
)

// show prints a call. args are pointers to the arguments.
func show(name string, args ...any) {
	line := name
	for _, arg := range args {
		v := reflect.ValueOf(arg).Elem()
		sh := shape{seen: map[string]bool{}}
		sh.value(v)
		line += "\t" + v.Type().String() + " " + string(sh.b)
	}
	fmt.Println(line)
}

// shape appends values: see package e2e.
type shape struct {
	b    []byte
	seen map[string]bool
}

func (s *shape) printf(format string, args ...any) {
	s.b = append(s.b, fmt.Sprintf(format, args...)...)
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
		fallthrough
	case reflect.Array:
		s.printf("[")
		for i := 0; i < v.Len(); i++ {
			if i > 0 {
				s.printf(" ")
			}
			s.value(v.Index(i))
		}
		s.printf("]")
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
		key := fmt.Sprintf("%#x %s", v.Pointer(), v.Type())
		switch {
		case v.IsNil():
			s.printf("nil")
		case s.seen[key]:
			s.printf("^%#x", v.Pointer())
		default:
			s.seen[key] = true
			s.printf("&%#x", v.Pointer())
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
		if v.IsNil() {
			s.printf("nil")
		} else if !s.again(v, "chan") {
			s.printf(" %d/%d[]", v.Len(), v.Cap()) // all are empty
		}
	case reflect.Func:
		name := runtime.FuncForPC(v.Pointer()).Name()
		if strings.Contains(name, "[") {
			s.printf("func")
		} else {
			s.printf("func:%s{}", name)
		}
	default:
		s.printf("?")
	}
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

// mapping prints a map with one entry.
func (s *shape) mapping(v reflect.Value) {
	if v.IsNil() {
		s.printf("nil")
		return
	}
	if s.again(v, "map") {
		return
	}
	s.printf("%d{", v.Len())
	for _, k := range v.MapKeys() {
		s.value(k)
		s.printf(":")
		s.value(v.MapIndex(k))
	}
	s.printf("}")
}

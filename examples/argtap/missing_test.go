package main

import (
	"strings"
	"testing"

	"github.com/argtap/argtap/abi"
)

func TestPartAt(t *testing.T) {
	i32 := &abi.Type{Name: "int32", Kind: abi.Int32, Size: 4, Align: 4}
	f64 := &abi.Type{Name: "float64", Kind: abi.Float64, Size: 8, Align: 8}
	inner := &abi.Type{Name: "main.in", Kind: abi.Struct, Size: 16, Fields: []abi.Field{
		{Name: "a", Type: i32}, {Name: "x", Type: f64, Offset: 8},
	}}
	outer := &abi.Type{Name: "main.out", Kind: abi.Struct, Size: 40, Fields: []abi.Field{
		{Name: "n", Type: i32},
		{Name: "in", Type: &abi.Type{Kind: abi.Array, Len: 2, Size: 32, Elem: inner}, Offset: 8},
	}}
	for _, test := range []struct {
		typ    *abi.Type
		offset int64
		want   string
	}{
		{outer, 0, ".n"},
		{outer, 8, ".in[0].a"},
		{outer, 16, ".in[0].x"},
		{outer, 32, ".in[1].x"},
		{outer, 4, "bytes from 4"}, // padding
		{f64, 0, "bytes from 0"},
		{&abi.Type{Kind: abi.String, Size: 16}, 8, "bytes from 8"},
	} {
		if got := partAt(test.typ, test.offset); got != test.want {
			t.Errorf("%s at %d is %s, want %s", test.typ, test.offset, got, test.want)
		}
	}
}

func TestUndecoded(t *testing.T) {
	i := &abi.Type{Name: "int", Kind: abi.Int, Size: 8}
	m := &abi.Type{Name: "unsafe.Pointer", Kind: abi.UnsafePointer, Size: 8}
	e := &abi.Type{Name: "error", Kind: abi.Interface, Size: 16}
	node := &abi.Type{Name: "main.node", Kind: abi.Struct}
	ptr := &abi.Type{Name: "*main.node", Kind: abi.Pointer, Size: 8, Elem: node}
	node.Fields = []abi.Field{
		{Name: "next", Type: ptr},
		{Name: "m", Type: m},
		{Name: "errs", Type: &abi.Type{Kind: abi.Slice, Elem: e}},
		{Name: "n", Type: i},
	}
	itself := &abi.Type{Name: "main.T", Kind: abi.Slice, Size: 24}
	itself.Elem = itself
	for _, test := range []struct {
		typ  *abi.Type
		want string
	}{
		{i, ""},
		{e, ""},
		{ptr, ".m: unsafe.Pointer as raw words"},
		{&abi.Type{Kind: abi.Slice, Elem: ptr}, ""}, // these are not looked through
		{itself, ""},
		{&abi.Type{Kind: abi.Array, Len: 0, Elem: e}, ""},
		{&abi.Type{Kind: abi.Array, Len: 2, Elem: m}, "[]: unsafe.Pointer as raw words"},
	} {
		if got := strings.Join(undecoded(nil, test.typ, "", 1), ", "); got != test.want {
			t.Errorf("%s: %s, want %s", test.typ, got, test.want)
		}
	}
}

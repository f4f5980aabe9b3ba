package capture_test

import (
	"encoding/binary"
	"fmt"
	"reflect"
	"testing"

	"github.com/argtap/argtap/abi"
	"github.com/argtap/argtap/internal/capture"
)

func walkNode() *abi.Type {
	str := &abi.Type{Name: "string", Kind: abi.String, Size: 16, Align: 8}
	n := &abi.Type{Name: "main.node", Kind: abi.Struct, Size: 64, Align: 8}
	ptr := &abi.Type{Name: "*main.node", Kind: abi.Pointer, Size: 8, Align: 8, Elem: n}
	n.Fields = []abi.Field{
		{Name: "next", Type: ptr},
		{Name: "name", Type: str, Offset: 8},
		{Name: "kids", Type: &abi.Type{Name: "[]*main.node", Kind: abi.Slice, Size: 24, Align: 8, Elem: ptr}, Offset: 24},
		{Name: "any", Type: &abi.Type{Name: "interface {}", Kind: abi.Interface, Size: 16, Align: 8}, Offset: 48},
	}
	return n
}

func input(t *abi.Type) capture.Input {
	return capture.Input{Name: "p", Type: t, Location: abi.Location{{Size: t.Size, Kind: abi.InFrame}}}
}

// rowsOf decodes the rows of a range of the table.
func rowsOf(types *capture.Types, first, n uint32) (rows []string) {
	_, b := types.Encode()
	for i := first; i < first+n; i++ {
		r := b[i*capture.RowSize:]
		u32 := func(off int) uint32 { return binary.LittleEndian.Uint32(r[off:]) }
		rows = append(rows, fmt.Sprintf("%d kind %d hop %d type %d limit %d", u32(capture.RowOffset), r[capture.RowKindAt], r[capture.RowHop], u32(capture.RowType), u32(capture.RowLimit)))
	}
	return rows
}

// TestTypeTable: a type that refers to itself has one entry, however deep.
func TestTypeTable(t *testing.T) {
	types := capture.NewTypes(abi.AMD64, capture.Limits{Elems: 10})
	n := walkNode()
	p := capture.BuildWalk(abi.AMD64, []capture.Input{input(pointer(n))}, capture.Limits{Elems: 10}, types)
	if got := rowsOf(types, p.Walk.First, p.Walk.Rows); !reflect.DeepEqual(got, []string{"48 kind 0 hop 1 type 3 limit 1"}) {
		t.Errorf("parameter: %q", got)
	}
	id, _, r := types.Lookup(capture.RowPointer, n)
	if id != 3 || r != abi.Present || types.Image(id).Type != n {
		t.Fatalf("node is %d, %v", id, r)
	}
	enc, _ := types.Encode()
	b := enc[id*capture.TypeSize:]
	first, rows := binary.LittleEndian.Uint32(b[capture.TypeFirst:]), uint32(binary.LittleEndian.Uint16(b[capture.TypeRows:]))
	want := []string{
		"0 kind 0 hop 1 type 3 limit 1",
		"8 kind 1 hop 0 type 1 limit 512",
		"24 kind 1 hop 0 type 4 limit 10",
		"48 kind 2 hop 0 type 0 limit 1",
	}
	if got := rowsOf(types, first, rows); !reflect.DeepEqual(got, want) {
		t.Errorf("node: %q, want %q", got, want)
	}
	if !types.Interfaces() {
		t.Error("no interfaces")
	}
	if k, _ := types.Len(); k != 5 {
		t.Errorf("%d types", k)
	}
	// The same type read once more, as its descriptor tells.
	again := walkNode()
	n2 := walkNode()
	n2.RuntimeType, again.RuntimeType = 0x40, 0x40
	a, _, _ := types.Follow(capture.RowPointer, n2)
	c, _, _ := types.Follow(capture.RowPointer, again)
	if a != c || a == id {
		t.Errorf("numbers %d and %d", a, c)
	}
}

func TestDynamicTypes(t *testing.T) {
	types := capture.NewTypes(abi.AMD64, capture.Limits{})
	n := walkNode()
	num := &abi.Type{Name: "int", Kind: abi.Int, Size: 8, Align: 8}
	empty := &abi.Type{Name: "struct {}", Kind: abi.Struct, Align: 1}
	boxed := &abi.Type{Name: "main.box", Kind: abi.Struct, Size: 8, Align: 8, Fields: []abi.Field{{Name: "p", Type: pointer(n)}}}
	types.AddDynamic(16, num, false)
	types.AddDynamic(32, pointer(n), true)
	types.AddDynamic(48, empty, false)
	types.AddDynamic(64, boxed, true)
	types.AddDynamic(16, n, false) // known already
	keys, values := types.EncodeDynamic()
	if fmt.Sprint(keys) != "[16 32 64]" || fmt.Sprintf("%x", values) != "[3 100000004 100000004]" {
		t.Errorf("%d, %x", keys, values)
	}
	if d, ok := types.Dynamic(48); !ok || d.Type != empty {
		t.Errorf("empty: %v, %t", d, ok)
	}
	if _, ok := types.Dynamic(17); ok {
		t.Error("a type that is none")
	}
}

// TestMalformedTypes: tables of nonsense are bounded, and soon made.
func TestMalformedTypes(t *testing.T) {
	huge := &abi.Type{Name: "huge", Kind: abi.Array, Size: 1 << 50, Len: 1 << 47, Elem: pointer(walkNode())}
	inner := &abi.Type{Name: "inner", Kind: abi.Struct, Size: 8, Fields: []abi.Field{{Name: "p", Type: huge.Elem}}}
	for range 20 { // 2^20 fields at one place
		inner = &abi.Type{Name: "twice", Kind: abi.Struct, Size: 8, Fields: []abi.Field{{Name: "a", Type: inner}, {Name: "b", Type: inner}}}
	}
	self := &abi.Type{Name: "self", Kind: abi.Struct, Size: 8}
	self.Fields = []abi.Field{{Name: "s", Type: self}, {Name: "neg", Type: huge.Elem, Offset: -8}}
	str := &abi.Type{Name: "odd", Kind: abi.String, Size: 3}
	limits := capture.Limits{Bytes: 8192, Record: 32 << 10}
	types := capture.NewTypes(abi.AMD64, limits)
	var in []capture.Input
	for _, typ := range []*abi.Type{huge, inner, self, str, {Name: "none"}, {Name: "neg", Kind: abi.Struct, Size: -4}, {Name: "slice", Kind: abi.Slice, Size: 24}} {
		in = append(in, input(typ), input(pointer(typ)))
	}
	for range 100 {
		p := capture.BuildWalk(abi.AMD64, in, limits, types)
		if p.Fixed > p.Walk.Bytes || p.Walk.Bytes > capture.MaxWalk {
			t.Fatalf("%d of %d bytes", p.Fixed, p.Walk.Bytes)
		}
		types.AddDynamic(8, self, true)
		types.AddDynamic(9, nil, true)
	}
	if n, rows := types.Len(); n > capture.MaxTypes || rows > capture.MaxRows {
		t.Errorf("%d types, %d rows", n, rows)
	}
	_, rows := types.Encode()
	for i := 0; i < len(rows); i += capture.RowSize {
		if off := binary.LittleEndian.Uint32(rows[i:]); off > capture.MaxWalk {
			t.Fatalf("a reference at %d", off)
		}
	}
}

// TestLacks: only what a static plan leaves out needs a walk.
func TestLacks(t *testing.T) {
	num := &abi.Type{Name: "int", Kind: abi.Int, Size: 8, Align: 8}
	str := &abi.Type{Name: "string", Kind: abi.String, Size: 16, Align: 8}
	large := &abi.Type{Name: "large", Kind: abi.Array, Size: 80000, Align: 8, Len: 10000, Elem: num}
	pair := &abi.Type{Name: "pair", Kind: abi.Struct, Size: 24, Align: 8, Fields: []abi.Field{{Name: "a", Type: str}, {Name: "b", Type: pointer(num), Offset: 16}}}
	for _, tt := range []struct {
		typ   *abi.Type
		depth int
		want  bool
	}{
		{num, 0, false},
		{str, 0, false},
		{pointer(num), 0, false},
		{slice(str), 0, false},
		{pair, 0, false},
		{slice(pair), 0, false},
		{slice(slice(num)), 0, false},
		{slice(large), 0, false},
		{pointer(large), 0, false},
		{pointer(pair), 0, true}, // *int behind a pointer
		{pointer(pair), 1, false},
		{pointer(pair), 2, false},
		{pointer(pointer(num)), 0, true},
		{pointer(pointer(num)), -1, false},
		{pointer(walkNode()), 0, true},
		{pointer(walkNode()), -1, false},
		{slice(slice(str)), 0, true},
		{slice(slice(slice(num))), 0, true},
		{&abi.Type{Name: "error", Kind: abi.Interface, Size: 16, Align: 8, NumMethod: 1}, 0, true},
		{pointer(&abi.Type{Name: "T"}), 0, true}, // not read: too deep
	} {
		limits := capture.Limits{Depth: tt.depth}
		p := capture.Build(abi.AMD64, []capture.Input{input(tt.typ)}, limits)
		if got := p.Lacks(limits); got != tt.want {
			t.Errorf("%s to depth %d: %t, want %t", tt.typ.Name, tt.depth, got, tt.want)
		}
	}
}

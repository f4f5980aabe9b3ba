package dwarfargs

import (
	"testing"

	"github.com/argtap/argtap/abi"
)

// TestOpenShapes: only what leads to a *uint8 is another type in a shape, and not the
// runtime's.
func TestOpenShapes(t *testing.T) {
	u8 := &abi.Type{Name: "uint8", Kind: abi.Uint8, Size: 1, RuntimeType: 1}
	bytePtr := &abi.Type{Name: "*uint8", Kind: abi.Pointer, Size: 8, Elem: u8, RuntimeType: 2}
	table := &abi.Type{Name: "map[*uint8]int", Kind: abi.Map, Size: 8, Key: bytePtr, Elem: u8, RuntimeType: 3}
	text := &abi.Type{Name: "string", Kind: abi.String, Size: 16, RuntimeType: 4}
	node := &abi.Type{Name: "main.node", Kind: abi.Struct, Size: 24, RuntimeType: 5}
	next := &abi.Type{Name: "*main.node", Kind: abi.Pointer, Size: 8, Elem: node, RuntimeType: 6}
	leaf := &abi.Type{Name: "main.leaf", Kind: abi.Struct, Size: 16, RuntimeType: 7, Fields: []abi.Field{{Name: "s", Type: text}}}
	node.Fields = []abi.Field{{Name: "next", Type: next}, {Name: "t", Type: table}, {Name: "l", Type: leaf}}
	shape := &abi.Type{Name: "go.shape.struct { main.n main.node; main.p *uint8 }_0", Kind: abi.Struct, Size: 32, RuntimeType: 8,
		Fields: []abi.Field{{Name: "n", Type: node}, {Name: "p", Type: bytePtr}, {Name: "s", Type: text}}}

	got := openShapes(shape)
	n := got.Fields[0].Type
	for name, o := range map[string][2]*abi.Type{
		"shape": {got, shape}, "node": {n, node}, "next": {n.Fields[0].Type, next}, "map": {n.Fields[1].Type, table},
		"key": {n.Fields[1].Type.Key, bytePtr}, "p": {got.Fields[1].Type, bytePtr},
	} {
		if o[0] == o[1] || o[0].RuntimeType != 0 || o[1].RuntimeType == 0 || o[0].Size != o[1].Size {
			t.Errorf("%s is %+v, was %+v", name, o[0], o[1])
		}
	}
	if n.Fields[0].Type.Elem != n {
		t.Error("a circle leads out of what is open")
	}
	if k := n.Fields[1].Type.Key; k != got.Fields[1].Type || k.Elem != nil || k.Name != pointerShape {
		t.Errorf("pointer %+v", k)
	}
	if n.Fields[2].Type != leaf || got.Fields[2].Type != text || n.Fields[1].Type.Elem != u8 {
		t.Error("what leads to no pointer is another type")
	}
	if bytePtr.Elem != u8 || node.Fields[1].Type != table || shape.Fields[0].Type != node {
		t.Error("the types themselves have changed")
	}
	plain := &abi.Type{Name: "go.shape.string_0", Kind: abi.String, Size: 16}
	if openShapes(plain) != plain || openShapes(node) != node {
		t.Error("other types have changed")
	}
}

package abi

import (
	"fmt"
	"strings"
)

// generator makes random signatures. Its choices come from intN, so that both
// a seeded source and a fuzzer's bytes can drive it. The types carry their Go
// syntax as name and are laid out here by the rules of abi-internal.md, "Memory
// layout"; TestCompilerOracle compares that with the compiler's sizes.
type generator struct {
	arch *Arch
	intN func(n int) int
}

// genBasic has the types with no parts; size is in bytes, or in words.
var genBasic = []struct {
	name        string
	kind        Kind
	size, words int64
}{
	{"bool", Bool, 1, 0}, {"int", Int, 0, 1}, {"int8", Int8, 1, 0}, {"int16", Int16, 2, 0},
	{"int32", Int32, 4, 0}, {"int64", Int64, 8, 0}, {"uint", Uint, 0, 1}, {"uint8", Uint8, 1, 0},
	{"uint16", Uint16, 2, 0}, {"uint32", Uint32, 4, 0}, {"uint64", Uint64, 8, 0},
	{"uintptr", Uintptr, 0, 1}, {"float32", Float32, 4, 0}, {"float64", Float64, 8, 0},
	{"complex64", Complex64, 8, 0}, {"complex128", Complex128, 16, 0},
	{"chan int", Chan, 0, 1}, {"func()", Func, 0, 1}, {"any", Interface, 0, 2},
	{"map[int]int", Map, 0, 1}, {"*int", Pointer, 0, 1}, {"[]int", Slice, 0, 3},
	{"string", String, 0, 2}, {"unsafe.Pointer", UnsafePointer, 0, 1},
}

func (g *generator) signature() *Signature {
	s := &Signature{}
	for i := range g.intN(9) {
		s.Params = append(s.Params, Param{fmt.Sprintf("p%d", i), g.typ(0)})
	}
	for i := range g.intN(6) {
		s.Results = append(s.Results, Param{fmt.Sprintf("~r%d", i), g.typ(0)})
	}
	return s
}

// typ returns a random type of at most four levels.
func (g *generator) typ(depth int) *Type {
	switch n := g.intN(10); {
	case n < 6 || depth > 3:
		b := genBasic[g.intN(len(genBasic))]
		size := b.size + b.words*g.arch.PtrSize
		t := &Type{Name: b.name, Kind: b.kind, Size: size, Align: min(size, g.arch.PtrSize)}
		switch b.kind {
		case Complex64:
			t.Align = 4
		}
		return t
	case n < 7:
		// Lengths 0 and 1 matter most: only they go to registers.
		return arrayOf(g.typ(depth+1), int64([]int{0, 1, 1, 1, 2, 3}[g.intN(6)]))
	default:
		t := &Type{Kind: Struct}
		for i := range g.intN(6) {
			name := fmt.Sprintf("f%d", i)
			if g.intN(5) == 0 {
				name = "_"
			}
			t.Fields = append(t.Fields, Field{Name: name, Type: g.typ(depth + 1)})
		}
		layOut(t)
		return t
	}
}

func arrayOf(elem *Type, n int64) *Type {
	return &Type{Name: fmt.Sprintf("[%d]%s", n, elem), Kind: Array, Elem: elem, Len: n,
		Size: n * elem.Size, Align: elem.Align}
}

// layOut fills in the name, the offsets and the size of a struct.
func layOut(t *Type) {
	var fields []string
	t.Size, t.Align = 0, 1
	for i := range t.Fields {
		f := &t.Fields[i]
		fields = append(fields, f.Name+" "+f.Type.Name)
		f.Offset = (t.Size + f.Type.Align - 1) / f.Type.Align * f.Type.Align
		t.Size = f.Offset + f.Type.Size
		t.Align = max(t.Align, f.Type.Align)
	}
	if n := len(t.Fields); n > 0 && t.Size > 0 && t.Fields[n-1].Type.Size == 0 {
		t.Size++ // no pointer to the last field may point past the struct
	}
	t.Size = (t.Size + t.Align - 1) / t.Align * t.Align
	t.Name = "struct{" + strings.Join(fields, "; ") + "}"
}

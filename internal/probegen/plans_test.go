package probegen_test

import (
	"github.com/argtap/argtap/abi"
	"github.com/argtap/argtap/internal/capture"
	"github.com/argtap/argtap/internal/probegen"
)

// Types of the test plans.
var (
	tInt    = &abi.Type{Name: "int", Kind: abi.Int, Size: 8, Align: 8}
	tUint8  = &abi.Type{Name: "uint8", Kind: abi.Uint8, Size: 1, Align: 1}
	tFloat  = &abi.Type{Name: "float64", Kind: abi.Float64, Size: 8, Align: 8}
	tString = &abi.Type{Name: "string", Kind: abi.String, Size: 16, Align: 8}
)

func slice(e *abi.Type) *abi.Type {
	return &abi.Type{Name: "[]" + e.Name, Kind: abi.Slice, Size: 24, Align: 8, Elem: e}
}

func pointer(e *abi.Type) *abi.Type {
	return &abi.Type{Name: "*" + e.Name, Kind: abi.Pointer, Size: 8, Align: 8, Elem: e}
}

func array(n int64, e *abi.Type) *abi.Type {
	return &abi.Type{Name: "[n]" + e.Name, Kind: abi.Array, Size: n * e.Size, Align: e.Align, Len: n, Elem: e}
}

// structOf lays out fields whose sizes are multiples of their alignments.
func structOf(name string, fields ...*abi.Type) *abi.Type {
	t := &abi.Type{Name: name, Kind: abi.Struct, Align: 1}
	for i, f := range fields {
		t.Size = (t.Size + f.Align - 1) / f.Align * f.Align
		t.Fields = append(t.Fields, abi.Field{Name: string(rune('A' + i)), Type: f, Offset: t.Size})
		t.Size += f.Size
		t.Align = max(t.Align, f.Align)
	}
	t.Size = (t.Size + t.Align - 1) / t.Align * t.Align
	return t
}

// on386 returns a type of 64 bits as it is on 386.
func on386(t *abi.Type, done map[*abi.Type]*abi.Type) *abi.Type {
	if t == nil {
		return nil
	}
	if u := done[t]; u != nil {
		return u
	}
	u := new(abi.Type)
	*u = *t
	done[t] = u
	u.Align = min(t.Align, 4)
	switch t.Kind {
	case abi.Int, abi.Uint, abi.Uintptr, abi.Map, abi.Chan, abi.Func, abi.UnsafePointer, abi.Pointer:
		u.Size = 4
	case abi.String, abi.Interface:
		u.Size = 8
	case abi.Slice:
		u.Size = 12
	}
	u.Elem, u.Key = on386(t.Elem, done), on386(t.Key, done)
	if t.Kind == abi.Array {
		u.Size = t.Len * u.Elem.Size
		u.Align = u.Elem.Align
	}
	if t.Kind != abi.Struct {
		return u
	}
	u.Size, u.Fields = 0, nil
	for _, f := range t.Fields {
		f.Type = on386(f.Type, done)
		f.Offset = (u.Size + f.Type.Align - 1) / f.Type.Align * f.Type.Align
		u.Fields = append(u.Fields, f)
		u.Size = f.Offset + f.Type.Size
	}
	if u.Align > 0 {
		u.Size = (u.Size + u.Align - 1) / u.Align * u.Align
	}
	return u
}

type planCase struct {
	name   string
	params []*abi.Type // of 64 bits
	limits capture.Limits
	arch   *abi.Arch // nil: amd64
	abi0   bool      // amd64, arm64: the stack ABI
}

// inputs are the parameters and their places.
func (c planCase) inputs() []capture.Input {
	sig := &abi.Signature{}
	memo := map[*abi.Type]*abi.Type{}
	for _, t := range c.params {
		if c.arch == abi.I386 {
			t = on386(t, memo)
		}
		sig.Params = append(sig.Params, abi.Param{Name: "p", Type: t})
	}
	convention := abi.Internal
	if c.abi0 {
		convention = abi.Stack
	}
	asg, err := convention(c.arch, sig)
	if err != nil {
		panic(err)
	}
	var in []capture.Input
	for i, p := range sig.Params {
		loc := asg.Params[i].AtEntry()
		for j := range loc {
			if loc[j].Kind == abi.InRegister && c.arch.IsFloat(loc[j].Reg) {
				loc[j] = abi.Piece{Offset: loc[j].Offset, Size: loc[j].Size, Reason: abi.RegisterNotReadable}
			}
		}
		in = append(in, capture.Input{Name: string(rune('a' + i)), Type: p.Type, Location: loc})
	}
	return in
}

// fn makes the function: the parameters by the calling convention, and g in the
// register that is reserved for it, if there is one.
func (c planCase) fn(id uint32) probegen.Func {
	if c.arch == nil {
		c.arch = abi.AMD64
	}
	in := c.inputs()
	f := probegen.Func{
		ID: id, Cookie: id, Name: "main." + c.name, Arch: c.arch, Plan: capture.Build(c.arch, in, c.limits),
		CFA: c.arch.CFAAtEntry, Skip: probegen.Never,
	}
	f.Plan.Goroutine = 152
	if c.arch.HasG {
		f.G = probegen.G{Kind: probegen.GRegister, Reg: c.arch.G}
	}
	return f
}

func plans() []planCase {
	point := structOf("main.Point", tInt, tInt)
	person := structOf("main.Person", tString, tInt, slice(tUint8))
	deep := structOf("main.Deep", tString, slice(tString), pointer(person))
	many := make([]*abi.Type, 30)
	for i := range many {
		many[i] = tString
	}
	return []planCase{
		{name: "none"},
		{name: "int", params: []*abi.Type{tInt}},
		{name: "float", params: []*abi.Type{tFloat, tInt}},
		{name: "stack", params: []*abi.Type{array(3, tInt), tInt}},
		{name: "bigStack", params: []*abi.Type{array(3000, tInt)}},
		{name: "string", params: []*abi.Type{tString}},
		{name: "issue", params: []*abi.Type{tInt, tString, pointer(point)}},
		{name: "bytes", params: []*abi.Type{slice(tUint8), slice(tInt)}},
		{name: "person", params: []*abi.Type{person, pointer(person)}},
		{name: "strings", params: []*abi.Type{slice(tString)}},
		{name: "people", params: []*abi.Type{slice(person)}},
		{name: "nested", params: []*abi.Type{slice(slice(tString))}},
		{name: "deep", params: []*abi.Type{deep, pointer(deep)}, limits: capture.Limits{Depth: 2}},
		{name: "pointers", params: []*abi.Type{slice(pointer(deep))}, limits: capture.Limits{Depth: 3}},
		{name: "manyStrings", params: many},
		{name: "wide", params: []*abi.Type{structOf("main.Wide", many...)}},
		{name: "limits", params: []*abi.Type{slice(tString), slice(person), tString}, limits: capture.Limits{Elems: 1024, Bytes: 8192, String: 8192, Depth: 4}},
	}
}

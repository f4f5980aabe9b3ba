package probegen_test

import (
	"github.com/argtap/argtap/abi"
	"github.com/argtap/argtap/internal/capture"
	"github.com/argtap/argtap/internal/probegen"
)

// node is type node struct { id int; name string; next *node }.
func node() *abi.Type {
	n := &abi.Type{Name: "main.node", Kind: abi.Struct, Size: 32, Align: 8}
	n.Fields = []abi.Field{
		{Name: "id", Type: tInt},
		{Name: "name", Type: tString, Offset: 8},
		{Name: "next", Type: pointer(n), Offset: 24},
	}
	return n
}

// tree is type tree struct { key int; kids []*tree; tags []string }.
func tree() *abi.Type {
	n := &abi.Type{Name: "main.tree", Kind: abi.Struct, Size: 56, Align: 8}
	n.Fields = []abi.Field{
		{Name: "key", Type: tInt},
		{Name: "kids", Type: slice(pointer(n)), Offset: 8},
		{Name: "tags", Type: slice(tString), Offset: 32},
	}
	return n
}

var (
	tEface = &abi.Type{Name: "interface {}", Kind: abi.Interface, Size: 16, Align: 8}
	tIface = &abi.Type{Name: "error", Kind: abi.Interface, Size: 16, Align: 8, NumMethod: 1}
	tFunc  = &abi.Type{Name: "func()", Kind: abi.Func, Size: 8, Align: 8}
)

func mapOf(k, e *abi.Type) *abi.Type {
	return &abi.Type{Name: "map[" + k.Name + "]" + e.Name, Kind: abi.Map, Size: 8, Align: 8, Key: k, Elem: e}
}

func chanOf(e *abi.Type) *abi.Type {
	return &abi.Type{Name: "chan " + e.Name, Kind: abi.Chan, Size: 8, Align: 8, Elem: e}
}

// walkPlans are parameters that need a walk.
func walkPlans() []planCase {
	return []planCase{
		{name: "list", params: []*abi.Type{pointer(node())}},
		{name: "tree", params: []*abi.Type{pointer(tree()), slice(slice(tString))}},
		{name: "any", params: []*abi.Type{tEface, tIface, slice(tEface)}},
		{name: "containers", params: []*abi.Type{mapOf(tString, tInt), chanOf(pointer(node())), tFunc, mapOf(tInt, mapOf(tEface, array(30, tString)))}},
		{name: "largest", params: []*abi.Type{array(2000, tEface), pointer(node()), slice(slice(slice(slice(tIface))))},
			limits: capture.Limits{String: 8192, Elems: 1024, Bytes: 8192, Depth: 100, Objects: 1024, Record: 32 << 10}},
	}
}

// dynamics are the types that interfaces hold in tests, by the addresses of
// their descriptors.
func dynamics(a *abi.Arch) map[uint64]*abi.Type {
	m := map[uint64]*abi.Type{
		0x1000: tInt, 0x2000: tString, 0x3000: pointer(node()), 0x4000: structOf("main.pair", tEface, tIface), 0x5000: structOf("main.empty"),
		0x6000: mapOf(tInt32, tString), 0x7000: structOf("main.wrapped", chanOf(tString)), 0x8000: tFunc,
	}
	if a == abi.I386 {
		memo := map[*abi.Type]*abi.Type{}
		for k, t := range m {
			m[k] = on386(t, memo)
		}
	}
	return m
}

// dynamicKeys are the keys of dynamics, in order.
var dynamicKeys = []uint64{0x1000, 0x2000, 0x3000, 0x4000, 0x5000, 0x6000, 0x7000, 0x8000}

// closureKey is the address of code of which something was captured.
const closureKey = 0x9000

// addDynamics adds them to a type table.
func addDynamics(a *abi.Arch, types *capture.Types) {
	d := dynamics(a)
	for _, k := range dynamicKeys {
		types.AddDynamic(k, d[k], d[k].Kind == abi.Pointer || k >= 0x6000)
	}
	c := structOf("closure", &abi.Type{Name: "uintptr", Kind: abi.Uintptr, Size: 8, Align: 8}, tString, pointer(node()))
	if a == abi.I386 {
		c = on386(c, map[*abi.Type]*abi.Type{})
	}
	types.AddClosure(closureKey, c, nil)
}

// walks makes functions that share a type table.
func walks(a *abi.Arch, cases []planCase, withDynamic bool) ([]probegen.Func, *capture.Types) {
	if a == nil {
		a = abi.AMD64
	}
	types := capture.NewTypes(a, cases[0].limits)
	types.SetRelease("go1.26.8")
	var funcs []probegen.Func
	for i, c := range cases {
		c.arch = a
		f := c.fn(uint32(i))
		goid := f.Plan.Goroutine
		f.Plan = capture.BuildWalk(a, c.inputs(), c.limits, types)
		f.Plan.Goroutine = goid
		f.Site = 0x401000
		funcs = append(funcs, f)
	}
	if withDynamic {
		addDynamics(a, types)
	}
	return funcs, types
}

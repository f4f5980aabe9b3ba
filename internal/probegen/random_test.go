package probegen_test

import (
	"math"
	"math/rand/v2"
	"strconv"

	"github.com/argtap/argtap/abi"
	"github.com/argtap/argtap/internal/capture"
	"github.com/argtap/argtap/internal/probegen"
)

// random makes random functions of one architecture. The same seed makes the
// same functions.
type random struct {
	*rand.Rand
	arch *abi.Arch
	// noLoops is for functions whose programs run on an old kernel.
	noLoops bool
}

func newRandom(seed uint64, a *abi.Arch) random {
	return random{Rand: rand.New(rand.NewPCG(seed, 0x9a)), arch: a}
}

// register is a random register that arguments may be in.
func (r random) register() abi.Reg {
	if len(r.arch.Ints) == 0 {
		return pick(r, abi.EAX, abi.ECX, abi.EDX, abi.EBX)
	}
	return pick(r, r.arch.Ints...)
}

// g is a random place of the g.
func (r random) g() probegen.G {
	switch r.IntN(5) {
	case 0:
		return probegen.G{}
	case 1:
		return probegen.G{Kind: probegen.GRegister, Reg: r.register()}
	case 2:
		if r.arch == abi.AMD64 {
			return probegen.G{Kind: probegen.GThread, TLS: pick[int64](r, -8, -8, -120, 16, 1<<40)}
		}
	}
	if !r.arch.HasG {
		return probegen.G{Kind: probegen.GRegister, Reg: abi.ECX}
	}
	return probegen.G{Kind: probegen.GRegister, Reg: r.arch.G}
}

func (r random) one(in int) bool { return r.IntN(in) == 0 }

func pick[T any](r random, list ...T) T { return list[r.IntN(len(list))] }

var (
	tInt32   = &abi.Type{Name: "int32", Kind: abi.Int32, Size: 4, Align: 4}
	tInt16   = &abi.Type{Name: "int16", Kind: abi.Int16, Size: 2, Align: 2}
	tBool    = &abi.Type{Name: "bool", Kind: abi.Bool, Size: 1, Align: 1}
	tComplex = &abi.Type{Name: "complex64", Kind: abi.Complex64, Size: 8, Align: 4}
	tAny     = &abi.Type{Name: "interface {}", Kind: abi.Interface, Size: 16, Align: 8}
	tMap     = &abi.Type{Name: "map[int]int", Kind: abi.Map, Size: 8, Align: 8}
	tEmpty   = &abi.Type{Name: "struct {}", Kind: abi.Struct, Align: 1}
	tStub    = &abi.Type{Name: "main.Unread", Kind: abi.Invalid}
	tList    = list()
)

// list is a type that refers to itself.
func list() *abi.Type {
	t := &abi.Type{Name: "main.List", Kind: abi.Struct, Align: 8, Size: 24}
	t.Fields = []abi.Field{
		{Name: "Next", Type: pointer(t)},
		{Name: "Val", Type: tString, Offset: 8},
	}
	return t
}

// typ is a random type with at most depth levels.
func (r random) typ(depth int) *abi.Type {
	if depth <= 0 || r.one(3) {
		return pick(r, tInt, tInt, tUint8, tInt32, tInt16, tBool, tFloat, tComplex, tString, tString, tString, tAny, tMap, tEmpty)
	}
	switch r.IntN(8) {
	case 0, 1, 2:
		fields := make([]*abi.Type, r.IntN(6))
		for i := range fields {
			fields[i] = r.typ(depth - 1)
		}
		return structOf("main.S"+strconv.Itoa(r.IntN(1000)), fields...)
	case 3:
		return array(pick[int64](r, 0, 1, 2, 3, 3, 10, 200), r.typ(depth-1))
	case 4, 5:
		return slice(r.elem(depth))
	}
	return pointer(r.elem(depth))
}

func (r random) elem(depth int) *abi.Type {
	switch r.IntN(12) {
	case 0:
		return tStub
	case 1:
		return tList
	}
	return r.typ(depth - 1)
}

// limits are random limits, often the default.
func (r random) limits() capture.Limits {
	l := capture.Limits{NoLoops: r.noLoops}
	switch r.IntN(4) {
	case 0:
		l.String, l.Elems = pick(r, 1, 5, 100, 8192), pick(r, 1, 3, 64, 1024)
		l.Bytes, l.Depth = pick(r, 8, 17, 500, 8192), pick(r, -1, 1, 2, 4)
	case 1:
		l.Depth = pick(r, 2, 3, 4)
	}
	return l
}

func firstCond(a *abi.Arch) probegen.Cond {
	if a == abi.ARM64 {
		return 0x10
	}
	return 0
}

// location is a random location of a value of size bytes: any run of its
// bytes may be anywhere.
func (r random) location(size int64) abi.Location {
	var loc abi.Location
	for off := int64(0); off < size; {
		p := abi.Piece{Offset: off, Size: min(pick[int64](r, 1, 2, 4, 8, 8, 8, 8, 3, 24, 500), size-off)}
		switch r.IntN(7) {
		case 0, 1:
			p.Kind, p.Reg = abi.InRegister, r.register()
		case 2, 3:
			p.Kind, p.CFA = abi.InFrame, abi.CFAOffset(8*r.IntN(40)-40)
		case 4:
			p.Kind, p.Reg, p.Disp = abi.InMemory, r.register(), pick[int64](r, 0, 0, 8, -16, 4000, math.MinInt32, 1<<40)
		case 5:
			p.Kind, p.Const = abi.Constant, r.Uint64()
		case 6:
			p.Reason = pick(r, abi.OptimizedOut, abi.RegisterNotReadable)
		}
		off += p.Size
		if !r.one(6) { // else these bytes are padding
			loc = append(loc, p)
		}
	}
	return loc
}

// heavy is a function with as many references, one within another, as the
// limits allow.
func (r random) heavy(id uint32) probegen.Func {
	c := planCase{name: "heavy", arch: r.arch, limits: heavyLimits(r.noLoops)}
	c.params = r.heavyTypes()
	return c.fn(id)
}

func heavyLimits(noLoops bool) capture.Limits {
	return capture.Limits{String: 8192, Elems: 1024, Bytes: 8192, Depth: 4, NoLoops: noLoops}
}

func (r random) heavyTypes() (types []*abi.Type) {
	for range 1 + r.IntN(4) {
		t := tString
		for range 2 + r.IntN(6) {
			switch r.IntN(4) {
			case 0, 1:
				fields := []*abi.Type{t, tString, tInt}
				for range r.IntN(12) {
					fields = append(fields, pick(r, t, tString, slice(tInt), pointer(t)))
				}
				t = structOf("main.H"+strconv.Itoa(len(fields)), fields...)
			case 2:
				t = slice(t)
			default:
				t = pointer(t)
			}
		}
		types = append(types, t)
	}
	return types
}

// fn is a random function: random parameters where the calling convention or
// chance puts them.
func (r random) fn(id uint32) probegen.Func {
	c := planCase{name: "random", arch: r.arch, abi0: r.one(4), limits: r.limits(), params: make([]*abi.Type, r.IntN(5))}
	for i := range c.params {
		c.params[i] = r.typ(3)
	}
	var f probegen.Func
	if r.one(3) {
		in := make([]capture.Input, len(c.params))
		memo := map[*abi.Type]*abi.Type{}
		for i, t := range c.params {
			if r.arch == abi.I386 {
				t = on386(t, memo)
			}
			in[i] = capture.Input{Name: string(rune('a' + i)), Type: t, Location: r.location(t.Size)}
		}
		f = c.fn(id)
		f.Plan = capture.Build(r.arch, in, c.limits)
	} else {
		f = c.fn(id)
	}
	f.CFA = pick[int64](r, 8, 8, 16, 200)
	f.Plan.Goroutine = pick[int64](r, 152, 160, 0)
	if r.one(4) {
		f.Skip = firstCond(r.arch) + probegen.Cond(r.IntN(16))
	}
	f.G = r.g()
	return f
}

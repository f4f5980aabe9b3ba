// Command compileroracle asks the Go compiler's own package abi for argument
// assignments. TestCompilerOracle overlays it into cmd/compile/internal, the
// only place from which that package can be imported, and runs it: function
// types come in as JSON, assignments go out as JSON. The argument is a GOARCH.
package main

import (
	"bufio"
	"encoding/json"
	"log"
	"os"

	"cmd/compile/internal/abi"
	"cmd/compile/internal/base"
	"cmd/compile/internal/typecheck"
	"cmd/compile/internal/types"
	"cmd/internal/obj"
	"cmd/internal/obj/arm64"
	"cmd/internal/obj/x86"
	"cmd/internal/src"
)

// typeTree is a type; Kind as in package reflect.
type typeTree struct {
	Kind   int
	Len    int64       `json:",omitempty"`
	Elem   *typeTree   `json:",omitempty"`
	Fields []*typeTree `json:",omitempty"`
}

type function struct{ In, Out []*typeTree }

// value is the assignment of one value. Regs count integer registers from 0
// and floating-point registers from 100.
type value struct {
	Size, Align int64
	Regs        []int
	Offsets     []int64 // of each register's bytes in the value
	Sizes       []int64
	// Frame is the place on the stack, or spill slot, from the first
	// argument on; -1 if none.
	Frame int64
}

type assignment struct {
	In, Out              []value
	SpillOffset, ArgSize int64
}

// archs has the number of registers by GOARCH, from
// cmd/compile/abi-internal.md.
var archs = map[string]struct {
	link         *obj.LinkArch
	ints, floats int
}{
	"amd64": {&x86.Linkamd64, 9, 15},
	"arm64": {&arm64.Linkarm64, 16, 16},
	"386":   {&x86.Link386, 0, 0},
}

var basic = map[int]types.Kind{
	1: types.TBOOL, 2: types.TINT, 3: types.TINT8, 4: types.TINT16, 5: types.TINT32,
	6: types.TINT64, 7: types.TUINT, 8: types.TUINT8, 9: types.TUINT16,
	10: types.TUINT32, 11: types.TUINT64, 12: types.TUINTPTR, 13: types.TFLOAT32,
	14: types.TFLOAT64, 15: types.TCOMPLEX64, 16: types.TCOMPLEX128,
	24: types.TSTRING, 26: types.TUNSAFEPTR,
}

func (t *typeTree) compile() *types.Type {
	i := types.Types[types.TINT]
	switch t.Kind {
	case 17:
		return types.NewArray(t.Elem.compile(), t.Len)
	case 18:
		return types.NewChan(i, types.Cboth)
	case 19:
		return types.NewSignature(nil, nil, nil)
	case 20:
		return types.Types[types.TINTER]
	case 21:
		return types.NewMap(i, i)
	case 22:
		return types.NewPtr(i)
	case 23:
		return types.NewSlice(i)
	case 25:
		var fields []*types.Field
		for _, f := range t.Fields {
			fields = append(fields, types.NewField(src.NoXPos, nil, f.compile()))
		}
		return types.NewStruct(fields)
	}
	return types.Types[basic[t.Kind]]
}

func main() {
	log.SetFlags(0)
	arch, ok := archs[os.Args[1]]
	if !ok {
		log.Fatalf("unknown architecture %s", os.Args[1])
	}
	link, ints, floats := arch.link, arch.ints, arch.floats
	types.MaxWidth = 1 << 50
	base.Ctxt = obj.Linknew(link)
	base.Ctxt.DiagFunc = func(format string, args ...any) { log.Fatalf(format, args...) }
	base.Ctxt.DiagFlush = func() {}
	base.Ctxt.Bso = bufio.NewWriter(os.Stdout)
	types.LocalPkg = types.NewPkg("p", "local")
	types.PtrSize = link.PtrSize
	types.RegSize = link.RegSize
	typecheck.InitUniverse()
	config := abi.NewABIConfig(ints, floats, link.FixedFrameSize, 1)

	var funcs []function
	if err := json.NewDecoder(os.Stdin).Decode(&funcs); err != nil {
		log.Fatal(err)
	}
	out := make([]assignment, 0, len(funcs))
	for _, f := range funcs {
		params := func(trees []*typeTree) []*types.Field {
			var fields []*types.Field
			for _, t := range trees {
				fields = append(fields, types.NewField(src.NoXPos, nil, t.compile()))
			}
			return fields
		}
		ft := types.NewSignature(nil, params(f.In), params(f.Out))
		types.CalcSize(ft)
		got := config.ABIAnalyzeFuncType(ft)
		a := assignment{SpillOffset: got.SpillAreaOffset(), ArgSize: got.ArgWidth()}
		values := func(ps []abi.ABIParamAssignment, results bool) []value {
			vs := []value{}
			for i := range ps {
				p := &ps[i]
				v := value{Size: p.Type.Size(), Align: p.Type.Alignment(), Frame: -1}
				for _, r := range p.Registers {
					n := int(r)
					if n >= ints {
						n += 100 - ints
					}
					v.Regs = append(v.Regs, n)
				}
				ts, offs := p.RegisterTypesAndOffsets()
				v.Offsets = offs
				for _, t := range ts {
					v.Sizes = append(v.Sizes, t.Size())
				}
				if !results || len(p.Registers) == 0 {
					v.Frame = p.FrameOffset(got)
				}
				vs = append(vs, v)
			}
			return vs
		}
		a.In, a.Out = values(got.InParams(), false), values(got.OutParams(), true)
		out = append(out, a)
	}
	if err := json.NewEncoder(os.Stdout).Encode(out); err != nil {
		log.Fatal(err)
	}
}

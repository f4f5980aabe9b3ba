package dwarfargs

import (
	"debug/dwarf"
	"debug/elf"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/argtap/argtap/abi"
	"github.com/argtap/argtap/symbols"
)

// oracleParam is a parameter as debug/dwarf reads it.
type oracleParam struct {
	name   string
	result bool
	typ    dwarf.Type
}

type oracleFunc struct {
	name       string
	entry, end uint64
	params     []oracleParam
}

// oracle lists all functions with code in the file, read by debug/dwarf.
func oracle(tb testing.TB, path string) (*dwarf.Data, []oracleFunc) {
	tb.Helper()
	f, err := elf.Open(path)
	if err != nil {
		tb.Fatal(err)
	}
	defer f.Close()
	dw, err := f.DWARF()
	if err != nil {
		tb.Fatal(err)
	}
	at := dw.Reader()
	entryAt := func(off dwarf.Offset) *dwarf.Entry {
		at.Seek(off)
		e, err := at.Next()
		if err != nil {
			tb.Fatal(err)
		}
		return e
	}
	val := func(e *dwarf.Entry, a dwarf.Attr) any {
		for range 4 {
			if v := e.Val(a); v != nil {
				return v
			}
			off, ok := e.Val(dwarf.AttrAbstractOrigin).(dwarf.Offset)
			if !ok {
				return nil
			}
			e = entryAt(off)
		}
		return nil
	}
	var funcs []oracleFunc
	r := dw.Reader()
	for {
		e, err := r.Next()
		if err != nil {
			tb.Fatal(err)
		}
		if e == nil {
			return dw, funcs
		}
		if e.Tag == dwarf.TagCompileUnit {
			continue
		}
		if e.Tag == dwarf.TagSubprogram && e.Val(dwarf.AttrLowpc) != nil {
			fn := oracleFunc{entry: e.Val(dwarf.AttrLowpc).(uint64)}
			fn.name, _ = val(e, dwarf.AttrName).(string)
			switch h := e.Val(dwarf.AttrHighpc).(type) {
			case uint64:
				fn.end = h
			case int64:
				fn.end = fn.entry + uint64(h)
			}
			seen := make(map[string]bool)
			for e.Children {
				c, err := r.Next()
				if err != nil {
					tb.Fatal(err)
				}
				if c.Tag == 0 {
					break
				}
				if c.Tag == dwarf.TagFormalParameter {
					p := oracleParam{}
					p.name, _ = val(c, dwarf.AttrName).(string)
					p.result, _ = val(c, dwarf.AttrVarParam).(bool)
					if off, ok := val(c, dwarf.AttrType).(dwarf.Offset); ok {
						if p.typ, err = dw.Type(off); err != nil {
							tb.Fatal(err)
						}
					}
					if !p.result || !seen[p.name] {
						fn.params = append(fn.params, p)
					}
					seen[p.name] = p.result
				}
				if c.Children {
					r.SkipChildren()
				}
			}
			funcs = append(funcs, fn)
			continue
		}
		if e.Children {
			r.SkipChildren()
		}
	}
}

// differ compares types with debug/dwarf's.
type differ struct {
	ptr  int64
	seen map[string]bool
}

func (df *differ) diff(t *abi.Type, o dwarf.Type, depth int) error {
	if t == nil {
		return fmt.Errorf("no type, debug/dwarf has %s", o)
	}
	key := fmt.Sprintf("%p %p %d", t, o, depth)
	if df.seen[key] {
		return nil
	}
	df.seen[key] = true
	fail := func(format string, args ...any) error {
		return fmt.Errorf("type %s (debug/dwarf: %s): "+format, append([]any{t, o.Common().Name}, args...)...)
	}
	name := o.Common().Name
	under := o
	for {
		td, ok := under.(*dwarf.TypedefType)
		if !ok {
			break
		}
		if strings.HasPrefix(td.Name, ".param") {
			o, name = td.Type, td.Type.Common().Name
		}
		under = td.Type
	}
	if st, ok := under.(*dwarf.StructType); ok && name == "" {
		name = st.StructName
	}
	if t.Name != name && name != "" {
		return fail("name is %q", name)
	}
	if t.Kind == abi.Invalid {
		if depth >= 0 {
			return fail("not read at depth %d", depth)
		}
		return nil
	}
	if depth < 0 {
		return fail("read too deep")
	}
	if _, isFunc := under.(*dwarf.FuncType); !isFunc && t.Size != o.Size() {
		return fail("%d bytes, want %d", t.Size, o.Size())
	}
	switch u := under.(type) {
	case *dwarf.StructType:
		switch t.Kind {
		case abi.String:
			return nil
		case abi.Slice:
			return df.diff(t.Elem, u.Field[0].Type.(*dwarf.PtrType).Type, depth-1)
		case abi.Interface:
			if want := u.StructName == "runtime.iface"; want != (t.NumMethod > 0) {
				return fail("interface with methods: %t", want)
			}
			return nil
		case abi.Struct:
		default:
			return fail("kind %s for a struct", t.Kind)
		}
		if len(u.Field) != len(t.Fields) {
			return fail("%d fields, want %d", len(t.Fields), len(u.Field))
		}
		for i, f := range u.Field {
			g := t.Fields[i]
			if g.Name != f.Name || g.Offset != f.ByteOffset {
				return fail("field %d is %s at %d, want %s at %d", i, g.Name, g.Offset, f.Name, f.ByteOffset)
			}
			if err := df.diff(g.Type, f.Type, depth); err != nil {
				return fmt.Errorf("%s.%w", t, err)
			}
		}
	case *dwarf.ArrayType:
		if t.Kind != abi.Array || t.Len != u.Count {
			return fail("%s of %d, want array of %d", t.Kind, t.Len, u.Count)
		}
		return df.diff(t.Elem, u.Type, depth)
	case *dwarf.PtrType:
		switch t.Kind {
		case abi.Map, abi.Chan:
			return nil // what is behind is the runtime's
		case abi.UnsafePointer:
			return nil
		case abi.Pointer:
			if t.Elem == nil && isPointerShape(t.Name) {
				return nil // stands for any pointer
			}
			return df.diff(t.Elem, u.Type, depth-1)
		}
		return fail("kind %s for a pointer", t.Kind)
	case *dwarf.FuncType:
		if t.Kind != abi.Func || t.Size != df.ptr {
			return fail("kind %s, %d bytes for a func", t.Kind, t.Size)
		}
	default:
		kinds := map[string][]abi.Kind{
			"*dwarf.BoolType": {abi.Bool}, "*dwarf.FloatType": {abi.Float32, abi.Float64}, "*dwarf.ComplexType": {abi.Complex64, abi.Complex128},
			"*dwarf.IntType":  {abi.Int, abi.Int8, abi.Int16, abi.Int32, abi.Int64},
			"*dwarf.UintType": {abi.Uint, abi.Uint8, abi.Uint16, abi.Uint32, abi.Uint64, abi.Uintptr},
		}[fmt.Sprintf("%T", under)]
		for _, k := range kinds {
			if k == t.Kind {
				return nil
			}
		}
		return fail("kind %s for %T", t.Kind, under)
	}
	return nil
}

// checkOracle compares every function of the file, in random order, so that
// the walks through units are resumed and skipped as they would be.
func checkOracle(t *testing.T, path string, depth int) {
	_, funcs := oracle(t, path)
	f, d := open(t, path)
	df := &differ{ptr: d.ptrSize, seen: make(map[string]bool)}
	rand.New(rand.NewPCG(1, uint64(depth))).Shuffle(len(funcs), func(i, j int) { funcs[i], funcs[j] = funcs[j], funcs[i] })
	params := 0
	for _, o := range funcs {
		fn, err := d.Func(symbols.Func{Name: o.name, Entry: symbols.VirtAddr(o.entry)}, depth)
		if err != nil {
			t.Errorf("%s: %v", o.name, err)
			continue
		}
		if fn.Name != o.name || uint64(fn.End) != o.end {
			t.Errorf("%s: read %s up to %#x, want %#x", o.name, fn.Name, fn.End, o.end)
		}
		var ins, outs []oracleParam
		for _, p := range o.params {
			switch {
			case p.result:
				outs = append(outs, p)
			case !strings.HasPrefix(p.name, "."):
				ins = append(ins, p)
			}
		}
		for _, side := range []struct {
			what string
			got  []Param
			want []oracleParam
		}{{"parameters", fn.Params, ins}, {"results", fn.Results, outs}} {
			if len(side.got) != len(side.want) {
				t.Errorf("%s: %d %s, want %d", o.name, len(side.got), side.what, len(side.want))
				continue
			}
			for i, want := range side.want {
				got := &side.got[i]
				params++
				if got.Name != want.name && !(got.Name == "_" && strings.HasPrefix(want.name, "~p")) {
					t.Errorf("%s: %s %d: name %s, want %s", o.name, side.what, i, got.Name, want.name)
				}
				if err := df.diff(got.Type, want.typ, depth); err != nil {
					t.Errorf("%s: %s: %v", o.name, got.Name, err)
				}
			}
		}
		if t.Failed() && params > 2000 {
			t.Fatal("and so on")
		}
	}
	t.Logf("%d functions, %d parameters and results, %d types", len(funcs), params, len(df.seen))
	if len(funcs) < 1000 || params < 1000 {
		t.Errorf("%s: too little compared", f.Path())
	}
}

// TestOracle compares all functions of the fixture's flavours, runtime
// included, and of the go command with debug/dwarf's reading.
func TestOracle(t *testing.T) {
	for _, fl := range flavours {
		t.Run(fl.name, func(t *testing.T) { checkOracle(t, fixture(t, fl), 2) })
	}
	t.Run("go", func(t *testing.T) { checkOracle(t, goCommand(t), 1) })
}

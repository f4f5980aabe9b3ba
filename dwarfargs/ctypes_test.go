package dwarfargs

import (
	"encoding/binary"
	"testing"

	"github.com/go-delve/delve/pkg/dwarf/op"

	"github.com/argtap/argtap/abi"
	"github.com/argtap/argtap/symbols"
)

// cUnit is a C function with parameters of the types that Go has no like of,
// in the forms that Go's linker does not use.
func cUnit() sections {
	base := func(label, name string, size, enc int) *node {
		return &node{label: label, tag: tagBaseType, attrs: []any{attrName, formString, name, attrByteSize, formData1, size, attrEncoding, formData1, enc}}
	}
	param := func(name string, typ any, loc ...any) *node {
		n := &node{tag: tagFormalParameter, attrs: []any{attrName, formString, name}}
		switch typ := typ.(type) {
		case string:
			n.attrs = append(n.attrs, attrType, formRefAddr, ref(typ))
		case int:
			n.attrs = append(n.attrs, attrType, formRefSig8, typ)
		}
		n.attrs = append(n.attrs, loc...)
		return n
	}
	member := func(name string, off int, typ string, more ...any) *node {
		return &node{tag: tagMember, attrs: append([]any{attrName, formString, name, attrType, formRefAddr, ref(typ), attrMemberLocation, formData1, off}, more...)}
	}
	reg5 := []byte{byte(op.DW_OP_reg5)}
	info, ab := assemble(5, &node{tag: tagCompileUnit, attrs: []any{
		attrProducer, formStrp, 1, attrLanguage, formImplicitConst, 0x0c, attrName, formLineStrp, 0,
		attrStrOffsetsBase, formSecOffset, 8, attrAddrBase, formSecOffset, 8, attrRnglistsBase, formSecOffset, 12,
		attrLoclistsBase, formSecOffset, 12, attrLowPC, formAddr, 0, attrRanges, formRnglistx, 0,
	}, kids: []*node{
		base("int", "int", 4, ateSigned), base("char", "char", 1, ateSignedChar), base("uchar", "unsigned char", 1, ateUnsignedChar),
		base("ulong", "unsigned long", 8, ateUnsigned), base("bool", "_Bool", 1, ateBoolean), base("double", "double", 8, ateFloat),
		base("ldouble", "long double", 16, ateFloat), base("complex", "complex float", 8, ateComplexFloat),
		base("i128", "__int128", 16, ateSigned), base("c32", "char32_t", 4, ateUTF), base("addr", "void *", 8, ateAddress),
		{label: "cint", tag: tagConstType, attrs: []any{attrType, formRefAddr, ref("int")}},
		{label: "void const", tag: tagConstType},
		{label: "pchar", tag: tagPointerType, attrs: []any{attrByteSize, formData1, 8, attrType, formRefAddr, ref("char")}},
		{label: "pvoid", tag: tagPointerType, attrs: []any{attrByteSize, formData1, 8}},
		{label: "pint", tag: tagPointerType, attrs: []any{attrType, formRefAddr, ref("cint")}},
		{label: "myint", tag: tagTypedef, attrs: []any{attrName, formStrx1, 0, attrType, formRefAddr, ref("cint")}},
		{label: "enum", tag: tagEnumerationType, attrs: []any{attrName, formString, "E", attrByteSize, formData1, 4}},
		{label: "enum8", tag: tagEnumerationType, attrs: []any{attrName, formString, "E8", attrByteSize, formData1, 1, attrType, formRefAddr, ref("uchar")}},
		{label: "union", tag: tagUnionType, attrs: []any{attrName, formString, "U", attrByteSize, formData2, 8}},
		{label: "fn", tag: tagSubroutineType},
		{label: "pfn", tag: tagPointerType, attrs: []any{attrType, formRefAddr, ref("fn")}},
		{label: "matrix", tag: tagArrayType, attrs: []any{attrType, formRefAddr, ref("int")}, kids: []*node{
			{tag: tagSubrangeType, attrs: []any{attrUpperBound, formData1, 1}}, {tag: tagSubrangeType, attrs: []any{attrCount, formIndirect, 3}}}},
		{label: "flex", tag: tagArrayType, attrs: []any{attrType, formRefAddr, ref("int")}},
		{label: "struct", tag: tagStructureType, attrs: []any{attrName, formString, "S", attrByteSize, formData1, 24}, kids: []*node{
			member("a", 0, "int"), member("bits", 4, "int", attrBitSize, formData1, 3), member("m", 8, "pchar"),
			{tag: tagMember, attrs: []any{attrName, formString, "old", attrType, formRefAddr, ref("int"), attrMemberLocation, formBlock1, []byte{byte(op.DW_OP_plus_uconst), 16}}},
			{tag: tagMember, attrs: []any{attrName, formString, "static", attrType, formRefAddr, ref("int"), attrDeclaration, formFlagPresent, 1}},
			{tag: tagMember, attrs: []any{attrName, formString, "far", attrType, formRefSig8, 7, attrMemberLocation, formData1, 20}},
		}},
		{label: "decl", tag: tagStructureType, attrs: []any{attrName, formString, "Hidden", attrDeclaration, formFlag, 1}},
		{tag: tagSubprogram, attrs: []any{attrName, formString, "f", attrLowPC, formAddrx1, 0, attrHighPC, formData4, 64,
			attrFrameBase, formExprloc, []byte{byte(op.DW_OP_call_frame_cfa)}, attrDeclLine, formData2, 12}, kids: []*node{
			param("i", "myint", attrLocation, formLoclistx, 0), param("c", "uchar", attrLocation, formBlock, reg5),
			param("l", "ulong", attrLocation, formBlock2, reg5), param("b", "bool", attrLocation, formBlock4, reg5),
			param("d", "double", attrLocation, formExprloc, []byte{byte(op.DW_OP_regx), 17}),
			param("ld", "ldouble", attrLocation, formExprloc, []byte{byte(op.DW_OP_fbreg), 0}),
			param("z", "complex"), param("i128", "i128", attrLocation, formExprloc, []byte{byte(op.DW_OP_reg5), byte(op.DW_OP_piece), 8, byte(op.DW_OP_reg4), byte(op.DW_OP_piece), 8}),
			param("c32", "c32"), param("addr", "addr"), param("v", "void const", attrLocation, formExprloc, reg5),
			param("p", "pchar"), param("pv", "pvoid"), param("pi", "pint"), param("e", "enum"), param("e8", "enum8"),
			param("u", "union"), param("fn", "pfn"), param("m", "matrix"), param("flex", "flex"), param("s", "struct"),
			param("h", "decl"), param("far", 7), param("none", nil),
		}},
	}})
	le := binary.LittleEndian
	loc := append(le.AppendUint32(make([]byte, 12), 4), lleStartxLength, 0, 64, 1, byte(op.DW_OP_reg5), lleEndOfList)
	return sections{
		".debug_info": info, ".debug_abbrev": ab, ".debug_loclists": loc,
		".debug_str": []byte("\x00GNU C17\x00my int\x00"), ".debug_line_str": []byte("a.c\x00"),
		".debug_str_offsets": le.AppendUint32(make([]byte, 8), 9), ".debug_addr": le.AppendUint64(make([]byte, 8), 0x1000),
		".debug_rnglists": append(le.AppendUint32(make([]byte, 12), 4), rleStartxLength, 0, 64, rleEndOfList),
	}
}

func TestC(t *testing.T) {
	s := cUnit()
	d, err := s.open(t)
	if err != nil {
		t.Fatal(err)
	}
	f, err := d.Func(symbols.Func{Name: "f", Entry: 0x1000}, 1)
	if err != nil {
		t.Fatal(err)
	}
	if f.Go || f.Unit != "a.c" || f.Producer != "GNU C17" || f.End != 0x1040 || f.Line != 12 || f.RegABI || f.BlanksMissing {
		t.Errorf("%+v", f)
	}
	want := []struct {
		typ         string
		kind        abi.Kind
		size, align int64
		at          string
	}{
		{"my int", abi.Int32, 4, 4, "RDI:4"},
		{"unsigned char", abi.Uint8, 1, 1, "RDI:1"},
		{"unsigned long", abi.Uint64, 8, 8, "RDI:8"},
		{"_Bool", abi.Bool, 1, 1, "RDI:1"},
		{"double", abi.Float64, 8, 8, "X0:8"},
		{"long double", abi.Invalid, 16, 16, "[CFA+0]:16"},
		{"complex float", abi.Complex64, 8, 4, "-"},
		{"__int128", abi.Invalid, 16, 16, "RDI:8 RSI:8"},
		{"char32_t", abi.Uint32, 4, 4, "-"},
		{"void *", abi.Uint64, 8, 8, "-"},
		{"void", abi.Invalid, 0, 1, "(unknown type):0"},
		{"*char", abi.Pointer, 8, 8, "-"},
		{"*void", abi.UnsafePointer, 8, 8, "-"},
		{"*int", abi.Pointer, 8, 8, "-"},
		{"E", abi.Int32, 4, 4, "-"},
		{"E8", abi.Uint8, 1, 1, "-"},
		{"U", abi.Invalid, 8, 1, "-"},
		{"*func", abi.Pointer, 8, 8, "-"},
		{"[2][3]int", abi.Array, 24, 4, "-"},
		{"[0]int", abi.Array, 0, 4, "-"},
		{"S", abi.Struct, 24, 8, "-"},
		{"Hidden", abi.Invalid, 0, 1, "-"},
		{"void", abi.Invalid, 0, 1, "-"},
		{"void", abi.Invalid, 0, 1, "-"},
	}
	if len(f.Params) != len(want) {
		t.Fatalf("%d parameters, want %d", len(f.Params), len(want))
	}
	for i, w := range want {
		p := &f.Params[i]
		at := "-"
		if l, ok := p.At(0x1000); ok {
			at = l.Format(abi.AMD64)
		}
		if p.Type.Name != w.typ || p.Type.Kind != w.kind || p.Type.Size != w.size || p.Type.Align != w.align || at != w.at {
			t.Errorf("%s: %s, kind %s, size %d, align %d, at %s; want %+v", p.Name, p.Type, p.Type.Kind, p.Type.Size, p.Type.Align, at, w)
		}
	}
	st := f.Params[20].Type
	if len(st.Fields) != 5 || st.Fields[1].Type.Kind != abi.Invalid || st.Fields[3].Offset != 16 || st.Fields[4].Type.Size != 0 {
		t.Errorf("struct S: %+v", st.Fields)
	}
	// Cuts of each section give errors or other results, and no panic.
	for name, b := range s {
		for cut := range b {
			c := cUnit()
			c[name] = b[:cut]
			readAll(t, c, []symbols.Func{{Name: "f", Entry: 0x1000}})
		}
	}
}

// TestOtherUnit checks that a unit that cannot be read hides no function of
// another one, and is named if the function is not found.
func TestOtherUnit(t *testing.T) {
	s := tiny()
	good := len(s[".debug_info"])
	bad := []byte{10, 0, 0, 0, 5, 0, utCompile, 8, 0xff, 0, 0, 0, 1, 2}
	s[".debug_info"] = append(bad, s[".debug_info"]...)
	// References of tiny's are absolute: put the good unit first again, but
	// only in a second try.
	for _, first := range []bool{true, false} {
		if !first {
			s[".debug_info"] = append(tiny()[".debug_info"][:good:good], bad...)
		}
		d, err := s.open(t)
		if err != nil {
			t.Fatal(err)
		}
		_, err = d.Func(symbols.Func{Name: "main.f", Entry: 0x1000}, 0)
		if !first && err != nil {
			t.Errorf("with another broken unit: %v", err)
		}
		if _, err = d.Func(symbols.Func{Name: "main.g", Entry: 0x5000}, 0); err == nil || err == ErrNoEntry {
			t.Errorf("function that is not there: %v, want what is wrong with the unit", err)
		}
	}
}

func TestPrefetch(t *testing.T) {
	f, d := open(t, fixture(t, flavours[0]))
	stop := d.Prefetch()
	fn, err := f.Lookup("main.Ints")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.Func(fn, 0); err != nil {
		t.Error(err)
	}
	stop()
	d.info.mu.Lock()
	defer d.info.mu.Unlock()
	if d.info.greedy != 0 {
		t.Errorf("still in a hurry: %d", d.info.greedy)
	}
}

package dwarfargs

import (
	"encoding/binary"
	"testing"

	"github.com/go-delve/delve/pkg/dwarf/op"

	"github.com/argtap/argtap/abi"
)

// asm puts operations and operands together; see the constants in package op.
func asm(ops ...any) []byte {
	var b []byte
	for _, o := range ops {
		switch o := o.(type) {
		case op.Opcode:
			b = append(b, byte(o))
		case int: // one byte, or a LEB128 number that fits in one
			b = append(b, byte(o)&0x7f)
		case byte:
			b = append(b, o)
		case []byte:
			b = append(b, o...)
		}
	}
	return b
}

var (
	tInt    = &abi.Type{Name: "int", Kind: abi.Int, Size: 8, Align: 8}
	tInt8   = &abi.Type{Name: "int8", Kind: abi.Int8, Size: 1, Align: 1}
	tInt32  = &abi.Type{Name: "int32", Kind: abi.Int32, Size: 4, Align: 4}
	tString = &abi.Type{Name: "string", Kind: abi.String, Size: 16, Align: 8}
	tSlice  = &abi.Type{Name: "[]int", Kind: abi.Slice, Size: 24, Align: 8, Elem: tInt}
	tC128   = &abi.Type{Name: "complex128", Kind: abi.Complex128, Size: 16, Align: 8}
	tEmpty  = &abi.Type{Name: "struct {}", Kind: abi.Struct, Align: 1}
	tArr2   = &abi.Type{Name: "[2]int", Kind: abi.Array, Size: 16, Align: 8, Elem: tInt, Len: 2}
	tArr1   = &abi.Type{Name: "[1]int", Kind: abi.Array, Size: 8, Align: 8, Elem: tInt, Len: 1}
	// struct{int8; int; int32; string}: words of 1, 8, 4, 8, 8 bytes in 40.
	tPadded = &abi.Type{Name: "padded", Kind: abi.Struct, Size: 40, Align: 8, Fields: []abi.Field{
		{Name: "A", Type: tInt8}, {Name: "B", Type: tInt, Offset: 8}, {Name: "_", Type: tInt32, Offset: 16}, {Name: "S", Type: tString, Offset: 24}}}
	// struct{int8; int32}: padding within, none at the end.
	tSmall = &abi.Type{Name: "small", Kind: abi.Struct, Size: 8, Align: 4, Fields: []abi.Field{
		{Name: "A", Type: tInt8}, {Name: "B", Type: tInt32, Offset: 4}}}
	tTail = &abi.Type{Name: "tail", Kind: abi.Struct, Size: 16, Align: 8, Fields: []abi.Field{
		{Name: "A", Type: tInt}, {Name: "B", Type: tInt8, Offset: 8}}}
	tUnread = &abi.Type{Name: "union", Size: 16, Align: 8}
)

// The dialects of optimised and unoptimised Go, and of C.
var (
	goSplit = dialect{isGo: true, split: true}
	goWhole = dialect{isGo: true}
	cCode   = dialect{}
)

func TestExpressions(t *testing.T) {
	const (
		piece = op.DW_OP_piece
		cfaOp = op.DW_OP_call_frame_cfa
		reg0  = op.DW_OP_reg0
		reg3  = op.DW_OP_reg3
		regx  = op.DW_OP_regx
		fbreg = op.DW_OP_fbreg
		val   = op.DW_OP_stack_value
	)
	for _, tt := range []struct {
		name string
		typ  *abi.Type
		di   dialect
		expr []byte
		want string
	}{
		{"register", tInt, goSplit, asm(reg0), "RAX:8"},
		{"low bytes of a register", tInt8, goSplit, asm(reg3), "RBX:1"},
		{"regx", tInt, goSplit, asm(regx, 17), "X0:8"},
		{"regx beyond all registers", tInt, goSplit, asm(regx, []byte{0xff, 0xff, 0xff, 0x7f}), "(unsupported location):8"},
		{"CFA", tInt, goSplit, asm(cfaOp), "[CFA+0]:8"},
		{"fbreg 16", tInt, goSplit, asm(fbreg, 16), "[CFA+16]:8"},
		{"fbreg -8", tInt, goSplit, asm(fbreg, 0x78), "[CFA-8]:8"},
		{"CFA + consts (Go 1.9)", tString, goWhole, asm(cfaOp, op.DW_OP_consts, 16, op.DW_OP_plus), "[CFA+16]:16"},
		{"consts + CFA", tString, goWhole, asm(op.DW_OP_consts, 16, cfaOp, op.DW_OP_plus), "[CFA+16]:16"},
		{"CFA - lit", tInt, goWhole, asm(cfaOp, op.DW_OP_lit8, op.DW_OP_minus), "[CFA-8]:8"},
		{"CFA + uconst", tInt, goWhole, asm(cfaOp, op.DW_OP_plus_uconst, 8), "[CFA+8]:8"},
		{"breg", tInt, goWhole, asm(op.DW_OP_breg7, 8), "[RSP+8]:8"},
		{"bregx", tInt, goWhole, asm(op.DW_OP_bregx, 6, 0x70), "[RBP-16]:8"},
		{"const stack_value", tInt, goSplit, asm(op.DW_OP_const2u, byte(0x34), byte(0x12), val), "$0x1234:8"},
		{"const1s stack_value", tInt, goSplit, asm(op.DW_OP_const1s, byte(0xff), val), "$0xffffffffffffffff:8"},
		{"const for a string", tString, goWhole, asm(op.DW_OP_lit1, val), "(unsupported location):16"},
		{"register's value", tInt, goSplit, asm(op.DW_OP_breg3, 0, val), "RBX:8"},
		{"register's value plus 1", tInt, goSplit, asm(op.DW_OP_breg3, 1, val), "(unsupported location):8"},
		{"a frame address as value", tInt, goSplit, asm(fbreg, 8, val), "(unsupported location):8"},
		{"word in memory as value", tInt, goSplit, asm(fbreg, 8, op.DW_OP_deref, val), "[CFA+8]:8"},
		{"byte in memory as value of 8", tInt, goSplit, asm(fbreg, 8, op.DW_OP_deref_size, 1, val), "(unsupported location):8"},
		{"byte in memory as value of 1", tInt8, goSplit, asm(fbreg, 8, op.DW_OP_deref_size, 1, val), "[CFA+8]:1"},
		{"behind a pointer in memory", tInt, goSplit, asm(fbreg, 8, op.DW_OP_deref), "(unsupported location):8"},
		{"implicit value", tInt32, cCode, asm(op.DW_OP_implicit_value, 4, 1, 2, 3, 4), "$0x4030201:4"},
		{"implicit value in two words", tString, cCode, asm(op.DW_OP_implicit_value, 16, 1, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0), "$0x1:8 $0x2:8"},
		{"implicit value too short", tInt, cCode, asm(op.DW_OP_implicit_value, 4, 1, 2, 3, 4), "(unsupported location):8"},
		{"address", tInt, cCode, asm(op.DW_OP_addr, make([]byte, 8)), "(unsupported location):8"},
		{"address as value", tInt, cCode, asm(op.DW_OP_addr, make([]byte, 8), val), "(unsupported location):8"},
		{"nothing", tInt, goSplit, nil, "(optimized out):8"},
		{"nop", tInt, goSplit, asm(op.DW_OP_nop, reg0, op.DW_OP_nop), "RAX:8"},
		{"zero size", tEmpty, goSplit, asm(reg0), "(zero size)"},

		{"two words", tString, goSplit, asm(reg0, piece, 8, reg3, piece, 8), "RAX:8 RBX:8"},
		{"complex", tC128, goSplit, asm(regx, 19, piece, 8, regx, 20, piece, 8), "X2:8 X3:8"},
		{"register and memory", tString, goSplit, asm(reg0, piece, 8, fbreg, 8, piece, 8), "RAX:8 [CFA+8]:8"},
		{"cap optimised out", tSlice, goSplit, asm(reg0, piece, 8, reg3, piece, 8, piece, 8), "RAX:8 RBX:8 (optimized out):8"},
		{"cap left out", tSlice, goSplit, asm(reg0, piece, 8, reg3, piece, 8), "(unsupported location):24"},
		{"one word too many", tString, goSplit, asm(reg0, piece, 8, reg3, piece, 8, reg0, piece, 8), "(unsupported location):16"},
		{"padding omitted", tPadded, goSplit, asm(reg0, piece, 1, reg3, piece, 8, piece, 4, op.DW_OP_reg5, piece, 8, op.DW_OP_reg4, piece, 8),
			"RAX:1 RBX:8 (optimized out):4 RDI:8 RSI:8"},
		{"padding given", tPadded, goWhole, asm(reg0, piece, 1, piece, 7, reg3, piece, 8, op.DW_OP_reg2, piece, 4, piece, 4, op.DW_OP_reg5, piece, 8, op.DW_OP_reg4, piece, 8),
			"RAX:1 RBX:8 RCX:4 RDI:8 RSI:8"},
		{"padding at the end omitted", tTail, goSplit, asm(reg0, piece, 8, reg3, piece, 1), "RAX:8 RBX:1"},
		{"padding at the end given", tTail, goWhole, asm(reg0, piece, 8, reg3, piece, 1, piece, 7), "RAX:8 RBX:1"},
		{"pieces of other sizes than the words", tPadded, goSplit, asm(reg0, piece, 8, reg3, piece, 1), "(unsupported location):40"},
		{"two words in one piece of memory", tPadded, goSplit, asm(reg0, piece, 1, reg3, piece, 8, piece, 4, fbreg, 24, piece, 16), "RAX:1 RBX:8 (optimized out):4 [CFA+24]:16"},
		{"two words in one register", tSmall, goSplit, asm(reg0), "(unsupported location):8"},
		{"two words in one register, C", tSmall, cCode, asm(reg0), "RAX:8"},
		{"two words in one piece, C", tTail, cCode, asm(reg0, piece, 8, reg3, piece, 8), "RAX:8 RBX:8"},
		{"string in one register", tString, goSplit, asm(reg0), "(unsupported location):16"},
		{"string in one register, C", tString, cCode, asm(reg0), "(unsupported location):16"},
		{"string in memory, split", tString, goSplit, asm(fbreg, 8), "(unsupported location):16"},
		{"string in memory", tString, goWhole, asm(fbreg, 8), "[CFA+8]:16"},
		{"array of one", tArr1, goSplit, asm(reg0), "RAX:8"},
		{"array of two in memory", tArr2, goWhole, asm(fbreg, 8), "[CFA+8]:16"},
		{"array of two in registers", tArr2, goSplit, asm(reg0, piece, 8, reg3, piece, 8), "(unsupported location):16"},
		{"union in registers, C", tUnread, cCode, asm(reg0, piece, 8, reg3, piece, 8), "RAX:8 RBX:8"},

		{"bit piece", tInt, goSplit, asm(reg0, op.DW_OP_bit_piece, 8, 0), "(unsupported location):8"},
		{"unknown operation", tInt, goSplit, asm(byte(0xff)), "(unsupported location):8"},
		{"location, then more", tInt, goSplit, asm(reg0, reg3), "(unsupported location):8"},
		{"piece, then a whole", tString, goSplit, asm(reg0, piece, 8, reg3), "(unsupported location):16"},
		{"empty stack", tInt, goSplit, asm(op.DW_OP_plus), "(unsupported location):8"},
		{"empty stack value", tInt, goSplit, asm(val), "(unsupported location):8"},
		{"truncated operand", tInt, goSplit, asm(op.DW_OP_const4u, 1, 2), "(unsupported location):8"},
		{"truncated LEB128", tInt, goSplit, asm(fbreg, byte(0x80)), "(unsupported location):8"},
		{"arithmetic on registers", tInt, goSplit, asm(op.DW_OP_breg0, 0, op.DW_OP_breg3, 0, op.DW_OP_mul, val), "(unsupported location):8"},
		{"entry value at the entry", tInt, cCode, asm(byte(0xa3), 1, op.DW_OP_reg5, val), "RDI:8"},
		{"GNU entry value at the entry", tInt, cCode, asm(byte(0xf3), 1, op.DW_OP_reg5, val), "RDI:8"},
	} {
		ev := evaluator{order: binary.LittleEndian, addrSize: 8, frameBase: asm(cfaOp), atEntry: true}
		if got := location(tt.typ, ev.eval(tt.expr), tt.di, 8).Format(abi.AMD64); got != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
		}
		if tt.expr == nil {
			continue
		}
		// Any prefix gives some location and no panic.
		for i := range tt.expr {
			location(tt.typ, ev.eval(tt.expr[:i]), tt.di, 8)
		}
	}
}

func TestFrameBase(t *testing.T) {
	for _, tt := range []struct {
		name  string
		base  []byte
		entry bool
		expr  []byte
		want  string
	}{
		{"none", nil, false, asm(op.DW_OP_fbreg, 8), "(unsupported location):8"},
		{"register (clang, rustc)", asm(op.DW_OP_reg7), false, asm(op.DW_OP_fbreg, 8), "[RSP+8]:8"},
		{"register plus", asm(op.DW_OP_breg6, 16), false, asm(op.DW_OP_fbreg, 8), "[RBP+24]:8"},
		{"something else", asm(op.DW_OP_call_frame_cfa, op.DW_OP_deref), false, asm(op.DW_OP_fbreg, 8), "(unsupported location):8"},
		{"entry value elsewhere", nil, false, asm(byte(0xa3), 1, op.DW_OP_reg5, op.DW_OP_stack_value), "(unsupported location):8"},
	} {
		ev := evaluator{order: binary.LittleEndian, addrSize: 8, frameBase: tt.base, atEntry: tt.entry}
		if got := location(tInt, ev.eval(tt.expr), cCode, 8).Format(abi.AMD64); got != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
		}
	}
}

// FuzzExpr evaluates arbitrary expressions for several types. A location must
// lie within its value, by ascending offset and without overlap.
func FuzzExpr(f *testing.F) {
	f.Add(asm(op.DW_OP_reg0, op.DW_OP_piece, 8, op.DW_OP_fbreg, 8, op.DW_OP_piece, 8))
	f.Add(asm(op.DW_OP_call_frame_cfa, op.DW_OP_consts, 16, op.DW_OP_plus))
	f.Add(asm(op.DW_OP_implicit_value, 4, 1, 2, 3, 4))
	f.Add(asm(op.DW_OP_fbreg, 8, op.DW_OP_deref, op.DW_OP_stack_value))
	f.Fuzz(func(t *testing.T, expr []byte) {
		for _, order := range []binary.ByteOrder{binary.LittleEndian, binary.BigEndian} {
			ev := evaluator{order: order, addrSize: 8, frameBase: asm(op.DW_OP_call_frame_cfa), atEntry: true}
			pieces := ev.eval(expr)
			for _, typ := range []*abi.Type{tInt, tString, tSlice, tPadded, tSmall, tArr2, tEmpty, tUnread} {
				for _, di := range []dialect{goSplit, goWhole, cCode} {
					checkLocation(t, typ, location(typ, pieces, di, 8))
				}
			}
		}
	})
}

func checkLocation(t *testing.T, typ *abi.Type, l abi.Location) {
	t.Helper()
	end := int64(0)
	for _, p := range l {
		if p.Offset < end || p.Size <= 0 || p.Offset+p.Size > typ.Size {
			t.Fatalf("%s of %d bytes: location %+v", typ, typ.Size, l)
		}
		end = p.Offset + p.Size
		switch {
		case p.Kind == abi.Nowhere && p.Reason == abi.Present, p.Kind != abi.Nowhere && p.Reason != abi.Present,
			p.Kind == abi.InRegister && p.Size > 8, p.Kind == abi.Constant && p.Size > 8:
			t.Fatalf("%s: piece %+v", typ, p)
		}
	}
	if typ.Size > 0 && len(l) == 0 {
		t.Fatalf("%s: location without pieces", typ)
	}
}

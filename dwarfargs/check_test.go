package dwarfargs

import (
	"encoding/binary"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/argtap/argtap/abi"
)

var update = flag.Bool("update", false, "rewrite the goldens in testdata")

// TestGoldens prints what is believed of functions with parameters that DWARF
// does not describe, or describes by the places of others, and compares it with
// the compiler's tables for tracebacks.
func TestGoldens(t *testing.T) {
	for _, tt := range []struct {
		name string
		show func(*Func) bool
	}{
		{"hidden", func(f *Func) bool { return strings.Contains(f.Name, ".func") || strings.Contains(f.Name, "-range") }},
		{"reassigned", func(f *Func) bool { return f.Name != "main.use" }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			testGolden(t, tt.name, tt.show)
		})
	}
}

func testGolden(t *testing.T, name string, show func(*Func) bool) {
	var b strings.Builder
	for _, fl := range []flavour{
		{name: name, goarch: "amd64", pkg: "./testdata/" + name},
		{name: name + " -N -l", goarch: "amd64", pkg: "./testdata/" + name, args: []string{"-gcflags=-N -l"}},
	} {
		path := fixture(t, fl)
		f, d := open(t, path)
		tables := readArgInfo(t, path)
		fns, err := f.Glob("main.*")
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&b, "%s\n\n", fl.name)
		for _, fn := range fns {
			fd, err := d.Func(fn, 0)
			if err != nil {
				t.Fatal(err)
			}
			rs, err := fd.AtEntry(abi.AMD64)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := tables.confirm(fn, fd); err != nil {
				t.Errorf("%s: %v", fn.Name, err)
			}
			if !show(fd) || len(rs) == 0 {
				continue
			}
			fmt.Fprintln(&b, fn.Name)
			for _, r := range rs {
				fmt.Fprintf(&b, "\t%s %s: %s, %s\n", r.Param.Name, r.Param.Type, r.Location.Format(abi.AMD64), r.Agreement)
				if r.Agreement == Contradicted {
					t.Errorf("%s: %s: contradicted", fn.Name, r.Param.Name)
				}
			}
		}
		fmt.Fprintln(&b)
	}
	golden := filepath.Join("testdata", name, name+".golden")
	if *update {
		if err := os.WriteFile(golden, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if got := b.String(); got != string(want) {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// locExpr is a location list that holds everywhere.
func locExpr(expr ...byte) locDesc {
	return locDesc{isList: true, list: []locEntry{{low: 0, high: 1 << 20, expr: expr}}}
}

// TestAgreement has an example for every kind, and for what only looks like
// one. Registers are DWARF numbers: RAX 0, RDX 1, RCX 2, RBX 3, RDI 5.
func TestAgreement(t *testing.T) {
	const reg0, fbreg, piece, cfa, deref = 0x50, 0x91, 0x93, 0x9c, 0x06
	i32 := &abi.Type{Name: "int32", Kind: abi.Int32, Size: 4, Align: 4}
	i64 := &abi.Type{Name: "int", Kind: abi.Int, Size: 8, Align: 8}
	str := &abi.Type{Name: "string", Kind: abi.String, Size: 16, Align: 8}
	arr := &abi.Type{Name: "[2]int", Kind: abi.Array, Elem: i64, Len: 2, Size: 16, Align: 8}
	three := &abi.Type{Name: "[]int", Kind: abi.Slice, Elem: i64, Size: 24, Align: 8}
	none := &abi.Type{Name: "struct {}", Kind: abi.Struct, Align: 1}
	broken := &abi.Type{Name: "main.T", Size: 8, Align: 8}
	type param struct {
		typ *abi.Type
		loc locDesc
		// want is the agreement and the believed place.
		want string
	}
	const absent = "(debug information and calling convention disagree)"
	const hidden = "(the debug information may leave out a value before it)"
	rax, rbx, rcx := locExpr(reg0), locExpr(reg0+3), locExpr(reg0+2)
	for _, tt := range []struct {
		name   string
		edit   func(*Func)
		params []param
		err    string
	}{
		{name: "registers", params: []param{{i64, rax, "agree RAX:8"}, {i64, rbx, "agree RBX:8"}}},
		{name: "pieces", params: []param{{str, locExpr(reg0, piece, 8, reg0+3, piece, 8), "agree RAX:8 RBX:8"}}},
		{name: "pieces exchanged", params: []param{
			{str, locExpr(reg0+3, piece, 8, reg0, piece, 8), "reassigned RAX:8 RBX:8"}}},
		{name: "stack", params: []param{{arr, locDesc{expr: []byte{cfa}}, "agree [CFA+0]:16"}}},
		{name: "stack elsewhere", params: []param{{arr, locDesc{expr: []byte{fbreg, 8}}, "contradicted " + absent + ":16"}}},
		{name: "no bytes", params: []param{{none, locDesc{expr: []byte{fbreg, 8}}, "no bytes (zero size)"}}},
		{name: "no location", params: []param{{i64, locDesc{}, "silent RAX:8"}, {i64, rbx, "agree RBX:8"}}},
		{name: "no location at the entry", params: []param{
			{i64, locDesc{isList: true, list: []locEntry{{low: 8, high: 9, expr: []byte{reg0 + 6}}}}, "silent RAX:8"}}},
		{name: "dead piece", params: []param{{str, locExpr(piece, 8, reg0+3, piece, 8), "dead pieces RAX:8 RBX:8"}}},
		{name: "all pieces dead", params: []param{{str, locExpr(piece, 8, piece, 8), "silent RAX:8 RBX:8"}}},
		{name: "one register is left of two", params: []param{{str, locExpr(reg0 + 3), "dead pieces RAX:8 RBX:8"}}},
		{name: "spill slot", params: []param{
			{i64, rax, "agree RAX:8"}, {str, locExpr(fbreg, 8), "contradicted " + absent + ":16"}}},
		{name: "spill slot in pieces", params: []param{
			{i64, rax, "agree RAX:8"}, {str, locExpr(fbreg, 8, piece, 8, fbreg, 16, piece, 8), "spill slot RBX:8 RCX:8"}}},
		{name: "spill slot of all", params: []param{{str, locDesc{expr: []byte{cfa}}, "spill slot RAX:8 RBX:8"}}},
		{name: "spill slot of another", params: []param{
			{i64, locExpr(fbreg, 8), "contradicted " + absent + ":8"}, {i64, rbx, "agree RBX:8"}}},
		{name: "reassigned", params: []param{{i64, rax, "agree RAX:8"}, {i64, rax, "reassigned RBX:8"}}},
		{name: "exchanged", params: []param{{i64, rbx, "reassigned RAX:8"}, {i64, rax, "reassigned RBX:8"}}},
		{name: "assigned from the stack", params: []param{
			{three, locExpr(reg0, piece, 8, fbreg, 8, piece, 8, reg0+2, piece, 8), "reassigned RAX:8 RBX:8 RCX:8"},
			{three, locExpr(reg0+5, piece, 8, reg0+4, piece, 8, reg0+8, piece, 8), "agree RDI:8 RSI:8 R8:8"},
			{three, locExpr(reg0+9, piece, 8, reg0+10, piece, 8, reg0+11, piece, 8), "agree R9:8 R10:8 R11:8"},
			{str, locExpr(cfa, piece, 8, fbreg, 8, piece, 8), "agree [CFA+0]:16"}}},
		{name: "assigned from what has no place", params: []param{
			{three, locExpr(reg0, piece, 8, fbreg, 8, piece, 8, reg0+2, piece, 8), "contradicted " + absent + ":24"},
			{three, locExpr(reg0+5, piece, 8, reg0+4, piece, 8, reg0+8, piece, 8), "agree RDI:8 RSI:8 R8:8"},
			{three, locExpr(reg0+9, piece, 8, reg0+10, piece, 8, reg0+11, piece, 8), "agree R9:8 R10:8 R11:8"},
			{str, locExpr(cfa), "dead pieces [CFA+0]:16"}}},
		{name: "of another size", params: []param{
			{i64, locExpr(reg0 + 3), "contradicted " + absent + ":8"}, {i32, rbx, "agree RBX:4"}}},
		{name: "dead pieces in a circle", params: []param{
			{arr, locDesc{expr: []byte{cfa}}, "agree [CFA+0]:16"},
			{three, locExpr(reg0, piece, 8, reg0+3, piece, 8, reg0+2, piece, 8), "agree RAX:8 RBX:8 RCX:8"},
			{three, locExpr(reg0+5, piece, 8, reg0+4, piece, 8, reg0+8, piece, 8), "agree RDI:8 RSI:8 R8:8"},
			{three, locExpr(reg0+9, piece, 8, reg0+10, piece, 8, reg0+11, piece, 8), "agree R9:8 R10:8 R11:8"},
			{str, locExpr(fbreg, 40), "reassigned [CFA+16]:16"}, {str, locExpr(fbreg, 24), "reassigned [CFA+32]:16"}}},
		{name: "own frame", params: []param{
			{arr, locDesc{expr: []byte{cfa}}, "agree [CFA+0]:16"},
			{arr, locExpr(fbreg, 0x70, deref), "own frame [CFA+16]:16"}}}, // -16
		{name: "return address", params: []param{{arr, locExpr(fbreg, 0x78, deref), "contradicted " + absent + ":16"}}}, // -8
		{name: "own frame, the value itself", params: []param{{arr, locDesc{expr: []byte{fbreg, 0x60}}, "own frame [CFA+0]:16"}}},
		{name: "pointer in the caller's frame", params: []param{{arr, locExpr(fbreg, 8, deref), "contradicted " + absent + ":16"}}},
		{name: "own frame, blanks missing", edit: func(f *Func) { f.BlanksMissing = true }, params: []param{
			{arr, locExpr(fbreg, 0x68, deref), "unconfirmed " + hidden + ":16"}}},
		// Shifted by one: there is no end to it.
		{name: "shifted", params: []param{
			{i64, rbx, "unconfirmed " + absent + ":8"}, {i64, rcx, "contradicted " + absent + ":8"}}},
		{name: "shifted to one that is silent", params: []param{
			{i64, rbx, "contradicted " + absent + ":8"}, {i64, locDesc{}, "unconfirmed " + absent + ":8"}}},
		{name: "register of nobody", params: []param{{i64, locExpr(reg0 + 1), "contradicted " + absent + ":8"}}},
		{name: "a contradiction takes the word from who stands alone", params: []param{
			{i64, rax, "agree RAX:8"}, {i64, locDesc{}, "unconfirmed " + absent + ":8"},
			{i64, rax, "unconfirmed " + absent + ":8"}, {i64, locExpr(reg0 + 1), "contradicted " + absent + ":8"}}},
		{name: "blanks missing", edit: func(f *Func) { f.BlanksMissing = true }, params: []param{
			{i64, rax, "agree RAX:8"}, {i64, locDesc{}, "unconfirmed " + hidden + ":8"}}},
		{name: "expression that cannot be evaluated", params: []param{{i64, locExpr(0xff), "contradicted " + absent + ":8"}}},
		{name: "ABI0", edit: func(f *Func) { f.RegABI = false }, params: []param{
			{i64, locDesc{expr: []byte{cfa}}, "agree [CFA+0]:8"}, {i64, locDesc{expr: []byte{fbreg, 8}}, "agree [CFA+8]:8"}}},
		{name: "ABI0 without location", edit: func(f *Func) { f.RegABI = false }, params: []param{{i64, locDesc{}, "silent [CFA+0]:8"}}},
		{name: "dictionary", edit: func(f *Func) { f.Dict = abi.DictFirst }, params: []param{{i64, rbx, "agree RBX:8"}}},
		{name: "closure with a dictionary", edit: func(f *Func) { f.Name = "main.F[go.shape.int].func1" }, params: []param{
			{i64, rax, "agree RAX:8"}, {i64, rcx, "agree RCX:8"}, {i64, locDesc{}, "silent RDI:8"}}},
		{name: "closure that may have a dictionary", edit: func(f *Func) { f.Name = "main.F[go.shape.int].func1" }, params: []param{
			{i64, rax, "agree RAX:8"}, {i64, locDesc{}, "unconfirmed " + hidden + ":8"}}},
		{name: "type not read", params: []param{{broken, rax, ""}}, err: "type main.T: layout not known"},
		{name: "other language", edit: func(f *Func) { f.Go = false }, params: []param{
			{i64, locExpr(reg0 + 5), "foreign RDI:8"},
			{i64, locDesc{expr: []byte{fbreg, 0x68}}, "foreign (unsupported location):8"}, // -24: its own frame
			{i64, locDesc{expr: []byte{fbreg, 8}}, "foreign [CFA+8]:8"},
			{i64, locDesc{}, "foreign (optimized out):8"},
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := &Func{Name: "main.f", Go: true, KnownRelease: true, RegABI: true, Optimized: true}
			for i, p := range tt.params {
				f.Params = append(f.Params, Param{
					Name: fmt.Sprintf("p%d", i), Type: p.typ, loc: p.loc, ptr: 8,
					ev:      evaluator{order: binary.LittleEndian, addrSize: 8, frameBase: []byte{cfa}},
					dialect: dialect{isGo: true, split: p.loc.isList},
				})
			}
			if tt.edit != nil {
				tt.edit(f)
			}
			rs, err := f.AtEntry(abi.AMD64)
			if tt.err != "" {
				if err == nil || !strings.Contains(err.Error(), tt.err) {
					t.Fatalf("got error %v, want %q", err, tt.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			for i, r := range rs {
				if got := r.Agreement.String() + " " + r.Location.Format(abi.AMD64); got != tt.params[i].want {
					t.Errorf("parameter %d: got %s, want %s", i, got, tt.params[i].want)
				}
			}
		})
	}
}

// TestReturnAgreement is TestAgreement for results.
func TestReturnAgreement(t *testing.T) {
	const reg0, fbreg, cfa = 0x50, 0x91, 0x9c
	i64 := &abi.Type{Name: "int", Kind: abi.Int, Size: 8, Align: 8}
	arr := &abi.Type{Name: "[2]int", Kind: abi.Array, Elem: i64, Len: 2, Size: 16, Align: 8}
	const absent = "(debug information and calling convention disagree)"
	for _, tt := range []struct {
		name string
		edit func(*Func)
		typ  *abi.Type
		loc  locDesc
		want string
	}{
		{name: "register", typ: i64, want: "silent RAX:8"},
		{name: "home in the frame", typ: i64, loc: locDesc{expr: []byte{fbreg, 0x68}}, want: "in body RAX:8"},
		{name: "home in a register", typ: i64, loc: locExpr(reg0 + 3), want: "in body RAX:8"},
		{name: "register, but in the caller's frame", typ: i64, loc: locDesc{expr: []byte{cfa}}, want: "contradicted " + absent + ":8"},
		{name: "stack", typ: arr, loc: locDesc{expr: []byte{fbreg, 8}}, want: "agree [CFA+8]:16"},
		{name: "stack elsewhere", typ: arr, loc: locDesc{expr: []byte{cfa}}, want: "contradicted " + absent + ":16"},
		{name: "stack, silent", typ: arr, want: "silent [CFA+8]:16"},
		{name: "stack, blanks missing", typ: arr, edit: func(f *Func) { f.BlanksMissing = true }, want: "unconfirmed " + "(the debug information may leave out a value before it)" + ":16"},
		{name: "register, blanks missing", typ: i64, edit: func(f *Func) { f.BlanksMissing = true }, want: "silent RAX:8"},
		{name: "stack, a parameter is contradicted", typ: arr, edit: func(f *Func) { f.Params[0].loc = locExpr(reg0) }, want: "unconfirmed " + absent + ":16"},
		{name: "no bytes", typ: &abi.Type{Name: "struct {}", Kind: abi.Struct, Align: 1}, want: "no bytes (zero size)"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			one := &abi.Type{Name: "[2]int8", Kind: abi.Array, Elem: &abi.Type{Name: "int8", Kind: abi.Int8, Size: 1, Align: 1}, Len: 2, Size: 2, Align: 1}
			ev := evaluator{order: binary.LittleEndian, addrSize: 8, frameBase: []byte{cfa}}
			f := &Func{Name: "main.f", Go: true, KnownRelease: true, RegABI: true,
				Params:  []Param{{Name: "p", Type: one, loc: locDesc{expr: []byte{cfa}}, ptr: 8, ev: ev, dialect: dialect{isGo: true}}},
				Results: []Param{{Name: "~r0", Type: tt.typ, loc: tt.loc, ptr: 8, ev: ev, dialect: dialect{isGo: true, split: tt.loc.isList}}},
			}
			if tt.edit != nil {
				tt.edit(f)
			}
			rs, err := f.AtReturn(abi.AMD64)
			if err != nil {
				t.Fatal(err)
			}
			if got := rs[0].Agreement.String() + " " + rs[0].Location.Format(abi.AMD64); got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
		})
	}
}

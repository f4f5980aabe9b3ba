package capture_test

import (
	"encoding/binary"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/argtap/argtap/abi"
	"github.com/argtap/argtap/internal/capture"
)

// TestBuildRedacted shows plans of which something is redacted.
func TestBuildRedacted(t *testing.T) {
	field := func(name string, typ *abi.Type, off int64) abi.Field {
		return abi.Field{Name: name, Type: typ, Offset: off}
	}
	user := &abi.Type{Name: "main.user", Kind: abi.Struct, Size: 48, Align: 8, Fields: []abi.Field{
		field("name", tString, 0), field("password", tString, 16), field("pin", tInt32, 32), field("age", tInt32, 36), field("token", tInt, 40)}}
	half := &abi.Type{Name: "main.half", Kind: abi.Struct, Size: 8, Align: 4, Fields: []abi.Field{field("n", tInt32, 0), field("pin", tInt32, 4)}}
	fleh := &abi.Type{Name: "main.fleh", Kind: abi.Struct, Size: 8, Align: 4, Fields: []abi.Field{field("pin", tInt32, 0), field("n", tInt32, 4)}}
	vault := structOf("main.Vault", tString)
	reg := func(t *abi.Type) capture.Input {
		return capture.Input{Name: "p", Type: t, Location: abi.Location{{Size: t.Size, Kind: abi.InRegister, Reg: abi.RAX}}}
	}
	named := func(name string, in ...capture.Input) []capture.Input {
		in[0].Name = name
		return in
	}
	for _, tt := range []struct {
		name    string
		in      []capture.Input
		noLoops bool
		want    string
	}{
		{"registers", named("dbPassword", inputs(tString, tInt)...), false, `
			dbPassword string: 0 of 16 bytes at 40
			b int: 8 of 8 bytes at 40
			store RCX:8 at 40
			fixed 48`},
		{"memory", named("tokens", inputs(array(3, tInt), array(2, tInt))...), false, `
			tokens [3]int: 0 of 24 bytes at 40
			b [2]int: 16 of 16 bytes at 40
			read [CFA+24]:16 at 40, bit 1, param 1+0
			fixed 56`},
		{"fields in registers", inputs(user), false, `
			a main.user: 48 of 48 bytes at 40, 1 slots at 88
			 hole +16:16 redacted
			 hole +32:4 redacted
			 hole +40:8 redacted
			 string +0 slot 0: 512 × 1 bytes uint8
			store RAX:8 at 40
			store RBX:8 at 48
			store R8:4 at 76
			fixed 96, slots from 88, at most 40976`},
		{"fields in memory", inputs(array(2, user)), false, `
			a [2]main.user: 96 of 96 bytes at 40, 2 slots at 136
			 hole +16:16 redacted
			 hole +32:4 redacted
			 hole +40:8 redacted
			 hole +64:16 redacted
			 hole +80:4 redacted
			 hole +88:8 redacted
			 string +0 slot 0: 512 × 1 bytes uint8
			 string +48 slot 1: 512 × 1 bytes uint8
			read [CFA+0]:88 at 40, bit 1, param 0+0
			erase 20 at 56
			erase 8 at 80
			erase 20 at 104
			fixed 152, slots from 136, at most 40976`},
		{"the upper half of a register", []capture.Input{reg(half)}, false, `
			p main.half: 8 of 8 bytes at 40
			 hole +4:4 redacted
			store RAX:4 at 40
			fixed 48`},
		{"the lower half of a register", []capture.Input{reg(fleh)}, false, `
			p main.fleh: 8 of 8 bytes at 40
			 hole +0:4 redacted
			 hole +0:8 redacted
			fixed 48`},
		{"types", inputs(vault, pointer(vault), slice(vault), slice(pointer(vault))), false, `
			a main.Vault: 0 of 16 bytes at 40
			b *main.Vault: 8 of 8 bytes at 40
			 pointer +0: redacted
			c []main.Vault: 0 of 24 bytes at 48
			d []*main.Vault: 24 of 24 bytes at 48, 1 slots at 72
			 slice +0 slot 0: 64 × 8 bytes *main.Vault
			   pointer +0: redacted
			store RCX:8 at 40
			store R9:8 at 48
			store R10:8 at 56
			store R11:8 at 64
			fixed 80, slots from 72, at most 40976`},
		{"chunks", inputs(pointer(user), slice(half)), false, `
			a *main.user: 8 of 8 bytes at 40, 1 slots at 72
			 pointer +0 slot 0: 1 × 48 bytes main.user
			   erase +16:20
			   erase +40:8
			   hole +16:16 redacted
			   hole +32:4 redacted
			   hole +40:8 redacted
			   string +0 slot 0: 512 × 1 bytes uint8
			b []main.half: 24 of 24 bytes at 48, 1 slots at 80
			 slice +0 slot 0: 64 × 8 bytes main.half
			   erase +4:4
			   hole +4:4 redacted
			store RAX:8 at 40
			store RBX:8 at 48
			store RCX:8 at 56
			store RDI:8 at 64
			fixed 88, slots from 72, at most 40976`},
		{"chunks without loops", inputs(slice(half)), true, `
			a []main.half: 24 of 24 bytes at 40
			 slice +0: kernel lacks bpf_loop (Linux 5.17)
			store RAX:8 at 40
			store RBX:8 at 48
			store RCX:8 at 56
			fixed 64`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			limits := capture.Limits{NoLoops: tt.noLoops, Redact: redaction(t, "password", "pin", "token", "main.Vault")}
			got := show(capture.Build(abi.AMD64, tt.in, limits))
			want := strings.TrimPrefix(strings.ReplaceAll(tt.want, "\n\t\t\t", "\n"), "\n")
			if got != want {
				t.Errorf("got\n%s\nwant\n%s", got, want)
			}
		})
	}
}

// TestRedactedTable: rows of what is erased lie behind those of references, and
// what is redacted as a whole is not followed.
func TestRedactedTable(t *testing.T) {
	limits := capture.Limits{Redact: redaction(t, "name", "main.Vault", "main.Handle")}
	types := capture.NewTypes(abi.AMD64, limits)
	n := walkNode()
	vault := structOf("main.Vault", tString)
	holder := structOf("main.Holder", pointer(vault), slice(vault), tInt)
	p := capture.BuildWalk(abi.AMD64, []capture.Input{input(pointer(n)), input(pointer(holder))}, limits, types)
	if got := rowsOf(types, p.Walk.First, p.Walk.Rows); len(got) != 2 {
		t.Errorf("parameters: %q", got)
	}
	rows := func(typ *abi.Type) (refs, erase []string) {
		id, _, r := types.Lookup(capture.RowPointer, typ)
		if r != abi.Present {
			t.Fatalf("%s: %v", typ.Name, r)
		}
		enc, _ := types.Encode()
		u32 := func(off int) uint32 { return binary.LittleEndian.Uint32(enc[int(id)*capture.TypeSize+off:]) }
		u16 := func(off int) uint32 {
			return uint32(binary.LittleEndian.Uint16(enc[int(id)*capture.TypeSize+off:]))
		}
		first, n := u32(capture.TypeFirst), u16(capture.TypeRows)
		return rowsOf(types, first, n), rowsOf(types, first+n, u16(capture.TypeErase))
	}
	refs, erase := rows(n)
	if len(refs) != 3 || !reflect.DeepEqual(erase, []string{"8 kind 7 hop 0 type 0 limit 16"}) {
		t.Errorf("node: %q, erase %q", refs, erase)
	}
	if refs, erase = rows(holder); len(refs) != 0 || !reflect.DeepEqual(erase, []string{"8 kind 7 hop 0 type 0 limit 24"}) {
		t.Errorf("holder: %q, erase %q", refs, erase)
	}
	if _, _, r := types.Lookup(capture.RowPointer, vault); r != abi.Redacted {
		t.Errorf("vault: %v", r)
	}
	handle := &abi.Type{Name: "main.Handle", Kind: abi.Pointer, Size: 8, Align: 8, Elem: tInt}
	boxed := &abi.Type{Name: "main.box", Kind: abi.Struct, Size: 8, Align: 8, Fields: []abi.Field{{Name: "name", Type: pointer(n)}}}
	for i, d := range []struct {
		typ    *abi.Type
		direct bool
		why    abi.Reason
	}{{vault, false, abi.Redacted}, {handle, true, abi.Redacted}, {boxed, true, abi.Redacted}, {pointer(vault), true, abi.Present}, {pointer(n), true, abi.Present}, {tInt, false, abi.Present}} {
		types.AddDynamic(uint64(i), d.typ, d.direct)
		if got, ok := types.Dynamic(uint64(i)); !ok || got.Why != d.why {
			t.Errorf("%s: %v, %t", d.typ.Name, got.Why, ok)
		}
	}
	if keys, _ := types.EncodeDynamic(); fmt.Sprint(keys) != "[4 5]" {
		t.Errorf("followed: %d", keys)
	}
	if !types.Erases() {
		t.Error("nothing is erased")
	}
}

// TestRedactedTableFull: a type for whose rows there is no room is not captured.
func TestRedactedTableFull(t *testing.T) {
	limits := capture.Limits{Bytes: 8192, Redact: redaction(t, "A")}
	types := capture.NewTypes(abi.AMD64, limits)
	pair := structOf("main.pair", tBool, tBool)
	var list []*abi.Type
	for i := range 1200 {
		typ := structOf(fmt.Sprintf("main.T%d", i), tInt, array(1000, pair))
		list = append(list, typ)
		types.AddDynamic(uint64(i), typ, false)
	}
	refused := 0
	for _, typ := range list {
		id, _, r := types.Lookup(capture.RowPointer, typ)
		switch {
		case r == abi.CutTypes:
			refused++
		case r != abi.Present || len(types.Image(id).Erase) == 0:
			t.Fatalf("%s: %v", typ.Name, r)
		}
	}
	if _, rows := types.Len(); rows > capture.MaxRows || refused == 0 || refused == len(list) {
		t.Errorf("%d rows, %d types refused", rows, refused)
	}
	enc, _ := types.Encode()
	for at := 0; at < len(enc); at += capture.TypeSize {
		u32 := func(off int) uint32 { return binary.LittleEndian.Uint32(enc[at+off:]) }
		if u32(capture.TypeErase) == 0 && u32(capture.TypeBytes) > 8 {
			t.Fatalf("type %d: %d bytes and nothing erased", at/capture.TypeSize, u32(capture.TypeBytes))
		}
	}
}

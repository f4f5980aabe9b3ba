package arginfo

import (
	"fmt"
	"strings"
	"testing"

	"github.com/argtap/argtap/abi"
)

// show writes parameters as "type location", with fields and their offsets.
func show(a *abi.Arch, params []Param) string {
	var b strings.Builder
	for i, p := range params {
		if i > 0 {
			b.WriteString("; ")
		}
		showType(&b, p.Type)
		if p.Cut {
			b.WriteByte('+')
		}
		b.WriteByte(' ')
		b.WriteString(p.Location.Format(a))
	}
	return b.String()
}

func showType(b *strings.Builder, t *abi.Type) {
	b.WriteString(t.Name)
	if t.Kind != abi.Struct {
		return
	}
	b.WriteByte('{')
	for i, f := range t.Fields {
		if i > 0 {
			b.WriteByte(' ')
		}
		fmt.Fprintf(b, "%s@%d:", f.Name, f.Offset)
		showType(b, f.Type)
	}
	b.WriteByte('}')
}

func TestParams(t *testing.T) {
	const unknown = "(its register is not known without a signature)"
	words := "1001fe18082008fd2808fe300838084008fdfe48085008fdfe0008fcfdff"
	for _, tt := range []struct {
		name, table string
		arch        *abi.Arch
		stack       bool
		spills      []Spill
		want        string
	}{
		{name: "registers", table: words, spills: []Spill{
			{abi.RAX, 16, 1}, {abi.RBX, 24, 8}, {abi.RCX, 32, 8}, {abi.XMM0, 40, 8}, {abi.RDI, 48, 8}, {abi.RSI, 56, 8},
			{abi.R8, 64, 8}, {abi.R9, 72, 8}, {abi.R10, 80, 8}},
			want: "uint8 RAX:1; group{0@0:uint64 1@8:uint64} RBX:8 RCX:8; uint64 (register not readable):8; " +
				"group{0@0:uint64 1@8:uint64 2@16:uint64} RDI:8 RSI:8 R8:8; group{0@0:uint64 1@8:uint64} R9:8 R10:8; " +
				"group{0@0:uint64 …@8:…}+ [CFA+0]:8"},
		// A float among words, and a spill that is not in the tail.
		{name: "mixed", table: "fe00080808fd1008ff", spills: []Spill{{abi.RAX, 0, 8}, {abi.XMM0, 8, 8}},
			want: "group{0@0:uint64 1@8:uint64} RAX:8 (register not readable):8; uint64 " + unknown + ":8"},
		{name: "sizes differ", table: "0008ff", spills: []Spill{{abi.RAX, 0, 4}}, want: "uint64 " + unknown + ":8"},
		// Nothing is known of registers, but the last lies below the first.
		{name: "order", table: words,
			want: "uint8 " + unknown + ":1; group{0@0:uint64 1@8:uint64} " + unknown + ":8 " + unknown + ":8; uint64 " + unknown + ":8; " +
				"group{0@0:uint64 1@8:uint64 2@16:uint64} " + unknown + ":8 " + unknown + ":8 " + unknown + ":8; " +
				"group{0@0:uint64 1@8:uint64} " + unknown + ":8 " + unknown + ":8; group{0@0:uint64 …@8:…}+ [CFA+0]:8"},
		{name: "order, too far", table: "fb0008ff", want: "…+ (cut at the compiler's limit):0; uint64 [CFA+0]:8"},
		{name: "no order", table: "00080808ff", want: "uint64 " + unknown + ":8; uint64 " + unknown + ":8"},
		{name: "stack", table: "0001fe08081008fd1802ff", stack: true,
			want: "uint8 [CFA+0]:1; group{0@0:uint64 1@8:uint64} [CFA+8]:8 [CFA+16]:8; uint16 [CFA+24]:2"},
		{name: "stack", table: "0001fe08081008fd1802ff", stack: true, arch: abi.ARM64,
			want: "uint8 [CFA+8]:1; group{0@0:uint64 1@8:uint64} [CFA+16]:8 [CFA+24]:8; uint16 [CFA+32]:2"},
		{name: "spilled", table: "0801fe1008fdff", arch: abi.ARM64, spills: []Spill{{abi.X0, 16, 1}, {abi.X1, 24, 8}},
			want: "uint8 R0:1; group{0@0:uint64} R1:8"},
		{name: "nested", table: "fe0001fe0404fe0808fdfd1002fd", stack: true,
			want: "group{0@0:uint8 1@4:group{0@0:uint32 1@4:group{0@0:uint64}} 2@16:uint16} [CFA+0]:1 [CFA+4]:4 [CFA+8]:8 [CFA+16]:2"},
		{name: "nothing in it", table: "fefdfefdfefefdfefcfd0804fd0004", stack: true,
			want: "group{} (zero size); group{} (zero size); group{0@0:group{} 1@0:group{…@0:…} 2@0:uint32}+ [CFA+8]:4; uint32 [CFA+0]:4"},
		{name: "rest too far", table: "fee808fbfdfefbfdfb", stack: true, want: "group{0@0:uint64 …@8:…}+ [CFA+232]:8; group{…@0:…}+ (zero size); …+ (cut at the compiler's limit):0"},
		{name: "deep", table: "fefefefefefcfd1008fdfd1801fdfd2008", stack: true,
			want: "group{0@0:group{0@0:group{0@0:group{0@0:group{…@0:…} 1@0:uint64}} 1@8:uint8}}+ [CFA+16]:8 [CFA+24]:1; uint64 [CFA+32]:8"},
		{name: "vector", table: "0020", stack: true, want: "[32]uint8 [CFA+0]:32"},
		{name: "none", table: "", want: ""},
		{name: "cut", table: "0008fc", stack: true, want: "uint64 [CFA+0]:8; …+ (cut at the compiler's limit):0"},
	} {
		a := tt.arch
		if a == nil {
			a = abi.AMD64
		}
		table := tt.table
		if !strings.HasSuffix(table, "ff") {
			table += "ff"
		}
		params := parse(t, table).Params(a, !tt.stack, tt.spills)
		if got := show(a, params); got != tt.want {
			t.Errorf("%s:\n got %s\nwant %s", tt.name, got, tt.want)
		}
		valid(t, tt.name, params)
	}
}

// valid checks what every caller relies on: pieces ascend and lie in the type.
func valid(t *testing.T, name string, params []Param) {
	t.Helper()
	for i, p := range params {
		end := int64(0)
		for _, piece := range p.Location {
			if piece.Offset < end || piece.Size < 0 || piece.Offset+piece.Size > p.Type.Size {
				t.Fatalf("%s: parameter %d: %d bytes, piece %+v behind %d", name, i, p.Type.Size, piece, end)
			}
			end = piece.Offset + piece.Size
		}
		if err := fits(p.Type); err != nil {
			t.Fatalf("%s: parameter %d: %v", name, i, err)
		}
	}
}

func fits(t *abi.Type) error {
	if t.Kind != abi.Struct {
		return nil
	}
	end := int64(0)
	for _, f := range t.Fields {
		if f.Offset < end || f.Offset+f.Type.Size > t.Size {
			return fmt.Errorf("field %s at %d of %d bytes, behind %d", f.Name, f.Offset, t.Size, end)
		}
		end = f.Offset + f.Type.Size
		if err := fits(f.Type); err != nil {
			return err
		}
	}
	return nil
}

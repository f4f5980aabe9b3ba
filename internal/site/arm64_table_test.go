package site

import (
	"errors"
	"strings"
	"testing"

	"github.com/argtap/argtap/abi"
	"github.com/argtap/argtap/symbols"
)

// TestTableARM64: a switch in a function without a frame, whose table says
// whether it leads back to the entry.
func TestTableARM64(t *testing.T) {
	const (
		near = "1000" + "8001" // adr x1,table: the linker's shorter form
		far  = "b000" + "0001\n91000021"
	)
	listing := func(address string) string {
		return `
			f100081f ; cmp x0,#2
			54000108 ; b.hi 24
			` + address + `
			d503201f ; nop
			f860783b ; ldr x27,[x1,x0,lsl #3]
			d61f0360 ; br x27
			d65f03c0 ; ret
			d65f03c0 ; ret
			d65f03c0 ; ret
			d65f03c0 ; ret`
	}
	for _, form := range []struct {
		name, listing string
		table         symbols.VirtAddr
	}{
		{"adrp and add", listing(far), codeBase + 0x1000},
		{"adr", listing(near), codeBase + 8 + 0x1000},
	} {
		code := assembleARM64(t, form.listing)
		for _, c := range []struct {
			name string
			mem  Memory
			site symbols.VirtAddr // offset
			err  string
		}{
			{"blocks behind the entry", jumpTable(form.table, 0x1c, 0x20, 0x20), 4, ""},
			{"and another function's table behind it", jumpTable(form.table, 0x1c, 0x20, 1<<20), 4, ""},
			{"the entry", jumpTable(form.table, 0x1c, 0, 0x20), 0, "jump table"},
			{"the jump", jumpTable(form.table, 0x1c, 4, 0x20), 0, ""},
			{"not a table", jumpTable(form.table, 1<<20), 0, "indirect jump"},
			{"not readable", jumpTable(form.table), 0, "indirect jump"},
			{"none", nil, 0, "indirect jump"},
		} {
			s, err := FindIn(abi.ARM64, code, codeBase, abi.ARM64.Ints, c.mem)
			switch {
			case c.err != "":
				if !errors.Is(err, ErrNoSite) || !strings.Contains(err.Error(), c.err) {
					t.Errorf("%s, %s: error %v, want ErrNoSite with %q", form.name, c.name, err, c.err)
				}
			case err != nil:
				t.Errorf("%s, %s: %v", form.name, c.name, err)
			case s.Entry.Addr != codeBase+c.site || s.Entry.Emulated != (c.site == 4):
				t.Errorf("%s, %s: %+v", form.name, c.name, s.Entry)
			}
		}
	}
	// A base or an index that is not what it seems.
	mem := jumpTable(codeBase+0x1000, 0x1c, 0x20)
	for name, spoilt := range map[string]string{
		"another base":          strings.Replace(listing(far), "d503201f", "f9400001", 1), // ldr x1,[x0]
		"another jump register": strings.Replace(listing(far), "d61f0360", "d61f0340", 1), // br x26
		"another load":          strings.Replace(listing(far), "f860783b", "f860683b", 1), // not scaled
		"behind a call":         strings.Replace(listing(far), "d503201f", "94000400", 1),
	} {
		if _, err := FindIn(abi.ARM64, assembleARM64(t, spoilt), codeBase, abi.ARM64.Ints, mem); !errors.Is(err, ErrNoSite) {
			t.Errorf("%s: error %v, want ErrNoSite", name, err)
		}
	}
}

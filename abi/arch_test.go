package abi

import "testing"

func TestArch(t *testing.T) {
	for _, tt := range []struct {
		goarch   string
		arch     *Arch
		ints     int
		floats   int
		names    map[Reg]string
		floating []Reg
		notFloat []Reg
		unknown  Reg
	}{
		{"amd64", AMD64, 9, 15, map[Reg]string{RAX: "RAX", R15: "R15", XMM0: "X0", XMM0 + 15: "X15"},
			[]Reg{XMM0, XMM0 + 15}, []Reg{RAX, R14}, XMM0 + 16},
		{"arm64", ARM64, 16, 16, map[Reg]string{X0: "R0", X28: "R28", X30: "R30", ARM64SP: "SP", V0: "F0", V0 + 31: "F31"},
			[]Reg{V0, V0 + 31}, []Reg{X0, X30, ARM64SP}, 32},
		{"386", I386, 0, 0, map[Reg]string{EAX: "EAX", ESP: "ESP", EDI: "EDI", 21: "X0", 28: "X7"},
			[]Reg{21, 28}, []Reg{EAX, EDI}, 9},
	} {
		a := ArchFor(tt.goarch)
		if a != tt.arch || a.GOARCH != tt.goarch {
			t.Errorf("ArchFor(%q) is %+v", tt.goarch, a)
			continue
		}
		if len(a.Ints) != tt.ints || len(a.Floats) != tt.floats {
			t.Errorf("%s: %d and %d registers for arguments, want %d and %d", tt.goarch, len(a.Ints), len(a.Floats), tt.ints, tt.floats)
		}
		for r, want := range tt.names {
			if got := a.RegName(r); got != want || !a.Known(r) {
				t.Errorf("%s: register %d is %s, want %s", tt.goarch, r, got, want)
			}
		}
		for _, r := range tt.floating {
			if !a.IsFloat(r) {
				t.Errorf("%s: %s is a float register", tt.goarch, a.RegName(r))
			}
		}
		for _, r := range tt.notFloat {
			if a.IsFloat(r) {
				t.Errorf("%s: %s is no float register", tt.goarch, a.RegName(r))
			}
		}
		if a.Known(tt.unknown) {
			t.Errorf("%s: register %d is known as %s", tt.goarch, tt.unknown, a.RegName(tt.unknown))
		}
		for _, r := range append(append([]Reg{}, a.Ints...), a.Floats...) {
			if !a.Known(r) || a.HasG && r == a.G || a.HasLink && r == a.Link || r == a.SP || r == a.Closure {
				t.Errorf("%s: %s cannot hold an argument", tt.goarch, a.RegName(r))
			}
		}
	}
	if a := ArchFor("mips"); a != nil {
		t.Errorf("ArchFor of what is not described: %+v", a)
	}
	// The distance from SP to the first argument at the entry: above the
	// return address that the call pushed, or above the callee's slot for it.
	for a, want := range map[*Arch]int64{AMD64: 8, ARM64: 8, I386: 4} {
		if got := a.CFAAtEntry + int64(a.ArgBase); got != want {
			t.Errorf("%s: arguments at SP+%d, want SP+%d", a.GOARCH, got, want)
		}
	}
}

package site

import (
	"encoding/binary"
	"testing"
)

// TestKernelARM64: what every kernel emulates and what none must be given.
func TestKernelARM64(t *testing.T) {
	for _, c := range []struct {
		word     uint32
		text     string
		emulated bool
		refused  bool
	}{
		{0x14000400, "b", true, false},
		{0x94000400, "bl", true, false},
		{0x54000049, "b.ls", true, false},
		{0x54000059, "bc.ls", false, true},
		{0xb4000040, "cbz", true, false},
		{0x35000040, "cbnz", true, false},
		{0x36000040, "tbz", true, false},
		{0xb7000040, "tbnz", true, false},
		{0xd61f0000, "br", true, false},
		{0xd63f0000, "blr", true, false},
		{0xd65f03c0, "ret", true, false},
		{0xd65f0360, "ret x27", true, false},
		{0x10000040, "adr", true, false},
		{0x90000040, "adrp", true, false},
		{0xd61f0be0, "braaz", false, true},
		{0xd73f0801, "blraa", false, true},
		{0xd65f0bff, "retaa", false, true},
		{0xd69f03e0, "eret", false, true},
		{0xd503201f, "nop", false, false}, // before 6.13
		{0xd503203f, "yield", false, true},
		{0xd503205f, "wfe", false, true},
		{0xd503233f, "paciasp", false, false},
		{0xd50323bf, "autiasp", false, true},
		{0xd503245f, "bti c", false, false},
		{0xd5033bbf, "dmb ish", false, false},
		{0xd503305f, "clrex", false, false},
		{0xd53bd040, "mrs x0,tpidr_el0", false, false},
		{0xd51bd040, "msr tpidr_el0,x0", false, true},
		{0xd50b7420, "dc zva,x0", false, true},
		{0xd4000001, "svc", false, true},
		{0xd4200000, "brk", false, true},
		{0x00000000, "udf", false, true},
		{0xbea71700, "undefined, to Go 1.20", false, true},
		{0x58000040, "ldr x0,literal", false, true},
		{0x18000040, "ldr w0,literal", false, true},
		{0x98000040, "ldrsw x0,literal", false, true},
		{0x5c000040, "ldr d0,literal", false, true},
		{0x9c000040, "ldr q0,literal", false, true},
		{0xd8000040, "prfm literal", false, true},
		{0xc85ffc03, "ldaxr", false, true},
		{0xc804fc03, "stlxr", false, true},
		{0xc87f0c02, "ldxp", false, true},
		{0x48207c82, "casp", false, true},
		{0xc8dffc00, "ldar", false, false},
		{0xc89ffc00, "stlr", false, false},
		{0xc8e0fc01, "casal", false, false},
		{0xf8e00001, "ldaddal", false, false},
		{0xf8200400, "ldraa", false, true},
		{0x19010440, "cpyfp", false, true},
		{0xf81f0ffe, "str x30,[sp,#-16]!", false, false},
		{0xeb3063ff, "cmp sp,x16", false, false},
		{0x4ea01c00, "mov v0", false, false},
		{0x04200000, "add z0 (SVE)", false, false},
		{0x02000000, "unallocated", false, true},
		// Not the kernel, but the runtime: see arm64.restarts.
		{0xb00000bb, "adrp x27", true, true},
		{0xb00000a5, "adrp x5", true, false},
		{0xd2800b5b, "mov x27,#90", false, true},
		{0xa9406ffa, "ldp x26,x27,[sp]", false, true},
		{0xf90003fb, "str x27,[sp]", false, false},
		{0x3980001b, "ldrsb x27,[x0]", false, false}, // a check for nil
		{0x3880101b, "ldursb x27,[x0,#1]", false, false},
		{0xf940001b, "ldr x27,[x0]", false, true},
		{0xcb3b63f4, "sub x20,sp,x27", false, false},
	} {
		code := binary.LittleEndian.AppendUint32(nil, c.word)
		in, err := arm64{}.decode(code, 0, codeBase)
		if err != nil {
			t.Errorf("%s: %v", c.text, err)
			continue
		}
		if in.size != 4 || in.emulated != c.emulated || (in.refused != "") != c.refused {
			t.Errorf("%s: %d bytes, emulated %t, refused %q", c.text, in.size, in.emulated, in.refused)
		}
	}
}

// TestKernelARM64Words goes through all values of the bits that tell
// instructions apart: what is emulated changes the flow of control or takes
// an address, and is refused by none.
func TestKernelARM64Words(t *testing.T) {
	for hi := range uint32(1 << 16) {
		for _, lo := range []uint32{0, 0x001f, 0x03c0, 0x0be0, 0x201f, 0xfc1f} {
			w := word(hi<<16 | lo)
			f, _, _ := w.flow()
			address := w.is(0x1f000000, 0x10000000)
			if w.emulated() && (w.refused() != "" || f == next && !address || f == dead) {
				t.Fatalf("%#08x is emulated, flow %d, refused %q", uint32(w), f, w.refused())
			}
			if !w.emulated() && f != next && w.refused() == "" {
				t.Fatalf("%#08x changes the flow of control and would be stepped out of line", uint32(w))
			}
			if disp, size, ok := w.literal(); ok && (w.refused() == "" || disp%4 != 0 || size < 4 || size > 16) {
				t.Fatalf("%#08x loads %d bytes at %d", uint32(w), size, disp)
			}
		}
	}
}

// TestDecodeARM64Errors: what is no instruction of a function.
func TestDecodeARM64Errors(t *testing.T) {
	ret := []byte{0xc0, 0x03, 0x5f, 0xd6}
	for name, f := range map[string]func() error{
		"cut off":    func() error { _, err := arm64{}.decode(append(ret, 0, 0, 0), 4, codeBase); return err },
		"misaligned": func() error { _, err := arm64{}.decode(ret, 0, codeBase+2); return err },
		"extension": func() error {
			_, err := arm64{}.decode([]byte{0x20, 0, 0x00, 0x74}, 0, codeBase) // cbgt
			return err
		},
	} {
		if f() == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

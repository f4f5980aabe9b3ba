package site

import (
	"encoding/binary"
	"slices"
	"testing"

	"github.com/argtap/argtap/abi"
)

// TestEffectsARM64: each class of instruction, and what it must not hide.
func TestEffectsARM64(t *testing.T) {
	x := func(n int) abi.Reg { return abi.X0 + abi.Reg(n) }
	v := func(n int) abi.Reg { return abi.V0 + abi.Reg(n) }
	sp := abi.ARM64SP
	for _, c := range []struct {
		word   uint32
		text   string
		writes []abi.Reg
		grows  int64
		wild   bool
		loses  bool
	}{
		{0x91000420, "add x0,x1,#1", []abi.Reg{x(0)}, 0, false, false},
		{0xf100041f, "cmp x0,#1", nil, 0, false, false},
		{0xd10083ff, "sub sp,sp,#32", []abi.Reg{sp}, 32, false, false},
		{0xd14007ff, "sub sp,sp,#1,lsl #12", []abi.Reg{sp}, 4096, false, false},
		{0x910083ff, "add sp,sp,#32", []abi.Reg{sp}, -32, false, false},
		{0x9100029f, "mov sp,x20", []abi.Reg{sp}, 0, false, true},
		{0x910003fd, "mov x29,sp", []abi.Reg{x(29)}, 0, false, false},
		{0xcb3b63ff, "sub sp,sp,x27", []abi.Reg{sp}, 0, false, true},
		{0x927cedff, "and sp,x15,#-16", []abi.Reg{sp}, 0, false, true},
		{0xf27cedff, "tst x15,#-16", nil, 0, false, false},
		{0xd2800020, "mov x0,#1", []abi.Reg{x(0)}, 0, false, false},
		{0xd3410000, "ubfm x0", []abi.Reg{x(0)}, 0, false, false},
		{0x10000040, "adr x0", []abi.Reg{x(0)}, 0, false, false},
		{0xaa0103e0, "mov x0,x1", []abi.Reg{x(0)}, 0, false, false},
		{0xeb3063ff, "cmp sp,x16", nil, 0, false, false},
		{0x8b2163e0, "add x0,sp,x1", []abi.Reg{x(0)}, 0, false, false},
		{0x9b017c00, "mul x0,x0,x1", []abi.Reg{x(0)}, 0, false, false},
		{0x9a9f17e0, "cset x0,eq", []abi.Reg{x(0)}, 0, false, false},
		{0xfa411804, "ccmp x0,#1,#4,ne", nil, 0, false, false},
		{0x9a020020, "adc x0,x1,x2", []abi.Reg{x(0)}, 0, false, false},
		{0xba010403, "rmif", nil, 0, false, false},
		{0xd503201f, "nop", nil, 0, false, false},
		{0xd503245f, "bti c", nil, 0, false, false},
		{0xd53bd040, "mrs x0,tpidr_el0", []abi.Reg{x(0)}, 0, false, false},
		{0x1e612000, "fcmp d0,d1", nil, 0, false, false},
		{0x1e611400, "fccmp d0,d1,#0,ne", nil, 0, false, false},
		{0x1e602820, "fadd d0,d1,d0", []abi.Reg{v(0)}, 0, false, false},
		{0x9e780000, "fcvtzs x0,d0", []abi.Reg{x(0)}, 0, false, false},
		{0x9e620000, "scvtf d0,x0", []abi.Reg{v(0)}, 0, false, false},
		{0x9e660000, "fmov x0,d0", []abi.Reg{x(0)}, 0, false, false},
		{0x9e670000, "fmov d0,x0", []abi.Reg{v(0)}, 0, false, false},
		{0x9e58fc00, "fcvtzs x0,d0,#1", []abi.Reg{x(0)}, 0, false, false},
		{0x9e42fc00, "scvtf d0,x0,#1", []abi.Reg{v(0)}, 0, false, false},
		{0x4e083c00, "umov x0,v0.d[0]", []abi.Reg{x(0)}, 0, false, false},
		{0x4e082c00, "smov", []abi.Reg{x(0)}, 0, false, false},
		{0x4e081c00, "ins v0.d[0],x0", []abi.Reg{v(0)}, 0, false, false},
		{0x4e080c00, "dup v0,x0", []abi.Reg{v(0)}, 0, false, false},
		{0xf94007e0, "ldr x0,[sp,#8]", []abi.Reg{x(0)}, 0, false, false},
		{0x3980a3e0, "ldrsb x0,[sp,#40]", []abi.Reg{x(0)}, 0, false, false},
		{0xa94087e0, "ldp x0,x1,[sp,#8]", []abi.Reg{x(0), x(1)}, 0, false, false},
		{0x6d4087e0, "ldp d0,d1,[sp,#8]", []abi.Reg{v(0), v(1)}, 0, false, false},
		{0xf84207fe, "ldr x30,[sp],#32", []abi.Reg{x(30), sp}, -32, false, false},
		{0xa8c27bfd, "ldp x29,x30,[sp],#32", []abi.Reg{x(29), x(30), sp}, -32, false, false},
		{0xf9400020, "ldr x0,[x1]", []abi.Reg{x(0)}, 0, true, false},
		{0xf8408420, "ldr x0,[x1],#8", []abi.Reg{x(0), x(1)}, 0, true, false},
		{0xf8616be0, "ldr x0,[sp,x1]", []abi.Reg{x(0)}, 0, true, false},
		{0x58000040, "ldr x0,literal", []abi.Reg{x(0)}, 0, false, false},
		{0x5c000040, "ldr d0,literal", []abi.Reg{v(0)}, 0, false, false},
		{0xf9800020, "prfm [x1]", nil, 0, true, false},
		{0xf81e0ffe, "str x30,[sp,#-32]!", []abi.Reg{sp}, 32, false, false},
		{0xa9be7bfd, "stp x29,x30,[sp,#-32]!", []abi.Reg{sp}, 32, false, false},
		{0xf81f83fd, "stur x29,[sp,#-8]", nil, 0, false, false},
		{0xa93ffbfd, "stp x29,x30,[sp,#-8]", nil, 0, true, false}, // the second is at SP
		{0xf81fc3fd, "stur x29,[sp,#-4]", nil, 0, true, false},    // so is its half
		{0xf90003fe, "str x30,[sp]", nil, 0, true, false},
		{0xf90007e0, "str x0,[sp,#8]", nil, 0, true, false},
		{0xf8008420, "str x0,[x1],#8", []abi.Reg{x(1)}, 0, true, false},
		{0x3c9f0fe0, "str q0,[sp,#-16]!", []abi.Reg{sp}, 16, false, false},
		{0x3c9f83e0, "stur q0,[sp,#-8]", nil, 0, true, false},
	} {
		code := binary.LittleEndian.AppendUint32(nil, c.word)
		m := arm64{}
		in, err := m.decode(code, 0, codeBase)
		if err != nil {
			t.Errorf("%s: %v", c.text, err)
			continue
		}
		got := m.effects(code, in)
		var writes []abi.Reg
		for r := range abi.Reg(128) {
			if got.writes.has(r) {
				writes = append(writes, r)
			}
		}
		slices.Sort(c.writes)
		if !slices.Equal(writes, c.writes) || got.grows != c.grows || got.wild != c.wild || got.losesSP != c.loses {
			t.Errorf("%s: writes %v, grows %d, wild %t, loses SP %t\nwant %v, %d, %t, %t",
				c.text, writes, got.grows, got.wild, got.losesSP, c.writes, c.grows, c.wild, c.loses)
		}
	}
	for _, w := range []uint32{ // what is not known
		0xc85ffc03, 0xc8dffc00, 0xf8e00001, 0x4c407000, 0x04200000, 0xd4000001, 0xd503305f, 0x91800000, 0x94000400, 0xd63f0000,
	} {
		code := binary.LittleEndian.AppendUint32(nil, w)
		in, err := arm64{}.decode(code, 0, codeBase)
		if err != nil {
			t.Fatal(err)
		}
		if e := (arm64{}).effects(code, in); !e.wild && !e.losesSP && !e.writes.has(abi.X0) {
			t.Errorf("%#08x: %+v, want everything", w, e)
		}
	}
}

// TestAboveSPARM64: frames that take more than one instruction.
func TestAboveSPARM64(t *testing.T) {
	for _, c := range []struct {
		name, code string
		grows      int64
		ok         bool
	}{
		{"two parts", "d11043f4\nd1412694\na93ffa9d\n9100029f", 300048, true},
		{"a constant", "d292861b\nf2a0009b\ncb3b63f4\na93ffa9d\n9100029f", 0x49430, true},
		{"a negative constant", "9280001b\ncb3b63f4\n9100029f", -1, true},
		{"the register is changed", "d12f83f4\n8b010294\n9100029f", 0, false},
		{"the stack pointer is changed", "d12f83f4\nf81f0ffe\n9100029f", 0, false},
		{"the stack pointer is changed by add", "d12f83f4\n910043ff\n9100029f", 0, false},
		{"of another register", "d12f8034\n9100029f", 0, false},
		{"of an unknown constant", "cb3b63f4\n9100029f", 0, false},
		{"of a loaded constant", "f940001b\ncb3b63f4\n9100029f", 0, false},
		{"behind a call", "d12f83f4\n94000400\n9100029f", 0, false},
		{"nothing before", "9100029f", 0, false},
	} {
		code := assembleARM64(t, c.code)
		m := arm64{}.prepare(code)
		in, err := m.decode(code, len(code)-4, codeBase)
		if err != nil {
			t.Fatal(err)
		}
		if e := m.effects(code, in); e.losesSP == c.ok || c.ok && e.grows != c.grows {
			t.Errorf("%s: %+v, want %d, %t", c.name, e, c.grows, c.ok)
		}
	}
}

package site

import (
	"encoding/binary"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/argtap/argtap/abi"
)

func TestChooseARM64(t *testing.T) {
	stack := []abi.Reg{abi.ARM64.G, abi.ARM64.Closure}
	args := append(stack, abi.ARM64.Ints[:5]...)
	for _, c := range []struct {
		name    string
		code    string
		live    []abi.Reg
		site    uint64 // offset
		kind    Kind
		cfa     int64
		skip    Cond
		repeats int
		returns int
		err     string // of ErrNoSite
	}{
		{name: "go1.11 small", code: small111, live: stack, site: 0x18, kind: AfterCheck, cfa: 16, skip: Never, returns: 1},
		{name: "go1.11 small, by the wrong convention", code: small111, live: args,
			site: 0, kind: Stepped, skip: Never, repeats: 1, returns: 1},
		{name: "go1.17 medium", code: medium117, live: stack, site: 0x24, kind: AfterCheck, cfa: 3040, skip: Never, returns: 1},
		{name: "go1.11 huge, constants in the pool", code: huge111, live: stack,
			site: 0x34, kind: AfterCheck, cfa: 0x49430, skip: Never, returns: 2}, // one in what nothing refers to
		{name: "go1.16 huge", code: huge116, live: stack, site: 0x40, kind: AfterCheck, cfa: 300048, skip: Never, returns: 1},
		{name: "go1.17 huge", code: huge117, live: stack, site: 0x2c, kind: AfterCheck, cfa: 300048, skip: Never, returns: 1},
		{name: "go1.18 small", code: small118, live: args, site: 0x0c, kind: AtCheck, skip: condARM64LS, returns: 1},
		{name: "go1.27 small", code: small127, live: args, site: 0x18, kind: AfterCheck, cfa: 32, skip: Never, returns: 1},
		{name: "go1.27 medium", code: medium127, live: args, site: 0x20, kind: AfterCheck, cfa: 3040, skip: Never, returns: 1},
		{name: "go1.20 huge", code: huge120, live: args, site: 0x30, kind: AfterCheck, cfa: 300048, skip: Never, returns: 1},
		{name: "a tail that does not keep the link register is none", code: `
			f9400b90 ; ldr x16,[x28,#16]
			eb3063ff ; cmp sp,x16
			54000089 ; b.ls 1f
			f81e0ffe ; str x30,[sp,#-32]!
			f84207fe ; ldr x30,[sp],#32
			d65f03c0 ; ret
			94000400 ; 1: bl
			17fffff9 ; b 0`,
			live: args, site: 0, kind: Stepped, skip: Never, repeats: 1, returns: 1},
		{name: "a check of another condition is none", code: `
			f9400b90 ; ldr x16,[x28,#16]
			eb3063ff ; cmp sp,x16
			54000088 ; b.hi 1f
			f81e0ffe ; str x30,[sp,#-32]!
			f84207fe ; ldr x30,[sp],#32
			d65f03c0 ; ret
			aa1e03e3 ; 1: mov x3,x30
			94000400 ; bl
			17fffff8 ; b 0`,
			live: args, site: 0, kind: Stepped, skip: Never, repeats: 1, returns: 1},
		{name: "empty", code: `d65f03c0`, live: args, site: 0, kind: EntryBlock, skip: Never, returns: 1},
		{name: "leaf", code: `
			91000400 ; add x0,x0,#1
			d65f03c0 ; ret`,
			live: args, site: 0, kind: Stepped, skip: Never, returns: 1},
		{name: "leaf, and nobody asks for x0", code: `
			91000400 ; add x0,x0,#1
			d65f03c0 ; ret`,
			live: stack, site: 4, kind: EntryBlock, skip: Never, returns: 1},
		{name: "a flag is no register", code: `
			fa411800 ; ccmp x0,#1,#0,ne
			1e612000 ; fcmp d0,d1
			d65f03c0 ; ret`,
			live: append(args, abi.V0), site: 8, kind: EntryBlock, skip: Never, returns: 1},
		{name: "conversion to a live register", code: `
			9e780000 ; fcvtzs x0,d0
			d65f03c0 ; ret`,
			live: args, site: 0, kind: Stepped, skip: Never, returns: 1},
		{name: "frame of C", code: `
			a9be7bfd ; stp x29,x30,[sp,#-32]!
			910003fd ; mov x29,sp
			94000400 ; bl
			a8c27bfd ; ldp x29,x30,[sp],#32
			d65f03c0 ; ret`,
			live: args, site: 8, kind: EntryBlock, cfa: 32, skip: Never, returns: 1},
		{name: "store above the stack pointer", code: `
			f90007e0 ; str x0,[sp,#8]
			b4000040 ; cbz x0,1f
			d503201f ; nop
			d65f03c0 ; 1: ret`,
			live: args, site: 0, kind: Stepped, skip: Never, returns: 1},
		{name: "load through an argument", code: `
			f9400005 ; ldr x5,[x0]
			b4000045 ; cbz x5,1f
			d503201f ; nop
			d65f03c0 ; 1: ret`,
			live: args, site: 0, kind: Stepped, skip: Never, returns: 1},
		{name: "load of a global", code: `
			b0000005 ; adrp x5
			f94004a5 ; ldr x5,[x5,#8]
			d503201f ; nop
			d65f03c0 ; ret`,
			live: args, site: 0, kind: EntryBlock, skip: Never, returns: 1},
		{name: "load of a global of float type", code: `
			d503201f ; nop
			fd4004a5 ; ldr d5,[x5,#8]
			b4000045 ; cbz x5,1f
			d503201f ; nop
			d65f03c0 ; 1: ret`,
			live: args, site: 0, kind: Stepped, skip: Never, returns: 1},
		{name: "loop at the entry, by flags", code: `
			f1000c00 ; subs x0,x0,#3
			54ffffe1 ; b.ne 0
			d65f03c0 ; ret`,
			live: args, site: 0, kind: Stepped, skip: Never, repeats: 1, returns: 1},
		{name: "loop at the entry, by a bit", code: `
			d1000c00 ; sub x0,x0,#3
			b6ffffe0 ; tbz x0,#63,0
			d65f03c0 ; ret`,
			live: args, site: 0, kind: Stepped, skip: Never, repeats: 1, returns: 1},
		{name: "loop at the entry, by the zero register", code: `
			d1000c00 ; sub x0,x0,#3
			b4ffffff ; cbz xzr,0
			d65f03c0 ; ret`,
			live: args, err: "flags do not tell"},
		{name: "jump to itself", code: `14000000`, err: "jumps to itself"},
		{name: "recursion is a call of its own", code: `
			f81f0ffe ; str x30,[sp,#-16]!
			97ffffff ; bl 0
			f84107fe ; ldr x30,[sp],#16
			d65f03c0 ; ret`,
			live: args, site: 4, kind: EntryBlock, cfa: 16, skip: Never, returns: 1},
		{name: "indirect jump in a function without a frame", code: `
			91000400 ; add x0,x0,#1
			d61f0000 ; br x0
			d65f03c0 ; ret`,
			live: args, err: "indirect jump"},
		{name: "tail call through an interface", code: `
			f9400400 ; ldr x0,[x0,#8]
			d61f0000 ; br x0`,
			live: args, site: 0, kind: Stepped, skip: Never},
		{name: "exclusive load at the entry", code: `
			c85ffc03 ; 1: ldaxr x3,[x0]
			8b010063 ; add x3,x3,x1
			c804fc03 ; stlxr w4,x3,[x0]
			35ffffa4 ; cbnz w4,1b
			d65f03c0 ; ret`,
			err: "exclusive"},
		{name: "behind an exclusive load", code: `
			d503201f ; nop
			c85ffc03 ; ldaxr x3,[x0]
			b4000043 ; cbz x3,1f
			c804fc03 ; stlxr w4,x3,[x0]
			d65f03c0 ; 1: ret`,
			live: args, site: 0, kind: Stepped, skip: Never, returns: 1},
		{name: "system register at the entry", code: `
			d51b42a0 ; msr dit,x0
			d65f03c0 ; ret`,
			live: args, err: "system"},
		{name: "constant at the entry", code: `
			58000043 ; ldr x3,8
			d65f03c0 ; ret
			d65f03c0 ; 8: data, as it happens
			d65f03c0`,
			site: 4, kind: EntryBlock, skip: Never, returns: 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, err := Find(abi.ARM64, assembleARM64(t, c.code), codeBase, c.live)
			if c.err != "" {
				if !errors.Is(err, ErrNoSite) || !strings.Contains(err.Error(), c.err) {
					t.Fatalf("error %v, want ErrNoSite with %q", err, c.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if got := uint64(s.Entry.Addr - codeBase); got != c.site || s.Kind != c.kind || s.Entry.CFA != c.cfa || s.Entry.Skip != c.skip || len(s.Repeats) != c.repeats {
				t.Errorf("%q at +%#x, %v, CFA %d, skip %v, repeats %+v\nwant +%#x, %v, CFA %d, skip %v, %d repeats",
					s.Entry.Instr, got, s.Kind, s.Entry.CFA, s.Entry.Skip, s.Repeats, c.site, c.kind, c.cfa, c.skip, c.repeats)
			}
			if len(s.Returns) != c.returns {
				t.Errorf("returns %+v, want %d", s.Returns, c.returns)
			}
			for _, r := range s.Returns {
				if r.CFA != 0 || r.Instr != "ret" || !r.Emulated {
					t.Errorf("return %+v", r)
				}
			}
		})
	}
}

// TestRestartableARM64: a goroutine that is preempted between an instruction
// that sets R27 and the one that uses it runs both again. On 5.10 and 6.1 a
// probe on the first was hit twice whenever a signal came.
func TestRestartableARM64(t *testing.T) {
	args := append([]abi.Reg{abi.ARM64.G}, abi.ARM64.Ints[:4]...)
	for _, c := range []struct {
		name, code string
		site       uint64 // offset
		emulated   bool
	}{
		{"of the two that load a global, neither", `
			f9400b90 ; 00 ldr x16,[x28,#16]
			eb3063ff ; 04 cmp sp,x16
			54000109 ; 08 b.ls 28
			f81e0ffe ; 0c str x30,[sp,#-32]!
			b00000bb ; 10 adrp x27
			f9400365 ; 14 ldr x5,[x27]
			b4000045 ; 18 cbz x5,20
			94000400 ; 1c bl
			f84207fe ; 20 ldr x30,[sp],#32
			d65f03c0 ; 24 ret
			aa1e03e3 ; 28 mov x3,x30
			94000400 ; 2c bl
			17fffff4 ; 30 b 0`, 0x18, true},
		{"a large constant", `
			d2800b5b ; 00 mov x27,#90
			f2a0009b ; 04 movk x27,#4,lsl #16
			eb1b001f ; 08 cmp x0,x27
			54000040 ; 0c b.eq 14
			d503201f ; 10 nop
			d65f03c0 ; 14 ret`, 0x0c, true},
		{"the last of a sequence, where nothing else can be probed", `
			d2800b5b ; 00 mov x27,#90
			8b1b0000 ; 04 add x0,x0,x27
			d65f03c0 ; 08 ret`, 0x04, false},
		{"a check for nil uses the register for nothing", `
			3980001b ; 00 ldrsb x27,[x0]
			f9400400 ; 04 ldr x0,[x0,#8]
			d65f03c0 ; 08 ret`, 0x00, false},
	} {
		s, err := Find(abi.ARM64, assembleARM64(t, c.code), codeBase, args)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
		} else if uint64(s.Entry.Addr-codeBase) != c.site || s.Entry.Emulated != c.emulated || len(s.Repeats) > 0 {
			t.Errorf("%s: %+v, want +%#x", c.name, s.Entry, c.site)
		}
	}
}

// TestStackCheckARM64: nothing but the whole check, tail included, is one.
func TestStackCheckARM64(t *testing.T) {
	for name, listing := range map[string]string{
		"small111": small111, "medium117": medium117, "huge111": huge111, "huge116": huge116, "huge117": huge117,
		"small118": small118, "small127": small127, "medium127": medium127, "huge120": huge120,
	} {
		code := assembleARM64(t, listing)
		m := arm64{}.prepare(code)
		c, ok := m.stackCheck(code, codeBase)
		if !ok || c.tailJump == 0 {
			t.Errorf("%s: no stack check", name)
			continue
		}
		for off := 0; off < len(code); off += wordSize {
			if off >= c.end && off < int(mustFlowTarget(t, m, code, c.jumps[0])) || off > c.tailJump {
				continue // not of the check
			}
			spoilt := slices.Clone(code)
			binary.LittleEndian.PutUint32(spoilt[off:], 0xf9400000) // ldr x0,[x0]
			if _, ok := (arm64{}).prepare(spoilt).stackCheck(spoilt, codeBase); ok {
				t.Errorf("%s: still a stack check with a load of an argument at %#x", name, off)
			}
			if _, ok := (arm64{}).prepare(code[:off]).stackCheck(code[:off], codeBase); ok {
				t.Errorf("%s: a stack check in %d bytes of it", name, off)
			}
		}
	}
}

func mustFlowTarget(t *testing.T, m machine, code []byte, off int) int64 {
	t.Helper()
	in, err := m.decode(code, off, codeBase)
	if err != nil {
		t.Fatal(err)
	}
	return in.target
}

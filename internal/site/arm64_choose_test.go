package site

import (
	"encoding/binary"
	"errors"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/argtap/argtap/abi"
	"github.com/argtap/argtap/symbols"
)

// assembleARM64 assembles a listing: instructions as words in hexadecimal,
// one a line, with the text behind a semicolon for the reader.
func assembleARM64(t testing.TB, listing string) []byte {
	t.Helper()
	var code []byte
	for line := range strings.Lines(listing) {
		hex, _, _ := strings.Cut(line, ";")
		if hex = strings.TrimSpace(hex); hex == "" {
			continue
		}
		w, err := strconv.ParseUint(hex, 16, 32)
		if err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		code = binary.LittleEndian.AppendUint32(code, uint32(w))
	}
	return code
}

// Prologues of each shape, from programs that the release compiled, with the
// rest of the function cut.
const (
	small111 = ` ; Go 1.11, func f(a int8, b int64, c string, d int8) (int8, int64)
		f9400b81 ; 00 ldr x1,[x28,#16]
		910003e2 ; 04 mov x2,sp
		eb01005f ; 08 cmp x2,x1
		540000c9 ; 0c b.ls 24
		f81f0ffe ; 10 str x30,[sp,#-16]!
		f9401be0 ; 14 ldr x0,[sp,#48]
		94000400 ; 18 bl main.sink
		f84107fe ; 1c ldr x30,[sp],#16
		d65f03c0 ; 20 ret
		aa1e03e3 ; 24 mov x3,x30
		94000400 ; 28 bl runtime.morestack_noctxt
		17fffff5 ; 2c b 0`
	medium117 = ` ; Go 1.11 to 1.17 (without the frame pointer up to 1.11), a frame of 3040 bytes
		f9400b81 ; 00 ldr x1,[x28,#16]
		d12d83e2 ; 04 sub x2,sp,#2912
		eb01005f ; 08 cmp x2,x1
		54000149 ; 0c b.ls 34
		d12f83fb ; 10 sub x27,sp,#3040
		f900037e ; 14 str x30,[x27]
		9100037f ; 18 mov sp,x27
		f81f83fd ; 1c stur x29,[sp,#-8]
		d10023fd ; 20 sub x29,sp,#8
		b4000040 ; 24 cbz x0,2c
		d503201f ; 28 nop
		912f83ff ; 2c add sp,sp,#3040
		d65f03c0 ; 30 ret
		aa1e03e3 ; 34 mov x3,x30
		94000400 ; 38 bl runtime.morestack_noctxt
		17fffff1 ; 3c b 0`
	huge111 = ` ; Go 1.11, a frame of 300080 bytes
		f9400b81 ; 00 ldr x1,[x28,#16]
		9280a43b ; 04 mov x27,#-1314
		eb1b003f ; 08 cmp x1,x27
		54000240 ; 0c b.eq 54
		910dc3e2 ; 10 add x2,sp,#880
		cb010042 ; 14 sub x2,x2,x1
		18000263 ; 18 ldr w3,64
		eb03005f ; 1c cmp x2,x3
		540001a9 ; 20 b.ls 54
		1800023b ; 24 ldr w27,68
		cb3b63fb ; 28 sub x27,sp,x27
		f900037e ; 2c str x30,[x27]
		9100037f ; 30 mov sp,x27
		b4000040 ; 34 cbz x0,3c
		d503201f ; 38 nop
		f94003fe ; 3c ldr x30,[sp]
		180001bb ; 40 ldr w27,74
		8b3b63ff ; 44 add sp,sp,x27
		d65f03c0 ; 48 ret
		d503201f ; 4c nop
		d503201f ; 50 nop
		aa1e03e3 ; 54 mov x3,x30
		94000400 ; 58 bl runtime.morestack_noctxt
		17ffffe9 ; 5c b 0
		14000000 ; 60 b .
		000495a0 ; 64 framesize and guard
		00049430 ; 68 framesize
		d65f03c0 ; 6c that nothing refers to
		00000000 ; 70
		00049430 ; 74`
	huge116 = ` ; Go 1.16, a frame of 300048 bytes
		f9400b81 ; 00 ldr x1,[x28,#16]
		9280a43b ; 04 mov x27,#-1314
		eb1b003f ; 08 cmp x1,x27
		54000240 ; 0c b.eq 54
		910e83e2 ; 10 add x2,sp,#928
		cb010042 ; 14 sub x2,x2,x1
		d292e603 ; 18 mov x3,#0x9730
		f2a00083 ; 1c movk x3,#4,lsl #16
		eb03005f ; 20 cmp x2,x3
		54000189 ; 24 b.ls 54
		d11043fb ; 28 sub x27,sp,#1040
		d141277b ; 2c sub x27,x27,#73,lsl #12
		f900037e ; 30 str x30,[x27]
		9100037f ; 34 mov sp,x27
		f81f83fd ; 38 stur x29,[sp,#-8]
		d10023fd ; 3c sub x29,sp,#8
		b4000040 ; 40 cbz x0,48
		d503201f ; 44 nop
		911043ff ; 48 add sp,sp,#1040
		914127ff ; 4c add sp,sp,#73,lsl #12
		d65f03c0 ; 50 ret
		aa1e03e3 ; 54 mov x3,x30
		94000400 ; 58 bl runtime.morestack_noctxt
		17ffffe9 ; 5c b 0`
	huge117 = ` ; Go 1.17
		f9400b81 ; 00 ldr x1,[x28,#16]
		d292721b ; 04 mov x27,#0x9390
		f2a0009b ; 08 movk x27,#4,lsl #16
		eb3b63e2 ; 0c subs x2,sp,x27
		54000143 ; 10 b.lo 38
		eb01005f ; 14 cmp x2,x1
		54000109 ; 18 b.ls 38
		d11043fb ; 1c sub x27,sp,#1040
		d141277b ; 20 sub x27,x27,#73,lsl #12
		f900037e ; 24 str x30,[x27]
		9100037f ; 28 mov sp,x27
		b4000040 ; 2c cbz x0,34
		d503201f ; 30 nop
		d65f03c0 ; 34 ret
		aa1e03e3 ; 38 mov x3,x30
		94000400 ; 3c bl runtime.morestack_noctxt
		17fffff0 ; 40 b 0`
	small118 = ` ; Go 1.18, func f(a int8, b int64, c string, d int8) (int8, int64)
		f9400b90 ; 00 ldr x16,[x28,#16]
		910003f1 ; 04 mov x17,sp
		eb10023f ; 08 cmp x17,x16
		54000109 ; 0c b.ls 2c
		f81e0ffe ; 10 str x30,[sp,#-32]!
		f81f83fd ; 14 stur x29,[sp,#-8]
		d10023fd ; 18 sub x29,sp,#8
		f9001fe2 ; 1c str x2,[sp,#56]
		94000400 ; 20 bl main.sink
		f84207fe ; 24 ldr x30,[sp],#32
		d65f03c0 ; 28 ret
		390023e0 ; 2c strb w0,[sp,#8]
		f9000be1 ; 30 str x1,[sp,#16]
		f9000fe2 ; 34 str x2,[sp,#24]
		f90013e3 ; 38 str x3,[sp,#32]
		3900a3e4 ; 3c strb w4,[sp,#40]
		aa1e03e3 ; 40 mov x3,x30
		94000400 ; 44 bl runtime.morestack_noctxt.abi0
		398023e0 ; 48 ldrsb x0,[sp,#8]
		f9400be1 ; 4c ldr x1,[sp,#16]
		f9400fe2 ; 50 ldr x2,[sp,#24]
		f94013e3 ; 54 ldr x3,[sp,#32]
		3980a3e4 ; 58 ldrsb x4,[sp,#40]
		17ffffe9 ; 5c b 0`
	small127 = ` ; Go 1.20 to 1.27, the same function
		f9400b90 ; 00 ldr x16,[x28,#16]
		eb3063ff ; 04 cmp sp,x16
		54000109 ; 08 b.ls 28
		f81e0ffe ; 0c str x30,[sp,#-32]!
		f81f83fd ; 10 stur x29,[sp,#-8]
		d10023fd ; 14 sub x29,sp,#8
		b4000040 ; 18 cbz x0,20
		94000400 ; 1c bl main.sink
		f84207fe ; 20 ldr x30,[sp],#32
		d65f03c0 ; 24 ret
		390023e0 ; 28 strb w0,[sp,#8]
		a9010be1 ; 2c stp x1,x2,[sp,#16]
		f90013e3 ; 30 str x3,[sp,#32]
		3900a3e4 ; 34 strb w4,[sp,#40]
		aa1e03e3 ; 38 mov x3,x30
		94000400 ; 3c bl runtime.morestack_noctxt.abi0
		398023e0 ; 40 ldrsb x0,[sp,#8]
		a9410be1 ; 44 ldp x1,x2,[sp,#16]
		f94013e3 ; 48 ldr x3,[sp,#32]
		3980a3e4 ; 4c ldrsb x4,[sp,#40]
		17ffffec ; 50 b 0`
	medium127 = ` ; Go 1.20 to 1.27, a frame of 3040 bytes
		f9400b90 ; 00 ldr x16,[x28,#16]
		d12d83f1 ; 04 sub x17,sp,#2912
		eb10023f ; 08 cmp x17,x16
		54000109 ; 0c b.ls 2c
		d12f83f4 ; 10 sub x20,sp,#3040
		a93ffa9d ; 14 stp x29,x30,[x20,#-8]
		9100029f ; 18 mov sp,x20
		d10023fd ; 1c sub x29,sp,#8
		b4000040 ; 20 cbz x0,28
		d503201f ; 24 nop
		d65f03c0 ; 28 ret
		aa1e03e3 ; 2c mov x3,x30
		94000400 ; 30 bl runtime.morestack_noctxt.abi0
		17fffff3 ; 34 b 0`
	huge120 = ` ; Go 1.20, a frame of 300048 bytes
		f9400b90 ; 00 ldr x16,[x28,#16]
		d292721b ; 04 mov x27,#0x9390
		f2a0009b ; 08 movk x27,#4,lsl #16
		eb3b63f1 ; 0c subs x17,sp,x27
		54000163 ; 10 b.lo 3c
		eb10023f ; 14 cmp x17,x16
		54000129 ; 18 b.ls 3c
		d11043f4 ; 1c sub x20,sp,#1040
		d1412694 ; 20 sub x20,x20,#73,lsl #12
		a93ffa9d ; 24 stp x29,x30,[x20,#-8]
		9100029f ; 28 mov sp,x20
		d10023fd ; 2c sub x29,sp,#8
		b4000040 ; 30 cbz x0,38
		d503201f ; 34 nop
		d65f03c0 ; 38 ret
		aa1e03e3 ; 3c mov x3,x30
		94000400 ; 40 bl runtime.morestack_noctxt.abi0
		17ffffef ; 44 b 0`
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

// TestBackEdgeARM64: what a branch on a register tells.
func TestBackEdgeARM64(t *testing.T) {
	for _, c := range []struct {
		text    string
		word    uint32
		want    RegTest
		yes, no uint64
	}{
		{"cbz x1", 0xb4ffffe1, RegTest{abi.X1, 1<<64 - 1, true}, 0, 1 << 63},
		{"cbz w1", 0x34ffffe1, RegTest{abi.X1, 1<<32 - 1, true}, 1 << 32, 1},
		{"cbnz x1", 0xb5ffffe1, RegTest{abi.X1, 1<<64 - 1, false}, 1 << 63, 0},
		{"cbnz w1", 0x35ffffe1, RegTest{abi.X1, 1<<32 - 1, false}, 1, 1 << 32},
		{"tbz w1,#0", 0x3607ffe1, RegTest{abi.X1, 1, true}, 2, 1},
		{"tbnz x1,#63", 0xb7ffffe1, RegTest{abi.X1, 1 << 63, false}, 1 << 63, 1},
		{"tbz w1,#31", 0x36ffffe1, RegTest{abi.X1, 1 << 31, true}, 1 << 32, 1 << 31},
		{"b.eq", 0x54ffffe0, RegTest{}, 0, 0},
		{"cbz xzr", 0xb4ffffff, RegTest{}, 0, 0},
	} {
		got := word(c.word).test()
		if got != c.want {
			t.Errorf("%s: %+v, want %+v", c.text, got, c.want)
		}
		if got.Mask != 0 && (!got.Holds(c.yes) || got.Holds(c.no)) || (RegTest{}).Holds(0) {
			t.Errorf("%s: holds for %#x: %t, for %#x: %t", c.text, c.yes, got.Holds(c.yes), c.no, got.Holds(c.no))
		}
	}
	code := assembleARM64(t, "d1000c00\nb6ffffe0\nd65f03c0")
	s, err := Find(abi.ARM64, code, codeBase, abi.ARM64.Ints)
	if err != nil {
		t.Fatal(err)
	}
	if e := s.Repeats[0]; e.Taken != Never || e.Test != (RegTest{abi.X0, 1 << 63, true}) || !e.Emulated || e.Instr != "tbz x0, #63, 0x401000" {
		t.Errorf("%+v", e)
	}
}

// TestGrowARM64: the tail's move of the link register costs x3.
func TestGrowARM64(t *testing.T) {
	for _, c := range []struct {
		name string
		code string
		live []abi.Reg
		at   symbols.VirtAddr // offset, 0 for none
	}{
		{"restored", small127, abi.ARM64.Ints[:5], 0},
		{"one more", small127, abi.ARM64.Ints[:6], 0x3c},
		{"nothing restored", medium127, abi.ARM64.Ints[:1], 0x30},
		{"nothing restored, x3 among it", medium127, abi.ARM64.Ints[:4], 0x2c},
		{"what the runtime keeps", medium127, []abi.Reg{abi.ARM64.G, abi.ARM64.Closure, abi.X30, abi.ARM64SP, abi.V0}, 0},
	} {
		s, err := Find(abi.ARM64, assembleARM64(t, c.code), codeBase, c.live)
		switch {
		case err != nil:
			t.Errorf("%s: %v", c.name, err)
		case (s.Grow != nil) != (c.at != 0):
			t.Errorf("%s: grow %+v", c.name, s.Grow)
		case s.Grow != nil && (s.Grow.Addr != codeBase+c.at || s.Grow.CFA != 0 || s.Grow.Emulated != strings.HasPrefix(s.Grow.Instr, "bl ")):
			t.Errorf("%s: grow %+v, want +%#x", c.name, s.Grow, c.at)
		}
	}
}

func TestSpillsARM64(t *testing.T) {
	want := []Spill{{abi.X0, 8, 1}, {abi.X1, 16, 8}, {abi.X2, 24, 8}, {abi.X3, 32, 8}, {abi.X4, 40, 1}}
	for _, code := range []string{small118, small127} {
		got, ok := Spills(abi.ARM64, assembleARM64(t, code), codeBase)
		if !ok || !slices.Equal(got, want) {
			t.Errorf("%v, %t, want %v", got, ok, want)
		}
	}
	// Behind large results; Go 1.26, func(…) of fips140/mlkem.
	far := strings.Replace(small127, "a9010be1 ; 2c stp x1,x2,[sp,#16]", `910823fb ; add x27,sp,#520
		a9000b61 ; stp x1,x2,[x27]`, 1)
	far = strings.Replace(far, "54000109", "54000129", 1)               // b.ls: x0 is spilled by the next
	far = strings.Replace(far, "390023e0", "d503201f\n\t\t390023e0", 1) // nop
	far = strings.Replace(far, "f90013e3 ; 30 str x3,[sp,#32]", `d280201b ; mov x27,#256
		f83b6be3 ; str x3,[sp,x27]`, 1)
	far = strings.Replace(far, "17ffffec", "17ffffe9", 1)
	want = []Spill{{abi.X0, 8, 1}, {abi.X1, 520, 8}, {abi.X2, 528, 8}, {abi.X3, 256, 8}, {abi.X4, 40, 1}}
	if got, ok := Spills(abi.ARM64, assembleARM64(t, far), codeBase); !ok || !slices.Equal(got, want) {
		t.Errorf("far away: %v, %t, want %v", got, ok, want)
	}
	if got, ok := Spills(abi.ARM64, assembleARM64(t, medium127), codeBase); ok {
		t.Errorf("%v from a tail without any", got)
	}
	if _, ok := TLSOffset(abi.ARM64, assembleARM64(t, small127), codeBase); ok {
		t.Error("thread-local storage on arm64")
	}
}

// TestSpillsCorpusARM64: all argument registers are spilled, which by the
// convention are the first ones of both kinds, to slots in the order of the
// arguments.
func TestSpillsCorpusARM64(t *testing.T) {
	b := openBinary(t, goBuildFor(t, "arm64", "cmd/go"))
	withSpills, floats := 0, 0
	for _, fn := range b.funcs {
		spills, ok := Spills(abi.ARM64, b.code(t, fn), fn.Entry)
		if ok != (len(spills) > 0) {
			t.Fatalf("%s: %v, %t", fn.Name, spills, ok)
		}
		if ok {
			withSpills++
		}
		nextInt, nextFloat, end := abi.X0, abi.V0, abi.ARM64.ArgBase
		for _, s := range spills {
			want := &nextInt
			if abi.ARM64.IsFloat(s.Reg) {
				want = &nextFloat
				floats++
			}
			if s.Reg != *want || s.Slot < end || int(s.Slot)%s.Size != 0 {
				t.Errorf("%s: %v: %s out of order", fn.Name, spills, abi.ARM64.RegName(s.Reg))
				break
			}
			*want++
			end = s.Slot + abi.CFAOffset(s.Size)
		}
	}
	if withSpills < 5000 || floats < 30 {
		t.Errorf("%d functions with spills, %d floats among them: too few to mean anything", withSpills, floats)
	}
}

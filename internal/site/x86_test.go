package site

import (
	"errors"
	"testing"

	"github.com/argtap/argtap/abi"
	"github.com/argtap/argtap/symbols"
)

// TestKernel386: what the kernel emulates in 32-bit programs and what it must
// not be given. On 6.18 probes were put on the first and on single-stepped
// ones and the program computed the same.
func TestKernel386(t *testing.T) {
	for _, c := range []struct {
		code     string
		emulated bool
		refused  bool
	}{
		{"55                ; push %ebp", true, false},
		{"54                ; push %esp", true, false},
		{"66 55             ; push %bp", false, false},
		{"6a 00             ; push $0", false, false},
		{"90                ; nop", true, false},
		{"f3 90             ; pause", false, false},
		{"0f 1f 44 00 00    ; nopl", false, true},
		{"eb 10             ; jmp", true, false},
		{"e9 00 01 00 00    ; jmp", true, false},
		{"e8 00 01 00 00    ; call", true, false},
		{"76 10             ; jbe", true, false},
		{"0f 86 10 00 00 00 ; jbe", true, false},
		{"e3 10             ; jecxz", false, false},
		{"c3                ; ret", false, false},
		{"40                ; inc %eax: no REX prefix", false, false},
		{"4f                ; dec %edi", false, false},
		{"06                ; push %es", false, false},
		{"07                ; pop %es", false, true},
		{"17                ; pop %ss", false, true},
		{"1f                ; pop %ds", false, true},
		{"60                ; pusha", false, false},
		{"9c                ; pushf", false, true},
		{"9a 00 00 00 00 23 00 ; lcall", false, true},
		{"ea 00 00 00 00 23 00 ; ljmp", false, true},
		{"cd 80             ; int $0x80", false, true},
		{"ce                ; into", false, true},
		{"0f 34             ; sysenter", false, true},
		{"f0 0f b1 0b       ; lock cmpxchg", false, true},
		{"f3 ab             ; rep stos", false, true},
		{"c5 f8 77          ; vzeroupper", false, true},
		{"c5 00             ; lds (%eax),%eax", false, false},
		{"62 00             ; bound %eax,(%eax)", false, false},
		{"62 f1 7c 48 10 00 ; vmovups", false, true},
		{"65 8b 0d 00 00 00 00 ; mov %gs:0,%ecx", false, false},
	} {
		code := assemble(t, c.code)
		in, err := i386.decode(code, 0, codeBase)
		if err != nil {
			t.Errorf("%s: %v", c.code, err)
			continue
		}
		if in.size != len(code) || in.emulated != c.emulated || (in.refused != "") != c.refused {
			t.Errorf("%s: %d bytes, emulated %t, refused %q", c.code, in.size, in.emulated, in.refused)
		}
	}
}

func TestText386(t *testing.T) {
	for _, c := range []struct{ code, want string }{
		{"65 8b 0d 00 00 00 00", "mov %gs:0x0,%ecx"},
		{"3b 61 08", "cmp 0x8(%ecx),%esp"},
		{"76 10", "jbe 0x401012"},
		{"e8 00 10 00 00", "call 0x402005"},
		{"c3", "ret"},
		{"55", "push %ebp"},
	} {
		code := assemble(t, c.code)
		in, err := i386.decode(code, 0, codeBase)
		if err != nil {
			t.Errorf("%s: %v", c.code, err)
		} else if s := i386.text(code, in, codeBase); s != c.want {
			t.Errorf("%s: %q, want %q", c.code, s, c.want)
		}
	}
}

// TestLayout386 has the instructions whose length depends on the mode, which
// compilers hardly write.
func TestLayout386(t *testing.T) {
	for _, listing := range []string{
		"a1 00 00 00 00       ; mov 0,%eax",
		"66 a1 00 00 00 00    ; mov 0,%ax",
		"67 a1 00 00          ; addr16 mov 0,%eax",
		"67 8b 06 00 00       ; mov 0,%eax: disp16",
		"67 8b 40 00          ; mov 0(%bx,%si),%eax",
		"67 8b 80 00 00       ; mov 0(%bx,%si),%eax",
		"67 8b 04             ; mov (%si),%eax: no SIB",
		"8b 05 00 00 00 00    ; mov 0,%eax",
		"8b 04 05 00 00 00 00 ; mov 0(,%eax,1),%eax",
		"8b 44 24 04          ; mov 4(%esp),%eax",
		"b8 00 00 00 00       ; mov $0,%eax",
		"66 b8 00 00          ; mov $0,%ax",
		"48                   ; dec %eax",
		"82 c0 01             ; add $1,%al",
		"d4 0a                ; aam",
		"27                   ; daa",
		"61                   ; popa",
		"63 c0                ; arpl %ax,%ax",
		"62 44 24 04          ; bound %eax,4(%esp)",
		"c4 44 24 04          ; les 4(%esp),%eax",
		"c5 f8 28 c1          ; vmovaps %xmm1,%xmm0",
		"c4 e2 70 f2 c2       ; andn %edx,%ecx,%eax",
		"66 0f 3a 0f c1 08    ; palignr",
		"9a 00 00 00 00 23 00 ; lcall",
		"66 9a 00 00 23 00    ; lcallw",
		"c8 00 01 00          ; enter",
		"f6 04 24 01          ; testb $1,(%esp)",
		"f7 04 24 01 00 00 00 ; testl $1,(%esp)",
		"dd 04 24             ; fldl (%esp)",
	} {
		code := assemble(t, listing)
		l, err := parse(append(code, make([]byte, instrMax)...), 32)
		if err != nil || l.size != len(code) {
			t.Errorf("%s: %d bytes, %v", listing, l.size, err)
		}
		for n := range code {
			if _, err := parse(code[:n], 32); err == nil && n > 0 && l.op != code[0] {
				t.Errorf("%s: no error for %d bytes", listing, n)
			} else if n == 0 && !errors.Is(err, errTruncated) {
				t.Errorf("%s: no bytes: %v", listing, err)
			}
		}
	}
}

// TestLayoutCorpus386 is TestLayout for 386.
func TestLayoutCorpus386(t *testing.T) {
	b := openBinary(t, goBuildFor(t, "386", "cmd/go"))
	compareLengths(t, b, 32)
	st := checkAll(t, b)
	t.Log(st)
	if share := float64(st.emulated) / float64(st.total); share < 0.9 {
		t.Errorf("%.1f %% on an emulated instruction, want 90 or more", 100*share)
	}
}

// TestBuilds386 is TestBuilds for 386. Position-independent programs need a C
// compiler for it; TestPrologues has what they begin with.
func TestBuilds386(t *testing.T) {
	for _, flags := range [][]string{nil, {"-gcflags=all=-N -l"}} {
		b := fixtureFor(t, "386", flags...)
		st := checkAll(t, b)
		t.Logf("%q: %v", flags, st)
		if n := st.kinds[AfterCheck] + st.kinds[AtCheck]; n < st.total*8/10 {
			t.Errorf("%q: %d sites after or at a stack check, want eight of ten", flags, n)
		}
	}
}

// TestTable386: a jump table as C compilers write it.
func TestTable386(t *testing.T) {
	code := assemble(t, `
		83 f8 02                ; cmp $2,%eax
		77 07                   ; ja 1f
		ff 24 85 00 20 40 00    ; jmp *table(,%eax,4)
		c3                      ; 1: ret
		c3                      ; 2: ret`)
	targets := []uint32{12, 13, 12}
	mem := func(a symbols.VirtAddr, buf []byte) error {
		i := (a - 0x402000) / 4
		if len(buf) != 4 || a%4 != 0 || i >= symbols.VirtAddr(len(targets)) {
			return errUnmapped
		}
		v := uint32(codeBase) + targets[i]
		copy(buf, []byte{byte(v), byte(v >> 8), byte(v >> 16), byte(v >> 24)})
		return nil
	}
	s, err := FindIn(abi.I386, code, codeBase, nil, mem)
	if err != nil || s.Entry.Addr != codeBase+3 || s.TailJumps != 0 {
		t.Errorf("%+v, %v: want the first branch", s, err)
	}
	targets[1] = 0
	if _, err := FindIn(abi.I386, code, codeBase, nil, mem); !errors.Is(err, ErrNoSite) {
		t.Errorf("a table that leads to the entry: %v", err)
	}
	if _, err := FindIn(abi.I386, code, codeBase, nil, nil); !errors.Is(err, ErrNoSite) {
		t.Errorf("a table that cannot be read: %v", err)
	}
}

// TestEffects386: loads that cannot fault, and those that may.
func TestEffects386(t *testing.T) {
	for _, c := range []struct {
		code string
		wild bool
		grow int64
	}{
		{"8b 44 24 04          ; mov 4(%esp),%eax", false, 0},
		{"8b 05 00 20 40 00    ; mov data,%eax", false, 0},
		{"a1 00 20 40 00       ; mov data,%eax", false, 0},
		{"8b 05 08 00 00 00    ; mov 8,%eax: a nil pointer's", true, 0},
		{"65 8b 0d 00 00 00 00 ; mov %gs:0,%ecx", false, 0},
		{"64 8b 0d 00 00 00 00 ; mov %fs:0,%ecx", true, 0},
		{"8b 01                ; mov (%ecx),%eax", true, 0},
		{"89 44 24 04          ; mov %eax,4(%esp)", true, 0},
		{"89 05 00 20 40 00    ; mov %eax,data", true, 0},
		{"55                   ; push %ebp", false, 4},
		{"83 ec 10             ; sub $0x10,%esp", false, 16},
		{"83 c4 80             ; add $-0x80,%esp", false, 128},
		{"8d 64 24 f0          ; lea -0x10(%esp),%esp", false, 16},
		{"40                   ; inc %eax", false, 0},
		{"60                   ; pusha", true, 0},
		{"d9 04 24             ; flds (%esp)", true, 0},
	} {
		code := assemble(t, c.code)
		in, err := i386.decode(code, 0, codeBase)
		if err != nil {
			t.Errorf("%s: %v", c.code, err)
			continue
		}
		if e := i386.effects(code, in); e.wild != c.wild || e.grows != c.grow {
			t.Errorf("%s: %+v", c.code, e)
		}
	}
	for listing, want := range map[string]abi.Reg{
		"31 c0       ; xor %eax,%eax": abi.EAX,
		"b1 01       ; mov $1,%cl":    abi.ECX,
		"b6 01       ; mov $1,%dh":    abi.EDX,
		"99          ; cltd":          abi.EDX,
		"4f          ; dec %edi":      abi.EDI,
		"0f 28 c1    ; movaps":        i386XMM0,
		"66 be 01 00 ; mov $1,%si":    abi.ESI,
	} {
		code := assemble(t, listing)
		in, err := i386.decode(code, 0, codeBase)
		if err != nil {
			t.Errorf("%s: %v", listing, err)
			continue
		}
		var set regSet
		set.add(want)
		if e := i386.effects(code, in); e.writes != set {
			t.Errorf("%s: writes %b, want register %d", listing, e.writes, want)
		}
	}
}

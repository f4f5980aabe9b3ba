package site

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"strings"
	"testing"

	"github.com/argtap/argtap/abi"
	"github.com/argtap/argtap/symbols"
)

// assemble assembles a listing: bytes in hexadecimal, one instruction a line, with
// the text behind a semicolon for the reader.
func assemble(t testing.TB, listing string) []byte {
	t.Helper()
	var code []byte
	for line := range strings.Lines(listing) {
		bytes, _, _ := strings.Cut(line, ";")
		b, err := hex.DecodeString(strings.Join(strings.Fields(bytes), ""))
		if err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		code = append(code, b...)
	}
	return code
}

const codeBase = symbols.VirtAddr(0x401000)

// TestChoose has code of shapes that the local compiler does not write.
func TestChoose(t *testing.T) {
	args := []abi.Reg{abi.RAX, abi.RBX, abi.RDX, abi.R14}
	for _, c := range []struct {
		name    string
		code    string
		live    []abi.Reg
		site    uint64 // offset
		kind    Kind
		cfa     int64
		skip    Cond
		repeats int
		err     string // of ErrNoSite
	}{
		{name: "go1.17 to 1.20: frame before the saved RBP", code: `
			49 3b 66 10       ; cmp 0x10(%r14),%rsp
			76 13             ; jbe tail
			48 83 ec 18       ; sub $0x18,%rsp
			48 89 6c 24 10    ; mov %rbp,0x10(%rsp)
			48 8d 6c 24 10    ; lea 0x10(%rsp),%rbp
			48 83 c4 18       ; add $0x18,%rsp
			c3                ; ret
			e8 00 10 00 00    ; tail: call runtime.morestack_noctxt
			eb e0             ; jmp 0`,
			live: args, site: 4, kind: AtCheck, cfa: 8, skip: condBE},
		{name: "assembly: the g from thread-local storage", code: `
			64 4c 8b 34 25 f8 ff ff ff ; mov %fs:-8,%r14
			49 3b 66 10       ; cmp 0x10(%r14),%rsp
			76 04             ; jbe tail
			55                ; push %rbp
			90                ; nop
			5d                ; pop %rbp
			c3                ; ret
			e8 00 10 00 00    ; tail: call
			eb e6             ; jmp 0`,
			site: 15, kind: AfterCheck, cfa: 8, skip: Never},
		{name: "assembly, but R14 is wanted as at entry", code: `
			64 4c 8b 34 25 f8 ff ff ff
			49 3b 66 10
			76 04
			55
			90
			5d
			c3
			e8 00 10 00 00
			eb e6`,
			live: []abi.Reg{abi.R14}, site: 0, kind: Stepped, cfa: 8, skip: Never, repeats: 1},
		{name: "position-independent: the g's offset from memory", code: `
			48 8b 0d 00 20 00 00 ; mov 0x2000(%rip),%rcx
			64 48 8b 09       ; mov %fs:(%rcx),%rcx
			48 3b 61 10       ; cmp 0x10(%rcx),%rsp
			76 03             ; jbe tail
			55                ; push %rbp
			5d                ; pop %rbp
			c3                ; ret
			ff 15 00 20 00 00 ; tail: call *0x2000(%rip)
			eb e4             ; jmp 0`,
			site: 17, kind: AfterCheck, cfa: 8, skip: Never},
		{name: "huge frame: both jumps of the check", code: `
			49 89 e4          ; mov %rsp,%r12
			49 81 ec 00 20 00 00 ; sub $0x2000,%r12
			72 0a             ; jb tail
			4d 3b 66 10       ; cmp 0x10(%r14),%r12
			76 04             ; jbe tail
			90                ; nop
			90                ; nop
			90                ; nop
			c3                ; ret
			e8 00 10 00 00    ; tail: call
			eb e3             ; jmp 0`,
			live: args, site: 18, kind: AfterCheck, cfa: 8, skip: Never},
		{name: "a check whose tail is none: no stack check", code: `
			49 3b 66 10       ; cmp 0x10(%r14),%rsp: may fault, for all we know
			76 01             ; jbe 1f
			c3                ; ret
			90                ; 1: nop
			c3                ; ret`,
			site: 0, kind: Stepped, cfa: 8, skip: Never},
		{name: "C: endbr64, then push", code: `
			f3 0f 1e fa       ; endbr64
			55                ; push %rbp
			48 89 e5          ; mov %rsp,%rbp
			5d                ; pop %rbp
			c3                ; ret`,
			site: 0, kind: Stepped, cfa: 8, skip: Never},
		{name: "frame made before the first jump", code: `
			48 83 ec 18       ; sub $0x18,%rsp
			48 85 c0          ; test %rax,%rax
			74 05             ; je 1f
			48 83 c4 18       ; add $0x18,%rsp
			c3                ; ret
			48 83 c4 18       ; 1: add $0x18,%rsp
			c3                ; ret`,
			live: args, site: 7, kind: EntryBlock, cfa: 32, skip: Never},
		{name: "lea moves the stack pointer", code: `
			48 8d 64 24 f0    ; lea -0x10(%rsp),%rsp
			90                ; nop
			48 8d 64 24 10    ; lea 0x10(%rsp),%rsp
			c3                ; ret`,
			live: args, site: 5, kind: EntryBlock, cfa: 24, skip: Never},
		{name: "stack pointer aligned: no longer followed", code: `
			48 83 e4 f0       ; and $-16,%rsp
			90                ; nop
			c3                ; ret`,
			live: args, site: 0, kind: Stepped, cfa: 8, skip: Never},
		{name: "an argument is overwritten before the jump", code: `
			31 c0             ; xor %eax,%eax
			85 db             ; test %ebx,%ebx
			74 00             ; je 1f
			c3                ; 1: ret`,
			live: args, site: 0, kind: Stepped, cfa: 8, skip: Never},
		{name: "but one that nobody asks for", code: `
			31 c0
			85 db
			74 00
			c3`,
			live: []abi.Reg{abi.RBX}, site: 4, kind: EntryBlock, cfa: 8, skip: Never},
		{name: "a byte of an argument is overwritten", code: `
			b4 01             ; mov $1,%ah
			90                ; nop
			c3                ; ret`,
			live: args, site: 0, kind: Stepped, cfa: 8, skip: Never},
		{name: "load that may fault before the jump", code: `
			80 38 00          ; cmpb $0,(%rax)
			74 00             ; je 1f
			c3                ; 1: ret`,
			live: args, site: 0, kind: Stepped, cfa: 8, skip: Never},
		{name: "store before the jump", code: `
			c6 44 24 08 00    ; movb $0,8(%rsp): an argument on the stack
			85 db             ; test %ebx,%ebx
			74 00             ; je 1f
			c3                ; 1: ret`,
			live: args, site: 0, kind: Stepped, cfa: 8, skip: Never},
		{name: "loop inside the entry block, after the first instruction", code: `
			31 c9             ; xor %ecx,%ecx
			48 ff c1          ; 1: inc %rcx
			48 39 c1          ; cmp %rax,%rcx
			7c f8             ; jl 1b
			c3                ; ret`,
			live: args, site: 0, kind: Stepped, cfa: 8, skip: Never},
		{name: "loop at the entry, emulated", code: `
			90                ; nop
			eb fd             ; jmp 0`,
			live: args, site: 0, kind: EntryBlock, cfa: 8, skip: Never, repeats: 1},
		{name: "two ways back to the entry", code: `
			48 83 e8 03       ; sub $3,%rax
			78 0d             ; js 1f
			48 39 d8          ; cmp %rbx,%rax
			7c f5             ; jl 0
			0f 84 ef ff ff ff ; je 0
			90                ; nop
			90                ; nop
			c3                ; 1: ret`,
			live: args, site: 0, kind: Stepped, cfa: 8, skip: Never, repeats: 2},
		{name: "recursion is a call of its own", code: `
			55                ; push %rbp
			e8 fa ff ff ff    ; call 0
			5d                ; pop %rbp
			c3                ; ret`,
			live: args, site: 0, kind: EntryBlock, cfa: 8, skip: Never},
		{name: "back to the entry on a counter", code: `
			48 ff c0          ; inc %rax
			e2 fb             ; loop 0
			c3                ; ret`,
			live: args, err: "flags do not tell"},
		{name: "jump to itself", code: `eb fe`, err: "jumps to itself"},
		{name: "call into the entry block", code: `
			48 ff c0          ; inc %rax
			e8 fb ff ff ff    ; call .+0
			58                ; pop %rax
			c3                ; ret`,
			site: 0, kind: Stepped, cfa: 8, skip: Never},
		{name: "repeated string operation at the entry", code: `
			f3 48 ab          ; rep stos
			c3                ; ret`,
			err: "each is a hit"},
		{name: "locked instruction at the entry", code: `
			f0 48 ff 00       ; lock incq (%rax)
			c3                ; ret`,
			err: "prefix"},
		{name: "what follows a refused but harmless instruction", code: `
			0f 1f 44 00 00    ; nopl
			c3                ; ret`,
			site: 5, kind: Stepped, cfa: 8, skip: Never},
		{name: "ten bytes for a kernel to overwrite", code: `
			eb 08             ; jmp 1f
			90 90 90 90 90 90 90 90
			c3                ; 1: ret`,
			err: "rewrite"},
		{name: "indirect jump in a function without a frame", code: `
			48 ff c0          ; inc %rax
			ff e0             ; jmp *%rax
			c3                ; ret`,
			err: "indirect jump"},
		{name: "indirect jump in a function with a frame", code: `
			55                ; push %rbp
			48 ff c0          ; inc %rax
			ff e0             ; jmp *%rax
			5d                ; pop %rbp
			c3                ; ret`,
			site: 0, kind: EntryBlock, cfa: 8, skip: Never},
		{name: "a loop head behind the frame, perhaps", code: `
			48 83 ec 08       ; sub $8,%rsp
			85 c0             ; test %eax,%eax
			74 02             ; je 1f
			ff e1             ; jmp *%rcx
			c3                ; 1: ret`,
			live: args, site: 0, kind: Stepped, cfa: 8, skip: Never},
		{name: "tail call through an interface", code: `
			48 8b 48 08       ; mov 8(%rax),%rcx
			48 8b 49 18       ; mov 0x18(%rcx),%rcx
			ff e1             ; jmp *%rcx`,
			live: args, site: 0, kind: Stepped, cfa: 8, skip: Never},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, err := Find(abi.AMD64, assemble(t, c.code), codeBase, c.live)
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
		})
	}
}

// jumpTable is memory with a table of addresses, given as offsets from codeBase, and
// nothing behind it.
func jumpTable(table symbols.VirtAddr, targets ...uint64) Memory {
	return func(a symbols.VirtAddr, buf []byte) error {
		i := uint64(a-table) / 8
		if i >= uint64(len(targets)) {
			return errors.New("end of the segment")
		}
		binary.LittleEndian.PutUint64(buf, uint64(codeBase)+targets[i])
		return nil
	}
}

// TestTable: a switch in a function without a frame, whose table says
// whether it leads back to the entry.
func TestTable(t *testing.T) {
	code := assemble(t, `
		48 83 f8 02             ; cmp $2,%rax
		77 0a                   ; ja 1f
		48 8d 15 f3 0f 00 00    ; lea table(%rip),%rdx
		ff 24 c2                ; jmp *(%rdx,%rax,8)
		c3                      ; 1: ret
		c3                      ; 2: ret`)
	const table = codeBase + 0x1000
	memory := func(targets ...uint64) Memory { return jumpTable(table, targets...) }
	for _, c := range []struct {
		name string
		mem  Memory
		site symbols.VirtAddr // offset
		err  string
	}{
		{"blocks behind the entry", memory(16, 17, 16), 4, ""},
		{"and another function's table behind it", memory(16, 17, 16, 1<<20), 4, ""},
		{"the entry", memory(16, 0, 16), 0, "jump table"},
		{"the jump", memory(16, 4, 16), 0, ""},
		{"not a table", memory(1 << 20), 0, "indirect jump"},
		{"not readable", memory(), 0, "indirect jump"},
		{"none", nil, 0, "indirect jump"},
	} {
		s, err := FindIn(abi.AMD64, code, codeBase, abi.AMD64.Ints, c.mem)
		switch {
		case c.err != "":
			if !errors.Is(err, ErrNoSite) || !strings.Contains(err.Error(), c.err) {
				t.Errorf("%s: error %v, want ErrNoSite with %q", c.name, err, c.err)
			}
		case err != nil:
			t.Errorf("%s: %v", c.name, err)
		case s.Entry.Addr != codeBase+c.site || s.Entry.Emulated != (c.site == 4):
			t.Errorf("%s: %+v", c.name, s.Entry)
		}
	}
}

// TestKernel: what the kernel emulates and what it must not be given.
func TestKernel(t *testing.T) {
	for _, c := range []struct {
		code     string
		emulated bool
		refused  bool
	}{
		{"55                   ; push %rbp", true, false},
		{"54                   ; push %rsp", true, false},
		{"41 57                ; push %r15", true, false},
		{"48 55                ; push %rbp, with another REX prefix", false, false},
		{"66 55                ; push %bp", false, false},
		{"ff 30                ; push (%rax)", false, false},
		{"6a 00                ; push $0", false, false},
		{"90                   ; nop", true, false},
		{"66 90                ; nop", true, false},
		{"f3 90                ; pause", false, false},
		{"41 90                ; xchg %r8d,%eax", false, true},
		{"49 90                ; xchg %r8,%rax", false, true},
		{"0f 1f 00             ; nopl", false, true},
		{"0f 1f 44 00 00       ; nopl", false, true},
		{"f3 0f 1e fa          ; endbr64", false, false},
		{"eb 10                ; jmp", true, false},
		{"eb 08                ; jmp", false, true},
		{"e9 00 01 00 00       ; jmp", true, false},
		{"e8 00 01 00 00       ; call", true, false},
		{"76 10                ; jbe", true, false},
		{"0f 86 10 00 00 00    ; jbe", true, false},
		{"3e 76 10             ; jbe with a hint", false, true},
		{"f2 e9 00 01 00 00    ; bnd jmp", false, false},
		{"e3 10                ; jrcxz", false, false},
		{"ff e0                ; jmp *%rax", false, false},
		{"ff d0                ; call *%rax", false, false},
		{"c3                   ; ret", false, false},
		{"f3 c3                ; rep ret", false, false},
		{"5d                   ; pop %rbp", false, false},
		{"9c                   ; pushf", false, true},
		{"cc                   ; int3", false, true},
		{"f4                   ; hlt", false, true},
		{"0f 05                ; syscall", false, true},
		{"0f 0b                ; ud2", false, true},
		{"0f 01 d0             ; xgetbv", false, true},
		{"0f a2                ; cpuid", false, false},
		{"0f ae f0             ; mfence", false, true},
		{"f0 0f b1 0b          ; lock cmpxchg", false, true},
		{"f3 a4                ; rep movsb", false, true},
		{"a4                   ; movsb", false, false},
		{"8e d0                ; mov %eax,%ss", false, true},
		{"c5 f8 77             ; vzeroupper", false, true},
		{"c4 e2 f0 f2 d3       ; andn", false, true},
		{"62 f1 7c 48 10 00    ; vmovups", false, true},
		{"c7 f8 00 00 00 00    ; xbegin", false, true},
		{"48 8b 05 00 01 00 00 ; mov 0x100(%rip),%rax", false, false},
		{"49 3b 66 10          ; cmp 0x10(%r14),%rsp", false, false},
	} {
		code := assemble(t, c.code)
		in, err := amd64.decode(code, 0, codeBase)
		if err != nil {
			t.Errorf("%s: %v", c.code, err)
			continue
		}
		if in.size != len(code) || in.emulated != c.emulated && !(c.code[:5] == "eb 08") || (in.refused != "") != c.refused {
			t.Errorf("%s: %d bytes, emulated %t, refused %q", c.code, in.size, in.emulated, in.refused)
		}
	}
}

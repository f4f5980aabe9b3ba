package site

import (
	"slices"
	"strings"
	"testing"

	"golang.org/x/arch/x86/x86asm"

	"github.com/argtap/argtap/abi"
)

// TestSpills: the slots are those that the calling convention gives the
// arguments, in the order of their types.
func TestSpills(t *testing.T) {
	b := fixture(t)
	x0 := abi.XMM0
	for _, c := range []struct {
		fn   string
		want []Spill
	}{
		{"main.small", []Spill{{abi.RAX, 0, 8}, {abi.RBX, 8, 8}, {abi.RCX, 16, 8}}}, // (a int, s string)
		{"main.medium", []Spill{{abi.RAX, 0, 8}}},
		{"main.huge", []Spill{{abi.RAX, 0, 8}}},
		// (a int8, b uint16, c bool, d float32, e float64, s []int32)
		{"main.mixed", []Spill{
			{abi.RAX, 0, 1}, {abi.RBX, 2, 2}, {abi.RCX, 4, 1}, {x0, 8, 4}, {x0 + 1, 16, 8},
			{abi.RDI, 24, 8}, {abi.RSI, 32, 8}, {abi.R8, 40, 8},
		}},
		// (a [3]int, b, c, d, e, f, g, h, i, j, k int): a and k on the stack
		{"main.onStack", []Spill{
			{abi.RAX, 32, 8}, {abi.RBX, 40, 8}, {abi.RCX, 48, 8}, {abi.RDI, 56, 8}, {abi.RSI, 64, 8},
			{abi.R8, 72, 8}, {abi.R9, 80, 8}, {abi.R10, 88, 8}, {abi.R11, 96, 8},
		}},
		{"main.callAdder", []Spill{{abi.RAX, 0, 8}, {abi.RBX, 8, 8}}}, // (a adder)
		{"main.unused", nil},   // reads none of them
		{"main.nosplit", nil},  // no stack check
		{"main.leaf", nil},     // nor here
		{"main.main", nil},     // no arguments
		{"runtime.mcall", nil}, // assembly
	} {
		fn := b.lookup(t, c.fn)
		got, ok := Spills(abi.AMD64, b.code(t, fn), fn.Entry)
		if ok != (c.want != nil) || !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, %t, want %v", c.fn, got, ok, c.want)
		}
	}
}

// TestSpillsCorpus: every spill of the go command is of an argument register
// and is reloaded from the same place, as a reader of the text sees.
func TestSpillsCorpus(t *testing.T) {
	b := openBinary(t, goCommand(t))
	args := slices.Concat(abi.AMD64.Ints, abi.AMD64.Floats)
	withSpills := 0
	for _, fn := range b.funcs {
		code := b.code(t, fn)
		spills, ok := Spills(abi.AMD64, code, fn.Entry)
		if ok != (len(spills) > 0) {
			t.Fatalf("%s: %v, %t", fn.Name, spills, ok)
		}
		if !ok {
			continue
		}
		withSpills++
		check, ok := amd64.stackCheck(code, fn.Entry)
		if !ok {
			t.Fatalf("%s: spills without a stack check", fn.Name)
		}
		// The last instructions before the jump back are the reloads, in the
		// order of the spills.
		var texts []string
		for off := int(mustAt(t, code, check.jumps[0]).target); off < check.tailJump; {
			in := mustAt(t, code, off)
			x, err := x86asm.Decode(code[off:], 64)
			if err != nil {
				t.Fatal(err)
			}
			if x.Op != x86asm.NOP { // that align branches
				texts = append(texts, x86asm.IntelSyntax(x, 0, nil))
			}
			off = in.end()
		}
		n := len(spills)
		if len(texts) != 2*n+1 {
			t.Errorf("%s: %d spills in a tail of %q", fn.Name, n, texts)
			continue
		}
		for i, s := range spills {
			store, load := texts[i], texts[n+1+i]
			_, operands, _ := strings.Cut(store, " ")
			to, from, _ := strings.Cut(operands, ", ")
			_, operands, _ = strings.Cut(load, " ")
			reloaded, source, _ := strings.Cut(operands, ", ")
			if !slices.Contains(args, s.Reg) || s.Slot < 0 || source != to ||
				regByName[from] != s.Reg || regByName[reloaded] != s.Reg {
				t.Errorf("%s: spill %+v: %q, reloaded by %q", fn.Name, s, store, load)
			}
		}
	}
	t.Logf("%d of %d functions spill arguments", withSpills, len(b.funcs))
	if withSpills < len(b.funcs)/3 {
		t.Errorf("%d of %d functions spill arguments, want a third or more", withSpills, len(b.funcs))
	}
}

func mustAt(t testing.TB, code []byte, off int) instr {
	t.Helper()
	in, err := amd64.decode(code, off, 0)
	if err != nil {
		t.Fatal(err)
	}
	return in
}

// TestSpillsOf has tails that no compiler writes.
func TestSpillsOf(t *testing.T) {
	const head = `
		49 3b 66 10       ; cmp 0x10(%r14),%rsp
		76 01             ; jbe tail
		c3                ; ret
		`
	for _, c := range []struct {
		name, tail string
		want       []Spill
	}{
		{"one", `
			48 89 44 24 08    ; mov %rax,8(%rsp)
			e8 00 10 00 00    ; call morestack
			48 8b 44 24 08    ; mov 8(%rsp),%rax
			eb e8             ; jmp 0`, []Spill{{abi.RAX, 0, 8}}},
		{"a register twice: it cannot be told which holds the argument", `
			48 89 44 24 08    ; mov %rax,8(%rsp)
			88 44 24 10       ; mov %al,0x10(%rsp)
			e8 00 10 00 00    ; call
			eb e9             ; jmp 0`, nil},
		{"no tail", `c3 c3 c3`, nil},
		{"a store that is no spill", `
			48 c7 44 24 08 01 00 00 00 ; movq $1,8(%rsp)
			e8 00 10 00 00    ; call
			eb e9             ; jmp 0`, nil},
		{"only reloads", `
			e8 00 10 00 00    ; call
			48 8b 44 24 08    ; mov 8(%rsp),%rax
			eb ed             ; jmp 0`, nil},
	} {
		got, ok := Spills(abi.AMD64, assemble(t, head+c.tail), codeBase)
		if ok != (c.want != nil) || !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, %t, want %v", c.name, got, ok, c.want)
		}
	}
	if got, ok := Spills(nil, []byte{0xc3}, 0); ok {
		t.Errorf("no architecture: %v", got)
	}
	if got, ok := Spills(abi.AMD64, nil, 0); ok {
		t.Errorf("no code: %v", got)
	}
}

func TestTLSOffset(t *testing.T) {
	for _, c := range []struct {
		name, code string
		want       int64 // 0: not known
	}{
		{"stack check of Go 1.16", `
			64 48 8b 0c 25 f8 ff ff ff ; mov %fs:-8,%rcx
			48 3b 61 10       ; cmp 0x10(%rcx),%rsp
			76 01             ; jbe tail
			c3                ; ret
			e8 00 10 00 00    ; tail: call
			eb e9             ; jmp 0`, -8},
		{"offset in a register, as linkers write it", `
			48 c7 c1 f0 ff ff ff ; mov $-0x10,%rcx
			64 48 8b 09       ; mov %fs:(%rcx),%rcx
			48 3b 61 10       ; cmp 0x10(%rcx),%rsp
			76 01             ; jbe tail
			c3                ; ret
			e8 00 10 00 00    ; tail: call
			eb e7             ; jmp 0`, -16},
		{"offset in the global offset table", `
			48 8b 0d 00 20 00 00 ; mov 0x2000(%rip),%rcx
			64 48 8b 09       ; mov %fs:(%rcx),%rcx
			48 3b 61 10       ; cmp 0x10(%rcx),%rsp
			76 01             ; jbe tail
			c3                ; ret
			e8 00 10 00 00    ; tail: call
			eb e7             ; jmp 0`, 0},
		{"further in", `
			90                ; nop
			64 48 8b 04 25 f8 ff ff ff ; mov %fs:-8,%rax
			64 48 8b 1c 25 f8 ff ff ff ; mov %fs:-8,%rbx
			c3                ; ret`, -8},
		{"further in, through a register", `
			90                ; nop
			48 c7 c0 f8 ff ff ff ; mov $-8,%rax
			64 48 8b 58 f8    ; mov %fs:-8(%rax),%rbx
			c3                ; ret`, -16},
		{"the register was set elsewhere", `
			48 c7 c0 f8 ff ff ff ; mov $-8,%rax
			90                ; nop
			64 48 8b 18       ; mov %fs:(%rax),%rbx
			c3                ; ret`, 0},
		{"they disagree", `
			64 48 8b 04 25 f8 ff ff ff ; mov %fs:-8,%rax
			64 48 8b 1c 25 f0 ff ff ff ; mov %fs:-0x10,%rbx
			c3                ; ret`, 0},
		{"the stack protector", `
			64 48 8b 04 25 28 00 00 00 ; mov %fs:0x28,%rax
			c3                ; ret`, 0},
		{"a C thread-local int", `
			64 8b 04 25 fc ff ff ff ; mov %fs:-4,%eax
			c3                ; ret`, 0},
		{"a store", `
			64 48 89 04 25 f8 ff ff ff ; mov %rax,%fs:-8
			c3                ; ret`, 0},
		{"another segment", `
			65 48 8b 04 25 f8 ff ff ff ; mov %gs:-8,%rax
			c3                ; ret`, 0},
		{"bytes that are no code", `
			64 48 8b 04 25 f8 ff ff ff ; mov %fs:-8,%rax
			06                ; nothing`, 0},
	} {
		got, ok := TLSOffset(abi.AMD64, assemble(t, c.code), codeBase)
		if ok != (c.want != 0) || ok && got != c.want {
			t.Errorf("%s: %d, %t, want %d", c.name, got, ok, c.want)
		}
	}
	// The runtime's assembly has it in every release.
	b := fixture(t)
	for name, want := range map[string]bool{
		"runtime.asmcgocall.abi0": true, "runtime.mcall": false, "main.small": false,
	} {
		fn := b.lookup(t, name)
		if got, ok := TLSOffset(abi.AMD64, b.code(t, fn), fn.Entry); ok != want || ok && got != -8 {
			t.Errorf("%s: %d, %t, want -8: %t", name, got, ok, want)
		}
	}
	if _, ok := TLSOffset(nil, []byte{0xc3}, 0); ok {
		t.Error("no architecture")
	}
}

// TestG: whether the g that a stack check loads is still there at the site.
func TestG(t *testing.T) {
	const check = `
		64 48 8b 0c 25 f8 ff ff ff ; mov %fs:-8,%rcx
		48 3b 61 10       ; cmp 0x10(%rcx),%rsp
		`
	for _, c := range []struct {
		name, code string
		live       []abi.Reg
		site       uint64
		hasG       bool
	}{
		{"at the check's jump", check + `
			76 05             ; jbe tail
			48 83 ec 08       ; sub $8,%rsp
			c3                ; ret
			e8 00 10 00 00    ; tail: call
			eb e5             ; jmp 0`, nil, 13, true},
		{"behind the check", check + `
			76 02             ; jbe tail
			90                ; nop
			c3                ; ret
			e8 00 10 00 00    ; tail: call
			eb e8             ; jmp 0`, nil, 15, true},
		{"overwritten before the emulated instruction: the check's jump instead", check + `
			76 04             ; jbe tail
			31 c9             ; xor %ecx,%ecx
			90                ; nop
			c3                ; ret
			e8 00 10 00 00    ; tail: call
			eb e6             ; jmp 0`, nil, 13, true},
		{"the site is before the load", check + `
			76 04             ; jbe tail
			31 c9             ; xor %ecx,%ecx
			90                ; nop
			c3                ; ret
			e8 00 10 00 00    ; tail: call
			eb e6             ; jmp 0`, []abi.Reg{abi.RCX}, 0, false},
		{"no load", `
			49 3b 66 10       ; cmp 0x10(%r14),%rsp
			76 02             ; jbe tail
			90                ; nop
			c3                ; ret
			e8 00 10 00 00    ; tail: call
			eb f1             ; jmp 0`, nil, 6, false},
		{"no check", check + `c3`, nil, 0, false},
	} {
		s, err := Find(abi.AMD64, assemble(t, c.code), codeBase, c.live)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if at := uint64(s.Entry.Addr - codeBase); at != c.site || s.HasG != c.hasG || s.HasG && s.G != abi.RCX {
			t.Errorf("%s: site at +%d, G %d, %t; want +%d, %t", c.name, at, s.G, s.HasG, c.site, c.hasG)
		}
	}
}

package site

import (
	"encoding/binary"
	"encoding/hex"
	"slices"
	"strings"
	"testing"

	"github.com/argtap/argtap/abi"
)

// withTail assembles the listing of a function's start, and adds a return,
// the call of morestack and the jump back. In the listing, t8 and t32 are the
// distances of jumps to that call.
func withTail(t testing.TB, listing string) []byte {
	t.Helper()
	type hole struct{ at, size int }
	var holes []hole
	var code []byte
	for line := range strings.Lines(listing) {
		text, _, _ := strings.Cut(line, ";")
		for _, word := range strings.Fields(text) {
			switch word {
			case "t8":
				holes = append(holes, hole{len(code), 1})
				code = append(code, 0)
			case "t32":
				holes = append(holes, hole{len(code), 4})
				code = append(code, 0, 0, 0, 0)
			default:
				b, err := hex.DecodeString(word)
				if err != nil {
					t.Fatalf("%q: %v", line, err)
				}
				code = append(code, b...)
			}
		}
	}
	code = append(code, 0xc3)
	for _, h := range holes {
		rel := len(code) - h.at - h.size
		if h.size == 1 {
			code[h.at] = byte(rel)
		} else {
			binary.LittleEndian.PutUint32(code[h.at:], uint32(rel))
		}
	}
	code = append(code, 0xe8, 0, 0x10, 0, 0)
	return append(code, 0xeb, byte(-len(code)-2))
}

// TestPrologues has the starts of functions as the releases write them, read
// from programs that they built: main.small has a frame of some words,
// main.medium of a thousand bytes, main.huge of nine thousand.
func TestPrologues(t *testing.T) {
	for _, c := range []struct {
		name  string
		arch  *abi.Arch
		code  string
		jumps []int // offsets of the check's jumps to the tail
		end   int   // of the check
		// What the check loads: the register, how far in, and from where.
		g       abi.Reg
		gLoaded int
		tls     int64
		// The site: its offset, kind and distance to the CFA.
		site int
		kind Kind
		cfa  int64
		hasG bool
	}{
		{name: "amd64, 1.11 to 1.16, small", arch: abi.AMD64, code: `
			64 48 8b 0c 25 f8 ff ff ff ; mov %fs:-8,%rcx
			48 3b 61 10                ; cmp 0x10(%rcx),%rsp
			76 t8                      ; jbe
			48 83 ec 28                ; sub $0x28,%rsp
			48 89 6c 24 20             ; mov %rbp,0x20(%rsp)
			48 8d 6c 24 20             ; lea 0x20(%rsp),%rbp`,
			jumps: []int{13}, end: 15, g: abi.RCX, gLoaded: 9, tls: -8, site: 13, kind: AtCheck, cfa: 8, hasG: true},
		{name: "amd64, 1.11 to 1.16, medium", arch: abi.AMD64, code: `
			64 48 8b 0c 25 f8 ff ff ff ; mov %fs:-8,%rcx
			48 8d 84 24 70 fc ff ff    ; lea -0x390(%rsp),%rax
			48 3b 41 10                ; cmp 0x10(%rcx),%rax
			0f 86 t32                  ; jbe
			48 81 ec 10 04 00 00       ; sub $0x410,%rsp`,
			jumps: []int{21}, end: 27, g: abi.RCX, gLoaded: 9, tls: -8, site: 21, kind: AtCheck, cfa: 8, hasG: true},
		{name: "amd64, 1.11 to 1.16, huge", arch: abi.AMD64, code: `
			64 48 8b 0c 25 f8 ff ff ff ; mov %fs:-8,%rcx
			48 8b 71 10                ; mov 0x10(%rcx),%rsi
			48 81 fe de fa ff ff       ; cmp $stackPreempt,%rsi
			0f 84 t32                  ; je
			48 8d 84 24 a0 03 00 00    ; lea 0x3a0(%rsp),%rax
			48 29 f0                   ; sub %rsi,%rax
			48 3d 70 26 00 00          ; cmp $0x2670,%rax
			0f 86 t32                  ; jbe
			48 81 ec 50 23 00 00       ; sub $0x2350,%rsp`,
			jumps: []int{20, 43}, end: 49, g: abi.RCX, gLoaded: 9, tls: -8, site: 43, kind: AtCheck, cfa: 8, hasG: true},
		{name: "amd64, 1.11 to 1.16, position-independent program", arch: abi.AMD64, code: `
			48 c7 c1 f8 ff ff ff       ; mov $-8,%rcx
			64 48 8b 09                ; mov %fs:(%rcx),%rcx
			48 3b 61 10                ; cmp 0x10(%rcx),%rsp
			76 t8                      ; jbe
			48 83 ec 28                ; sub $0x28,%rsp`,
			jumps: []int{15}, end: 17, g: abi.RCX, gLoaded: 11, tls: -8, site: 15, kind: AtCheck, cfa: 8, hasG: true},
		{name: "amd64, 1.11 to 1.16, shared library, huge", arch: abi.AMD64, code: `
			48 8b 0d 91 27 28 00       ; mov 0x282791(%rip),%rcx
			64 48 8b 09                ; mov %fs:(%rcx),%rcx
			48 8b 71 10                ; mov 0x10(%rcx),%rsi
			48 81 fe de fa ff ff       ; cmp $stackPreempt,%rsi
			0f 84 t32                  ; je
			48 8d 84 24 a0 03 00 00    ; lea 0x3a0(%rsp),%rax
			48 29 f0                   ; sub %rsi,%rax
			48 3d 70 26 00 00          ; cmp $0x2670,%rax
			0f 86 t32                  ; jbe
			48 81 ec 50 23 00 00       ; sub $0x2350,%rsp`,
			jumps: []int{22, 45}, end: 51, g: abi.RCX, gLoaded: 11, site: 45, kind: AtCheck, cfa: 8, hasG: true},
		{name: "amd64, 1.17 to 1.20, small", arch: abi.AMD64, code: `
			49 3b 66 10                ; cmp 0x10(%r14),%rsp
			76 t8                      ; jbe
			48 83 ec 20                ; sub $0x20,%rsp
			48 89 6c 24 18             ; mov %rbp,0x18(%rsp)`,
			jumps: []int{4}, end: 6, site: 4, kind: AtCheck, cfa: 8},
		{name: "amd64, 1.17 to 1.20, huge", arch: abi.AMD64, code: `
			49 89 e4                   ; mov %rsp,%r12
			49 81 ec d0 22 00 00       ; sub $0x22d0,%r12
			72 t8                      ; jb
			4d 3b 66 10                ; cmp 0x10(%r14),%r12
			76 t8                      ; jbe
			48 81 ec 50 23 00 00       ; sub $0x2350,%rsp
			48 89 ac 24 48 23 00 00    ; mov %rbp,0x2348(%rsp)`,
			jumps: []int{10, 16}, end: 18, site: 16, kind: AtCheck, cfa: 8},
		{name: "amd64, since 1.21, small", arch: abi.AMD64, code: `
			49 3b 66 10                ; cmp 0x10(%r14),%rsp
			76 t8                      ; jbe
			55                         ; push %rbp
			48 89 e5                   ; mov %rsp,%rbp
			48 83 ec 18                ; sub $0x18,%rsp`,
			jumps: []int{4}, end: 6, site: 6, kind: AfterCheck, cfa: 8},
		{name: "amd64, since 1.21, medium", arch: abi.AMD64, code: `
			4c 8d a4 24 78 fc ff ff    ; lea -0x388(%rsp),%r12
			4d 3b 66 10                ; cmp 0x10(%r14),%r12
			0f 86 t32                  ; jbe
			55                         ; push %rbp
			48 89 e5                   ; mov %rsp,%rbp`,
			jumps: []int{12}, end: 18, site: 18, kind: AfterCheck, cfa: 8},
		{name: "amd64, since 1.21, huge", arch: abi.AMD64, code: `
			49 89 e4                   ; mov %rsp,%r12
			49 81 ec d0 22 00 00       ; sub $0x22d0,%r12
			72 t8                      ; jb
			4d 3b 66 10                ; cmp 0x10(%r14),%r12
			76 t8                      ; jbe
			55                         ; push %rbp
			48 89 e5                   ; mov %rsp,%rbp`,
			jumps: []int{10, 16}, end: 18, site: 18, kind: AfterCheck, cfa: 8},
		{name: "386, all releases, small", arch: abi.I386, code: `
			65 8b 0d 00 00 00 00       ; mov %gs:0,%ecx
			8b 89 fc ff ff ff          ; mov -4(%ecx),%ecx
			3b 61 08                   ; cmp 8(%ecx),%esp
			76 t8                      ; jbe
			83 ec 10                   ; sub $0x10,%esp
			8b 44 24 14                ; mov 0x14(%esp),%eax
			85 c0                      ; test %eax,%eax
			7f 00                      ; jg`,
			jumps: []int{16}, end: 18, g: abi.ECX, gLoaded: 13, tls: -4, site: 27, kind: AfterCheck, cfa: 20, hasG: true},
		{name: "386, all releases, leaf", arch: abi.I386, code: `
			65 8b 0d 00 00 00 00       ; mov %gs:0,%ecx
			8b 89 fc ff ff ff          ; mov -4(%ecx),%ecx
			3b 61 08                   ; cmp 8(%ecx),%esp
			76 t8                      ; jbe
			8b 44 24 04                ; mov 4(%esp),%eax
			8b 4c 24 08                ; mov 8(%esp),%ecx
			0f af c1                   ; imul %ecx,%eax
			40                         ; inc %eax
			89 44 24 0c                ; mov %eax,0xc(%esp)`,
			jumps: []int{16}, end: 18, g: abi.ECX, gLoaded: 13, tls: -4, site: 16, kind: AtCheck, cfa: 4, hasG: true},
		{name: "386, all releases, a frame of 128 bytes", arch: abi.I386, code: `
			65 8b 0d 00 00 00 00       ; mov %gs:0,%ecx
			8b 89 fc ff ff ff          ; mov -4(%ecx),%ecx
			3b 61 08                   ; cmp 8(%ecx),%esp
			0f 86 t32                  ; jbe
			83 c4 80                   ; add $-0x80,%esp
			90                         ; nop`,
			jumps: []int{16}, end: 22, g: abi.ECX, gLoaded: 13, tls: -4, site: 25, kind: AfterCheck, cfa: 132, hasG: true},
		{name: "386, all releases, medium", arch: abi.I386, code: `
			65 8b 0d 00 00 00 00       ; mov %gs:0,%ecx
			8b 89 fc ff ff ff          ; mov -4(%ecx),%ecx
			8d 84 24 88 fc ff ff       ; lea -0x378(%esp),%eax
			3b 41 08                   ; cmp 8(%ecx),%eax
			76 t8                      ; jbe
			81 ec f8 03 00 00          ; sub $0x3f8,%esp
			8d 7c 24 10                ; lea 0x10(%esp),%edi
			b9 fa 00 00 00             ; mov $0xfa,%ecx
			31 c0                      ; xor %eax,%eax
			f3 ab                      ; rep stos %eax,%es:(%edi)`,
			jumps: []int{23}, end: 25, g: abi.ECX, gLoaded: 13, tls: -4, site: 23, kind: AtCheck, cfa: 4, hasG: true},
		{name: "386, 1.11 to 1.16, huge", arch: abi.I386, code: `
			65 8b 0d 00 00 00 00       ; mov %gs:0,%ecx
			8b 89 fc ff ff ff          ; mov -4(%ecx),%ecx
			8b 71 08                   ; mov 8(%ecx),%esi
			81 fe de fa ff ff          ; cmp $stackPreempt,%esi
			74 t8                      ; je
			8d 84 24 a0 03 00 00       ; lea 0x3a0(%esp),%eax
			29 f0                      ; sub %esi,%eax
			3d 58 26 00 00             ; cmp $0x2658,%eax
			76 t8                      ; jbe
			81 ec 38 23 00 00          ; sub $0x2338,%esp`,
			jumps: []int{22, 38}, end: 40, g: abi.ECX, gLoaded: 13, tls: -4, site: 38, kind: AtCheck, cfa: 4, hasG: true},
		{name: "386, since 1.17, huge", arch: abi.I386, code: `
			65 8b 0d 00 00 00 00       ; mov %gs:0,%ecx
			8b 89 fc ff ff ff          ; mov -4(%ecx),%ecx
			89 e0                      ; mov %esp,%eax
			2d b8 22 00 00             ; sub $0x22b8,%eax
			72 t8                      ; jb
			3b 41 08                   ; cmp 8(%ecx),%eax
			76 t8                      ; jbe
			81 ec 38 23 00 00          ; sub $0x2338,%esp`,
			jumps: []int{20, 25}, end: 27, g: abi.ECX, gLoaded: 13, tls: -4, site: 25, kind: AtCheck, cfa: 4, hasG: true},
		{name: "386, all releases, position-independent program", arch: abi.I386, code: `
			e8 1b 13 d6 ff             ; call __x86.get_pc_thunk.cx
			c7 c1 fc ff ff ff          ; mov $-4,%ecx
			65 8b 09                   ; mov %gs:(%ecx),%ecx
			3b 61 08                   ; cmp 8(%ecx),%esp
			76 t8                      ; jbe
			83 ec 10                   ; sub $0x10,%esp
			8b 44 24 14                ; mov 0x14(%esp),%eax
			85 c0                      ; test %eax,%eax
			7f 00                      ; jg`,
			jumps: []int{17}, end: 19, g: abi.ECX, gLoaded: 14, tls: -4, site: 28, kind: AfterCheck, cfa: 20, hasG: true},
		{name: "386, all releases, shared library", arch: abi.I386, code: `
			e8 6b 11 d6 ff             ; call __x86.get_pc_thunk.cx
			8b 89 a7 4d 23 00          ; mov 0x234da7(%ecx),%ecx
			65 8b 09                   ; mov %gs:(%ecx),%ecx
			3b 61 08                   ; cmp 8(%ecx),%esp
			76 t8                      ; jbe
			83 ec 10                   ; sub $0x10,%esp
			89 4c 24 04                ; mov %ecx,4(%esp)`,
			jumps: []int{17}, end: 19, g: abi.ECX, gLoaded: 14, site: 17, kind: AtCheck, cfa: 4, hasG: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			code := withTail(t, c.code)
			check, ok := machines[c.arch.GOARCH].stackCheck(code, codeBase)
			if !ok {
				t.Fatal("not recognised")
			}
			if !slices.Equal(check.jumps, c.jumps) || check.end != c.end || check.tailJump != len(code)-2 {
				t.Errorf("jumps %v, end %d, tail's jump %d; want %v, %d, %d",
					check.jumps, check.end, check.tailJump, c.jumps, c.end, len(code)-2)
			}
			if check.gLoaded != c.gLoaded || c.gLoaded > 0 && check.g != c.g || check.hasTLS != (c.tls != 0) || check.hasTLS && check.tls != c.tls {
				t.Errorf("g in %d from +%d, displacement %d, %t; want %d, +%d, %d",
					check.g, check.gLoaded, check.tls, check.hasTLS, c.g, c.gLoaded, c.tls)
			}
			if tls, ok := TLSOffset(c.arch, code, codeBase); ok != (c.tls != 0) || tls != c.tls {
				t.Errorf("TLSOffset %d, %t; want %d", tls, ok, c.tls)
			}
			s, err := Find(c.arch, code, codeBase, []abi.Reg{c.arch.Closure})
			if err != nil {
				t.Fatal(err)
			}
			if int(s.Entry.Addr-codeBase) != c.site || s.Kind != c.kind || s.Entry.CFA != c.cfa || !s.Entry.Emulated ||
				(s.Entry.Skip == condBE) != (c.kind == AtCheck) || len(s.Repeats) > 0 || s.Grow != nil {
				t.Errorf("%+v, want +%d, %v, CFA %d", s, c.site, c.kind, c.cfa)
			}
			if s.HasG != c.hasG || c.hasG && s.G != c.g {
				t.Errorf("g in %d, %t; want %d, %t", s.G, s.HasG, c.g, c.hasG)
			}
			// Nothing that lacks a part of the check is one.
			for off := 0; off < c.end; {
				in, err := machines[c.arch.GOARCH].decode(code, off, codeBase)
				if err != nil {
					t.Fatal(err)
				}
				broken := slices.Clone(code)
				for i := in.off; i < in.end(); i++ {
					broken[i] = 0x90
				}
				_, ok := machines[c.arch.GOARCH].stackCheck(broken, codeBase)
				if ok {
					t.Errorf("still a check without %q", machines[c.arch.GOARCH].text(code, in, codeBase))
				}
				off = in.end()
			}
		})
	}
}

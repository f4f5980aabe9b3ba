package site

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/arch/x86/x86asm"

	"github.com/argtap/argtap/abi"
	"github.com/argtap/argtap/symbols"
)

// walker checks sites by brute force: it follows every path through a
// function, both ways at each conditional branch, and counts the hits that a
// program would take for calls. It shares no code with Find: it decodes with
// x86asm, and what it knows of jump tables is each word of the program's
// read-only data that points into the function.
type walker struct {
	b     *elfFile
	m     *x86
	fn    symbols.Func
	insts map[int]x86asm.Inst
	// tails are the targets of jbe: the one of the stack check among them.
	tails map[int]bool
	// words are the offsets that words of read-only data point to.
	words []int
}

// wordsInto has, by function, the offsets that some word of the read-only
// segments points to, if a neighbouring word points into the function as
// well: a superset of all jump tables. Most other words that look like an
// address in a function are function values, or numbers.
func (b *elfFile) wordsInto() map[symbols.VirtAddr][]int {
	out := map[symbols.VirtAddr][]int{}
	at := func(v uint64) (symbols.Func, bool) {
		i, found := slices.BinarySearchFunc(b.funcs, symbols.VirtAddr(v), func(f symbols.Func, a symbols.VirtAddr) int {
			switch {
			case f.Entry < a:
				return -1
			case f.Entry > a:
				return 1
			}
			return 0
		})
		if !found {
			i--
		}
		if i < 0 || v-uint64(b.funcs[i].Entry) >= b.funcs[i].Size {
			return symbols.Func{}, false
		}
		return b.funcs[i], true
	}
	size := int(b.arch.PtrSize)
	for _, s := range b.ro {
		word := func(i int) uint64 {
			if i < 0 || i+size > len(s.data) {
				return 0
			}
			var w [8]byte
			copy(w[:size], s.data[i:])
			return binary.LittleEndian.Uint64(w[:])
		}
		for i := 0; i+size <= len(s.data); i += size {
			fn, ok := at(word(i))
			if !ok {
				continue
			}
			off := int(word(i) - uint64(fn.Entry))
			before, ok1 := at(word(i - size))
			after, ok2 := at(word(i + size))
			if !(ok1 && before.Entry == fn.Entry || ok2 && after.Entry == fn.Entry) {
				continue
			}
			out[fn.Entry] = append(out[fn.Entry], off)
		}
	}
	return out
}

func newWalker(t testing.TB, b *elfFile, fn symbols.Func, words []int) (*walker, error) {
	m := amd64
	if b.arch == abi.I386 {
		m = i386
	}
	w := &walker{b: b, m: m, fn: fn, insts: map[int]x86asm.Inst{}, tails: map[int]bool{}, words: words}
	code := b.code(t, fn)
	for off := 0; off < len(code); {
		x, err := x86asm.Decode(code[off:], m.bits)
		if err != nil || x.Op == 0 || x.Op == x86asm.VZEROUPPER {
			// What x86asm v0.32 cannot decode, or not its length.
			l, err := parse(code[off:], m.bits)
			if err != nil {
				return nil, err
			}
			x = x86asm.Inst{Len: l.size}
		}
		w.insts[off] = x
		off += x.Len
		if rel, ok := x.Args[0].(x86asm.Rel); ok && x.Op == x86asm.JBE {
			w.tails[off+int(rel)] = true
		}
	}
	return w, nil
}

// noReturn are the runtime's functions behind a call to which the compiler
// puts no code of that path. The call's successor in memory is then another
// block.
var noReturn = []string{
	"runtime.gopanic", "runtime.panic", "runtime.goPanic", "runtime.throw", "runtime.fatal", "runtime.goexit",
	"runtime.block", "runtime.unsafeslice", "runtime.unsafestring", "runtime.abort",
}

func (w *walker) callReturns(target symbols.VirtAddr) bool { return callReturns(w.b.names[target]) }

func callReturns(name string) bool {
	if strings.HasSuffix(name, ".throw") || strings.HasSuffix(name, ".fatal") {
		return false // of packages below the runtime
	}
	for _, p := range noReturn {
		if strings.HasPrefix(name, p) {
			return false
		}
	}
	return true
}

// step is a successor: an offset, or leaving the function with off -1.
type step struct {
	off   int
	taken bool // of a conditional or unconditional jump
}

func (w *walker) steps(off int, x x86asm.Inst) []step {
	after := step{off: off + x.Len}
	rel, isRel := x.Args[0].(x86asm.Rel)
	target := step{off: off + x.Len + int(rel), taken: true}
	if target.off < 0 || target.off >= int(w.fn.Size) {
		target.off = -1
	}
	name := x.Op.String()
	switch {
	case x.Op == x86asm.RET:
		return []step{{off: -1}}
	case x.Op == x86asm.UD2, x.Op == x86asm.INT, x.Op == x86asm.HLT:
		return nil
	case x.Op == x86asm.NOP && w.tails[after.off] && !w.tails[off]:
		// The block that a select without a default goes to when no case
		// was chosen: never (Go before 1.17).
		return nil
	case x.Op == x86asm.CALL:
		if isRel && !w.callReturns(w.fn.Entry+symbols.VirtAddr(off+x.Len)+symbols.VirtAddr(rel)) {
			return nil
		}
		if after.off >= int(w.fn.Size) {
			return nil
		}
		return []step{after}
	case x.Op == x86asm.JMP && isRel:
		return []step{target}
	case x.Op == x86asm.JMP:
		out := []step{{off: -1, taken: true}}
		if _, isMem := x.Args[0].(x86asm.Mem); isMem {
			for _, o := range w.words {
				if _, ok := w.insts[o]; !ok {
					continue // some other number
				}
				out = append(out, step{off: o, taken: true})
			}
		}
		return out
	case isRel && (name[0] == 'J' || strings.HasPrefix(name, "LOOP") || x.Op == x86asm.XBEGIN):
		return []step{after, target}
	}
	if after.off >= int(w.fn.Size) {
		return []step{{off: -1}} // assembly that runs into the next function
	}
	return []step{after}
}

// check follows all paths.
func (w *walker) check(s *Sites) error {
	return checkPaths(w.fn, s, func(off int) ([]step, bool) {
		x, ok := w.insts[off]
		if !ok {
			return nil, false
		}
		return w.steps(off, x), true
	})
}

// checkPaths follows all paths through a function, with the number of calls
// counted so far as the state: it may never exceed one, and must be one when
// the function is left. steps are the successors of an instruction, of any
// architecture; false where none begins.
func checkPaths(fn symbols.Func, s *Sites, steps func(off int) ([]step, bool)) error {
	site := int(s.Entry.Addr - fn.Entry)
	if _, ok := steps(site); !ok {
		return fmt.Errorf("site %#x is not an instruction", s.Entry.Addr)
	}
	edges := map[int]Cond{}
	for _, e := range s.Repeats {
		edges[int(e.Addr-fn.Entry)] = e.Taken
	}
	type state struct {
		off, calls int
		// announced: the next hit is not a call.
		announced bool
	}
	seen := map[state]bool{}
	todo := []state{{}}
	for len(todo) > 0 {
		st := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		if seen[st] {
			continue
		}
		seen[st] = true
		succ, ok := steps(st.off)
		if !ok {
			return fmt.Errorf("control reaches %#x, in the middle of an instruction", st.off)
		}
		for _, next := range succ {
			n := st
			n.off = next.off
			skipped := next.taken && s.Entry.Skip != Never
			if st.off == site && !skipped {
				if !n.announced {
					n.calls++
				}
				n.announced = false
			}
			if _, ok := edges[st.off]; ok && next.taken {
				n.announced = true
			}
			switch {
			case n.calls > 1:
				return fmt.Errorf("second call counted on a path through %#x", st.off)
			case next.off == -1 && n.calls != 1:
				return fmt.Errorf("left at %#x with %d calls counted", st.off, n.calls)
			case next.off == -1:
				continue
			}
			todo = append(todo, n)
		}
	}
	return nil
}

// checkStraight looks at the text of the instructions before the site, as a
// reader would: no last operand may be a register that is live, and none may
// be memory unless it is only compared.
func (w *walker) checkStraight(t testing.TB, s *Sites) error {
	cfa := w.b.arch.CFAAtEntry
	names := regNames(w.m)
	sp := strings.ToLower(w.m.sp.String())
	for off := 0; off < int(s.Entry.Addr-w.fn.Entry); {
		x, ok := w.insts[off]
		if !ok {
			return fmt.Errorf("no instruction at %#x", off)
		}
		text := x86asm.IntelSyntax(x, 0, nil)
		op, args, _ := strings.Cut(text, " ")
		first, second, _ := strings.Cut(args, ", ")
		off += x.Len
		switch {
		case op == "cmp" || op == "test" || op == "nop" || strings.HasPrefix(op, "j") || op == "bt" || strings.HasPrefix(op, "ucomis"):
			continue
		case op == "push":
			cfa += w.b.arch.PtrSize
		case op == "call" && w.b.arch == abi.I386: // tells the address of the code
		case (op == "sub" || op == "add") && first == sp:
			n, err := strconv.ParseInt(second, 0, 64)
			if err != nil {
				return fmt.Errorf("%s: %v", text, err)
			}
			if op == "add" { // of -0x80, which is shorter than sub of 0x80
				n = -int64(int32(n))
			}
			cfa += n
		case strings.Contains(first, "ptr"):
			return fmt.Errorf("%q stores before the site", text)
		case first == "r12" || first == "r12d" || first == "r13" || first == "r15" || first == "rbp" || first == "r13d" || first == "xmm15":
		default:
			for _, r := range w.b.liveIn(w.fn.Name) {
				if reg, ok := names[first]; ok && reg == r {
					return fmt.Errorf("%q changes a live register before the site", text)
				}
			}
		}
	}
	if cfa != s.Entry.CFA {
		return fmt.Errorf("CFA is %d bytes above SP at the site, not %d", cfa, s.Entry.CFA)
	}
	return nil
}

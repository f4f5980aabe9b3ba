package site

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"golang.org/x/arch/x86/x86asm"

	"github.com/argtap/argtap/abi"
	"github.com/argtap/argtap/symbols"
)

// regByName has the registers of amd64 by the names of Intel syntax, of every
// width.
var regByName = regNames(amd64)

func regNames(m *x86) map[string]abi.Reg {
	names := map[string]abi.Reg{}
	for r := x86asm.AL; r <= x86asm.R15; r++ {
		if reg, ok := m.dwarfReg(r); ok {
			names[strings.ToLower(r.String())] = reg
		}
	}
	for i := range 16 {
		names[fmt.Sprintf("xmm%d", i)] = m.xmm + abi.Reg(i)
	}
	if m.bits == 64 {
		for n, r := range map[string]abi.Reg{"r8d": abi.R8, "r9d": abi.R9, "r10d": abi.R10, "r11d": abi.R11, "sil": abi.RSI, "dil": abi.RDI} {
			names[n] = r
		}
	}
	return names
}

// goCommand is the go command, built for Linux amd64.
func goCommand(t testing.TB) string { return goBuild(t, "cmd/go") }

// TestCorpus chooses a site for every function of the go command and checks
// each by brute force.
func TestCorpus(t *testing.T) {
	b := openBinary(t, goCommand(t))
	st := checkAll(t, b)
	t.Log(st)
	if st.total < 10000 {
		t.Errorf("%d functions, want the go command's more than 10000", st.total)
	}
	if share := float64(st.emulated) / float64(st.total); share < 0.8 {
		t.Errorf("%.1f %% on an emulated instruction, want 80 or more", 100*share)
	}
	if st.noSite > 60 {
		t.Errorf("%d functions without a site, want 60 or fewer", st.noSite)
	}
	if st.kinds[AfterCheck] < st.total/2 {
		t.Errorf("%d sites after a stack check, want more than half", st.kinds[AfterCheck])
	}
	if st.repeats[false] > 20 { // loop heads at the entry of compiled code
		t.Errorf("%d compiled functions with repeats, want 20 or fewer", st.repeats[false])
	}
}

type stats struct {
	total, noSite, emulated int
	kinds                   map[Kind]int
	checks                  int           // stack checks
	stepped                 int           // of their functions without an emulated site
	tls                     map[int64]int // of those that load the g, by where from
	repeats                 map[bool]int  // by whether it is assembly
	duration                time.Duration
	bytes                   int
}

func (s stats) String() string {
	return fmt.Sprintf("%d functions, %d bytes of code in %v: %d emulated, %d without a site, by kind %v, repeats in compiled code %d, in assembly %d",
		s.total, s.bytes, s.duration.Round(time.Millisecond), s.emulated, s.noSite, s.kinds, s.repeats[false], s.repeats[true])
}

// checkAll checks the sites of all functions of a program.
func checkAll(t *testing.T, b *elfFile) stats {
	t.Helper()
	st := stats{kinds: map[Kind]int{}, repeats: map[bool]int{}, tls: map[int64]int{}}
	words := b.wordsInto()
	for _, fn := range b.funcs {
		switch fn.Name {
		case "go:textfipsstart", "go:textfipsend", "crypto/internal/boring/sig.StandardCrypto.abi0":
			continue // marks in the text, not functions
		}
		code := b.code(t, fn)
		start := time.Now()
		s, err := FindIn(b.arch, code, fn.Entry, b.liveIn(fn.Name), b.read)
		st.duration += time.Since(start)
		st.bytes += len(code)
		st.total++
		if errors.Is(err, ErrNoSite) {
			st.noSite++
			if !expectNoSite(fn.Name) && !strings.Contains(err.Error(), "rewrite the bytes behind it") {
				t.Errorf("%s: %v", fn.Name, err)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", fn.Name, err)
			continue
		}
		st.kinds[s.Kind]++
		if s.Entry.Emulated {
			st.emulated++
		}
		if len(s.Repeats) > 0 {
			st.repeats[strings.HasSuffix(fn.Name, ".abi0")]++
		}
		w, err := newWalker(t, b, fn, words[fn.Entry])
		if err != nil {
			t.Errorf("%s: %v", fn.Name, err)
			continue
		}
		if check, ok := w.m.stackCheck(code, fn.Entry); ok != w.callsMorestack() {
			t.Errorf("%s: %+v, calls morestack: %t", fn.Name, check, !ok)
		} else if ok {
			st.checks++
			// Assembly for amd64 may load the g into R14, which the caller
			// asks for as it is at the entry (debugCall128, without a suffix).
			loadsG := check.gLoaded > 0 && b.arch.HasG && check.g == b.arch.G
			if !s.Entry.Emulated && !loadsG {
				st.stepped++
			}
			if check.hasTLS {
				st.tls[check.tls]++
			}
			if check.gLoaded > 0 && !s.HasG && s.Kind != Stepped {
				t.Errorf("%s: site %q at +%#x does not keep the g", fn.Name, s.Entry.Instr, s.Entry.Addr-fn.Entry)
			}
		}
		if err := w.check(s); err != nil {
			t.Errorf("%s: site %q at +%#x, %s: %v", fn.Name, s.Entry.Instr, s.Entry.Addr-fn.Entry, s.Why, err)
		}
		if err := w.checkStraight(t, s); err != nil {
			t.Errorf("%s: site %q at +%#x, %s: %v", fn.Name, s.Entry.Instr, s.Entry.Addr-fn.Entry, s.Why, err)
		}
		returns := 0
		for _, x := range w.insts {
			if x.Op == x86asm.RET {
				returns++
			}
		}
		if returns != len(s.Returns) {
			t.Errorf("%s: %d returns, want %d", fn.Name, len(s.Returns), returns)
		}
	}
	return st
}

// expectNoSite: hand-written assembly that begins with an instruction that
// cannot be probed, or that jumps to an address it is given; and the loop of
// the fixture whose switch Go 1.27 lets jump straight to the entry. On 386
// and before Go 1.17 there is one ABI, and no suffix that names it.
func expectNoSite(name string) bool {
	switch strings.TrimSuffix(name, ".abi0") {
	case "gogo", "runtime.reflectcall", "runtime.abort", "runtime.cgoSigtramp", "main.loopTable",
		"runtime.mcall", "runtime.systemstack", // end in a jump to badmcall2, badsystemstack
		"runtime.asyncPreempt",     // pushf
		"runtime.gcWriteBarrierR8": // xchg
		return true
	}
	for _, s := range []string{
		"expandAVX512_", "internal/runtime/gc/scan.expandAVX512_",
		"internal/runtime/atomic.", "runtime/internal/atomic.", // lock
	} {
		if strings.HasPrefix(name, s) {
			return true
		}
	}
	return false
}

// callsMorestack reports whether compiled code calls morestack, which it does
// in the tail of a stack check only.
func (w *walker) callsMorestack() bool {
	if strings.HasPrefix(w.fn.Name, "runtime.morestack") {
		return false
	}
	for off, x := range w.insts {
		rel, ok := x.Args[0].(x86asm.Rel)
		target := w.fn.Entry + symbols.VirtAddr(off+x.Len) + symbols.VirtAddr(rel)
		if ok && x.Op == x86asm.CALL && strings.HasPrefix(w.b.names[target], "runtime.morestack") {
			return true
		}
	}
	return false
}

// TestLayout compares the lengths of all instructions of the go command with
// x86asm's.
func TestLayout(t *testing.T) {
	b := openBinary(t, goCommand(t))
	compareLengths(t, b, 64)
}

// compareLengths compares the lengths of all instructions of a large binary with
// x86asm's.
func compareLengths(t *testing.T, b *elfFile, bits int) {
	t.Helper()
	total, unknown := 0, 0
	for _, fn := range b.funcs {
		code := b.code(t, fn)
		for off := 0; off < len(code); {
			l, err := parse(code[off:], bits)
			if err != nil {
				t.Errorf("%s+%#x: % x: %v", fn.Name, off, code[off:min(off+instrMax, len(code))], err)
				break
			}
			x, err := x86asm.Decode(code[off:], bits)
			switch {
			case err != nil || x.Op == 0 || x.Op == x86asm.VZEROUPPER:
				unknown++ // not known to x86asm v0.32, or (vzeroupper) not its length
			case x.Len != l.size:
				t.Errorf("%s+%#x: % x: %d bytes, x86asm says %d", fn.Name, off, code[off:off+l.size], l.size, x.Len)
			}
			total++
			off += l.size
		}
	}
	t.Logf("%d instructions, %d unknown to x86asm", total, unknown)
	if total < 1000000 || unknown > total/1000 {
		t.Errorf("%d instructions, %d of them not compared: want a million and a few", total, unknown)
	}
}

// TestBuilds checks every function of the fixture in builds that differ in
// how code begins.
func TestBuilds(t *testing.T) {
	for _, flags := range [][]string{
		nil,
		{"-gcflags=all=-N -l"},
		{"-buildmode=pie"},
	} {
		t.Run(strings.Join(flags, " "), func(t *testing.T) {
			b := fixture(t, flags...)
			st := checkAll(t, b)
			t.Log(st)
			if st.kinds[AfterCheck] < st.total/2 {
				t.Errorf("%d sites after a stack check, want more than half", st.kinds[AfterCheck])
			}
		})
	}
}

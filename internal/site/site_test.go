package site

import (
	"errors"
	"strings"
	"testing"

	"github.com/argtap/argtap/abi"
	"github.com/argtap/argtap/symbols"
)

// shape is what is expected of a function's sites, so far as it does not
// depend on the compiler's release.
type shape struct {
	fn       string
	kinds    []Kind
	emulated bool
	repeats  bool
	returns  int // at least
	tail     bool
}

func TestFixture(t *testing.T) {
	b := fixture(t)
	after, leaf := []Kind{AfterCheck, AtCheck}, []Kind{EntryBlock}
	for _, want := range []shape{
		{fn: "main.small", kinds: after, emulated: true, returns: 2},
		{fn: "main.medium", kinds: after, emulated: true, returns: 1},
		{fn: "main.huge", kinds: after, emulated: true, returns: 1},
		{fn: "main.mixed", kinds: after, emulated: true, returns: 1},
		{fn: "main.unused", kinds: after, emulated: true, returns: 1},
		{fn: "main.onStack", kinds: after, emulated: true, returns: 1},
		{fn: "main.framedTable", kinds: after, emulated: true, returns: 2},
		{fn: "main.recovers", kinds: after, emulated: true, returns: 2},
		{fn: "main.recovers.func1", kinds: after, emulated: true, returns: 1},
		{fn: "main.newClosure.func1", kinds: after, emulated: true, returns: 1},
		{fn: "main.value.Sum", kinds: after, emulated: true, returns: 1},
		{fn: "main.(*value).Add", kinds: after, emulated: true, returns: 1},
		{fn: "main.generic[go.shape.int]", kinds: after, emulated: true, returns: 1},
		{fn: "main.generic[go.shape.string]", kinds: after, emulated: true, returns: 1},
		{fn: "main.nosplit", kinds: leaf, emulated: true, returns: 1},
		{fn: "main.leafBranch", kinds: leaf, emulated: true, returns: 2},
		{fn: "main.table", kinds: leaf, emulated: true, returns: 2},
		{fn: "main.leaf", kinds: []Kind{Stepped}, returns: 1},
		{fn: "main.store", kinds: []Kind{Stepped}, returns: 1},
		{fn: "main.loopHead", kinds: []Kind{Stepped}, repeats: true, returns: 1},
		{fn: "main.endless", kinds: leaf, emulated: true, repeats: true},
		{fn: "main.(*pointer).Add", kinds: []Kind{Stepped}, tail: true},
	} {
		t.Run(want.fn, func(t *testing.T) {
			fn := b.lookup(t, want.fn)
			s, err := b.find(t, fn)
			if err != nil {
				t.Fatal(err)
			}
			t.Logf("%+v", *s)
			ok := false
			for _, k := range want.kinds {
				ok = ok || s.Kind == k
			}
			if !ok {
				t.Errorf("kind %v, want one of %v", s.Kind, want.kinds)
			}
			if s.Entry.Emulated != want.emulated {
				t.Errorf("emulated %t, want %t", s.Entry.Emulated, want.emulated)
			}
			if (len(s.Repeats) > 0) != want.repeats {
				t.Errorf("repeats %+v, want some: %t", s.Repeats, want.repeats)
			}
			if len(s.Returns) < want.returns || want.returns == 0 && len(s.Returns) > 0 {
				t.Errorf("%d returns, want %d", len(s.Returns), want.returns)
			}
			if (s.TailJumps > 0) != want.tail {
				t.Errorf("%d tail jumps, want some: %t", s.TailJumps, want.tail)
			}
			if (s.Kind == AtCheck) != (s.Entry.Skip != Never) {
				t.Errorf("kind %v and skip condition %v", s.Kind, s.Entry.Skip)
			}
			if s.Entry.CFA != 8 {
				t.Errorf("CFA %d bytes above SP, want 8: nothing is pushed yet", s.Entry.CFA)
			}
			for _, r := range s.Returns {
				if r.CFA != 8 || r.Instr != "ret" || r.Skip != Never || r.Addr < fn.Entry || r.Addr >= fn.End() {
					t.Errorf("return %+v", r)
				}
			}
			if s.Why == "" {
				t.Error("no reason")
			}
		})
	}
}

// TestFixtureWithoutTables: what cannot be read cannot be proved.
func TestFixtureWithoutTables(t *testing.T) {
	b := fixture(t)
	fn := b.lookup(t, "main.table")
	_, err := Find(abi.AMD64, b.code(t, fn), fn.Entry, nil)
	if !errors.Is(err, ErrNoSite) || !strings.Contains(err.Error(), "indirect jump") {
		t.Errorf("frameless function with a jump table: %v", err)
	}
	fn = b.lookup(t, "main.framedTable")
	if _, err := Find(abi.AMD64, b.code(t, fn), fn.Entry, nil); err != nil {
		t.Errorf("a frame is not made twice, whatever the table says: %v", err)
	}
}

// TestLive: a register that the code before the site changes.
func TestLive(t *testing.T) {
	b := fixture(t)
	fn := b.lookup(t, "main.medium") // lea n(%rsp),%r12 first
	s, err := Find(abi.AMD64, b.code(t, fn), fn.Entry, []abi.Reg{abi.R12})
	if err != nil {
		t.Fatal(err)
	}
	if s.Entry.Addr != fn.Entry || len(s.Repeats) != 1 || s.Repeats[0].Taken != Always {
		t.Errorf("%+v: want the first instruction, repeated by the jump behind morestack", s)
	}
}

// TestGrow: the tail restores argument registers of functions that read any.
func TestGrow(t *testing.T) {
	b := fixture(t)
	for _, c := range []struct {
		fn   string
		args int // integer registers that hold arguments
		grow bool
	}{
		{"main.small", 3, false},
		{"main.medium", 1, false},
		{"main.huge", 1, false},
		{"main.mixed", 6, false},
		{"main.newClosure.func1", 1, false},
		{"main.onStack", 9, false},
		{"main.unused", 4, true},
		{"main.unused", 0, false}, // nothing to lose
		{"main.nosplit", 1, false},
	} {
		fn := b.lookup(t, c.fn)
		live := append([]abi.Reg{abi.R14, abi.RDX, abi.XMM0}, abi.AMD64.Ints[:c.args]...)
		s, err := FindIn(abi.AMD64, b.code(t, fn), fn.Entry, live, b.read)
		if err != nil {
			t.Errorf("%s: %v", c.fn, err)
			continue
		}
		if (s.Grow != nil) != c.grow {
			t.Errorf("%s with %d registers: grow %+v, want a probe: %t", c.fn, c.args, s.Grow, c.grow)
		}
		if g := s.Grow; g != nil && (!g.Emulated || !strings.HasPrefix(g.Instr, "call ") || g.CFA != 8 || g.Addr <= s.Entry.Addr) {
			t.Errorf("%s: grow %+v, want the call of morestack", c.fn, g)
		}
	}
}

// TestWalker proves that the brute-force checker finds wrong sites.
func TestWalker(t *testing.T) {
	b := fixture(t)
	words := b.wordsInto()
	for _, c := range []struct {
		fn, want string
		spoil    func(t *testing.T, fn symbols.Func, s *Sites)
	}{
		{"main.small", "second call", func(t *testing.T, fn symbols.Func, s *Sites) {
			p, err := First(abi.AMD64, b.code(t, fn), fn.Entry)
			if err != nil {
				t.Fatal(err)
			}
			s.Entry = p
		}},
		{"main.loopHead", "second call", func(t *testing.T, fn symbols.Func, s *Sites) { s.Repeats = nil }},
		{"main.leafBranch", "0 calls", func(t *testing.T, fn symbols.Func, s *Sites) { s.Entry = s.Returns[0] }},
		{"main.huge", "call counted", func(t *testing.T, fn symbols.Func, s *Sites) { s.Entry.Addr = s.Returns[0].Addr + 1 }},
	} {
		fn := b.lookup(t, c.fn)
		s, err := b.find(t, fn)
		if err != nil {
			t.Fatal(err)
		}
		w, err := newWalker(t, b, fn, words[fn.Entry])
		if err != nil {
			t.Fatal(err)
		}
		if err := w.check(s); err != nil {
			t.Errorf("%s: %v", c.fn, err)
		}
		c.spoil(t, fn, s)
		if err := w.check(s); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s, spoiled: %v, want %q", c.fn, err, c.want)
		}
	}
}

func TestErrors(t *testing.T) {
	for _, c := range []struct {
		name string
		arch *abi.Arch
		code []byte
		want error
	}{
		{"no architecture", nil, []byte{0xc3}, ErrArch},
		{"unknown architecture", &abi.Arch{GOARCH: "mips"}, []byte{0xc3}, ErrArch},
		{"no code", abi.AMD64, nil, ErrCodeSize},
		{"too much code", abi.AMD64, make([]byte, MaxCode+1), ErrCodeSize},
		{"cut off", abi.AMD64, []byte{0x55, 0x48, 0x89}, ErrDecode},
		{"invalid", abi.AMD64, []byte{0x55, 0x06, 0xc3}, ErrDecode},
		{"16-bit branch", abi.AMD64, []byte{0x66, 0xe9, 0, 0, 0, 0, 0xc3}, ErrDecode},
	} {
		_, err := Find(c.arch, c.code, 0x1000, nil)
		if !errors.Is(err, c.want) {
			t.Errorf("%s: Find: %v, want %v", c.name, err, c.want)
		}
		if c.want == ErrDecode {
			var d *DecodeError
			if !errors.As(err, &d) || len(d.Bytes) == 0 || d.Addr < 0x1000 {
				t.Errorf("%s: %#v", c.name, d)
			}
			continue
		}
		if _, err := First(c.arch, c.code, 0x1000); !errors.Is(err, c.want) {
			t.Errorf("%s: First: %v, want %v", c.name, err, c.want)
		}
	}
	if _, err := First(abi.AMD64, []byte{0xf0, 0x0f, 0xc1, 0x18, 0xc3}, 0); !errors.Is(err, ErrNoSite) {
		t.Errorf("First on a locked instruction: %v", err)
	}
	p, err := First(abi.AMD64, []byte{0x49, 0x3b, 0x66, 0x10}, 0x1000)
	if err != nil || p.Addr != 0x1000 || p.Instr != "cmp 0x10(%r14),%rsp" || p.Emulated || p.CFA != 8 || p.Skip != Never {
		t.Errorf("First: %+v, %v", p, err)
	}
}

func TestCond(t *testing.T) {
	for _, c := range []struct {
		cond  Cond
		flags uint64
		holds bool
	}{
		{0x0, flagOF, true}, {0x1, flagOF, false}, {0x2, flagCF, true}, {0x3, flagCF, false},
		{0x4, flagZF, true}, {0x5, 0, true}, {0x6, flagZF, true}, {0x6, flagCF, true}, {0x6, flagSF, false},
		{0x7, 0, true}, {0x7, flagCF, false}, {0x8, flagSF, true}, {0x9, flagSF, false}, {0xa, flagPF, true},
		{0xb, flagPF, false}, {0xc, flagSF, true}, {0xc, flagSF | flagOF, false}, {0xd, flagSF | flagOF, true},
		{0xe, flagZF, true}, {0xe, flagOF, true}, {0xf, 0, true}, {0xf, flagZF, false}, {0xf, flagOF, false},
		{Never, ^uint64(0), false}, {Always, 0, true},
	} {
		if c.cond.Holds(c.flags) != c.holds {
			t.Errorf("%v for flags %#x: %t", c.cond, c.flags, !c.holds)
		}
	}
	for i := range Cond(16) {
		for f := range uint64(1 << 12) {
			if i.Holds(f) == (i ^ 1).Holds(f) {
				t.Fatalf("%v and %v agree for flags %#x", i, i^1, f)
			}
		}
	}
	if Cond(6).String() != "be" || Never.String() != "never" || Always.String() != "always" || Cond(0x20).String() != "Cond(0x20)" {
		t.Error("names of conditions")
	}
}

package site

import (
	"slices"
	"strings"
	"testing"

	"github.com/argtap/argtap/abi"
	"github.com/argtap/argtap/symbols"
)

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
	pkg, funcs := corpusARM64()
	b := openBinary(t, goBuildFor(t, "arm64", pkg))
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
	if withSpills < funcs/3 || floats < 5 {
		t.Errorf("%d functions with spills, %d floats among them: too few to mean anything", withSpills, floats)
	}
}

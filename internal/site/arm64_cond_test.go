package site

import "testing"

// TestCondARM64 has a case of flags for which each condition holds and one for
// which it does not.
func TestCondARM64(t *testing.T) {
	for _, c := range []struct {
		cond    uint8
		name    string
		yes, no uint64
	}{
		{0x0, "eq", pstateZ, 0},
		{0x1, "ne", pstateN, pstateZ},
		{0x2, "hs", pstateC, pstateZ},
		{0x3, "lo", pstateZ, pstateC},
		{0x4, "mi", pstateN, pstateC},
		{0x5, "pl", pstateC, pstateN},
		{0x6, "vs", pstateV, pstateC},
		{0x7, "vc", pstateN, pstateV},
		{0x8, "hi", pstateC, pstateC | pstateZ},
		{0x9, "ls", 0, pstateC},
		{0x9, "ls", pstateC | pstateZ, pstateC | pstateN},
		{0xa, "ge", pstateN | pstateV, pstateN},
		{0xa, "ge", 0, pstateV},
		{0xb, "lt", pstateV, pstateN | pstateV},
		{0xc, "gt", pstateN | pstateV, pstateN | pstateV | pstateZ},
		{0xd, "le", pstateZ, 0},
		{0xd, "le", pstateN, pstateN | pstateV},
	} {
		cond := Cond(0x10 | c.cond)
		if cond.String() != c.name || !cond.Holds(c.yes) || cond.Holds(c.no) {
			t.Errorf("%s: holds for %#x: %t, for %#x: %t", cond, c.yes, cond.Holds(c.yes), c.no, cond.Holds(c.no))
		}
	}
	for c := condARM64; c < condARM64+14; c++ {
		for f := range uint64(16) {
			if c.Holds(f<<28) == (c ^ 1).Holds(f<<28) {
				t.Errorf("%v and %v agree for flags %#x", c, c^1, f<<28)
			}
		}
	}
	for f := range uint64(16) { // the last two are no opposites
		if !Cond(0x1e).Holds(f<<28) || !Cond(0x1f).Holds(f<<28) {
			t.Errorf("al or nv does not hold for flags %#x", f<<28)
		}
	}
}

package site

import "fmt"

// Cond is a condition on the saved flags register, by the number that the
// architecture's instructions use. The zero Cond is O of amd64, not Never.
//
//   - 0x00 to 0x0f: amd64 and 386, the condition code of Jcc on EFLAGS (Intel
//     SDM volume 1, appendix B).
//   - 0x10 to 0x1f: arm64, 0x10 + the condition code of B.cond on the flags in
//     PSTATE, the pstate of user_pt_regs (Arm ARM, C1.2.4).
type Cond uint8

const (
	// Never holds for no flags.
	Never Cond = 0xfe
	// Always holds for all flags.
	Always Cond = 0xff
)

// Condition codes that stack checks use.
const (
	condB  Cond = 0x2 // CF
	condE  Cond = 0x4 // ZF
	condBE Cond = 0x6 // CF or ZF

	condARM64   Cond = 0x10
	condARM64EQ Cond = 0x10 // Z
	condARM64LO Cond = 0x13 // not C
	condARM64LS Cond = 0x19 // not C, or Z
)

// Bits of EFLAGS.
const (
	flagCF = 1 << 0
	flagPF = 1 << 2
	flagZF = 1 << 6
	flagSF = 1 << 7
	flagOF = 1 << 11
)

// Bits of PSTATE.
const (
	pstateV = 1 << 28
	pstateC = 1 << 29
	pstateZ = 1 << 30
	pstateN = 1 << 31
)

var condText = [32]string{
	"o", "no", "b", "ae", "e", "ne", "be", "a", "s", "ns", "p", "np", "l", "ge", "le", "g",
	"eq", "ne", "hs", "lo", "mi", "pl", "vs", "vc", "hi", "ls", "ge", "lt", "gt", "le", "al", "nv",
}

// String returns the condition's mnemonic: "be".
func (c Cond) String() string {
	switch {
	case c == Never:
		return "never"
	case c == Always:
		return "always"
	case int(c) < len(condText):
		return condText[c]
	}
	return fmt.Sprintf("Cond(%#x)", uint8(c))
}

// Holds reports whether the condition holds for a value of the architecture's
// flags register.
func (c Cond) Holds(flags uint64) bool {
	switch {
	case c == Always:
		return true
	case c < condARM64:
		return holdsX86(c, flags)
	case c < condARM64+16:
		return holdsARM64(c-condARM64, flags)
	}
	return false
}

func holdsX86(c Cond, flags uint64) bool {
	less := flags&flagSF != 0 != (flags&flagOF != 0)
	var holds bool
	switch c >> 1 {
	case 0:
		holds = flags&flagOF != 0
	case 1:
		holds = flags&flagCF != 0
	case 2:
		holds = flags&flagZF != 0
	case 3:
		holds = flags&(flagCF|flagZF) != 0
	case 4:
		holds = flags&flagSF != 0
	case 5:
		holds = flags&flagPF != 0
	case 6:
		holds = less
	case 7:
		holds = less || flags&flagZF != 0
	}
	return holds != (c&1 == 1)
}

// holdsARM64 is ConditionHolds of the Arm ARM (J1.3).
func holdsARM64(c Cond, flags uint64) bool {
	n, z := flags&pstateN != 0, flags&pstateZ != 0
	carry, v := flags&pstateC != 0, flags&pstateV != 0
	var holds bool
	switch c >> 1 {
	case 0:
		holds = z
	case 1:
		holds = carry
	case 2:
		holds = n
	case 3:
		holds = v
	case 4:
		holds = carry && !z
	case 5:
		holds = n == v
	case 6:
		holds = n == v && !z
	case 7:
		return true // al and nv alike
	}
	return holds != (c&1 == 1)
}

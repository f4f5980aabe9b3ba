package site

import "fmt"

// Cond is a condition on the saved flags register, by the number that the
// architecture's instructions use. amd64: the condition code of Jcc, 0x0 (O)
// to 0xf (G), on RFLAGS (Intel SDM volume 1, appendix B). The zero Cond is
// therefore O, not Never.
type Cond uint8

const (
	// Never holds for no flags.
	Never Cond = 0xfe
	// Always holds for all flags.
	Always Cond = 0xff
)

// Condition codes of amd64 that stack checks use.
const (
	condB  Cond = 0x2 // CF
	condBE Cond = 0x6 // CF or ZF
)

// Bits of RFLAGS.
const (
	flagCF = 1 << 0
	flagPF = 1 << 2
	flagZF = 1 << 6
	flagSF = 1 << 7
	flagOF = 1 << 11
)

var condText = [16]string{"o", "no", "b", "ae", "e", "ne", "be", "a", "s", "ns", "p", "np", "l", "ge", "le", "g"}

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

// Holds reports whether the condition holds for a value of RFLAGS.
func (c Cond) Holds(flags uint64) bool {
	switch c {
	case Never:
		return false
	case Always:
		return true
	}
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
	default:
		return false
	}
	return holds != (c&1 == 1)
}

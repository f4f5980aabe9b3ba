package uprobe

import (
	"fmt"
	"strings"

	"github.com/argtap/argtap/symbols"
)

// fipsCode is the code that a program compares with a checksum when it starts, where a
// breakpoint ends it: that of Go 1.24 and newer in FIPS 140 mode, as an environment
// variable may say (crypto/internal/fips140/check), and always that of BoringCrypto
// (GOEXPERIMENT=boringcrypto), whose bounds no symbol tells.
type fipsCode struct {
	looked, lookedC bool
	low, high       symbols.VirtAddr
	boring          bool
}

// unverified returns [ErrFIPS] for a function of that code if processes may be traced
// from their start.
func (b *executable) unverified(s symbols.Func, o *options) error {
	if o.inspect || len(o.pids) > 0 || !b.isFIPS(s) {
		return nil
	}
	return fmt.Errorf("%w: in FIPS 140 mode %s", ErrFIPS, fipsEnds)
}

// unverifiedC does so for a function in C.
func (b *executable) unverifiedC(o *options) error {
	if o.inspect || len(o.pids) > 0 {
		return nil
	}
	if c := &b.fips; !c.lookedC {
		c.lookedC = true
		_, err := b.file.Lookup("BORINGSSL_integrity_test")
		c.boring = err == nil
	}
	if !b.fips.boring {
		return nil
	}
	return fmt.Errorf("%w, if it is of BoringCrypto: %s", ErrFIPS, fipsEnds)
}

const fipsEnds = "a process that starts while the function is probed ends at once: " +
	"name processes that run already, by WithPID (-p), or trace what calls it"

// isFIPS reports whether a function is of the code that is verified.
func (b *executable) isFIPS(s symbols.Func) bool {
	if _, ok := b.file.Section(".go.fipsinfo"); !ok {
		return false
	}
	// Names are as the compiler goes by them (cmd/internal/obj, setFIPSType).
	if rest, ok := strings.CutPrefix(s.Name, "crypto/internal/fips140"); ok && rest != "" && (rest[0] == '.' || rest[0] == '/') {
		return true
	}
	// Local functions in assembly have no package in their names.
	if c := &b.fips; !c.looked {
		c.looked = true
		low, err1 := b.file.Lookup("go:textfipsstart")
		high, err2 := b.file.Lookup("go:textfipsend")
		if err1 == nil && err2 == nil {
			c.low, c.high = low.Entry, high.Entry
		}
	}
	return b.fips.low <= s.Entry && s.Entry < b.fips.high
}

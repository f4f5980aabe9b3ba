package site

import (
	"encoding/hex"
	"errors"
	"testing"

	"github.com/argtap/argtap/abi"
	"github.com/argtap/argtap/symbols"
)

// FuzzFind: any bytes give sites inside the function or one of the errors.
func FuzzFind(f *testing.F) {
	f.Add([]byte{0x49, 0x3b, 0x66, 0x10, 0x76, 0x04, 0x55, 0x90, 0x5d, 0xc3, 0xe8, 0, 0x10, 0, 0, 0xeb, 0xef}, uint64(0x401000))
	f.Add([]byte{0x48, 0x83, 0xc0, 0xfd, 0x48, 0x85, 0xc0, 0x7d, 0xf7, 0xc3}, uint64(0))
	f.Add([]byte{0x48, 0x8d, 0x15, 0, 0, 0, 0, 0xff, 0x24, 0xc2, 0xc3}, ^uint64(0))
	f.Fuzz(func(t *testing.T, code []byte, base uint64) { findAny(t, abi.AMD64, code, base) })
}

// FuzzFind386 is FuzzFind for 386.
func FuzzFind386(f *testing.F) {
	for _, code := range []string{
		"658b0d000000008b89fcffffff3b6108760283ec1090c3e800100000ebe3", // small
		"e81b13d6ffc7c1fcffffff658b093b6108760190c3e800100000ebe4",     // position-independent
		"83f8027707ff248500204000c3c3",                                 // a jump table
		"62f17c481000c500c404249a000000002300",                         // bound or EVEX, lds, les or VEX
		"67a1000067f60600004f06ce82c001",                               // 16-bit addresses
	} {
		b, err := hex.DecodeString(code)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b, uint64(0x8049000))
	}
	f.Fuzz(func(t *testing.T, code []byte, base uint64) { findAny(t, abi.I386, code, base) })
}

// findAny asks everything of a function with any code, at any address, and
// with any words in read-only data.
func findAny(t *testing.T, a *abi.Arch, code []byte, base uint64) {
	entry := symbols.VirtAddr(base)
	mem := func(a symbols.VirtAddr, buf []byte) error {
		if a&0x8000 != 0 {
			return errUnmapped
		}
		buf[0], buf[1], buf[2] = byte(base), byte(base>>8), byte(base>>16)
		return nil
	}
	if spills, ok := Spills(a, code, entry); ok != (len(spills) > 0) {
		t.Fatalf("spills %v, %t", spills, ok)
	}
	if tls, ok := TLSOffset(a, code, entry); ok && tls >= 0 {
		t.Fatalf("displacement %d of the g", tls)
	}
	s, err := FindIn(a, code, entry, a.Ints, mem)
	if err != nil {
		if !errors.Is(err, ErrNoSite) && !errors.Is(err, ErrDecode) && !errors.Is(err, ErrCodeSize) {
			t.Fatalf("error of no kind: %v", err)
		}
		return
	}
	inside := func(p Probe) {
		if uint64(p.Addr-entry) >= uint64(len(code)) || p.Instr == "" {
			t.Fatalf("probe %+v outside of %d bytes at %#x", p, len(code), base)
		}
	}
	inside(s.Entry)
	for _, p := range s.Returns {
		inside(p)
	}
	for _, e := range s.Repeats {
		inside(e.Probe)
		if e.Taken == Never || e.Addr == s.Entry.Addr {
			t.Fatalf("back edge %+v", e)
		}
	}
	if s.HasG && !a.Known(s.G) {
		t.Fatalf("g in register %d", s.G)
	}
}

package abi

import "encoding/binary"

// Registers of arm64, by DWARF number (DWARF for the Arm 64-bit Architecture,
// "DWARF register names"): X0–X30 have the numbers 0–30 and V0–V31 64–95.
const (
	X0 Reg = iota
	X1
	X2
	X3
	X4
	X5
	X6
	X7
	X8
	X9
	X10
	X11
	X12
	X13
	X14
	X15
	X16
	X17
	X18
	X19
	X20
	X21
	X22
	X23
	X24
	X25
	X26
	X27
	X28
	X29
	X30
	// ARM64SP is the stack pointer, not the zero register that shares its
	// number in instructions.
	ARM64SP

	V0 Reg = 64
)

// ARM64 describes arm64. The sequences are those of
// cmd/compile/abi-internal.md, "arm64 architecture"; registers have the names
// of that text. In stack frames the word at SP is where a callee keeps the
// link register, so that arguments begin above it (cmd/internal/sys,
// FixedFrameSize). That holds for ABI0 as well, where Closure and G are the
// same (GOROOT/src/cmd/internal/obj/arm64/a.out.go, REGCTXT and REGG).
var ARM64 = &Arch{
	GOARCH:     "arm64",
	PtrSize:    8,
	ByteOrder:  binary.LittleEndian,
	Ints:       sequence(X0, 16),
	Floats:     sequence(V0, 16),
	SP:         ARM64SP,
	G:          X28,
	HasG:       true,
	Link:       X30,
	HasLink:    true,
	Closure:    X26,
	CFAAtEntry: 0,
	ArgBase:    8,
	floatLo:    V0,
	floatHi:    V0 + 31,
	names: named(
		register{"R", X0, 31}, register{"SP", ARM64SP, 0}, register{"F", V0, 32},
	),
}

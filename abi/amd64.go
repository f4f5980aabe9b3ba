package abi

import "encoding/binary"

// Registers of amd64, by DWARF number (System V AMD64 psABI, figure 3.36).
const (
	RAX Reg = iota
	RDX
	RCX
	RBX
	RSI
	RDI
	RBP
	RSP
	R8
	R9
	R10
	R11
	R12
	R13
	R14
	R15
	amd64RIP
	XMM0
)

// AMD64 describes amd64. The sequences are those of
// cmd/compile/abi-internal.md, "amd64 architecture".
var AMD64 = &Arch{
	GOARCH:    "amd64",
	PtrSize:   8,
	ByteOrder: binary.LittleEndian,
	Ints:      []Reg{RAX, RBX, RCX, RDI, RSI, R8, R9, R10, R11},
	Floats: []Reg{
		XMM0, XMM0 + 1, XMM0 + 2, XMM0 + 3, XMM0 + 4, XMM0 + 5, XMM0 + 6, XMM0 + 7,
		XMM0 + 8, XMM0 + 9, XMM0 + 10, XMM0 + 11, XMM0 + 12, XMM0 + 13, XMM0 + 14,
	},
	SP:         RSP,
	G:          R14,
	HasG:       true,
	Closure:    RDX,
	CFAAtEntry: 8,
	ArgBase:    0,
	floatLo:    XMM0,
	floatHi:    XMM0 + 15,
	names: map[Reg]string{
		RAX: "RAX", RDX: "RDX", RCX: "RCX", RBX: "RBX", RSI: "RSI", RDI: "RDI",
		RBP: "RBP", RSP: "RSP", R8: "R8", R9: "R9", R10: "R10", R11: "R11",
		R12: "R12", R13: "R13", R14: "R14", R15: "R15", amd64RIP: "RIP",
		XMM0: "X0", XMM0 + 1: "X1", XMM0 + 2: "X2", XMM0 + 3: "X3",
		XMM0 + 4: "X4", XMM0 + 5: "X5", XMM0 + 6: "X6", XMM0 + 7: "X7",
		XMM0 + 8: "X8", XMM0 + 9: "X9", XMM0 + 10: "X10", XMM0 + 11: "X11",
		XMM0 + 12: "X12", XMM0 + 13: "X13", XMM0 + 14: "X14", XMM0 + 15: "X15",
	},
}

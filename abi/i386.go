package abi

import "encoding/binary"

// Registers of 386, by DWARF number (System V i386 psABI, table 2.14).
const (
	EAX Reg = iota
	ECX
	EDX
	EBX
	ESP
	EBP
	ESI
	EDI
	i386EIP

	i386XMM0 Reg = 21
)

// I386 describes the architecture that Go calls 386. It has no register
// sequences: ABIInternal is ABI0 there, in all releases. No register is
// reserved for the g.
//
// Types of 64 bits are aligned to 4 bytes (cmd/compile/internal/types,
// RegSize), except those of sync/atomic that since Go 1.19 ask for 8.
var I386 = &Arch{
	GOARCH:     "386",
	PtrSize:    4,
	ByteOrder:  binary.LittleEndian,
	SP:         ESP,
	Closure:    EDX,
	CFAAtEntry: 4,
	ArgBase:    0,
	floatLo:    i386XMM0,
	floatHi:    i386XMM0 + 7,
	names: named(
		register{"EAX", EAX, 0}, register{"ECX", ECX, 0}, register{"EDX", EDX, 0}, register{"EBX", EBX, 0},
		register{"ESP", ESP, 0}, register{"EBP", EBP, 0}, register{"ESI", ESI, 0}, register{"EDI", EDI, 0},
		register{"EIP", i386EIP, 0}, register{"X", i386XMM0, 8},
	),
}

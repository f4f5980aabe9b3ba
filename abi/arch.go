package abi

import (
	"encoding/binary"
	"fmt"
)

// Reg is a machine register, by the number that DWARF gives it on its
// architecture.
type Reg uint16

// Arch is what the calling conventions need to know of an architecture.
type Arch struct {
	// GOARCH is the name that Go gives the architecture.
	GOARCH    string
	PtrSize   int64 // bytes
	ByteOrder binary.ByteOrder

	// Ints and Floats are the register sequences of ABIInternal
	// (abi-internal.md), empty where the architecture passes on the stack.
	Ints, Floats []Reg
	// SP is the stack pointer, G the register that holds the current g in
	// ABIInternal code, Closure the closure context register.
	SP, G, Closure Reg
	// CFAAtEntry is the distance in bytes from SP at the entry PC up to the
	// CFA: the size of a return address that the call pushed.
	CFAAtEntry int64
	// ArgBase is where the first stack-assigned argument lies.
	ArgBase CFAOffset

	names   map[Reg]string
	floatLo Reg
	floatHi Reg
}

// RegName returns the architecture's name of r, such as "RAX".
func (a *Arch) RegName(r Reg) string {
	if n, ok := a.names[r]; ok {
		return n
	}
	return fmt.Sprintf("reg%d", uint16(r))
}

// IsFloat reports whether r is a floating-point or vector register. Uprobe
// programs cannot read those.
func (a *Arch) IsFloat(r Reg) bool { return r >= a.floatLo && r <= a.floatHi }

// Known reports whether r is a register that this package knows by name.
func (a *Arch) Known(r Reg) bool { _, ok := a.names[r]; return ok }

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
	// SP is the stack pointer, Closure the closure context register.
	SP, Closure Reg
	// G is the register that holds the current g, valid if HasG: on amd64 in
	// ABIInternal code only, on arm64 in all Go code of all releases.
	G    Reg
	HasG bool
	// Link is the register that holds the return address at the entry PC,
	// valid if HasLink. Where there is none the call pushed the address.
	Link    Reg
	HasLink bool
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

// archs has the architectures that [ArchFor] knows.
var archs = map[string]*Arch{
	AMD64.GOARCH: AMD64,
	ARM64.GOARCH: ARM64,
	I386.GOARCH:  I386,
}

// ArchFor returns the architecture that Go calls goarch, or nil if this
// package has no description of it.
func ArchFor(goarch string) *Arch { return archs[goarch] }

// sequence returns n registers with numbers that ascend from first.
func sequence(first Reg, n int) []Reg {
	regs := make([]Reg, n)
	for i := range regs {
		regs[i] = first + Reg(i)
	}
	return regs
}

// register names one register, or n of them by a prefix and a number from 0.
type register struct {
	name  string
	first Reg
	n     int
}

func named(registers ...register) map[Reg]string {
	names := map[Reg]string{}
	for _, r := range registers {
		if r.n == 0 {
			names[r.first] = r.name
		}
		for i := range r.n {
			names[r.first+Reg(i)] = fmt.Sprintf("%s%d", r.name, i)
		}
	}
	return names
}

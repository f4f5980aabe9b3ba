package dwarfargs

import (
	"bytes"
	"encoding/binary"

	"github.com/go-delve/delve/pkg/dwarf/op"

	"github.com/argtap/argtap/abi"
)

// addressForm is how code comes by the address of a captured variable.
type addressForm uint8

const (
	addressUnknown addressForm = iota
	addressLoaded              // it is read from the closure: captured by reference
	addressOfSlot              // it is that of a place in the closure: captured by value
)

// addressOf tells how a closure's optimised code comes by the address "&x" that
// it has in a register. What the location list says of that begins right behind
// the instruction that puts it there: a load from the closure, whose address is
// in the context register from the entry on, or an addition to it.
func (d *Data) addressOf(loc locDesc, off int64) addressForm {
	if d.code == nil || d.arch == nil || !loc.isList || len(loc.list) == 0 {
		return addressUnknown
	}
	e := loc.list[0]
	if len(e.expr) != 1 {
		return addressUnknown
	}
	o := op.Opcode(e.expr[0])
	if o < op.DW_OP_reg0 || o > op.DW_OP_reg31 {
		return addressUnknown
	}
	reg := abi.Reg(o - op.DW_OP_reg0)
	before := func(code []byte) bool {
		have := make([]byte, len(code))
		return len(code) > 0 && e.low >= uint64(len(code)) && d.code(e.low-uint64(len(code)), have) == nil && bytes.Equal(have, code)
	}
	switch {
	case before(d.fromClosure(reg, off, true)):
		return addressLoaded
	case before(d.fromClosure(reg, off, false)):
		return addressOfSlot
	}
	return addressUnknown
}

// fromClosure encodes the instruction that puts what is at an offset in the
// closure into a register, or its address.
func (d *Data) fromClosure(reg abi.Reg, off int64, load bool) []byte {
	switch d.goarch {
	case "amd64", "386":
		// DWARF numbers the registers of 386 as instructions do, of amd64 not.
		n, ctx := byte(reg), byte(d.arch.Closure)
		if d.goarch == "amd64" {
			if reg > 15 || d.arch.Closure > 7 {
				return nil
			}
			number := [16]byte{0, 2, 1, 3, 6, 7, 5, 4, 8, 9, 10, 11, 12, 13, 14, 15}
			n, ctx = number[reg], number[d.arch.Closure]
		} else if reg > 7 {
			return nil
		}
		var code []byte
		if d.goarch == "amd64" {
			code = append(code, 0x48|n>>3<<2)
		}
		opcode := byte(0x8d) // LEA
		if load {
			opcode = 0x8b // MOV
		}
		code = append(code, opcode)
		if off <= 127 {
			return append(code, 0x40|n&7<<3|ctx, byte(off))
		}
		return binary.LittleEndian.AppendUint32(append(code, 0x80|n&7<<3|ctx), uint32(off))
	case "arm64":
		if reg > 30 || off >= 1<<12 {
			return nil
		}
		rd, rn := uint32(reg), uint32(d.arch.Closure)
		if !load { // ADD (immediate)
			return binary.LittleEndian.AppendUint32(nil, 0x91000000|uint32(off)<<10|rn<<5|rd)
		}
		if off%8 != 0 {
			return nil
		}
		// LDR (immediate, unsigned offset)
		return binary.LittleEndian.AppendUint32(nil, 0xf9400000|uint32(off/8)<<10|rn<<5|rd)
	}
	return nil
}

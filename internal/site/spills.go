package site

import (
	"github.com/argtap/argtap/abi"
	"github.com/argtap/argtap/symbols"
)

// A Spill is an argument register that a function saves before it calls
// morestack, and where.
type Spill struct {
	Reg abi.Reg
	// Slot is the argument's spill slot in the caller's frame.
	Slot abi.CFAOffset
	// Size is how many bytes are stored: the size of what the register
	// holds.
	Size int
}

// Spills returns the argument registers that the function with this code
// saves when its stack has to grow, and in which spill slots, in the order of
// the code. The compiler writes these stores for every register that holds
// an argument, used or not, in functions that read any of them
// (cmd/compile/internal/ssagen, buildssa, "Record incoming parameter spill
// information"): so without any other source they tell which registers hold
// arguments and how those are laid out.
//
// It is false if there is no stack check, if the code behind it saves
// nothing, or if a is not known: then nothing is known.
func Spills(a *abi.Arch, code []byte, entry symbols.VirtAddr) ([]Spill, bool) {
	m, err := machineFor(a, code)
	if err != nil {
		return nil, false
	}
	check, ok := m.stackCheck(code, entry)
	if !ok {
		return nil, false
	}
	f := &function{m: m, code: code, entry: entry}
	last, ok := f.at(check.jumps[len(check.jumps)-1])
	if !ok {
		return nil, false
	}
	var out []Spill
	var seen regSet
	for off := int(last.target); off < check.tailJump; {
		in, ok := f.at(off)
		if !ok || in.flow != next {
			break
		}
		for _, s := range m.stores(code, in) {
			if seen.has(s.reg) {
				return nil, false
			}
			seen.add(s.reg)
			out = append(out, Spill{s.reg, abi.CFAOffset(s.sp - a.CFAAtEntry), s.size})
		}
		off = in.end()
	}
	return out, len(out) > 0
}

// TLSOffset returns the displacement from the thread's base at which the
// function loads the current g; it is negative. The base is that of FS on
// amd64 and that of GS on 386, which a 64-bit kernel keeps elsewhere
// (task_struct.thread.tls_array). The displacement is the same in all
// functions of a program. All loads of a pointer at a constant negative
// displacement must agree: the stack check's, and in the assembly of the
// runtime (runtime.asmcgocall) any other.
//
// It is false if there is no such load, as in compiled functions for amd64
// since Go 1.17, if the displacement is not in the code, as in shared
// libraries, and on other architectures.
func TLSOffset(a *abi.Arch, code []byte, entry symbols.VirtAddr) (int64, bool) {
	m, err := machineFor(a, code)
	if err != nil {
		return 0, false
	}
	check, _ := m.stackCheck(code, entry)
	return m.threadOffset(code, entry, check)
}

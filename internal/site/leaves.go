package site

import (
	"fmt"

	"github.com/argtap/argtap/abi"
	"github.com/argtap/argtap/symbols"
)

// A Leave is an instruction that leads out of a function, to code that is known:
// a call, or a jump or branch in place of one.
type Leave struct {
	Addr, Target symbols.VirtAddr
	// Jump says that nothing returns to the function from there.
	Jump bool
}

// Leaves returns where the function whose machine code is code, and whose first
// instruction has the virtual address entry, leads out of itself, in order of
// address. open says that there are calls or jumps to addresses that the code does
// not tell, those of tables included. A call of the function itself counts, a jump
// to its start does not: that is how it goes on behind the growth of its stack.
//
// Errors are those of [Find].
func Leaves(a *abi.Arch, code []byte, entry symbols.VirtAddr) (leaves []Leave, open bool, err error) {
	m, err := machineFor(a, code)
	if err != nil {
		return nil, false, fmt.Errorf("calls of the function at %#x: %w", uint64(entry), err)
	}
	for off := 0; off < len(code); {
		in, err := m.decode(code, off, entry)
		if err != nil {
			return nil, false, fmt.Errorf("calls of the function at %#x: %w", uint64(entry), err)
		}
		inside := in.target >= 0 && in.target < int64(len(code))
		switch in.flow {
		case call:
			if !inside || in.target == 0 {
				leaves = append(leaves, Leave{entry + symbols.VirtAddr(off), entry + symbols.VirtAddr(in.target), false})
			}
		case jump, branch:
			if !inside {
				leaves = append(leaves, Leave{entry + symbols.VirtAddr(off), entry + symbols.VirtAddr(in.target), true})
			}
		case callAny, jumpAny:
			open = true
		}
		off = in.end()
	}
	return leaves, open, nil
}

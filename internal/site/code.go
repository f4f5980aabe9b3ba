package site

import (
	"sort"

	"github.com/argtap/argtap/abi"
	"github.com/argtap/argtap/symbols"
)

// machines has the architectures by GOARCH.
var machines = map[string]machine{
	"amd64": amd64{},
}

// machine is what an architecture knows. Offsets are in bytes from the start
// of the function's code.
type machine interface {
	// decode decodes the instruction at off. It fails with a *DecodeError.
	decode(code []byte, off int, entry symbols.VirtAddr) (instr, error)
	// effects says what an instruction that decode found does to registers
	// and memory.
	effects(code []byte, in instr) effects
	// text disassembles an instruction.
	text(code []byte, in instr, entry symbols.VirtAddr) string
	// stackCheck recognises the stack check that code begins with. A false
	// answer is always safe: the jump that re-runs an unknown check is then
	// one of the branches that lead back to the entry.
	stackCheck(code []byte, entry symbols.VirtAddr) (stackCheck, bool)
	// table returns where the indirect jump at seq's end may go, when it is
	// the jump of a switch statement whose table mem can read. seq are the
	// instructions before it, oldest first, none of which is a branch's
	// target except possibly the first.
	table(code []byte, seq []instr, entry symbols.VirtAddr, mem Memory) ([]int, bool)
	// returnCFA is the distance from the stack pointer up to the CFA at a
	// return.
	returnCFA() int64
}

// flow is where an instruction leads.
type flow uint8

const (
	next    flow = iota // to the following one
	jump                // to target
	branch              // to target or the following one
	call                // to target, and back to the following one
	callAny             // to an unknown address, and back
	jumpAny             // to an unknown address
	ret                 // out of the function
	dead                // nowhere: a trap
)

// instr is an instruction as the choice of a site sees it.
type instr struct {
	off, size int
	flow      flow
	target    int64 // jump, branch, call: offset, which may be outside
	// cond is the condition under which a branch is taken; Never if flags
	// do not tell.
	cond Cond

	emulated bool   // by the kernel, when a probe sits on it
	refused  string // why no probe may sit on it; "" if one may
}

func (in instr) end() int { return in.off + in.size }

// effects is what an instruction changes besides the program counter and the
// flags. The zero effects is an instruction that does nothing.
type effects struct {
	// wild: it may fault, store outside the frame that the function is
	// building, or do what this package does not know.
	wild   bool
	writes regSet
	grows  int64 // by how many bytes it moves the stack pointer down
	// losesSP: it changes the stack pointer to what cannot be followed.
	losesSP bool
}

// everything is written by an instruction that is not known.
var everything = regSet{^uint64(0), ^uint64(0)}

// regSet is a set of registers by DWARF number, which on every architecture
// of this project is below 128 for those that matter; others are never in it.
type regSet [2]uint64

func (s *regSet) add(r abi.Reg) {
	if r < 128 {
		s[r/64] |= 1 << (r % 64)
	}
}

func (s regSet) has(r abi.Reg) bool { return r < 128 && s[r/64]>>(r%64)&1 != 0 }

func (s regSet) meets(t regSet) bool { return s[0]&t[0] != 0 || s[1]&t[1] != 0 }

// stackCheck is the comparison with the stack bound at a function's start.
type stackCheck struct {
	jumps    []int // the conditional jumps to the tail
	end      int   // the first instruction after the check
	tailJump int   // the jump at the tail's end that goes back to offset 0
}

// function is a function's code after one linear pass.
type function struct {
	m        machine
	code     []byte
	entry    symbols.VirtAddr
	branches []instr // jump, branch and call with a target inside the code
	returns  []instr
	exits    int // jumps that leave the function
	// unknown are jumps of which not even the tables are known.
	unknown []instr
	tables  []tableJump
}

type tableJump struct {
	in      instr
	targets []int
}

// window is how many instructions before an indirect jump are looked at to
// find its table. The compiler loads the table's address in the same block.
const window = 16

// scan decodes the function from its first byte to its last. Go keeps no
// data between instructions: jump tables are in read-only data.
func scan(m machine, code []byte, entry symbols.VirtAddr, mem Memory) (*function, error) {
	f := &function{m: m, code: code, entry: entry}
	// before[i] are the instructions that lead to unknown[i].
	var before [][]instr
	var recent []instr
	for off := 0; off < len(code); {
		in, err := m.decode(code, off, entry)
		if err != nil {
			return nil, err
		}
		switch in.flow {
		case jump, branch, call:
			inside := in.target >= 0 && in.target < int64(len(code))
			if inside {
				f.branches = append(f.branches, in)
			} else if in.flow != call {
				f.exits++
			}
		case jumpAny:
			f.unknown = append(f.unknown, in)
			before = append(before, append([]instr(nil), recent...))
		case ret:
			f.returns = append(f.returns, in)
		}
		if len(recent) == window {
			recent = append(recent[:0], recent[1:]...)
		}
		recent = append(recent, in)
		off = in.end()
	}
	f.readTables(before, mem)
	return f, nil
}

// readTables moves the jumps whose tables can be read from unknown to tables.
func (f *function) readTables(before [][]instr, mem Memory) {
	if len(f.unknown) == 0 {
		return
	}
	// A register that was set before a branch's target may hold something
	// else when control comes from that branch. Targets of the jump tables
	// themselves are blocks, and a block's table is loaded in it, so an
	// unknown target between the load and the jump is not to be feared: the
	// compiler places a table's address last in its block.
	targets := make([]int64, len(f.branches))
	for i, b := range f.branches {
		targets[i] = b.target
	}
	sort.Slice(targets, func(i, j int) bool { return targets[i] < targets[j] })
	unknown := f.unknown
	f.unknown = nil
	for i, in := range unknown {
		seq := append(before[i], in)
		first := 0
		for j, s := range seq {
			k := sort.Search(len(targets), func(k int) bool { return targets[k] >= int64(s.off) })
			entered := k < len(targets) && targets[k] < int64(s.end())
			if entered || (j > 0 && seq[j-1].flow != next && seq[j-1].flow != branch && seq[j-1].flow != call && seq[j-1].flow != callAny) {
				first = j
			}
		}
		if mem != nil {
			if t, ok := f.m.table(f.code, seq[first:], f.entry, mem); ok {
				f.tables = append(f.tables, tableJump{in, t})
				continue
			}
		}
		f.unknown = append(f.unknown, in)
		f.exits++
	}
}

// at decodes the instruction at off, which the linear pass found good.
func (f *function) at(off int) (instr, bool) {
	if off < 0 || off >= len(f.code) {
		return instr{}, false
	}
	in, err := f.m.decode(f.code, off, f.entry)
	return in, err == nil
}

func (f *function) addr(off int) symbols.VirtAddr {
	return f.entry + symbols.VirtAddr(off)
}

func (f *function) probe(in instr, cfa int64) Probe {
	return Probe{
		Addr:     f.addr(in.off),
		Instr:    f.m.text(f.code, in, f.entry),
		Emulated: in.emulated,
		CFA:      cfa,
		Skip:     Never,
	}
}

package site

import (
	"fmt"
	"slices"

	"github.com/argtap/argtap/abi"
	"github.com/argtap/argtap/symbols"
)

// machines has the architectures by GOARCH.
var machines = map[string]machine{
	"amd64": amd64,
	"386":   i386,
	"arm64": arm64{},
}

// preparer is a machine that has to look at all code of a function first: it
// returns the machine for that function.
type preparer interface{ prepare(code []byte) machine }

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
	// stores says which registers the instruction stores to places at fixed
	// distances from the stack pointer; nil if it does anything else, too.
	stores(code []byte, in instr) []store
	// threadOffset is TLSOffset for code of this machine; check is the
	// function's stack check, if it has one. False is always safe.
	threadOffset(code []byte, entry symbols.VirtAddr, check stackCheck) (int64, bool)
}

// store is a register in memory at a distance of sp bytes from the stack
// pointer.
type store struct {
	reg  abi.Reg
	sp   int64
	size int
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
	// test is that condition if a register tells.
	test RegTest

	emulated bool   // by the kernel, when a probe sits on it
	refused  string // why no probe may sit on it; "" if one may
}

func (in instr) end() int { return in.off + in.size }

// falls reports whether control may come to the following instruction.
func (in instr) falls() bool {
	switch in.flow {
	case next, branch, call, callAny:
		return true
	}
	return false
}

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

func (s *regSet) join(t regSet) { s[0] |= t[0]; s[1] |= t[1] }

func (s regSet) meets(t regSet) bool { return s[0]&t[0] != 0 || s[1]&t[1] != 0 }

// stackCheck is the comparison with the stack bound at a function's start.
type stackCheck struct {
	jumps    []int // the conditional jumps to the tail
	end      int   // the first instruction after the check
	tailJump int   // the jump at the tail's end that goes back to offset 0

	// g is a register that the check itself loaded with the current g, by
	// the instructions before the offset gLoaded; 0 if it did not.
	g       abi.Reg
	gLoaded int
	// tls is the displacement from the thread's base at which it did so, if
	// the code has it.
	tls    int64
	hasTLS bool
}

// edge is a jump, branch or call to a target inside the code.
type edge struct {
	off, target int32
	flow        flow
	cond        Cond
}

// function is a function's code after one linear pass.
type function struct {
	m       machine
	code    []byte
	entry   symbols.VirtAddr
	edges   []edge
	returns []int32
	exits   int // jumps that leave the function
	// unknown are indirect jumps of which it is not known where they lead.
	unknown []indirect
	// tables are those whose tables could be read.
	tables []tableJump
}

// indirect is an indirect jump.
type indirect struct {
	off   int32
	first int32 // where the instructions to look for its table begin
}

type tableJump struct {
	off     int32
	targets []int
}

const (
	// window is how many instructions before an indirect jump are looked at
	// to find its table. The compiler loads the table's address in the same
	// block.
	window = 16
	// maxReturns and maxIndirect bound what one function may have of each.
	// The largest functions have some thousands.
	maxReturns  = 1 << 16
	maxIndirect = 1 << 16
	// maxTables bounds the words of all jump tables of a function.
	maxTables = 1 << 20
)

// scan decodes the function from its first byte to its last. Go keeps no
// data between instructions: jump tables are in read-only data.
func scan(m machine, code []byte, entry symbols.VirtAddr, mem Memory) (*function, error) {
	f := &function{m: m, code: code, entry: entry}
	var recent [window]int32 // offsets, as a ring
	n := 0
	for off := 0; off < len(code); n++ {
		in, err := m.decode(code, off, entry)
		if err != nil {
			return nil, err
		}
		recent[n%window] = int32(off)
		switch in.flow {
		case jump, branch, call:
			if in.target >= 0 && in.target < int64(len(code)) {
				f.edges = append(f.edges, edge{int32(off), int32(in.target), in.flow, in.cond})
			} else if in.flow != call {
				f.exits++
			}
		case jumpAny:
			f.unknown = append(f.unknown, indirect{int32(off), recent[max(n-window+1, 0)%window]})
		case ret:
			f.returns = append(f.returns, int32(off))
		}
		if len(f.returns) > maxReturns || len(f.unknown) > maxIndirect {
			return nil, fmt.Errorf("more than %d returns or %d indirect jumps: %w", maxReturns, maxIndirect, ErrCodeSize)
		}
		off = in.end()
	}
	f.readTables(mem)
	return f, nil
}

// readTables moves the jumps whose tables can be read from unknown to tables.
func (f *function) readTables(mem Memory) {
	if len(f.unknown) == 0 {
		return
	}
	if f.tailCalls() {
		f.unknown = nil
		f.exits++
		return
	}
	if mem == nil {
		f.exits += len(f.unknown)
		return
	}
	// A register that was set before a branch's target may hold something
	// else when control comes from that branch. Targets of jump tables need
	// no such care: what the compiler jumps through is the address of the
	// one table of that switch, whatever the path.
	targets := make([]int32, len(f.edges))
	for i, e := range f.edges {
		targets[i] = e.target
	}
	slices.Sort(targets)
	unknown := f.unknown
	f.unknown = nil
	words := 0
	for _, j := range unknown {
		if words < maxTables {
			if t, ok := f.m.table(f.code, f.block(j, targets), f.entry, mem); ok {
				words += len(t)
				f.tables = append(f.tables, tableJump{j.off, t})
				continue
			}
		}
		f.unknown = append(f.unknown, j)
		f.exits++
	}
}

// tailCalls reports whether the function, its stack check aside, is one
// straight line into an indirect jump. It has no block but the one it begins
// with: the jump is a tail call, as of a wrapper for a method of an embedded
// interface (Go 1.27), and if it goes to the function's own entry, that is
// another call.
func (f *function) tailCalls() bool {
	last, ok := f.at(int(f.unknown[0].off))
	if !ok || len(f.returns) > 0 {
		return false
	}
	if len(f.edges) == 0 && last.end() == len(f.code) {
		return true
	}
	check, ok := f.m.stackCheck(f.code, f.entry)
	if !ok || last.off < check.end {
		return false
	}
	toTail, ok := f.at(check.jumps[len(check.jumps)-1])
	if !ok || int64(last.end()) != toTail.target {
		return false
	}
	for _, e := range f.edges {
		if !slices.Contains(check.jumps, int(e.off)) && int(e.off) != check.tailJump {
			return false
		}
	}
	return true
}

// block returns the instructions that end in the jump j and are always run
// through together: from the last of the targets (sorted), at most, and from
// behind the last instruction that control does not fall through.
func (f *function) block(j indirect, targets []int32) []instr {
	var seq []instr
	for off := int(j.first); off <= int(j.off); {
		in, ok := f.at(off)
		if !ok {
			return nil
		}
		k, _ := slices.BinarySearch(targets, int32(in.off))
		entered := k < len(targets) && int(targets[k]) < in.end()
		if n := len(seq); entered || n > 0 && !seq[n-1].falls() {
			seq = seq[:0]
		}
		seq = append(seq, in)
		off = in.end()
	}
	return seq
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
		Size:     in.size,
		Emulated: in.emulated,
		CFA:      cfa,
		Skip:     Never,
	}
}

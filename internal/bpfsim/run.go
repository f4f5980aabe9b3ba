package bpfsim

import (
	"errors"
	"fmt"
)

// Instruction encoding (instruction-set.rst, "Instruction encoding").
const (
	classLd    = 0x00
	classLdx   = 0x01
	classSt    = 0x02
	classStx   = 0x03
	classALU   = 0x04
	classJmp   = 0x05
	classJmp32 = 0x06
	classALU64 = 0x07

	opLdImm64 = 0x18
	opCall    = 0x85
	opExit    = 0x95
	opJa      = 0x05

	modeMem    = 0x60
	modeAtomic = 0xc0

	pseudoMapFD    = 1
	pseudoMapValue = 2
	pseudoFunc     = 4

	atomicAdd      = 0x00
	atomicFetchAdd = 0x01
	atomicOr       = 0x40
	atomicXchg     = 0xe1
	atomicCmpXchg  = 0xf1
)

const (
	stackSize = 512
	maxSteps  = 5_000_000
	maxFrames = 8
	fp        = 10
)

// run is one run of a program.
type run struct {
	*Machine
	prog    *Program
	steps   int
	reserve map[uint64]bool     // addresses of reserved records
	arrays  map[string][]uint64 // addresses of the elements
	entries []uint64            // addresses of entries of hash maps
	ctx     uint64
}

// frame is the registers of a function.
type frame struct {
	reg  [11]uint64
	init uint16 // bit i: register i was written
}

func (f *frame) get(r byte) (uint64, error) {
	if int(r) >= len(f.reg) || f.init&(1<<r) == 0 {
		return 0, fmt.Errorf("register %d was not written", r)
	}
	return f.reg[r], nil
}

func (f *frame) set(r byte, v uint64) error {
	if r >= fp {
		return fmt.Errorf("write to register %d", r)
	}
	f.reg[r] = v
	f.init |= 1 << r
	return nil
}

// Run runs the program for one hit, and returns what it returned.
func (m *Machine) Run(p *Program) (uint64, error) {
	r := &run{Machine: m, prog: p, reserve: make(map[uint64]bool), arrays: make(map[string][]uint64)}
	r.ctx = m.add(&region{name: "context", data: m.Context, readOnly: true})
	defer m.drop(r.ctx)
	for name, data := range m.Arrays {
		n := max(m.Elements[name], 1)
		for size := len(data) / n; n > 0; n-- {
			addr := m.add(&region{name: name, data: data[:size:size]})
			r.arrays[name] = append(r.arrays[name], addr)
			defer m.drop(addr)
			data = data[size:]
		}
	}
	f := new(frame)
	f.set(1, r.ctx)
	ret, err := r.call(0, f, 1)
	if err == nil && len(r.reserve) > 0 {
		err = errors.New("a reserved record was not submitted")
	}
	for a := range r.reserve {
		m.drop(a)
	}
	for _, a := range r.entries {
		m.drop(a)
	}
	return ret, err
}

// call runs the function that begins at pc, to its end.
func (r *run) call(pc int, f *frame, depth int) (uint64, error) {
	if depth > maxFrames {
		return 0, errors.New("too many frames")
	}
	stack := r.add(&region{name: "stack", data: make([]byte, stackSize), written: make([]bool, stackSize)})
	defer r.drop(stack)
	f.reg[fp] = stack + stackSize
	f.init |= 1 << fp
	for {
		if pc < 0 || pc >= len(r.prog.code) {
			return 0, fmt.Errorf("jump to %d", pc)
		}
		if r.Step != nil {
			r.Step(r.steps)
		}
		r.steps++
		r.Steps++
		if r.steps > maxSteps {
			return 0, errors.New("too many steps")
		}
		if r.prog.code[pc].op == opExit {
			return f.get(0)
		}
		next, err := r.step(pc, f, depth)
		if err != nil {
			if _, ok := err.(*Fault); !ok {
				err = &Fault{pc, fmt.Sprint(r.prog.list[r.prog.ins[pc]]), err}
			}
			return 0, err
		}
		pc = next
	}
}

var errUnknown = errors.New("unknown instruction")

// step executes the instruction at pc and returns the next one's place.
func (r *run) step(pc int, f *frame, depth int) (int, error) {
	in := r.prog.code[pc]
	switch {
	case in.op == opLdImm64:
		if pc+1 >= len(r.prog.code) {
			return 0, errUnknown
		}
		v, err := r.imm64(pc, in, r.prog.code[pc+1])
		if err != nil {
			return 0, err
		}
		return pc + 2, f.set(in.dst, v)
	case in.op == opCall:
		if in.src != 0 {
			return 0, errUnknown
		}
		ret, err := r.helper(in.imm, f, depth)
		if err != nil {
			return 0, err
		}
		f.init &^= 0x3f // R0–R5 are lost
		return pc + 1, f.set(0, ret)
	}
	switch in.op & 7 {
	case classALU, classALU64:
		return pc + 1, alu(in, f)
	case classJmp, classJmp32:
		taken, err := jump(in, f)
		if err != nil {
			return 0, err
		}
		if taken {
			return pc + 1 + int(in.off), nil
		}
		return pc + 1, nil
	case classLdx, classSt, classStx:
		return pc + 1, r.memory(in, f)
	}
	return 0, errUnknown
}

func (r *run) imm64(pc int, in, second insn) (uint64, error) {
	hi, lo := uint64(uint32(second.imm)), uint64(uint32(in.imm))
	switch in.src {
	case 0:
		return hi<<32 | lo, nil
	case pseudoMapFD, pseudoMapValue:
		if in.imm < 0 || int(in.imm) >= len(r.prog.maps) {
			return 0, fmt.Errorf("no map %d", in.imm)
		}
		name := r.prog.maps[in.imm]
		if in.src == pseudoMapFD {
			return mapHandle | lo, nil
		}
		base := r.arrays[name]
		if len(base) != 1 {
			return 0, fmt.Errorf("no array %q of one element", name)
		}
		return base[0] + hi, nil
	case pseudoFunc:
		return funcHandle | uint64(pc+1+int(in.imm)), nil
	}
	return 0, errUnknown
}

// Handles stand for what is no memory that a program can access.
const (
	mapHandle  = 0xffff_9000_0000_0000
	funcHandle = 0xffff_a000_0000_0000
	taskHandle = 0xffff_b000_0000_0000
	handleMask = 0xffff_f000_0000_0000
)

func (r *run) memory(in insn, f *frame) error {
	size := [4]int{4, 2, 1, 8}[in.op>>3&3]
	base := in.dst
	if in.op&7 == classLdx {
		base = in.src
	}
	addr, err := f.get(base)
	if err != nil {
		return err
	}
	addr += uint64(int64(in.off))
	if in.op&0xe0 == modeAtomic && in.op&7 == classStx {
		return r.atomic(in, f, addr, size)
	}
	if in.op&0xe0 != modeMem {
		return errUnknown
	}
	switch in.op & 7 {
	case classLdx:
		v, err := r.load(addr, size)
		if err != nil {
			return err
		}
		return f.set(in.dst, v)
	case classSt:
		return r.store(addr, size, uint64(int64(in.imm)))
	}
	v, err := f.get(in.src)
	if err != nil {
		return err
	}
	return r.store(addr, size, v)
}

func (r *run) atomic(in insn, f *frame, addr uint64, size int) error {
	if size < 4 || addr%uint64(size) != 0 {
		return fmt.Errorf("atomic access of %d bytes at %#x", size, addr)
	}
	old, err := r.load(addr, size)
	if err != nil {
		return err
	}
	v, err := f.get(in.src)
	if err != nil {
		return err
	}
	if r.NoAtomics && in.imm != atomicAdd {
		return errUnknown
	}
	switch in.imm {
	case atomicAdd:
		return r.store(addr, size, old+v)
	case atomicOr:
		return r.store(addr, size, old|v)
	case atomicFetchAdd, atomicXchg:
		if in.imm == atomicFetchAdd {
			v += old
		}
		if err := r.store(addr, size, v); err != nil {
			return err
		}
		return f.set(in.src, old)
	case atomicCmpXchg:
		want, err := f.get(0)
		if err != nil {
			return err
		}
		if old == want {
			if err := r.store(addr, size, v); err != nil {
				return err
			}
		}
		return f.set(0, old)
	}
	return errUnknown
}

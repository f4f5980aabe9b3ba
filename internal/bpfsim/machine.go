package bpfsim

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// Garbage fills memory whose content is undefined.
const Garbage = 0xa5

// Machine is the kernel that a program runs in: the hit that it sees, and the
// maps. Programs may run on one machine within one another (see [Machine.Hook]),
// but not at the same time.
type Machine struct {
	// Context is the saved registers (struct pt_regs).
	Context []byte
	// Task is the kernel's description of the thread (struct task_struct). Only
	// helpers can read it.
	Task []byte
	// Target is the memory of the process.
	Target *Memory
	// CPU, PID, TID, Time and Cookie are what the helpers of these names say.
	CPU, PID, TID uint32
	Time, Cookie  uint64
	// Whose is what else they say of the process.
	Whose Whose
	// Arrays are the arrays, by name, their elements one behind the other.
	// Elements are their numbers; an array that is not in it has one.
	Arrays   map[string][]byte
	Elements map[string]int
	// PerCPU are the arrays that each CPU has its own of: how many elements it has.
	// Those of CPU 0 come first.
	PerCPU map[string]int
	// Hash is the hash map.
	Hash Hash
	// Hashes are further hash maps, by name.
	Hashes map[string]*Hash
	// Ring is the ring buffer.
	Ring Ring
	// IntErrors has the helpers for maps return errors in 32 bits, as before
	// Linux 6.4.
	IntErrors bool
	// NoAtomics and NoLoops make the machine as old as the kernels that lack
	// atomic operations other than addition, and bpf_loop.
	NoAtomics, NoLoops bool
	// Hook is called before each helper call with its name, where a program
	// could be preempted or wait.
	Hook func(helper string)
	// Step is called before each instruction with the number of instructions that
	// the run has executed.
	Step func(n int)
	// Steps counts the instructions of all runs.
	Steps int

	regions []*region
	free    []uint32
}

// Ring is a ring buffer.
type Ring struct {
	// Size is the number of bytes that fit, records with their headers.
	Size int
	// Records are those that were submitted and not yet taken out.
	Records [][]byte
	used    int
}

// Take returns the records and empties the ring.
func (r *Ring) Take() [][]byte {
	recs := r.Records
	r.Records, r.used = nil, 0
	return recs
}

// fits takes the space for a record of n bytes: it is padded to 8, and has a
// header of 8 (kernel/bpf/ringbuf.c).
func (r *Ring) fits(n int) bool {
	n = (n+7)/8*8 + 8
	if r.used+n > r.Size {
		return false
	}
	r.used += n
	return true
}

// Hash is a hash map of bounded size.
type Hash struct {
	KeySize, ValueSize, MaxEntries int
	Entries                        map[string][]byte
	// CPUs says that each of so many CPUs has a value of its own, those of CPU 0
	// first; 0 that there is one.
	CPUs int
}

// region is memory that a pointer may point into. Addresses are like the
// kernel's: far from any of a process.
type region struct {
	name     string
	data     []byte
	written  []bool // by byte, if reading needs that: a stack
	readOnly bool
}

const (
	regionBase  = 0xffff_8000_0000_0000
	regionShift = 24
)

// add makes a region and returns the address of its first byte.
func (m *Machine) add(r *region) uint64 {
	if n := len(m.free); n > 0 {
		i := m.free[n-1]
		m.free = m.free[:n-1]
		m.regions[i] = r
		return regionBase + uint64(i)<<regionShift
	}
	m.regions = append(m.regions, r)
	return regionBase + uint64(len(m.regions)-1)<<regionShift
}

func (m *Machine) index(addr uint64) (uint64, bool) {
	i := (addr - regionBase) >> regionShift
	return i, addr >= regionBase && i < uint64(len(m.regions)) && m.regions[i] != nil
}

func (m *Machine) drop(addr uint64) {
	if i, ok := m.index(addr); ok {
		m.regions[i] = nil
		m.free = append(m.free, uint32(i))
	}
}

var errNoMemory = errors.New("no such memory")

// at returns the n bytes at an address, which a helper wants.
func (m *Machine) at(addr uint64, n int, write bool) ([]byte, error) {
	return m.access(addr, n, write, false)
}

// access returns the n bytes at an address. One instruction (wide) may not
// reach them on a stack if they are misaligned: the verifier forbids that there
// on every machine.
func (m *Machine) access(addr uint64, n int, write, wide bool) ([]byte, error) {
	i, ok := m.index(addr)
	if !ok {
		return nil, fmt.Errorf("%w: %#x", errNoMemory, addr)
	}
	r := m.regions[i]
	off := int(addr & (1<<regionShift - 1))
	if off+n > len(r.data) {
		return nil, fmt.Errorf("%d bytes at %s+%d: it has %d", n, r.name, off, len(r.data))
	}
	if write && r.readOnly {
		return nil, fmt.Errorf("write to %s+%d", r.name, off)
	}
	if wide && r.written != nil && off%n != 0 {
		return nil, fmt.Errorf("%d bytes at %s+%d: misaligned", n, r.name, off)
	}
	if r.written != nil {
		for j := off; j < off+n; j++ {
			if write {
				r.written[j] = true
			} else if !r.written[j] {
				return nil, fmt.Errorf("read of %s+%d, which was not written", r.name, j)
			}
		}
	}
	return r.data[off : off+n], nil
}

func (m *Machine) load(addr uint64, size int) (uint64, error) {
	b, err := m.access(addr, size, false, true)
	if err != nil {
		return 0, err
	}
	var word [8]byte
	copy(word[:], b)
	return binary.LittleEndian.Uint64(word[:]), nil
}

func (m *Machine) store(addr uint64, size int, v uint64) error {
	b, err := m.access(addr, size, true, true)
	if err != nil {
		return err
	}
	var word [8]byte
	binary.LittleEndian.PutUint64(word[:], v)
	copy(b, word[:])
	return nil
}

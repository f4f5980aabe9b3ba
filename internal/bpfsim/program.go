package bpfsim

import (
	"bytes"
	"encoding/binary"
	"fmt"

	"github.com/cilium/ebpf/asm"
)

// Program is a program that can be run. It is immutable.
type Program struct {
	code []insn
	ins  []int // by slot, the index of the instruction in list, for messages
	list asm.Instructions
	maps []string // by file descriptor
}

// insn is one eight-byte slot of an encoded program.
type insn struct {
	op       byte
	dst, src byte
	off      int16
	imm      int32
}

// mapFD gives a map reference a file descriptor.
type mapFD int

func (fd mapFD) FD() int { return int(fd) }

// Load encodes a program. Maps are known by the names that the instructions
// refer to; ins is changed like by [asm.Instructions.AssociateMap].
func Load(ins asm.Instructions) (*Program, error) {
	p := &Program{}
	fds := make(map[string]int)
	work := make(asm.Instructions, len(ins))
	helpers := make(map[int]int32)
	for i, in := range ins {
		work[i] = in
		switch {
		case in.IsLoadFromMap():
			name := in.Reference()
			fd, ok := fds[name]
			if !ok {
				fd = len(p.maps)
				fds[name] = fd
				p.maps = append(p.maps, name)
			}
			if err := work[i].AssociateMap(mapFD(fd)); err != nil {
				return nil, err
			}
		case in.IsBuiltinCall():
			// Outside Linux the encoder refuses helper calls. Put something of
			// the same width there, and the call later.
			helpers[i] = int32(in.Constant)
			dummy := asm.Mov.Imm(asm.R0, 0)
			dummy.Metadata = in.Metadata
			work[i] = dummy
		}
	}
	var buf bytes.Buffer
	if err := work.Marshal(&buf, binary.LittleEndian); err != nil {
		return nil, fmt.Errorf("encode: %w", err)
	}
	for b := buf.Bytes(); len(b) >= asm.InstructionSize; b = b[asm.InstructionSize:] {
		p.code = append(p.code, insn{
			op: b[0], dst: b[1] & 15, src: b[1] >> 4,
			off: int16(binary.LittleEndian.Uint16(b[2:])), imm: int32(binary.LittleEndian.Uint32(b[4:])),
		})
	}
	p.list, p.ins = ins, make([]int, len(p.code))
	at := 0
	for i := range ins {
		p.ins[at] = i
		if id, ok := helpers[i]; ok {
			p.code[at] = insn{op: opCall, imm: id}
		}
		at += int(work[i].Width())
	}
	return p, nil
}

// Len returns the number of eight-byte slots of the program.
func (p *Program) Len() int { return len(p.code) }

// Fault is a step that a program must not make.
type Fault struct {
	PC  int    // slot of the instruction
	Ins string // the instruction
	Err error
}

func (f *Fault) Error() string { return fmt.Sprintf("at %d: %s: %v", f.PC, f.Ins, f.Err) }

// Unwrap returns the cause.
func (f *Fault) Unwrap() error { return f.Err }

package dwarfargs

import (
	"fmt"

	"github.com/argtap/argtap/abi"
)

// Agreement says how the two sources of a parameter's place compare: the
// calling convention, and the location that DWARF gives for the entry.
type Agreement uint8

const (
	// Agree: both name the same places.
	Agree Agreement = iota
	// NoBytes: the value has no size, so it is in no place.
	NoBytes
	// Silent: DWARF has no location at the entry.
	Silent
	// DeadPieces
	DeadPieces
	// SpillSlot
	SpillSlot
	// Reassigned
	Reassigned
	// DWARFOnly
	DWARFOnly
	// Unexplained
	Unexplained
	agreementCount
)

var agreementText = [agreementCount]string{"agree", "no bytes", "silent", "dead pieces", "spill slot", "reassigned", "DWARF only", "unexplained"}

func (a Agreement) String() string { return agreementText[a] }

// Resolved is a parameter and the place that is believed.
type Resolved struct {
	Param     *Param
	Location  abi.Location
	DWARF     abi.Location
	Agreement Agreement
}

func (f *Func) assignment(a *abi.Arch) (*abi.Assignment, error) {
	if f.RegABI {
		return abi.Internal(a, f.Signature())
	}
	return abi.Stack(a, f.Signature())
}

// AtEntry resolves.
func (f *Func) AtEntry(a *abi.Arch) ([]Resolved, error) {
	as, err := f.assignment(a)
	if err != nil {
		return nil, fmt.Errorf("func %s: %w", f.Name, err)
	}
	out := make([]Resolved, len(f.Params))
	for i := range f.Params {
		p := &f.Params[i]
		r := &out[i]
		r.Param, r.Location = p, as.Params[i].AtEntry()
		dw, ok := p.At(f.Entry)
		r.DWARF = dw
		if p.Type.Size == 0 {
			r.Agreement = NoBytes
			continue
		}
		if !ok {
			r.Agreement = Silent
			continue
		}
		c := compare(r.Location, dw)
		slot, inRegs := as.SpillSlot(i)
		spill, other := 0, 0
		for _, g := range c.differ {
			if g.Kind == abi.InFrame && inRegs && g.CFA == slot+abi.CFAOffset(g.Offset) {
				spill++
				continue
			}
			other++
		}
		switch {
		case other > 0:
			r.Agreement = Unexplained
		case spill > 0:
			r.Agreement = SpillSlot
		case c.dead > 0 && c.same == 0:
			r.Agreement = Silent
		case c.dead > 0:
			r.Agreement = DeadPieces
		}
	}
	return out, nil
}

type comparison struct {
	same, dead int
	differ     []abi.Piece
}

func compare(want, got abi.Location) (c comparison) {
	for _, g := range got {
		if g.Kind == abi.Nowhere && g.Reason == abi.OptimizedOut {
			c.dead++
			continue
		}
		same := false
		for _, w := range want {
			if w.Offset > g.Offset || w.Offset+w.Size < g.Offset+g.Size || w.Kind != g.Kind {
				continue
			}
			switch w.Kind {
			case abi.InRegister:
				same = w == g
			case abi.InFrame:
				same = g.CFA-abi.CFAOffset(g.Offset) == w.CFA-abi.CFAOffset(w.Offset)
			}
		}
		if same {
			c.same++
		} else {
			c.differ = append(c.differ, g)
		}
	}
	return c
}

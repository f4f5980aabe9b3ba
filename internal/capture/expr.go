package capture

import (
	"github.com/argtap/argtap/abi"
	"github.com/argtap/argtap/internal/expr"
)

// Expr is a value that the program computes from parameters. It reads no more
// of them than the value needs.
type Expr struct {
	// Root computes it. No operation of the tree is a MapElem: programs cannot
	// look into maps.
	Root *expr.Node
	// Params are where the parameters lie, by the number that expr.Param has.
	Params []abi.Location
	// Descriptors is the address of runtime.types as the binary states it, from
	// which the offsets of types ([abi.Type.RuntimeType]) count.
	Descriptors uint64
	// Return says that it is computed at a return, over the results. The numbers
	// behind those of Params are then what the program knows of the call: the first
	// is its duration in nanoseconds, and then what was kept at the entry.
	Return bool
}

// Computed reports whether images are computed.
func (p *Plan) Computed() bool {
	for i := range p.Params {
		if p.Params[i].Expr != nil {
			return true
		}
	}
	return false
}

// Follows reports whether memory other than the frame is read.
func (p *Plan) Follows() bool {
	for i := range p.Params {
		if e := p.Params[i].Expr; e != nil && e.Follows() {
			return true
		}
	}
	return p.Variable()
}

// InScratch reports whether the record is built in scratch memory, and not
// in a walk's.
func (p *Plan) InScratch() bool { return p.Walk == nil && (p.Variable() || p.Computed()) }

// Registers reports whether the value may depend on a register.
func (e *Expr) Registers() bool { return e.registers(e.Root) }

// Follows reports whether memory other than the frame is read for the value.
func (e *Expr) Follows() bool { return reads(e.Root) }

func reads(n *expr.Node) bool {
	if n == nil {
		return false
	}
	switch n.Op {
	case expr.Deref, expr.Elem, expr.Assert:
		return true
	case expr.Len, expr.Cap, expr.Eq, expr.Ne, expr.Lt, expr.Le, expr.Gt, expr.Ge:
		switch n.X.Type.Kind {
		case abi.Map, abi.Chan, abi.String:
			return true
		}
	}
	return reads(n.X) || reads(n.Y) || reads(n.Hi) || reads(n.Max)
}

func (e *Expr) registers(n *expr.Node) bool {
	if n == nil {
		return false
	}
	if n.Op == expr.Param && n.N < int64(len(e.Params)) {
		for _, p := range e.Params[n.N] {
			if p.Kind == abi.InRegister || p.Kind == abi.InMemory {
				return true
			}
		}
	}
	return e.registers(n.X) || e.registers(n.Y) || e.registers(n.Hi) || e.registers(n.Max)
}

// Location returns where the value lies if it is a part of a parameter that
// needs no computation, else nil.
func (e *Expr) Location() abi.Location {
	l, dynamic := e.locate()
	if dynamic != nil {
		return nil
	}
	return l
}

// locate returns where the value lies, if it is a part of a parameter that
// needs no computation, else e.
func (e *Expr) locate() (abi.Location, *Expr) {
	n, offset := e.Root, int64(0)
	for n.Op == expr.Field || n.Op == expr.As {
		if n.Op == expr.Field {
			offset += n.N
		}
		n = n.X
	}
	if n.Op != expr.Param || n.N < 0 || n.N >= int64(len(e.Params)) {
		return nil, e
	}
	part, ok := Part(e.Params[n.N], offset, e.Root.Type.Size)
	if !ok {
		return nil, e
	}
	return part, nil
}

// Part returns where size bytes at an offset of a value lie. It is not ok where
// they begin within a register.
func Part(l abi.Location, offset, size int64) (abi.Location, bool) {
	part := abi.Location{}
	for _, p := range l {
		skip := max(0, offset-p.Offset)
		end := min(p.Offset+p.Size, offset+size)
		if p.Offset+skip >= end {
			continue
		}
		if skip > 0 && p.Kind == abi.InRegister {
			return nil, false
		}
		q := p
		q.Offset = p.Offset + skip - offset
		q.Size = end - p.Offset - skip
		switch p.Kind {
		case abi.InFrame:
			q.CFA += abi.CFAOffset(skip)
		case abi.InMemory:
			q.Disp += skip
		case abi.Constant:
			q.Const = 0
			if skip < 8 {
				q.Const = p.Const >> (8 * skip)
			}
		}
		part = append(part, q)
	}
	return part, true
}

// reasons lays out the bytes that say why computed images have no value.
func (b *builder) reasons(off int) int {
	for i := range b.plan.Params {
		if p := &b.plan.Params[i]; p.Expr != nil {
			p.Why = off
			off++
		}
	}
	return int(Align8(int64(off)))
}

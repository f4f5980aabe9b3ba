package dwarfargs

import (
	"fmt"
	"strings"

	"github.com/argtap/argtap/symbols"
)

// InlinedCall is a call in whose place the compiler has put the body of the
// function that is called.
type InlinedCall struct {
	// Name of the function that is called, Caller that of the one that calls it:
	// which may itself be inlined.
	Name, Caller string
	// File and Line of the call.
	File string
	Line int
	// Ranges are where the body's code is, that of calls inlined into it included.
	Ranges []symbols.Range

	u   *unit
	off int
}

// Contains reports whether the body has the address.
func (c *InlinedCall) Contains(pc symbols.VirtAddr) bool {
	for _, r := range c.Ranges {
		if r.Low <= pc && pc < r.High {
			return true
		}
	}
	return false
}

// InlinedAt returns the calls that an instruction of the function fn is inlined by,
// the outermost first. Errors are those of [Data.ScopeAt].
func (d *Data) InlinedAt(fn symbols.Func, pc symbols.VirtAddr) ([]InlinedCall, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	u, off, err := d.subprogramAt(uint64(fn.Entry), unitNames(strings.TrimSuffix(fn.Name, ".abi0")))
	if err != nil {
		return nil, fmt.Errorf("func %s: %w", fn.Name, err)
	}
	chain, err := d.origins(u, off)
	if err != nil {
		return nil, err
	}
	calls, _, err := d.inlinedChain(chain, pc)
	return calls, err
}

// inlinedChain returns the calls that an instruction is inlined by, the outermost
// first, and the DIEs of the innermost; of the function, chain, if there is none.
func (d *Data) inlinedChain(chain []origin, pc symbols.VirtAddr) ([]InlinedCall, []origin, error) {
	name, err := d.nameOf(chain)
	if err != nil {
		return nil, nil, err
	}
	var calls []InlinedCall
	for {
		inner, err := d.inlinedAt(chain[0].u, chain[0].e, pc, name, 0)
		if err != nil || inner == nil {
			return calls, chain, err
		}
		if len(calls) == maxBlocks {
			return nil, nil, decodeErr(".debug_info", inner.off, errTooDeep)
		}
		calls, name = append(calls, *inner), inner.Name
		if chain, err = d.origins(inner.u, inner.off); err != nil {
			return nil, nil, err
		}
	}
}

// inlinedAt returns the outermost inlined call within a DIE that has the address,
// nil if there is none.
func (d *Data) inlinedAt(u *unit, parent *die, pc symbols.VirtAddr, caller string, nesting int) (found *InlinedCall, err error) {
	if nesting > maxBlocks {
		return nil, decodeErr(".debug_info", parent.off, errTooDeep)
	}
	err = d.children(u, parent, func(e *die) (bool, error) {
		if e.tag != tagInlinedRoutine && e.tag != tagLexicalBlock {
			return true, nil
		}
		ranges, err := d.rangesOf(u, e)
		if err != nil {
			return false, err
		}
		if !within(ranges, pc) {
			return true, nil
		}
		_, e, err = d.dieAt(e.off)
		if err != nil {
			return false, err
		}
		if e.tag == tagLexicalBlock {
			found, err = d.inlinedAt(u, e, pc, caller, nesting+1)
			return found == nil, err
		}
		found, err = d.inlinedCall(u, e, caller, ranges)
		return false, err
	})
	return found, err
}

// inlinedCall makes an InlinedCall of its DIE.
func (d *Data) inlinedCall(u *unit, e *die, caller string, ranges []symbols.Range) (*InlinedCall, error) {
	c := &InlinedCall{Caller: caller, Ranges: ranges, u: u, off: e.off}
	chain, err := d.origins(u, e.off)
	if err == nil {
		c.Name, err = d.nameOf(chain)
	}
	if err != nil {
		return nil, err
	}
	if n := e.uint(attrCallLine); n < 1<<31 {
		c.Line = int(n)
	}
	if v, ok := e.get(attrCallFile); ok && v.isConst() {
		t, err := d.lineHeader(u)
		if err != nil {
			return nil, err
		}
		if t != nil {
			if i := v.u - uint64(t.firstFile); i < uint64(len(t.files)) {
				c.File = t.files[i]
			}
		}
	}
	return c, nil
}

// Same reports whether both are the same call in the same copy of its caller.
func (c *InlinedCall) Same(o *InlinedCall) bool { return c.off == o.off && c.u == o.u }

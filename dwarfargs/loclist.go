package dwarfargs

import (
	"bytes"
	"fmt"
	"math"
)

const maxListEntries = 1 << 16

// locEntry is an expression that holds for program counters in [low, high).
type locEntry struct {
	low, high uint64
	expr      []byte
}

// locDesc is the value of DW_AT_location.
type locDesc struct {
	present bool
	isList  bool
	expr    []byte // if it is no list; empty: no place is given
	list    []locEntry
}

// location reads DW_AT_location of e. The result shares no memory with the
// sections.
func (d *Data) location(u *unit, e *die) (locDesc, error) {
	v, ok := e.get(attrLocation)
	switch {
	case !ok:
		return locDesc{}, nil
	case v.isBlock():
		return locDesc{present: true, expr: bytes.Clone(v.b)}, nil
	case v.isSecOffset(u.format) || v.form == formLoclistx:
		list, err := d.locList(u, v)
		return locDesc{present: true, isList: true, list: list}, err
	}
	return locDesc{}, decodeErr(".debug_info", e.off, fmt.Errorf("form %#x is no location", uint32(v.form)))
}

func (d *Data) locList(u *unit, v value) ([]locEntry, error) {
	name := ".debug_loc"
	if u.version >= 5 {
		name = ".debug_loclists"
	}
	s, err := d.section(name)
	if err != nil {
		return nil, err
	}
	off := v.u
	if v.form == formLoclistx {
		if off, err = d.listOffset(s, u, u.loclistsBase, off); err != nil {
			return nil, err
		}
	}
	if off > maxSection {
		return nil, decodeErr(name, 0, errBadRef)
	}
	c := d.cursor(s, int(off), math.MaxInt)
	return d.readLocList(u, &c)
}

// readLocList reads a location list: DWARF 4 §2.6.2, DWARF 5 §2.6.2 and §7.7.3.
func (d *Data) readLocList(u *unit, c *cursor) ([]locEntry, error) {
	var list, fallback []locEntry
	base := u.lowPC
	for n := 0; ; n++ {
		if n == maxListEntries {
			c.fail(errTooManyEntries)
		}
		if c.err != nil {
			return nil, c.err
		}
		var e locEntry
		isDefault := false
		if u.version < 5 {
			e.low, e.high = c.uint(u.addrSize), c.uint(u.addrSize)
			if e.low == 0 && e.high == 0 {
				return append(list, fallback...), c.err
			}
			if e.low == math.MaxUint64>>(64-8*u.addrSize) {
				base = e.high
				continue
			}
			e.low, e.high = base+e.low, base+e.high
			e.expr = c.bytes(int(c.u16()))
		} else {
			var err error
			switch kind := c.u8(); kind {
			case lleEndOfList:
				return append(list, fallback...), c.err
			case lleBaseAddressx:
				if base, err = d.addrx(u, c.uleb()); err != nil {
					c.fail(err)
				}
				continue
			case lleStartxEndx:
				if e.low, err = d.addrx(u, c.uleb()); err == nil {
					e.high, err = d.addrx(u, c.uleb())
				}
			case lleStartxLength:
				e.low, err = d.addrx(u, c.uleb())
				e.high = e.low + c.uleb()
			case lleOffsetPair:
				e.low, e.high = base+c.uleb(), base+c.uleb()
			case lleDefaultLocation:
				// Holds wherever no other entry does (DWARF 5 §2.6.2): kept last.
				e.high, isDefault = math.MaxUint64, true
			case lleBaseAddress:
				base = c.uint(u.addrSize)
				continue
			case lleStartEnd:
				e.low, e.high = c.uint(u.addrSize), c.uint(u.addrSize)
			case lleStartLength:
				e.low = c.uint(u.addrSize)
				e.high = e.low + c.uleb()
			case lleGNUViewPair:
				c.skipLEB()
				c.skipLEB()
				continue
			default:
				err = fmt.Errorf("location list entry kind %#x: not known", kind)
			}
			if err != nil {
				c.fail(err)
			}
			e.expr = c.bytes(c.length(c.uleb()))
		}
		if c.err == nil && e.low < e.high {
			e.expr = bytes.Clone(e.expr)
			if isDefault {
				fallback = append(fallback, e)
			} else {
				list = append(list, e)
			}
		}
	}
}

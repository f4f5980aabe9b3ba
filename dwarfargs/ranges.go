package dwarfargs

import (
	"errors"
	"fmt"
	"math"
)

// address returns an attribute that is an address in the target.
func (d *Data) address(u *unit, e *die, name attrID) (uint64, bool, error) {
	v, ok := e.get(name)
	if !ok {
		return 0, false, nil
	}
	switch v.form {
	case formAddr:
		return v.u, true, nil
	case formAddrx, formAddrx1, formAddrx2, formAddrx3, formAddrx4:
		a, err := d.addrx(u, v.u)
		return a, err == nil, err
	}
	return 0, false, decodeErr(".debug_info", e.off, fmt.Errorf("attribute %#x: form %#x is no address", uint32(name), uint32(v.form)))
}

// highPC returns the address behind the last byte: an address in DWARF 2 and
// 3 and in what Go writes as DWARF 4, else a distance from low.
func (d *Data) highPC(u *unit, e *die, low uint64) (uint64, bool, error) {
	v, ok := e.get(attrHighPC)
	if !ok {
		return 0, false, nil
	}
	if v.isConst() {
		return low + v.u, true, nil
	}
	return d.address(u, e, attrHighPC)
}

// addrx returns entry i of the unit's part of .debug_addr.
func (d *Data) addrx(u *unit, i uint64) (uint64, error) {
	s, err := d.section(".debug_addr")
	if err != nil {
		return 0, err
	}
	if i > maxSection {
		return 0, decodeErr(".debug_addr", 0, fmt.Errorf("index %d: %w", i, errTooBig))
	}
	c := d.cursor(s, u.addrBase+int(i)*u.addrSize, math.MaxInt)
	a := c.uint(u.addrSize)
	return a, c.err
}

// unitContains reports whether the unit says that it has code at pc.
func (d *Data) unitContains(u *unit, pc uint64) (bool, error) {
	if u.ranges.form == 0 {
		return u.hasLowPC && u.hasHighPC && u.lowPC <= pc && pc < u.highPC, nil
	}
	c, err := d.rangeCursor(u, u.ranges)
	if err != nil {
		return false, err
	}
	in := false
	err = d.eachRange(u, &c, func(low, high uint64) bool {
		in = low <= pc && pc < high
		return !in
	})
	return in, err
}

// rangeCursor returns a cursor at the list that a DW_AT_ranges refers to.
func (d *Data) rangeCursor(u *unit, v value) (cursor, error) {
	name, off := ".debug_ranges", v.u
	if u.version >= 5 {
		name = ".debug_rnglists"
	}
	s, err := d.section(name)
	if err != nil {
		return cursor{}, err
	}
	if v.form == formRnglistx {
		if off, err = d.listOffset(s, u, u.rnglistsBase, off); err != nil {
			return cursor{}, err
		}
	}
	if off > maxSection {
		return cursor{}, decodeErr(name, 0, errBadRef)
	}
	return d.cursor(s, int(off), math.MaxInt), nil
}

// listOffset looks up where list i of a unit is: in the table of offsets that
// base, behind a section's header, points at.
func (d *Data) listOffset(s *section, u *unit, base int, i uint64) (uint64, error) {
	width := 4
	if u.dwarf64 {
		width = 8
	}
	if i > maxSection {
		return 0, decodeErr(s.raw.name, base, errBadRef)
	}
	c := d.cursor(s, base+int(i)*width, math.MaxInt)
	return uint64(base) + uint64(c.offset(u.dwarf64)), c.err
}

// eachRange reads a range list at c and calls f with each range until it
// returns false. DWARF 5 §2.17.3; DWARF 4 §2.17.3.
func (d *Data) eachRange(u *unit, c *cursor, f func(low, high uint64) bool) error {
	base := u.lowPC
	for c.err == nil {
		var low, high uint64
		if u.version < 5 {
			low, high = c.uint(u.addrSize), c.uint(u.addrSize)
			if low == 0 && high == 0 {
				break
			}
			if low == math.MaxUint64>>(64-8*u.addrSize) {
				base = high
				continue
			}
			low, high = base+low, base+high
		} else {
			var err error
			switch kind := c.u8(); kind {
			case rleEndOfList:
				return c.err
			case rleBaseAddressx:
				base, err = d.addrx(u, c.uleb())
			case rleStartxEndx:
				if low, err = d.addrx(u, c.uleb()); err == nil {
					high, err = d.addrx(u, c.uleb())
				}
			case rleStartxLength:
				low, err = d.addrx(u, c.uleb())
				high = low + c.uleb()
			case rleOffsetPair:
				low, high = base+c.uleb(), base+c.uleb()
			case rleBaseAddress:
				base = c.uint(u.addrSize)
			case rleStartEnd:
				low, high = c.uint(u.addrSize), c.uint(u.addrSize)
			case rleStartLength:
				low = c.uint(u.addrSize)
				high = low + c.uleb()
			default:
				err = fmt.Errorf("range list entry kind %#x: not known", kind)
			}
			if err != nil {
				c.fail(err)
			}
		}
		if c.err == nil && low < high && !f(low, high) {
			return nil
		}
	}
	return c.err
}

var errTooManyEntries = errors.New("too many entries in one list")

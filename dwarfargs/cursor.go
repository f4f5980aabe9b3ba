package dwarfargs

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math"
)

// cursor reads a section from off up to end. Its first error sticks: what is
// read after it is zero, and the loop that reads must look at err. The bytes
// that it wants appear in the background; see [section].
type cursor struct {
	s     *section // nil if data is all there is
	name  string   // the section's
	data  []byte   // the section's first bytes
	off   int
	end   int
	order binary.ByteOrder
	err   error
}

// cursor returns a reader of s from off to end. A missing section has no bytes.
func (d *Data) cursor(s *section, off, end int) cursor {
	if s == nil {
		return cursor{err: errNoSection, order: d.order}
	}
	c := cursor{s: s, name: s.raw.name, off: off, end: min(end, s.size), order: d.order}
	if off < 0 || off > c.end {
		c.off = c.end
		c.fail(errTruncated)
	}
	return c
}

// fail records an error at the current offset, unless there is one already.
func (c *cursor) fail(err error) {
	if c.err == nil {
		c.err = decodeErr(c.name, c.off, err)
	}
}

// fill makes n bytes at off readable, or fails.
func (c *cursor) fill(n int) bool {
	if c.err != nil {
		return false
	}
	if n < 0 || n > c.end-c.off {
		c.fail(errTruncated)
		return false
	}
	if c.off+n <= len(c.data) {
		return true
	}
	if c.s == nil {
		c.fail(errTruncated)
		return false
	}
	data, err := c.s.need(c.off + n)
	if err != nil {
		c.fail(err)
		return false
	}
	c.data = data[:min(len(data), c.end)]
	return true
}

func (c *cursor) ok(n int) bool {
	return c.err == nil && n >= 0 && n <= len(c.data)-c.off || c.fill(n)
}

// more reports whether there is anything left to read.
func (c *cursor) more() bool { return c.err == nil && c.off < c.end }

func (c *cursor) u8() uint8 {
	if !c.ok(1) {
		return 0
	}
	c.off++
	return c.data[c.off-1]
}

func (c *cursor) u16() uint16 {
	if !c.ok(2) {
		return 0
	}
	c.off += 2
	return c.order.Uint16(c.data[c.off-2:])
}

func (c *cursor) u32() uint32 {
	if !c.ok(4) {
		return 0
	}
	c.off += 4
	return c.order.Uint32(c.data[c.off-4:])
}

func (c *cursor) u64() uint64 {
	if !c.ok(8) {
		return 0
	}
	c.off += 8
	return c.order.Uint64(c.data[c.off-8:])
}

// uint reads an unsigned integer of 1 to 8 bytes.
func (c *cursor) uint(size int) uint64 {
	switch size {
	case 1:
		return uint64(c.u8())
	case 2:
		return uint64(c.u16())
	case 4:
		return uint64(c.u32())
	case 8:
		return c.u64()
	case 3:
		b := c.bytes(3)
		if b == nil {
			return 0
		}
		if c.order == binary.ByteOrder(binary.BigEndian) {
			return uint64(b[0])<<16 | uint64(b[1])<<8 | uint64(b[2])
		}
		return uint64(b[2])<<16 | uint64(b[1])<<8 | uint64(b[0])
	}
	c.fail(errors.New("integer of impossible size"))
	return 0
}

var errLEB = errors.New("LEB128 number exceeds 64 bits")

func (c *cursor) uleb() uint64 {
	if c.ok(1) {
		if b := c.data[c.off]; b < 0x80 {
			c.off++
			return uint64(b)
		}
	}
	var v uint64
	for shift := uint(0); ; shift += 7 {
		b := c.u8()
		if c.err != nil {
			return 0
		}
		if shift > 63 && b&0x7f != 0 || shift == 63 && b&0x7e != 0 || shift > 140 {
			c.fail(errLEB)
			return 0
		}
		if shift < 64 {
			v |= uint64(b&0x7f) << shift
		}
		if b < 0x80 {
			return v
		}
	}
}

func (c *cursor) sleb() int64 {
	var v int64
	for shift := uint(0); ; shift += 7 {
		b := c.u8()
		if c.err != nil {
			return 0
		}
		if shift > 140 || shift >= 63 && b&0x7f != 0 && b&0x7f != 0x7f {
			c.fail(errLEB)
			return 0
		}
		if shift < 64 {
			v |= int64(b&0x7f) << shift
		}
		if b < 0x80 {
			if shift < 57 && b&0x40 != 0 {
				v |= -1 << (shift + 7)
			}
			return v
		}
	}
}

// skipLEB passes over one LEB128 number.
func (c *cursor) skipLEB() {
	for c.u8() >= 0x80 {
	}
}

// length reads an unsigned number that counts bytes of this section.
func (c *cursor) length(v uint64) int {
	if v > uint64(c.end-c.off) || v > math.MaxInt32 {
		c.fail(errTruncated)
		return 0
	}
	return int(v)
}

func (c *cursor) skip(n int) {
	if c.ok(n) {
		c.off += n
	}
}

// bytes returns the next n bytes, nil after an error. They alias the section.
func (c *cursor) bytes(n int) []byte {
	if !c.ok(n) {
		return nil
	}
	c.off += n
	return c.data[c.off-n : c.off : c.off]
}

// cstring returns the bytes up to the next zero, which it passes over.
func (c *cursor) cstring() []byte {
	from := c.off
	for scanned := from; ; {
		if !c.ok(scanned - c.off + 1) {
			return nil
		}
		if i := bytes.IndexByte(c.data[scanned:], 0); i >= 0 {
			c.off = scanned + i + 1
			return c.data[from : scanned+i : scanned+i]
		}
		scanned = len(c.data)
	}
}

// offset reads an offset into a section: 4 bytes, or 8 in 64-bit DWARF.
func (c *cursor) offset(dwarf64 bool) int {
	if !dwarf64 {
		return int(c.u32())
	}
	v := c.u64()
	if v > maxSection {
		c.fail(errBadRef)
		return 0
	}
	return int(v)
}

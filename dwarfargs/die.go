package dwarfargs

import (
	"errors"
	"fmt"
	"math"
)

// value is the value of an attribute, in the terms of its form: u holds
// numbers, flags, offsets and references as they stand there, b blocks and
// inline strings.
type value struct {
	form form
	u    uint64
	b    []byte
}

// attr is an attribute of a DIE.
type attr struct {
	name attrID
	value
}

// die is a debugging information entry.
type die struct {
	off      int // in .debug_info
	tag      tag // 0: the entry that ends a list of siblings
	children bool
	attrs    []attr
	next     int // the offset after its attributes
}

func (e *die) get(name attrID) (value, bool) {
	for i := range e.attrs {
		if e.attrs[i].name == name {
			return e.attrs[i].value, true
		}
	}
	return value{}, false
}

// uint returns a constant, flag or offset; 0 if there is none.
func (e *die) uint(name attrID) uint64 {
	v, _ := e.get(name)
	return v.u
}

// isConst reports whether the form is of class constant: the value is v.u.
func (v value) isConst() bool {
	switch v.form {
	case formData1, formData2, formData4, formData8, formUdata, formSdata, formImplicitConst:
		return true
	}
	return false
}

// isBlock reports whether the value is a block or an expression: it is v.b.
func (v value) isBlock() bool {
	switch v.form {
	case formBlock, formBlock1, formBlock2, formBlock4, formExprloc:
		return true
	}
	return false
}

// isSecOffset reports whether the value is an offset into another section.
// DWARF 2 and 3 wrote those as plain data.
func (v value) isSecOffset(f format) bool {
	return v.form == formSecOffset || f.version < 4 && (v.form == formData4 || v.form == formData8)
}

// readValue reads a value of the given form.
func (c *cursor) readValue(spec attrSpec, f format) value {
	v := value{form: spec.form}
	for n := 0; v.form == formIndirect; n++ {
		v.form = form(c.uleb())
		if n == 4 || v.form == formImplicitConst || c.err != nil {
			c.fail(errors.New("indirect form without end"))
			return value{}
		}
	}
	switch v.form {
	case formFlagPresent:
		v.u = 1
	case formImplicitConst:
		v.u = uint64(spec.implicit)
	case formString:
		v.b = c.cstring()
	case formSdata:
		v.u = uint64(c.sleb())
	case formUdata, formRefUdata, formStrx, formAddrx, formLoclistx, formRnglistx, formGNUAddrIndex, formGNUStrIndex:
		v.u = c.uleb()
	case formBlock, formExprloc:
		v.b = c.bytes(c.length(c.uleb()))
	case formBlock1:
		v.b = c.bytes(int(c.u8()))
	case formBlock2:
		v.b = c.bytes(int(c.u16()))
	case formBlock4:
		v.b = c.bytes(c.length(uint64(c.u32())))
	case formData16:
		v.b = c.bytes(16)
	default:
		step, err := f.step(v.form)
		if err != nil {
			c.fail(err)
			return value{}
		}
		v.u = c.uint(step.fixed)
	}
	return v
}

// skipAttrs passes over the attributes of a DIE.
func (c *cursor) skipAttrs(a *abbrev, f format) {
	for _, s := range a.skip {
		switch s.form {
		case 0:
			c.skip(s.fixed)
		case formString:
			c.cstring()
		case formUdata, formSdata, formRefUdata, formStrx, formAddrx, formLoclistx, formRnglistx,
			formGNUAddrIndex, formGNUStrIndex:
			c.skipLEB()
		case formBlock1:
			c.skip(int(c.u8()))
		default:
			c.readValue(attrSpec{form: s.form}, f)
		}
		if c.err != nil {
			return
		}
	}
}

// readDIE reads the DIE at the cursor into e, whose attrs are overwritten.
func (u *unit) readDIE(c *cursor, e *die) error {
	*e = die{off: c.off, attrs: e.attrs[:0]}
	code := c.uleb()
	if code != 0 {
		a := u.abbrevs.get(code)
		if a == nil {
			c.fail(errNoAbbrev)
			return c.err
		}
		e.tag, e.children = a.tag, a.children
		for _, spec := range a.attrs {
			e.attrs = append(e.attrs, attr{spec.name, c.readValue(spec, u.format)})
			if c.err != nil {
				return c.err
			}
		}
	}
	e.next = c.off
	return c.err
}

// dieAt reads the DIE at an offset in .debug_info.
func (d *Data) dieAt(off int) (*unit, *die, error) {
	u, err := d.unitAt(off)
	if err != nil {
		return nil, nil, err
	}
	c := d.cursor(d.info, off, u.end)
	e := new(die)
	if err := u.readDIE(&c, e); err != nil {
		return nil, nil, err
	}
	if e.tag == 0 {
		return nil, nil, decodeErr(".debug_info", off, errBadRef)
	}
	return u, e, nil
}

// ref returns the offset in .debug_info that a reference means, and false if
// the attribute is not there, or refers to a type unit or another file.
func (d *Data) ref(u *unit, e *die, name attrID) (int, bool, error) {
	v, ok := e.get(name)
	if !ok {
		return 0, false, nil
	}
	var off uint64
	switch v.form {
	case formRefAddr:
		off = v.u
	case formRef1, formRef2, formRef4, formRef8, formRefUdata:
		if v.u < math.MaxInt32 {
			off = v.u + uint64(u.off)
		}
	case formRefSig8, formRefSup4, formRefSup8, formGNURefAlt:
		return 0, false, nil
	default:
		return 0, false, decodeErr(".debug_info", e.off, fmt.Errorf("attribute %#x: reference form %#x: not supported", uint32(name), uint32(v.form)))
	}
	if off == 0 || off >= uint64(d.info.size) {
		return 0, false, decodeErr(".debug_info", e.off, errBadRef)
	}
	return int(off), true, nil
}

// children calls f with each child of the DIE, itself read from u, until f
// returns false. The DIE that f gets is overwritten by the next one. Entries
// below the children are passed over.
func (d *Data) children(u *unit, parent *die, f func(*die) (bool, error)) error {
	if !parent.children {
		return nil
	}
	c := d.cursor(d.info, parent.next, u.end)
	e := d.takeDIE()
	defer d.putDIE(e)
	for c.more() {
		if err := u.readDIE(&c, e); err != nil {
			return err
		}
		if e.tag == 0 {
			return nil
		}
		if more, err := f(e); err != nil || !more {
			return err
		}
		if e.children {
			if err := u.skipChildren(&c); err != nil {
				return err
			}
		}
	}
	return c.err
}

// takeDIE returns a DIE to read into: one that putDIE was given, for its memory.
func (d *Data) takeDIE() *die {
	if n := len(d.spare); n > 0 {
		e := d.spare[n-1]
		d.spare = d.spare[:n-1]
		return e
	}
	return new(die)
}

func (d *Data) putDIE(e *die) { d.spare = append(d.spare, e) }

// skipChildren passes over the children of the DIE that was just read.
func (u *unit) skipChildren(c *cursor) error {
	for depth := 1; depth > 0 && c.more(); {
		code := c.uleb()
		if code == 0 {
			depth--
			continue
		}
		a := u.abbrevs.get(code)
		if a == nil {
			c.fail(errNoAbbrev)
			return c.err
		}
		c.skipAttrs(a, u.format)
		if a.children {
			depth++
		}
	}
	return c.err
}

// str returns the string that an attribute holds, "" if it is not there.
func (d *Data) str(u *unit, e *die, name attrID) (string, error) {
	v, ok := e.get(name)
	if !ok {
		return "", nil
	}
	section, off := ".debug_str", v.u
	switch v.form {
	case formString:
		return string(v.b), nil
	case formStrp:
	case formLineStrp:
		section = ".debug_line_str"
	case formStrx, formStrx1, formStrx2, formStrx3, formStrx4:
		s, err := d.section(".debug_str_offsets")
		if err != nil {
			return "", err
		}
		width := 4
		if u.dwarf64 {
			width = 8
		}
		if v.u > maxSection {
			return "", decodeErr(".debug_info", e.off, errBadRef)
		}
		c := d.cursor(s, u.strOffsetsBase+int(v.u)*width, math.MaxInt)
		if off = uint64(c.offset(u.dwarf64)); c.err != nil {
			return "", c.err
		}
	case formStrpSup, formGNUStrpAlt:
		return "", nil // in a file that is not here
	default:
		return "", decodeErr(".debug_info", e.off, fmt.Errorf("attribute %#x: form %#x is no string", uint32(name), uint32(v.form)))
	}
	if off > maxSection {
		return "", decodeErr(".debug_info", e.off, errBadRef)
	}
	s, err := d.section(section)
	if err != nil {
		return "", err
	}
	c := d.cursor(s, int(off), math.MaxInt)
	b := c.cstring()
	return string(b), c.err
}

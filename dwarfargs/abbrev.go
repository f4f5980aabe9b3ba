package dwarfargs

import (
	"errors"
	"fmt"
	"math"
)

const (
	maxAbbrevs     = 1 << 16
	maxAbbrevAttrs = 256
)

// attrSpec is how one attribute of a DIE is encoded.
type attrSpec struct {
	name     attrID
	form     form
	implicit int64 // DW_FORM_implicit_const
}

// abbrev is the shape of a DIE.
type abbrev struct {
	tag      tag
	children bool
	hasLowPC bool
	// hasRuntimeType says that a DIE of it is of a type with a descriptor.
	hasRuntimeType bool
	// hasClosureOffset says that a DIE of it is a captured variable.
	hasClosureOffset bool
	attrs            []attrSpec
	// skip passes over a DIE's attributes in few steps: fixed widths are merged.
	skip []skipStep
}

// skipStep passes over bytes of known number (form 0) or over one value of a
// form whose width is known only from its bytes.
type skipStep struct {
	form  form
	fixed int
}

// abbrevs is one table of .debug_abbrev, for units of one format: the widths of
// some forms depend on it.
type abbrevs struct {
	dense  []*abbrev // by code, for the codes that producers use: 1, 2, 3, …
	sparse map[uint64]*abbrev
}

func (t *abbrevs) get(code uint64) *abbrev {
	if code < uint64(len(t.dense)) {
		return t.dense[code]
	}
	return t.sparse[code]
}

// format is what the width of a form depends on.
type format struct {
	version  int
	addrSize int
	dwarf64  bool
}

type abbrevKey struct {
	off int
	format
}

var errNoAbbrev = errors.New("abbreviation code not in the unit's table")

// abbrevTable reads the table at off, once for each format.
func (d *Data) abbrevTable(off int, f format) (*abbrevs, error) {
	key := abbrevKey{off, f}
	if t, ok := d.abbrevs[key]; ok {
		return t, nil
	}
	s, err := d.section(".debug_abbrev")
	if err != nil {
		return nil, err
	}
	t, err := readAbbrevs(d.cursor(s, off, math.MaxInt), f)
	if err != nil {
		return nil, err
	}
	d.abbrevs[key] = t
	return t, nil
}

func readAbbrevs(c cursor, f format) (*abbrevs, error) {
	t := &abbrevs{dense: make([]*abbrev, 1, 64)}
	for n := 0; ; n++ {
		code := c.uleb()
		if c.err != nil {
			return nil, c.err
		}
		if code == 0 {
			return t, nil
		}
		if n == maxAbbrevs {
			c.fail(fmt.Errorf("more than %d abbreviations", maxAbbrevs))
			return nil, c.err
		}
		a := &abbrev{tag: tag(c.uleb()), children: c.u8() != 0}
		for {
			spec := attrSpec{name: attrID(c.uleb()), form: form(c.uleb())}
			if spec.form == formImplicitConst {
				spec.implicit = c.sleb()
			}
			if c.err != nil {
				return nil, c.err
			}
			if spec.name == 0 && spec.form == 0 {
				break
			}
			if len(a.attrs) == maxAbbrevAttrs {
				c.fail(fmt.Errorf("abbreviation of more than %d attributes", maxAbbrevAttrs))
				return nil, c.err
			}
			step, err := f.step(spec.form)
			if err != nil {
				c.fail(err)
				return nil, c.err
			}
			if last := len(a.skip) - 1; last >= 0 && step.form == 0 && a.skip[last].form == 0 {
				a.skip[last].fixed += step.fixed
			} else if step != (skipStep{}) {
				a.skip = append(a.skip, step)
			}
			a.attrs = append(a.attrs, spec)
			a.hasLowPC = a.hasLowPC || spec.name == attrLowPC
			a.hasRuntimeType = a.hasRuntimeType || spec.name == attrGoRuntimeType
			a.hasClosureOffset = a.hasClosureOffset || spec.name == attrGoClosureOffset
		}
		if code == uint64(len(t.dense)) {
			t.dense = append(t.dense, a)
		} else if t.get(code) == nil {
			if t.sparse == nil {
				t.sparse = make(map[uint64]*abbrev)
			}
			t.sparse[code] = a
		}
	}
}

// step returns how to pass over a value of the form.
func (f format) step(fm form) (skipStep, error) {
	off := 4
	if f.dwarf64 {
		off = 8
	}
	fixed := func(n int) (skipStep, error) { return skipStep{fixed: n}, nil }
	switch fm {
	case formFlagPresent, formImplicitConst:
		return fixed(0)
	case formData1, formFlag, formRef1, formStrx1, formAddrx1:
		return fixed(1)
	case formData2, formRef2, formStrx2, formAddrx2:
		return fixed(2)
	case formStrx3, formAddrx3:
		return fixed(3)
	case formData4, formRef4, formStrx4, formAddrx4, formRefSup4:
		return fixed(4)
	case formData8, formRef8, formRefSig8, formRefSup8:
		return fixed(8)
	case formData16:
		return fixed(16)
	case formAddr:
		return fixed(f.addrSize)
	case formRefAddr:
		if f.version <= 2 {
			return fixed(f.addrSize)
		}
		return fixed(off)
	case formSecOffset, formStrp, formLineStrp, formStrpSup, formGNURefAlt, formGNUStrpAlt:
		return fixed(off)
	case formString, formBlock, formBlock1, formBlock2, formBlock4, formExprloc, formIndirect,
		formSdata, formUdata, formRefUdata, formStrx, formAddrx, formLoclistx, formRnglistx,
		formGNUAddrIndex, formGNUStrIndex:
		return skipStep{form: fm}, nil
	}
	return skipStep{}, fmt.Errorf("attribute form %#x: not known", uint32(fm))
}

package dwarfargs

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"
	"sort"
)

const maxUnits = 1 << 20

// unit is a unit of .debug_info.
type unit struct {
	format
	off      int // of the header
	die      int // of the unit's DIE
	end      int
	abbrevs  *abbrevs
	usable   bool // a unit that can have subprograms, types and addresses of its own
	rootRead bool
	err      error // why it cannot be read; not usable then

	// From the unit's DIE.
	name, producer string
	packageName    string // of a Go package, as its source has it
	language       uint64
	lowPC          uint64
	hasLowPC       bool
	highPC         uint64
	hasHighPC      bool
	ranges         value // form 0: none
	addrBase       int
	loclistsBase   int
	rnglistsBase   int
	strOffsetsBase int
	stmtList       int // -1: none

	// funcs are the subprograms with code by their names, nil until they are read.
	funcs map[string][]int

	// The walk through the unit's DIEs goes on where it stopped.
	pos, depth int
}

// entryDIE is where the DIE of a function is.
type entryDIE struct {
	u   *unit
	off int
}

func (u *unit) isGo() bool { return u.language == langGo }

// nextUnit reads the header behind the last one that was read, nil at the end
// of the section.
func (d *Data) nextUnit() (*unit, error) {
	if d.unitsErr != nil {
		return nil, d.unitsErr
	}
	u, err := d.readUnitHeader()
	if err != nil {
		d.unitsErr = err
		return nil, err
	}
	if u != nil {
		d.units = append(d.units, u)
		d.unitPos = u.end
	}
	return u, nil
}

func (d *Data) readUnitHeader() (*unit, error) {
	if d.unitPos >= d.info.size {
		return nil, nil
	}
	if len(d.units) == maxUnits {
		return nil, decodeErr(".debug_info", d.unitPos, fmt.Errorf("more than %d units", maxUnits))
	}
	c := d.cursor(d.info, d.unitPos, math.MaxInt)
	u := &unit{off: d.unitPos}
	length := uint64(c.u32())
	switch {
	case length == math.MaxUint32:
		u.dwarf64 = true
		length = c.u64()
	case length >= 0xfffffff0:
		c.fail(errors.New("reserved unit length"))
	}
	u.end = c.off + c.length(length)
	if c.err != nil {
		return nil, c.err
	}
	c.end = u.end
	u.version = int(c.u16())
	if c.err == nil && (u.version < 2 || u.version > 5) {
		// A unit of another version can be passed over: its length is known.
		return u, nil
	}
	kind := uint8(utCompile)
	var abbrevOff int
	if u.version >= 5 {
		kind = c.u8()
		u.addrSize = int(c.u8())
		abbrevOff = c.offset(u.dwarf64)
		switch kind {
		case utSkeleton, utSplitCompile:
			c.skip(8) // DWO id
		case utType, utSplitType:
			c.skip(8) // signature
			c.offset(u.dwarf64)
		}
	} else {
		abbrevOff = c.offset(u.dwarf64)
		u.addrSize = int(c.u8())
	}
	switch u.addrSize {
	case 1, 2, 4, 8:
	default:
		c.fail(fmt.Errorf("address size of %d bytes", u.addrSize))
	}
	if c.err != nil {
		return nil, c.err
	}
	u.die, u.pos = c.off, c.off
	u.usable = kind == utCompile || kind == utPartial
	if u.abbrevs, u.err = d.abbrevTable(abbrevOff, u.format); u.err != nil {
		u.usable = false
	}
	return u, nil
}

// readRoot reads the unit's own DIE. A unit that cannot be read does not keep
// others from being used: code of other languages, linked into a Go program,
// may have what this package does not know.
func (d *Data) readRoot(u *unit) error {
	if u.rootRead || !u.usable {
		return u.err
	}
	if u.err = d.readRootDIE(u); u.err != nil {
		u.usable = false
	}
	return u.err
}

func (d *Data) readRootDIE(u *unit) error {
	c := d.cursor(d.info, u.die, u.end)
	var e die
	if !c.more() {
		u.usable = false // an empty unit
		return nil
	}
	if err := u.readDIE(&c, &e); err != nil {
		return err
	}
	if e.tag != tagCompileUnit && e.tag != tagPartialUnit {
		u.usable = false
		return nil
	}
	base := func(name attrID) int {
		v := e.uint(name)
		if v > maxSection {
			c.fail(errBadRef)
		}
		return int(v)
	}
	u.addrBase = base(attrAddrBase)
	u.loclistsBase = base(attrLoclistsBase)
	u.rnglistsBase = base(attrRnglistsBase)
	u.strOffsetsBase = base(attrStrOffsetsBase)
	u.stmtList = -1
	if _, ok := e.get(attrStmtList); ok {
		u.stmtList = base(attrStmtList)
	}
	if c.err != nil {
		return c.err
	}
	u.language = e.uint(attrLanguage)
	u.ranges, _ = e.get(attrRanges)
	var err error
	if u.name, err = d.str(u, &e, attrName); err != nil {
		return err
	}
	if u.producer, err = d.str(u, &e, attrProducer); err != nil {
		return err
	}
	if u.packageName, err = d.str(u, &e, attrGoPackageName); err != nil {
		return err
	}
	if u.lowPC, u.hasLowPC, err = d.address(u, &e, attrLowPC); err != nil {
		return err
	}
	if u.highPC, u.hasHighPC, err = d.highPC(u, &e, u.lowPC); err != nil {
		return err
	}
	u.pos, u.depth = e.next, 1
	if !e.children {
		u.pos = u.end
	}
	u.rootRead = true
	return nil
}

// unitAt returns the unit that has the offset in .debug_info.
func (d *Data) unitAt(off int) (*unit, error) {
	if off < 0 || off >= d.info.size {
		return nil, decodeErr(".debug_info", off, errBadRef)
	}
	for d.unitPos <= off {
		if _, err := d.nextUnit(); err != nil {
			return nil, err
		}
	}
	i := sort.Search(len(d.units), func(i int) bool { return d.units[i].end > off })
	if i == len(d.units) || off < d.units[i].die || d.units[i].abbrevs == nil {
		return nil, decodeErr(".debug_info", off, errBadRef)
	}
	u := d.units[i]
	return u, d.readRoot(u)
}

// eachUnit calls f with the usable units in order until it returns true. An
// error of a unit is returned only if no other has made f return true.
func (d *Data) eachUnit(f func(*unit) (bool, error)) (bool, error) {
	var first error
	for i := 0; ; i++ {
		if i == len(d.units) {
			if u, err := d.nextUnit(); err != nil || u == nil {
				return false, cmp.Or(err, first)
			}
		}
		u := d.units[i]
		err := d.readRoot(u)
		if err == nil && u.usable {
			var found bool
			if found, err = f(u); found && err == nil {
				return true, nil
			}
		}
		first = cmp.Or(first, err)
	}
}

// subprogramAt finds the DIE of the function that begins at entry. hints are
// names that its unit may have: Go names a unit by the package's import path,
// but code of generic functions may be in the unit of whoever instantiated it,
// and other languages name units by source files.
func (d *Data) subprogramAt(entry uint64, hints []string) (*unit, int, error) {
	if at, ok := d.entries[entry]; ok {
		return at.u, at.off, nil
	}
	// It takes a search, during which more is inflated than is read.
	defer d.hurry()()
	var (
		owner *unit
		off   int
		tried = make(map[int]bool)
	)
	try := func(u *unit) (bool, error) {
		if tried[u.off] {
			return false, nil
		}
		tried[u.off] = true
		at, ok, err := d.findEntry(u, entry)
		if ok {
			owner, off = u, at
		}
		return ok, err
	}
	passes := []func(u *unit) (bool, error){
		func(u *unit) (bool, error) {
			if !slices.Contains(hints, u.name) || u.hasLowPC && u.isGo() && entry < u.lowPC {
				return false, nil
			}
			return try(u)
		},
		func(u *unit) (bool, error) {
			if in, err := d.unitContains(u, entry); err != nil || !in {
				return false, err
			}
			return try(u)
		},
		try,
	}
	var first error
	for _, pass := range passes {
		found, err := d.eachUnit(pass)
		if found {
			return owner, off, nil
		}
		first = cmp.Or(first, err)
	}
	return nil, 0, cmp.Or(first, ErrNoEntry)
}

// findEntry walks through the unit's DIEs, from where the last walk stopped, to
// the subprogram with the entry.
func (d *Data) findEntry(u *unit, entry uint64) (int, bool, error) {
	c := d.cursor(d.info, u.pos, u.end)
	var e die
	for u.depth > 0 && c.more() {
		at, found := c.off, false
		code := c.uleb()
		if code == 0 {
			u.depth--
			u.pos = c.off
			continue
		}
		a := u.abbrevs.get(code)
		if a == nil {
			c.fail(errNoAbbrev)
			break
		}
		if a.tag == tagSubprogram && a.hasLowPC {
			c.off = at
			if err := u.readDIE(&c, &e); err != nil {
				return 0, false, err
			}
			low, ok, err := d.address(u, &e, attrLowPC)
			if err != nil {
				return 0, false, err
			}
			if _, dup := d.entries[low]; ok && !dup {
				d.entries[low] = entryDIE{u, at}
			}
			found = ok && low == entry
		} else {
			c.skipAttrs(a, u.format)
			if c.err != nil {
				break
			}
		}
		if a.children {
			u.depth++
		}
		u.pos = c.off
		if found {
			return at, true, nil
		}
	}
	return 0, false, c.err
}

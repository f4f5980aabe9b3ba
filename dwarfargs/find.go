package dwarfargs

import (
	"bytes"
	"fmt"
	"slices"

	"github.com/argtap/argtap/abi"
)

// Inlined reports whether the function of that full name exists only as
// inlined copies: DWARF has an abstract instance of it (DW_AT_inline), and no
// code of its own. It may read all of .debug_info, and is meant for the case
// that the file has no symbol of that name.
func (d *Data) Inlined(name string) (bool, error) {
	defer d.hurry()()
	d.mu.Lock()
	defer d.mu.Unlock()
	abstract := 0
	concrete := false
	_, err := d.eachUnit(func(u *unit) (bool, error) {
		if has, err := d.mentions(u, name); err != nil || !has {
			return false, err
		}
		return false, d.eachNamed(u, name, func(t tag) bool { return t == tagSubprogram }, func(e *die) (bool, error) {
			if e.uint(attrInline) != 0 {
				abstract = e.off
			} else if _, ok := e.get(attrLowPC); ok {
				concrete = true
			}
			return true, nil
		})
	})
	if err != nil || abstract == 0 || concrete {
		return false, err
	}
	// Its code, if it has any, is in a DIE that refers to the abstract one.
	_, err = d.eachUnit(func(u *unit) (bool, error) {
		var rerr error
		err := d.walk(u, func(a *abbrev) bool { return a.tag == tagSubprogram && a.hasLowPC }, func(e *die) (bool, error) {
			off, ok, err := d.ref(u, e, attrAbstractOrigin)
			rerr = err
			concrete = concrete || ok && off == abstract
			return !concrete && err == nil, nil
		})
		if err == nil {
			err = rerr
		}
		return concrete, err
	})
	return !concrete && err == nil, err
}

// Struct reads the struct type of that full name, such as "runtime.g", to depth
// pointer hops. The error is [ErrNoEntry] if there is none.
func (d *Data) Struct(name string, depth int) (*abi.Type, error) {
	defer d.hurry()()
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.typeNamed(name, depth, func(t tag) bool { return t == tagStructureType })
}

// typeNamed reads the type of that full name whose tag is one of those wanted,
// to depth pointer hops. The error is [ErrNoEntry] if there is none. Data.mu is
// held.
func (d *Data) typeNamed(name string, depth int, wanted func(tag) bool) (*abi.Type, error) {
	off := 0
	// Go's linker puts all types into units named runtime: look there first.
	tried := make(map[int]bool)
	hints := append([]string{"runtime"}, unitNames(name)...)
	for _, hinted := range []bool{true, false} {
		_, err := d.eachUnit(func(u *unit) (bool, error) {
			if tried[u.off] || hinted && !slices.Contains(hints, u.name) {
				return false, nil
			}
			tried[u.off] = true
			if !hinted {
				if has, err := d.mentions(u, name); err != nil || !has {
					return false, err
				}
			}
			err := d.eachNamed(u, name, wanted, func(e *die) (bool, error) {
				if e.uint(attrDeclaration) == 0 {
					off = e.off
				}
				return off == 0, nil
			})
			return off != 0, err
		})
		if err != nil {
			return nil, fmt.Errorf("type %s: %w", name, err)
		}
		if off != 0 {
			break
		}
	}
	if off == 0 {
		return nil, fmt.Errorf("type %s: %w", name, ErrNoEntry)
	}
	r := d.newTypeReader()
	t, err := r.read(off, hopsFor(depth), 0)
	if err == nil {
		err = r.commit()
	}
	if err != nil {
		return nil, fmt.Errorf("type %s: %w", name, err)
	}
	return t, nil
}

// mentions reports whether a DIE of the unit can have the name: whether the
// bytes are there, which is much faster to find out than by reading DIEs. It is
// always true for units that may keep their strings elsewhere.
func (d *Data) mentions(u *unit, name string) (bool, error) {
	if !u.isGo() {
		return true, nil
	}
	data, err := d.info.need(u.end)
	if err != nil {
		return false, err
	}
	return bytes.Contains(data[u.off:u.end], append([]byte(name), 0)), nil
}

// eachNamed calls f with the DIEs of the unit that have the name and a wanted
// tag, until f returns false.
func (d *Data) eachNamed(u *unit, name string, wanted func(tag) bool, f func(*die) (bool, error)) error {
	return d.walk(u, func(a *abbrev) bool { return wanted(a.tag) }, func(e *die) (bool, error) {
		v, ok := e.get(attrName)
		same := ok && string(v.b) == name
		if ok && v.form != formString {
			s, err := d.str(u, e, attrName)
			if err != nil {
				return false, err
			}
			same = s == name
		}
		if !same {
			return true, nil
		}
		return f(e)
	})
}

// walk calls f with the DIEs of the unit, at any depth, whose shape is wanted,
// until f returns false.
func (d *Data) walk(u *unit, wanted func(*abbrev) bool, f func(*die) (bool, error)) error {
	c := d.cursor(d.info, u.die, u.end)
	var e die
	for depth := 0; c.more(); {
		at := c.off
		code := c.uleb()
		if code == 0 {
			if depth--; depth <= 0 {
				break
			}
			continue
		}
		a := u.abbrevs.get(code)
		if a == nil {
			c.fail(errNoAbbrev)
			break
		}
		if wanted(a) {
			c.off = at
			if err := u.readDIE(&c, &e); err != nil {
				return err
			}
			if more, err := f(&e); err != nil || !more {
				return err
			}
		} else {
			c.skipAttrs(a, u.format)
		}
		if a.children {
			depth++
		}
	}
	return c.err
}

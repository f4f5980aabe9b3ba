package dwarfargs

import (
	"fmt"
	"strings"

	"github.com/argtap/argtap/abi"
	"github.com/argtap/argtap/symbols"
)

// Closures calls found with those of the functions whose func values have
// captured something that is known: see [Data.Closure]. It goes through all
// debug information once. What cannot be read of one function is left out; the
// error says that nothing more can be read at all.
func (d *Data) Closures(fns []symbols.Func, depth int, found func(symbols.Func, *Closure)) error {
	defer d.hurry()()
	d.mu.Lock()
	defer d.mu.Unlock()
	depth = hopsFor(depth)
	receivers := make(map[string]int)
	for _, fn := range fns {
		if recv, _, ok := methodValueOf(fn.Name); ok {
			receivers[recv] = 0
		}
	}
	x := closureIndex{d: d, receivers: receivers, capturing: make(map[int]bool)}
	if err := x.read(); err != nil {
		return fmt.Errorf("captured variables: %w", err)
	}
	for _, fn := range fns {
		var c *Closure
		var err error
		if recv, pointer, ok := methodValueOf(fn.Name); ok {
			if receivers[recv] == 0 {
				continue
			}
			c, err = d.methodValue(recv, pointer, func() (*abi.Type, error) {
				r := d.newTypeReader()
				t, err := r.read(receivers[recv], hopsFor(depth), 0)
				if err == nil {
					err = r.commit()
				}
				return t, err
			})
		} else {
			c, err = x.closure(fn, depth)
		}
		if err == nil && c != nil && len(c.Vars) > 0 {
			found(fn, c)
		}
	}
	return nil
}

// closureIndex is what one walk through the debug information finds.
type closureIndex struct {
	d *Data
	// receivers are types by name, with the offsets of their DIEs.
	receivers map[string]int
	// capturing are the offsets of the subprograms that have captured variables.
	capturing map[int]bool
}

func (x *closureIndex) read() error {
	d := x.d
	_, err := d.eachUnit(func(u *unit) (bool, error) {
		version, _, ok := goProducer(u.producer)
		if !ok {
			return false, nil
		}
		types, literals := u.name == "runtime" && len(x.receivers) > 0, closureOffsets(version)
		if !types && !literals {
			return false, nil
		}
		at := 0 // the subprogram that is being read
		return false, d.walk(u, func(a *abbrev) bool {
			return literals && (a.tag == tagSubprogram || a.hasClosureOffset) || types && isTypeTag(a.tag)
		}, func(e *die) (bool, error) {
			switch {
			case e.tag == tagSubprogram:
				at = e.off
				low, ok, err := d.address(u, e, attrLowPC)
				if _, dup := d.entries[low]; ok && err == nil && !dup {
					d.entries[low] = entryDIE{u, at}
				}
			case isTypeTag(e.tag):
				name, err := d.str(u, e, attrName)
				if off, ok := x.receivers[name]; ok && off == 0 && err == nil && e.uint(attrDeclaration) == 0 {
					x.receivers[name] = e.off
				}
			default:
				x.capturing[at] = true
			}
			return true, nil
		})
	})
	return err
}

// closure reads a function literal, nil if it has captured nothing.
func (x *closureIndex) closure(fn symbols.Func, depth int) (*Closure, error) {
	at, ok := x.d.entries[uint64(fn.Entry)]
	if !ok {
		return nil, nil
	}
	chain, err := x.d.origins(at.u, at.off)
	if err != nil {
		return nil, err
	}
	for _, o := range chain {
		if x.capturing[o.e.off] {
			return x.d.closureAt(fn.Name, chain, depth)
		}
	}
	return nil, nil
}

// methodValueOf returns the receiver's type of a method value, by its name.
func methodValueOf(name string) (recv string, pointer, ok bool) {
	name, ok = strings.CutSuffix(strings.TrimSuffix(name, ".abi0"), "-fm")
	if !ok {
		return "", false, false
	}
	recv = receiverType(name)
	_, rest := splitPackage(name)
	return recv, strings.HasPrefix(rest, "(*"), recv != "" && !strings.HasSuffix(recv, ".")
}

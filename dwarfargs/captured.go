package dwarfargs

import (
	"strings"

	"github.com/argtap/argtap/abi"
)

// maxByValue is the size in bytes of the largest variable that a closure
// captures by value (cmd/compile/internal/typecheck, CaptureVars; in all
// releases that describe closures).
const maxByValue = 128

// declForm is how a function declares a variable.
type declForm uint8

const (
	declParam declForm = 1 << iota // a parameter
	declPlain                      // a variable
	declHeap                       // a variable that is moved to the heap, "&x"
	declTop                        // one of those, in no inner block: it is the parameter, if one has the name
)

// decide says which of the variables that are known by their addresses, "&x", are
// captured by reference.
//
// They need not be. What is captured by value stays where it is, in the closure,
// and is known by its address there, if it does not fit into registers, or if its
// address is taken: by the program's own text in no case, but by calls that the
// compiler makes, as for a conversion to an interface
// (cmd/compile/internal/ssagen, buildssa; golang/go#43701). Nothing else in the
// debug information tells the two apart.
//
// What the program itself takes the address of, or assigns to, is captured by
// reference; and if the func value outlives the function, the variable is moved to
// the heap, which debug information says where it is declared. One that is
// captured by value is never moved there. But there may be several variables of a
// name, and optimised code does not describe all of them: there, only the code of
// the closure tells. It has "&x" in registers, and the debug information lists
// where; code that is not optimised has it in one place.
func (d *Data) decide(c *Closure, u *unit, fn string) error {
	for i := range c.Vars {
		v := &c.Vars[i]
		if !v.ByReference {
			continue
		}
		size := int64(-1)
		if e := v.Type.Elem; e != nil && e.Kind != abi.Invalid {
			size = e.Size
		}
		if size > maxByValue || i+1 < len(c.Vars) && v.Offset+size > c.Vars[i+1].Offset {
			continue
		}
		switch d.addressOf(v.loc, v.Offset) {
		case addressLoaded:
			continue
		case addressOfSlot:
			if size >= 0 {
				v.ByReference, v.Type = false, v.Type.Elem
				continue
			}
		}
		heap := false
		if v.loc.present && !v.loc.isList {
			var err error
			if heap, err = d.movedToHeap(u, fn, v.Name); err != nil {
				return err
			}
		}
		if !heap {
			v.ByReference, v.Unknown = false, true
		}
	}
	return nil
}

// movedToHeap reports whether the variable that a function literal has captured
// is moved to the heap by the function that declares it, and is not another one
// of the name. All functions in between must have been compiled without
// optimisation, for their own: what was inlined is not looked through.
func (d *Data) movedToHeap(u *unit, fn, name string) (bool, error) {
	for range maxOrigins {
		outer, ok := enclosing(fn)
		if !ok {
			return false, nil
		}
		fn = outer
		forms, err := d.declared(u, fn, name)
		if err != nil {
			return false, err
		}
		if len(u.funcs[fn]) == 0 {
			return false, nil
		}
		if forms != 0 {
			return forms&declHeap != 0 && forms&declPlain == 0 && (forms&declParam == 0 || forms&declTop != 0), nil
		}
	}
	return false, nil
}

// enclosing returns the function that a function literal is in, by their names:
// main.f of main.f.func1, main.f.func1 of main.f.func1.2 and of
// main.f.func1.gowrap3.
func enclosing(fn string) (string, bool) {
	i := strings.LastIndexByte(fn, '.')
	if i < 0 {
		return "", false
	}
	last := strings.TrimRight(fn[i+1:], "0123456789-")
	if last == fn[i+1:] || last != "" && last != "func" && last != "gowrap" && last != "deferwrap" {
		return "", false
	}
	return fn[:i], true
}

// declared returns how functions of the unit that are called fn declare variables
// called name. Variables that they have captured themselves do not count.
func (d *Data) declared(u *unit, fn, name string) (declForm, error) {
	if u.funcs == nil {
		u.funcs = make(map[string][]int)
		err := d.walk(u, func(a *abbrev) bool { return a.tag == tagSubprogram && a.hasLowPC }, func(e *die) (bool, error) {
			s, err := d.originName(u, e.off)
			if err == nil {
				u.funcs[s] = append(u.funcs[s], e.off)
			}
			return true, nil
		})
		if err != nil {
			return 0, err
		}
	}
	var forms declForm
	for _, off := range u.funcs[fn] {
		_, e, err := d.dieAt(off)
		if err != nil {
			return 0, err
		}
		f, err := d.declaredIn(u, e, name, 0)
		if err != nil {
			return 0, err
		}
		forms |= f
	}
	return forms, nil
}

// originName returns the name of the DIE at off, which one that it refers to may
// have.
func (d *Data) originName(u *unit, off int) (string, error) {
	chain, err := d.origins(u, off)
	if err != nil {
		return "", err
	}
	for _, o := range chain {
		if s, err := d.str(o.u, o.e, attrName); err != nil || s != "" {
			return s, err
		}
	}
	return "", nil
}

// declaredIn is declared within a function or block.
func (d *Data) declaredIn(u *unit, parent *die, name string, nesting int) (forms declForm, err error) {
	if nesting > maxOrigins {
		return 0, decodeErr(".debug_info", parent.off, errTooDeep)
	}
	err = d.children(u, parent, func(e *die) (bool, error) {
		switch e.tag {
		case tagLexicalBlock:
			_, block, err := d.dieAt(e.off)
			if err != nil {
				return false, err
			}
			f, err := d.declaredIn(u, block, name, nesting+1)
			forms |= f
			return err == nil, err
		case tagVariable, tagFormalParameter:
		default:
			return true, nil
		}
		chain, err := d.origins(u, e.off)
		if err != nil {
			return false, err
		}
		var s string
		for _, o := range chain {
			if _, ok := o.e.get(attrGoClosureOffset); ok {
				return true, nil
			}
			if s == "" {
				if s, err = d.str(o.u, o.e, attrName); err != nil {
					return false, err
				}
			}
		}
		switch {
		case s == "&"+name:
			forms |= declHeap
			if nesting == 0 {
				forms |= declTop
			}
		case s == name && e.tag == tagFormalParameter:
			forms |= declParam
		case s == name:
			forms |= declPlain
		}
		return true, nil
	})
	return forms, err
}

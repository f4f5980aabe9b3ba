package dwarfargs

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/argtap/argtap/abi"
)

const (
	// maxParams bounds a function's parameters and results together.
	maxParams = 1 << 12
	// maxOrigins bounds a chain of DW_AT_abstract_origin and _specification.
	maxOrigins = 8
)

// origin is a DIE of a function: the one with its code, or one that it refers
// to for what all its instances have in common.
type origin struct {
	u *unit
	e *die
}

// origins returns the DIE at off and those that it refers to.
func (d *Data) origins(u *unit, off int) ([]origin, error) {
	var chain []origin
	for {
		if len(chain) == maxOrigins {
			return nil, decodeErr(".debug_info", off, errTooDeep)
		}
		u, e, err := d.dieAt(off)
		if err != nil {
			return nil, err
		}
		chain = append(chain, origin{u, e})
		next, ok, err := d.ref(u, e, attrAbstractOrigin)
		if err == nil && !ok {
			next, ok, err = d.ref(u, e, attrSpecification)
		}
		if err != nil || !ok {
			return chain, err
		}
		off = next
	}
}

// rawParam is a parameter, before it is known what it is for.
type rawParam struct {
	Param
	result bool
	origin int // offset of the abstract parameter, 0 if none
}

// readParams reads the parameters of the function with the DIEs in chain.
func (d *Data) readParams(r *typeReader, chain []origin, depth int) ([]rawParam, error) {
	var params []rawParam
	add := func(u *unit, e *die, o *die, ou *unit) error {
		// e is the parameter, o the abstract one that it refers to, or e.
		if len(params) == maxParams {
			return decodeErr(".debug_info", e.off, fmt.Errorf("more than %d parameters", maxParams))
		}
		p := rawParam{Param: Param{TypeParam: -1}}
		var err error
		if p.Name, err = d.firstStr(u, e, ou, o, attrName); err != nil {
			return err
		}
		p.result = e.uint(attrVariableParam) != 0 || o.uint(attrVariableParam) != 0
		if o != e {
			p.origin = o.off
		}
		tu, te := u, e
		if _, ok := e.get(attrType); !ok {
			tu, te = ou, o
		}
		off, ok, err := d.ref(tu, te, attrType)
		if err != nil {
			return err
		}
		if !ok {
			p.Type = &abi.Type{Name: "void", Align: 1}
		} else {
			if p.TypeParam, err = d.dictIndex(off); err != nil {
				return err
			}
			if p.Type, err = r.read(off, depth, 0); err != nil {
				return err
			}
		}
		if p.loc, err = d.location(u, e); err != nil {
			return err
		}
		if p.Name == "" || !p.result && strings.HasPrefix(p.Name, "~p") {
			p.Name = "_"
		}
		// A named result that a deferred closure modifies is there twice, in
		// Go 1.21 to 1.26.
		for i := range params {
			q := &params[i]
			if p.result == q.result && (p.origin != 0 && p.origin == q.origin ||
				p.result && p.Name != "_" && p.Name == q.Name && chain[0].u.isGo()) {
				if len(q.loc.expr) == 0 && len(q.loc.list) == 0 {
					q.loc = p.loc
				}
				return nil
			}
		}
		params = append(params, p)
		return nil
	}
	err := d.children(chain[0].u, chain[0].e, func(e *die) (bool, error) {
		if e.tag != tagFormalParameter {
			return true, nil
		}
		ou, o := chain[0].u, e
		off, ok, err := d.ref(ou, e, attrAbstractOrigin)
		if err == nil && ok {
			ou, o, err = d.dieAt(off)
		}
		if err != nil {
			return false, err
		}
		return true, add(chain[0].u, e, o, ou)
	})
	if err != nil || len(chain) == 1 {
		return params, err
	}

	// What the concrete instance lacks, the abstract one has, with the order.
	order := make(map[int]int)
	concrete := len(params)
	abstract := chain[1]
	err = d.children(abstract.u, abstract.e, func(e *die) (bool, error) {
		if e.tag != tagFormalParameter {
			return true, nil
		}
		order[e.off] = len(order)
		for i := range params[:concrete] {
			if params[i].origin == e.off || params[i].origin == 0 {
				return true, nil
			}
		}
		n := len(params)
		if err := add(abstract.u, e, e, abstract.u); err != nil {
			return false, err
		}
		if len(params) > n {
			params[n].origin = e.off
		}
		return true, nil
	})
	if len(params) > concrete {
		slices.SortStableFunc(params, func(a, b rawParam) int { return cmp.Compare(order[a.origin], order[b.origin]) })
	}
	return params, err
}

// firstStr returns the first of two DIEs' strings that is there.
func (d *Data) firstStr(u *unit, e *die, ou *unit, o *die, name attrID) (string, error) {
	s, err := d.str(u, e, name)
	if s == "" && err == nil && o != e {
		s, err = d.str(ou, o, name)
	}
	return s, err
}

// dictIndex returns the dictionary index of a type that stands for a type
// parameter, -1 for any other type.
func (d *Data) dictIndex(off int) (int, error) {
	_, e, err := d.dieAt(off)
	if err != nil {
		return -1, err
	}
	v, ok := e.get(attrGoDictIndex)
	if !ok || e.tag != tagTypedef {
		return -1, nil
	}
	if v.u > 1<<20 {
		return -1, decodeErr(".debug_info", off, errTooBig)
	}
	return int(v.u), nil
}

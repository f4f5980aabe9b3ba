package dwarfargs

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/argtap/argtap/abi"
	"github.com/argtap/argtap/symbols"
)

// ErrNoClosure is the error of [Data.Closure] where debug information does not
// say what the closures of a function have captured: it does since Go 1.23.
var ErrNoClosure = errors.New("no debug information on captured variables")

// maxCaptured bounds the variables that one closure has captured.
const maxCaptured = 1 << 12

// Closure is what the func values have that a function is the code of: a func
// value points to the address of the code, and the variables behind it.
type Closure struct {
	// Vars are the captured variables, by their offsets.
	Vars []Captured
	// MethodValue says that the func value was made of a method, as x.M is:
	// the only variable is the receiver, without a name.
	MethodValue bool
	// Dict is the offset of the dictionary of a generic function, 0 if there is
	// none, or if it is not described: in optimised code up to Go 1.26.
	Dict int64
	// Gaps says that there are bytes before the last variable that are not
	// described: variables that optimised code has no use for, or passes on.
	// Behind the last, and in what alignment leaves free, there may be more.
	Gaps bool
}

// Captured is a variable that a closure has captured.
type Captured struct {
	Name string // as in the source
	// Type of what the closure has: a pointer to the variable's type if
	// ByReference is set, and the variable's type otherwise.
	Type *abi.Type
	// Offset from the begin of what the func value points to, in bytes.
	Offset int64
	// ByReference says that the closure has a pointer to the variable. Those
	// are variables that change after they are captured, and large ones.
	ByReference bool
	// Unknown says that it is not known which of both it is: whether the closure
	// has the variable or a pointer to it. Type is then a pointer, all the same.
	Unknown bool

	loc locDesc // where the function's own code has "&x"
}

// Closure returns what func values whose code is fn have captured, with types to
// depth pointer hops. It is empty for a function that captures nothing. The
// error is [ErrNoClosure], or one of [Data.Func].
func (d *Data) Closure(fn symbols.Func, depth int) (*Closure, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	c, err := d.readClosure(fn, hopsFor(depth))
	if err != nil {
		return nil, fmt.Errorf("func %s: %w", fn.Name, err)
	}
	return c, nil
}

func (d *Data) readClosure(fn symbols.Func, depth int) (*Closure, error) {
	if strings.HasSuffix(strings.TrimSuffix(fn.Name, ".abi0"), "-fm") {
		recv, pointer, ok := methodValueOf(fn.Name)
		if !ok {
			return nil, fmt.Errorf("%w: no receiver in its name", ErrNoClosure)
		}
		return d.methodValue(recv, pointer, func() (*abi.Type, error) { return d.typeNamed(recv, depth, isTypeTag) })
	}
	u, off, err := d.subprogramAt(uint64(fn.Entry), unitNames(fn.Name))
	if err != nil {
		return nil, err
	}
	version, _, ok := goProducer(u.producer)
	if !ok {
		return nil, fmt.Errorf("%w: not compiled by Go", ErrNoClosure)
	}
	if !closureOffsets(version) {
		return nil, fmt.Errorf("%w: %s does not write it, Go 1.23 and later do", ErrNoClosure, version)
	}
	chain, err := d.origins(u, off)
	if err != nil {
		return nil, err
	}
	return d.closureAt(fn.Name, chain, depth)
}

// closureAt reads the closure of a subprogram of that name.
func (d *Data) closureAt(name string, chain []origin, depth int) (*Closure, error) {
	r := d.newTypeReader()
	c := new(Closure)
	for _, o := range chain {
		err := d.children(o.u, o.e, func(e *die) (bool, error) {
			return true, d.captured(r, c, o.u, e, depth)
		})
		if err != nil {
			return nil, err
		}
	}
	if err := r.commit(); err != nil {
		return nil, err
	}
	// What has no size lies where the next one does.
	slices.SortStableFunc(c.Vars, func(a, b Captured) int {
		return cmp.Or(cmp.Compare(a.Offset, b.Offset), cmp.Compare(a.Type.Size, b.Type.Size))
	})
	// A variable may be described twice, by the function and by what all its
	// copies have in common.
	c.Vars = slices.CompactFunc(c.Vars, func(a, b Captured) bool { return a.Offset == b.Offset && a.Name == b.Name })
	if err := d.decide(c, chain[0].u, strings.TrimSuffix(name, ".abi0")); err != nil {
		return nil, err
	}
	end := d.ptrSize
	for _, v := range c.Vars {
		if v.Offset < end {
			return nil, decodeErr(".debug_info", chain[0].e.off, fmt.Errorf("captured variable %s at %d, within another", v.Name, v.Offset))
		}
		if align := max(v.Type.Align, 1); v.Offset >= end+align {
			c.Gaps = true
		}
		end = v.Offset + v.Type.Size
		if v.Name == dictName {
			c.Dict = v.Offset
		}
	}
	c.Vars = slices.DeleteFunc(c.Vars, func(v Captured) bool { return v.Name == dictName })
	return c, nil
}

// dictName is what the compiler calls the parameter, or captured variable, that
// has the dictionary (cmd/compile/internal/noder, LocalDictSym).
const dictName = ".dict"

// closureOffsets reports whether the compiler of a version says where captured
// variables are (cmd/internal/dwarf, DW_AT_go_closure_offset).
func closureOffsets(version string) bool { return !parseRelease(version).before(23) }

// captured adds the variable that e describes, if it is captured.
func (d *Data) captured(r *typeReader, c *Closure, u *unit, e *die, depth int) error {
	if e.tag != tagVariable {
		return nil
	}
	// What is in an abstract instance of the function is not said again.
	all := []origin{{u, e}}
	if _, ok := e.get(attrAbstractOrigin); ok {
		var err error
		if all, err = d.origins(u, e.off); err != nil {
			return err
		}
	}
	var off uint64
	for _, o := range all {
		off = cmp.Or(off, o.e.uint(attrGoClosureOffset))
	}
	if off == 0 {
		return nil
	}
	if len(c.Vars) == maxCaptured || off > maxTypeSize {
		return decodeErr(".debug_info", e.off, errTooBig)
	}
	v := Captured{Offset: int64(off)}
	for _, o := range all {
		var err error
		if v.Name == "" {
			if v.Name, err = d.str(o.u, o.e, attrName); err != nil {
				return err
			}
		}
		if v.Type != nil {
			continue
		}
		at, ok, err := d.ref(o.u, o.e, attrType)
		if err != nil {
			return err
		}
		if ok {
			if v.Type, err = r.read(at, depth, 0); err != nil {
				return err
			}
		}
	}
	if v.Type == nil {
		return decodeErr(".debug_info", e.off, fmt.Errorf("captured variable %s without type", v.Name))
	}
	// cmd/compile/internal/ir.NewClosureVar, escape analysis and walk: a
	// variable that is moved to the heap is known by its address, "&x".
	if name, ok := strings.CutPrefix(v.Name, "&"); ok {
		if v.Type.Kind != abi.Pointer {
			return decodeErr(".debug_info", e.off, fmt.Errorf("captured variable %s of type %s", v.Name, v.Type))
		}
		v.Name, v.ByReference = name, true
		for _, o := range all {
			if v.loc.present {
				break
			}
			var err error
			if v.loc, err = d.location(o.u, o.e); err != nil {
				return err
			}
		}
	}
	c.Vars = append(c.Vars, v)
	return nil
}

// methodValue returns the closure of a method value, by the receiver's type
// without its star, which read reads. It is a struct of the code's address and
// the receiver (cmd/compile/internal/typecheck, MethodValueType; in all
// releases).
func (d *Data) methodValue(recv string, pointer bool, read func() (*abi.Type, error)) (*Closure, error) {
	t, err := read()
	if errors.Is(err, ErrNoEntry) {
		return nil, fmt.Errorf("%w: %w", ErrNoClosure, err)
	}
	if err != nil {
		return nil, err
	}
	if pointer {
		t = &abi.Type{Name: "*" + recv, Kind: abi.Pointer, Size: d.ptrSize, Align: d.ptrSize, Elem: t}
	}
	align := max(t.Align, 1)
	return &Closure{MethodValue: true, Vars: []Captured{{Type: t, Offset: (d.ptrSize + align - 1) &^ (align - 1)}}}, nil
}

package symbols

import (
	"bytes"
	"slices"
	"strings"
)

// mayBeBridged reports whether name can be that of a function with a bridge:
// assembly, which is on one side of it, has no names for methods, closures in
// them and instances of generic functions.
func mayBeBridged(name []byte) bool {
	return bytes.IndexByte(name, '(') < 0 && bytes.IndexByte(name, '[') < 0
}

// nameOf returns the full name of fn, which the table calls name. It looks for
// others of that name, where that matters, instead of for all bridges.
func (t *FuncTable) nameOf(fn TableFunc, name string) (string, error) {
	if !fn.Wrapper && !fn.Asm && !isCgoCall([]byte(name)) || !t.mayBridge() || !mayBeBridged([]byte(name)) {
		return name, nil
	}
	for _, full := range []string{name, name + suffixABI0} {
		found, err := t.lookup(full)
		if err != nil {
			return "", err
		}
		if slices.ContainsFunc(found, func(f TableFunc) bool { return f.Entry == fn.Entry }) {
			return full, nil
		}
	}
	return name, nil // one of very many functions of the name
}

// abi0Of returns which of two functions of one name takes its arguments on the
// stack; false if they are not a function and its bridge.
func (n *tableReader) abi0Of(two [2]TableFunc, name string) (int, bool, error) {
	bridges := [2]bool{two[0].Wrapper, two[1].Wrapper}
	if bridges[0] && bridges[1] {
		// The compiler marks reflect.callReflect and callMethod as wrappers,
		// too (cmd/compile/internal/noder), but not as generated.
		for i, fn := range two {
			r, err := n.t.record(fn)
			if err != nil {
				return 0, false, err
			}
			if bridges[i], err = n.isGenerated(r); err != nil {
				return 0, false, err
			}
		}
	}
	if bridges[0] == bridges[1] {
		return 0, false, nil
	}
	bridge, other := 0, 1
	if bridges[1] {
		bridge, other = 1, 0
	}
	// A bridge is for the other ABI than the function's own.
	if two[other].Asm || isCgoCall([]byte(name)) {
		return other, true, nil
	}
	return bridge, true, nil
}

// lookup returns the functions of the given name by ascending entry, at most
// maxAmbiguous of them.
func (t *FuncTable) lookup(name string) ([]TableFunc, error) {
	base := name
	if t.mayBridge() {
		base = strings.TrimSuffix(name, suffixABI0)
	}
	if base == "" || len(base) > maxName || strings.IndexByte(base, 0) >= 0 {
		return nil, nil
	}
	where := extent{t.stored.off + t.names.off, t.names.size}
	offsets, err := t.f.findText(where, t.section, t.names.off, base)
	if err != nil || len(offsets) == 0 {
		return nil, err
	}
	low, high := offsets[0], offsets[len(offsets)-1]
	n := t.reader()
	var found []TableFunc
	var named []uint32 // where their names are
	var fault error
	err = t.each(func(r *record) bool {
		at := t.nameOffset(r)
		if at < low || at > high || !contains(offsets, at) {
			return true
		}
		var fn TableFunc
		var abi0 bool
		if fn, fault = n.function(r); fault != nil {
			return false
		}
		if abi0, fault = n.isABI0(r, []byte(base)); fault != nil {
			return false
		}
		fn.Name = base
		if abi0 {
			fn.Name += suffixABI0
		}
		found, named = append(found, fn), append(named, at)
		return len(found) < maxAmbiguous
	})
	if fault != nil {
		err = fault
	}
	if err != nil {
		return nil, err
	}
	// A name that is the end of another one is none of the linker's, and
	// repeatedNames does not see it.
	pair := len(found) == 2 && t.mayBridge() && mayBeBridged([]byte(base))
	for i := 0; i < len(named) && pair; i++ {
		if pair, err = t.startsName(named[i]); err != nil {
			return nil, err
		}
	}
	if pair {
		i, ok, err := n.abi0Of([2]TableFunc(found), base)
		if err != nil {
			return nil, err
		}
		if ok {
			found[i].Name, found[1-i].Name = base+suffixABI0, base
		}
	}
	return slices.DeleteFunc(found, func(fn TableFunc) bool { return fn.Name != name }), nil
}

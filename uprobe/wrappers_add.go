package uprobe

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/argtap/argtap/abi"
	"github.com/argtap/argtap/symbols"
)

// method is a method of which wrappers are looked for, or an instance of one: all
// wrappers have true type arguments.
type method struct {
	symbols.Func
	// called is the name with true type arguments.
	called string
}

// methods returns the method that f is, or its instances that are traced. There are
// none if f is no method, or a wrapper of one itself. Where all shared code of a
// generic method was inlined, what is left of it for each instance, main.G[int].M, is
// taken for it.
func (b *executable) methods(f *Func) ([]method, error) {
	if _, _, ok := symbols.MethodName(f.name); !ok {
		return nil, nil
	}
	s := symbols.Func{Name: f.name, Entry: f.entry, Size: f.size}
	w, made, err := b.asWrapper(s)
	if err != nil {
		return nil, err
	}
	if made {
		m := method{s, f.name}
		if !m.generic() {
			return nil, nil
		}
		r, err := b.readReaches(&w)
		if err != nil || !slices.ContainsFunc(r.inlined, m.isBody) {
			return nil, err
		}
		return []method{m}, nil
	}
	if len(f.instances) == 0 {
		return []method{{s, f.name}}, nil
	}
	var all []method
	for _, in := range f.instances {
		if len(f.dicts) == 0 || slices.Contains(f.dicts, uint64(in.dict.Addr)) {
			all = append(all, method{s, in.Name})
		}
	}
	return all, nil
}

// generic reports whether it is an instance of a generic method.
func (m *method) generic() bool { return isInstance(m.called) }

// isBody reports whether the function table calls so what a wrapper of the method
// has inlined: up to Go 1.20 the names of generic code lack the types there.
func (m *method) isBody(name string) bool {
	name = strings.ReplaceAll(name, "·", ".")
	if m.generic() {
		return symbols.WithoutTypeArgs(name) == symbols.WithoutTypeArgs(m.called)
	}
	return name == strings.ReplaceAll(m.Name, "·", ".")
}

// receiver returns the type of the method, without a star, and whether the receiver
// is a pointer.
func (m *method) receiver() (name string, pointer bool) {
	recv, _, _ := symbols.MethodName(m.called)
	return plainReceiver(recv)
}

// ofInstance reports whether a wrapper that has inlined an instance of a method has
// inlined this one.
func (b *executable) ofInstance(w *madeBy, m *method, o *options) bool {
	own, _ := m.receiver()
	recv, _, _ := symbols.MethodName(w.Name)
	name, _ := plainReceiver(recv)
	if name == own || w.value || b.dwarf == nil {
		return name == own
	}
	t, err := b.dwarf.Struct(name, typeDepth(o))
	if err != nil {
		return false
	}
	_, err = promoted(t, func(x *abi.Type) bool { return strings.TrimPrefix(x.Name, "*") == own })
	return err == nil
}

// addWrappers finds the wrappers of the methods among funcs, and works out those
// that have inlined one: they follow the method. Wrappers that were selected
// themselves, beside their method, are removed: a call is one call. leftOut tells of
// these, and of those that cannot be traced.
//
// A table or code that cannot be read is as good as none: then wrappers are not
// known.
func (b *executable) addWrappers(funcs []*Func, o *options) (all []*Func, leftOut []error) {
	if o.inspect {
		for _, f := range funcs {
			if err := b.findWrapped(f); err != nil {
				o.log.Info("what a wrapper wraps is not known", "func", f.name, "err", err)
			}
		}
	}
	found, err := b.newWrapperFinder(funcs, o)
	if err != nil {
		o.log.Warn("wrappers of methods are not known", "err", err)
	}
	if found == nil {
		return funcs, nil
	}
	asked := make(map[symbols.VirtAddr]*Func, len(funcs))
	for _, f := range funcs {
		asked[f.entry] = f
	}
	// gone are wrappers that are not traced by themselves.
	gone := make(map[*Func]error)
	added := make(map[*Func][]*Func)
	for _, f := range funcs {
		_, name, _ := symbols.MethodName(f.name)
		if len(found.byName[name]) == 0 {
			continue
		}
		methods, err := b.methods(f)
		if err != nil {
			o.log.Info("wrappers of a method are not known", "func", f.name, "err", err)
		}
		for _, w := range found.byName[name] {
			if w.Entry == f.entry {
				continue
			}
			for k := range methods {
				how, why, err := found.reach(w, &methods[k], 0)
				if err != nil {
					o.log.Info("wrapper cannot be read", "wrapper", w.Name, "err", err)
					break
				}
				if how == ReachUnknown && why == "" {
					continue // of another method
				}
				line := Wrapper{Name: w.Name, Entry: w.Entry, Reach: how, Missed: why}
				if how == ReachInlined {
					if via, err := b.viaWrapper(f, &methods[k], w, o); err != nil {
						line.Missed = err.Error()
					} else {
						added[f] = append(added[f], via)
					}
				}
				if itself := asked[w.Entry]; line.Missed != "" {
					err := &FuncError{f.name, fmt.Errorf("its calls through %s: %w: %s", w.Name, ErrWrapper, line.Missed)}
					o.log.Info("calls through a wrapper cannot be traced", "func", f.name, "wrapper", w.Name, "err", err)
					leftOut = append(leftOut, err)
				} else if itself != nil {
					gone[itself] = &FuncError{w.Name, fmt.Errorf("%w: %s %s", ErrWrapper, how, f.name)}
				}
				if how == ReachInlined || o.inspect || line.Missed != "" {
					f.wrappers = append(f.wrappers, line)
				}
				break
			}
		}
		slices.SortFunc(f.wrappers, func(a, b Wrapper) int { return cmp.Compare(a.Entry, b.Entry) })
	}
	for _, f := range funcs {
		if err := gone[f]; err != nil {
			leftOut = append(leftOut, err)
		} else {
			all = append(all, f)
		}
		all = append(all, added[f]...)
	}
	return all, leftOut
}

// viaWrapper works out a wrapper that has inlined a method.
func (b *executable) viaWrapper(f *Func, m *method, w *madeBy, o *options) (*Func, error) {
	if b.wrapped == nil {
		b.wrapped = make(map[symbols.VirtAddr]*wrapping)
	}
	b.wrapped[w.Entry] = &wrapping{wrapper: w.Func, method: *m, value: w.value}
	defer delete(b.wrapped, w.Entry)
	via, err := b.function(w.Func, nil, o)
	if err != nil {
		var fe *FuncError
		if errors.As(err, &fe) {
			err = fe.Err
		}
		return nil, err
	}
	via.name, via.via, via.called = f.name, w.Name, m.called
	if via.result != nil {
		via.result.name = f.name
	}
	return via, nil
}

// findWrapped finds what a function that the compiler made is a wrapper of: when
// inspecting.
func (b *executable) findWrapped(f *Func) error {
	w, ok, err := b.asWrapper(symbols.Func{Name: f.name, Entry: f.entry, Size: f.size})
	if err != nil || !ok {
		return err
	}
	r, err := b.readReaches(&w)
	if err != nil {
		return err
	}
	_, name, method := symbols.MethodName(f.name)
	name = strings.TrimSuffix(name, ".abi0")
	if len(r.inlined) == 1 {
		f.wraps, f.wrapsHow = r.inlined[0], ReachInlined
		return nil
	}
	for _, l := range r.leaves {
		target, _ := b.names.name(uint64(l.Target))
		_, other, ok := symbols.MethodName(target)
		same := method && ok && other == name ||
			strings.TrimSuffix(target, ".abi0") == strings.TrimSuffix(f.name, ".abi0") // a bridge between ABIs
		if !same {
			continue
		}
		if f.wraps, f.wrapsHow = target, ReachCalls; l.Jump {
			f.wrapsHow = ReachJumps
		}
		return nil
	}
	if len(r.inlined) == 0 && !r.open && b.leadsNowhere(&r) && method {
		recv, _, _ := symbols.MethodName(f.name)
		wraps, value := strings.CutSuffix(f.name, "-fm")
		if plain, isPtr := plainReceiver(recv); isPtr && !value {
			wraps = plain + "." + name
		}
		if s, err := b.file.Lookup(wraps); err == nil && wraps != f.name {
			if _, made, err := b.asWrapper(s); err == nil && !made {
				f.wraps, f.wrapsHow = wraps, ReachInlined
			}
		}
	}
	return nil
}

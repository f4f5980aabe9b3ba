package uprobe

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/argtap/argtap/internal/site"
	"github.com/argtap/argtap/symbols"
)

// madeBy is what the function table tells of a function that may be a wrapper.
type madeBy struct {
	symbols.Func
	entry symbols.TableFunc
	// value says that it is a method value.
	value bool
}

// asWrapper returns what is known of a function that the compiler may have made; not
// ok for others.
func (b *executable) asWrapper(s symbols.Func) (w madeBy, ok bool, err error) {
	r, err := b.tableEntry(s)
	if err != nil || r == nil || r.Asm || r.Foreign {
		return w, false, err
	}
	w = madeBy{Func: s, entry: *r, value: strings.HasSuffix(s.Name, "-fm")}
	if _, _, method := symbols.MethodName(s.Name); !method && !strings.HasSuffix(s.Name, ".abi0") && !r.Wrapper {
		return w, false, nil
	}
	if w.value {
		return w, true, nil
	}
	table, err := b.file.Table()
	if err != nil {
		return w, false, err
	}
	ok, err = table.Generated(*r)
	return w, ok, err
}

// tableEntry returns what the runtime's function table has of a function, nil if it
// has nothing.
func (b *executable) tableEntry(s symbols.Func) (*symbols.TableFunc, error) {
	table, err := b.file.Table()
	if errors.Is(err, symbols.ErrNoTable) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	fn, err := table.At(s.Entry)
	if errors.Is(err, symbols.ErrNoFunc) || err == nil && fn.Entry != s.Entry {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return &fn, nil
}

// reaches is where a wrapper leads.
type reaches struct {
	leaves []site.Leave // of its own, not of what was inlined into it
	// inlined are the names of the functions whose bodies it has as the function
	// table has them, without those that are inlined into these.
	inlined []string
	// open says that it leads to where only pointers tell, such as the methods of
	// interfaces.
	open bool
}

// reachesOf finds out where a wrapper leads.
func (b *executable) reachesOf(w *madeBy) (r reaches, err error) {
	table, err := b.file.Table()
	if err != nil {
		return r, err
	}
	calls, err := table.Inlined(w.entry)
	if err != nil {
		return r, err
	}
	inBody := func(a symbols.VirtAddr) bool {
		return slices.ContainsFunc(calls, func(c symbols.InlinedCall) bool {
			return slices.ContainsFunc(c.Ranges, func(r symbols.Range) bool { return r.Low <= a && a < r.High })
		})
	}
	for _, c := range calls {
		if c.Parent < 0 {
			r.inlined = append(r.inlined, c.Name)
		}
	}
	code, err := b.file.Code(w.Func)
	if err != nil {
		return r, err
	}
	leaves, open, err := site.Leaves(b.arch, code, w.Entry)
	if err != nil {
		return r, err
	}
	r.open = open
	r.leaves = slices.DeleteFunc(leaves, func(l site.Leave) bool { return inBody(l.Addr) })
	return r, nil
}

// to returns how the method is reached, and what keeps that from being known.
func (r *reaches) to(b *executable, w *madeBy, method symbols.Func) (how Reach, why string) {
	for _, l := range r.leaves {
		switch {
		case l.Target != method.Entry:
		case how == ReachUnknown && l.Jump:
			how = ReachJumps
		case how == ReachUnknown:
			how = ReachCalls
		}
	}
	n := 0
	for _, name := range r.inlined {
		if b.isBody(name, w, method.Name) {
			n++
		}
	}
	switch {
	case n == 0:
		return how, ""
	case how != ReachUnknown:
		return ReachUnknown, "it both calls the method and has inlined it"
	case n > 1:
		return ReachUnknown, fmt.Sprintf("it has inlined the method %d times", n)
	case len(r.inlined) > 1:
		return ReachUnknown, "it has inlined another function beside the method: " + strings.Join(r.inlined, ", ")
	}
	return ReachInlined, ""
}

// isBody reports whether the function table calls so a method that a wrapper has
// inlined. Up to Go 1.20 the names of generic code lack the types there: the
// wrapper's name has them.
func (b *executable) isBody(name string, w *madeBy, method string) bool {
	plain := func(s string) string { return strings.ReplaceAll(s, "·", ".") }
	if !strings.Contains(name, "[...]") {
		return plain(name) == plain(method)
	}
	return symbols.WithoutTypeArgs(plain(name)) == symbols.WithoutTypeArgs(plain(method))
}

// wrappersFor finds, for each of the methods, the functions that the compiler made
// for methods of that name; by the method's name without its receiver.
func (b *executable) wrappersFor(funcs []*Func) (map[string][]madeBy, error) {
	names := make(map[string]bool)
	for _, f := range funcs {
		if _, m, ok := symbols.MethodName(f.name); ok && f.via == "" {
			names[m] = true
		}
	}
	if len(names) == 0 {
		return nil, nil
	}
	all, err := b.file.MethodsNamed(names)
	if err != nil {
		return nil, err
	}
	found := make(map[string][]madeBy)
	for _, s := range all {
		w, ok, err := b.asWrapper(s)
		if err != nil {
			return nil, err
		}
		if ok {
			_, m, _ := symbols.MethodName(s.Name)
			found[m] = append(found[m], w)
		}
	}
	return found, nil
}

// addWrappers finds the wrappers of the methods among funcs, and works out those
// that have inlined one: they follow the method. Wrappers that were selected
// themselves, beside their method, are removed: a call is one call. leftOut tells of
// these, and of those that cannot be traced.
//
// A table or code that cannot be read is as good as none: then wrappers are not
// known.
func (b *executable) addWrappers(funcs []*Func, o *options) (all []*Func, leftOut []error) {
	found, err := b.wrappersFor(funcs)
	if err != nil {
		o.log.Warn("wrappers of methods are not known", "err", err)
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
		_, m, ok := symbols.MethodName(f.name)
		if !ok {
			continue
		}
		method := symbols.Func{Name: f.name, Entry: f.entry, Size: f.size}
		for _, w := range found[m] {
			if w.Entry == f.entry {
				continue
			}
			r, err := b.reachesOf(&w)
			if err != nil {
				o.log.Info("wrapper cannot be read", "wrapper", w.Name, "err", err)
				continue
			}
			how, why := r.to(b, &w, method)
			if how == ReachUnknown && why == "" {
				continue // of another method
			}
			if how == ReachInlined && f.ofOthers(w.Name) {
				continue
			}
			itself := asked[w.Entry]
			line := Wrapper{Name: w.Name, Entry: w.Entry, Reach: how, Missed: why}
			if how == ReachInlined {
				via, err := b.viaWrapper(f, method, &w, o)
				if err != nil {
					line.Missed = err.Error()
				} else {
					added[f] = append(added[f], via)
				}
			}
			if line.Missed != "" {
				err := &FuncError{f.name, fmt.Errorf("its calls through %s: %w: %s", w.Name, ErrWrapper, line.Missed)}
				o.log.Info("calls through a wrapper cannot be traced", "func", f.name, "wrapper", w.Name, "err", err)
				leftOut = append(leftOut, err)
			} else if itself != nil {
				gone[itself] = &FuncError{w.Name, fmt.Errorf("%w: %s %s", ErrWrapper, how, f.name)}
			}
			if how == ReachInlined || o.inspect || line.Missed != "" {
				f.wrappers = append(f.wrappers, line)
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

// ofOthers reports whether a wrapper is of an instance of a generic method whose
// code f is not, or that is not to be traced.
func (f *Func) ofOthers(wrapper string) bool { return false }

// viaWrapper works out a wrapper that has inlined a method.
func (b *executable) viaWrapper(f *Func, method symbols.Func, w *madeBy, o *options) (*Func, error) {
	if b.wrapped == nil {
		b.wrapped = make(map[symbols.VirtAddr]*wrapping)
	}
	b.wrapped[w.Entry] = &wrapping{wrapper: w.Func, method: method, value: w.value}
	defer delete(b.wrapped, w.Entry)
	via, err := b.function(w.Func, nil, o)
	if err != nil {
		var fe *FuncError
		if errors.As(err, &fe) {
			err = fe.Err
		}
		return nil, err
	}
	via.name, via.via = f.name, w.Name
	if via.result != nil {
		via.result.name = f.name
	}
	return via, nil
}

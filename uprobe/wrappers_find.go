package uprobe

import (
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

// readReaches finds out where a wrapper leads.
func (b *executable) readReaches(w *madeBy) (r reaches, err error) {
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

// wrapperFinder finds the wrappers of methods.
type wrapperFinder struct {
	*executable
	o *options
	// byName are those of methods of a name, byEntry all of them by their entries.
	byName  map[string][]*madeBy
	byEntry map[symbols.VirtAddr]*madeBy
	known   map[symbols.VirtAddr]*reaches
}

// reachesOf returns where a wrapper leads.
func (b *wrapperFinder) reachesOf(w *madeBy) (*reaches, error) {
	if r := b.known[w.Entry]; r != nil {
		return r, nil
	}
	r, err := b.readReaches(w)
	if err != nil {
		return nil, err
	}
	b.known[w.Entry] = &r
	return &r, nil
}

// maxWrapped bounds how many wrappers call one another to come to a method: that of
// a pointer calls that of the value, which calls the code that types of one shape
// share.
const maxWrapped = 4

// reach returns how a wrapper comes to a method, and what keeps that from being
// known: ReachUnknown without a reason if it is that of another one.
func (b *wrapperFinder) reach(w *madeBy, m *method, depth int) (how Reach, why string, err error) {
	r, err := b.reachesOf(w)
	if err != nil {
		return how, why, err
	}
	how, why = b.direct(w, r, m)
	if how != ReachUnknown || why != "" || depth == maxWrapped {
		return how, why, nil
	}
	for _, l := range r.leaves {
		other := b.byEntry[l.Target]
		if other == nil || other == w {
			continue
		}
		switch next, _, err := b.reach(other, m, depth+1); {
		case err != nil:
			return how, why, err
		case next == ReachUnknown:
		case l.Jump:
			return ReachJumps, "", nil
		default:
			return ReachCalls, "", nil
		}
	}
	how, why = b.byElimination(w, m, r, b.o)
	return how, why, nil
}

// direct is reach without what other wrappers do.
func (b *wrapperFinder) direct(w *madeBy, r *reaches, m *method) (how Reach, why string) {
	for _, l := range r.leaves {
		switch {
		case l.Target != m.Entry:
		case how == ReachUnknown && l.Jump:
			how = ReachJumps
		case how == ReachUnknown:
			how = ReachCalls
		}
	}
	n := 0
	for _, name := range r.inlined {
		if m.isBody(name) {
			n++
		}
	}
	switch {
	case n == 0:
		return how, ""
	case m.generic() && !b.ofInstance(w, m, b.o):
		return ReachUnknown, ""
	case how != ReachUnknown:
		return ReachUnknown, "it both calls the method and has inlined it"
	case n > 1:
		return ReachUnknown, fmt.Sprintf("it has inlined the method %d times", n)
	case len(r.inlined) > 1:
		return ReachUnknown, "it has inlined another function beside the method: " + strings.Join(r.inlined, ", ")
	}
	return ReachInlined, ""
}

// newWrapperFinder finds the functions that the compiler made for methods of the same
// names as those among funcs; nil if there are no methods.
func (b *executable) newWrapperFinder(funcs []*Func, o *options) (*wrapperFinder, error) {
	names := make(map[string]bool)
	for _, f := range funcs {
		if _, m, ok := symbols.MethodName(f.name); ok {
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
	found := &wrapperFinder{
		executable: b, o: o, byName: make(map[string][]*madeBy), byEntry: make(map[symbols.VirtAddr]*madeBy),
		known: make(map[symbols.VirtAddr]*reaches),
	}
	for _, s := range all {
		w, ok, err := b.asWrapper(s)
		if err != nil {
			return nil, err
		}
		if ok {
			_, m, _ := symbols.MethodName(s.Name)
			found.byName[m], found.byEntry[s.Entry] = append(found.byName[m], &w), &w
		}
	}
	return found, nil
}

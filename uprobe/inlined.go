package uprobe

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/argtap/argtap/abi"
	"github.com/argtap/argtap/dwarfargs"
	"github.com/argtap/argtap/internal/site"
	"github.com/argtap/argtap/symbols"
)

// WithInlined also traces the calls in whose place the compiler has put the body of
// the function, and functions of which nothing else is left. Such a call is marked:
// see [Call.Inlined]. Each place is a [Func] of its own, and its arguments are those
// that the debug information knows there: constants and what the code has no use for
// are absent. It has no results and no duration, also with [WithResults].
//
// A place is left out where no instruction is known to be executed exactly once a
// call, as where a body begins with a loop, or when the compiler has mixed it with
// what surrounds it: see [Tracer.LeftOut]. A call of which no instruction is left,
// because its result is known or was computed before, is not seen.
func WithInlined() Option {
	return func(o *options) error {
		o.inlined = true
		return nil
	}
}

// InlinedFunc is a function that was inlined, and where.
type InlinedFunc struct {
	Name string
	// OutOfLine says that the function has code of its own, too.
	OutOfLine bool
	// Places are where its body is, by caller, file and line. A place is there more
	// than once if its caller was itself inlined in several places.
	Places []Inlining
}

// ListInlined calls found for each function that a name or pattern selects, all if
// it is "", and that was inlined anywhere, in the order of the names. It needs no
// privileges and works on any operating system. The error is [ErrNoDebugInfo] if
// nothing tells of inlined functions.
func ListInlined(binary, pattern string, found func(InlinedFunc), opts ...Option) error {
	b, _, err := openBinary(binary, opts)
	if err != nil {
		return err
	}
	defer b.close()
	if b.dwarf == nil {
		return fmt.Errorf("%s: %w: only that knows of inlined functions: %w", binary, ErrNoDebugInfo, b.noDwarf)
	}
	funcs := map[string]*InlinedFunc{}
	err = b.dwarf.InlinedCopies(wantInlined(pattern), func(c *dwarfargs.InlinedCopy) bool {
		f := funcs[c.Name]
		if f == nil {
			f = &InlinedFunc{Name: c.Name}
			funcs[c.Name] = f
		}
		f.Places = append(f.Places, Inlining{Caller: c.Caller, File: c.File, Line: c.Line})
		return true
	})
	if err != nil {
		return err
	}
	for fn, err := range b.file.Funcs() {
		if err != nil {
			break
		}
		if f := funcs[fn.Name]; f != nil {
			f.OutOfLine = true
		}
	}
	names := make([]string, 0, len(funcs))
	for name := range funcs {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		f := funcs[name]
		slices.SortStableFunc(f.Places, func(a, b Inlining) int {
			return cmp.Or(strings.Compare(a.Caller, b.Caller), strings.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line))
		})
		found(*f)
	}
	return nil
}

// wantInlined returns what selects the functions of a name or pattern, which for
// generic functions need not have type arguments.
func wantInlined(pattern string) func(string) bool {
	switch {
	case pattern == "":
		return nil
	case symbols.IsPattern(pattern):
		return func(name string) bool { return symbols.Match(pattern, name) }
	}
	return func(name string) bool { return name == pattern || withoutTypeArgs(name) == pattern }
}

// withoutTypeArgs returns a function's name without type arguments:
// "main.(*Stack).Push" of "main.(*Stack[go.shape.int]).Push".
func withoutTypeArgs(name string) string {
	i := strings.IndexByte(name, '[')
	if i < 0 {
		return name
	}
	depth := 0
	for k := i; k < len(name); k++ {
		switch name[k] {
		case '[':
			depth++
		case ']':
			if depth--; depth == 0 {
				return name[:i] + name[k+1:]
			}
		}
	}
	return name
}

// inlinedSpots finds the inlined copies of the functions that a name or pattern
// selects.
func (b *executable) inlinedSpots(pattern string, o *options) ([]spot, error) {
	if b.dwarf == nil {
		return nil, fmt.Errorf("%w: only that knows of inlined functions: %w", ErrNoDebugInfo, b.noDwarf)
	}
	var copies []*dwarfargs.InlinedCopy
	err := b.dwarf.InlinedCopies(wantInlined(pattern), func(c *dwarfargs.InlinedCopy) bool {
		copies = append(copies, c)
		return true
	})
	if err != nil {
		return nil, err
	}
	hosts := map[symbols.VirtAddr]*copyHost{}
	spots := make([]spot, 0, len(copies))
	for _, c := range copies {
		pl := codePlace{inlined: []Inlining{{Caller: c.Caller, File: c.File, Line: c.Line}}, depth: c.Depth + 1}
		spots = append(spots, spot{name: c.Name, addr: c.Ranges[0].Low, place: pl, make: func() (*Func, error) {
			h := hosts[c.Entry]
			if h == nil {
				h = b.copyHost(c.Entry, o)
				hosts[c.Entry] = h
			}
			f, err := b.inlinedCopy(h, c, pl, o)
			if err != nil {
				err = &FuncError{c.Name, fmt.Errorf("inlined in %s: %w", pl.inlined[0], err)}
			}
			return f, err
		}})
	}
	return spots, nil
}

// copyHost is a function that has inlined copies of others.
type copyHost struct {
	*hosted
	calls []symbols.InlinedCall
	depth []int // of calls
	err   error
}

func (b *executable) copyHost(entry symbols.VirtAddr, o *options) *copyHost {
	h := new(copyHost)
	s, err := b.file.At(entry)
	if err == nil {
		h.hosted, err = b.host(s, o)
	}
	if err == nil {
		h.calls, err = h.t.Inlined(h.fn)
	}
	h.err = err
	h.depth = make([]int, len(h.calls))
	for i, c := range h.calls {
		if c.Parent >= 0 {
			h.depth[i] = h.depth[c.Parent] + 1
		}
	}
	return h
}

// call finds the runtime's word on an inlined call. There is one call for each
// nesting at an instruction.
func (h *copyHost) call(c *dwarfargs.InlinedCopy) (*symbols.InlinedCall, bool) {
	for i := range h.calls {
		k := &h.calls[i]
		if h.depth[i] != c.Depth || len(k.Ranges) == 0 || k.ParentPC == 0 {
			continue
		}
		if !slices.ContainsFunc(k.Ranges, func(r symbols.Range) bool { return !c.Contains(r.Low) || !c.Contains(r.High-1) }) {
			return k, true
		}
	}
	return nil, false
}

// inlinedCopy works out one copy.
func (b *executable) inlinedCopy(h *copyHost, c *dwarfargs.InlinedCopy, pl codePlace, o *options) (*Func, error) {
	if h.err != nil {
		return nil, h.err
	}
	call, ok := h.call(c)
	if !ok {
		return nil, fmt.Errorf("%w: the runtime's table of inlined calls does not have it", ErrNoSite)
	}
	p, err := h.flow.InlinedSite(c.Contains, call.ParentPC)
	if err != nil {
		return nil, err
	}
	if p.CFA, err = b.cfa(h.hosted, p.Addr); err != nil {
		return nil, err
	}
	sites := &site.Sites{Entry: p, Why: "where the body of the inlined call begins"}
	read := func(depth int) ([]variable, error) {
		params, optimized, err := b.dwarf.CopyParams(c, depth)
		if err != nil {
			return nil, err
		}
		ps := make([]*dwarfargs.Param, len(params))
		for i := range params {
			ps[i] = &params[i]
		}
		vars := b.locate(ps, p.Addr, sight{optimized: optimized, inlined: true}, o)
		for i := range vars {
			if name, moved := strings.CutPrefix(vars[i].name, "&"); moved { // to the heap, which has not happened yet
				vars[i].name, vars[i].location = name, abi.Absent(vars[i].typ.Size, abi.UnsupportedLocation)
			}
		}
		return vars, nil
	}
	return b.placed(h.hosted, c.Name, sites, pl, read, o)
}

// errInlined is the error of a function that was inlined everywhere: it says where.
func (b *executable) errInlined(name string) error {
	var places []Inlining
	err := b.dwarf.InlinedCopies(func(n string) bool { return n == name }, func(c *dwarfargs.InlinedCopy) bool {
		places = append(places, Inlining{Caller: c.Caller, File: c.File, Line: c.Line})
		return len(places) < 1<<16
	})
	where := "no instruction of it is left"
	if err == nil && len(places) > 0 {
		const shown = 3
		var texts []string
		for _, p := range places[:min(len(places), shown)] {
			texts = append(texts, p.String())
		}
		where = "in " + strings.Join(texts, ", ")
		if n := len(places) - shown; n > 0 {
			where += fmt.Sprintf(" and %d more places", n)
		}
	}
	return &FuncError{name, fmt.Errorf("%w: %s: no code of its own is left to probe; "+
		"trace the inlined copies with WithInlined (-inlined), or build it with //go:noinline", ErrInlined, where)}
}

// spots returns the places that a name or pattern selects beside whole functions,
// and whether it selects nothing else.
func (b *executable) spots(pattern string, o *options) (spots []spot, only bool, err error) {
	if file, line, ok := parseLine(pattern); ok {
		spots, err = b.lineSpots(file, line, o)
		return spots, true, err
	}
	if err := notLine(pattern); err != nil {
		return nil, true, err
	}
	if !o.inlined {
		return nil, false, nil
	}
	spots, err = b.inlinedSpots(pattern, o)
	return spots, false, err
}

// findAll returns what a name or pattern selects: functions, and places.
func (b *executable) findAll(pattern string, o *options) ([]selected, []spot, error) {
	spots, only, err := b.spots(pattern, o)
	if only || err != nil {
		return nil, spots, err
	}
	syms, err := b.find(pattern, o)
	if err != nil && len(spots) > 0 && (errors.Is(err, ErrNoFunc) || errors.Is(err, ErrInlined)) {
		err = nil
	}
	return syms, spots, err
}

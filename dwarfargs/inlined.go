package dwarfargs

import (
	"strings"

	"github.com/argtap/argtap/symbols"
)

// InlinedCopy is an inlined call, and the function whose code it is in.
type InlinedCopy struct {
	InlinedCall
	// Host is the name of the function, Entry its first instruction.
	Host  string
	Entry symbols.VirtAddr
	// Depth is the number of inlined calls that it is in itself.
	Depth int

	host int // offset of the function's DIE
}

// InlinedCopies calls visit with the inlined calls of the functions whose full names
// are wanted, all if want is nil, in the order of the debug information, until it
// returns false. Calls that left no instruction are missing. It reads all of
// .debug_info.
//
// visit must not call methods of d.
func (d *Data) InlinedCopies(want func(name string) bool, visit func(*InlinedCopy) bool) error {
	defer d.hurry()()
	d.mu.Lock()
	defer d.mu.Unlock()
	names := map[int]string{} // by the offset of the abstract instance
	_, err := d.eachUnit(func(u *unit) (bool, error) {
		w := copyWalk{d: d, u: u, names: names, want: want, visit: visit}
		err := w.run()
		return w.stopped, err
	})
	return err
}

type copyWalk struct {
	d       *Data
	u       *unit
	names   map[int]string
	want    func(string) bool
	visit   func(*InlinedCopy) bool
	stopped bool
	// stack has the functions and inlined calls that are open, the outermost first.
	stack []openDIE
}

type openDIE struct {
	depth int // of the DIE
	name  string
	off   int // of a function with code
	entry uint64
}

// run walks through the unit's DIEs.
func (w *copyWalk) run() error {
	c := w.d.cursor(w.d.info, w.u.die, w.u.end)
	var e die
	for depth := 0; c.more(); {
		at := c.off
		code := c.uleb()
		if code == 0 {
			if depth--; depth <= 0 {
				break
			}
			for n := len(w.stack); n > 0 && w.stack[n-1].depth >= depth; n-- {
				w.stack = w.stack[:n-1]
			}
			continue
		}
		a := w.u.abbrevs.get(code)
		if a == nil {
			c.fail(errNoAbbrev)
			break
		}
		switch {
		case a.tag == tagSubprogram && a.hasLowPC && a.children, a.tag == tagInlinedRoutine && len(w.stack) > 0:
			c.off = at
			if err := w.u.readDIE(&c, &e); err != nil {
				return err
			}
			open, err := w.open(&e, depth)
			if err != nil || w.stopped {
				return err
			}
			if e.children && depth < maxBlocks {
				w.stack = append(w.stack, open)
			}
		default:
			c.skipAttrs(a, w.u.format)
		}
		if a.children {
			depth++
		}
	}
	return c.err
}

// open takes a function, or an inlined call.
func (w *copyWalk) open(e *die, depth int) (openDIE, error) {
	o := openDIE{depth: depth, off: e.off}
	var err error
	if e.tag == tagSubprogram {
		if o.entry, _, err = w.d.address(w.u, e, attrLowPC); err == nil {
			o.name, err = w.d.originName(w.u, e.off)
		}
		return o, err
	}
	at, ok, err := w.d.ref(w.u, e, attrAbstractOrigin)
	if err != nil || !ok {
		return o, err
	}
	if o.name, ok = w.names[at]; !ok {
		if o.name, err = w.d.originName(w.u, at); err != nil {
			return o, err
		}
		w.names[at] = o.name
	}
	if w.want != nil && !w.want(o.name) {
		return o, nil
	}
	ranges, err := w.d.rangesOf(w.u, e)
	if err != nil || len(ranges) == 0 {
		return o, err
	}
	call, err := w.d.inlinedCall(w.u, e, w.stack[len(w.stack)-1].name, ranges)
	if err != nil {
		return o, err
	}
	host := w.stack[0]
	w.stopped = !w.visit(&InlinedCopy{
		InlinedCall: *call, Host: host.name, Entry: symbols.VirtAddr(host.entry), Depth: len(w.stack) - 1, host: host.off,
	})
	return o, nil
}

// CopyParams returns the parameters of an inlined call, the receiver first, without
// results, with types to depth pointer hops, and whether the compiler optimised.
// [Param.At] tells where they are at an address.
func (d *Data) CopyParams(c *InlinedCopy, depth int) (params []Param, optimized bool, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	chain, err := d.origins(c.u, c.off)
	if err != nil {
		return nil, false, err
	}
	host, err := d.origins(c.u, c.host)
	if err != nil {
		return nil, false, err
	}
	w := d.newScopeReader(c.u, frameBaseOf(host), uint64(c.Entry), hopsFor(depth))
	raw, err := d.readParams(w.r, chain, w.depth)
	if err == nil {
		err = w.r.commit()
	}
	if err != nil {
		return nil, false, err
	}
	for i := range raw {
		p := &raw[i].Param
		if raw[i].result || strings.HasPrefix(p.Name, ".") || strings.HasPrefix(p.Name, "~") {
			continue
		}
		p.ev, p.low, p.ptr = w.ev, w.low, d.ptrSize
		p.dialect = dialect{isGo: w.isGo, split: w.isGo && w.optimized && p.loc.isList}
		params = append(params, *p)
	}
	return params, w.optimized, nil
}

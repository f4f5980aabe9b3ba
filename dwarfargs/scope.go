package dwarfargs

import (
	"fmt"
	"strings"

	"github.com/argtap/argtap/abi"
	"github.com/argtap/argtap/symbols"
)

const (
	// maxBlocks bounds how deep blocks and inlined calls are nested.
	maxBlocks = 256
	// maxVariables bounds the variables in scope at one address.
	maxVariables = 1 << 12
)

// Scope is what the source of an instruction can name.
type Scope struct {
	// Func is the name of the function whose source it is: that of an inlined one,
	// if Inlined is not empty.
	Func string
	// Inlined are the calls that the instruction is inlined by, the outermost
	// first.
	Inlined []InlinedCall
	// Vars are the parameters and local variables in scope, by declaration: those of
	// inner blocks behind those of outer ones, without those that are shadowed.
	Vars []Variable
	// Optimized is false for what -N has built.
	Optimized bool
}

// Variable is a parameter or local variable.
type Variable struct {
	Param
	// Line of the declaration, 0 if it is not known.
	Line int
	// IsParam says that it is a parameter of the function, IsResult a result.
	IsParam, IsResult bool
	// Heap says that the variable was moved to the heap: Type is a pointer to it,
	// and so is what lies at the location.
	Heap bool
	// Captured says that a func literal has the variable from the function that it
	// is in.
	Captured bool
	block    int // how deep the block is
}

// ScopeAt returns what is in scope at pc, an instruction of the function fn, with
// types to depth pointer hops. It lists variables whose declaration stands before
// line only, a line of the source of the instruction; 0 lists all. The error is
// [ErrNoEntry] if DWARF has no function at fn.Entry, [ErrClosed], or a
// [*DecodeError].
func (d *Data) ScopeAt(fn symbols.Func, pc symbols.VirtAddr, line, depth int) (*Scope, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	s, err := d.scopeAt(fn, pc, line, hopsFor(depth))
	if err != nil {
		return nil, fmt.Errorf("func %s: scope at %#x: %w", fn.Name, uint64(pc), err)
	}
	return s, nil
}

func (d *Data) scopeAt(fn symbols.Func, pc symbols.VirtAddr, line, depth int) (*Scope, error) {
	u, off, err := d.subprogramAt(uint64(fn.Entry), unitNames(strings.TrimSuffix(fn.Name, ".abi0")))
	if err != nil {
		return nil, err
	}
	chain, err := d.origins(u, off)
	if err != nil {
		return nil, err
	}
	s := &Scope{}
	if s.Func, err = d.nameOf(chain); err != nil {
		return nil, err
	}
	frameBase := frameBaseOf(chain)
	if s.Inlined, chain, err = d.inlinedChain(chain, pc); err != nil {
		return nil, err
	}
	if n := len(s.Inlined); n > 0 {
		s.Func = s.Inlined[n-1].Name
	}
	w := d.newScopeReader(u, frameBase, uint64(fn.Entry), depth)
	w.line = line
	s.Optimized = w.optimized
	if err := w.read(chain, pc); err != nil {
		return nil, err
	}
	s.Vars = w.visible()
	return s, nil
}

// nameOf returns the first name in a chain of DIEs.
func (d *Data) nameOf(chain []origin) (string, error) {
	for _, o := range chain {
		if s, err := d.str(o.u, o.e, attrName); err != nil || s != "" {
			return s, err
		}
	}
	return "", nil
}

func frameBaseOf(chain []origin) []byte {
	for _, o := range chain {
		if v, ok := o.e.get(attrFrameBase); ok && v.isBlock() {
			return append([]byte{}, v.b...)
		}
	}
	return nil
}

func within(ranges []symbols.Range, pc symbols.VirtAddr) bool {
	for _, r := range ranges {
		if r.Low <= pc && pc < r.High {
			return true
		}
	}
	return false
}

// rangesOf returns where the code of a DIE is: DW_AT_ranges, or from DW_AT_low_pc
// to DW_AT_high_pc.
func (d *Data) rangesOf(u *unit, e *die) ([]symbols.Range, error) {
	v, ok := e.get(attrRanges)
	if !ok {
		low, ok, err := d.address(u, e, attrLowPC)
		if err != nil || !ok {
			return nil, err
		}
		high, ok, err := d.highPC(u, e, low)
		if err != nil || !ok || high <= low {
			return nil, err
		}
		return []symbols.Range{{Low: symbols.VirtAddr(low), High: symbols.VirtAddr(high)}}, nil
	}
	c, err := d.rangeCursor(u, v)
	if err != nil {
		return nil, err
	}
	var ranges []symbols.Range
	err = d.eachRange(u, &c, func(low, high uint64) bool {
		ranges = append(ranges, symbols.Range{Low: symbols.VirtAddr(low), High: symbols.VirtAddr(high)})
		if len(ranges) == maxListEntries {
			c.fail(errTooManyEntries)
		}
		return true
	})
	return ranges, err
}

// scopeReader reads variables.
type scopeReader struct {
	d         *Data
	r         *typeReader
	ev        evaluator
	low       uint64
	isGo      bool
	optimized bool
	depth     int
	line      int
	vars      []Variable
	seen      map[int]bool // offsets of abstract DIEs
}

func (d *Data) newScopeReader(u *unit, frameBase []byte, low uint64, depth int) *scopeReader {
	_, flags, ok := goProducer(u.producer)
	w := &scopeReader{d: d, r: d.newTypeReader(), low: low, depth: depth, isGo: u.isGo(), optimized: true, seen: map[int]bool{}}
	w.ev = evaluator{order: d.order, addrSize: u.addrSize, frameBase: frameBase}
	for _, f := range strings.Fields(flags) {
		w.optimized = w.optimized && !(ok && f == "-N")
	}
	return w
}

// read reads the variables of the function or inlined call with the DIEs in chain
// that are in scope at pc.
func (w *scopeReader) read(chain []origin, pc symbols.VirtAddr) error {
	if err := w.block(chain[0].u, chain[0].e, pc, 0); err != nil {
		return err
	}
	// What all instances have in common lists parameters of which this one has
	// nothing to say.
	for _, o := range chain[1:] {
		err := w.d.children(o.u, o.e, func(e *die) (bool, error) {
			if e.tag != tagFormalParameter || w.seen[e.off] {
				return true, nil
			}
			return true, w.add(o.u, e, 0)
		})
		if err != nil {
			return err
		}
	}
	return w.r.commit()
}

func (w *scopeReader) block(u *unit, parent *die, pc symbols.VirtAddr, nesting int) error {
	if nesting > maxBlocks {
		return decodeErr(".debug_info", parent.off, errTooDeep)
	}
	return w.d.children(u, parent, func(e *die) (bool, error) {
		switch e.tag {
		case tagFormalParameter, tagVariable:
			return true, w.add(u, e, nesting)
		case tagLexicalBlock:
			ranges, err := w.d.rangesOf(u, e)
			if err != nil || !within(ranges, pc) {
				return true, err
			}
			if _, e, err = w.d.dieAt(e.off); err != nil {
				return false, err
			}
			return true, w.block(u, e, pc, nesting+1)
		}
		return true, nil
	})
}

// add adds the variable that e describes, which has its name and type, or refers
// to a DIE that has them.
func (w *scopeReader) add(u *unit, e *die, nesting int) error {
	if len(w.vars) == maxVariables {
		return decodeErr(".debug_info", e.off, errTooBig)
	}
	chain := []origin{{u, e}}
	if _, ok := e.get(attrAbstractOrigin); ok {
		var err error
		if chain, err = w.d.origins(u, e.off); err != nil {
			return err
		}
		if w.seen[chain[1].e.off] {
			return nil // a result that is there twice
		}
		w.seen[chain[1].e.off] = true
	}
	v := Variable{Param: Param{TypeParam: -1}, IsParam: e.tag == tagFormalParameter, block: nesting}
	var err error
	if v.Name, err = w.d.nameOf(chain); err != nil {
		return err
	}
	typed := false
	for _, o := range chain {
		v.IsResult = v.IsResult || o.e.uint(attrVariableParam) != 0
		v.Captured = v.Captured || o.e.uint(attrGoClosureOffset) != 0
		if n := o.e.uint(attrDeclLine); v.Line == 0 && n < 1<<31 {
			v.Line = int(n)
		}
		if typed {
			continue
		}
		off, ok, err := w.d.ref(o.u, o.e, attrType)
		if err != nil {
			return err
		}
		if typed = ok; !ok {
			continue
		}
		if v.TypeParam, err = w.d.dictIndex(off); err != nil {
			return err
		}
		if v.Type, err = w.r.read(off, w.depth, 0); err != nil {
			return err
		}
	}
	if v.IsResult {
		v.IsParam = false
	}
	switch {
	case !typed, v.Name == "", v.Name == "_":
		return nil
	case w.isGo && (v.Name[0] == '.' || v.Name[0] == '~'):
		return nil // the compiler's own, blank parameters and results without a name
	case w.line > 0 && !v.IsParam && !v.IsResult && !v.Captured && v.Line >= w.line:
		return nil // declared later
	}
	if w.isGo {
		if name, ok := strings.CutPrefix(v.Name, "&"); ok {
			if v.Type.Kind != abi.Pointer || v.Type.Elem == nil {
				return nil
			}
			v.Name, v.Heap = name, true
		}
	}
	if v.loc, err = w.d.location(u, e); err != nil {
		return err
	}
	v.ev, v.low, v.ptr = w.ev, w.low, w.d.ptrSize
	v.dialect = dialect{isGo: w.isGo, split: w.isGo && w.optimized && v.loc.isList}
	w.vars = append(w.vars, v)
	return nil
}

// visible returns the variables without those that others of the same name shadow:
// in inner blocks, or declared later in the same.
func (w *scopeReader) visible() []Variable {
	best := map[string]int{}
	for i := range w.vars {
		v := &w.vars[i]
		k, ok := best[v.Name]
		if !ok {
			best[v.Name] = i
			continue
		}
		o := &w.vars[k]
		switch {
		case v.block != o.block:
			if v.block > o.block {
				best[v.Name] = i
			}
		case v.Heap != o.Heap:
			// A parameter that was moved to the heap is there as both.
			if v.Heap {
				v.IsParam, v.IsResult = o.IsParam, o.IsResult
				best[v.Name] = i
			} else {
				o.IsParam, o.IsResult = v.IsParam, v.IsResult
			}
		case v.Line > o.Line:
			best[v.Name] = i
		}
	}
	var out []Variable
	for i := range w.vars {
		if best[w.vars[i].Name] == i {
			out = append(out, w.vars[i])
		}
	}
	return out
}

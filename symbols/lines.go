package symbols

import (
	"errors"
	"fmt"
)

// Position is where in the source an instruction comes from.
type Position struct {
	// Func is the name of the function whose source it is.
	Func string
	// File is the file's path as the compiler was given it, "" if it is not known,
	// Line the number of the line, 0 if it is not known.
	File string
	Line int32
	// StartLine is the line of the function's declaration, 0 before Go 1.20.
	StartLine int32
	// Inlined says that the function was inlined into the one of the position that
	// follows.
	Inlined bool
	// Wrapper says that the compiler made the function: see [TableFunc.Wrapper], but
	// known in Go 1.11, too.
	Wrapper bool
}

// Lines is what the function table says of an instruction.
type Lines struct {
	// Func is the function whose code it is in.
	Func TableFunc
	// Frame is by how many bytes SP is below what it is when the function is
	// entered; -1 if that is not known.
	Frame int64
	// Positions has the position of the instruction; then, if that is in the body
	// of an inlined function, the position of the call that was inlined, and so on.
	// The last one is in the source of Func.
	Positions []Position
}

// maxInlineDepth bounds the calls that are inlined one within another. The
// compiler's budget for inlining allows far fewer.
const maxInlineDepth = 1 << 7

// Lines returns what the table says of the instruction at a, or that contains a:
// where it comes from, inlined calls expanded, as runtime.CallersFrames does. For a
// return address give the address before it: the call's. The error is [ErrNoFunc]
// if a is in no function.
func (t *FuncTable) Lines(a VirtAddr) (Lines, error) {
	l, err := t.lines(a)
	if err != nil {
		return Lines{}, t.f.wrap(fmt.Sprintf("find the source of %#x", uint64(a)), err)
	}
	return l, nil
}

func (t *FuncTable) lines(a VirtAddr) (Lines, error) {
	fn, err := t.at(a)
	if err != nil {
		return Lines{}, err
	}
	l := Lines{Func: fn, Frame: -1}
	if fn.Foreign {
		l.Positions = []Position{{Func: fn.Name}}
		return l, nil
	}
	r, err := t.record(fn)
	if err != nil {
		return Lines{}, err
	}
	s := source{t: t, n: t.reader(), fn: fn, r: r}
	if pcsp := t.f.u32(r.b[t.layout.pcsp:]); pcsp != 0 {
		v, err := s.value(pcsp, a)
		if err != nil {
			return Lines{}, err
		}
		l.Frame = int64(v)
	}
	if err := s.readTree(); err != nil {
		return Lines{}, err
	}
	l.Positions, err = s.positions(a)
	return l, err
}

// source looks up positions in one function.
type source struct {
	t  *FuncTable
	n  *tableReader
	fn TableFunc
	r  *record
	// inlined is the table of PCs that refers to the tree of inlined calls, 0 if
	// there are none, tree where that is, and layout its layout.
	inlined uint32
	tree    VirtAddr
	layout  inlineLayout
}

// readTree finds the inlined calls.
func (s *source) readTree() error {
	var err error
	if s.layout, err = s.t.inlineLayout(); err != nil {
		return err
	}
	refs, err := s.t.refs(s.r)
	if err != nil || s.layout.pcdata >= len(refs.pcdata) || refs.pcdata[s.layout.pcdata] == 0 {
		return err
	}
	tree, ok, err := s.t.dataOf(refs, s.layout.funcdata)
	if err == nil && ok {
		s.tree, s.inlined = tree, refs.pcdata[s.layout.pcdata]
	}
	return err
}

// value returns the value that the table of PCs at off has for the instruction at
// a, -1 if it has none.
func (s *source) value(off uint32, a VirtAddr) (v int32, err error) {
	v = -1
	err = s.n.pcTable(off, func(b []byte) bool {
		v = -1
		pc := s.fn.Entry
		return pcSteps(b, func(step pcStep) bool {
			next := pc + VirtAddr(uint64(step.units)*s.t.quantum)
			if a >= pc && a < next {
				v = step.value
				return false
			}
			pc = next
			return a >= pc
		})
	})
	return v, err
}

// file returns the file that a value of the table of files stands for.
func (s *source) file(v int32) (string, error) {
	if v < 0 {
		return "", nil
	}
	key := uint64(uint32(v))
	if cu := s.t.layout.cu; cu >= 0 {
		key += uint64(s.t.f.u32(s.r.b[cu:]))
	}
	name, err := s.n.fileName(key)
	return string(name), err
}

// at returns file and line of the instruction at a.
func (s *source) at(a VirtAddr) (p Position, err error) {
	if off := s.t.f.u32(s.r.b[s.t.layout.pcfile:]); off != 0 {
		v, err := s.value(off, a)
		if err != nil {
			return p, err
		}
		if p.File, err = s.file(v); err != nil {
			return p, err
		}
	}
	// The table of lines is behind that of files in all layouts.
	if off := s.t.f.u32(s.r.b[s.t.layout.pcfile+4:]); off != 0 {
		v, err := s.value(off, a)
		if err != nil {
			return p, err
		}
		p.Line = max(v, 0)
	}
	return p, nil
}

// positions returns the positions of the instruction at a.
func (s *source) positions(a VirtAddr) ([]Position, error) {
	var all []Position
	p, err := s.at(a)
	if err != nil {
		return nil, err
	}
	call := int32(-1)
	if s.inlined != 0 {
		if call, err = s.value(s.inlined, a); err != nil {
			return nil, err
		}
	}
	for call >= 0 {
		if len(all) == maxInlineDepth || call >= maxInlined {
			return nil, s.t.malformed(s.t.funcs.off+s.r.at, "inlined call %d, %d deep", call, len(all))
		}
		var outer Position
		if outer, call, err = s.expand(&p, call); err != nil {
			return nil, err
		}
		all = append(all, p)
		p = outer
	}
	p.Func, p.StartLine, p.Wrapper = s.fn.Name, s.fn.StartLine, s.fn.Wrapper
	if _, known := s.t.wrapper(); !known { // Go 1.11 has no number for them
		p.Wrapper = p.File == "<autogenerated>"
	}
	return append(all, p), nil
}

// expand completes p, a position in the body of an inlined call, and returns that
// of the call, and the call whose body it is in, -1 for none.
func (s *source) expand(p *Position, call int32) (outer Position, parent int32, err error) {
	l := &s.layout
	b := make([]byte, l.size)
	if err := s.t.f.image(s.tree+VirtAddr(int(call)*l.size), b); err != nil {
		return outer, -1, fmt.Errorf("inlined call %d: %w", call, err)
	}
	name, ok, err := s.n.name(s.t.f.u32(b[l.name:]))
	if err != nil {
		return outer, -1, fmt.Errorf("inlined call %d: %w", call, err)
	}
	if ok {
		p.Func = string(name)
	}
	p.Inlined = true
	if l.startLine >= 0 {
		p.StartLine = int32(s.t.f.u32(b[l.startLine:]))
	}
	if id, known := s.t.wrapper(); known && !l.parentWide {
		at := 0
		if l.parent >= 0 {
			at = 2 // behind the parent
		}
		p.Wrapper = b[at] == id
	}
	if l.parentPC < 0 { // Go 1.11 tells the call's file and line
		if outer.File, err = s.file(int32(s.t.f.u32(b[4:]))); err != nil {
			return outer, -1, err
		}
		outer.Line = max(int32(s.t.f.u32(b[l.line:])), 0)
	} else {
		at := s.fn.Entry + VirtAddr(int32(s.t.f.u32(b[l.parentPC:])))
		if at < s.fn.Entry || uint64(at-s.fn.Entry) >= max(s.fn.Size, 1) {
			return outer, -1, fmt.Errorf("inlined call %d: %w: it is at %#x", call, errOutside, uint64(at))
		}
		if outer, err = s.at(at); err != nil {
			return outer, -1, err
		}
		if l.parent < 0 {
			parent, err = s.value(s.inlined, at)
			return outer, parent, err
		}
	}
	if l.parentWide {
		parent = int32(s.t.f.u32(b[l.parent:]))
	} else {
		parent = int32(int16(s.t.f.u16(b[l.parent:])))
	}
	return outer, parent, nil
}

var errOutside = errors.New("outside its function")

// Package arginfo reads the tables by which the Go runtime prints arguments in
// a traceback: FUNCDATA_ArgInfo, which the compiler writes since Go 1.17 and
// which survives stripping. A table has the offset and the size of every word
// of a function's arguments, on the stack or in the spill slots, and how they
// are grouped. It does not have their types, nor which registers they are in.
//
// The compiler makes the tables from its own assignment of arguments, blank
// ones included, so they tell whether an assignment is right ([Info.Check]), and
// where there is no signature, what words a function takes ([Info.Params]).
//
// The writer is EmitArgInfo in cmd/compile/internal/ssagen/ssa.go, the reader
// that it is made for printArgs in runtime/traceback.go. The format is the same
// from Go 1.17 to 1.27.
package arginfo

import (
	"fmt"
	"strings"
)

// FuncData is the index of the table among a function's funcdata
// (FUNCDATA_ArgInfo in cmd/internal/objabi/funcdata.go, since Go 1.21
// internal/abi/symtab.go).
const FuncData = 5

// MaxLen is the most bytes that the compiler writes for one table, the end mark
// included (TraceArgsMaxLen in internal/abi/symtab.go). It is how much to read
// for [Parse], where so much is there.
const MaxLen = (maxDepth*3+2)*limit + 1

// The compiler's limits and marks (internal/abi/symtab.go, TraceArgs…; before
// Go 1.23 in EmitArgInfo itself).
const (
	limit    = 10 // components
	maxDepth = 5  // of nested groups

	endSeq         = 0xff
	startGroup     = 0xfe
	endGroup       = 0xfd
	dotdotdot      = 0xfc
	offsetTooLarge = 0xfb
	special        = 0xf0 // offsets are below, marks above
)

// Kind is the kind of a [Component].
type Kind uint8

// The kinds of components.
const (
	// Value is a word: a number, a pointer, or a part of a string, slice or
	// interface.
	Value Kind = iota
	// TooFar is a word whose offset and size are not recorded: the offset is
	// 240 or more.
	TooFar
	// Group is what a struct, array, string, slice, interface or complex number
	// consists of.
	Group
	// More stands for what is left out: components behind the tenth, and what
	// is in the fifth group of nested ones.
	More
)

// Component is a part of a function's arguments.
type Component struct {
	Kind Kind
	// Offset of a Value in bytes from the first word of the stack-assigned
	// arguments: its CFA offset less abi.Arch.ArgBase. A value that is passed
	// in a register has the offset of its place in the spill slots.
	Offset int64
	// Size of a Value in bytes.
	Size int
	// Elems are what a Group consists of, in the order of memory. It is empty
	// for an empty struct or array.
	Elems []Component
}

// Info is a function's table.
type Info struct {
	// Components has one element for each argument, in the order of the
	// assignment: the receiver first, blank ones included, the dictionary of
	// shaped generic code among them. But of a function with type arguments in
	// its name the first argument is missing, whatever it is (see [Info.Check]).
	// If Cut, the last element is of kind More.
	Components []Component
	// Cut says that there are more arguments than the table lists.
	Cut bool
}

// Parse reads the table that b begins with; bytes behind its end mark do not
// matter. The result does not refer to b. Errors name the byte of the table.
func Parse(b []byte) (*Info, error) {
	b = b[:min(len(b), MaxLen)]
	p := parser{b: b}
	list, err := p.list(0)
	if err != nil {
		return nil, fmt.Errorf("argument table (FUNCDATA %d): byte %d: %w", FuncData, p.at, err)
	}
	in := &Info{Components: list}
	if n := len(list); n > 0 && list[n-1].Kind == More {
		in.Cut = true
	}
	return in, nil
}

type parser struct {
	b  []byte
	at int
	// from is where the next value of the present group may begin: the compiler
	// writes a group in the order of memory.
	from int64
}

func (p *parser) next() (byte, error) {
	if p.at == len(p.b) {
		return 0, fmt.Errorf("no end in %d bytes", len(p.b))
	}
	p.at++
	return p.b[p.at-1], nil
}

// list reads components to the end of the group, or of the table where depth
// is 0.
func (p *parser) list(depth int) ([]Component, error) {
	var list []Component
	for {
		c, err := p.next()
		if err != nil {
			return nil, err
		}
		if n := len(list); n > 0 && list[n-1].Kind == More && c != endGroup && c != endSeq {
			return nil, fmt.Errorf("%#x behind what was left out", c)
		}
		switch {
		case c == endSeq && depth == 0, c == endGroup && depth > 0:
			return list, nil
		case c == startGroup && depth < maxDepth:
			if depth == 0 {
				p.from = 0
			}
			elems, err := p.list(depth + 1)
			if err != nil {
				return nil, err
			}
			list = append(list, Component{Kind: Group, Elems: elems})
		case c == dotdotdot:
			list = append(list, Component{Kind: More})
		case c == offsetTooLarge:
			p.from = special
			list = append(list, Component{Kind: TooFar})
		case c < special:
			size, err := p.next()
			if err != nil {
				return nil, err
			}
			// The largest value that is no group is a SIMD register.
			if size == 0 || size > 64 || size&(size-1) != 0 {
				return nil, fmt.Errorf("a value of %d bytes", size)
			}
			if depth > 0 && int64(c) < p.from {
				return nil, fmt.Errorf("a value at %d in a group that goes to %d already", c, p.from)
			}
			p.from = int64(c) + int64(size)
			list = append(list, Component{Kind: Value, Offset: int64(c), Size: int(size)})
		default:
			return nil, fmt.Errorf("unexpected mark %#x at depth %d", c, depth)
		}
	}
}

// String returns the table in the notation of this package's tests and errors:
// "16:1 {24:8 32:8} _ …", with offset and size of each value.
func (in *Info) String() string {
	var b strings.Builder
	writeList(&b, in.Components)
	return b.String()
}

// String returns the component as [Info.String] does.
func (c Component) String() string {
	var b strings.Builder
	c.write(&b)
	return b.String()
}

func writeList(b *strings.Builder, list []Component) {
	for i := range list {
		if i > 0 {
			b.WriteByte(' ')
		}
		list[i].write(b)
	}
}

func (c *Component) write(b *strings.Builder) {
	switch c.Kind {
	case Value:
		fmt.Fprintf(b, "%d:%d", c.Offset, c.Size)
	case TooFar:
		b.WriteByte('_')
	case Group:
		b.WriteByte('{')
		writeList(b, c.Elems)
		b.WriteByte('}')
	default:
		b.WriteString("…")
	}
}

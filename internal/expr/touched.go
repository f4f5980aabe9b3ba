package expr

import (
	"fmt"
	"go/constant"

	"github.com/argtap/argtap/abi"
)

// Path is a part of a parameter, or of what it leads to, that an expression
// reads.
type Path struct {
	// Param is the index of the parameter.
	Param int
	// Steps lead away from the image of the parameter.
	Steps []Step
	// Offset is where the read is, in bytes from where the last step ended, or in
	// the image if there is none. With repeats it is the first of several such
	// places.
	Offset  int64
	Repeats []Repeat
	// Size is how many bytes are read.
	Size int64
	// Maybe says that other values decide whether it is read: it is behind && or
	// ||.
	Maybe bool
	// Value says that it is the value of the expression, which may have more
	// behind it, and is not only needed to get there.
	Value bool
}

// Step is a reference that is followed.
type Step struct {
	// Kind of the reference: Pointer, Slice, String, Map, Chan or Interface.
	Kind abi.Kind
	// Type of what is there: what the pointer points to, an element, the value
	// in the interface. It is nil for what has no type in the program: an itab,
	// the head of a map or channel.
	Type *abi.Type
	// Offset and Repeats say where the reference is, as for [Path].
	Offset  int64
	Repeats []Repeat
	// Index of the element of a slice or string, -1 if it is not constant.
	Index int64
	// Key of the element of a map.
	Key constant.Value
}

// Repeat says that an offset stands for Count of them, Stride bytes apart: an
// array whose index is not constant.
type Repeat struct{ Stride, Count int64 }

// Touched returns what an expression reads, in the order of evaluation and each
// part once, so that only that need be captured. Everything that [Eval] can read
// is covered, and nothing else is in it but elements that a variable index does
// not choose.
func Touched(e *Expr) []Path {
	t := toucher{ptrSize: e.arch.PtrSize, seen: map[string]int{}}
	n := e.Root
	switch {
	case n.Type.Kind == abi.String || n.Type.Kind == abi.Slice:
		t.value = n.Op != Slice
		s := t.header(n)
		t.value = true
		t.limited(n, s)
	case n.IsPlace():
		at := t.place(n)
		t.value = true
		t.read(at, n.Type.Size)
	default:
		t.value = false
		t.scalar(n)
	}
	return t.paths
}

// spot is where a place is.
type spot struct {
	param   int
	steps   []Step
	offset  int64
	repeats []Repeat
}

// follow returns the spot behind a reference.
func (s spot) follow(step Step) spot {
	step.Offset, step.Repeats = s.offset, s.repeats
	return spot{param: s.param, steps: append(s.steps[:len(s.steps):len(s.steps)], step)}
}

func (s spot) plus(offset int64) spot {
	s.offset += offset
	return s
}

// sequence is a string or slice.
type sequence struct {
	// at is the header, or where the array is that was sliced.
	at    spot
	array int64 // elements of that array, -1 if there is a header
	kind  abi.Kind
	// low is the first element, -1 if it is not constant.
	low  int64
	none bool // a constant
}

type toucher struct {
	ptrSize int64
	paths   []Path
	seen    map[string]int // in paths
	maybe   bool
	value   bool
}

// read notes that bytes are read.
func (t *toucher) read(at spot, size int64) {
	if size == 0 {
		return
	}
	p := Path{Param: at.param, Steps: at.steps, Offset: at.offset, Repeats: at.repeats, Size: size, Maybe: t.maybe, Value: t.value}
	key := fmt.Sprint(p.Param, p.Offset, p.Repeats, p.Size)
	for _, s := range p.Steps {
		key += fmt.Sprint(" ", s.Kind, s.Type, s.Offset, s.Repeats, s.Index, s.Key)
	}
	if i, ok := t.seen[key]; ok {
		t.paths[i].Maybe = t.paths[i].Maybe && p.Maybe
		t.paths[i].Value = t.paths[i].Value || p.Value
		return
	}
	t.seen[key] = len(t.paths)
	t.paths = append(t.paths, p)
}

// inner evaluates an operand, which is not the expression's value.
func (t *toucher) inner(n *Node) {
	if n != nil {
		value := t.value
		t.value = false
		t.scalar(n)
		t.value = value
	}
}

// innerRead is read for what is not the expression's value.
func (t *toucher) innerRead(at spot, size int64) {
	value := t.value
	t.value = false
	t.read(at, size)
	t.value = value
}

// place returns where a place is, and notes what is read to get there.
func (t *toucher) place(n *Node) spot {
	switch n.Op {
	case As:
		return t.place(n.X)
	case Field:
		return t.place(n.X).plus(n.N)
	case Deref:
		at := t.place(n.X)
		t.innerRead(at, t.ptrSize)
		return at.follow(Step{Kind: abi.Pointer, Type: n.Type, Index: -1})
	case Index:
		at := t.place(n.X)
		t.inner(n.Y)
		return at.repeat(n.Type.Size, n.N)
	case Elem:
		value := t.value
		t.value = false
		s := t.header(n.X)
		t.value = value
		t.inner(n.Y)
		return s.elem(n.Type, constantIndex(n.Y))
	case MapElem:
		at := t.place(n.X)
		t.innerRead(at, t.ptrSize)
		return at.follow(Step{Kind: abi.Map, Type: n.Type, Index: -1, Key: n.Const})
	case Assert:
		at := t.place(n.X)
		t.innerRead(at, t.ptrSize)
		if n.Methods {
			t.innerRead(at.follow(Step{Kind: abi.Interface, Index: -1}).plus(t.ptrSize), t.ptrSize)
		}
		if n.Direct {
			return at.plus(t.ptrSize)
		}
		t.innerRead(at.plus(t.ptrSize), t.ptrSize)
		return at.follow(Step{Kind: abi.Interface, Type: n.Type, Index: -1})
	}
	return spot{param: int(n.N)}
}

func (s spot) repeat(stride, count int64) spot {
	s.repeats = append(s.repeats[:len(s.repeats):len(s.repeats)], Repeat{stride, count})
	return s
}

// constantIndex returns the value of an index, -1 if it is not constant.
func constantIndex(n *Node) int64 {
	if n == nil {
		return 0
	}
	if n.Op != Const {
		return -1
	}
	return int64(n.Bits())
}

// elem returns the spot of an element.
func (s sequence) elem(t *abi.Type, i int64) spot {
	if i >= 0 && s.low >= 0 {
		i += s.low
	} else {
		i = -1
	}
	switch {
	case s.array < 0:
		return s.at.follow(Step{Kind: s.kind, Type: t, Index: i})
	case i < 0:
		return s.at.repeat(t.Size, s.array)
	case i >= s.array:
		i = 0 // there is no such element
	}
	return s.at.plus(i * t.Size)
}

// header notes what is read for a string or slice, without its elements.
func (t *toucher) header(n *Node) sequence {
	switch n.Op {
	case As:
		return t.header(n.X)
	case Const:
		return sequence{none: true}
	case Slice:
		s := sequence{kind: n.X.Type.Kind, array: n.N}
		value := t.value
		t.value = false
		if n.X.Type.Kind == abi.Array {
			s.at = t.place(n.X)
			s.kind = abi.Slice
		} else {
			s = t.header(n.X)
		}
		t.value = value
		for _, limit := range []*Node{n.Y, n.Hi, n.Max} {
			t.inner(limit)
		}
		if low := constantIndex(n.Y); low < 0 || s.low < 0 {
			s.low = -1
		} else {
			s.low += low
		}
		return s
	}
	at := t.place(n)
	words := int64(2)
	if n.Type.Kind == abi.Slice {
		words = 3
	}
	t.read(at, words*t.ptrSize)
	return sequence{at: at, array: -1, kind: n.Type.Kind}
}

// limited notes the elements of an expression's value that limits choose: with
// constants those and no more, else all of an array, and of anything else none,
// because only its header says how many there are.
func (t *toucher) limited(n *Node, s sequence) {
	if n.Op != Slice || s.none {
		return
	}
	elem, size := n.Type.Elem, int64(1)
	if n.Type.Kind == abi.Slice {
		size = elem.Size
	}
	low, high := constantIndex(n.Y), int64(-1)
	if n.Hi != nil {
		high = constantIndex(n.Hi)
	}
	switch {
	case s.array >= 0 && (high < 0 || s.low < 0):
		t.read(s.at, s.array*size)
	case s.array >= 0:
		t.read(s.at.plus(s.low*size), min(high-low, s.array-s.low)*size)
	case s.low >= 0 && high > low:
		t.read(s.at.follow(Step{Kind: s.kind, Type: elem, Index: s.low}), (high-low)*size)
	}
}

// scalar notes what is read for a number, bool or address.
func (t *toucher) scalar(n *Node) {
	if n.IsPlace() {
		t.read(t.place(n), n.Type.Size)
		return
	}
	switch n.Op {
	case Len, Cap:
		t.length(n)
		return
	case AndAnd, OrOr:
		t.scalar(n.X)
		maybe := t.maybe
		t.maybe = true
		t.scalar(n.Y)
		t.maybe = maybe
		return
	case IsNil:
		switch n.X.Type.Kind {
		case abi.Slice:
			t.header(n.X)
		default:
			t.read(t.place(n.X), t.ptrSize)
		}
		return
	case Eq, Ne, Lt, Le, Gt, Ge:
		if n.X.Type.Kind == abi.String {
			t.compareStrings(n)
			return
		}
	}
	for _, x := range []*Node{n.X, n.Y} {
		if x != nil {
			t.scalar(x)
		}
	}
}

func (t *toucher) length(n *Node) {
	switch k := n.X.Type.Kind; k {
	case abi.Array:
		t.place(n.X)
	case abi.Map, abi.Chan:
		at := t.place(n.X)
		t.read(at, t.ptrSize)
		head := at.follow(Step{Kind: k, Index: -1})
		if n.Op == Cap {
			head.offset = t.ptrSize
		}
		t.read(head, t.ptrSize)
	case abi.Pointer:
		t.scalar(n.X)
	default:
		t.header(n.X)
	}
}

// compareStrings notes the bytes that can decide: as many as the constant has.
func (t *toucher) compareStrings(n *Node) {
	x, y := t.header(n.X), t.header(n.Y)
	size := int64(0)
	for _, operand := range []*Node{n.X, n.Y} {
		for operand.Op == As {
			operand = operand.X
		}
		if operand.Op == Const {
			size = int64(len(constant.StringVal(operand.Const)))
		}
	}
	for _, s := range []sequence{x, y} {
		if !s.none {
			t.read(s.elem(nil, 0), size)
		}
	}
}

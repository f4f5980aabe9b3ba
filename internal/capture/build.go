package capture

import (
	"slices"

	"github.com/argtap/argtap/abi"
)

// Build makes the plan for the given parameters of a function that was compiled
// for a. It never fails: what does not fit becomes a hole or an unfollowed
// reference, with its reason.
func Build(a *abi.Arch, inputs []Input, limits Limits) *Plan {
	b := &builder{limits: limits.WithDefaults(), plan: &Plan{PtrSize: int(a.PtrSize)}, bits: 1, base: HeaderSize}
	b.short = limits.NoLoops && limits.walkDepth() > b.limits.Depth
	b.pair()
	b.stack()
	off := b.base
	off = b.reasons(b.params(inputs, off))
	b.follow()
	b.finish(off)
	return b.plan
}

type builder struct {
	limits Limits
	plan   *Plan
	// bits is the next free bit of the failure word. Bit 0 is the goroutine.
	bits  int
	base  int // the size of the header
	queue []pending
	refs  int
	cost  int
	// erases counts the spans that are erased.
	erases int
	// short says that a walk would go deeper, but the kernel has no loops for one.
	short bool
}

// pending is an image whose references are still to be found.
type pending struct {
	image *Image
	depth int // pointers that may still be followed
	nest  int // slices within slices so far
	times int // how often the program may come here in one hit
	// looped says that the image is one of the elements of a slice, or that it is
	// reached from one by so many hops through pointers.
	looped bool
	hops   int
}

// pair makes room behind the header for what joins entry and return.
func (b *builder) pair() {
	if b.limits.Pair {
		b.plan.Pair = b.base
		b.base += PairSize
	}
}

// params lays out the inputs at record offset off and returns the offset behind
// them.
func (b *builder) params(inputs []Input, off int) int {
	for i, in := range inputs {
		if in.Dict {
			return b.dict(in, off)
		}
		off = b.param(i, in, off)
	}
	return off
}

// param lays out parameter i at record offset off and returns the offset
// behind it.
func (b *builder) param(i int, in Input, off int) int {
	size, beyond := min(max(in.Type.Size, 0), int64(b.limits.Bytes)), abi.Present
	if left := int64(maxImages - (off - b.base)); size > left {
		size, beyond = max(left, 0), abi.CutArgs
	}
	location := in.Location
	if in.Redacted || b.limits.Redact.Input(in.Name, in.Type) {
		// There is no place for it in the record.
		size, beyond, location, in.Expr = 0, abi.Redacted, nil, nil
	}
	if in.Expr != nil {
		location, in.Expr = in.Expr.locate()
	}
	img := b.limits.image(in.Type, size)
	img.Beyond = beyond
	b.plan.Params = append(b.plan.Params, Param{Name: in.Name, Image: img, Offset: off, Expr: in.Expr})
	for _, p := range location {
		b.piece(i, img, p, off)
	}
	b.queue = append(b.queue, pending{image: img, depth: b.limits.Depth, times: 1})
	return off + int(Align8(img.Size))
}

func (b *builder) piece(i int, img *Image, p abi.Piece, off int) {
	if p.Size <= 0 || p.Offset < 0 || p.Offset >= img.Size {
		return // beyond the cut: Image.Absent says so by Size
	}
	size := min(p.Size, img.Size-p.Offset)
	hole := func(r abi.Reason) {
		img.Holes = append(img.Holes, Hole{Offset: p.Offset, Size: size, Reason: r})
	}
	at := off + int(p.Offset)
	switch p.Kind {
	case abi.InRegister:
		if !storable(size) || size > int64(b.plan.PtrSize) {
			hole(unstorable(p, size))
			return
		}
		if size = b.kept(img, p.Offset, size); size == 0 {
			return
		}
		b.plan.Stores = append(b.plan.Stores, Store{Offset: at, Size: int(size), Reg: p.Reg})
	case abi.Constant:
		if !storable(size) {
			hole(unstorable(p, size))
			return
		}
		if size = b.kept(img, p.Offset, size); size == 0 {
			return
		}
		b.plan.Stores = append(b.plan.Stores, Store{Offset: at, Size: int(size), Const: p.Const, IsConst: true})
	case abi.InFrame, abi.InMemory:
		r := Read{
			Offset: at, Size: int(size), Frame: p.Kind == abi.InFrame,
			Reg: p.Reg, Disp: p.Disp, Param: i, Within: p.Offset,
		}
		if r.Frame {
			r.Disp = int64(p.CFA)
		}
		if b.erase(img, &r) {
			b.read(r, hole)
		}
	default:
		r := p.Reason
		if r == abi.Present {
			r = abi.OptimizedOut
		}
		hole(r)
	}
}

// read adds a read, joined to the one before where both the record and the
// memory continue.
func (b *builder) read(r Read, hole func(abi.Reason)) {
	if n := len(b.plan.Reads); n > 0 {
		l := &b.plan.Reads[n-1]
		if l.Param == r.Param && l.Frame == r.Frame && l.Reg == r.Reg &&
			l.Offset+l.Size == r.Offset && l.Disp+int64(l.Size) == r.Disp {
			l.Size += r.Size
			return
		}
	}
	if b.bits == MaxFixedReads {
		hole(abi.CutReads)
		return
	}
	r.Bit = b.bits
	b.bits++
	b.plan.Reads = append(b.plan.Reads, r)
}

// unstorable is the reason why a piece of which size bytes are wanted is not
// stored.
func unstorable(p abi.Piece, size int64) abi.Reason {
	if size < p.Size {
		return abi.CutValue
	}
	return abi.UnsupportedLocation
}

func storable(size int64) bool { return size == 1 || size == 2 || size == 4 || size == 8 }

// follow finds the references of all images, breadth first: when the budget
// is spent, what is missing is what lies deepest.
func (b *builder) follow() {
	for len(b.queue) > 0 {
		p := b.queue[0]
		b.queue = b.queue[1:]
		b.walk(p, p.image.Type, 0, 0)
		slices.SortFunc(p.image.Refs, func(x, y Ref) int { return int(x.Offset - y.Offset) })
	}
}

// maxTypeNesting bounds the recursion through structs and arrays. Types of the
// debug information cannot contain themselves without a pointer, but a
// malformed file may say so.
const maxTypeNesting = 64

func (b *builder) walk(p pending, t *abi.Type, off int64, nesting int) {
	if nesting > maxTypeNesting || t.Size <= 0 || off < 0 || off >= p.image.Size || len(p.image.Refs) >= 4*maxRefs {
		return
	}
	switch t.Kind {
	case abi.Struct:
		for i := range t.Fields {
			f := &t.Fields[i]
			b.walk(p, f.Type, off+f.Offset, nesting+1)
		}
	case abi.Array:
		if t.Elem == nil || t.Elem.Size <= 0 || !t.Elem.HasPointers() {
			return
		}
		for i := int64(0); i < t.Len && off+i*t.Elem.Size < p.image.Size; i++ {
			if len(p.image.Refs) >= 4*maxRefs {
				return
			}
			b.walk(p, t.Elem, off+i*t.Elem.Size, nesting+1)
		}
	case abi.String:
		b.ref(p, Ref{Offset: off, Kind: RefString, Limit: b.limits.String, Cut: abi.CutString},
			t.Size, &abi.Type{Name: "uint8", Kind: abi.Uint8, Size: 1, Align: 1})
	case abi.Slice:
		b.ref(p, Ref{Offset: off, Kind: RefSlice}, t.Size, t.Elem)
	case abi.Pointer:
		b.ref(p, Ref{Offset: off, Kind: RefPointer, Limit: 1}, t.Size, t.Elem)
	}
}

// refWords is the size of a reference in words, by its kind.
var refWords = [...]int{RefPointer: 1, RefString: 2, RefSlice: 3}

// ref adds a reference to elements of type elem, followed if the budgets and
// the holes allow it. width is the size of the reference itself in bytes.
func (b *builder) ref(p pending, r Ref, width int64, elem *abi.Type) {
	r.Slot = -1
	if reason := p.image.Absent(r.Offset, width); reason != abi.Present {
		return // the decoder finds the hole first
	}
	next := p
	switch {
	case width != int64(refWords[r.Kind]*b.plan.PtrSize):
		r.Reason = abi.UnknownLayout // malformed debug information says so
	case b.limits.Redact.Type(elem):
		r.Reason = abi.Redacted
	case elem == nil || elem.Size < 0:
		r.Reason = abi.UnknownType
	case elem.Kind == abi.Invalid:
		r.Reason, r.Stub = abi.UnknownType, true
		if p.depth <= 0 || r.Kind == RefSlice {
			r.Reason = abi.TooDeep
		}
	case elem.Size == 0:
		// Nothing to read: the header says it all. The limit still holds.
		if r.Kind == RefSlice {
			r.Limit, r.Cut = b.limits.Elems, abi.CutElems
		}
		p.image.Refs = append(p.image.Refs, r)
		return
	}
	if r.Reason == abi.Present {
		r.Reason = b.bound(p, &next, &r, elem)
	}
	if r.Reason == abi.Present && b.limits.NoLoops && (p.looped || r.Kind == RefSlice && r.Elem.Erase != nil) {
		r.Reason = abi.NeedsLoops
	}
	if r.Reason == abi.Present {
		if b.refs >= maxRefs || b.cost+p.times > maxCost || b.erases+len(r.Elem.Erase) > maxErases {
			r.Reason = abi.CutRefs
		} else {
			b.erases += len(r.Elem.Erase)
			b.refs++
			b.cost += p.times
			r.Slot = p.image.Slots
			p.image.Slots++
			next.image = r.Elem
			if elem.HasPointers() {
				b.queue = append(b.queue, next)
			}
		}
	}
	p.image.Refs = append(p.image.Refs, r)
}

// bound sets the limit and the element image of r, and what remains of the
// budgets behind it.
func (b *builder) bound(p pending, next *pending, r *Ref, elem *abi.Type) abi.Reason {
	size := min(elem.Size, int64(b.limits.Bytes))
	switch r.Kind {
	case RefPointer:
		if p.depth <= 0 {
			if b.short {
				return abi.NeedsLoops
			}
			return abi.TooDeep
		}
		next.depth--
		if p.looped {
			if next.hops++; next.hops > maxHops {
				return abi.TooDeep
			}
		}
	case RefSlice:
		if elem.Size > int64(b.limits.Bytes) {
			return abi.CutValue
		}
		if elem.Size == 1 {
			r.Limit, r.Cut = b.limits.String, abi.CutString
			break
		}
		r.Limit, r.Cut = b.limits.Elems, abi.CutElems
		if elem.HasPointers() {
			next.looped = true
			next.hops = 0
			next.nest++
			if next.nest > maxNest {
				return abi.TooDeep
			}
			if next.nest > 1 {
				r.Limit = min(r.Limit, innerElems)
			}
		}
		if n := int(int64(b.limits.Bytes) / elem.Size); n < r.Limit {
			r.Limit, r.Cut = n, abi.CutValue
		}
		if elem.HasPointers() {
			next.times *= r.Limit
		}
	}
	r.Elem = b.limits.image(elem, size)
	return abi.Present
}

// finish lays out the slots and bounds the record.
func (b *builder) finish(off int) {
	p := b.plan
	p.SlotBase = off
	for i := range p.Params {
		p.Params[i].Slots = off
		n := p.Params[i].Image.Slots
		p.Slots += n
		off += n * SlotSize
	}
	p.Fixed = off
	p.MaxRecord = p.Fixed
	if p.Variable() {
		p.MaxRecord = VarMax + 2*MaxChunk
	}
}

// MaxChunk bounds the data of a chunk in bytes, and likewise its slots.
const MaxChunk = maxBytes + 8

// ChunkLimit returns how many elements of r a program may capture so that
// both the data and the slots of the chunk stay within [MaxChunk].
func (r *Ref) ChunkLimit() int {
	n := r.Limit
	if k := r.Elem.Slots; k > 0 {
		n = min(n, maxBytes/(k*SlotSize))
	}
	return n
}

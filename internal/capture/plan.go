package capture

import "github.com/argtap/argtap/abi"

// Limits bound what one record holds. Zero fields mean the default.
type Limits struct {
	// String is the number of bytes captured of a string, []byte or other
	// slice of one-byte elements. Default 512.
	String int
	// Elems is the number of elements captured of any other slice. Default 64.
	Elems int
	// Bytes is the size in bytes of the largest single value or chunk that is
	// captured; the rest is cut. Default 4096, at most 8192.
	Bytes int
	// Depth is the number of pointers that are followed one after another;
	// strings and slices inside what was reached do not count. Default 1,
	// negative for none. A walk follows 3 unless told otherwise.
	Depth int
	// Objects is the number of objects captured of one call where references are
	// followed by a walk. Default 256, at most 1024.
	Objects int
	// Record is the size in bytes of the record of a walk. Default 16384, at most
	// 32768.
	Record int
	// NoLoops leaves out what only a loop reaches, the references inside the
	// elements of slices: for kernels without bpf_loop (before Linux 5.17).
	NoLoops bool
	// Redact is what must not leave the kernel.
	Redact *Redaction
	// Pair makes room in the record for what joins entry and return: [Plan.Pair].
	Pair bool
	// Stack makes room in the record for the call's stack: [Plan.Stack]. It is the
	// number of frames at most, 0 for none.
	Stack int
}

const (
	defaultString = 512
	defaultElems  = 64
	defaultBytes  = 4096
	defaultDepth  = 1

	maxBytes = 8192
	maxDepth = 4
	// maxNest bounds slices within slices: two levels are followed.
	maxNest = 2
	// maxHops bounds the pointers that are followed from an element of a slice,
	// up to the next slice. Each takes a piece of the stack of the function that
	// a loop calls; all functions of a program share 512 bytes.
	maxHops = 2
	// innerElems bounds the inner of two nested slices: what one hit may read
	// grows with the product of both bounds.
	innerElems = 16
	// maxRefs bounds the Refs of a plan, which the program's length grows with,
	// and maxCost the reads of one hit, loops counted at their bounds.
	maxRefs = 96
	maxCost = 3000
	// maxImages bounds the bytes of all parameter images of a plan.
	maxImages = 16 << 10
	// maxErases bounds the spans that are erased in the images of a plan.
	maxErases = 1024
)

// VarMax is the record size in bytes beyond which no further chunk is begun.
// A record may exceed it by the last chunk.
const VarMax = 24 << 10

// WithDefaults returns l with defaults for zero fields and everything within
// its bounds.
func (l Limits) WithDefaults() Limits {
	def := func(v *int, d, lim int) {
		if *v == 0 {
			*v = d
		}
		*v = min(max(*v, 0), lim)
	}
	if l.Depth == 0 {
		l.Depth = defaultDepth
	}
	l.Depth = min(max(l.Depth, 0), maxDepth)
	def(&l.Bytes, defaultBytes, maxBytes)
	def(&l.String, defaultString, l.Bytes)
	def(&l.Elems, defaultElems, 1024)
	def(&l.Objects, defaultObjects, MaxObjects)
	def(&l.Record, defaultWalk, MaxWalk)
	return l
}

// Input is a parameter to capture and where it lies at the probe site.
type Input struct {
	Name     string
	Type     *abi.Type
	Location abi.Location
	// Expr is how the program computes the value, nil for a parameter. Location
	// is then not looked at.
	Expr *Expr
	// Redacted says that the value is redacted whatever its name and type: it is
	// made of what is redacted.
	Redacted bool
	// Dict says that this is no parameter but the dictionary of generic code: see
	// [Dict]. It is the last one.
	Dict bool
}

// Plan is what one probe reads, and the layout of its record.
type Plan struct {
	// PtrSize is the size in bytes of a pointer, and of a length or capacity,
	// in the images: 8 or 4.
	PtrSize int
	Params  []Param
	// Stores are the register and constant pieces, Reads the pieces that lie
	// in the target's memory. Offsets are from the start of the record.
	Stores []Store
	Reads  []Read
	// Erase is what is zeroed after the reads and before anything is followed:
	// see [Redaction]. Offsets are from the start of the record.
	Erase []Span
	// SlotBase is the record offset of the first parameter slot, Slots their
	// number, and Fixed the size of the record without chunks; all in bytes
	// but Slots.
	SlotBase, Slots, Fixed int
	// Goroutine is the displacement of goid within g, 0 if unknown.
	Goroutine int64
	// Pair is the record offset of the words that join entry and return of a call
	// ([PairSize]), 0 if there are none.
	Pair int
	// Stack is the record offset of what a record has of the call's stack and of
	// how its goroutine came to be ([StackSize]), 0 if it has nothing. StackDepth is
	// the number of frames at most, 0 if none are looked for; Creation is where the
	// g has the rest, whose read has StackBit in the header's word at OffFailed.
	Stack, StackDepth, StackBit int
	Creation                    Creation
	// Dict is the place of the dictionary of generic code, nil if there is none.
	Dict *Dict
	// MaxRecord bounds the size of a record in bytes.
	MaxRecord int
	// Walk is how references are followed where no straight-line code can. It is
	// nil if the plan is static.
	Walk *Walk
}

// Variable reports whether records have chunks or a heap, and so differ in size.
func (p *Plan) Variable() bool { return p.Slots > 0 || p.Walk != nil }

// Param is a parameter in a record.
type Param struct {
	Name  string
	Image *Image
	// Offset is the record offset of the image, Slots that of the slots of
	// its Refs, in bytes.
	Offset, Slots int
	// Expr is how the program computes the image, nil where Stores and Reads
	// say it. Why is then the record offset of a byte: the [abi.Reason] why
	// there is no value, [abi.Present] if there is.
	Expr *Expr
	Why  int
}

// Store is a piece of an image that is written without reading memory.
type Store struct {
	Offset  int // in the record
	Size    int // 1, 2, 4 or 8 bytes
	Reg     abi.Reg
	Const   uint64 // when IsConst
	IsConst bool
}

// Read is a piece of an image that is read from the target's memory.
type Read struct {
	Offset int  // in the record
	Size   int  // bytes
	Frame  bool // at CFA + Disp if true, else at Reg + Disp
	Reg    abi.Reg
	Disp   int64
	Bit    int // in the header's word at OffFailed
	// Param is the index of the parameter, -1 for the dictionary, and Within the
	// piece's offset in its image.
	Param  int
	Within int64
}

// Image describes the bytes of a value in a record.
type Image struct {
	Type *abi.Type
	// Size is the number of bytes captured. It is smaller than Type.Size when
	// the value was cut at the limit.
	Size  int64
	Holes []Hole
	// Beyond is why what lies behind Size says nothing: [abi.CutValue] if it is
	// not set.
	Beyond abi.Reason
	// Erase is what is zeroed in each copy that is a chunk or an object as soon as
	// it was read. Holes say why.
	Erase []Span
	// Refs are the pointers, strings and slices in the image, by ascending
	// offset.
	Refs []Ref
	// Slots is the number of Refs that have a slot.
	Slots int
	// NoLoops says that interfaces, maps, channels and funcs are not followed
	// because the kernel has no loops: see [Limits].
	NoLoops bool
}

// Hole is a run of bytes of an image that says nothing.
type Hole struct {
	Offset, Size int64
	Reason       abi.Reason
}

// RefKind is the shape of a [Ref].
type RefKind uint8

// The kinds of references. A pointer has one element; strings and slices have
// their length in the word after the pointer. A word has [Plan.PtrSize] bytes.
const (
	RefPointer RefKind = iota
	RefString
	RefSlice
)

// Ref is a place in an image from which more is read.
type Ref struct {
	Offset int64 // in the image
	Kind   RefKind
	// Slot is the index of the Ref's slot among those of its image, -1 if it
	// is not followed, for Reason; elements of size zero need not be.
	Slot   int
	Reason abi.Reason
	// Stub says that the type of the elements was not read, because it lies too
	// deep.
	Stub bool
	// Limit is the number of elements that are captured at most, and Cut which
	// limit makes it so.
	Limit int
	Cut   abi.Reason
	Elem  *Image
}

// Ref returns the reference at the given offset of the image.
func (m *Image) Ref(off int64) (*Ref, bool) {
	lo, hi := 0, len(m.Refs)
	for lo < hi {
		mid := int(uint(lo+hi) >> 1)
		if m.Refs[mid].Offset < off {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	if lo < len(m.Refs) && m.Refs[lo].Offset == off {
		return &m.Refs[lo], true
	}
	return nil, false
}

// Absent returns why bytes [off, off+size) of the image say nothing, or
// [abi.Present].
func (m *Image) Absent(off, size int64) abi.Reason {
	for i := range m.Holes {
		h := &m.Holes[i]
		if off < h.Offset+h.Size && h.Offset < off+size {
			return h.Reason
		}
	}
	if off+size > m.Size {
		return m.CutBy()
	}
	return abi.Present
}

// CutBy returns why what lies behind the captured bytes is not there.
func (m *Image) CutBy() abi.Reason {
	if m.Beyond != abi.Present {
		return m.Beyond
	}
	return abi.CutValue
}

// Missing returns why a part of the image that is made of parts, size bytes at
// off, is absent as a whole, or [abi.Present].
func (m *Image) Missing(off, size int64) abi.Reason {
	if size <= 0 {
		return abi.Present
	}
	for i := range m.Holes {
		h := &m.Holes[i]
		if h.Offset <= off && off+size <= h.Offset+h.Size {
			return h.Reason
		}
	}
	if off >= m.Size {
		return m.CutBy()
	}
	return abi.Present
}

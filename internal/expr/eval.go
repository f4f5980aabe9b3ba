package expr

import (
	"fmt"
	"go/constant"
	"math"

	"github.com/argtap/argtap/abi"
)

// Absence says why an expression has no value. The zero Absence means that it
// has one.
type Absence uint8

// The reasons of absence.
const (
	Present Absence = iota
	// NilDereference: a nil pointer was to be followed.
	NilDereference
	// IndexOutOfRange: there is no such element.
	IndexOutOfRange
	// SliceOutOfRange: the limits of a slice are beyond its capacity, or not in
	// order.
	SliceOutOfRange
	// OtherType: the interface is nil or holds another type.
	OtherType
	// DivisionByZero: an integer was to be divided by zero.
	DivisionByZero
	// NegativeShift: an integer was to be shifted by less than nothing.
	NegativeShift
	// NotResident: memory could not be read.
	NotResident
	// NoParameter: a parameter is not available.
	NoParameter
	// TooLarge: the value has more bytes than [Eval] returns.
	TooLarge
	// Implausible: a string or slice has a negative length or capacity.
	Implausible
)

var absences = [...]string{
	"present", "nil pointer", "index out of range", "slice bounds out of range", "another dynamic type", "division by zero",
	"negative shift count", "not resident", "parameter not available", "too large", "implausible",
}

// String returns the reason in words.
func (a Absence) String() string {
	if int(a) < len(absences) {
		return absences[a]
	}
	return fmt.Sprintf("absence%d", uint8(a))
}

// Memory is the memory of the target, as [Eval] sees it.
type Memory interface {
	// Read fills b from the address. It reports whether all of it is there.
	Read(addr uint64, b []byte) bool
	// TypeWord returns the address of the type's descriptor.
	TypeWord(t *abi.Type) uint64
	// MapElem returns the address of the element of a map of type t, which is
	// not nil, by a key: a string, integer or bool. found says whether there is
	// one, ok whether the map could be read.
	MapElem(t *abi.Type, m uint64, key constant.Value) (addr uint64, found, ok bool)
}

// Place is where bytes of the target are: in the image of a parameter, or in
// memory.
type Place struct {
	// Param is the index of a parameter whose image it is in, or -1.
	Param int
	// Addr is the address in memory, or the offset in the image.
	Addr uint64
	// Zero says that it is nowhere and has zeros: an element that a map lacks.
	Zero bool
}

// Value is the value of an expression.
type Value struct {
	Type *abi.Type
	// Bytes is the value as the target has it in memory. A string or slice
	// that the expression made has its header there, with the address 0 where
	// Data is in a parameter.
	Bytes []byte
	// Data is where the bytes of a string or the elements of a slice are.
	Data Place
	// Text is the value of a string that is a constant.
	Text string
}

// maxValue bounds the bytes of a value.
const maxValue = 1 << 20

// Eval computes an expression over the images of the parameters, in the order
// of the scope, each as the target has it in memory, nil if it is not available.
// Nothing of the parameters and the memory is trusted.
func Eval(e *Expr, params [][]byte, mem Memory) (Value, Absence) {
	m := machine{arch: e.arch, params: params, mem: mem}
	v := Value{Type: e.Root.Type, Data: Place{Param: -1}}
	n := e.Root
	switch {
	case n.Type.Kind == abi.String || n.Type.Kind == abi.Slice:
		h, why := m.header(n)
		if why != Present {
			return Value{}, why
		}
		v.Data, v.Text = h.data, h.text
		addr := h.data.Addr
		if h.data.Param >= 0 || h.data.Zero {
			addr = 0
		}
		v.Bytes = m.put(v.Bytes, addr, m.arch.PtrSize)
		v.Bytes = m.put(v.Bytes, h.length, m.arch.PtrSize)
		if n.Type.Kind == abi.Slice {
			v.Bytes = m.put(v.Bytes, h.capacity, m.arch.PtrSize)
		}
	case n.IsPlace():
		at, why := m.place(n)
		if why != Present {
			return Value{}, why
		}
		if n.Type.Size > maxValue {
			return Value{}, TooLarge
		}
		if v.Bytes, why = m.load(at, 0, n.Type.Size); why != Present {
			return Value{}, why
		}
	case isFloat(n.Type) || isComplex(n.Type):
		re, im, why := m.float(n)
		if why != Present {
			return Value{}, why
		}
		half := n.Type.Size
		if isComplex(n.Type) {
			half /= 2
		}
		for _, f := range []float64{re, im}[:n.Type.Size/half] {
			bits := math.Float64bits(f)
			if half == 4 {
				bits = uint64(math.Float32bits(float32(f)))
			}
			v.Bytes = m.put(v.Bytes, bits, half)
		}
	default:
		x, why := m.scalar(n)
		if why != Present {
			return Value{}, why
		}
		v.Bytes = m.put(v.Bytes, x, n.Type.Size)
	}
	return v, Present
}

// machine interprets.
type machine struct {
	arch   *abi.Arch
	params [][]byte
	mem    Memory
}

// put appends a word of so many bytes.
func (m *machine) put(b []byte, x uint64, size int64) []byte {
	var word [8]byte
	if m.arch.ByteOrder.Uint16([]byte{1, 0}) == 1 {
		for i := range size {
			word[i] = byte(x >> (8 * i))
		}
	} else {
		for i := range size {
			word[size-1-i] = byte(x >> (8 * i))
		}
	}
	return append(b, word[:size]...)
}

// load reads bytes at a place.
func (m *machine) load(at Place, offset uint64, size int64) ([]byte, Absence) {
	if size == 0 {
		return []byte{}, Present
	}
	b := make([]byte, size)
	switch addr := at.Addr + offset; {
	case at.Zero:
	case at.Param >= 0:
		if at.Param >= len(m.params) || m.params[at.Param] == nil {
			return nil, NoParameter
		}
		image := m.params[at.Param]
		if addr > uint64(len(image)) || uint64(size) > uint64(len(image))-addr {
			return nil, NoParameter
		}
		copy(b, image[addr:])
	default:
		if m.arch.PtrSize == 4 {
			addr &= math.MaxUint32
		}
		if !m.mem.Read(addr, b) {
			return nil, NotResident
		}
	}
	return b, Present
}

// word reads an unsigned number of 1, 2, 4 or 8 bytes.
func (m *machine) word(at Place, offset uint64, size int64) (uint64, Absence) {
	b, why := m.load(at, offset, size)
	if why != Present {
		return 0, why
	}
	switch size {
	case 1:
		return uint64(b[0]), Present
	case 2:
		return uint64(m.arch.ByteOrder.Uint16(b)), Present
	case 4:
		return uint64(m.arch.ByteOrder.Uint32(b)), Present
	}
	return m.arch.ByteOrder.Uint64(b), Present
}

// place returns where a place is.
func (m *machine) place(n *Node) (Place, Absence) {
	none := Place{}
	switch n.Op {
	case As:
		return m.place(n.X)
	case Param:
		return Place{Param: int(n.N)}, Present
	case Field:
		at, why := m.place(n.X)
		at.Addr += uint64(n.N)
		return at, why
	case Deref:
		p, why := m.scalar(n.X)
		if why != Present {
			return none, why
		}
		if p == 0 {
			return none, NilDereference
		}
		return Place{Param: -1, Addr: p}, Present
	case Index:
		at, why := m.place(n.X)
		if why != Present {
			return none, why
		}
		i, why := m.scalar(n.Y)
		if why != Present {
			return none, why
		}
		if i >= uint64(n.N) {
			return none, IndexOutOfRange
		}
		at.Addr += i * uint64(n.Type.Size)
		return at, Present
	case Elem:
		h, why := m.sound(n.X)
		if why != Present {
			return none, why
		}
		i, why := m.scalar(n.Y)
		if why != Present {
			return none, why
		}
		if i >= h.length {
			return none, IndexOutOfRange
		}
		h.data.Addr += i * uint64(n.Type.Size)
		return h.data, Present
	case MapElem:
		p, why := m.scalar(n.X)
		if why != Present {
			return none, why
		}
		if p == 0 {
			return Place{Param: -1, Zero: true}, Present
		}
		addr, found, ok := m.mem.MapElem(n.X.Type, p, n.Const)
		if !ok {
			return none, NotResident
		}
		return Place{Param: -1, Addr: addr, Zero: !found}, Present
	case Assert:
		return m.assert(n)
	}
	return none, NotResident // no place: never in a tree of Compile's
}

func (m *machine) assert(n *Node) (Place, Absence) {
	at, why := m.place(n.X)
	if why != Present {
		return at, why
	}
	size := m.arch.PtrSize
	word, why := m.word(at, 0, size)
	if why != Present {
		return at, why
	}
	if n.Methods && word != 0 {
		if word, why = m.word(Place{Param: -1, Addr: word}, uint64(size), size); why != Present {
			return at, why
		}
	}
	if word == 0 || word != m.mem.TypeWord(n.Type) {
		return at, OtherType
	}
	if n.Direct {
		at.Addr += uint64(size)
		return at, Present
	}
	data, why := m.word(at, uint64(size), size)
	return Place{Param: -1, Addr: data}, why
}

// header is a string or slice.
type header struct {
	data             Place
	length, capacity uint64
	text             string
}

// header returns the value of a string or slice.
func (m *machine) header(n *Node) (header, Absence) {
	switch {
	case n.Op == As:
		return m.header(n.X)
	case n.Op == Const:
		text := constant.StringVal(n.Const)
		return header{data: Place{Param: -1}, length: uint64(len(text)), capacity: uint64(len(text)), text: text}, Present
	case n.Op == Slice:
		return m.slice(n)
	}
	at, why := m.place(n)
	if why != Present {
		return header{}, why
	}
	return m.headerAt(at, n.Type)
}

// sound returns the value of a string or slice that is to be looked into.
func (m *machine) sound(n *Node) (header, Absence) {
	h, why := m.header(n)
	if why == Present && (m.negative(h.length) || m.negative(h.capacity)) {
		why = Implausible
	}
	return h, why
}

// negative reports whether a word is, as an int of the target.
func (m *machine) negative(word uint64) bool { return word>>(8*m.arch.PtrSize-1)&1 != 0 }

func (m *machine) headerAt(at Place, t *abi.Type) (h header, why Absence) {
	size := m.arch.PtrSize
	addr, why := m.word(at, 0, size)
	if why == Present {
		h.length, why = m.word(at, uint64(size), size)
	}
	h.data, h.capacity = Place{Param: -1, Addr: addr}, h.length
	if why == Present && t.Kind == abi.Slice {
		h.capacity, why = m.word(at, uint64(2*size), size)
	}
	return h, why
}

func (m *machine) slice(n *Node) (h header, why Absence) {
	elem := int64(1)
	switch n.X.Type.Kind {
	case abi.Array:
		h.data, why = m.place(n.X)
		h.length, h.capacity = uint64(n.N), uint64(n.N)
	default:
		h, why = m.sound(n.X)
	}
	if n.Type.Kind == abi.Slice {
		elem = n.Type.Elem.Size
	}
	limits := [3]uint64{0, h.length, h.capacity}
	for i, limit := range []*Node{n.Y, n.Hi, n.Max} {
		if limit != nil && why == Present {
			limits[i], why = m.scalar(limit)
		}
	}
	if why != Present {
		return header{}, why
	}
	lo, hi, end := limits[0], limits[1], limits[2]
	if end > h.capacity || hi > end || lo > hi {
		return header{}, SliceOutOfRange
	}
	h.length, h.capacity = hi-lo, end-lo
	if n.Type.Kind == abi.String {
		h.capacity = h.length
	}
	if h.capacity > 0 {
		h.data.Addr += lo * uint64(elem)
	}
	return h, Present
}

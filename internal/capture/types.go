package capture

import (
	"github.com/argtap/argtap/abi"
)

// Bounds of a type table: what a program of untrusted types may cost.
const (
	// MaxTypes and MaxRows bound a table. Both fit into one element of a BPF
	// array on every kernel.
	MaxTypes = 64 << 10
	MaxRows  = 240 << 10
	// maxTypeRows bounds the rows of one type: words of the largest value.
	maxTypeRows = maxBytes / 4
	// typeBudget bounds the parts of one type that are looked at, and
	// tableBudget those of all.
	typeBudget  = 1 << 16
	tableBudget = 1 << 22
)

// RowKind is the shape of a reference in a type table. A word has the size of
// the target's pointers.
type RowKind uint8

// The kinds of references.
const (
	// RowPointer: a pointer to one element.
	RowPointer RowKind = iota
	// RowCounted: a pointer, and in the next word the number of elements.
	RowCounted
	// RowEface: an interface without methods. The first word is the dynamic
	// type, the second the value or where it lies.
	RowEface
	// RowIface: an interface with methods. The first word leads to an itab,
	// whose second is the dynamic type.
	RowIface
	// RowMap: a map. Type is that of its header, Limit bounds the entries.
	RowMap
	// RowChan: a channel. Type is that of its header, Limit bounds the elements.
	RowChan
	// RowFunc: a func. The first word of what it leads to is the address of its
	// code, by which [Types.AddClosure] has the type of the whole.
	RowFunc
	// RowErase is no reference, but what is zeroed as soon as a value was read:
	// Limit bytes. These rows lie behind the others of a type.
	RowErase
)

// Row is a reference within the values of a type.
type Row struct {
	Offset uint32 // in bytes from the start of the value
	Kind   RowKind
	// Hop says that what it leads to is one pointer further away.
	Hop   bool
	Type  uint32 // of the elements; 0 where the dynamic type says it
	Limit uint32 // the number of elements at most
}

// Types with fixed numbers.
const (
	noType   = 0
	byteType = 1 // of the bytes of strings
	wordType = 2 // of the word of an itab that holds the dynamic type
)

// WordType is the number of the type of a word that leads to a dynamic type:
// see [RowIface].
const WordType = wordType

// Types is the type table of a binary: for each type what of its values is
// captured, and which references they hold. Types are known by numbers, which
// records name. It is built by [BuildWalk] and [Types.AddDynamic], and read-only
// from then on.
type Types struct {
	ptr    int64
	limits Limits
	ids    map[typeKey]uint32
	list   []tableType
	rows   []Row
	budget int
	// next is the first type whose rows are still to be found.
	next    int
	dynamic map[uint64]Dynamic
	order   []uint64 // the keys of dynamic in the order in which they came
	// interfaces says that there are rows of interfaces.
	interfaces bool
	scans
	// erases says that there are rows of what is erased.
	erases bool
	// refused are the types that are not followed, with the reason.
	refused map[typeKey]abi.Reason
}

type tableType struct {
	image       *Image
	first, rows uint32
	scan        uint32 // see TypeScan
	slots       *slots // of groups of maps
	erase       uint32
}

// Dynamic is a type that interfaces may hold.
type Dynamic struct {
	Type *abi.Type
	// Direct says that the interface's second word is the value, and not where
	// it lies.
	Direct bool
	// Closure says that it is no type of interfaces but what funcs lead to.
	Closure bool
	// Why says why it is not followed, if it is not.
	Why    abi.Reason
	target uint32
	hop    uint32 // see DynamicHop
}

// typeKey is what makes a type. The same type may have been read more than once.
type typeKey struct {
	runtime uint64
	kind    abi.Kind
	size    int64
	t       *abi.Type
}

func keyOf(t *abi.Type) typeKey {
	if t.RuntimeType != 0 {
		return typeKey{runtime: t.RuntimeType, kind: t.Kind, size: t.Size}
	}
	return typeKey{t: t}
}

// StringElem returns the type of the bytes of strings.
func StringElem() *abi.Type { return byteElem }

var byteElem = &abi.Type{Name: "uint8", Kind: abi.Uint8, Size: 1, Align: 1}

// NewTypes returns an empty table for programs of the architecture.
func NewTypes(a *abi.Arch, limits Limits) *Types {
	t := &Types{
		ptr: a.PtrSize, limits: limits.WithDefaults(), budget: tableBudget,
		ids: make(map[typeKey]uint32), dynamic: make(map[uint64]Dynamic), refused: make(map[typeKey]abi.Reason), scans: scans{arch: a},
	}
	word := &abi.Type{Name: "uintptr", Kind: abi.Uintptr, Size: a.PtrSize, Align: a.PtrSize}
	for _, typ := range []*abi.Type{{Name: "none"}, byteElem, word} {
		t.list = append(t.list, tableType{image: &Image{Type: typ, Size: typ.Size}})
		t.ids[keyOf(typ)] = uint32(len(t.list) - 1)
	}
	t.next = len(t.list)
	return t
}

// number returns the number of a type, a new one if need be, and noType if the
// table is full.
func (t *Types) number(typ *abi.Type) uint32 {
	k := keyOf(typ)
	if id, ok := t.ids[k]; ok {
		return id
	}
	if len(t.list) >= MaxTypes {
		return noType
	}
	id := uint32(len(t.list))
	t.ids[k] = id
	t.list = append(t.list, tableType{image: t.image(typ)})
	return id
}

// complete finds the rows of all types that were numbered.
func (t *Types) complete() {
	for ; t.next < len(t.list); t.next++ {
		first := len(t.rows)
		img := t.list[t.next].image
		if s := t.list[t.next].slots; s != nil {
			t.find(img.Size, img.hole(), s.refs)
		} else {
			t.refs(img.Type, 0, img.Size, img.hole())
		}
		t.list[t.next].first, t.list[t.next].rows = uint32(first), uint32(len(t.rows)-first)
		if img.Erase != nil {
			t.eraseRows(t.next)
		}
	}
}

// Interfaces reports whether the table has types with interfaces, for which
// dynamic types are of use.
func (t *Types) Interfaces() bool { return t.interfaces }

// HasDynamic reports whether there are dynamic types.
func (t *Types) HasDynamic() bool { return len(t.order) > 0 }

// AddDynamic adds a type that interfaces may hold. key is the address of its
// descriptor as the binary states it.
func (t *Types) AddDynamic(key uint64, typ *abi.Type, direct bool) {
	if _, ok := t.dynamic[key]; ok || typ == nil || typ.Kind == abi.Invalid || len(t.dynamic) >= MaxTypes {
		return
	}
	d := Dynamic{Type: typ, Direct: direct}
	switch {
	case t.limits.Redact.Type(typ), direct && t.limits.Redact.Spans(typ, typ.Size) != nil:
		d.Why = abi.Redacted
	case !direct:
		if typ.Size > 0 {
			d.target = t.number(typ)
		}
	default:
		if e := pointee(typ); e != nil {
			d.target, _, _ = t.Follow(RowPointer, e)
			d.hop = 1
		} else if typ.HasPointers() {
			d.target, d.hop = t.number(typ), DynamicInline
		}
	}
	t.dynamic[key] = d
	t.order = append(t.order, key)
	t.complete()
}

// AddClosure adds a type that funcs may lead to: a struct of the address of the
// code, and what was captured, some of which may not be known. key is the address
// of the code as the binary states it.
func (t *Types) AddClosure(key uint64, typ *abi.Type, holes []Hole) {
	if _, ok := t.dynamic[key]; ok || typ == nil || typ.Size <= t.ptr || len(t.dynamic) >= MaxTypes {
		return
	}
	d := Dynamic{Type: typ, Closure: true, target: t.number(typ), hop: 1}
	if d.target != noType {
		img := t.list[d.target].image
		img.Holes = append(img.Holes, holes...)
	}
	t.dynamic[key] = d
	t.order = append(t.order, key)
	t.complete()
}

// pointee returns what the only word of a value leads to if it is a pointer.
func pointee(typ *abi.Type) *abi.Type {
	for range maxTypeNesting {
		switch {
		case typ == nil:
			return nil
		case typ.Kind == abi.Pointer:
			return typ.Elem
		case typ.Kind == abi.Array && typ.Len == 1:
			typ = typ.Elem
		case typ.Kind == abi.Struct:
			var word *abi.Type
			for i := range typ.Fields {
				if f := &typ.Fields[i]; f.Offset == 0 && f.Type.Size == typ.Size {
					word = f.Type
				}
			}
			typ = word
		default:
			return nil
		}
	}
	return nil
}

// Dynamic returns the type whose descriptor is at an address.
func (t *Types) Dynamic(key uint64) (Dynamic, bool) {
	d, ok := t.dynamic[key]
	return d, ok
}

// Follow returns the number of the type of what a reference leads to and how
// many elements are captured at most. Without a reason both are there, unless
// the elements have no size: then there is nothing to capture.
func (t *Types) Follow(kind RowKind, elem *abi.Type) (id uint32, limit int, r abi.Reason) {
	if t.limits.Redact.Type(elem) {
		t.refused[keyOf(elem)] = abi.Redacted
		return noType, 0, abi.Redacted
	}
	return t.follow(kind, elem)
}

func (t *Types) follow(kind RowKind, elem *abi.Type) (id uint32, limit int, r abi.Reason) {
	switch {
	case elem == nil || elem.Kind == abi.Invalid || elem.Size < 0:
		return noType, 0, abi.UnknownType
	case kind == RowCounted && elem.Size > int64(t.limits.Bytes):
		return noType, 0, abi.CutValue
	}
	limit = 1
	if kind == RowCounted {
		limit, _ = t.limits.Elements(elem)
	}
	if elem.Size == 0 {
		return noType, limit, abi.Present
	}
	if id = t.number(elem); id == noType {
		return noType, limit, abi.CutTypes
	}
	return id, limit, abi.Present
}

// Elements returns how many elements of a type are captured of a slice at most,
// and by which limit. Those of a string are bytes.
func (l Limits) Elements(elem *abi.Type) (n int, by abi.Reason) {
	switch {
	case elem.Size == 1:
		return l.String, abi.CutString
	case elem.Size > 1 && int64(l.Bytes)/elem.Size < int64(l.Elems):
		return int(int64(l.Bytes) / elem.Size), abi.CutValue
	}
	return l.Elems, abi.CutElems
}

// Lookup is like [Types.Follow] for a table that is complete.
func (t *Types) Lookup(kind RowKind, elem *abi.Type) (id uint32, limit int, r abi.Reason) {
	if elem != nil {
		if r, ok := t.refused[keyOf(elem)]; ok {
			return noType, 0, r
		}
	}
	if elem != nil && elem.Size > 0 {
		if _, ok := t.ids[keyOf(elem)]; !ok && elem.Kind != abi.Invalid {
			return noType, 0, abi.NotFollowed
		}
	}
	return t.follow(kind, elem)
}

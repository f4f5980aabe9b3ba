package abi

import "fmt"

// Kind is the kind of a [Type]. The numbers are those of reflect.Kind and of
// the DW_AT_go_kind attribute (0x2900) that the Go linker writes.
type Kind uint8

// The kinds of Go types. Invalid marks a type that was not read: only its name
// (and perhaps its size) is known.
const (
	Invalid Kind = iota
	Bool
	Int
	Int8
	Int16
	Int32
	Int64
	Uint
	Uint8
	Uint16
	Uint32
	Uint64
	Uintptr
	Float32
	Float64
	Complex64
	Complex128
	Array
	Chan
	Func
	Interface
	Map
	Pointer
	Slice
	String
	Struct
	UnsafePointer
)

var kindNames = [...]string{
	"invalid", "bool", "int", "int8", "int16", "int32", "int64",
	"uint", "uint8", "uint16", "uint32", "uint64", "uintptr",
	"float32", "float64", "complex64", "complex128",
	"array", "chan", "func", "interface", "map", "pointer", "slice",
	"string", "struct", "unsafe.Pointer",
}

// String returns the name that reflect gives the kind.
func (k Kind) String() string {
	if int(k) < len(kindNames) {
		return kindNames[k]
	}
	return fmt.Sprintf("kind%d", uint8(k))
}

// Size returns the bytes of every type of the kind, given those of a pointer;
// -1 where the kind does not tell, as for structs.
func (k Kind) Size(ptrSize int64) int64 {
	switch k {
	case Bool, Int8, Uint8:
		return 1
	case Int16, Uint16:
		return 2
	case Int32, Uint32, Float32:
		return 4
	case Int64, Uint64, Float64, Complex64:
		return 8
	case Complex128:
		return 16
	case Int, Uint, Uintptr, Chan, Func, Map, Pointer, UnsafePointer:
		return ptrSize
	case Interface, String:
		return 2 * ptrSize
	case Slice:
		return 3 * ptrSize
	}
	return -1
}

// Type is a Go type as data: what argument assignment, capture and decoding
// need to know of it. Types form a graph that may have cycles through Elem
// (pointers, slices, maps, channels), never through Fields or array elements.
// A Type is immutable once its reader has returned it.
type Type struct {
	// Name is the type as the compiler's debug information writes it, with
	// full package paths: "int", "[]uint8", "*net/http.Request".
	Name string
	// Kind of the underlying type.
	Kind Kind
	// Size and Align in bytes. Align is the Go alignment on the target.
	Size, Align int64
	// Elem is the element of an array, slice, pointer, channel or map; nil
	// elsewhere and for unsafe.Pointer. An Elem of kind Invalid was not read,
	// because it lies beyond the depth that the reader was asked for.
	Elem *Type
	// Key is the key type of a map.
	Key *Type
	// Len is the number of elements of an array.
	Len int64
	// Fields are the fields of a struct in order, blank ones included.
	Fields []Field
	// NumMethod is non-zero for an interface type with methods: such a value
	// begins with an itab, any other interface value with a type.
	NumMethod int
	// RuntimeType is the offset of the type's descriptor from runtime.types
	// (DW_AT_go_runtime_type, 0x2904), 0 if unknown.
	RuntimeType uint64
}

// Field is a field of a struct.
type Field struct {
	Name     string // "_" if blank
	Type     *Type
	Offset   int64 // bytes from the start of the struct
	Embedded bool
}

// String returns the type's name.
func (t *Type) String() string {
	if t == nil {
		return "<nil>"
	}
	return t.Name
}

// HasPointers reports whether a value of type t holds any pointer that can be
// followed to more data: pointers, strings, slices, interfaces, maps, channels
// and funcs.
func (t *Type) HasPointers() bool {
	budget := 10_000
	return t.hasPointers(&budget)
}

// hasPointers gives up with true after budget steps: structs within structs
// may have more fields than there is time for.
func (t *Type) hasPointers(budget *int) bool {
	if *budget--; *budget < 0 {
		return true
	}
	switch t.Kind {
	case Array:
		return t.Len > 0 && t.Elem.hasPointers(budget)
	case Struct:
		for i := range t.Fields {
			if t.Fields[i].Type.hasPointers(budget) {
				return true
			}
		}
		return false
	case Chan, Func, Interface, Map, Pointer, Slice, String, UnsafePointer:
		return true
	}
	return false
}

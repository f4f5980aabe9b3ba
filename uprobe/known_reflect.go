package uprobe

import (
	"github.com/argtap/argtap/internal/capture"
)

// typeOf is a type that a value describes.
type typeOf string

// String returns it as a conversion, which Go has no other syntax for.
func (t typeOf) String() string { return "reflect.Type(" + string(t) + ")" }

// fmtString returns the name, as fmt prints it for a reflect.Type.
func (t typeOf) fmtString() string { return string(t) }

// knownRType is a type's descriptor, which a reflect.Type holds: it is known by
// its address which type it describes.
func knownRType(v Value, m mode) (any, bool) {
	addr, ok := v.objectAddr()
	if !ok {
		return nil, false
	}
	addr -= order.Uint64(v.heap.data[capture.OffBias:])
	if v.small {
		addr = uint64(uint32(addr))
	}
	d, ok := v.heap.walk.Types.Dynamic(addr)
	if !ok || d.Closure {
		return nil, false
	}
	if m == inGo || m == inJSON {
		return typeName(d.Type), true
	}
	return typeOf(typeName(d.Type)), true
}

// objectAddr returns the address of the object that a value is, alone.
func (v Value) objectAddr() (uint64, bool) {
	if v.heap == nil || v.off != 0 || int(v.base) < v.heap.fixed+capture.ObjectHeader {
		return 0, false
	}
	b := v.data[v.base-capture.ObjectHeader:]
	id := order.Uint32(b[capture.ObjectType:]) & (1<<capture.ObjectTypeBits - 1)
	if order.Uint32(b[capture.ObjectCount:]) != 1 || v.heap.walk.Types.Image(id) != v.img ||
		v.img.Type.Name != v.typ.Name || v.img.Type.Size != v.typ.Size {
		return 0, false
	}
	return order.Uint64(b[capture.ObjectAddr:]), true
}

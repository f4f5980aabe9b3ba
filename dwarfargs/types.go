package dwarfargs

import (
	"cmp"
	"errors"
	"fmt"
	"strings"

	"github.com/argtap/argtap/abi"
)

const (
	// maxTypeNest bounds structs in structs, arrays of arrays and chains of
	// typedefs.
	maxTypeNest = 128
	// maxTypes bounds what one call reads.
	maxTypes = 1 << 17
	// maxFields bounds one struct. reflect stops at 65535 too.
	maxFields = 1 << 16
	// maxTypeSize bounds one type, in bytes: Go's own limit on 64-bit targets
	// (cmd/compile/internal/types.MaxWidth).
	maxTypeSize = 1 << 50
	// maxDepth is where a wish for more pointer hops ends.
	maxDepth = 64
)

// Whole is the depth to read types to if all that pointers lead to is wanted.
// Each type is then there once, so that types which refer to themselves are
// cycles.
const Whole = 1 << 30

// hopsFor returns the hops for a depth that the user asks for.
func hopsFor(depth int) int {
	if depth >= Whole {
		return Whole
	}
	return min(max(depth, 0), maxDepth)
}

// typeKey identifies a type as it was read: to a number of pointer hops.
// Because that number is part of the key, a type never changes once it is
// returned, what a call gets does not depend on the calls before it, and types
// are still shared by whoever wants the same.
type typeKey struct {
	off  int // of the DIE
	hops int // stub: -1
}

// typeNode is a type that is being read.
type typeNode struct {
	key   typeKey
	t     *abi.Type
	state int8 // 0 only promised, 1 being read, 2 read
}

// typeReader reads the types of one call. They become visible to others when
// all of them are complete.
type typeReader struct {
	d     *Data
	fresh map[typeKey]*typeNode
	queue []*typeNode
}

func (d *Data) newTypeReader() *typeReader {
	return &typeReader{d: d, fresh: make(map[typeKey]*typeNode)}
}

// commit reads all that was promised and publishes it. Data.mu is held.
func (r *typeReader) commit() error {
	for len(r.queue) > 0 {
		n := r.queue[0]
		r.queue = r.queue[1:]
		if n.state == 0 {
			if err := r.fill(n, 0); err != nil {
				return err
			}
		}
	}
	for k, n := range r.fresh {
		r.d.types[k] = n.t
	}
	return nil
}

// promise returns a type that commit is going to read.
func (r *typeReader) promise(off, hops int) (*abi.Type, error) {
	key := typeKey{off, hops}
	if t := r.d.types[key]; t != nil {
		return t, nil
	}
	if n := r.fresh[key]; n != nil {
		return n.t, nil
	}
	n, err := r.node(key)
	if err != nil {
		return nil, err
	}
	r.queue = append(r.queue, n)
	return n.t, nil
}

func (r *typeReader) node(key typeKey) (*typeNode, error) {
	if len(r.fresh) == maxTypes {
		return nil, decodeErr(".debug_info", key.off, fmt.Errorf("more than %d types", maxTypes))
	}
	n := &typeNode{key: key, t: new(abi.Type)}
	r.fresh[key] = n
	return n, nil
}

// read returns the type whose DIE is at off, complete but for what is promised
// behind its pointers.
func (r *typeReader) read(off, hops, nest int) (*abi.Type, error) {
	key := typeKey{off, hops}
	if t := r.d.types[key]; t != nil {
		return t, nil
	}
	n := r.fresh[key]
	if n == nil {
		var err error
		if n, err = r.node(key); err != nil {
			return nil, err
		}
	}
	switch {
	case n.state == 2:
		return n.t, nil
	case n.state == 1:
		return nil, decodeErr(".debug_info", off, errors.New("type contains itself"))
	case nest > maxTypeNest:
		return nil, decodeErr(".debug_info", off, errTooDeep)
	}
	return n.t, r.fill(n, nest)
}

// pointee returns the type that the attribute of e refers to, one pointer hop
// away from a type that is read to the given number of hops. It is nil where
// there is no such attribute.
func (r *typeReader) pointee(u *unit, e *die, name attrID, hops int) (*abi.Type, error) {
	off, ok, err := r.d.ref(u, e, name)
	if err != nil || !ok {
		return nil, err
	}
	switch {
	case hops == Whole:
		return r.promise(off, Whole)
	case hops > 0:
		return r.promise(off, hops-1)
	}
	key := typeKey{off, -1}
	if t := r.d.types[key]; t != nil {
		return t, nil
	}
	if n := r.fresh[key]; n != nil {
		return n.t, nil
	}
	n, err := r.node(key)
	if err != nil {
		return nil, err
	}
	n.state = 2
	n.t.Name, err = r.d.typeName(off, 0)
	return n.t, err
}

// fill reads the DIE of n.
func (r *typeReader) fill(n *typeNode, nest int) error {
	n.state = 1
	u, e, err := r.d.dieAt(n.key.off)
	if err != nil {
		return err
	}
	t := n.t
	if t.Name, err = r.d.str(u, e, attrName); err != nil {
		return err
	}
	kind := e.uint(attrGoKind)
	if kind > uint64(abi.UnsafePointer) {
		return decodeErr(".debug_info", e.off, fmt.Errorf("type %s: kind %d: not known", t.Name, kind))
	}
	t.Kind = abi.Kind(kind)
	t.RuntimeType = r.d.runtimeType(u, e)
	if size := e.uint(attrByteSize); size <= maxTypeSize {
		t.Size = int64(size)
	} else {
		return decodeErr(".debug_info", e.off, fmt.Errorf("type %s: %d bytes: %w", t.Name, size, errTooBig))
	}
	if u.isGo() {
		err = r.fillGo(u, e, t, n.key.hops, nest)
	} else {
		err = r.fillC(u, e, t, n.key.hops, nest)
	}
	if err != nil {
		return err
	}
	n.state = 2
	return nil
}

// fillGo reads a DIE as cmd/link/internal/ld/dwarf.go (newtype) writes it.
func (r *typeReader) fillGo(u *unit, e *die, t *abi.Type, hops, nest int) (err error) {
	ptr := r.d.ptrSize
	bad := func(format string, args ...any) error {
		return decodeErr(".debug_info", e.off, fmt.Errorf("type %s: "+format, append([]any{t.Name}, args...)...))
	}
	switch e.tag {
	case tagBaseType:
		t.Align = r.scalarAlign(t)
		if want := basicSize(t.Kind, ptr); want == 0 || want != t.Size {
			return bad("%d bytes for kind %s", t.Size, t.Kind)
		}
		return nil

	case tagPointerType:
		t.Size, t.Align = ptr, ptr
		if isPointerShape(t.Name) {
			t.Kind = abi.Pointer
			return nil
		}
		if t.Elem, err = r.pointee(u, e, attrType, hops); err != nil {
			return err
		}
		t.Kind = abi.Pointer
		if t.Elem == nil {
			t.Kind = abi.UnsafePointer
		}
		return nil

	case tagSubroutineType:
		t.Kind, t.Size, t.Align = abi.Func, ptr, ptr
		return nil

	case tagArrayType:
		t.Kind = abi.Array
		off, ok, err := r.d.ref(u, e, attrType)
		if err != nil || !ok {
			return errors.Join(err, bad("array without element type"))
		}
		if t.Elem, err = r.read(off, hops, nest+1); err != nil {
			return err
		}
		counts, err := r.counts(u, e)
		if err != nil || len(counts) != 1 {
			return errors.Join(err, bad("array of %d dimensions", len(counts)))
		}
		t.Len, t.Align = counts[0], t.Elem.Align
		if !sizedArray(t) {
			return bad("%d bytes for %d elements of %d", t.Size, t.Len, t.Elem.Size)
		}
		return nil

	case tagStructureType:
		switch t.Kind {
		case abi.String:
			if t.Align = ptr; t.Size != 2*ptr {
				return bad("string of %d bytes", t.Size)
			}
			return nil
		case abi.Slice:
			if t.Align = ptr; t.Size != 3*ptr {
				return bad("slice of %d bytes", t.Size)
			}
			if t.Elem, err = r.pointee(u, e, attrGoElem, hops); err == nil && t.Elem == nil {
				err = bad("slice without element type")
			}
			return err
		}
		t.Kind = abi.Struct // the runtime's own helper types carry no kind
		return r.fields(u, e, t, hops, nest)

	case tagTypedef:
		switch t.Kind {
		case abi.Map, abi.Chan:
			t.Size, t.Align = ptr, ptr
			if t.Key, err = r.pointee(u, e, attrGoKey, hops); err != nil {
				return err
			}
			t.Elem, err = r.pointee(u, e, attrGoElem, hops)
			if err == nil && (t.Elem == nil || t.Kind == abi.Map && t.Key == nil) {
				err = bad("%s without element or key type", t.Kind)
			}
			return err
		case abi.Interface:
			t.Size, t.Align = 2*ptr, ptr
			off, ok, err := r.d.ref(u, e, attrType)
			if err != nil || !ok {
				return errors.Join(err, bad("interface without representation"))
			}
			under, err := r.d.typeName(off, 0)
			if under == "runtime.iface" {
				t.NumMethod = 1
			}
			return err
		}
		return r.named(u, e, t, hops, nest)

	case tagUnspecifiedType:
		t.Kind, t.Size = abi.Invalid, 0
		return nil
	}
	return bad("DWARF tag %#x is no Go type", uint32(e.tag))
}

// named reads a typedef: the type that it names, under the name.
func (r *typeReader) named(u *unit, e *die, t *abi.Type, hops, nest int) error {
	off, ok, err := r.d.ref(u, e, attrType)
	if err != nil {
		return err
	}
	if !ok { // C: void
		t.Name, t.Kind, t.Align = cmp.Or(t.Name, "void"), abi.Invalid, 1
		return nil
	}
	under, err := r.read(off, hops, nest+1)
	if err != nil {
		return err
	}
	name := t.Name
	*t = *under
	if name != "" && !strings.HasPrefix(name, ".param") {
		// The names .param0, .param1, … stand for type parameters.
		t.Name = name
	}
	if isPointerShape(t.Name) {
		t.Elem = nil
	}
	return nil
}

// isPointerShape reports whether a type is the shape of all pointer types:
// code for type arguments that are pointers is shared, and the compiler
// (cmd/compile/internal/noder, shapify) writes *uint8 for each of them, up to
// Go 1.19 with an index behind. What such a pointer points to is not known.
func isPointerShape(name string) bool {
	rest, ok := strings.CutPrefix(name, "go.shape.*uint8")
	return ok && (rest == "" || rest[0] == '_')
}

// basicSize returns the bytes of a kind that DW_TAG_base_type describes, 0 for
// any other.
func basicSize(k abi.Kind, ptr int64) int64 {
	if k < abi.Bool || k > abi.Complex128 {
		return 0
	}
	return k.Size(ptr)
}

// scalarAlign returns the Go alignment of a basic type: that of its size, of
// its halves if it is complex, and never more than a pointer's
// (cmd/compile/internal/types.CalcSize, with RegSize).
func (r *typeReader) scalarAlign(t *abi.Type) int64 {
	size := t.Size
	if t.Kind == abi.Complex64 || t.Kind == abi.Complex128 {
		size /= 2
	}
	return max(1, min(size, r.d.ptrSize))
}

// typeName returns how a type is called, without reading it.
func (d *Data) typeName(off, nest int) (string, error) {
	u, e, err := d.dieAt(off)
	if err != nil {
		return "", err
	}
	name, err := d.str(u, e, attrName)
	if err != nil || name != "" && !strings.HasPrefix(name, ".param") {
		return name, err
	}
	target, ok, err := d.ref(u, e, attrType)
	if err != nil {
		return "", err
	}
	under := "void"
	if ok {
		if nest > maxTypeNest {
			return "", decodeErr(".debug_info", off, errTooDeep)
		}
		if under, err = d.typeName(target, nest+1); err != nil {
			return "", err
		}
	}
	switch e.tag {
	case tagPointerType, tagReferenceType, tagRvalueReference:
		return "*" + under, nil
	case tagArrayType:
		return "[]" + under, nil
	case tagSubroutineType:
		return "func", nil
	case tagStructureType, tagClassType, tagUnionType, tagEnumerationType:
		return "(anonymous)", nil
	}
	return under, nil
}

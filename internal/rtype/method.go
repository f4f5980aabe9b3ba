package rtype

import (
	"errors"
	"fmt"
	"strconv"
	"sync"

	"github.com/argtap/argtap/abi"
	"github.com/argtap/argtap/symbols"
)

// ErrNoType is the error of [Data.Method] for code that no type data describes.
var ErrNoType = errors.New("no runtime type data")

// Data is the type data of a program. Its methods are safe for concurrent use.
type Data struct {
	arch *abi.Arch
	mod  Module

	mu      sync.Mutex
	r       reader
	index   *methodIndex
	indexed bool
	err     error // of the index
	known   map[typeKey]*abi.Type
}

// New returns the type data of a program that the release version compiled for
// the architecture a. It reads nothing yet. The error names what is not known of
// the release.
func New(mem Memory, a *abi.Arch, version string, m Module) (*Data, error) {
	l, err := layoutFor(version, a.PtrSize)
	if err != nil {
		return nil, err
	}
	d, err := newData(mem, a, m.Types, m.ETypes)
	if err != nil {
		return nil, err
	}
	if m.TypeLinkCount < 0 || m.TypeLinkCount > maxData/4 {
		return nil, fmt.Errorf("type data: %d type links: impossible", m.TypeLinkCount)
	}
	if end := max(m.TypeDescSize, m.ItabOffset); end > d.size {
		return nil, fmt.Errorf("type data: descriptors to offset %#x: %w", end, errOutside)
	}
	return &Data{arch: a, mod: m, r: reader{d, l}, known: make(map[typeKey]*abi.Type)}, nil
}

// Method returns the signature of the method whose code begins at entry, the
// receiver being its first parameter. Parameters are called "_", as nothing
// tells their names, and results "~r0", "~r1", …. Types are read to depth pointer
// hops, with stubs (kind Invalid, with a name) beyond.
//
// The error is [ErrNoType] if no type lists the code as one of its methods, or
// if several types do that disagree. The first call takes the time to go
// through all types of the program.
func (d *Data) Method(code symbols.VirtAddr, depth int) (*abi.Signature, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.makeIndex(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNoType, err)
	}
	text := uint64(code - d.mod.Text)
	if code < d.mod.Text || text > maxData || text == 0 {
		return nil, fmt.Errorf("%w: address %#x: not in the text of the program", ErrNoType, uint64(code))
	}
	found := d.index.find(uint32(text))
	if len(found) == 0 {
		return nil, fmt.Errorf("%w: address %#x: no type lists it as a method", ErrNoType, uint64(code))
	}
	depth = min(max(depth, 0), maxDepth)
	d.r.budget = callBudget
	sig, err := d.signature(found[0], depth)
	if err != nil {
		return nil, fmt.Errorf("method at %#x: %w", uint64(code), err)
	}
	for _, e := range found[1:] {
		other, err := d.signature(e, depth)
		if err != nil {
			return nil, fmt.Errorf("method at %#x: %w", uint64(code), err)
		}
		if !sameSignature(sig, other) {
			return nil, fmt.Errorf("%w: address %#x: several types list it as a method, %s and %s among them", ErrNoType,
				uint64(code), sig, other)
		}
	}
	return sig, nil
}

// makeIndex goes through all types, once. Data.mu is held.
func (d *Data) makeIndex() error {
	if !d.indexed {
		d.index, d.err = d.r.index(&d.mod)
		d.indexed = true
	}
	return d.err
}

// keep publishes the types that r has read. Data.mu is held.
func (d *Data) keep(r *typeReader) error {
	if err := r.finish(); err != nil {
		return err
	}
	if len(d.known)+len(r.fresh) > keptTypes {
		clear(d.known)
		return nil
	}
	for k, n := range r.fresh {
		d.known[k] = n.t
	}
	return nil
}

// signature reads the signature of a method.
func (d *Data) signature(e entry, depth int) (*abi.Signature, error) {
	r := &typeReader{reader: d.r, known: d.known, fresh: make(map[typeKey]*typeNode)}
	recv, err := r.receiver(e, depth)
	if err != nil {
		return nil, err
	}
	ft, err := r.descriptor(offset(e.mtyp))
	if err != nil {
		return nil, err
	}
	in, out, _, err := r.params(ft)
	if err != nil {
		return nil, err
	}
	sig := &abi.Signature{Method: true, Params: []abi.Param{{Name: "_", Type: recv}}}
	for _, p := range in {
		t, err := r.read(p, depth, 0)
		if err != nil {
			return nil, err
		}
		sig.Params = append(sig.Params, abi.Param{Name: "_", Type: t})
	}
	for i, p := range out {
		t, err := r.read(p, depth, 0)
		if err != nil {
			return nil, err
		}
		sig.Results = append(sig.Results, abi.Param{Name: "~r" + strconv.Itoa(i), Type: t})
	}
	return sig, d.keep(r)
}

// receiver returns the type of a method's receiver.
func (r *typeReader) receiver(e entry, depth int) (*abi.Type, error) {
	if !e.viaPointer {
		return r.read(offset(e.typ), depth, 0)
	}
	elem, err := r.pointee(offset(e.typ), depth)
	if err != nil {
		return nil, err
	}
	name, err := r.typeName(offset(e.typ))
	if err != nil {
		return nil, err
	}
	return &abi.Type{Name: "*" + name, Kind: abi.Pointer, Size: r.layout.ptr, Align: r.layout.ptr, Elem: elem}, nil
}

// sameSignature reports whether two signatures have the same types.
func sameSignature(a, b *abi.Signature) bool {
	same := func(a, b []abi.Param) bool {
		if len(a) != len(b) {
			return false
		}
		for i := range a {
			if a[i].Type.Name != b[i].Type.Name || a[i].Type.Kind != b[i].Type.Kind || a[i].Type.Size != b[i].Type.Size {
				return false
			}
		}
		return true
	}
	return same(a.Params, b.Params) && same(a.Results, b.Results)
}

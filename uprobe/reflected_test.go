package uprobe

import (
	"encoding/binary"
	"math"
	"reflect"

	"github.com/argtap/argtap/abi"
	"github.com/argtap/argtap/internal/bpfsim"
)

// reflected makes abi types of Go types, as dwarfargs would for an architecture.
type reflected struct {
	arch *abi.Arch
	done map[reflect.Type]*abi.Type
}

func (m reflected) of(t reflect.Type) *abi.Type {
	if a := m.done[t]; a != nil {
		return a
	}
	a := &abi.Type{Name: t.String(), Kind: abi.Kind(t.Kind()), Size: int64(t.Size()), Align: int64(t.Align())}
	m.done[t] = a
	if t.PkgPath() != "" {
		a.Name = t.PkgPath() + "." + t.Name()
	}
	switch t.Kind() {
	case reflect.Array:
		a.Elem, a.Len = m.of(t.Elem()), int64(t.Len())
	case reflect.Slice, reflect.Pointer, reflect.Chan:
		a.Elem = m.of(t.Elem())
	case reflect.Map:
		a.Key, a.Elem = m.of(t.Key()), m.of(t.Elem())
	case reflect.Interface:
		a.NumMethod = t.NumMethod()
	case reflect.Struct:
		for i := range t.NumField() {
			f := t.Field(i)
			a.Fields = append(a.Fields, abi.Field{Name: f.Name, Type: m.of(f.Type), Offset: int64(f.Offset), Embedded: f.Anonymous})
		}
	}
	if m.arch.PtrSize == 4 {
		shrink(a, t)
	}
	return a
}

// shrink gives a type the layout that it has where pointers have four bytes: on
// 386, where nothing is aligned to more.
func shrink(a *abi.Type, t reflect.Type) {
	a.Align = min(a.Align, 4)
	switch t.Kind() {
	case reflect.Int, reflect.Uint, reflect.Uintptr:
		a.Size = 4
	case reflect.Array:
		a.Size, a.Align = a.Len*a.Elem.Size, a.Elem.Align
	case reflect.Struct:
		a.Size, a.Align = 0, 1
		for i := range a.Fields {
			f := &a.Fields[i]
			f.Offset = (a.Size + f.Type.Align - 1) / f.Type.Align * f.Type.Align
			a.Size = f.Offset + f.Type.Size
			a.Align = max(a.Align, f.Type.Align)
		}
		if n := len(a.Fields); n > 0 && a.Size > 0 && a.Fields[n-1].Type.Size == 0 {
			a.Size++ // so that its address is not that of what lies behind
		}
		a.Size = (a.Size + a.Align - 1) / a.Align * a.Align
	default:
		if n := words(a.Kind); n > 0 {
			a.Size = 4 * n
		}
	}
}

// process is a process that calls a function with Go values.
type process struct {
	types reflected
	mem   *bpfsim.Memory
	ptrs  map[uintptr]uint64 // where what a pointer points to was put
}

// image returns the bytes of a value in the process, after putting what it
// refers to into memory.
func (p *process) image(v reflect.Value) []byte {
	b := make([]byte, p.types.of(v.Type()).Size)
	p.put(b, v)
	return b
}

func (p *process) put(b []byte, v reflect.Value) {
	le := binary.LittleEndian
	words := func(w ...uint64) {
		for i, x := range w {
			if p.types.arch.PtrSize == 4 {
				le.PutUint32(b[4*i:], uint32(x))
				continue
			}
			le.PutUint64(b[8*i:], x)
		}
	}
	integer := func(x uint64) {
		for i := range b {
			b[i] = byte(x >> (8 * i))
		}
	}
	switch v.Kind() {
	case reflect.Bool:
		if v.Bool() {
			b[0] = 1
		}
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		integer(uint64(v.Int()))
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64, reflect.Uintptr:
		integer(v.Uint())
	case reflect.Float32:
		integer(uint64(math.Float32bits(float32(v.Float()))))
	case reflect.Float64:
		le.PutUint64(b, math.Float64bits(v.Float()))
	case reflect.Complex64:
		le.PutUint32(b, math.Float32bits(float32(real(v.Complex()))))
		le.PutUint32(b[4:], math.Float32bits(float32(imag(v.Complex()))))
	case reflect.Complex128:
		le.PutUint64(b, math.Float64bits(real(v.Complex())))
		le.PutUint64(b[8:], math.Float64bits(imag(v.Complex())))
	case reflect.String:
		if n := v.Len(); n > 0 {
			a := p.mem.Alloc(n, 1)
			p.mem.Put(a, []byte(v.String()))
			words(a, uint64(n))
		}
	case reflect.Slice:
		p.putSlice(words, v)
	case reflect.Array:
		size := p.types.of(v.Type().Elem()).Size
		for i := range v.Len() {
			if size > 0 {
				p.put(b[int64(i)*size:][:size], v.Index(i))
			}
		}
	case reflect.Struct:
		for i, f := range p.types.of(v.Type()).Fields {
			p.put(b[f.Offset:][:f.Type.Size], v.Field(i))
		}
	case reflect.Pointer:
		p.putPointer(words, v)
	case reflect.Interface:
		if !v.IsNil() {
			words(0x4a1000, 0xc000123000)
		}
	default: // map, chan, func, unsafe.Pointer
		if !v.IsNil() {
			words(0xc000123456)
		}
	}
}

func (p *process) putSlice(words func(...uint64), v reflect.Value) {
	n, elem := v.Len(), p.types.of(v.Type().Elem())
	size := int(elem.Size)
	switch {
	case v.IsNil():
	case n*size == 0:
		words(0x5a0000, uint64(n), uint64(v.Cap())) // runtime.zerobase
	default:
		a := p.mem.Alloc(n*size, uint64(elem.Align))
		for i := range n {
			p.mem.Put(a+uint64(i*size), p.image(v.Index(i)))
		}
		words(a, uint64(n), uint64(v.Cap()))
	}
}

func (p *process) putPointer(words func(...uint64), v reflect.Value) {
	if v.IsNil() {
		return
	}
	a, ok := p.ptrs[v.Pointer()]
	if !ok {
		t := p.types.of(v.Type().Elem())
		a = p.mem.Alloc(int(t.Size), uint64(t.Align))
		p.ptrs[v.Pointer()] = a
		p.mem.Put(a, p.image(v.Elem()))
	}
	words(a)
}

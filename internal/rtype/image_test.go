package rtype

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/argtap/argtap/abi"
	"github.com/argtap/argtap/symbols"
)

// image is a program's type data, written as a release would. It is a Memory.
type image struct {
	l layout
	b []byte
	// Descriptors are in the first half, up to here, names in the second.
	types, names int64
	links        []uint32
	linksAt      int64
}

const (
	imageBase = 0x500000
	textBase  = 0x401000
	imageSize = 0x1000
)

var errUnmapped = errors.New("not mapped")

func (m *image) DataAt(a symbols.VirtAddr, buf []byte) error {
	off := uint64(a - imageBase)
	if a < imageBase || off > uint64(len(m.b)) || uint64(len(buf)) > uint64(len(m.b))-off {
		return errUnmapped
	}
	copy(buf, m.b[off:])
	return nil
}

func (m *image) u16(at int64, v int)    { binary.LittleEndian.PutUint16(m.b[at:], uint16(v)) }
func (m *image) u32(at int64, v uint32) { binary.LittleEndian.PutUint32(m.b[at:], v) }
func (m *image) word(at int64, v uint64) {
	if m.l.ptr == 4 {
		m.u32(at, uint32(v))
	} else {
		binary.LittleEndian.PutUint64(m.b[at:], v)
	}
}

// take returns where the next n bytes are, at a multiple of to.
func take(used *int64, n, to int64) int64 {
	at := align(*used, to)
	*used = at + n
	return at
}

// name writes a name. Embedded is in its flags where the release has it there.
func (m *image) name(text, tag string, embedded bool) uint32 {
	flags := byte(0)
	if c := text[0]; c >= 'A' && c <= 'Z' {
		flags |= nameExported
	}
	if tag != "" {
		flags |= nameTag
	}
	if embedded && m.l.embeddedInName {
		flags |= nameEmbedded
	}
	out := []byte{flags}
	for _, s := range []string{text, tag} {
		if s == "" {
			continue
		}
		if m.l.varint {
			out = binary.AppendUvarint(out, uint64(len(s)))
		} else {
			out = append(out, byte(len(s)>>8), byte(len(s)))
		}
		out = append(out, s...)
	}
	at := take(&m.names, int64(len(out)), 1)
	copy(m.b[at:], out)
	return uint32(at)
}

// shape is a type to be written.
type shape struct {
	str, pkg string // pkg: named, with methods or without
	kind     abi.Kind
	size     int64
	align    byte
	words    []uint64 // behind the descriptor: pointers are offsets with refBit set
	extra    []uint64 // behind the uncommon part
	methods  []method
}

const refBit = 1 << 40

// typ writes a type, at a place that was reserved for it or at a new one.
func (m *image) typ(s shape) uint32 { return m.typAt(-1, s) }

func (m *image) extentOf(s shape) int64 {
	n := m.l.own(s.kind) + int64(len(s.extra))*m.l.ptr + int64(len(s.methods))*methodSize
	if s.pkg != "" || s.methods != nil {
		n += uncommonSize
	}
	return n
}

func (m *image) typAt(at int64, s shape) uint32 {
	str := m.name(s.str, "", false)
	pkg := uint32(0)
	if s.pkg != "" {
		pkg = m.name(s.pkg, "", false)
	}
	if at < 0 {
		at = take(&m.types, m.extentOf(s), m.l.ptr)
	}
	m.word(at, uint64(s.size))
	m.b[at+m.l.align()], m.b[at+m.l.kind()] = s.align, byte(s.kind)|1<<5
	m.u32(at+m.l.str(), str)
	put := func(at int64, words []uint64) {
		for i, w := range words {
			if w&refBit != 0 {
				w = imageBase + w&^refBit
			}
			m.word(at+int64(i)*m.l.ptr, w)
		}
	}
	if s.kind == abi.Func {
		m.u16(at+m.l.typeSize(), int(s.words[0]))
		m.u16(at+m.l.typeSize()+2, int(s.words[1]))
	} else {
		put(at+m.l.typeSize(), s.words)
	}
	next := at + m.l.own(s.kind)
	if s.pkg != "" || s.methods != nil {
		m.b[at+m.l.tflag()] |= flagUncommon
		if s.pkg != "" {
			m.b[at+m.l.tflag()] |= flagNamed
		}
		m.u32(next, pkg)
		m.u16(next+4, len(s.methods))
		m.u32(next+8, uint32(uncommonSize+int64(len(s.extra))*m.l.ptr))
		next += uncommonSize
	} else if s.kind < abi.Array || s.kind == abi.String || s.kind == abi.UnsafePointer {
		m.b[at+m.l.tflag()] |= flagNamed
	}
	put(next, s.extra)
	next += int64(len(s.extra)) * m.l.ptr
	for i, meth := range s.methods {
		b := next + int64(i)*methodSize
		m.u32(b+4, uint32(meth.typ))
		m.u32(b+8, meth.ifn)
		m.u32(b+12, meth.tfn)
	}
	m.links = append(m.links, uint32(at))
	return uint32(at)
}

func ref(off uint32) uint64 { return uint64(off) | refBit }

// newImage writes type data with types of all kinds and these methods:
//
//	0x100: func (main.T) (int8, map[string]*main.T, ...string) (error, func())
//	0x200: the same with receiver *main.T, which interfaces call
//	0x300: func (*main.T) ()
//	0x400: of two types that disagree
func newImage(version string, a *abi.Arch) (*image, error) {
	l, err := layoutFor(version, a.PtrSize)
	if err != nil {
		return nil, err
	}
	m := &image{l: *l, b: make([]byte, imageSize), types: a.PtrSize, names: imageSize / 2}
	ptr := l.ptr
	pad := byte(ptr)
	basic := func(k abi.Kind, size int64) uint32 {
		return m.typ(shape{str: k.String(), kind: k, size: size, align: byte(min(size, ptr))})
	}
	i8, i64, str := basic(abi.Int8, 1), basic(abi.Int64, 8), m.typ(shape{str: "string", kind: abi.String, size: 2 * ptr, align: pad})
	unsafePtr := m.typ(shape{str: "unsafe.Pointer", pkg: "unsafe", kind: abi.UnsafePointer, size: ptr, align: pad})
	noFunc := m.typ(shape{str: "func()", kind: abi.Func, size: ptr, align: pad, words: []uint64{0, 0}})
	errName := m.name("Error", "", false)
	errFunc := m.typ(shape{str: "func() string", kind: abi.Func, size: ptr, align: pad, words: []uint64{0, 1}, extra: []uint64{ref(str)}})
	imethods := align(m.types, ptr) + l.own(abi.Interface)
	errType := m.typ(shape{str: "error", kind: abi.Interface, size: 2 * ptr, align: pad, words: []uint64{0, ref(uint32(imethods)), 1, 1}})
	m.b[int64(errType)+l.tflag()] |= flagNamed
	take(&m.types, imethodSize, 1)
	m.u32(imethods, errName)
	m.u32(imethods+4, errFunc)
	strings := m.typ(shape{str: "[]string", kind: abi.Slice, size: 3 * ptr, align: pad, words: []uint64{ref(str)}})
	arr := m.typ(shape{str: "[2]int64", kind: abi.Array, size: 16, align: byte(min(8, ptr)), words: []uint64{ref(i64), 0, 2}})
	ch := m.typ(shape{str: "<-chan int8", kind: abi.Chan, size: ptr, align: pad, words: []uint64{ref(i8), 1}})

	// T and *T refer to each other: T's place comes first.
	fields := []struct {
		name string
		typ  uint32
		off  int64
		emb  bool
	}{{"a", i8, 0, false}, {"B", arr, ptr, false}, {"c", ch, ptr + 16, true}, {"_", unsafePtr, 2*ptr + 16, false}}
	tShape := shape{str: "*main.T", pkg: "example.com/main", kind: abi.Struct, size: 3*ptr + 16, align: pad,
		extra: make([]uint64, 3*len(fields)), methods: make([]method, 2)}
	tAt := take(&m.types, m.extentOf(tShape), ptr)
	tptr := m.typ(shape{str: "*main.T", kind: abi.Pointer, size: ptr, align: pad, words: []uint64{ref(uint32(tAt))},
		methods: []method{{typ: offset(noFunc), ifn: 0x300, tfn: 0x300}, {typ: offset(noFunc), ifn: 0x400, tfn: 0x400},
			{typ: offset(noFunc), ifn: ^uint32(0), tfn: ^uint32(0)}, {ifn: 0x500, tfn: 0x500}}})
	mapT := m.typ(shape{str: "map[string]*main.T", kind: abi.Map, size: ptr, align: pad, words: []uint64{ref(str), ref(tptr), ref(i8)}})
	f := m.typ(shape{str: "func", kind: abi.Func, size: ptr, align: pad, words: []uint64{3, 2 | 1<<15},
		extra: []uint64{ref(i8), ref(mapT), ref(strings), ref(errType), ref(noFunc)}})
	for i, fd := range fields {
		off := uint64(fd.off)
		if !l.embeddedInName {
			if off *= 2; fd.emb {
				off++
			}
		}
		copy(tShape.extra[3*i:], []uint64{ref(m.name(fd.name, map[bool]string{true: "a tag"}[i == 1], fd.emb)), ref(fd.typ), off})
	}
	tShape.words = []uint64{ref(m.name("example.com/main", "", false)), ref(uint32(tAt + l.own(abi.Struct) + uncommonSize)), uint64(len(fields)), uint64(len(fields))}
	tShape.methods = []method{{typ: offset(f), ifn: 0x200, tfn: 0x100}, {typ: offset(f), ifn: 0x400, tfn: 0x600}}
	m.typAt(tAt, tShape)
	m.b[tAt+l.tflag()] |= flagExtraStar
	if m.types > imageSize/2 || m.names+4*int64(len(m.links)) > imageSize {
		return nil, errors.New("the image is too small")
	}
	m.linksAt = align(m.names, 4)
	for i, off := range m.links {
		m.u32(m.linksAt+4*int64(i), off)
	}
	return m, nil
}

// module is what the runtime would know of it.
func (m *image) module() Module {
	mod := Module{Text: textBase, Types: imageBase, ETypes: imageBase + symbols.VirtAddr(len(m.b))}
	if m.l.contiguous {
		mod.TypeDescSize = uint64(m.types)
	} else {
		mod.TypeLinks, mod.TypeLinkCount = imageBase+symbols.VirtAddr(m.linksAt), len(m.links)
	}
	return mod
}

// versions has one release for each layout.
var versions = []string{"go1.11.13", "go1.12.17", "go1.14.15", "go1.16", "go1.17.13", "go1.18rc1", "go1.19.13", "go1.23.12", "go1.24.13",
	"go1.25.1 X:noswissmap", "go1.26.8 X:simd", "go1.27.4"}

func TestLayouts(t *testing.T) {
	for _, version := range versions {
		for _, a := range []*abi.Arch{abi.AMD64, abi.ARM64, abi.I386} {
			t.Run(version+"/"+a.GOARCH, func(t *testing.T) {
				m, err := newImage(version, a)
				if err != nil {
					t.Fatal(err)
				}
				d, err := New(m, a, version, m.module())
				if err != nil {
					t.Fatal(err)
				}
				const sig = "(int8, map[string]*example.com/main.T, []string) (error, func())"
				for code, want := range map[symbols.VirtAddr]string{
					0x100: "func (example.com/main.T) " + sig,
					0x200: "func (*example.com/main.T) " + sig,
					0x300: "func (*example.com/main.T) ()",
					0x600: "func (example.com/main.T) " + sig,
				} {
					got, err := d.Method(textBase+code, 1)
					if err != nil || got.String() != want {
						t.Errorf("%#x: %v, %v, want %s", uint64(code), got, err, want)
					}
				}
				for code, want := range map[symbols.VirtAddr]string{
					0x400: "several types", 0x500: "no type lists it", 0: "not in the text", ^symbols.VirtAddr(0) - textBase: "not in the text",
				} {
					if _, err := d.Method(textBase+code, 0); !errors.Is(err, ErrNoType) || !strings.Contains(err.Error(), want) {
						t.Errorf("%#x: %v, want %s", uint64(code), err, want)
					}
				}
				got, err := d.Method(textBase+0x100, 0)
				if err != nil {
					t.Fatal(err)
				}
				checkT(t, got.Params[0].Type, a.PtrSize)
				mp := got.Params[2].Type
				if mp.Key.Kind != abi.Invalid || mp.Key.Name != "string" || mp.Elem.Name != "*example.com/main.T" || mp.Elem.Elem != nil {
					t.Errorf("beyond depth 0: %+v, %+v", mp.Key, mp.Elem)
				}
				if e := got.Results[0].Type; e.NumMethod != 1 || e.Size != 2*a.PtrSize {
					t.Errorf("error is %+v", e)
				}
				if _, err := abi.Stack(a, got); err != nil {
					t.Error(err)
				}
			})
		}
	}
}

func checkT(t *testing.T, typ *abi.Type, ptr int64) {
	t.Helper()
	var b strings.Builder
	for _, f := range typ.Fields {
		fmt.Fprintf(&b, "%s %s %d %v; ", f.Name, f.Type, f.Offset, f.Embedded)
	}
	want := fmt.Sprintf("a int8 0 false; B [2]int64 %d false; c <-chan int8 %d true; _ unsafe.Pointer %d false; ", ptr, ptr+16, 2*ptr+16)
	if b.String() != want || typ.Kind != abi.Struct || typ.Size != 3*ptr+16 || typ.Align != ptr {
		t.Errorf("%s of %d bytes, aligned to %d: %s, want %s", typ, typ.Size, typ.Align, &b, want)
	}
	if arr := typ.Fields[1].Type; arr.Len != 2 || arr.Elem.Kind != abi.Int64 {
		t.Errorf("array: %+v", arr)
	}
}

func TestUnknownReleases(t *testing.T) {
	m, err := newImage("go1.26.8", abi.AMD64)
	if err != nil {
		t.Fatal(err)
	}
	for version, want := range map[string]string{
		"":                     `not known for version ""`,
		"devel +abcdef":        `not known for version "devel +abcdef"`,
		"go1.10.8":             "not known for Go 1.10: it is for 1.11 to 1.27",
		"go1.28":               "not known for Go 1.28: it is for 1.11 to 1.27",
		"devel go1.28-0a1b2c3": "not known",
	} {
		if _, err := New(m, abi.AMD64, version, m.module()); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %s", version, err, want)
		}
	}
}

func TestImpossibleModules(t *testing.T) {
	m, err := newImage("go1.26.8", abi.AMD64)
	if err != nil {
		t.Fatal(err)
	}
	for _, change := range []func(*Module){
		func(m *Module) { m.Types = 0 },
		func(m *Module) { m.ETypes = m.Types },
		func(m *Module) { m.ETypes = m.Types - 1 },
		func(m *Module) { m.ETypes = m.Types + 1<<31 },
		func(m *Module) { m.TypeLinkCount = -1 },
		func(m *Module) { m.TypeLinkCount = 1 << 30 },
	} {
		mod := m.module()
		change(&mod)
		if _, err := New(m, abi.AMD64, "go1.26.8", mod); err == nil {
			t.Errorf("%+v is possible", mod)
		}
	}
	mod := m.module()
	mod.ItabOffset = 1 << 30
	if _, err := New(m, abi.AMD64, "go1.27.4", mod); !errors.Is(err, errOutside) {
		t.Errorf("descriptors outside: %v", err)
	}
}

// TestChunks reads across the borders of what is read at once.
func TestChunks(t *testing.T) {
	m := &image{b: make([]byte, 3*chunkSize+100)}
	for i := range m.b {
		m.b[i] = byte(i * 7 >> 3)
	}
	d, err := newData(m, abi.AMD64, imageBase, imageBase+symbols.VirtAddr(len(m.b)))
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range [][2]int64{{0, 0}, {chunkSize - 1, 2}, {5, 3*chunkSize + 90}, {3 * chunkSize, 100}, {3*chunkSize + 100, 0}, {chunkSize, chunkSize}} {
		got, err := d.bytes(offset(r[0]), r[1])
		if err != nil || !slices.Equal(got, m.b[r[0]:r[0]+r[1]]) {
			t.Errorf("%d bytes at %d: %v", r[1], r[0], err)
		}
	}
	for _, r := range [][2]int64{{3*chunkSize + 100, 1}, {0, 3*chunkSize + 101}, {-1, 1}, {0, -1}} {
		if _, err := d.bytes(offset(r[0]), r[1]); !errors.Is(err, errOutside) {
			t.Errorf("%d bytes at %d: %v", r[1], r[0], err)
		}
	}
	d.held = maxChunks
	d.chunks[1] = nil
	if got, err := d.bytes(chunkSize, 8); err != nil || !slices.Equal(got, m.b[chunkSize:chunkSize+8]) || d.held != 1 {
		t.Errorf("when too much is held: % x, %v, %d chunks", got, err, d.held)
	}
}

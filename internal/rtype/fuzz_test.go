package rtype

import (
	"testing"

	"github.com/argtap/argtap/abi"
	"github.com/argtap/argtap/symbols"
)

// FuzzMethod: any type data gives an error, or a signature whose types fit
// together.
func FuzzMethod(f *testing.F) {
	archs := []*abi.Arch{abi.AMD64, abi.I386}
	var mods []Module
	for i, version := range versions {
		for j, a := range archs {
			m, err := newImage(version, a)
			if err != nil {
				f.Fatal(err)
			}
			mods = append(mods, m.module())
			f.Add(m.b, uint8(i*len(archs)+j))
		}
	}
	f.Fuzz(func(t *testing.T, b []byte, which uint8) {
		i := int(which) % len(mods)
		a := archs[i%len(archs)]
		m := &image{b: b}
		mod := mods[i]
		mod.ETypes = mod.Types + symbols.VirtAddr(len(b))
		d, err := New(m, a, versions[i/len(archs)], mod)
		if err != nil {
			return
		}
		for code := symbols.VirtAddr(0x100); code <= 0x600; code += 0x100 {
			sig, err := d.Method(textBase+code, int(code>>8)%3)
			if err != nil {
				continue
			}
			seen := map[*abi.Type]bool{}
			for _, p := range append(sig.Params, sig.Results...) {
				fitting(t, p.Type, seen)
			}
			// It may still be larger than a frame.
			abi.Stack(a, sig)
		}
	})
}

func fitting(t *testing.T, typ *abi.Type, seen map[*abi.Type]bool) {
	if typ == nil {
		t.Fatal("a type is missing")
	}
	if seen[typ] {
		return
	}
	seen[typ] = true
	switch typ.Kind {
	case abi.Struct:
		end := int64(0)
		for _, fd := range typ.Fields {
			if fd.Offset < end || fd.Offset+fd.Type.Size > typ.Size {
				t.Fatalf("type %s: field %+v", typ, fd)
			}
			end = fd.Offset + fd.Type.Size
			fitting(t, fd.Type, seen)
		}
	case abi.Array:
		if typ.Len < 0 || typ.Elem == nil || typ.Len*typ.Elem.Size != typ.Size {
			t.Fatalf("type %+v", typ)
		}
		fitting(t, typ.Elem, seen)
	case abi.Pointer, abi.Slice, abi.Chan, abi.Map:
		if typ.Elem == nil || typ.Kind == abi.Map && typ.Key == nil {
			t.Fatalf("type %+v", typ)
		}
	}
}

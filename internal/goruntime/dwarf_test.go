package goruntime_test

import (
	"encoding/binary"
	"fmt"
	"testing"

	"github.com/argtap/argtap/abi"
	"github.com/argtap/argtap/dwarfargs"
	"github.com/argtap/argtap/internal/goruntime"
	"github.com/argtap/argtap/symbols"
)

// TestDWARF compares the layouts with the debug information of the runtime, and
// those of groups and buckets with that of each map type, for every release.
func TestDWARF(t *testing.T) {
	for _, v := range append(variants(), variant{arch: "arm64"}) {
		t.Run(fmt.Sprintf("%s/%s/%s", v.release, v.arch, v.experiment), func(t *testing.T) {
			path, version := v.build(t, mapsSource(t))
			f, err := symbols.Open(path)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			d, err := dwarfargs.Open(f)
			if err != nil {
				t.Fatal(err)
			}
			defer d.Close()
			minor, _ := goruntime.Release(version)
			c := layoutCheck{t, d, int64(v.ptrSize())}
			c.words(minor)
			c.channel(minor)
			for _, mc := range mapCases {
				l, err := goruntime.NewMapLayout(version, binary.LittleEndian, v.ptrSize(), v.sizeOf(mc.key), v.sizeOf(mc.elem))
				if err != nil {
					t.Fatal(err)
				}
				if l.Swiss {
					c.swiss(l, mc, v.experiment == "mapsplitgroup")
				} else {
					c.buckets(l, mc)
				}
			}
		})
	}
}

// layoutCheck compares offsets with debug information.
type layoutCheck struct {
	t   *testing.T
	d   *dwarfargs.Data
	ptr int64
}

func (c layoutCheck) read(name string) *abi.Type {
	c.t.Helper()
	s, err := c.d.Struct(name, 1)
	if err != nil {
		c.t.Fatal(err)
	}
	return s
}

// at fails if the field is elsewhere, or of another size.
func (c layoutCheck) at(s *abi.Type, name string, off, size int64) {
	c.t.Helper()
	f := field(s, name)
	if f == nil {
		c.t.Fatalf("%s has no field %s", s, name)
	}
	if f.Offset != off || f.Type.Size != size {
		c.t.Errorf("%s.%s has %d bytes at %d, want %d at %d", s, name, f.Type.Size, f.Offset, size, off)
	}
}

func field(s *abi.Type, name string) *abi.Field {
	for i := range s.Fields {
		if s.Fields[i].Name == name {
			return &s.Fields[i]
		}
	}
	return nil
}

func (c layoutCheck) words(minor int) {
	p := c.ptr
	itab, inter, typ := "runtime.itab", "inter", "_type"
	if minor >= 23 {
		itab, inter, typ = "internal/abi.ITab", "Inter", "Type"
	}
	c.at(c.read("runtime.eface"), "_type", goruntime.EfaceType*p, p)
	c.at(c.read("runtime.eface"), "data", goruntime.IfaceData*p, p)
	c.at(c.read("runtime.iface"), "tab", goruntime.IfaceTab*p, p)
	c.at(c.read("runtime.iface"), "data", goruntime.IfaceData*p, p)
	c.at(c.read(itab), inter, goruntime.ItabInterface*p, p)
	c.at(c.read(itab), typ, goruntime.ItabType*p, p)
	c.at(c.read("runtime.funcval"), "fn", goruntime.FuncCode*p, p)
	c.at(c.read("runtime.stringStructDWARF"), "str", goruntime.StringData*p, p)
	c.at(c.read("runtime.stringStructDWARF"), "len", goruntime.StringLen*p, p)
	slice := c.read("runtime.slice")
	c.at(slice, "array", goruntime.SliceData*p, p)
	c.at(slice, "len", goruntime.SliceLen*p, p)
	c.at(slice, "cap", goruntime.SliceCap*p, p)
}

func (c layoutCheck) channel(minor int) {
	l, err := goruntime.NewChanLayout(minor, binary.LittleEndian, int(c.ptr))
	if err != nil {
		c.t.Fatal(err)
	}
	for _, name := range []string{"runtime.hchan", "hchan<[3]int16>"} {
		h := c.read(name)
		c.at(h, "qcount", l.Count, c.ptr)
		c.at(h, "dataqsiz", l.Cap, c.ptr)
		c.at(h, "buf", l.Buf, c.ptr)
		c.at(h, "elemsize", l.ElemSize, 2)
		c.at(h, "closed", l.Closed, 4)
		c.at(h, "sendx", l.SendX, c.ptr)
		c.at(h, "recvx", l.RecvX, c.ptr)
		if timer := field(h, "timer"); (timer != nil) != (l.Timer >= 0) || timer != nil && timer.Offset != l.Timer {
			c.t.Errorf("timer: %v, want it at %d", timer, l.Timer)
		}
		if h.Size < l.Size {
			c.t.Errorf("%s has %d bytes of %d", h, h.Size, l.Size)
		}
	}
}

func (c layoutCheck) swiss(l *goruntime.MapLayout, mc mapCase, split bool) {
	c.t.Helper()
	s := l.SwissMap
	typeArgs := fmt.Sprintf("<%s,%s>", mc.key, mc.elem)
	for _, name := range []string{"internal/runtime/maps.Map", "map" + typeArgs} {
		m := c.read(name)
		c.at(m, "used", s.Used, 8)
		c.at(m, "dirPtr", s.DirPtr, c.ptr)
		c.at(m, "dirLen", s.DirLen, c.ptr)
		c.at(m, "globalDepth", s.GlobalDepth, 1)
		c.at(m, "writing", s.Writing, 1)
		if m.Size < l.HeaderSize {
			c.t.Errorf("%s has %d bytes of %d", m, m.Size, l.HeaderSize)
		}
	}
	for _, name := range []string{"internal/runtime/maps.table", "table" + typeArgs} {
		table := c.read(name)
		c.at(table, "used", s.TableUsed, 2)
		c.at(table, "capacity", s.TableCapacity, 2)
		c.at(table, "index", s.TableIndex, c.ptr)
		groups := field(table, "groups")
		if groups == nil || table.Size != s.TableSize {
			c.t.Fatalf("%s of %d bytes, groups %v", table, table.Size, groups)
		}
		for name, at := range map[string]int64{"data": s.TableGroups, "lengthMask": s.TableMask} {
			if f := field(groups.Type, name); f == nil || groups.Offset+f.Offset != at {
				c.t.Errorf("%s.groups at %d: %s: %v, want it at %d", table, groups.Offset, name, f, at)
			}
		}
	}
	group := c.read(fmt.Sprintf("noalg.map.group[%s]%s", mc.key, mc.elem))
	c.at(group, "ctrl", 0, 8)
	if group.Size != l.Size {
		c.t.Errorf("%s has %d bytes, want %d", group, group.Size, l.Size)
	}
	if split {
		c.array(group, "keys", l.Keys, l.KeyStride, l.KeySize)
		c.array(group, "elems", l.Elems, l.ElemStride, l.ElemSize)
		return
	}
	slots := field(group, "slots")
	if slots == nil || slots.Type.Len != 8 {
		c.t.Fatalf("%s: slots: %v", group, slots)
	}
	c.at(slots.Type.Elem, "key", l.Keys-slots.Offset, l.KeySize)
	c.at(slots.Type.Elem, "elem", l.Elems-slots.Offset, l.ElemSize)
	if n := slots.Type.Elem.Size; n != l.KeyStride || n != l.ElemStride {
		c.t.Errorf("%s: slots of %d bytes, want %d and %d", group, n, l.KeyStride, l.ElemStride)
	}
}

// array compares a field that is eight keys or elements.
func (c layoutCheck) array(s *abi.Type, name string, off, stride, size int64) {
	c.t.Helper()
	c.at(s, name, off, 8*stride)
	if f := field(s, name); stride != size || f.Type.Len != 8 || f.Type.Elem.Size != size {
		c.t.Errorf("%s.%s is %d of %d bytes, want 8 of %d", s, name, f.Type.Len, f.Type.Elem.Size, size)
	}
}

func (c layoutCheck) buckets(l *goruntime.MapLayout, mc mapCase) {
	c.t.Helper()
	b := l.BucketMap
	typeArgs := fmt.Sprintf("<%s,%s>", mc.key, mc.elem)
	for _, name := range []string{"runtime.hmap", "hash" + typeArgs} {
		h := c.read(name)
		c.at(h, "count", b.Count, c.ptr)
		c.at(h, "flags", b.Flags, 1)
		c.at(h, "B", b.B, 1)
		c.at(h, "buckets", b.Buckets, c.ptr)
		c.at(h, "oldbuckets", b.OldBuckets, c.ptr)
		c.at(h, "nevacuate", b.NEvacuate, c.ptr)
		if h.Size < l.HeaderSize {
			c.t.Errorf("%s has %d bytes of %d", h, h.Size, l.HeaderSize)
		}
	}
	bucket := c.read("bucket" + typeArgs)
	c.at(bucket, "tophash", 0, 8)
	c.array(bucket, "keys", l.Keys, l.KeyStride, l.KeySize)
	c.array(bucket, "values", l.Elems, l.ElemStride, l.ElemSize)
	c.at(bucket, "overflow", b.Overflow, c.ptr)
	if bucket.Size != l.Size {
		c.t.Errorf("%s has %d bytes, want %d", bucket, bucket.Size, l.Size)
	}
}

package uprobe

import (
	"testing"

	"github.com/argtap/argtap/abi"
	"github.com/argtap/argtap/internal/capture"
)

// scanFunc is a function with a map[int]string, a chan int, a func and an any.
func scanFunc(release string) *Func {
	word := func(k abi.Kind, name string) *abi.Type { return &abi.Type{Name: name, Kind: k, Size: 8, Align: 8} }
	tInt, tString := word(abi.Int, "int"), &abi.Type{Name: "string", Kind: abi.String, Size: 16, Align: 8}
	m, c, f := word(abi.Map, "map[int]string"), word(abi.Chan, "chan int"), word(abi.Func, "func()")
	m.Key, m.Elem, c.Elem = tInt, tString, tInt
	any := &abi.Type{Name: "interface {}", Kind: abi.Interface, Size: 16, Align: 8}
	types := capture.NewTypes(abi.AMD64, capture.Limits{})
	types.SetRelease(release)
	var in []capture.Input
	for i, t := range []*abi.Type{m, c, f, any} {
		in = append(in, capture.Input{Name: string(rune('a' + i)), Type: t, Location: abi.Location{{Size: t.Size, Kind: abi.InFrame, CFA: abi.CFAOffset(16 * i)}}})
	}
	fn := &Func{name: "main.f", arch: abi.AMD64, sig: &abi.Signature{}, source: SourceDWARF}
	fn.plan = capture.BuildWalk(abi.AMD64, in, capture.Limits{Elems: 4}, types)
	types.AddDynamic(0x1000, m, true)
	types.AddDynamic(0x1100, c, true)
	types.AddClosure(0x2000, &abi.Type{Name: "closure", Kind: abi.Struct, Size: 16, Align: 8, Fields: []abi.Field{
		{Name: "F", Type: tInt}, {Name: "x", Type: tInt, Offset: 8},
	}}, nil)
	fn.names = &funcNames{known: map[uint64]string{0x2000: "main.f.func1"}}
	return fn
}

// scanRecord is a record of scanFunc, with the map {7: ""}, a channel that has 5
// and 6 around the end of its buffer, and a closure. The interface holds the map.
func scanRecord(f *Func) *walkRecord {
	r := &walkRecord{f: f, data: make([]byte, f.plan.Fixed)}
	order.PutUint64(r.data[capture.OffBias:], 0x400000)
	for i, w := range []uint64{0x100, 0x200, 0x300, 0x401000, 0x100} {
		order.PutUint64(r.data[capture.WalkHeaderSize+8*i:], w)
	}
	types := f.plan.Walk.Types
	m, _ := types.Map(f.plan.Params[0].Image.Type)
	c, _ := types.Chan(f.plan.Params[1].Image.Type)
	_, end, _, endChan := types.ScanTypes()
	header := []uint64{1, 0, 0x180, 0, 0, 0}
	group := make([]uint64, m.Layout.Size/8)
	group[0], group[1] = 0x80808080_80808001, 7
	if !m.Layout.Swiss {
		header = []uint64{1, 0, 0x180, 0, 0, 0}
		group[0] = 9 // the hash of the first
	}
	header = header[:m.Layout.HeaderSize/8]
	r.object(0x100, m.Header, 0, 1, header...)
	r.object(0x180, m.Group, 0, 1, group...)
	r.object(0x100, end, 0, 1, header...)
	ring := make([]uint64, c.Layout.Size/8)
	put := func(off int64, w uint64) { ring[off/8] = w }
	put(c.Layout.Count, 2)
	put(c.Layout.Cap, 3)
	put(c.Layout.Buf, 0x500)
	put(c.Layout.ElemSize, 8)
	put(c.Layout.SendX, 1)
	put(c.Layout.RecvX, 2)
	r.object(0x200, c.Header, 0, 1, ring...)
	r.object(0x510, c.Elem, 0, 1, 5)
	r.object(0x500, c.Elem, 0, 1, 6)
	r.object(0x200, endChan, 0, 1, ring...)
	r.object(0x300, capture.WordType, 0, 1, 0x402000)
	d, _ := types.Dynamic(0x2000)
	closure, _, _ := types.Lookup(capture.RowPointer, d.Type)
	r.object(0x300, closure, 1, 1, 0x402000, 8)
	return r
}

// TestScans decodes records of maps, channels and funcs, and what a writer may
// have done to them.
func TestScans(t *testing.T) {
	for _, release := range []string{"go1.26.8", "go1.21.13"} {
		f := scanFunc(release)
		text := func(change func(r *walkRecord)) string {
			r := scanRecord(f)
			change(r)
			c, ok := newCall(f, r.data, testEpoch)
			if !ok {
				t.Fatal("no call")
			}
			return c.String()
		}
		at := func(r *walkRecord, object int) int { // where the words of an object are
			c, _ := newCall(f, r.data, testEpoch)
			c.heap.once.Do(c.heap.objects)
			return int(c.heap.list[object].off)
		}
		const ring, closure = "b=(chan int)(0x200 len=2 cap=3 {5, 6})", "c=main.f.func1{x: 8}"
		for _, tt := range []struct {
			name   string
			change func(r *walkRecord)
			want   string
		}{
			{"as it was", func(*walkRecord) {}, `main.f(a=map[int]string{7: ""}, ` + ring + `, ` + closure + `, d=map[int]string{7: ""})`},
			{"one entry more behind", func(r *walkRecord) { r.data[at(r, 2)]++ },
				`main.f(a=(map[int]string)(0x100 <changed while it was read>), ` + ring + `, ` + closure + `, d=(map[int]string)(0x100 <changed while it was read>))`},
			{"one entry that is not there", func(r *walkRecord) { r.data[at(r, 2)]++; r.data[at(r, 0)]++ },
				`main.f(a=(map[int]string)(0x100 <changed while it was read>), ` + ring + `, ` + closure + `, d=(map[int]string)(0x100 <changed while it was read>))`},
			{"another received", func(r *walkRecord) { r.data[at(r, 6)]-- },
				`main.f(a=map[int]string{7: ""}, b=(chan int)(0x200 len=2 cap=3 {…(2 <changed while it was read>)}), ` + closure + `, d=map[int]string{7: ""})`},
			{"cut behind the header", func(r *walkRecord) {
				r.data = r.data[:at(r, 0)+len(scanHeader(f))]
				order.PutUint16(r.data[capture.OffFlags:], capture.FlagBytes)
			},
				`main.f(a=map[int]string{…(1 <cut at the limit on bytes of a call>)}, b=(chan int)(0x200 <cut at the limit on bytes of a call>), c=(func())(0x300 <cut at the limit on bytes of a call>), d=map[int]string{…(1 <cut at the limit on bytes of a call>)})`},
		} {
			if got := text(tt.change); got != tt.want {
				t.Errorf("%s, %s:\n got %s\nwant %s", release, tt.name, got, tt.want)
			}
		}
	}
}

// scanHeader has the size of a map's header.
func scanHeader(f *Func) []byte {
	m, _ := f.plan.Walk.Types.Map(f.plan.Params[0].Image.Type)
	return make([]byte, m.Layout.HeaderSize)
}

// FuzzScan decodes arbitrary heaps: see FuzzRecord.
func FuzzScan(f *testing.F) {
	funcs := []*Func{scanFunc("go1.26.8"), scanFunc("go1.27.4"), scanFunc("go1.21.13"), scanFunc("go1.11.13"), scanFunc("")}
	for i, fn := range funcs[:4] {
		f.Add(uint8(i), scanRecord(fn).data)
	}
	f.Fuzz(func(t *testing.T, which uint8, data []byte) {
		c, ok := newCall(funcs[int(which)%len(funcs)], data, testEpoch)
		if !ok {
			return
		}
		decodeAll(t, &c)
		for _, v := range c.Args() {
			v.Closed()
			v.FuncName()
			v.Closure().Any()
			n := 0
			for k, e := range v.MapRange() {
				k.Any()
				e.Any()
				n++
			}
			if n != v.Captured() && v.Kind() == abi.Map || v.Len() >= 0 && n > v.Len() {
				t.Errorf("%d entries, %d captured of %d", n, v.Captured(), v.Len())
			}
		}
	})
}

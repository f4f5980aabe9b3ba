package goruntime_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/argtap/argtap/internal/fixture"
	"github.com/argtap/argtap/internal/goruntime"
	"github.com/argtap/argtap/symbols"
)

func TestMain(m *testing.M) { os.Exit(fixture.Main(m)) }

// mapCase is a type of maps, with the expressions for entry i.
type mapCase struct {
	key, elem string
	k, e      string
	n         int // entries at most
}

var mapCases = []mapCase{
	{key: "int64", elem: "int64", k: "int64(i)", e: "int64(-i)", n: 2500},
	{key: "string", elem: "string", k: "name(i)", e: "name(-i)", n: 2000},
	{key: "uint8", elem: "bool", k: "uint8(i)", e: "i%2 == 0", n: 256},
	{key: "[200]uint8", elem: "int32", k: "[200]uint8{byte(i), byte(i >> 8)}", e: "int32(i)", n: 300},
	{key: "int32", elem: "[200]uint8", k: "int32(i)", e: "[200]uint8{byte(i)}", n: 300},
	{key: "[129]uint8", elem: "[129]uint8", k: "[129]uint8{byte(i), byte(i >> 8)}", e: "[129]uint8{byte(i)}", n: 120},
	{key: "[128]uint8", elem: "[128]uint8", k: "[128]uint8{byte(i), byte(i >> 8)}", e: "[128]uint8{byte(i)}", n: 120},
	{key: "struct {}", elem: "int64", k: "struct{}{}", e: "int64(i)", n: 2},
	{key: "int64", elem: "struct {}", k: "int64(i)", e: "struct{}{}", n: 1000},
	{key: "struct {}", elem: "struct {}", k: "struct{}{}", e: "struct{}{}", n: 2},
	{key: "float64", elem: "int32", k: "number(i)", e: "int32(i)", n: 700},
	{key: "interface {}", elem: "interface {}", k: "interface{}(i)", e: "interface{}(name(i))", n: 300},
	{key: "*int64", elem: "[]string", k: "new(int64)", e: "[]string{name(i)}", n: 120},
	{key: "uint16", elem: "complex128", k: "uint16(i)", e: "complex(float64(i), 1)", n: 120},
	{key: "[3]uint8", elem: "uint64", k: "[3]uint8{byte(i), byte(i >> 8)}", e: "uint64(i)", n: 120},
	{key: "int16", elem: "[0]int64", k: "int16(i)", e: "[0]int64{}", n: 120},
}

// build is a way to build with a release.
type variant struct{ release, arch, experiment string }

// variants are the local toolchain's, or those of all releases.
func variants() []variant {
	list := []variant{{"", "amd64", ""}, {"", "386", ""}}
	if os.Getenv("ARGTAP_TOOLCHAINS") == "" {
		return list
	}
	for _, r := range releases {
		for _, arch := range []string{"amd64", "386"} {
			list = append(list, variant{strings.TrimPrefix(r, "go"), arch, ""})
		}
	}
	return append(list, variant{"1.24.13", "amd64", "noswissmap"}, variant{"1.25.11", "386", "noswissmap"},
		variant{"1.27.4", "amd64", "mapsplitgroup"}, variant{"1.27.4", "386", "mapsplitgroup"})
}

func (v variant) build(t *testing.T, src fixture.Source) (path, version string) {
	t.Helper()
	var flags []string
	if v.experiment != "" {
		flags = append(flags, "GOEXPERIMENT="+v.experiment)
	}
	path = fixture.BuildWith(t, fixture.Toolchain{Release: v.release, Arch: v.arch}, src, flags...)
	f, err := symbols.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	version, _ = f.GoVersion()
	if v.experiment != "" && !strings.Contains(version, v.experiment) {
		t.Fatalf("version %q, built with %s", version, v.experiment)
	}
	return path, version
}

func (v variant) ptrSize() int {
	if v.arch == "386" {
		return 4
	}
	return 8
}

// sizes returns the size and alignment of the types of the cases.
func (v variant) sizeOf(typ string) goruntime.TypeSize {
	ptr := int64(v.ptrSize())
	basic := map[string]goruntime.TypeSize{
		"int64": {8, ptr}, "uint64": {8, ptr}, "float64": {8, ptr}, "complex128": {16, ptr}, "uint8": {1, 1}, "bool": {1, 1},
		"int16": {2, 2}, "uint16": {2, 2}, "int32": {4, 4}, "string": {2 * ptr, ptr}, "interface {}": {2 * ptr, ptr},
		"[]string": {3 * ptr, ptr}, "*int64": {ptr, ptr}, "struct {}": {0, 1}, "[0]int64": {0, ptr},
	}
	if s, ok := basic[typ]; ok {
		return s
	}
	var n int64
	fmt.Sscanf(typ, "[%d]uint8", &n)
	return goruntime.TypeSize{Size: n, Align: 1}
}

// seen counts what the states of one program were like.
type seen struct {
	states, nilMaps, small, growing, overflow, tables, chans, wrapped, closed, indirect int
}

// TestMaps compares what the bytes of maps and channels say with what the
// programs say that are in them, for every release.
func TestMaps(t *testing.T) {
	for _, v := range variants() {
		t.Run(fmt.Sprintf("%s/%s/%s", v.release, v.arch, v.experiment), func(t *testing.T) {
			path, version := v.build(t, mapsSource(t))
			minor, _ := goruntime.Release(version)
			chans, err := goruntime.NewChanLayout(minor, binary.LittleEndian, v.ptrSize())
			if err != nil {
				t.Fatal(err)
			}
			var layouts []*goruntime.MapLayout
			for _, c := range mapCases {
				l, err := goruntime.NewMapLayout(version, binary.LittleEndian, v.ptrSize(), v.sizeOf(c.key), v.sizeOf(c.elem))
				if err != nil {
					t.Fatal(err)
				}
				layouts = append(layouts, l)
			}
			var c seen
			p := start(t, path)
			for s := p.next(t); s != nil && !t.Failed(); s = p.next(t) {
				c.states++
				if s.what[0] == "chan" {
					c.checkChan(t, p, s, chans)
				} else {
					var i int
					fmt.Sscan(s.what[1], &i)
					c.checkMap(t, p, s, layouts[i], v, mapCases[i])
				}
				p.goOn()
			}
			t.Logf("%+v", c)
			swiss := layouts[0].Swiss
			if c.states < 1000 || c.nilMaps != len(mapCases) || c.small < 100 || c.indirect < 100 || c.chans < 100 || c.wrapped < 10 || c.closed != 6 ||
				swiss && (c.tables < 20 || c.growing+c.overflow > 0) || !swiss && (c.growing < 50 || c.overflow < 100) {
				t.Error("not all states that there are")
			}
		})
	}
}

func (c *seen) checkMap(t *testing.T, p *process, s *state, l *goruntime.MapLayout, v variant, mc mapCase) {
	t.Helper()
	if s.addr == 0 {
		c.nilMaps++
		return
	}
	header := p.read(t, s.addr, l.HeaderSize)
	growing := !l.Swiss && word(header[l.BucketMap.OldBuckets:], v) != 0
	buckets := uint64(0)
	if !l.Swiss {
		buckets = word(header[l.BucketMap.Buckets:], v)
	}
	overflow, tables := 0, 0
	sc := scan(l, header, func(addr uint64, n int64) []byte { return p.read(t, addr, n) })
	for _, part := range sc.Parts {
		if part.Table {
			tables++
		} else if !l.Swiss && !growing && (part.Addr < buckets || part.Addr >= buckets+uint64(l.Size)<<header[l.BucketMap.B]) {
			overflow++
		}
	}
	entries, st, err := l.Entries(sc)
	if err != nil {
		t.Errorf("%v, map[%s]%s of %d: %v\n%x", s.what, mc.key, mc.elem, s.n, err, header)
		return
	}
	if st.Missing || st.Len != uint64(s.n) || st.Found != uint64(s.n) {
		t.Errorf("%v of %d: %+v", s.what, s.n, st)
	}
	// Maps that are ranged over do not change, so the order may differ only.
	var have []string
	ks, es := v.sizeOf(mc.key).Size, v.sizeOf(mc.elem).Size
	for _, e := range entries {
		at := func(off int64, size int64, indirect bool) []byte {
			b := sc.Parts[e.Part].Bytes[off:]
			if indirect {
				return p.read(t, word(b, v), size)
			}
			return b[:size]
		}
		key := at(l.Keys+int64(e.Index)*l.KeyStride, ks, l.IndirectKey)
		elem := at(l.Elems+int64(e.Index)*l.ElemStride, es, l.IndirectElem)
		have = append(have, fmt.Sprintf("%x. %x.", key, elem))
	}
	slices.Sort(have)
	slices.Sort(s.elem)
	if !slices.Equal(have, s.elem) {
		t.Errorf("%v, map[%s]%s of %d:\n%q\nwant\n%q", s.what, mc.key, mc.elem, s.n, have, s.elem)
	}
	count := func(n *int, when bool) {
		if when {
			*n++
		}
	}
	count(&c.growing, growing)
	count(&c.overflow, overflow > 0)
	count(&c.tables, tables > 1)
	count(&c.small, s.n <= 8)
	count(&c.indirect, l.IndirectKey || l.IndirectElem)
	c.checkBroken(t, sc, l, st)
}

// checkBroken changes what was read, as a writer may while it is being read.
func (c *seen) checkBroken(t *testing.T, sc goruntime.Scan, l *goruntime.MapLayout, st goruntime.MapState) {
	t.Helper()
	if c.states%50 != 0 {
		return
	}
	at, bit := l.SwissMap.Writing, byte(1)
	if !l.Swiss {
		at, bit = l.BucketMap.Flags, 4
	}
	header := sc.Header
	with := func(header []byte) goruntime.Scan {
		sc := sc
		sc.Header, sc.Again = header, header
		return sc
	}
	b := slices.Clone(header)
	b[at] |= bit
	for _, broken := range []goruntime.Scan{with(b), {Header: header, Parts: sc.Parts, Again: b, Whole: true}} {
		if e, _, err := l.Entries(broken); e != nil || !errors.Is(err, goruntime.ErrWriting) {
			t.Errorf("while it is written to: %v", err)
		}
	}
	b = slices.Clone(header)
	b[0]++
	if e, _, err := l.Entries(with(b)); e != nil || err == nil {
		t.Errorf("one entry too many: %v", err)
	}
	if e, _, err := l.Entries(goruntime.Scan{Header: header, Parts: sc.Parts, Again: b, Whole: true}); e != nil || !errors.Is(err, goruntime.ErrInconsistent) {
		t.Errorf("one entry was added meanwhile: %v", err)
	}
	if e, _, err := l.Entries(with(header[:l.HeaderSize-1])); e != nil || err == nil {
		t.Errorf("a short map: %v", err)
	}
	if e, _, err := l.Entries(goruntime.Scan{Header: header, Again: header, Whole: true}); len(e) != 0 || (err == nil) != (st.Len == 0) {
		t.Errorf("without parts: %d entries, %v", len(e), err)
	}
	if e, got, err := l.Entries(goruntime.Scan{Header: header}); len(e) != 0 || err != nil || !got.Missing || got.Len != st.Len {
		t.Errorf("without parts: %d entries, %+v, %v", len(e), got, err)
	}
}

func (c *seen) checkChan(t *testing.T, p *process, s *state, l *goruntime.ChanLayout) {
	t.Helper()
	ch, err := l.Read(p.read(t, s.addr, l.Size))
	if err != nil {
		t.Errorf("%v: %v", s.what, err)
		return
	}
	want := fmt.Sprintf("%s %s %d", s.what[1], s.what[2], s.n)
	if have := fmt.Sprint(ch.Cap, ch.Closed, ch.Len); have != want || ch.Timer || ch.ElemSize != 6 {
		t.Errorf("%+v, want %s", ch, want)
	}
	var have []string
	for i := range ch.Len {
		have = append(have, fmt.Sprintf("%x.", p.read(t, ch.Buf+6*ch.Slot(i), 6)))
	}
	if !slices.Equal(have, s.elem) {
		t.Errorf("%+v: %q, want %q", ch, have, s.elem)
	}
	c.chans++
	if ch.Closed {
		c.closed++
	}
	if ch.Len > 1 && ch.Slot(ch.Len-1) < ch.Slot(0) {
		c.wrapped++
	}
}

func word(b []byte, v variant) uint64 {
	if v.ptrSize() == 4 {
		return uint64(binary.LittleEndian.Uint32(b))
	}
	return binary.LittleEndian.Uint64(b)
}

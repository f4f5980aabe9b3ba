package probegen_test

import (
	"fmt"
	"testing"

	"github.com/argtap/argtap/abi"
	"github.com/argtap/argtap/internal/capture"
	"github.com/argtap/argtap/internal/probegen"
)

// largestLimits are the greatest limits of plans and walks.
func largestLimits() capture.Limits {
	return capture.Limits{String: 8192, Elems: 1024, Bytes: 8192, Depth: 100, Objects: 1024, Record: 32 << 10}
}

// Types that are redacted.
var (
	tHiddenByte   = &abi.Type{Name: "main.HiddenByte", Kind: abi.Uint8, Size: 1, Align: 1}
	tHiddenString = &abi.Type{Name: "main.HiddenString", Kind: abi.String, Size: 16, Align: 8}
)

func redactHidden() *capture.Redaction {
	return redact([]string{"main.HiddenByte", "main.HiddenString"})
}

// striped has n pairs of a byte that is redacted and one that is not, and a field
// of so many bytes that are redacted.
func striped(n, bytes int64) *abi.Type {
	return structOf("main.striped", array(bytes, tHiddenByte), tInt, array(n, stripe))
}

var stripe = structOf("main.stripe", tHiddenByte, tUint8)

// largestPlans are static plans at the limits, in which as much as possible is
// redacted.
func largestPlans() []planCase {
	l := largestLimits()
	l.Redact = redactHidden()
	many := func(n int, t *abi.Type) (list []*abi.Type) {
		for range n {
			list = append(list, t)
		}
		return list
	}
	halves := structOf("main.halves", tHiddenString, tString)
	wide := structOf("main.wide", append(many(6, tHiddenByte), many(12, tString)...)...)
	deep := pointer(wide)
	for range 6 {
		deep = pointer(structOf("main.deep", tHiddenString, deep, slice(halves), slice(wide)))
	}
	return []planCase{
		{name: "stack", params: []*abi.Type{striped(20, 40)}, limits: l},
		{name: "fixed", params: []*abi.Type{array(4000, stripe)}, limits: l},
		{name: "fixedLarge", params: []*abi.Type{array(30, striped(3, 100)), array(4000, stripe)}, limits: l},
		{name: "strings", params: many(200, tString), limits: l},
		{name: "halves", params: many(100, halves), limits: l},
		{name: "pointers", params: many(60, pointer(striped(7, 200))), limits: l},
		{name: "striped", params: []*abi.Type{pointer(striped(4000, 1)), slice(striped(30, 100)), slice(striped(1000, 5000)), slice(striped(2, 1))}, limits: l},
		{name: "slices", params: many(40, slice(halves)), limits: l},
		{name: "nested", params: []*abi.Type{slice(slice(halves)), slice(pointer(pointer(wide))), slice(slice(striped(4, 100)))}, limits: l},
		{name: "deep", params: []*abi.Type{deep, slice(deep), deep}, limits: l},
	}
}

// largestWalk is a function whose plan and type table are at the limits: as many
// types, rows, parameters and bytes as there may be.
func largestWalk(t *testing.T, a *abi.Arch) (probegen.Func, *capture.Types) {
	t.Helper()
	l := largestLimits()
	l.Redact = redactHidden()
	types := capture.NewTypes(a, l)
	c := planCase{name: "largest", arch: a, limits: l}
	c.params = append(c.params, array(1000, tEface))
	for range 60 {
		c.params = append(c.params, tEface, pointer(node()), slice(slice(tIface)), structOf("main.S", tHiddenString, tString, tEface))
	}
	f := c.fn(0)
	f.Plan = capture.BuildWalk(a, c.inputs(), l, types)
	f.Plan.Goroutine, f.Site = 152, walkSite
	memo := map[*abi.Type]*abi.Type{}
	add := func(key uint64, typ *abi.Type) {
		if a == abi.I386 {
			typ = on386(typ, memo)
		}
		types.AddDynamic(key, typ, false)
	}
	for i := uint64(0); i < capture.MaxTypes; i++ {
		// Four rows each, of which one is erased; each type leads to itself.
		self := &abi.Type{Name: fmt.Sprintf("main.T%d", i), Kind: abi.Struct, Align: 8}
		typ := structOf(self.Name, tHiddenString, tEface, tEface, tEface)
		*self = *typ
		switch i % 1000 {
		case 1:
			*self = *structOf(self.Name, array(1000, stripe))
		case 2:
			*self = *structOf(self.Name, array(5000, tHiddenByte), tEface)
		}
		add(0x10000+16*i, self)
	}
	if n, rows := types.Len(); n != capture.MaxTypes || rows < capture.MaxRows-1000 {
		t.Fatalf("%d types, %d rows", n, rows)
	}
	if f.Plan.Fixed < 8<<10 {
		t.Fatalf("%d bytes", f.Plan.Fixed)
	}
	return f, types
}

// TestLargestWalk runs the largest walk, and compares its records with the
// model's.
func TestLargestWalk(t *testing.T) {
	r := newRandom(1, abi.AMD64)
	f, types := largestWalk(t, r.arch)
	m := newMachine(1 << 22)
	enterWalk(m, types)
	prog := load(t, []probegen.Func{f}, probegen.Options{CPUs: simCPUs, Sleepable: true})
	w := r.world()
	w.addrs = nil
	var blocks []uint64
	for range 40 {
		at := w.mem.Alloc(9000, 8)
		blocks = append(blocks, at)
		for range 100 {
			w.addrs = append(w.addrs, at+uint64(8*r.IntN(1000)))
		}
	}
	for range 4000 {
		w.addrs = append(w.addrs, 0x10000+16*r.Uint64N(capture.MaxTypes)+walkBias)
	}
	for _, at := range blocks {
		w.fill(at, 9000)
	}
	largest, objects, erased := 0, 0, 0
	for range 20 {
		h := w.hit(true)
		sp := w.mem.Alloc(16<<10, 8)
		w.fill(sp, 16<<10)
		h.regs[abi.RSP], h.pc = sp, walkSite+walkBias
		h.enter(m)
		m.PID, m.TID, m.Time = h.pid, h.tid, h.time
		if _, err := m.Run(prog); err != nil {
			t.Fatal(err)
		}
		got := m.Ring.Take()
		if len(got) != 1 {
			t.Fatalf("%d records", len(got))
		}
		want := h.record(&f)
		before := want.erased
		wm := want.walk(&f, walkBias)
		if err := diff(got[0], want); err != nil {
			t.Fatal(err)
		}
		largest, objects = max(largest, len(got[0])), max(objects, wm.objects)
		erased += want.erased - before
	}
	t.Logf("at most %d bytes and %d objects; %d bytes erased", largest, objects, erased)
	if largest < capture.MaxWalk-9000 || largest > capture.MaxWalk || objects < 100 || erased < 10000 {
		t.Error("too small")
	}
}

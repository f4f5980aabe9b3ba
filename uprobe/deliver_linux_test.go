package uprobe

import (
	"reflect"
	"testing"

	"github.com/argtap/argtap/internal/capture"
)

// TestDeliver counts what is delivered and what is no record.
func TestDeliver(t *testing.T) {
	f := twoArgs(t)
	good := f.call(nil, "abc", &testPoint{3, 4}).data
	var got []string
	tr := &Tracer{funcs: []*Func{f.fn}, tallies: make([]funcTally, 1), epoch: testEpoch, handler: func(c *Call) { got = append(got, c.String()) }}
	var call Call
	otherID := append([]byte(nil), good...)
	order.PutUint32(otherID[capture.OffPlan:], 1)
	for _, rec := range [][]byte{
		good, nil, good[:capture.HeaderSize-1], good[:f.fn.plan.Fixed-1], otherID, good,
	} {
		tr.deliver(rec, &call)
	}
	y := &tr.tallies[0]
	if len(got) != 2 || y.delivered.Load() != 2 || y.malformed.Load() != 1 || tr.malformed.Load() != 3 {
		t.Errorf("%d calls, %d counted, %d and %d malformed", len(got), y.delivered.Load(), y.malformed.Load(), tr.malformed.Load())
	}
	const want = `main.f(s="abc", p=&uprobe.testPoint{X: 3, Y: 4})`
	for _, s := range got {
		if s != want {
			t.Errorf("%s, want %s", s, want)
		}
	}
}

// TestNoAllocations: a handler that asks for values by type allocates nothing.
func TestNoAllocations(t *testing.T) {
	f := trace(t, Limits{}, true, "i u b f c s by p is ss arr",
		reflect.TypeFor[int](), reflect.TypeFor[uint8](), reflect.TypeFor[bool](), reflect.TypeFor[float32](),
		reflect.TypeFor[complex128](), reflect.TypeFor[string](), reflect.TypeFor[[]byte](), reflect.TypeFor[*testPoint](),
		reflect.TypeFor[[]int32](), reflect.TypeFor[[]string](), reflect.TypeFor[[2]testPoint]())
	rec := f.call(nil, -1, uint8(2), true, float32(0.5), 1i, "abc", []byte("de"), &testPoint{3, 4},
		[]int32{5, 6}, []string{"g", "hi"}, [2]testPoint{{7, 8}, {9, 10}}).data
	sum := 0
	tr := &Tracer{funcs: []*Func{f.fn}, tallies: make([]funcTally, 1), epoch: testEpoch, handler: func(c *Call) {
		i, _ := c.Arg(0).Int()
		u, _ := c.Arg(1).Uint()
		b, _ := c.Arg(2).Bool()
		x, _ := c.Arg(3).Float()
		z, _ := c.Arg(4).Complex()
		s, _ := c.Arg(5).Text()
		by, _ := c.Arg(6).Bytes()
		p := c.Arg(7).Elem()
		y, _ := p.Field(1).Int()
		e, _ := c.Arg(8).Index(1).Int()
		t, _ := c.Arg(9).Index(1).Text()
		named, _ := c.ArgByName("arr")
		field, _ := named.Index(1).FieldByName("X")
		a, _ := field.Int()
		if !b || x != 0.5 || z != 1i {
			a = 1000
		}
		sum = int(i) + int(u) + len(s) + len(by) + int(y) + int(e) + len(t) + int(a)
		c.PID()
		c.TID()
		c.Time()
		c.Goroutine()
		c.Name()
		c.Arg(8).Len()
		c.Arg(8).Cap()
		c.Arg(8).Captured()
		c.Arg(7).Pointer()
		c.Arg(7).Absent()
		for range c.Args() {
		}
	}}
	var call Call
	if n := testing.AllocsPerRun(100, func() { tr.deliver(rec, &call) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
	if want := -1 + 2 + 3 + 2 + 4 + 6 + 2 + 9; sum != want {
		t.Errorf("sum %d, want %d", sum, want)
	}
	// Text and JSON into a buffer that is large enough.
	buf := make([]byte, 0, 4096)
	tr.handler = func(c *Call) { buf = c.AppendText(buf[:0]) }
	if n := testing.AllocsPerRun(100, func() { tr.deliver(rec, &call) }); n > 20 {
		t.Errorf("%v allocations for the text", n)
	}
}

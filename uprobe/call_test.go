package uprobe

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/argtap/argtap/internal/capture"
)

func twoArgs(tb testing.TB) *traced {
	return trace(tb, Limits{}, false, "s p", reflect.TypeFor[string](), reflect.TypeFor[*testPoint]())
}

func TestCall(t *testing.T) {
	f := twoArgs(t)
	c := f.call(nil, "abc", &testPoint{3, 4})
	if c.Func() != f.fn || c.Name() != "main.f" || c.PID() != 12 || c.TID() != 34 || c.Goroutine() != testG || c.NumArgs() != 2 {
		t.Errorf("%s, pid %d, tid %d, goroutine %d, %d arguments", c.Name(), c.PID(), c.TID(), c.Goroutine(), c.NumArgs())
	}
	if want := time.Date(2026, 1, 2, 15, 4, 5, 123456789, time.UTC); !c.Time().Equal(want) {
		t.Errorf("time %v, want %v", c.Time(), want)
	}
	const text = `main.f(s="abc", p=&uprobe.testPoint{X: 3, Y: 4})`
	if c.String() != text || string(c.AppendText([]byte("> "))) != "> "+text {
		t.Errorf("%s\nwant %s", c, text)
	}
	const js = `{"time":"2026-01-02T15:04:05.123456789Z","func":"main.f","pid":12,"tid":34,"goroutine":77,` +
		`"args":[{"name":"s","type":"string","value":"abc"},{"name":"p","type":"*uprobe.testPoint","value":{"X":3,"Y":4}}]}`
	got, err := json.Marshal(c)
	if err != nil || string(got) != js {
		t.Errorf("%s, %v\nwant %s", got, err, js)
	}
	if got := string(c.AppendJSON([]byte("> "))); got != "> "+js {
		t.Error(got)
	}
	none := trace(t, Limits{}, false, "").call(nil)
	if none.String() != "main.f()" || none.NumArgs() != 0 {
		t.Error(none)
	}
	if got, _ := none.MarshalJSON(); !bytes.HasSuffix(got, []byte(`"args":[]}`)) {
		t.Errorf("%s", got)
	}
}

// TestNoGoroutine: a goroutine that cannot be read is 0, and the rest is there.
func TestNoGoroutine(t *testing.T) {
	c := twoArgs(t).call(func(h *hit) { h.mem.Unmap(h.g, 512) }, "abc", (*testPoint)(nil))
	if c.Goroutine() != 0 || c.String() != `main.f(s="abc", p=nil)` {
		t.Errorf("goroutine %d, %s", c.Goroutine(), c)
	}
}

func TestCallArgs(t *testing.T) {
	c := twoArgs(t).call(nil, "abc", &testPoint{3, 4})
	var got []string
	for name, v := range c.Args() {
		got = append(got, name+"="+v.String())
	}
	if want := []string{`s="abc"`, `p=&uprobe.testPoint{X: 3, Y: 4}`}; !reflect.DeepEqual(got, want) {
		t.Errorf("%q", got)
	}
	for range c.Args() {
		break // must not panic
	}
	if v, ok := c.ArgByName("p"); !ok || v.String() != `&uprobe.testPoint{X: 3, Y: 4}` {
		t.Errorf("p is %v, %t", v, ok)
	}
	if v, ok := c.ArgByName("q"); ok || v.Type() != nil {
		t.Errorf("q is %v, %t", v, ok)
	}
	if c.ArgName(0) != "s" || c.ArgName(1) != "p" {
		t.Errorf("names %q, %q", c.ArgName(0), c.ArgName(1))
	}
}

// TestClone: a clone and what was got from it outlive the record.
func TestClone(t *testing.T) {
	c := twoArgs(t).call(nil, "abc", &testPoint{3, 4})
	clone := c.Clone()
	view, _ := c.Arg(0).Text()
	s, _ := c.Arg(0).Str()
	kept := clone.Arg(1)
	want, wantJSON := c.String(), string(c.AppendJSON(nil))
	for i := range c.data {
		c.data[i] = 0xff
	}
	if clone.String() != want || string(clone.AppendJSON(nil)) != wantJSON || kept.Elem().Field(0).String() != "3" {
		t.Errorf("the clone is %s, was %s", clone, want)
	}
	if clone.Func() != c.Func() || !clone.Time().Equal(time.Date(2026, 1, 2, 15, 4, 5, 123456789, time.UTC)) {
		t.Errorf("the clone is of %v, at %v", clone.Func(), clone.Time())
	}
	if s != "abc" || string(view) == "abc" {
		t.Errorf("the copy is %q, the view %q", s, view)
	}
}

func TestCallLogValue(t *testing.T) {
	c := twoArgs(t).call(nil, "a b", (*testPoint)(nil))
	var b bytes.Buffer
	slog.New(slog.NewTextHandler(&b, nil)).Info("hit", "call", c)
	const want = `msg=hit call.func=main.f call.pid=12 call.tid=34 call.goroutine=77 call.s="a b" call.p=nil`
	if got := strings.TrimSpace(b.String()); !strings.HasSuffix(got, want) {
		t.Errorf("%s\nwant …%s", got, want)
	}
}

// TestFailedReads sets each bit of the failure word: it makes the bytes of its
// read absent and no others, and bit 0, which is the goroutine's, none.
func TestFailedReads(t *testing.T) {
	f := trace(t, Limits{}, true, "a b c", reflect.TypeFor[int](), reflect.TypeFor[testPoint](), reflect.TypeFor[string]())
	if n := len(f.fn.plan.Reads); n != 3 {
		t.Fatalf("%d reads", n)
	}
	for i := range f.fn.plan.Params { // room that must stay empty: calls share the plan
		f.fn.plan.Params[i].Image.Holes = make([]capture.Hole, 0, 4)
	}
	const ok = `main.f(a=1, b=uprobe.testPoint{X: 2, Y: 3}, c="abc")`
	for bits, want := range map[uint64]string{
		0:                     ok,
		1:                     ok,
		2:                     `main.f(a=<not resident>, b=uprobe.testPoint{X: 2, Y: 3}, c="abc")`,
		4:                     `main.f(a=1, b=<not resident>, c="abc")`,
		8:                     `main.f(a=1, b=uprobe.testPoint{X: 2, Y: 3}, c=<not resident>)`,
		15:                    `main.f(a=<not resident>, b=<not resident>, c=<not resident>)`,
		0xffff_ffff_ffff_fff0: ok, // bits of no read
	} {
		c := f.call(nil, 1, testPoint{2, 3}, "abc")
		order.PutUint64(c.data[capture.OffFailed:], bits)
		if got := c.String(); got != want {
			t.Errorf("bits %#x: %s, want %s", bits, got, want)
		}
	}
	for i := range f.fn.plan.Params {
		if h := f.fn.plan.Params[i].Image.Holes; len(h) != 0 || h[:1][0] != (capture.Hole{}) {
			t.Errorf("parameter %d of the plan has holes now: %v", i, h[:1])
		}
	}
}

// TestShortRecord cuts a record at each byte: what lies beyond is implausible,
// and what lies before is there.
func TestShortRecord(t *testing.T) {
	f := twoArgs(t)
	whole := f.call(nil, "abc", &testPoint{3, 4})
	rec := whole.data
	off, _ := capture.Slot(order.Uint64(rec[f.fn.plan.SlotBase:]))
	for n := range rec {
		c, ok := newCall(f.fn, rec[:n], testEpoch)
		if ok != (n >= f.fn.plan.Fixed) {
			t.Errorf("%d bytes of %d: %t", n, f.fn.plan.Fixed, ok)
		}
		if !ok {
			continue
		}
		s, p := "<implausible>", "<implausible>"
		if n >= int(off)+3 {
			s = `"abc"`
		}
		ptr, _ := whole.Arg(1).Pointer()
		if got, want := c.String(), fmt.Sprintf("main.f(s=%s, p=(*uprobe.testPoint)(%#x %s))", s, ptr, p); got != want {
			t.Errorf("%d bytes: %s, want %s", n, got, want)
		}
	}
}

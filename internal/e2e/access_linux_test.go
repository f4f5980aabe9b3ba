package e2e

import (
	"bytes"
	"fmt"
	"log/slog"
	"reflect"
	"testing"

	"github.com/argtap/argtap/abi"
	"github.com/argtap/argtap/internal/fixture"
	"github.com/argtap/argtap/uprobe"
)

const accessProgram = `package main

import "fixture/truth"

type point struct {
	X, y int32
	name string
}

//go:noinline
func hit(n int8, s string, list []uint16, data []byte, p *point, a [2]bool, f float64, nothing *int) {}

func main() {
	truth.Start()
	for i := range int8(20) {
		hit(-i, "s"[:i%2], []uint16{1, 2, uint16(i)}, []byte("bytes"), &point{int32(i), -1, "p"}, [2]bool{true, false}, 1.5, nil)
	}
	hit(100, string(make([]byte, 1000)), make([]uint16, 1000, 2000), make([]byte, 1000), nil, [2]bool{}, 0, nil)
	truth.Done()
}
`

// TestAccess asks calls and values by every accessor, and copies of them when
// the handler has long returned.
func TestAccess(t *testing.T) {
	needRoot(t)
	path := fixture.Build(t, fixture.Source{"main.go": accessProgram})
	target := fixture.Start(t, path)
	var clones []*uprobe.Call
	var texts []string
	tr := trace(t, path, []string{"main.hit"}, func(c *uprobe.Call) {
		clones = append(clones, c.Clone())
		texts = append(texts, c.String())
	})
	target.Go()
	target.Calls()
	closeAll(t, tr)
	if len(clones) != 21 {
		t.Fatalf("%d calls, want 21", len(clones))
	}
	for i, c := range clones[:20] {
		if got := c.String(); got != texts[i] || got != string(c.AppendText(nil)) {
			t.Errorf("call %d is %q after the handler has returned, was %q", i, got, texts[i])
		}
		checkCall(t, i, c)
	}
	checkCut(t, clones[20])

	c := clones[1]
	t.Log(c)
	var log bytes.Buffer
	slog.New(slog.NewTextHandler(&log, nil)).Info("call", "call", c)
	if !bytes.Contains(log.Bytes(), []byte("main.hit")) {
		t.Errorf("slog: %s", log.Bytes())
	}
	j, err := c.MarshalJSON()
	if err != nil || !bytes.Equal(j, c.AppendJSON(nil)) {
		t.Errorf("JSON %s (%v) is not %s", j, err, c.AppendJSON(nil))
	}
}

// checkCall checks call i of the twenty.
func checkCall(t *testing.T, i int, c *uprobe.Call) {
	t.Helper()
	eq := func(what string, got, want any) {
		t.Helper()
		if !reflect.DeepEqual(got, want) {
			t.Errorf("call %d: %s is %#v, want %#v", i, what, got, want)
		}
	}
	ok := func(v any, ok bool) any {
		t.Helper()
		if !ok {
			return "not ok"
		}
		return v
	}
	eq("name", c.Name(), "main.hit")
	eq("func", c.Func().Name(), "main.hit")
	eq("number of arguments", c.NumArgs(), 8)
	var names []string
	for name, v := range c.Args() {
		names = append(names, name)
		w, found := c.ArgByName(name)
		eq("found "+name, found, true)
		eq("by name "+name, w.String(), v.String())
	}
	eq("names", names, []string{"n", "s", "list", "data", "p", "a", "f", "nothing"})
	if _, found := c.ArgByName("absent"); found {
		t.Error("found an argument that is none")
	}
	eq("kind of n", c.Arg(0).Kind(), abi.Int8)
	eq("n", ok(c.Arg(0).Int()), int64(-i))
	_, isUint := c.Arg(0).Uint()
	eq("n as unsigned", isUint, false)
	eq("any n", c.Arg(0).Any(), int64(-i))
	eq("s", ok(c.Arg(1).Str()), "s"[:i%2])
	eq("length of s", c.Arg(1).Len(), i%2)
	list := c.Arg(2)
	eq("length of list", list.Len(), 3)
	eq("list[2]", ok(list.Index(2).Uint()), uint64(i))
	eq("any list", list.Any(), []any{uint64(1), uint64(2), uint64(i)})
	data, _ := c.Arg(3).Bytes()
	eq("data", string(data), "bytes")
	p := c.Arg(4)
	eq("p is nil", p.IsNil(), false)
	eq("fields of p", p.Elem().NumField(), 3)
	eq("p.X", ok(p.Elem().Field(0).Int()), int64(i))
	y, found := p.Elem().FieldByName("y")
	eq("p.y found", found, true)
	eq("p.y", ok(y.Int()), int64(-1))
	eq("any p", p.Any(), map[string]any{"X": int64(i), "y": int64(-1), "name": "p"})
	eq("a[0]", ok(c.Arg(5).Index(0).Bool()), true)
	eq("a[1]", ok(c.Arg(5).Index(1).Bool()), false)
	_, hasFloat := c.Arg(6).Float()
	reason, absent := c.Arg(6).Absent()
	eq("f is absent", absent, !hasFloat)
	if absent {
		eq("any f", c.Arg(6).Any(), uprobe.Absent{Reason: reason})
	}
	eq("nothing is nil", c.Arg(7).IsNil(), true)
	eq("any nothing", c.Arg(7).Any(), nil)
}

// checkCut checks the last call, of which a part is beyond the limits.
func checkCut(t *testing.T, c *uprobe.Call) {
	t.Helper()
	got := fmt.Sprint(c.Arg(1).Len(), c.Arg(1).Captured(), c.Arg(2).Len(), c.Arg(2).Cap(), c.Arg(2).Captured(),
		c.Arg(3).Len(), c.Arg(3).Captured(), c.Arg(4).IsNil())
	if want := "1000 512 1000 2000 64 1000 512 true"; got != want {
		t.Errorf("lengths and captured lengths are %s, want %s", got, want)
	}
	if s, ok := c.Arg(1).Str(); !ok || s != string(make([]byte, 512)) {
		t.Errorf("cut string %q", s)
	}
	if v := c.Arg(2).Index(63); v.String() != "0" {
		t.Errorf("last element captured is %v", v)
	}
	if _, absent := c.Arg(2).Index(64).Absent(); !absent {
		t.Errorf("first element not captured is %v", c.Arg(2).Index(64))
	}
}

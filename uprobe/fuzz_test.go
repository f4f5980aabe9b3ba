package uprobe

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/argtap/argtap/abi"
	"github.com/argtap/argtap/internal/capture"
)

// fuzzLimits are small, so that what may be printed is little.
var fuzzLimits = Limits{String: 16, Elems: 4, Bytes: 200, Depth: 3}

type fuzzCase struct {
	f    *traced
	args []any
}

// fuzzCases are functions whose records are fuzzed, with arguments for a good
// record.
func fuzzCases(tb testing.TB) []fuzzCase {
	type inner struct {
		S  string
		Is []int32
		_  int
		E  struct{}
	}
	type outer struct {
		In  []inner
		P   *inner
		Arr [3]inner
		Any any
		Z   [5]struct{}
		Zs  []struct{}
	}
	list := []fuzzCase{
		{args: []any{1, "abc", []byte("defg"), true, 0.5, complex64(1i), int8(-1)}},
		{args: []any{[][]string{{"a", "b"}, nil, {"c"}}, []*testPoint{{1, 2}, nil}}},
		{args: []any{&outer{In: []inner{{S: "x"}, {Is: []int32{1, 2}}}, P: &inner{S: "p"}}, map[string]int{"a": 1}}},
		{args: []any{&testTree{1, &testTree{2, nil}}, outer{In: make([]inner, 9)}}},
		{args: []any{struct{}{}, [3]struct{}{}, make([]struct{}, 2), [100]int{}, func() {}}},
		{args: nil},
	}
	for i := range list {
		var types []reflect.Type
		names := ""
		for j, a := range list[i].args {
			types = append(types, reflect.TypeOf(a))
			names += string(rune('a'+j)) + " "
		}
		list[i].f = trace(tb, fuzzLimits, i%2 == 0, names, types...)
	}
	// No limit allows anything: sizes of zero everywhere.
	none := list[2]
	none.f = trace(tb, Limits{String: -1, Elems: -1, Bytes: -1, Depth: 4}, false, "a b", reflect.TypeOf(none.args[0]), reflect.TypeOf(none.args[1]))
	list = append(list, none)
	// The same functions of a program with words of four bytes.
	for _, c := range list[:len(list):len(list)] {
		var types []reflect.Type
		names := ""
		for j, a := range c.args {
			types = append(types, reflect.TypeOf(a))
			names += string(rune('a'+j)) + " "
		}
		c.f = traceOn(tb, abi.I386, fuzzLimits, true, names, types...)
		list = append(list, c)
	}
	return list
}

// FuzzRecord decodes arbitrary bytes: no record may make the decoder panic,
// print without end, or print what is no JSON.
func FuzzRecord(f *testing.F) {
	cases := fuzzCases(f)
	for i, c := range cases {
		rec := c.f.call(nil, c.args...).data
		f.Add(uint8(i), rec)
		f.Add(uint8(i), rec[:c.f.fn.plan.Fixed])
		f.Add(uint8(i), make([]byte, capture.HeaderSize))
	}
	f.Fuzz(func(t *testing.T, which uint8, data []byte) {
		fn := cases[int(which)%len(cases)].f.fn
		c, ok := newCall(fn, data, testEpoch)
		if !ok {
			if len(data) >= fn.plan.Fixed {
				t.Error("rejected")
			}
			return
		}
		decodeAll(t, &c)
	})
}

// maxPrinted bounds what a record of the fuzzed functions prints: they have at
// most 96 references to 16 bytes each, some of them in two loops of 4.
const maxPrinted = 256 << 10

// decodeAll uses everything that a call has.
func decodeAll(t *testing.T, c *Call) {
	t.Helper()
	if s := c.String(); len(s) > maxPrinted {
		t.Errorf("%d bytes of text", len(s))
	}
	j, err := json.Marshal(c)
	if err != nil {
		raw, _ := c.MarshalJSON()
		t.Errorf("%v: %s", err, raw)
	}
	if len(j) > maxPrinted {
		t.Errorf("%d bytes of JSON", len(j))
	}
	var back struct {
		Args []struct{ Name, Type string }
	}
	if err := json.Unmarshal(j, &back); err != nil || len(back.Args) != c.NumArgs() {
		t.Errorf("%v: %s", err, j)
	}
	for _, verb := range []string{"%v", "%+v", "%#v", "%x", "%9q"} {
		for _, v := range c.Args() {
			if s := fmt.Sprintf(verb, v); len(s) > 2*maxPrinted {
				t.Errorf("%s: %d bytes", verb, len(s))
			}
		}
	}
	decodeInto(t, c)
	c.LogValue()
	c.PID()
	c.TID()
	c.Time()
	c.Goroutine()
	if got := c.Clone().String(); got != c.String() {
		t.Errorf("the clone is %s, the call %s", got, c)
	}
	steps := 0
	for _, v := range c.Args() {
		walk(t, v, &steps, 0)
	}
}

// decodeInto decodes the arguments into variables of types that fit some of them.
// Nothing may be stored of a value of which Decode says that it is absent.
func decodeInto(t *testing.T, c *Call) {
	t.Helper()
	type part struct {
		S  string  `argtap:",optional"`
		Is []int16 `argtap:",cut"`
	}
	type parts struct {
		In  []part
		P   *part `argtap:",optional"`
		Arr []part
		Any any
	}
	for name, v := range c.Args() {
		why, absent := v.Absent()
		for _, dst := range []any{new(any), new(int8), new(string), new([]byte), new([][]string), new([]*testPoint), new(parts),
			new(testTree), new(*testTree), new(map[string]any), new(time.Time), new(Value)} {
			err := v.Decode(dst)
			if _, ok := dst.(*Value); !ok && absent && (err == nil || !reflect.ValueOf(dst).Elem().IsZero()) {
				t.Errorf("%s is absent (%s), decoded into %T: %v", name, why, dst, err)
			}
			var e *DecodeError
			if err != nil && !errors.As(err, &e) {
				t.Errorf("%s into %T: %v is no DecodeError", name, dst, err)
			}
		}
	}
}

// walk visits all values within a value.
func walk(t *testing.T, v Value, steps *int, depth int) {
	if *steps++; *steps > 100_000 || depth > 200 {
		t.Fatalf("%d values, %d deep", *steps, depth)
	}
	useAll(v)
	v.Any()
	v.LogValue().Resolve()
	if n := v.Captured(); n > 0 {
		for i := range min(n, 70) {
			walk(t, v.Index(i), steps, depth+1)
		}
		walk(t, v.Index(n-1), steps, depth+1)
	}
	for i := range v.NumField() {
		walk(t, v.Field(i), steps, depth+1)
	}
	if p, ok := v.Pointer(); ok && p != 0 {
		if e := v.Elem(); e.Type() != nil {
			walk(t, e, steps, depth+1)
		}
	}
}

// TestMutatedRecords decodes good records of which a few words were replaced
// by what could be lengths, slots or pointers.
func TestMutatedRecords(t *testing.T) {
	rounds := 1500
	if testing.Short() {
		rounds = 200
	}
	r := rand.New(rand.NewPCG(1, 2))
	for i, fc := range fuzzCases(t) {
		good := fc.f.call(nil, fc.args...).data
		for round := range rounds {
			data := slices.Clone(good)
			if r.IntN(4) == 0 {
				data = append(data, make([]byte, r.IntN(2000))...)
			}
			for range 1 + r.IntN(6) {
				var w uint64
				off := uint64(r.IntN(len(data) + 16))
				switch r.IntN(6) {
				case 0:
					w = r.Uint64N(20)
				case 1:
					w = off&^7 | r.Uint64N(20)<<32
				case 2:
					w = off | r.Uint64N(2000)<<32
				case 3:
					w = ^r.Uint64N(8)
				case 4:
					w = r.Uint64N(20) << 32
				default:
					w = r.Uint64()
				}
				if words := (len(data) - capture.HeaderSize) / 8; words > 0 {
					order.PutUint64(data[capture.HeaderSize+8*r.IntN(words):], w)
				}
			}
			if r.IntN(8) == 0 {
				order.PutUint64(data[capture.OffFailed:], r.Uint64())
			}
			c, ok := newCall(fc.f.fn, data, testEpoch)
			if !ok {
				t.Fatal("rejected")
			}
			decodeAll(t, &c)
			if t.Failed() {
				t.Fatalf("function %d, round %d: %s", i, round, fc.f.fn)
			}
		}
	}
}

// TestSharedChunks decodes a record in which every slot names the same chunk,
// with as many elements as the record has room for: more than the plan allows
// is no record of the program, and must not be printed a million times over.
func TestSharedChunks(t *testing.T) {
	f := trace(t, fuzzLimits, true, "x", reflect.TypeFor[[][]string]())
	p := f.fn.plan
	data := make([]byte, 64<<10)
	for i := p.Fixed; i+8 <= len(data); i += 8 {
		order.PutUint64(data[i:], 2000) // lengths and capacities, or pointers
	}
	x := p.Params[0]
	for i := range 3 {
		order.PutUint64(data[x.Offset+8*i:], 2000)
	}
	order.PutUint64(data[x.Slots:], uint64(p.Fixed)|2000<<32)
	for i := p.Fixed + 2000*24; i+8 <= len(data); i += 8 {
		order.PutUint64(data[i:], uint64(p.Fixed)|2000<<32)
	}
	c, ok := newCall(f.fn, data, testEpoch)
	if !ok {
		t.Fatal("no call")
	}
	if s := c.String(); s != "main.f(x=<implausible>)" {
		t.Errorf("%d bytes: %.100s…", len(s), s)
	}
}

package uprobe

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/argtap/argtap/abi"
	"github.com/argtap/argtap/internal/capture"
)

// TestAccessors asks values of each kind by every accessor: only that of the
// kind answers.
func TestAccessors(t *testing.T) {
	type answers struct {
		b       any // Bool, or nil
		i, u, f any
		c, s    any
		bytes   any
		len     int
		cap     int
		fields  int
		elems   int // Captured
		ptr     bool
		isNil   bool
		str     string // of Any
	}
	no := func(a answers) answers { // with lengths that are unknown
		if a.len == 0 {
			a.len = -1
		}
		if a.cap == 0 {
			a.cap = -1
		}
		return a
	}
	const zero = -100 // stands for a length of 0
	for _, tt := range []struct {
		x    any
		want answers
	}{
		{true, answers{b: true, str: "true"}},
		{int16(-7), answers{i: int64(-7), str: "-7"}},
		{uint16(65535), answers{u: uint64(65535), str: "65535"}},
		{uintptr(8), answers{u: uint64(8), str: "8"}},
		{float32(0.25), answers{f: 0.25, str: "0.25"}},
		{math.MaxFloat64, answers{f: math.MaxFloat64, str: fmt.Sprint(math.MaxFloat64)}},
		{complex64(2i), answers{c: 2i, str: "(0+2i)"}},
		{1 + 2i, answers{c: 1 + 2i, str: "(1+2i)"}},
		{"abc", answers{s: "abc", len: 3, elems: 3, ptr: true, str: "abc"}},
		{"", answers{s: "", len: zero, ptr: true, str: ""}},
		{[]byte("xy"), answers{bytes: "xy", len: 2, cap: 2, elems: 2, ptr: true, str: "[120 121]"}},
		{[]bool{true}, answers{bytes: "\x01", len: 1, cap: 1, elems: 1, ptr: true, str: "[true]"}},
		{make([]int32, 1, 5), answers{len: 1, cap: 5, elems: 1, ptr: true, str: "[0]"}},
		{[]string(nil), answers{len: zero, cap: zero, ptr: true, isNil: true, str: "<nil>"}},
		{[2]uint8{1, 2}, answers{len: 2, elems: 2, str: "[1 2]"}},
		{testPoint{1, 2}, answers{fields: 2, str: "map[X:1 Y:2]"}},
		{&testPoint{1, 2}, answers{ptr: true, str: "map[X:1 Y:2]"}},
		{(*int)(nil), answers{ptr: true, isNil: true, str: "<nil>"}},
		{map[int]int{}, answers{ptr: true, str: "<not followed>"}},
		{(chan int)(nil), answers{ptr: true, len: zero, cap: zero, isNil: true, str: "<nil>"}},
	} {
		t.Run(fmt.Sprintf("%T", tt.x), func(t *testing.T) {
			v := one(t, Limits{}, tt.x)
			got := answers{
				len: v.Len(), cap: v.Cap(), fields: v.NumField(), elems: v.Captured(),
				isNil: v.IsNil(), str: fmt.Sprint(v.Any()),
			}
			if x, ok := v.Bool(); ok {
				got.b = x
			}
			if x, ok := v.Int(); ok {
				got.i = x
			}
			if x, ok := v.Uint(); ok {
				got.u = x
			}
			if x, ok := v.Float(); ok {
				got.f = x
			}
			if x, ok := v.Complex(); ok {
				got.c = x
			}
			if x, ok := v.Str(); ok {
				got.s = x
			}
			if x, ok := v.Bytes(); ok {
				got.bytes = string(x)
			}
			_, got.ptr = v.Pointer()
			want := no(tt.want)
			if want.len == zero {
				want.len = 0
			}
			if want.cap == zero {
				want.cap = 0
			}
			if !reflect.DeepEqual(got, want) {
				t.Errorf("%+v\nwant %+v", got, want)
			}
			if why, absent := v.Absent(); absent {
				t.Errorf("absent: %s", why)
			}
			if v.Kind() != abi.Kind(reflect.TypeOf(tt.x).Kind()) {
				t.Errorf("kind %v", v.Kind())
			}
		})
	}
}

// TestAbsentValue asks a value that is not there by every accessor.
func TestAbsentValue(t *testing.T) {
	f := spoiltFunc(t, true)
	c := f.callSpoilt(func(h *hit) { h.mem.Unmap(h.sp, 4096) })
	list := []Value{
		{}, absent(nil, abi.UnknownType),
		one(t, Limits{}, []int{1}).Index(1), one(t, Limits{}, []int{1}).Index(-1), one(t, Limits{}, [2]int{}).Index(2),
		one(t, Limits{}, 1).Index(0), one(t, Limits{}, testPoint{}).Field(2), one(t, Limits{}, testPoint{}).Field(-1),
		one(t, Limits{}, 1).Field(0), one(t, Limits{}, 1).Elem(), one(t, Limits{}, (*int)(nil)).Elem(),
		one(t, Limits{}, [][2]int{}).Index(0), one(t, Limits{}, (*[2]int)(nil)).Elem(),
		one(t, Limits{}, (*testPoint)(nil)).Elem(), one(t, Limits{}, (*testPoint)(nil)).Elem().Field(1),
		one(t, Limits{}, (*[2]int)(nil)).Elem().Index(1), one(t, Limits{}, [][]string{}).Index(0),
		one(t, Limits{Bytes: 8}, [2][2]int{}).Index(1),
	}
	for _, v := range c.Args() {
		list = append(list, v)
	}
	for i, v := range list {
		if !useAll(v) {
			t.Errorf("value %d, %v, is not absent: %s", i, v.Type(), v)
		}
		if s := v.String(); s[0] != '<' || s[len(s)-1] != '>' {
			t.Errorf("value %d is %s", i, s)
		}
		if j, _ := v.MarshalJSON(); !strings.HasPrefix(string(j), `{"absent":"`) {
			t.Errorf("value %d is %s", i, j)
		}
		if a, ok := v.Any().(Absent); !ok || a.String() != v.String() {
			t.Errorf("value %d is %v", i, v.Any())
		}
		if n := v.Captured(); n > 0 {
			t.Errorf("value %d: %d elements captured", i, n)
		}
	}
}

// useAll calls all accessors, and reports whether the value is absent: then
// none may answer.
func useAll(v Value) (absent bool) {
	_, absent = v.Absent()
	var ok [8]bool
	_, ok[0] = v.Bool()
	_, ok[1] = v.Int()
	_, ok[2] = v.Uint()
	_, ok[3] = v.Float()
	_, ok[4] = v.Complex()
	_, ok[5] = v.Text()
	_, ok[6] = v.Bytes()
	_, ok[7] = v.Pointer()
	v.Str()
	v.Len()
	v.Cap()
	v.Captured()
	v.NumField()
	v.Kind()
	v.Type()
	v.TypeName()
	if absent && (v.IsNil() || slices.Contains(ok[:], true)) {
		panic("an absent value has an answer: " + v.String())
	}
	return absent
}

func TestNavigation(t *testing.T) {
	type deep struct {
		Names []string
		P     *testMixed
		Grid  [2][2]int16
	}
	v := one(t, Limits{}, deep{[]string{"x", "yz"}, &testMixed{S: "s", P: nil}, [2][2]int16{{1, 2}, {3, 4}}})
	names, ok := v.FieldByName("Names")
	if s, _ := names.Index(1).Str(); !ok || s != "yz" || names.Len() != 2 {
		t.Errorf("Names is %v", names)
	}
	if _, ok := v.FieldByName("None"); ok {
		t.Error("a field None")
	}
	if s, _ := v.Field(1).Elem().Field(0).Str(); s != "s" {
		t.Errorf("P.S is %q", s)
	}
	if x, _ := v.Field(2).Index(1).Index(0).Int(); x != 3 {
		t.Errorf("Grid[1][0] is %d", x)
	}
	if got := v.Field(1).TypeName(); got != "*uprobe.testMixed" {
		t.Error(got)
	}
	if got := v.Type().Name; got != "github.com/argtap/argtap/uprobe.deep" {
		t.Error(got)
	}
	if got := (Value{}).TypeName(); got != "?" {
		t.Error(got)
	}
}

func TestAnyCut(t *testing.T) {
	for _, tt := range []struct {
		x    any
		l    Limits
		want any
	}{
		{[]int{1, 2, 3}, Limits{Elems: 2}, Cut{[]any{int64(1), int64(2)}, 3}},
		{[3]int{1, 2, 3}, Limits{Bytes: 16}, Cut{[]any{int64(1), int64(2)}, 3}},
		{"abc", Limits{String: 2}, Cut{"ab", 3}},
		{[]byte("abc"), Limits{String: 2}, Cut{[]byte("ab"), 3}},
		{[]byte{}, Limits{}, []byte{}},
		{[]any{}, Limits{}, []any{}},
		{[]any{nil, 1}, Limits{}, []any{nil, Absent{"not followed"}}},
		{testHidden{a: 1}, Limits{}, map[string]any{"a": int64(1), "ok": false}},
		{struct{ P *int }{}, Limits{}, map[string]any{"P": nil}},
	} {
		if got := one(t, tt.l, tt.x).Any(); !reflect.DeepEqual(got, tt.want) {
			t.Errorf("%T: %#v, want %#v", tt.x, got, tt.want)
		}
	}
}

// TestAnyCircle: what contains itself ends in a reference.
func TestAnyCircle(t *testing.T) {
	circle := &testTree{Val: 1}
	circle.Left = circle
	v := one(t, Limits{Depth: 4}, circle)
	at, _ := v.Pointer()
	want := map[string]any{"Val": int64(1), "Left": Ref(at)}
	if got := v.Any(); !reflect.DeepEqual(got, want) || fmt.Sprint(got) != fmt.Sprintf("map[Left:%#x Val:1]", at) {
		t.Errorf("%v, want %v", got, want)
	}
	if got := (Cut{"ab", 3}).String(); got != "ab…(3)" {
		t.Error(got)
	}
	var err error = Absent{"too deep"}
	if err.Error() != "<too deep>" {
		t.Error(err)
	}
}

func TestLogValue(t *testing.T) {
	for _, tt := range []struct {
		x    any
		l    Limits
		want slog.Value
	}{
		{true, Limits{}, slog.BoolValue(true)},
		{-3, Limits{}, slog.Int64Value(-3)},
		{uint8(3), Limits{}, slog.Uint64Value(3)},
		{0.5, Limits{}, slog.Float64Value(0.5)},
		{"abc", Limits{}, slog.StringValue("abc")},
		{time.Duration(5), Limits{}, slog.DurationValue(5)},
	} {
		if got := one(t, tt.l, tt.x).LogValue(); !got.Equal(tt.want) {
			t.Errorf("%T: %v, want %v", tt.x, got, tt.want)
		}
	}
	if got := (Value{}).LogValue(); got.String() != "<unknown type>" {
		t.Error(got)
	}
	// All else is structured for those handlers that have structure.
	for _, tt := range []struct {
		x          any
		l          Limits
		text, json string
	}{
		{"abcd", Limits{String: 2}, `"ab"…(4)`, `{"string":"ab","len":4}`},
		{1i, Limits{}, "(0+1i)", "[0,1]"},
		{[]int{1}, Limits{}, "[]int{1}", "[1]"},
		{(*int)(nil), Limits{}, "nil", "null"},
		{&testPoint{1, 2}, Limits{}, "&uprobe.testPoint{X: 1, Y: 2}", `{"X":1,"Y":2}`},
	} {
		got := one(t, tt.l, tt.x).LogValue()
		j, err := json.Marshal(got.Any())
		if got.String() != tt.text || err != nil || string(j) != tt.json {
			t.Errorf("%T: %v and %s, %v, want %s and %s", tt.x, got, j, err, tt.text, tt.json)
		}
	}
}

// TestUnknownLayout: a value whose type has not the size of its kind, as
// malformed debug information may have it, is not read.
func TestUnknownLayout(t *testing.T) {
	for _, tt := range []struct {
		kind  abi.Kind
		size  int64
		small bool
		ok    bool
	}{
		{abi.String, 16, false, true}, {abi.String, 8, true, true}, {abi.Pointer, 4, true, true}, {abi.Slice, 12, true, true},
		{abi.String, 16, true, false}, {abi.String, 8, false, false}, {abi.String, 0, false, false},
		{abi.Pointer, 8, true, false}, {abi.Pointer, 4, false, false}, {abi.Slice, 24, true, false},
		{abi.Map, 4, false, false}, {abi.Interface, 8, false, false}, {abi.Interface, 16, true, false},
	} {
		typ := &abi.Type{Name: "main.T", Kind: tt.kind, Size: tt.size}
		v := Value{data: make([]byte, 64), typ: typ, img: &capture.Image{Type: typ, Size: 24}, small: tt.small}
		why, absent := v.Absent()
		if absent == tt.ok || absent && why != "unknown layout" {
			t.Errorf("%v of %d bytes, words of four bytes %t: %q, %t", tt.kind, tt.size, tt.small, why, absent)
		}
		if n := v.Len(); !tt.ok && n != -1 {
			t.Errorf("%v of %d bytes: length %d", tt.kind, tt.size, n)
		}
	}
}

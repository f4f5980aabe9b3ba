package uprobe

import (
	"reflect"
	"strings"
	"testing"

	"github.com/argtap/argtap/abi"
	"github.com/argtap/argtap/internal/capture"
)

// TestWhichLimit: what is cut says by which limit.
func TestWhichLimit(t *testing.T) {
	long := strings.Repeat("x", 9000)
	type pair struct{ A, B [50]int }
	for _, tt := range []struct {
		name   string
		limits Limits
		x      any
		part   func(v Value) Value // nil: the value itself
		want   abi.Reason
	}{
		{"elements", Limits{Elems: 2}, []int{1, 2, 3}, func(v Value) Value { return v.Index(2) }, abi.CutElems},
		{"elements without size", Limits{Elems: 2}, make([]struct{}, 3), func(v Value) Value { return v.Index(2) }, abi.CutElems},
		{"bytes of a slice", Limits{Bytes: 16}, []int{1, 2, 3}, func(v Value) Value { return v.Index(2) }, abi.CutValue},
		{"bytes", Limits{String: 2}, []byte("abc"), func(v Value) Value { return v.Index(2) }, abi.CutString},
		{"large elements", Limits{Bytes: 100}, []pair{{}}, func(v Value) Value { return v.Index(0) }, abi.CutValue},
		{"array", Limits{Bytes: 16}, [3]int{1, 2, 3}, func(v Value) Value { return v.Index(2) }, abi.CutValue},
		{"field", Limits{Bytes: 100}, pair{}, func(v Value) Value { return v.Field(1) }, abi.CutValue},
		{"field in part", Limits{Bytes: 500}, pair{}, func(v Value) Value { return v.Field(1).Index(40) }, abi.CutValue},
		{"pointee in part", Limits{Bytes: 100}, &pair{}, func(v Value) Value { return v.Elem().Field(1) }, abi.CutValue},
		{"behind the end", Limits{}, []int{1, 2}, func(v Value) Value { return v.Index(2) }, abi.OutOfRange},
		{"behind the end of an array", Limits{}, [2]int{}, func(v Value) Value { return v.Index(2) }, abi.OutOfRange},
		{"behind the end of what is cut", Limits{Elems: 1}, []int{1, 2}, func(v Value) Value { return v.Index(2) }, abi.OutOfRange},
		{"pointers", Limits{Depth: -1}, new(int), func(v Value) Value { return v.Elem() }, abi.TooDeep},
		{"references", Limits{Depth: 1}, new([200]*int), func(v Value) Value { return v.Elem() }, abi.Present},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if r := tt.part(one(t, tt.limits, tt.x)).reason(); r != tt.want {
				t.Errorf("%s, want %s", r, tt.want)
			}
		})
	}
	texts := func(n int) reflect.Value {
		v := reflect.New(reflect.ArrayOf(n, reflect.TypeFor[string]())).Elem()
		for i := range n {
			v.Index(i).SetString(long)
		}
		return v
	}
	for _, tt := range []struct {
		name string
		n, i int // strings, and the one that is absent
		want abi.Reason
	}{
		{"references", 100, 99, abi.CutRefs},
		{"record", 6, 5, abi.CutRecord},
	} {
		v := one(t, Limits{String: 8000, Bytes: 8192}, texts(tt.n).Interface())
		if s := v.Index(tt.i).String(); s != "<"+tt.want.String()+">" {
			t.Errorf("%s: %.100s, want %s", tt.name, s, tt.want)
		}
		if s := v.Index(0).String(); !strings.HasSuffix(s, `xx"…(9000)`) {
			t.Errorf("%s: …%s", tt.name, s[len(s)-20:])
		}
	}
	big := reflect.TypeFor[[1000]int]()
	f := trace(t, Limits{Bytes: 8192}, true, "a b c", big, big, big)
	if r := f.fn.plan.Params[2].Image.Absent(7992, 8); r != abi.CutArgs {
		t.Errorf("all arguments: %s", r)
	}
}

// TestRecordSize: a record is as long as what it holds, whatever the limits.
func TestRecordSize(t *testing.T) {
	largest := Limits{String: 8192, Elems: 1024, Bytes: 8192, Depth: 4}
	for _, tt := range []struct {
		x    any
		want int // bytes behind the fixed part
	}{
		{"", 0}, {"abc", 8}, {strings.Repeat("x", 400), 400}, {[]int{}, 0}, {[]int{1, 2}, 16},
		{[]string{"a", "bcd"}, 2*16 + 2*8 + 8 + 8}, {(*int)(nil), 0}, {new(int), 8}, {[]*int{nil, nil}, 2*8 + 2*8},
	} {
		for _, l := range []Limits{{}, largest} {
			v := one(t, l, tt.x)
			fixed := capture.HeaderSize + int(capture.Align8(v.typ.Size)) + capture.SlotSize
			if n := len(v.data) - fixed; n != tt.want {
				t.Errorf("%#.20v, limits %+v: %d bytes, want %d", tt.x, l, n, tt.want)
			}
		}
	}
}

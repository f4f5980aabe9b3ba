package uprobe

import (
	"errors"
	"fmt"
	"net/url"
	"reflect"
	"strings"
	"testing"
	"time"
)

type testRequest struct {
	URL   *url.URL
	n     int32
	times map[string]time.Time
	next  *testRequest
}

// boundTo is a function func(r *testRequest, n int64, s []uint8, f float32, e any).
func boundTo(t *testing.T, stack bool) *traced {
	f := trace(t, Limits{Depth: 2}, stack, "r n s f e", reflect.TypeFor[*testRequest](), reflect.TypeFor[int64](),
		reflect.TypeFor[[]uint8](), reflect.TypeFor[float32](), reflect.TypeFor[struct{ E any }]())
	f.fn.sig.Method = true
	return f
}

func bind(tb testing.TB, fn any, names ...string) *binding {
	tb.Helper()
	o, err := newOptions([]Option{Bind(fn, names...)})
	if err != nil {
		tb.Fatal(err)
	}
	return o.bound
}

func TestBind(t *testing.T) {
	f := boundTo(t, true)
	u := &url.URL{Path: "/x"}
	c := f.call(nil, &testRequest{URL: u, n: 7, times: nil}, int64(5), []uint8("abc"), float32(0.5), struct{ E any }{})
	var got string
	say := func(x ...any) { got = fmt.Sprintln(x...) }
	for _, tt := range []struct {
		b    *binding
		want string
	}{
		{bind(t, func(r *struct{ URL *url.URL }, n int, s []byte, f float64, e any) { say(r.URL, n, string(s), f, e) }), "/x 5 abc 0.5 map[E:<nil>]\n"},
		{bind(t, func(n int64, s Value, f float32, e struct{ E error }) { say(n, s.Len(), f, e) }), "5 3 0.5 {<nil>}\n"},
		{bind(t, func(c *Call, f float32) { say(c.Name(), f) }, "f"), "main.f 0.5\n"},
		{bind(t, func(s string, r struct {
			N    int64
			Next *struct{ URL url.URL }
		}) {
			say(s, r)
		}, "n", "r"), "int64"},
		{bind(t, func(n int64, r struct {
			N    int64
			Next *struct{ URL url.URL }
		}) {
			say(n, r)
		}, "n", "r"), "5 {7 <nil>}\n"},
		{bind(t, func(c *Call) { say(c.NumArgs()) }, []string{}...), "parameters"},
	} {
		var err error
		if f.fn.bound, err = tt.b.check(f.fn); err != nil {
			if !strings.Contains(err.Error(), tt.want) || !errors.Is(err, ErrHandler) {
				t.Errorf("%v: %v", tt.b.fn.Type(), err)
			}
			continue
		}
		if err := tt.b.call(c); err != nil || got != tt.want {
			t.Errorf("%v: %s%v", tt.b.fn.Type(), got, err)
		}
	}
}

// TestBindAbsent: an argument that is absent is never zero.
func TestBindAbsent(t *testing.T) {
	f := boundTo(t, false)
	c := f.call(nil, &testRequest{next: &testRequest{next: &testRequest{next: &testRequest{}}}}, int64(5), make([]uint8, 9000), float32(0.5), struct{ E any }{1})
	for _, tt := range []struct {
		fn   any
		name string
		want string
	}{
		{func(float32) {}, "f", "f: <register not readable>"},
		{func([]byte) {}, "s", "s: <cut at the limit on bytes of a string>: 512 of 9000 bytes"},
		{func(struct{ E int }) {}, "e", "e.E: <not followed>"},
		{func(struct{ Next, URL any }) {}, "r", ""}, // its parts say so
		{func(struct {
			Next struct {
				Next struct{ Next struct{ N int } }
			}
		}) {
		}, "r", "r.Next.Next: <too deep>"},
	} {
		called := false
		b := bind(t, reflect.MakeFunc(reflect.TypeOf(tt.fn), func([]reflect.Value) []reflect.Value {
			called = true
			return nil
		}).Interface(), tt.name)
		var err error
		if f.fn.bound, err = b.check(f.fn); err != nil {
			t.Error(err)
			continue
		}
		err = b.call(c)
		var absent Absent
		if tt.want == "" && (err != nil || !called) || tt.want != "" && (err == nil || called || !strings.HasPrefix(err.Error(), strings.TrimSuffix(tt.want, ": 512 of 9000 bytes")) || !errors.As(err, &absent)) {
			t.Errorf("%T: %v, called %t, want %s", tt.fn, err, called, tt.want)
		}
	}
}

func TestBindMismatch(t *testing.T) {
	f := boundTo(t, true)
	for _, tt := range []struct {
		fn    any
		names string
		want  string
	}{
		{func(int32) {}, "n", "wrong handler: func(int32) does not fit func (r *uprobe.testRequest) " +
			"(n int64, s []uint8, f float32, e struct { E interface {} }): parameter n: int64, not int32"},
		{func(uint64) {}, "n", "parameter n: int64, not uint64"},
		{func(string) {}, "s", "parameter s: []uint8, not string"},
		{func([]int8) {}, "s", "parameter s[]: uint8, not int8"},
		{func([]int16) {}, "s", ""},
		{func(*int64) {}, "n", ""},
		{func(int) {}, "f", "parameter f: float32, not int"},
		{func(struct{ URL url.URL }) {}, "r", ""},
		{func(struct{ URL string }) {}, "r", "parameter r.URL: url.URL, not string"},
		{func(struct{ Times map[string]time.Duration }) {}, "r", "parameter r.Times[]: time.Time, not time.Duration"},
		{func(struct{ Times map[int]time.Time }) {}, "r", "parameter r.Times (key): string, not int"},
		{func(struct{ Host string }) {}, "r", "parameter r.Host: uprobe.testRequest has no such field; it has URL, n, times, next"},
		{func(struct {
			Host string `argtap:",optional"`
		}) {
		}, "r", ""},
		{func(struct {
			N int `argtap:",x"`
		}) {
		}, "r", `unknown option "x"`},
		{func(testRequest) {}, "r", "parameter r.n: the field of uprobe.testRequest is not exported: it cannot be set"},
		{func(struct {
			Next *struct{ Next struct{ N string } }
		}) {
		}, "r", "parameter r.Next.Next.N: int32, not string"},
		{func(chan int) {}, "e", "parameter e: struct { E interface {} }, not chan int"},
		{func(int) {}, "x", "it has no parameter x"},
		{func(int) {}, "", "it has 5 parameters, not 1"},
		{func() {}, "", "it has 5 parameters, not 0"},
	} {
		_, err := bind(t, tt.fn, strings.Fields(tt.names)...).check(f.fn)
		if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.HasSuffix(err.Error(), tt.want) && !strings.Contains(err.Error(), "unknown option") || !errors.Is(err, ErrHandler)) {
			t.Errorf("%T: %v\nwant %s", tt.fn, err, tt.want)
		}
	}
	unknown := &Func{source: SourceNone}
	if _, err := bind(t, func(int) {}).check(unknown); err == nil || !strings.Contains(err.Error(), "WithSignature") {
		t.Error(err)
	}
	if _, err := bind(t, func(*Call) {}).check(unknown); err != nil {
		t.Error(err)
	}
	for want, opts := range map[string][]Option{
		"bind int: wrong handler":   {Bind(1)},
		"bind func(): wrong":        {Bind((func())(nil))},
		"bind <nil>":                {Bind(nil)},
		"not variadic":              {Bind(func(...int) {})},
		"has no results":            {Bind(func() error { return nil })},
		"there is one already":      {Bind(func() {}), Bind(func() {})},
		"takes 1 arguments, and th": {Bind(func(*Call, int) {}, "a", "b")},
		"nil function for calls":    {WithUnbound(nil)},
	} {
		if _, err := newOptions(opts); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
}

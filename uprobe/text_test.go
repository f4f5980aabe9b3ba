package uprobe

import (
	"errors"
	"math"
	"reflect"
	"strings"
	"testing"
	"unsafe"

	"github.com/argtap/argtap/abi"
)

type (
	testPoint struct{ X, Y int }
	testTree  struct {
		Val  int
		Left *testTree
	}
	testNamed  int32
	testHidden struct {
		a  int
		_  int64
		_  [0]string
		ok bool
	}
	testEmbed struct {
		testPoint
		*testTree
		Name string
	}
	testMixed struct {
		S  string
		B  []byte
		P  *testPoint
		Fs [2]float32
	}
)

// printed are values with their text and JSON.
var printed = []struct {
	name string
	x    any
	l    Limits
	text string
	json string
}{
	{"true", true, Limits{}, `true`, `true`},
	{"false", false, Limits{}, `false`, `false`},
	{"int", -5, Limits{}, `-5`, `-5`},
	{"int8", int8(-128), Limits{}, `-128`, `-128`},
	{"int16", int16(-1), Limits{}, `-1`, `-1`},
	{"int32", int32(math.MinInt32), Limits{}, `-2147483648`, `-2147483648`},
	{"int64", int64(math.MaxInt64), Limits{}, `9223372036854775807`, `9223372036854775807`},
	{"uint8", uint8(255), Limits{}, `255`, `255`},
	{"uint16", uint16(65535), Limits{}, `65535`, `65535`},
	{"uint32", uint32(math.MaxUint32), Limits{}, `4294967295`, `4294967295`},
	{"uint64", uint64(math.MaxUint64), Limits{}, `18446744073709551615`, `18446744073709551615`},
	{"uintptr", uintptr(4096), Limits{}, `0x1000`, `4096`},
	{"named", testNamed(7), Limits{}, `7`, `7`},
	{"float32", float32(0.1), Limits{}, `0.1`, `0.1`},
	{"float64", 0.1, Limits{}, `0.1`, `0.1`},
	{"large", 1e21, Limits{}, `1e+21`, `1e+21`},
	{"small", 1e-7, Limits{}, `1e-07`, `1e-7`},
	{"negative zero", math.Copysign(0, -1), Limits{}, `-0`, `-0`},
	{"NaN", math.NaN(), Limits{}, `NaN`, `"NaN"`},
	{"+Inf", math.Inf(1), Limits{}, `+Inf`, `"+Inf"`},
	{"-Inf", float32(math.Inf(-1)), Limits{}, `-Inf`, `"-Inf"`},
	{"complex64", complex64(1 - 0.5i), Limits{}, `(1-0.5i)`, `[1,-0.5]`},
	{"complex128", complex(math.NaN(), math.Inf(1)), Limits{}, `(NaN+Infi)`, `["NaN","+Inf"]`},
	{"string", "naïve\n\x00\"", Limits{}, `"naïve\n\x00\""`, `"naïve\n\u0000\""`},
	{"empty string", "", Limits{}, `""`, `""`},
	{"not UTF-8", "a\xffb", Limits{}, `"a\xffb"`, `"a\ufffdb"`},
	{"cut string", "hello world", Limits{String: 5}, `"hello"…(11)`, `{"string":"hello","len":11}`},
	{"string as long as the limit", "hello", Limits{String: 5}, `"hello"`, `"hello"`},
	{"cut within a rune", "aä€🙂", Limits{String: 2}, `"a\xc3"…(10)`, `{"string":"a","len":10}`},
	{"cut behind a rune", "aä€🙂", Limits{String: 3}, `"aä"…(10)`, `{"string":"aä","len":10}`},
	{"cut within a rune of three", "aä€🙂", Limits{String: 5}, `"aä\xe2\x82"…(10)`, `{"string":"aä","len":10}`},
	{"cut within a rune of four", "aä€🙂", Limits{String: 9}, `"aä€\xf0\x9f\x99"…(10)`, `{"string":"aä€","len":10}`},
	{"cut behind what is no rune", "ab\xff\xffcd", Limits{String: 4}, `"ab\xff\xff"…(6)`, `{"string":"ab\ufffd\ufffd","len":6}`},
	{"cut to nothing", "🙂", Limits{String: 1}, `"\xf0"…(4)`, `{"string":"","len":4}`},
	{"[]byte", []byte("hi\xff"), Limits{}, `[]uint8("hi\xff")`, `"aGn/"`},
	{"cut []byte", []byte("hello"), Limits{String: 2}, `[]uint8("he"…(5))`, `{"elems":"aGU=","len":5}`},
	{"empty []byte", []byte{}, Limits{}, `[]uint8{}`, `""`},
	{"nil []byte", []byte(nil), Limits{}, `[]uint8(nil)`, `null`},
	{"[]int", []int{1, -2}, Limits{}, `[]int{1, -2}`, `[1,-2]`},
	{"cut []int", []int{1, 2, 3}, Limits{Elems: 2}, `[]int{1, 2…(3)}`, `{"elems":[1,2],"len":3}`},
	{"empty []int", []int{}, Limits{}, `[]int{}`, `[]`},
	{"nil []int", []int(nil), Limits{}, `[]int(nil)`, `null`},
	{"[]bool", []bool{true, false}, Limits{}, `[]bool{true, false}`, `[true,false]`},
	{"[]int8", []int8{-1, 2}, Limits{}, `[]int8{-1, 2}`, `[-1,2]`},
	{"cut []int8", []int8{-1, 2}, Limits{String: 1}, `[]int8{-1…(2)}`, `{"elems":[-1],"len":2}`},
	{"[]string", []string{"a", ""}, Limits{}, `[]string{"a", ""}`, `["a",""]`},
	{"[][]string", [][]string{{"a"}, nil, {}}, Limits{}, `[][]string{[]string{"a"}, []string(nil), []string{}}`, `[["a"],null,[]]`},
	{"[]struct{}", make([]struct{}, 3), Limits{Elems: 2}, `[]struct {}{struct {}{}, struct {}{}…(3)}`, `{"elems":[{},{}],"len":3}`},
	{"[2]int", [2]int{1, 2}, Limits{}, `[2]int{1, 2}`, `[1,2]`},
	{"[3]byte", [3]byte{1, 2, 3}, Limits{}, `[3]uint8{1, 2, 3}`, `[1,2,3]`},
	{"[0]int", [0]int{}, Limits{}, `[0]int{}`, `[]`},
	{"cut array", [4]int64{1, 2, 3, 4}, Limits{Bytes: 17}, `[4]int64{1, 2…(4)}`, `{"elems":[1,2],"len":4}`},
	{"array of nothing", [100]struct{}{}, Limits{}, "[100]struct {}{" + strings.Repeat("struct {}{}, ", 63) + "struct {}{}…(100)}", `{"elems":[` + strings.Repeat("{},", 63) + `{}],"len":100}`},
	{"struct", testPoint{1, 2}, Limits{}, `uprobe.testPoint{X: 1, Y: 2}`, `{"X":1,"Y":2}`},
	{"empty struct", struct{}{}, Limits{}, `struct {}{}`, `{}`},
	{"blank and unexported fields", testHidden{a: 1, ok: true}, Limits{}, `uprobe.testHidden{a: 1, ok: true}`, `{"a":1,"ok":true}`},
	{"embedded", testEmbed{testPoint{1, 2}, nil, "n"}, Limits{}, `uprobe.testEmbed{testPoint: uprobe.testPoint{X: 1, Y: 2}, testTree: nil, Name: "n"}`, `{"testPoint":{"X":1,"Y":2},"testTree":null,"Name":"n"}`},
	{"nested", testMixed{"s", []byte{1}, &testPoint{3, 4}, [2]float32{0.5, -1}}, Limits{}, `uprobe.testMixed{S: "s", B: []uint8("\x01"), P: &uprobe.testPoint{X: 3, Y: 4}, Fs: [2]float32{0.5, -1}}`, `{"S":"s","B":"AQ==","P":{"X":3,"Y":4},"Fs":[0.5,-1]}`},
	{"nil pointer", (*int)(nil), Limits{}, `nil`, `null`},
	{"pointer", new(int), Limits{}, `&0`, `0`},
	{"pointer to nothing", new(struct{}), Limits{}, `&struct {}{}`, `{}`},
	{"nil map", map[string]int(nil), Limits{}, `nil`, `null`},
	{"map", map[string]int{}, Limits{}, `(map[string]int)(0xc000123456 <not followed>)`, `{"ptr":"0xc000123456","absent":"not followed"}`},
	{"chan", make(chan int), Limits{}, `(chan int)(0xc000123456 <not followed>)`, `{"ptr":"0xc000123456","absent":"not followed"}`},
	{"func", func(int) {}, Limits{}, `(func(int))(0xc000123456 <not followed>)`, `{"ptr":"0xc000123456","absent":"not followed"}`},
	{"unsafe.Pointer", unsafe.Pointer(new(int)), Limits{}, `(unsafe.Pointer)(0xc000123456 <not followed>)`, `{"ptr":"0xc000123456","absent":"not followed"}`},
	{"nil error", struct{ E error }{}, Limits{}, `struct { E error }{E: nil}`, `{"E":null}`},
	{"error", struct{ E error }{errors.New("x")}, Limits{}, `struct { E error }{E: (error)(0x4a1000 0xc000123000 <not followed>)}`, `{"E":{"words":["0x4a1000","0xc000123000"],"absent":"not followed"}}`},
}

func TestPrint(t *testing.T) {
	for name, a := range archNames {
		t.Run(name, func(t *testing.T) { testPrint(t, a) })
	}
}

func testPrint(t *testing.T, a *abi.Arch) {
	for _, tt := range printed {
		t.Run(tt.name, func(t *testing.T) {
			if a.PtrSize == 4 {
				tt.text, tt.json = pointers386.Replace(tt.text), pointers386.Replace(tt.json)
			}
			v := oneOn(t, a, tt.l, tt.x)
			if got := v.String(); got != tt.text {
				t.Errorf("text %s\nwant %s", got, tt.text)
			}
			got, err := v.MarshalJSON()
			if err != nil || string(got) != tt.json {
				t.Errorf("JSON %s, %v\nwant %s", got, err, tt.json)
			}
			if b := v.AppendText([]byte("x=")); string(b) != "x="+tt.text {
				t.Errorf("AppendText: %s", b)
			}
		})
	}
}

// TestPointerDepth prints a list as far as the limit follows it.
func TestPointerDepth(t *testing.T) {
	tree := &testTree{1, &testTree{2, &testTree{3, nil}}}
	hide := func(s string) string { // addresses differ
		for {
			i := strings.Index(s, "0xc0")
			if i < 0 {
				return s
			}
			j := i + 4
			for j < len(s) && strings.IndexByte("0123456789abcdef", s[j]) >= 0 {
				j++
			}
			s = s[:i] + "PTR" + s[j:]
		}
	}
	for _, tt := range []struct {
		depth      int
		text, json string
	}{
		{-1, `(*uprobe.testTree)(PTR <too deep>)`, `{"ptr":"PTR","absent":"too deep"}`},
		{1, `&uprobe.testTree{Val: 1, Left: (*uprobe.testTree)(PTR <too deep>)}`, `{"Val":1,"Left":{"ptr":"PTR","absent":"too deep"}}`},
		{2, `&uprobe.testTree{Val: 1, Left: &uprobe.testTree{Val: 2, Left: (*uprobe.testTree)(PTR <too deep>)}}`, `{"Val":1,"Left":{"Val":2,"Left":{"ptr":"PTR","absent":"too deep"}}}`},
		{3, `&uprobe.testTree{Val: 1, Left: &uprobe.testTree{Val: 2, Left: &uprobe.testTree{Val: 3, Left: nil}}}`, `{"Val":1,"Left":{"Val":2,"Left":{"Val":3,"Left":null}}}`},
	} {
		v := one(t, Limits{Depth: tt.depth}, tree)
		if got := hide(v.String()); got != tt.text {
			t.Errorf("depth %d: %s\nwant %s", tt.depth, got, tt.text)
		}
		if got, _ := v.MarshalJSON(); hide(string(got)) != tt.json {
			t.Errorf("depth %d: %s\nwant %s", tt.depth, hide(string(got)), tt.json)
		}
	}
	// A circle is followed once round, whatever the limit.
	circle := &testTree{Val: 1}
	circle.Left = circle
	v := one(t, Limits{Depth: 4}, circle)
	if got := hide(v.String()); got != `&uprobe.testTree{Val: 1, Left: (*uprobe.testTree)(PTR)}` {
		t.Error(got)
	}
	if got, _ := v.MarshalJSON(); hide(string(got)) != `{"Val":1,"Left":{"ref":"PTR"}}` {
		t.Errorf("%s", got)
	}
}

// spoilt are calls of func(a string, b []int, p *testPoint, f float64, ok bool)
// whose state is no good.
var spoilt = []struct {
	name  string
	spoil func(*hit)
	text  string
	json  string // of the arguments that differ, one a line
}{
	{"unreadable string", func(h *hit) { h.mem.Unmap(h.get(0, 0), 1) },
		`main.f(a=<not resident>, b=[]int{1, 2}, p=&uprobe.testPoint{X: 3, Y: 4}, f=0.5, ok=true)`,
		`{"name":"a","type":"string","value":{"absent":"not resident"}}`},
	{"bad pointer", func(h *hit) { h.set(2, 0, 1) },
		`main.f(a="abc", b=[]int{1, 2}, p=(*uprobe.testPoint)(0x1 <not resident>), f=0.5, ok=true)`,
		`{"name":"p","type":"*uprobe.testPoint","value":{"ptr":"0x1","absent":"not resident"}}`},
	{"negative lengths", func(h *hit) { h.set(0, 1, ^uint64(0)); h.set(1, 1, 1<<63|1<<31) },
		`main.f(a=<implausible>, b=<implausible>, p=&uprobe.testPoint{X: 3, Y: 4}, f=0.5, ok=true)`,
		`{"name":"a","type":"string","value":{"absent":"implausible"}}` + "\n" +
			`{"name":"b","type":"[]int","value":{"absent":"implausible"}}`},
	{"longer than its capacity", func(h *hit) { h.set(1, 2, 1) },
		`main.f(a="abc", b=<implausible>, p=&uprobe.testPoint{X: 3, Y: 4}, f=0.5, ok=true)`,
		`{"name":"b","type":"[]int","value":{"absent":"implausible"}}`},
	{"nil with a length", func(h *hit) { h.set(0, 0, 0); h.set(1, 0, 0) },
		`main.f(a=<not followed>, b=<not followed>, p=&uprobe.testPoint{X: 3, Y: 4}, f=0.5, ok=true)`,
		`{"name":"a","type":"string","value":{"absent":"not followed"}}` + "\n" +
			`{"name":"b","type":"[]int","value":{"absent":"not followed"}}`},
	{"a bool of 2", func(h *hit) { h.images[4][0] = 2 },
		`main.f(a="abc", b=[]int{1, 2}, p=&uprobe.testPoint{X: 3, Y: 4}, f=0.5, ok=<implausible>)`,
		`{"name":"ok","type":"bool","value":{"absent":"implausible"}}`},
	{"no stack", func(h *hit) { h.mem.Unmap(h.sp, 4096) },
		`main.f(a=<not resident>, b=<not resident>, p=<not resident>, f=<not resident>, ok=<not resident>)`,
		`{"name":"a","type":"string","absent":"not resident"}` + "\n" +
			`{"name":"b","type":"[]int","absent":"not resident"}` + "\n" +
			`{"name":"p","type":"*uprobe.testPoint","absent":"not resident"}` + "\n" +
			`{"name":"f","type":"float64","absent":"not resident"}` + "\n" +
			`{"name":"ok","type":"bool","absent":"not resident"}`},
}

func spoiltFunc(tb testing.TB, stack bool) *traced { return spoiltFuncOn(tb, abi.AMD64, stack) }

func spoiltFuncOn(tb testing.TB, a *abi.Arch, stack bool) *traced {
	return traceOn(tb, a, Limits{}, stack, "a b p f ok", reflect.TypeFor[string](), reflect.TypeFor[[]int](),
		reflect.TypeFor[*testPoint](), reflect.TypeFor[float64](), reflect.TypeFor[bool]())
}

func (t *traced) callSpoilt(spoil func(*hit)) *Call {
	return t.call(spoil, "abc", []int{1, 2}, &testPoint{3, 4}, 0.5, true)
}

func TestSpoilt(t *testing.T) {
	for name, a := range archNames {
		t.Run(name, func(t *testing.T) { testSpoilt(t, a) })
	}
	// In registers a float cannot be read; the rest is as well.
	for _, a := range []*abi.Arch{abi.AMD64, abi.ARM64} {
		c := spoiltFuncOn(t, a, false).callSpoilt(nil)
		const want = `main.f(a="abc", b=[]int{1, 2}, p=&uprobe.testPoint{X: 3, Y: 4}, f=<register not readable>, ok=true)`
		if got := c.String(); got != want {
			t.Errorf("%s: text %s\nwant %s", a.GOARCH, got, want)
		}
	}
}

func testSpoilt(t *testing.T, a *abi.Arch) {
	f := spoiltFuncOn(t, a, true)
	for _, tt := range spoilt {
		t.Run(tt.name, func(t *testing.T) {
			c := f.callSpoilt(tt.spoil)
			if got := c.String(); got != tt.text {
				t.Errorf("text %s\nwant %s", got, tt.text)
			}
			j, _ := c.MarshalJSON()
			for line := range strings.Lines(tt.json) {
				if want := strings.TrimSpace(line); !strings.Contains(string(j), want) {
					t.Errorf("JSON %s\nlacks %s", j, want)
				}
			}
		})
	}
}

// TestPartlyAbsent: a struct of which only parts are missing is there.
func TestPartlyAbsent(t *testing.T) {
	type part struct {
		A int
		F float64
		B [1]float32
	}
	v := trace(t, Limits{}, false, "x", reflect.TypeFor[part]()).call(nil, part{1, 2, [1]float32{3}}).Arg(0)
	const text = `uprobe.part{A: 1, F: <register not readable>, B: <register not readable>}`
	if got := v.String(); got != text {
		t.Errorf("%s, want %s", got, text)
	}
	const js = `{"A":1,"F":{"absent":"register not readable"},"B":{"absent":"register not readable"}}`
	if got, _ := v.MarshalJSON(); string(got) != js {
		t.Errorf("%s, want %s", got, js)
	}
	if why, absent := v.Absent(); absent {
		t.Errorf("the struct is absent: %s", why)
	}
	if why, absent := v.Field(1).Absent(); !absent || why != "register not readable" {
		t.Errorf("the field: %q, %t", why, absent)
	}
	// A value cut in the middle of a field.
	v = one(t, Limits{Bytes: 12}, testPoint{1, 2})
	if got := v.String(); got != `uprobe.testPoint{X: 1, Y: <cut at the limit on bytes of a value>}` {
		t.Error(got)
	}
}

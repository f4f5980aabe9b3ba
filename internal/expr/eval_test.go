package expr

import (
	"encoding/binary"
	"go/constant"
	"slices"
	"strings"
	"testing"

	"github.com/argtap/argtap/abi"
)

// ram is memory with little in it.
type ram map[uint64][]byte

func (m ram) Read(addr uint64, b []byte) bool {
	for at, have := range m {
		if addr >= at && addr+uint64(len(b)) <= at+uint64(len(have)) {
			copy(b, have[addr-at:])
			return true
		}
	}
	return false
}

func (ram) TypeWord(t *abi.Type) uint64 { return t.RuntimeType }

func (ram) MapElem(_ *abi.Type, m uint64, key constant.Value) (addr uint64, found, ok bool) {
	return m + 64, key.Kind() == constant.String && constant.StringVal(key) == "key", m != 0x900
}

func words(w ...uint64) []byte {
	var b []byte
	for _, x := range w {
		b = binary.LittleEndian.AppendUint64(b, x)
	}
	return b
}

// TestEval has what random programs seldom come to.
func TestEval(t *testing.T) {
	mem := ram{
		0x100: words(5, 6, 7, 8),                              // ints
		0x200: words(0x100, 1006),                             // an itab: its type is *fs.PathError
		0x300: append(words(0x400, 3, 0x400, 3), words(0)...), // an fs.PathError: Op and Path are "abc"
		0x400: []byte("abc"),
		0x640: words(42), // the element of a map
	}
	ints := &abi.Type{Name: "[]int", Kind: abi.Slice, Size: 24, Align: 8, Elem: intType}
	mapType := &abi.Type{Name: "map[string]int", Kind: abi.Map, Size: 8, Align: 8, Key: str, Elem: intType}
	scope := &Scope{Arch: abi.AMD64, Types: pathErrors}
	var params [][]byte
	add := func(name string, t *abi.Type, image []byte) {
		scope.Params = append(scope.Params, abi.Param{Name: name, Type: t})
		params = append(params, image)
	}
	add("v", ints, words(0x100, 3, 4))
	add("none", ints, words(0, 0, 0))
	add("wild", ints, words(0x10, 3, 3))
	add("bad", ints, words(0x100, 9, 4))
	add("torn1", ints, words(0x100, 1<<63|5, 4))
	add("torn2", ints, words(0x100, 1, ^uint64(0)))
	add("tornText", str, words(0x400, ^uint64(0)))
	add("err", errorT, words(0x200, 0x300))
	add("noErr", errorT, words(0, 0))
	add("wildErr", errorT, words(0x10, 0x300))
	add("e", anyT, words(14, 0x108))
	add("nilE", anyT, words(0, 0x108))
	add("absent", intType, nil)
	add("short", intType, []byte{1, 2})
	add("m", mapType, words(0x600))
	add("torn", mapType, words(0x900))
	add("noMap", mapType, words(0))
	add("k", intType, words(2))
	add("z", intType, words(0))
	add("arr", &abi.Type{Name: "[2]int", Kind: abi.Array, Size: 16, Align: 8, Len: 2, Elem: intType}, words(8, 9))
	add("u", basics["uint8"], []byte{200})
	for _, tt := range []struct {
		text string
		want []byte
		why  Absence
	}{
		{"v[2]", words(7), Present},
		{"v[3]", nil, IndexOutOfRange},
		{"v[:4][3]", words(8), Present},
		{"v[1:2:3]", words(0x108, 1, 2), Present},
		{"v[1:k:k+2]", words(0x108, 1, 3), Present},
		{"v[1:2:k+3]", nil, SliceOutOfRange},
		{"v[1:4:k]", nil, SliceOutOfRange},
		{"v[4:]", nil, SliceOutOfRange},
		{"v[:4][4:]", words(0x100, 0, 0), Present}, // the address does not move beyond the end
		{"none[:]", words(0, 0, 0), Present},
		{"none[z:] == nil", []byte{1}, Present},
		{"v[:4][4:] == nil", []byte{0}, Present},
		{"arr[2:] == nil", []byte{0}, Present},
		{"arr[k-1:][z]", words(9), Present},
		{"wild[1]", nil, NotResident},
		{"bad[8]", nil, NotResident},
		{"bad[:]", nil, SliceOutOfRange},
		{"len(torn1)", nil, Implausible},
		{"cap(torn1)", words(4), Present},
		{"torn1[0]", nil, Implausible},
		{"torn1[:0]", nil, Implausible},
		{"torn1 == nil", []byte{0}, Present},
		{"len(torn2)", words(1), Present},
		{"cap(torn2)", nil, Implausible},
		{"torn2[0]", nil, Implausible},
		{"len(tornText) > 3", nil, Implausible},
		{`tornText != "abc"`, nil, Implausible},
		{"tornText[1:] == \"\"", nil, Implausible},
		{"err.(*fs.PathError).Path == \"abc\"", []byte{1}, Present},
		{"err.(*fs.PathError).Path < \"abcd\"", []byte{1}, Present},
		{"err.(*fs.PathError).Path >= \"ab\"", []byte{1}, Present},
		{"\"abd\" > err.(*fs.PathError).Op[:3]", []byte{1}, Present},
		{`err.(*fs.PathError).Op[:2][:2] == "ab"`, []byte{1}, Present},
		{`err.(*fs.PathError).Op[:2][:3] == "ab"`, nil, SliceOutOfRange},
		{"err.(fs.PathError).Op", nil, OtherType},
		{"noErr.(*fs.PathError).Op", nil, OtherType},
		{"wildErr.(*fs.PathError).Op", nil, NotResident},
		{"e.(int)", words(6), Present},
		{"e.(time.Duration)", nil, OtherType},
		{"nilE.(int)", nil, OtherType},
		{"absent", nil, NoParameter},
		{"short == 1", nil, NoParameter},
		{"z == 1 && absent == 1", []byte{0}, Present},
		{"k == 2 || absent == 1", []byte{1}, Present},
		{"absent == 1 || k == 2", nil, NoParameter},
		{`m["key"] + 1`, words(43), Present},
		{`m["other"]`, words(0), Present},
		{`noMap["key"]`, words(0), Present},
		{`torn["key"]`, nil, NotResident},
		{"1 / z", nil, DivisionByZero},
		{"1 << -k", nil, NegativeShift},
		{"u + 56", []byte{0}, Present},
		{"u<<1>>1", []byte{72}, Present},
		{"-1<<63/(z-1)", words(1 << 63), Present},
		{"^u", []byte{55}, Present},
		{"^uint8(1) == u+54", []byte{1}, Present},
		{`"abc"[1]`, []byte{'b'}, Present},
	} {
		e, err := Compile(tt.text, scope)
		if err != nil {
			t.Error(err)
			continue
		}
		if v, why := Eval(e, params, mem); why != tt.why || !slices.Equal(v.Bytes, tt.want) {
			t.Errorf("%s is %x (%s), want %x (%s)", tt.text, v.Bytes, why, tt.want, tt.why)
		}
	}
}

// TestNilIsNoType: a type without a descriptor is not what nil holds.
func TestNilIsNoType(t *testing.T) {
	e, err := Compile("e.(int)", &Scope{Arch: abi.AMD64, Types: pathErrors, Params: []abi.Param{{Name: "e", Type: anyT}}})
	if err != nil {
		t.Fatal(err)
	}
	if v, why := Eval(e, [][]byte{words(0, 0x100)}, noTypes{ram{0x100: words(1)}}); why != OtherType {
		t.Errorf("%v (%s)", v.Bytes, why)
	}
}

type noTypes struct{ ram }

func (noTypes) TypeWord(*abi.Type) uint64 { return 0 }

// TestPromotion: the same struct embedded twice at one depth is ambiguous, at two
// it is not.
func TestPromotion(t *testing.T) {
	inner := structType("main.inner", 1, "f", intType)
	a, b := structType("main.a", 2, "+inner", inner), structType("main.b", 3, "+inner", pointerTo(inner))
	b.Fields[0].Type.Elem = inner
	scope := &Scope{Arch: abi.AMD64, Params: []abi.Param{
		{Name: "twice", Type: structType("main.twice", 4, "+a", a, "+b", b)},
		{Name: "once", Type: structType("main.once", 5, "+a", a, "+inner", inner)},
	}}
	if _, err := Compile("twice.f", scope); err == nil || !strings.Contains(err.Error(), "f is ambiguous in main.twice") {
		t.Errorf("error %v", err)
	}
	e, err := Compile("once.f", scope)
	if want := "(field int +0 (field main.inner +8 (param main.once 1)))"; err != nil || e.Root.String() != want {
		t.Errorf("%v, error %v", e, err)
	}
}

// TestLenOfCall: the length of an array is a constant unless there is a call.
func TestLenOfCall(t *testing.T) {
	rows := &abi.Type{Name: "[][3]int", Kind: abi.Slice, Size: 24, Align: 8,
		Elem: &abi.Type{Name: "[3]int", Kind: abi.Array, Size: 24, Align: 8, Len: 3, Elem: intType}}
	scope := &Scope{Arch: abi.AMD64, Params: []abi.Param{{Name: "rows", Type: rows}}}
	for text, want := range map[string]Absence{"len(rows[5])": Present, "len(rows[len(rows)])": IndexOutOfRange, "len(rows[0:9][0][2:]) + len(rows[5])": SliceOutOfRange} {
		e, err := Compile(text, scope)
		if err != nil {
			t.Fatal(err)
		}
		if _, why := Eval(e, [][]byte{words(0x100, 1, 1)}, ram{}); why != want {
			t.Errorf("%s: %s, want %s", text, why, want)
		}
	}
}

package expr

import (
	"strings"
	"testing"

	"github.com/argtap/argtap/abi"
)

func TestShortName(t *testing.T) {
	for full, want := range map[string]string{
		"int":                                 "int",
		"main.T":                              "main.T",
		"*net/http.Request":                   "*http.Request",
		"map[io/fs.FileMode][]*net/url.URL":   "map[fs.FileMode][]*url.URL",
		"example.com/yaml/v3.Node":            "yaml.Node",
		"gopkg.in/yaml%2ev3.Node":             "yaml.Node",
		"a/b.Pair[c/d.T,[2]e/v2.U]":           "b.Pair[d.T,[2]e.U]",
		"func(a/b.T, ...interface {}) c/d.U":  "func(b.T, ...interface {}) d.U",
		"struct { x a/b.T; y chan<- c/d.T }":  "struct { x b.T; y chan<- d.T }",
		"example.com/go-conf/internal/x%2ey.": "x%2ey.",
		"":                                    "",
	} {
		if got := ShortName(full); got != want {
			t.Errorf("%q is %q, want %q", full, got, want)
		}
	}
}

// TestMaskPaths makes sure that only import paths are changed.
func TestMaskPaths(t *testing.T) {
	for text, want := range map[string]string{
		"a/b.c":                             "a/b.c",
		"x.(a/b.C).d/e.f":                   "x.(a_b.C).d/e.f",
		"x.(*e.com/a-b/c~d.T[f/g.H])+i/j.k": "x.(*e_com_a_b_c_d.T[f_g.H])+i/j.k",
		"x.(gopkg.in/y.v3.N)":               "x.(gopkg_in_y_v3.N)",
		"x.(map[a/b.C]*d/e.F)/2":            "x.(map[a_b.C]*d_e.F)/2",
		"(x.y)/z":                           "(x.y)/z",
		"x.((a/b.C))/(d/e)":                 "x.((a_b.C))/(d/e)",
	} {
		if got := maskPaths(text); got != want {
			t.Errorf("%s is read as %s, want %s", text, got, want)
		}
	}
}

// TestHostileTexts: nothing takes long, and nothing overflows the stack.
func TestHostileTexts(t *testing.T) {
	for _, text := range []string{
		"", "\x00", "0x1p999999999 + 1.5", "1e999999999", "x.l /* ", "s[", ".", "`", "b == 'ab'",
		strings.Repeat("(", 4000) + "b", strings.Repeat("b[", 2000), strings.Repeat("!", 4000) + "b",
		strings.Repeat("1<<500*", 500) + "1", strings.Repeat("e.(", 1300), strings.Repeat(" ", maxText) + "b",
		"0x1p65000+" + strings.Repeat("0x1p-65000+", 300) + "b",
	} {
		if _, err := Compile(text, testScope()); err == nil {
			t.Errorf("%.40q is accepted", text)
		}
	}
	for _, text := range []string{
		strings.Repeat("(", 1000) + "b" + strings.Repeat(")", 1000), strings.Repeat("^", 4000) + "b", strings.Repeat("b+", 2000) + "b",
		strings.Repeat("1.1*", 1000) + "1.1 > f", "\n\n b // comment",
	} {
		e, err := Compile(text, testScope())
		if err != nil {
			t.Errorf("%.40q: %v", text, err)
			continue
		}
		Eval(e, nil, garbage{})
	}
}

// TestHostileTypes: types that contradict themselves are errors where they are
// needed, and no more than that.
func TestHostileTypes(t *testing.T) {
	self := structType("main.self", 1, "a", intType)
	self.Fields = append(self.Fields, abi.Field{Name: "self", Type: self, Embedded: true})
	wide := structType("main.w0", 1, "a", intType)
	for range 60 {
		wide = structType(wide.Name+"'", 1, "+left", wide, "+right", wide)
	}
	big := &abi.Type{Name: "[1<<46]int8", Kind: abi.Array, Size: 1 << 46, Align: 1, Len: 1 << 46, Elem: basics["int8"]}
	scope := &Scope{Arch: abi.AMD64, Params: []abi.Param{
		{Name: "none"},
		{Name: "bare", Type: &abi.Type{Name: "main.bare", Kind: abi.Pointer, Size: 8, Align: 8}},
		{Name: "small", Type: &abi.Type{Name: "int", Kind: abi.Int, Size: 3, Align: 1}},
		{Name: "odd", Type: &abi.Type{Name: "odd", Kind: 99, Size: 8, Align: 1}},
		{Name: "minus", Type: &abi.Type{Name: "minus", Kind: abi.Struct, Size: -8, Align: 1}},
		{Name: "arr", Type: &abi.Type{Name: "arr", Kind: abi.Array, Size: 8, Align: 1, Len: 1 << 62, Elem: intType}},
		{Name: "far", Type: &abi.Type{Name: "far", Kind: abi.Struct, Size: 8, Align: 8, Fields: []abi.Field{
			{Name: "f", Type: intType, Offset: 4}, {Name: "g", Type: intType, Offset: -8}, {Name: "h", Type: intType}, {Name: "i"}}}},
		{Name: "self", Type: self},
		{Name: "wide", Type: wide},
		{Name: "big", Type: pointerTo(big)},
		{Name: "twice", Type: intType}, {Name: "twice", Type: intType},
	}}
	for _, text := range []string{"none", "bare", "small", "odd", "minus", "arr[0]", "far.f", "far.g", "far.i", "self.b", "wide.a", "twice"} {
		if e, err := Compile(text, scope); err == nil {
			t.Errorf("%s is accepted: %s", text, e.Root)
		}
	}
	for text, want := range map[string]Absence{"far.h": NoParameter, "self.self.self.a": NoParameter, "*big": TooLarge, "len(big)": Present, "big[1<<40]": Present} {
		e, err := Compile(text, scope)
		if err != nil {
			t.Error(err)
			continue
		}
		params := make([][]byte, len(scope.Params))
		for i, p := range scope.Params {
			if p.Name == "big" {
				params[i] = []byte{16, 0, 0, 0, 0, 0, 0, 0}
			}
		}
		if _, why := Eval(e, params, garbage{}); why != want {
			t.Errorf("%s: %s, want %s", text, why, want)
		}
	}
}

// TestWordSizes: len is an int of the target, addresses have its size.
func TestWordSizes(t *testing.T) {
	word := basicTypes(4)
	str := word["string"]
	scope := &Scope{Arch: abi.I386, Params: []abi.Param{{Name: "s", Type: str}, {Name: "n", Type: word["int"]}}}
	params := [][]byte{{0x10, 0, 0, 0, 5, 0, 0, 0}, {0xff, 0xff, 0xff, 0x7f}}
	for text, want := range map[string]int32{"len(s)": 5, "len(s[1:3])": 2, "n + 1": -1 << 31, "n << 1": -2} {
		e, err := Compile(text, scope)
		if err != nil {
			t.Error(err)
			continue
		}
		v, why := Eval(e, params, garbage{})
		if why != Present || len(v.Bytes) != 4 || int32(abi.I386.ByteOrder.Uint32(v.Bytes)) != want {
			t.Errorf("%s is %v, %s", text, v.Bytes, why)
		}
	}
	if _, err := Compile("n == 1<<31", scope); err == nil {
		t.Error("a constant of 32 bits in an int of 32 bits is accepted")
	}
}

// TestDirect: how an interface holds a value is not guessed.
func TestDirect(t *testing.T) {
	ptr := pointerTo(intType)
	empty := &abi.Type{Name: "struct {}", Kind: abi.Struct, Align: 1}
	old := structType("main.old", 31, "p", ptr)
	since := &abi.Type{Name: "main.since", Kind: abi.Struct, Size: 8, Align: 8, RuntimeType: 32, Fields: []abi.Field{{Name: "_", Type: empty}, {Name: "p", Type: ptr}}}
	array := &abi.Type{Name: "main.array", Kind: abi.Array, Size: 8, Align: 8, Len: 1, Elem: old, RuntimeType: 33}
	scope := &Scope{Arch: abi.AMD64, Types: table{old, since, array}, Params: []abi.Param{{Name: "e", Type: anyT}}}
	for _, text := range []string{"e.(main.old)", "e.(main.array)"} {
		if e, err := Compile(text, scope); err != nil || !e.Root.Direct {
			t.Errorf("%v, error %v", e, err)
		}
	}
	if _, err := Compile("e.(main.since)", scope); err == nil || !strings.Contains(err.Error(), "depends on the Go release") {
		t.Errorf("error %v", err)
	}
	for _, direct := range []bool{false, true} {
		scope.Direct = func(*abi.Type) bool { return direct }
		if e, err := Compile("e.(main.since)", scope); err != nil || e.Root.Direct != direct {
			t.Errorf("%v, error %v", e, err)
		}
	}
}

package uprobe

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"

	"github.com/argtap/argtap/internal/fixture/truth"
)

// fmtVerbs are the formats whose output must be that of package fmt for the
// value itself.
var fmtVerbs = []string{"%v", "%+v", "%#v", "%d", "%x", "%5v", "%-6v", "%08.3f", "%+d", "% x", "%#x", "%t", "%g", "%.2v", "%X", "%c", "%e"}

// TestFormatLikeFmt compares with package fmt, for random values without
// pointers in them: those show what they point to here, and their address there.
func TestFormatLikeFmt(t *testing.T) {
	rounds := 300
	if testing.Short() {
		rounds = 40
	}
	limits := Limits{String: 8192, Elems: 1024, Bytes: 8192, Depth: 4}
	n := 0
	for seed := range rounds {
		r := rand.New(rand.NewPCG(uint64(seed), 3))
		typ := randomType(r, 4)
		if strings.Contains(typ.String(), "*") || typ.Size() > 8192 {
			continue
		}
		src := truth.NewSource(uint64(seed))
		src.MaxLen = 12
		x := reflect.New(typ)
		src.Fill(x.Interface())
		v := one(t, limits, x.Elem().Interface())
		if !allThere(v) {
			continue
		}
		checkLikeFmt(t, v, x.Elem().Interface(), fmtVerbs...)
		n++
		if kind := typ.Kind(); kind == reflect.Struct && typ.Size() > 0 {
			if p := one(t, limits, x.Interface()); allThere(p) {
				checkLikeFmt(t, p, x.Interface(), fmtVerbs...)
			}
		}
	}
	if n < rounds/3 {
		t.Errorf("%d values only", n)
	}
}

// allThere reports whether all of a value was captured.
func allThere(v Value) bool {
	text := v.String()
	return !strings.Contains(text, "<too deep>") && !strings.Contains(text, "<cut at") && !strings.Contains(text, "…(")
}

func checkLikeFmt(t *testing.T, v Value, x any, verbs ...string) {
	t.Helper()
	for _, verb := range verbs {
		got, want := fmt.Sprintf(verb, v), fmt.Sprintf(verb, x)
		if want = strings.ReplaceAll(want, "(uprobe.testNamed=", "(int32="); got != want { // for a wrong verb
			t.Errorf("%s of %T:\n     %.1000s\nwant %.1000s", verb, x, got, want)
		}
	}
}

// TestFormatScalars compares with package fmt what random types have few of.
func TestFormatScalars(t *testing.T) {
	for _, x := range []any{
		true, -5, uint8(200), uintptr(4096), 1e21, 1e-7, float32(0.1), complex64(1 - 2i), 3 + 4i, "a\n`\"", "",
		[]byte("hi\xff"), []byte{}, []byte(nil), [3]byte{1, 2, 3}, []int(nil), []int{}, [0]int{}, []string{"a", ""},
		testNamed(7), struct{}{}, testPoint{1, -2}, &testPoint{3, 4}, &[]int{1},
	} {
		checkLikeFmt(t, one(t, Limits{}, x), x, fmtVerbs...)
	}
	for _, x := range []any{
		(*int)(nil), (*testPoint)(nil), struct{ E error }{}, struct{ A any }{}, map[string]int(nil), struct{ M map[int]bool }{},
		(func())(nil), (chan int)(nil), struct {
			F func()
			C chan int
		}{},
	} {
		checkLikeFmt(t, one(t, Limits{}, x), x, "%v", "%+v", "%#v", "%8v", "%-8v|")
	}
	for _, verb := range []string{"%q", "%x", "% X", "%#q", "%10q"} {
		for _, x := range []any{"a\"b", []byte("xyz")} {
			if got, want := fmt.Sprintf(verb, one(t, Limits{}, x)), fmt.Sprintf(verb, x); got != want {
				t.Errorf("%s of %T: %s, want %s", verb, x, got, want)
			}
		}
	}
}

// TestFormatOwn are the differences from package fmt.
func TestFormatOwn(t *testing.T) {
	tree := &testTree{1, &testTree{2, nil}}
	circle := &testTree{Val: 1}
	circle.Left = circle
	for _, tt := range []struct {
		verb string
		x    any
		l    Limits
		want string
	}{
		{"%s", testPoint{1, 2}, Limits{}, "uprobe.testPoint{X: 1, Y: 2}"},
		{"%s", "abc", Limits{}, `"abc"`},
		{"%6s", 12, Limits{}, "    12"},
		{"%v", new(int), Limits{}, "&0"},
		{"%v", tree, Limits{Depth: 2}, "&{1 &{2 <nil>}}"},
		{"%+v", tree, Limits{Depth: 2}, "&{Val:1 Left:&{Val:2 Left:<nil>}}"},
		{"%#v", tree, Limits{Depth: 2}, "&uprobe.testTree{Val:1, Left:&uprobe.testTree{Val:2, Left:(*uprobe.testTree)(nil)}}"},
		{"%v", circle, Limits{Depth: 2}, "&{1 PTR}"},
		{"%#v", circle, Limits{Depth: 2}, "&uprobe.testTree{Val:1, Left:(*uprobe.testTree)(PTR)}"},
		{"%v", tree, Limits{Depth: 1}, "&{1 PTR<too deep>}"},
		{"%v", "hello", Limits{String: 2}, "he…(5)"},
		{"%#v", "hello", Limits{String: 2}, `"he"…(5)`},
		{"%v", []int{1, 2, 3}, Limits{Elems: 2}, "[1 2…(3)]"},
		{"%v", testHidden{a: 1, ok: true}, Limits{}, "{1 true}"},
		{"%+v", struct{ E error }{errors.New("x")}, Limits{}, "{E:(error)(0x4a1000 PTR <not followed>)}"},
		{"%v", map[string]int{}, Limits{}, "PTR<not followed>"},
		{"%v", make(chan int), Limits{}, "PTR"},
		{"%#v", make(chan int), Limits{}, "(chan int)(PTR)"},
	} {
		got := hideAddresses(fmt.Sprintf(tt.verb, one(t, tt.l, tt.x)))
		if got != tt.want {
			t.Errorf("%s of %T: %s\nwant %s", tt.verb, tt.x, got, tt.want)
		}
	}
	if got := fmt.Sprintf("%v|%+v|%#v|%20v|%d", Value{}, Value{}, Value{}, Value{}, Value{}); got !=
		"<unknown type>|<unknown type>|<unknown type>|      <unknown type>|<unknown type>" {
		t.Error(got)
	}
}

// hideAddresses replaces addresses, which differ.
func hideAddresses(s string) string {
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

// TestShared: what is shared is shown once, but text is repeated.
func TestShared(t *testing.T) {
	p, s := &testPoint{1, 2}, "s"
	ps := []*testPoint{p, p, nil}
	is := []int{1, 2}
	v := one(t, Limits{Depth: 4}, struct {
		A, B *testPoint
		C, D []*testPoint
		E, F []int
		G, H *string
		I, J *struct{}
	}{p, p, ps, ps, is, is, &s, &s, new(struct{}), new(struct{})})
	const text = `{A: &uprobe.testPoint{X: 1, Y: 2}, B: (*uprobe.testPoint)(PTR), ` +
		`C: []*uprobe.testPoint{(*uprobe.testPoint)(PTR), (*uprobe.testPoint)(PTR), nil}, ` +
		`D: []*uprobe.testPoint{(*uprobe.testPoint)(PTR), (*uprobe.testPoint)(PTR), nil}, ` +
		`E: []int{1, 2}, F: []int{1, 2}, G: &"s", H: (*string)(PTR), I: &struct {}{}, J: &struct {}{}}`
	if got := hideAddresses(v.String()); !strings.HasSuffix(got, text) {
		t.Errorf("%s\nwant …%s", got, text)
	}
	const js = `{"A":{"X":1,"Y":2},"B":{"ref":"PTR"},"C":[{"ref":"PTR"},{"ref":"PTR"},null],"D":[{"ref":"PTR"},{"ref":"PTR"},null],` +
		`"E":[1,2],"F":[1,2],"G":"s","H":{"ref":"PTR"},"I":{},"J":{}}`
	if got := hideAddresses(string(v.AppendJSON(nil))); got != js {
		t.Errorf("%s\nwant %s", got, js)
	}
	// As plain values they are the same objects.
	m := v.Any().(map[string]any)
	m["A"].(map[string]any)["X"] = "changed"
	if m["B"].(map[string]any)["X"] != "changed" || m["C"].([]any)[1].(map[string]any)["X"] != "changed" {
		t.Errorf("%v", m)
	}
}

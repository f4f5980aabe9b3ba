package uprobe

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"

	"github.com/argtap/argtap/abi"
	"github.com/argtap/argtap/internal/fixture/truth"
)

// scalars are the types without parts that encoding/json knows.
var scalars = []reflect.Type{
	reflect.TypeFor[bool](), reflect.TypeFor[int](), reflect.TypeFor[int8](), reflect.TypeFor[int16](),
	reflect.TypeFor[int32](), reflect.TypeFor[int64](), reflect.TypeFor[uint](), reflect.TypeFor[uint8](),
	reflect.TypeFor[uint16](), reflect.TypeFor[uint32](), reflect.TypeFor[uint64](), reflect.TypeFor[uintptr](),
	reflect.TypeFor[float32](), reflect.TypeFor[float64](), reflect.TypeFor[string](), reflect.TypeFor[string](),
	reflect.TypeFor[[]byte](), reflect.TypeFor[testNamed](), reflect.TypeFor[testPoint](),
}

// randomType is a type of at most depth levels that encoding/json prints as it
// is: with exported fields only, and none embedded.
func randomType(r *rand.Rand, depth int) reflect.Type {
	if depth <= 0 || r.IntN(3) == 0 {
		return scalars[r.IntN(len(scalars))]
	}
	switch r.IntN(6) {
	case 0, 1, 2:
		fields := make([]reflect.StructField, r.IntN(5))
		for i := range fields {
			fields[i] = reflect.StructField{Name: fmt.Sprintf("F%d", i), Type: randomType(r, depth-1)}
		}
		return reflect.StructOf(fields)
	case 3:
		return reflect.ArrayOf(r.IntN(4), randomType(r, depth-1))
	case 4:
		return reflect.SliceOf(randomType(r, depth-1))
	}
	return reflect.PointerTo(randomType(r, depth-1))
}

// finite replaces what JSON has no numbers for, and integers that are too large
// for words of the given size in bytes.
func finite(v reflect.Value, word int64) {
	switch v.Kind() {
	case reflect.Int:
		if word == 4 {
			v.SetInt(int64(int32(v.Int())))
		}
	case reflect.Uint, reflect.Uintptr:
		if word == 4 {
			v.SetUint(uint64(uint32(v.Uint())))
		}
	case reflect.Float32, reflect.Float64:
		if math.IsNaN(v.Float()) || math.IsInf(v.Float(), 0) {
			v.SetFloat(1.5)
		}
	case reflect.Array, reflect.Slice:
		for i := range v.Len() {
			finite(v.Index(i), word)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			finite(v.Field(i), word)
		}
	case reflect.Pointer:
		if !v.IsNil() {
			finite(v.Elem(), word)
		}
	}
}

// stdJSON is what encoding/json prints. It would escape <, > and &, which is
// for browsers.
func stdJSON(t *testing.T, x any) string {
	t.Helper()
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(x); err != nil {
		t.Fatal(err)
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// TestRandomJSON calls functions with random values of random types and
// compares the JSON of each argument with what encoding/json prints for it.
// Where a limit or unreadable memory left a mark, what is there must be the
// same.
func TestRandomJSON(t *testing.T) {
	for _, a := range []*abi.Arch{abi.AMD64, abi.ARM64, abi.I386} {
		t.Run(a.GOARCH, func(t *testing.T) { testRandomJSON(t, a) })
	}
}

func testRandomJSON(t *testing.T, a *abi.Arch) {
	rounds := 600
	if testing.Short() {
		rounds = 60
	}
	limits := Limits{String: 8192, Elems: 1024, Bytes: 8192, Depth: 4}
	same, marked := 0, 0
	for seed := range rounds {
		r := rand.New(rand.NewPCG(uint64(seed), 7))
		types := make([]reflect.Type, 1+r.IntN(3))
		for i := range types {
			types[i] = randomType(r, 4)
		}
		f := traceOn(t, a, limits, true, "a b c "[:2*len(types)], types...)
		src := truth.NewSource(uint64(seed))
		src.MaxLen = []int{12, 12, 80, 2000}[r.IntN(4)]
		for round := range 3 {
			args := make([]reflect.Value, len(types))
			for i, typ := range types {
				args[i] = reflect.New(typ).Elem()
				src.Fill(args[i].Addr().Interface())
				finite(args[i], a.PtrSize)
			}
			var spoil func(*hit)
			if round == 2 {
				spoil = func(h *hit) { unmapSome(r, h) }
			}
			c := f.callValues(spoil, args)
			for i := range args {
				want := stdJSON(t, args[i].Interface())
				raw, _ := c.Arg(i).MarshalJSON()
				if got := string(raw); got == want {
					same++
					continue
				}
				if err := likeJSON(decodeJSON(t, string(raw)), decodeJSON(t, want), "x"); err != nil {
					t.Fatalf("seed %d, argument %d of type %v: %v\ngot  %.2000s\nwant %.2000s", seed, i, types[i], err, raw, want)
				}
				marked++
			}
		}
	}
	t.Logf("%d the same, %d with marks", same, marked)
	if marked*5 > same {
		t.Error("too many values were cut to say much")
	}
}

// unmapSome makes some of what the arguments point to unreadable.
func unmapSome(r *rand.Rand, h *hit) {
	for i := range h.images {
		for w := range len(h.images[i]) / h.ptr {
			if a := h.get(i, w); h.mem.Read(a, make([]byte, 1), false) && r.IntN(3) == 0 {
				h.mem.Unmap(a, 1)
			}
		}
	}
}

func decodeJSON(t *testing.T, s string) any {
	t.Helper()
	d := json.NewDecoder(strings.NewReader(s))
	d.UseNumber()
	var x any
	if err := d.Decode(&x); err != nil {
		t.Fatalf("%v: %.300s", err, s)
	}
	return x
}

// likeJSON compares decoded JSON but for the marks, and requires that there be
// one wherever the values differ.
func likeJSON(got, want any, at string) error {
	if o, ok := got.(map[string]any); ok {
		if done, err := markedJSON(o, want, at); done {
			return err
		}
	}
	switch g := got.(type) {
	case map[string]any:
		w, ok := want.(map[string]any)
		if !ok || len(g) != len(w) {
			return fmt.Errorf("%s is %v, want %v", at, got, want)
		}
		for k := range g {
			if err := likeJSON(g[k], w[k], at+"."+k); err != nil {
				return err
			}
		}
		return nil
	case []any:
		w, ok := want.([]any)
		if !ok || len(g) != len(w) {
			return fmt.Errorf("%s is %v, want %v", at, got, want)
		}
		for i := range g {
			if err := likeJSON(g[i], w[i], fmt.Sprintf("%s[%d]", at, i)); err != nil {
				return err
			}
		}
		return nil
	}
	if got != want {
		return fmt.Errorf("%s is %v, want %v", at, got, want)
	}
	return nil
}

// markedJSON compares an object that stands for what was not captured.
func markedJSON(o map[string]any, want any, at string) (done bool, err error) {
	bad := func() (bool, error) { return true, fmt.Errorf("%s is %v, want %v", at, o, want) }
	why, _ := o["absent"].(string)
	switch {
	case strings.HasPrefix(why, "cut at the limit on ") || why == "too deep" || why == "not resident":
		if want == nil && o["ptr"] == nil {
			return bad() // nil needs no reading, but what points to it does
		}
		return true, nil
	case o["string"] != nil:
		s, ok := want.(string)
		if !ok || !strings.HasPrefix(s, o["string"].(string)) {
			return bad()
		}
		return true, nil
	case o["elems"] != nil && o["len"] != nil:
		if g, ok := o["elems"].(string); ok {
			w, _ := want.(string)
			if !strings.HasPrefix(w, strings.TrimRight(g, "=")[:len(g)*3/4/4*4]) {
				return bad()
			}
			return true, nil
		}
		g, _ := o["elems"].([]any)
		w, _ := want.([]any)
		if fmt.Sprint(len(w)) != fmt.Sprint(o["len"]) || len(g) >= len(w) {
			return bad()
		}
		return true, likeJSON(g, w[:len(g)], at)
	}
	return false, nil
}

// TestJSONString compares strings with encoding/json: every byte alone and
// between letters, and runs of random bytes and runes.
func TestJSONString(t *testing.T) {
	check := func(s string) {
		t.Helper()
		if got, want := string(appendJSONString(nil, s)), stdJSON(t, s); got != want {
			t.Errorf("%q: %s, want %s", s, got, want)
		}
		if got := string(appendJSONString(nil, []byte(s))); got != string(appendJSONString(nil, s)) {
			t.Errorf("%q as bytes: %s", s, got)
		}
	}
	for b := range 256 {
		check(string([]byte{byte(b)}))
		check(string([]byte{'a', byte(b), 'b'}))
	}
	r := rand.New(rand.NewPCG(1, 1))
	for range 2000 {
		var b []byte
		for range r.IntN(8) {
			switch r.IntN(3) {
			case 0:
				b = append(b, byte(r.Uint32()))
			case 1:
				b = append(b, string(rune(r.IntN(0x3000)))...)
			default:
				b = append(b, string(rune(r.IntN(0x110000)))...)
			}
		}
		check(string(b))
	}
}

// TestWholeRunes: no beginning of a rune is left at the end, and nothing else is
// dropped.
func TestWholeRunes(t *testing.T) {
	for s, want := range map[string]string{
		"": "", "a": "a", "ä": "ä", "a\xc3": "a", "€": "€", "a\xe2\x82": "a", "a\xe2": "a",
		"🙂": "🙂", "\xf0\x9f\x99": "", "\xf0\x9f": "", "\xf0": "", "a\x82": "a\x82", "\x82\x82\x82\x82": "\x82\x82\x82\x82",
		"a\xff": "a\xff", "\xe2\x28": "\xe2\x28", "\xc0": "\xc0",
	} {
		if got := string(wholeRunes([]byte(s))); got != want {
			t.Errorf("%q: %q, want %q", s, got, want)
		}
	}
}

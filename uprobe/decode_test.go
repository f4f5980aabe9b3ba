package uprobe

import (
	"errors"
	"fmt"
	"math/big"
	"math/rand/v2"
	"net/netip"
	"net/url"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/argtap/argtap/internal/fixture/truth"
)

// TestDecodeRandom decodes random values into variables of their own type.
func TestDecodeRandom(t *testing.T) {
	rounds := 300
	if testing.Short() {
		rounds = 40
	}
	limits := Limits{String: 8192, Elems: 1024, Bytes: 8192, Depth: 4}
	same, cut := 0, 0
	for seed := range rounds {
		r := rand.New(rand.NewPCG(uint64(seed), 5))
		typ := randomType(r, 4)
		src := truth.NewSource(uint64(seed))
		src.MaxLen = 12
		x, back := reflect.New(typ), reflect.New(typ)
		src.Fill(x.Interface())
		finite(x.Elem(), 8)
		err := one(t, limits, x.Elem().Interface()).Decode(back.Interface())
		var missing Absent
		switch {
		case errors.As(err, &missing):
			cut++
		case err != nil:
			t.Errorf("seed %d, %v: %v", seed, typ, err)
		case !reflect.DeepEqual(x.Interface(), back.Interface()):
			t.Errorf("seed %d, %v:\n     %.500v\nwant %.500v", seed, typ, back.Elem(), x.Elem())
		default:
			same++
		}
	}
	if t.Logf("%d the same, %d cut", same, cut); same < 2*cut {
		t.Error("too many were cut")
	}
}

type (
	testUser struct {
		name  string
		Age   int16
		tags  []string
		boss  *testUser
		hours map[string]int
		testPoint
		*testTree
	}
)

func TestDecodeStruct(t *testing.T) {
	boss := &testUser{name: "B", Age: 60}
	v := one(t, Limits{Depth: 3}, testUser{name: "n", Age: 7, tags: []string{"x"}, boss: boss, hours: nil, testPoint: testPoint{1, 2}, testTree: &testTree{Val: 9}})
	type base struct{ X, Y uint8 }
	var got struct {
		Name   string
		Years  int `argtap:"Age"`
		Tags   []string
		Boss   *struct{ Name string }
		Chief  struct{ Age int } `argtap:"boss"`
		X      int64
		Val    any
		Raw    Value          `argtap:"hours"`
		Hours  map[string]int `argtap:"hours"`
		Gone   *int           `argtap:",optional"`
		Left   *testTree      `argtap:"-"`
		P      *string        `argtap:"name"`
		Point  base           `argtap:"testPoint"`
		Points *testPoint     `argtap:"testPoint"`
		own    int
	}
	got.own = 5
	if err := v.Decode(&got); err != nil {
		t.Fatal(err)
	}
	if got.Name != "n" || got.Years != 7 || fmt.Sprint(got.Tags) != "[x]" || got.Boss.Name != "B" || got.Chief.Age != 60 ||
		got.X != 1 || got.Val != int64(9) || !got.Raw.IsNil() || got.Hours != nil || got.Gone != nil || got.Left != nil ||
		*got.P != "n" || got.Point != (base{1, 2}) || *got.Points != (testPoint{1, 2}) || got.own != 5 {
		t.Errorf("%+v", got)
	}
	// Fields of an embedded struct are looked up in the value itself.
	type Named struct{ Name string }
	var flat struct {
		Named
		Age int
	}
	if err := v.Decode(&flat); err != nil || flat.Name != "n" || flat.Age != 7 {
		t.Errorf("%+v, %v", flat, err)
	}
}

func TestDecodeErrors(t *testing.T) {
	type deep struct {
		URL  *struct{ Path string }
		List []testPoint
		Big  uint64
		Neg  int
		F    float64
		E    error
		U    uintptr
		No   *testPoint
	}
	x := deep{URL: &struct{ Path string }{"/x"}, List: []testPoint{{1, 2}, {3, 400}}, Big: 1 << 63, Neg: -1, F: 1e300, E: errors.New("x")}
	v := one(t, Limits{Depth: 2}, x)
	for _, tt := range []struct {
		dst  any
		want string
	}{
		{new(struct{ URL struct{ Path int } }), "URL.Path: string, not int"},
		{new(struct{ URL struct{ Host string } }), "URL.Host: struct { Path string } has no such field; it has Path"},
		{new(struct{ List []struct{ Y int8 } }), "List[1].Y: 400 overflows int8"},
		{new(struct{ List string }), "List: []uprobe.testPoint, not string"},
		{new(struct{ List [2]testPoint }), "List: []uprobe.testPoint, not [2]uprobe.testPoint"},
		{new(struct{ Big int64 }), "Big: 9223372036854775808 overflows int64"},
		{new(struct{ Neg uint }), "Neg: -1 overflows uint"},
		{new(struct{ Neg string }), "Neg: int, not string"},
		{new(struct{ Neg float64 }), "Neg: int, not float64"},
		{new(struct{ F float32 }), "F: 1e+300 overflows float32"},
		{new(struct{ F int }), "F: float64, not int"},
		{new(struct{ E error }), "E: <not followed>"},
		{new(struct{ E any }), "E: <not followed>"},
		{new(struct{ No testPoint }), "No: nil *uprobe.testPoint, not uprobe.testPoint"},
		{new(struct{ F time.Time }), "F: float64, not time.Time"},
		{new(struct{ List []time.Time }), "List[0]: uprobe.testPoint, not time.Time"},
		{new(struct{ None int }), "None: uprobe.deep has no such field; it has URL, List, Big, Neg, F, E, U, No"},
		{new(struct {
			Neg int `argtap:",often"`
		}), `tag ",often" of field Neg: unknown option "often"; there are optional and cut`},
		{new(struct{ neg, Neg int }), "neg: the field of struct { neg int; Neg int } is not exported: it cannot be set"},
		{new(struct {
			No testPoint `argtap:",optional"`
		}), ""},
		{new(int), "uprobe.deep, not int"},
		{new(chan int), "uprobe.deep, not chan int"},
		{new(error), "uprobe.deep, not error"},
	} {
		err := v.Decode(tt.dst)
		var e *DecodeError
		if tt.want == "" && err == nil {
			continue
		}
		if err == nil || err.Error() != tt.want || !errors.As(err, &e) {
			t.Errorf("%T: %v\nwant %s", tt.dst, err, tt.want)
		}
	}
	for _, dst := range []any{nil, 1, (*int)(nil), testPoint{}} {
		if err := v.Decode(dst); err == nil || !strings.Contains(err.Error(), "pointer to a variable") {
			t.Errorf("%T: %v", dst, err)
		}
	}
}

// TestDecodeAbsent: what is absent is not decoded, unless that is allowed.
func TestDecodeAbsent(t *testing.T) {
	x := struct {
		S  string
		L  []int
		In *testTree
	}{"hello", []int{1, 2, 3}, &testTree{1, &testTree{2, nil}}}
	v := one(t, Limits{String: 2, Elems: 1, Depth: 1}, x)
	for _, tt := range []struct {
		dst  any
		want string
	}{
		{new(struct{ S string }), "S: <cut at the limit on bytes of a string>: 2 of 5 bytes"},
		{new(struct{ L []int }), "L: <cut at the limit on elements>: 1 of 3 elements"},
		{new(struct{ S any }), "S: <cut at the limit on bytes of a string>"},
		{new(struct{ In testTree }), "In.Left: <too deep>"},
		{new(struct {
			In *testTree `argtap:",cut"`
		}), "In.Left: <too deep>"},
	} {
		err := v.Decode(tt.dst)
		if err == nil || err.Error() != tt.want || !errors.As(err, new(Absent)) {
			t.Errorf("%T: %v, want %s", tt.dst, err, tt.want)
		}
	}
	var got struct {
		S, T string    `argtap:"S,cut"`
		L    []int     `argtap:",cut"`
		M    []int     `argtap:"L,optional"`
		In   *testTree `argtap:",optional"`
		A    any       `argtap:"S,cut"`
		Deep struct {
			Val  int
			Left Value
		} `argtap:"In"`
	}
	if err := v.Decode(&got); err != nil {
		t.Fatal(err)
	}
	why, absent := got.Deep.Left.Elem().Absent()
	if got.S != "he" || got.T != "he" || fmt.Sprint(got.L, got.M) != "[1] []" || got.In != nil || got.A != "he" ||
		got.Deep.Val != 1 || !absent || why != "too deep" {
		t.Errorf("%+v", got)
	}
	var val Value
	if err := absentValue(t).Decode(&val); err != nil {
		t.Error(err)
	}
	if err := absentValue(t).Decode(new(int)); err == nil || err.Error() != "<not resident>" {
		t.Error(err)
	}
}

func absentValue(t *testing.T) Value {
	return spoiltFunc(t, true).callSpoilt(func(h *hit) { h.mem.Unmap(h.sp, 4096) }).Arg(0)
}

// TestDecodeShared: a copy has the shape of the original.
func TestDecodeShared(t *testing.T) {
	circle := &testTree{Val: 1}
	circle.Left = circle
	var got *testTree
	if err := one(t, Limits{Depth: 3}, circle).Decode(&got); err != nil || got.Val != 1 || got.Left != got {
		t.Errorf("%v, %v", got, err)
	}
	type flat struct {
		Val  int
		Left []flat
	}
	if err := one(t, Limits{Depth: 3}, circle).Decode(new(flat)); err == nil || !strings.Contains(err.Error(), "not []uprobe.flat") {
		t.Error(err)
	}
	type inline struct {
		Val  int
		Left *struct {
			Left *struct{ Left *struct{ Val int } }
		}
	}
	var in inline
	if err := one(t, Limits{Depth: 4}, circle).Decode(&in); err != nil || in.Left.Left.Left.Val != 1 {
		t.Errorf("%+v, %v", in, err)
	}
	// What failed in part is not used elsewhere.
	shared := &testTree{1, &testTree{2, &testTree{3, nil}}}
	var twice struct {
		A *testTree `argtap:",optional"`
		B *testTree
	}
	err := one(t, Limits{Depth: 2}, struct{ A, B *testTree }{shared, shared}).Decode(&twice)
	if err == nil || err.Error() != "B.Left.Left: <too deep>" || twice.A != nil || twice.B != nil {
		t.Errorf("%+v, %v", twice, err)
	}
}

func TestDecodeKnown(t *testing.T) {
	zone := time.FixedZone("X", 3600)
	now := time.Date(2026, 1, 2, 3, 4, 5, 6, zone)
	u := &url.URL{Scheme: "https", Host: "h", Path: "/p", User: url.UserPassword("u", "p")}
	big1 := new(big.Int).Lsh(big.NewInt(-5), 100)
	x := struct {
		T    time.Time
		P    *time.Time
		D    time.Duration
		URL  *url.URL
		None url.URL
		Addr netip.Addr
		Pre  netip.Prefix
		AP   netip.AddrPort
		Big  *big.Int
		Zero time.Time
	}{now, &now, time.Second, u, url.URL{}, netip.MustParseAddr("fe80::1%eth0"), netip.MustParsePrefix("10.0.0.0/8"),
		netip.MustParseAddrPort("[::1]:80"), big1, time.Time{}}
	v := one(t, Limits{Depth: 4}, x)
	got := x
	got.T, got.P, got.URL, got.Addr, got.Big, got.Zero = time.Time{}, nil, nil, netip.Addr{}, nil, now
	if err := v.Decode(&got); err != nil {
		t.Fatal(err)
	}
	_, offset := got.T.Zone()
	if !got.T.Equal(now) || offset != 3600 || !got.P.Equal(now) || got.D != time.Second || !reflect.DeepEqual(got.URL, u) ||
		got.None != (url.URL{}) || got.Addr != x.Addr || got.Pre != x.Pre || got.AP != x.AP || got.Big.Cmp(big1) != 0 || !got.Zero.IsZero() {
		t.Errorf("%+v", got)
	}
	// A part that is missing is not left out.
	if err := one(t, Limits{Depth: -1}, x).Decode(&struct{ Addr netip.Addr }{}); err == nil || err.Error() != "Addr: a part of it was not captured" {
		t.Error(err)
	}
	// The zone is, because the time is known.
	var at struct{ T time.Time }
	if err := one(t, Limits{Depth: -1}, x).Decode(&at); err != nil || !at.T.Equal(now) || at.T.Location().String() != "-00:00" {
		t.Errorf("%v, %v", at, err)
	}
}

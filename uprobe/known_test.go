package uprobe

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/big"
	"net"
	"net/netip"
	"net/url"
	"os"
	"reflect"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
	_ "time/tzdata"
)

type UUID [16]byte

// message has the fields of what protoc-gen-go generated before the types of
// its internals had a package of their own.
type message struct {
	Name                 string
	XXX_NoUnkeyedLiteral struct{}
	XXX_unrecognized     []byte
	XXX_sizecache        int32
}

func TestKnownTypes(t *testing.T) {
	zone := time.FixedZone("CEST", 7200)
	at := time.Date(2026, 7, 1, 12, 30, 0, 500, zone)
	u, err := url.Parse("https://user:pass@example.com/a%20b?q=1#f")
	if err != nil {
		t.Fatal(err)
	}
	_, ipnet, _ := net.ParseCIDR("10.1.0.0/16")
	huge, _ := new(big.Int).SetString("-123456789012345678901234567890", 10)
	builder := new(strings.Builder)
	builder.WriteString("built")
	buffer := bytes.NewBufferString("read unread")
	buffer.Next(4)
	var locked sync.Mutex
	locked.Lock()
	var reading, writing sync.RWMutex
	reading.RLock()
	writing.Lock()
	var once sync.Once
	once.Do(func() {})
	var wg sync.WaitGroup
	wg.Add(3)
	var (
		i32 atomic.Int32
		yes atomic.Bool
		ptr atomic.Pointer[int]
	)
	i32.Store(-5)
	yes.Store(true)
	for _, tt := range []struct {
		x              any
		text, js, verb string // verb is what %v prints, if it is not text
	}{
		{at, `2026-07-01 12:30:00.0000005 +0200 CEST`, `"2026-07-01T12:30:00.0000005+02:00"`, ""},
		{&at, `2026-07-01 12:30:00.0000005 +0200 CEST`, `"2026-07-01T12:30:00.0000005+02:00"`, ""},
		{at.UTC(), `2026-07-01 10:30:00.0000005 +0000 UTC`, `"2026-07-01T10:30:00.0000005Z"`, ""},
		{time.Time{}, `0001-01-01 00:00:00 +0000 UTC`, `"0001-01-01T00:00:00Z"`, ""},
		{time.Unix(-1, 999_999_999).UTC(), `1969-12-31 23:59:59.999999999 +0000 UTC`, `"1969-12-31T23:59:59.999999999Z"`, ""},
		{[]time.Duration{1500 * time.Millisecond}, `[]time.Duration{1.5s}`, `[1500000000]`, "[1.5s]"},
		{time.March, `March`, `3`, ""},
		{time.Month(13), `13`, `13`, ""},
		{time.Saturday, `Saturday`, `6`, ""},
		{net.IPv4(10, 0, 0, 1), `10.0.0.1`, `"10.0.0.1"`, ""},
		{net.IP(nil), `net.IP(nil)`, `""`, "[]"},
		{net.IP{1, 2, 3}, `net.IP("\x01\x02\x03")`, `"AQID"`, "[1 2 3]"},
		{ipnet, `10.1.0.0/16`, `{"IP":"10.1.0.0","Mask":"//8AAA=="}`, ""},
		{netip.MustParseAddr("10.0.0.1"), `10.0.0.1`, `"10.0.0.1"`, ""},
		{netip.MustParseAddr("::ffff:10.0.0.1"), `::ffff:10.0.0.1`, `"::ffff:10.0.0.1"`, ""},
		{netip.MustParseAddr("fe80::1%eth0"), `fe80::1%eth0`, `"fe80::1%eth0"`, ""},
		{netip.Addr{}, `invalid IP`, `""`, ""},
		{netip.MustParsePrefix("10.0.0.0/8"), `10.0.0.0/8`, `"10.0.0.0/8"`, ""},
		{netip.Prefix{}, `invalid Prefix`, `""`, ""},
		{netip.MustParseAddrPort("[::1]:80"), `[::1]:80`, `"[::1]:80"`, ""},
		{u, `https://user:pass@example.com/a%20b?q=1#f`, `{"Scheme":"https","Opaque":"","User":{"username":"user","password":"pass","passwordSet":true},` +
			`"Host":"example.com","Path":"/a b","Fragment":"f","RawQuery":"q=1","RawPath":"","RawFragment":"","ForceQuery":false,"OmitHost":false}`, ""},
		{huge, `-123456789012345678901234567890`, `-123456789012345678901234567890`, ""},
		{new(big.Int), `0`, `0`, ""},
		{builder, `strings.Builder("built")`, `"built"`, "built"},
		{buffer, `bytes.Buffer(" unread")`, `"IHVucmVhZA=="`, " unread"},
		{json.RawMessage(`{ "a": 1 }`), `{"a":1}`, `{"a":1}`, ""},
		{json.RawMessage(`{`), `json.RawMessage("{")`, `"ew=="`, "[123]"},
		{UUID{0xf8, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}, `f8010203-0405-0607-0809-0a0b0c0d0e0f`, `"f8010203-0405-0607-0809-0a0b0c0d0e0f"`, ""},
		{os.FileMode(0o644), `-rw-r--r--`, `420`, ""},
		{new(sync.Mutex), `sync.Mutex(unlocked)`, `{"mu":{"state":0,"sema":0}}`, ""},
		{&locked, `sync.Mutex(locked)`, `{"mu":{"state":1,"sema":0}}`, ""},
		{&reading, `sync.RWMutex(1 reading)`, "", ""},
		{&writing, `sync.RWMutex(locked)`, "", ""},
		{new(sync.RWMutex), `sync.RWMutex(unlocked)`, "", ""},
		{&once, `sync.Once(done)`, "", ""},
		{new(sync.Once), `sync.Once(not done)`, "", ""},
		{&wg, `sync.WaitGroup(3)`, "", ""},
		{&i32, `-5`, `-5`, ""},
		{&yes, `true`, `true`, ""},
		{&ptr, `nil`, `null`, "<nil>"},
		{new(atomic.Value), `nil`, `null`, "<nil>"},
		{message{Name: "n", XXX_sizecache: 5}, `uprobe.message{Name: "n"}`, `{"Name":"n"}`, "{n}"},
	} {
		v := one(t, Limits{Depth: 4}, tt.x)
		if got := v.String(); got != tt.text {
			t.Errorf("%T: %s\nwant %s", tt.x, got, tt.text)
		}
		if got := string(v.AppendJSON(nil)); tt.js != "" && got != tt.js {
			t.Errorf("%T: %s\nwant %s", tt.x, got, tt.js)
		}
		if tt.verb == "" {
			tt.verb = tt.text
		}
		if got := fmt.Sprintf("%v", v); got != tt.verb {
			t.Errorf("%T: %%v %s\nwant %s", tt.x, got, tt.verb)
		}
		if got := fmt.Sprintf("%#v", v); !strings.Contains(got, strings.TrimLeft(fmt.Sprintf("%T", tt.x), "*")) && v.NumField() > 0 {
			t.Errorf("%T: %%#v %s", tt.x, got)
		}
	}
}

// TestKnownTimes compares the times of a zone with what package time says, those
// of its transitions too.
func TestKnownTimes(t *testing.T) {
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	sure := 0
	for year := 1800; year < 2100; year += 3 {
		at := time.Date(year, 7, 1, 12, 0, 0, year, berlin)
		got := string(one(t, Limits{Depth: 3, Elems: 200, String: 8192}, at).AppendJSON(nil))
		want, _ := at.MarshalJSON()
		unsure := at.UTC().Format(`"2006-01-02T15:04:05.999999999`) + `-00:00"`
		switch got {
		case string(want):
			sure++
		case unsure:
		default:
			t.Errorf("%v is %s, want %s or %s", at, got, want, unsure)
		}
	}
	if sure < 40 {
		t.Errorf("the zone was known %d times only", sure)
	}
	now := time.Now().In(berlin)
	if got, want := fmt.Sprint(one(t, Limits{Depth: 2}, now)), fmt.Sprint(now); got != want {
		t.Errorf("now is %s, want %s", got, want)
	}
	if got, want := one(t, Limits{Depth: 2}, now).String(), now.Round(0).String(); got != want {
		t.Errorf("now is %s, want %s", got, want)
	}
}

// TestUnsure: a value that a printer cannot be sure of is shown as it is.
func TestUnsure(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 6, time.FixedZone("X", 60))
	v := one(t, Limits{Depth: -1}, at)
	if got := v.String(); got != "2026-01-02 03:03:05.000000006 -0000" {
		t.Error(got)
	}
	if got := string(v.AppendJSON(nil)); got != `"2026-01-02T03:03:05.000000006-00:00"` {
		t.Error(got)
	}
	if at2, err := time.Parse(time.RFC3339Nano, "2026-01-02T03:03:05.000000006-00:00"); err != nil || !at2.Equal(at) {
		t.Errorf("%v, %v", at2, err)
	}
	for _, x := range []any{
		netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("1::"), netip.MustParsePrefix("10.0.0.0/8"),
		&url.URL{Host: strings.Repeat("x", 20)}, new(big.Int).Lsh(big.NewInt(1), 1000),
	} {
		v := one(t, Limits{Depth: 1, String: 10, Elems: 3}, reflect.Indirect(reflect.ValueOf(x)).Interface())
		if _, ok := x.(*url.URL); !ok && reflect.TypeOf(x).Kind() != reflect.Pointer {
			v = one(t, Limits{Depth: -1}, x)
		}
		if got := v.String(); !strings.HasPrefix(got, strings.TrimLeft(fmt.Sprintf("%T{", x), "*")) {
			t.Errorf("%T is %s", x, got)
		}
	}
	// Fields of another shape.
	type Time struct {
		wall uint64
		ext  int64
		loc  *int
		more int
	}
	f := trace(t, Limits{}, true, "x", reflect.TypeFor[Time]())
	f.fn.params[0].Type.Name = "time.Time"
	if got := f.call(nil, Time{1 << 63, 2, nil, 3}).Arg(0).String(); got != "time.Time{wall: 9223372036854775808, ext: 2, loc: nil, more: 3}" {
		t.Error(got)
	}
	for _, w := range []uint64{1_000_000_000, 1 << 31} { // too many nanoseconds; seconds without their flag
		f := trace(t, Limits{}, true, "x", reflect.TypeFor[time.Time]())
		c := f.call(func(h *hit) { h.set(0, 0, w) }, time.Time{})
		if got := c.Arg(0).String(); got != fmt.Sprintf("time.Time{wall: %d, ext: 0, loc: nil}", w) {
			t.Error(got)
		}
	}
}

// TestWithPrinter: a tracer's printers show its values, and what they are part of.
func TestWithPrinter(t *testing.T) {
	point := func(v Value) (any, bool) {
		x, ok1 := v.Field(0).Int()
		y, ok2 := v.Field(1).Int()
		return fmt.Sprintf("%d/%d", x, y), ok1 && ok2 && x >= 0
	}
	o, err := newOptions([]Option{
		WithPrinter("github.com/argtap/argtap/uprobe.testPoint", point),
		WithPrinter("time.Duration", func(v Value) (any, bool) { return v, true }),
		WithPrinter("github.com/argtap/argtap/uprobe.testTree", func(v Value) (any, bool) {
			left, ok := v.FieldByName("Left")
			return left, ok && !left.IsNil()
		}),
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		x        any
		text, js string
	}{
		{testPoint{1, 2}, `1/2`, `"1/2"`},
		{&testPoint{1, 2}, `1/2`, `"1/2"`},
		{testPoint{-1, 2}, `uprobe.testPoint{X: -1, Y: 2}`, `{"X":-1,"Y":2}`},
		{[]*testPoint{{1, 2}, {-1, 0}}, `[]*uprobe.testPoint{1/2, &uprobe.testPoint{X: -1, Y: 0}}`, `["1/2",{"X":-1,"Y":0}]`},
		{time.Second, `1000000000`, `1000000000`},
		{testTree{1, &testTree{2, nil}}, `&uprobe.testTree{Val: 2, Left: nil}`, `{"Val":2,"Left":null}`},
	} {
		f := trace(t, Limits{Depth: 3}, true, "x", reflect.TypeOf(tt.x))
		f.fn.printers = o.printers
		v := f.call(nil, tt.x).Arg(0)
		if got := v.String(); got != tt.text {
			t.Errorf("%T: %s, want %s", tt.x, got, tt.text)
		}
		if got := string(v.AppendJSON(nil)); got != tt.js {
			t.Errorf("%T: %s, want %s", tt.x, got, tt.js)
		}
		if e := v.Elem(); e.Type() != nil && e.Kind() != 0 && e.String() != tt.text {
			t.Errorf("what %T points to: %s, want %s", tt.x, e, tt.text)
		}
		if e := v.Index(0); v.Len() > 0 && e.String() != "1/2" {
			t.Errorf("an element of %T: %s", tt.x, e)
		}
	}
	for want, opt := range map[string]Option{
		"without a type's name":      WithPrinter("", point),
		"without a function":         nil,
		"name the type that it poin": WithPrinter("*main.T", point),
	} {
		if opt == nil {
			opt = WithPrinter("main.T", nil)
			want = "give both"
		}
		if _, err := newOptions([]Option{opt}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
}

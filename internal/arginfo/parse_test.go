package arginfo

import (
	"encoding/hex"
	"strings"
	"testing"
)

// tables are what the compiler wrote (go build -gcflags=-S, amd64, the same in
// go1.17.13, go1.26.8 and go1.27.4) for functions with these signatures.
var tables = []struct {
	sig, bytes, want string
}{
	{"func(a int8, s string, f float64, b []byte, e any, i interface{ M() })",
		"1001fe18082008fd2808fe300838084008fdfe48085008fdfe0008fcfdff",
		"16:1 {24:8 32:8} 40:8 {48:8 56:8 64:8} {72:8 80:8} {0:8 …}"},
	{"func(a [2]int16, p struct { a int8; b int64; _ int32; s string }, b bool, c complex64)",
		"fe00020202fdfe080110081804fe20082808fdfd3001fe34043804fdff",
		"{0:2 2:2} {8:1 16:8 24:4 {32:8 40:8}} 48:1 {52:4 56:4}"},
	{"func(d struct { x struct { y struct { z struct { w struct { v int8; u int }; q int } }; p int8 } }, n int)",
		"fefefefefefcfd1008fdfd1801fdfd2008ff",
		"{{{{{…} 16:8}} 24:1}} 32:8"},
	{"func(z struct{}, _ [0]int, n int32)", "fefdfefd0004ff", "{} {} 0:4"},
	{"func(b [40]int64, x [2]int, n int32, s string)",
		"fe00080808100818082008280830083808400848" + "08fcfdfcff",
		"{0:8 8:8 16:8 24:8 32:8 40:8 48:8 56:8 64:8 72:8 …} …"},
	{"func(a, b, c, d, e, f, g, h, i, j, k uint16)",
		"08020a020c020e021002120214021602" + "18020002fcff",
		"8:2 10:2 12:2 14:2 16:2 18:2 20:2 22:2 24:2 0:2 …"},
	{"func(a, b, c, d, e, f, g, h, i, j uint16)",
		"08020a020c020e021002120214021602" + "18020002ff",
		"8:2 10:2 12:2 14:2 16:2 18:2 20:2 22:2 24:2 0:2"},
	{"func(a, b, c, d, e, f, g, h uint16, s struct { a, b uint8; t struct { c, d uint8 } })",
		"08020a020c020e021002120214021602" + "fe00010101fcfdff",
		"8:2 10:2 12:2 14:2 16:2 18:2 20:2 22:2 {0:1 1:1 …}"},
	{"func(a, b, c []int, d string, e [1]uint8) int",
		"fe180820082808fdfe300838084008fdfe480850085808fdfe0008fcfdfcff",
		"{24:8 32:8 40:8} {48:8 56:8 64:8} {72:8 80:8 88:8} {0:8 …} …"},
	{"func(x float64, n int, y float32, z struct { a float64; n int })",
		"000808081004fe18082008fdff", "0:8 8:8 16:4 {24:8 32:8}"},
	{"func(a int8, s [2]struct { a [0]int; b [1]struct{ c [2]struct{ d [30]struct{} } } }, b [2]struct{ x [60]struct{}; y int })",
		"1001fefefefdfefefefcfdfdfdfdfefefdfefefefcfdfdfdfdfdfefefefefdfe" + "fdfefdfefdfefdfcfdfcfdfcfdff",
		"16:1 {{{} {{{…}}}} {{} {{{…}}}}} {{{{} {} {} {} {} …} …} …}"},
	{"func(n int64, b struct { a [2]int; s []string }, s string) [24]int64",
		"e808fefe00080808fdfe100818082008" + "fdfdfefbfbfdff",
		"232:8 {{0:8 8:8} {16:8 24:8 32:8}} {_ _}"},
	{"func(a [240]byte, b [2]byte)",
		"fe000101010201030104010501060107" + "0108010901fcfdfcff",
		"{0:1 1:1 2:1 3:1 4:1 5:1 6:1 7:1 8:1 9:1 …} …"},
}

func parse(t testing.TB, text string) *Info {
	t.Helper()
	b, err := hex.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	in, err := Parse(b)
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return in
}

func TestParse(t *testing.T) {
	for _, tt := range tables {
		in := parse(t, tt.bytes)
		if got := in.String(); got != tt.want {
			t.Errorf("%s:\n got %s\nwant %s", tt.sig, got, tt.want)
		}
		if want := strings.HasSuffix(tt.want, " …"); in.Cut != want {
			t.Errorf("%s: cut is %v, want %v", tt.sig, in.Cut, want)
		}
		// What follows belongs to another function; what is missing is missed.
		if more := parse(t, tt.bytes+"fdfdfd"); more.String() != tt.want {
			t.Errorf("%s: with bytes behind: %s", tt.sig, more)
		}
		b, _ := hex.DecodeString(tt.bytes)
		for n := range b {
			if _, err := Parse(b[:n]); err == nil {
				t.Errorf("%s: the first %d of %d bytes are a table", tt.sig, n, len(b))
			}
		}
	}
	if in := parse(t, "ff"); len(in.Components) != 0 || in.Cut {
		t.Errorf("a table without components is [%s]", in)
	}
	if in := parse(t, "fbfe00081008fdfefbfcfdff"); in.String() != "_ {0:8 16:8} {_ …}" {
		t.Errorf("values that are too far: [%s]", in)
	}
}

func TestParseErrors(t *testing.T) {
	for _, tt := range []struct{ bytes, want string }{
		{"", "byte 0: no end in 0 bytes"},
		{"0008", "byte 2: no end in 2 bytes"},
		{"00", "byte 1: no end in 1 bytes"},
		{"fd", "byte 1: unexpected mark 0xfd at depth 0"},
		{"f0ff", "byte 1: unexpected mark 0xf0 at depth 0"},
		{"fa", "byte 1: unexpected mark 0xfa at depth 0"},
		{"feff", "byte 2: unexpected mark 0xff at depth 1"},
		{"fefefefefefeff", "byte 6: unexpected mark 0xfe at depth 5"},
		{"0000ff", "byte 2: a value of 0 bytes"},
		{"0003ff", "byte 2: a value of 3 bytes"},
		{"0080ff", "byte 2: a value of 128 bytes"},
		{"fc0008ff", "byte 2: 0x0 behind what was left out"},
		{"fefcfcfdff", "byte 3: 0xfc behind what was left out"},
		{"fe08080008fdff", "byte 5: a value at 0 in a group that goes to 16 already"},
		{"fe0008fe0408fdfdff", "byte 6: a value at 4 in a group that goes to 8 already"},
		{"fefb0008fdff", "byte 4: a value at 0 in a group that goes to 240 already"},
		{strings.Repeat("0008", 100) + "ff", "byte 171: no end in 171 bytes"},
	} {
		b, err := hex.DecodeString(tt.bytes)
		if err != nil {
			t.Fatal(err)
		}
		if _, err = Parse(b); err == nil || !strings.HasSuffix(err.Error(), tt.want) {
			t.Errorf("%s: error %v, want %s", tt.bytes, err, tt.want)
		}
	}
}

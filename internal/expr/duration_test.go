package expr

import (
	"strings"
	"testing"
	"time"

	"github.com/argtap/argtap/abi"
)

func TestDurations(t *testing.T) {
	scope := &Scope{Arch: abi.AMD64, Durations: true, Params: []abi.Param{
		{Name: "duration", Type: DurationType}, {Name: "n", Type: intType}, {Name: "s", Type: str}, {Name: "m1s", Type: intType},
	}}
	for text, want := range map[string]time.Duration{
		"duration > 10ms": 10 * time.Millisecond, "duration > 1.5s": 1500 * time.Millisecond, "duration>1h30m": 90 * time.Minute,
		"duration > 7µs": 7 * time.Microsecond, "duration > .5ms": 500 * time.Microsecond, "duration > 1h2m3.5s": time.Hour + 2*time.Minute + 3500*time.Millisecond,
		"duration > 1ns": 1, "duration > 1000": 1000, "duration > 2*10ms": 20 * time.Millisecond, "duration > 1h/2": 30 * time.Minute,
		"duration > -1s": -time.Second,
	} {
		e, err := Condition(text, scope)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if got := time.Duration(e.Root.Y.Bits()); got != want || e.Root.Op != Gt {
			t.Errorf("%s: %s, want %v", text, e.Root, want)
		}
	}
	for text, want := range map[string]string{
		"duration > 10mss":      "column 12: 10mss is no duration",
		"duration > 10ms5":      "column 12: 10ms5 is no duration",
		"duration > 10":         "",
		`s == "10mss"`:          "",
		"m1s > 1":               "",
		"n > 10ms":              "column 3: operator > with different types: of type int, and 10000000 (time.Duration)",
		"duration > 1x":         "column 13",
		"duration > 10 ms":      "column 15",
		"n > 0x10 && s == `1s`": "",
		"duration > 1e400s":     "is no duration",
		"duration > 1s && zz":   "no parameter zz",
	} {
		_, err := Condition(text, scope)
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
	scope.Durations = false
	if _, err := Condition("duration > 10ms", scope); err == nil {
		t.Error("there is a duration where there should be none")
	}
}

// FuzzDurations: what is masked is as long as before, and what is not a duration is as
// it was.
func FuzzDurations(f *testing.F) {
	for _, text := range []string{"d > 10ms", "1h30m", "1.5s+2", `"1s"`, "1s1", "0x1s", "µs", "1µs", "a1s", "1ss", "1 s", "//1s", "1_0s", "'s'"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		masked, found, at, wrong := maskDurations(text)
		if len(masked) != len(text) || wrong != "" && (at < 0 || at >= len(text) || masked != text) {
			t.Fatalf("%q: %q, %d %s", text, masked, at, wrong)
		}
		if len(found) == 0 && masked != text {
			t.Fatalf("%q: %q", text, masked)
		}
		for at, d := range found {
			if at < 0 || at >= len(text) || masked[at] != '1' && masked[at] != 'i' {
				t.Fatalf("%q: %v at %d of %q", text, d, at, masked)
			}
		}
	})
}

package uprobe

import (
	"strconv"
	"strings"
	"testing"
)

// TestCaptureInEveryWay: expressions and conditions need nothing that not every
// kernel has. A condition that is not met delivers nothing.
func TestCaptureInEveryWay(t *testing.T) {
	needRoot(t)
	target := startCaps(t, buildFixture(t, "caps"))
	forEachWay(t, func(t *testing.T, lack []string) {
		for text, want := range map[string]string{
			"l.Next.Next.ID - l.ID":                  "2",
			"l.Next.Next.Next == l":                  "true",
			"l.Next.Next.Next.Next.ID / (id - l.ID)": "<division by zero>",
			"l.Any.(int)":                            "<another dynamic type>",
		} {
			got, _ := traceOne(t, target, "main.chain", "chain 3", withoutFeatures(lack...), WithCapture("id", text), WithCondition("l.Next.ID > id"))
			if got != want {
				t.Errorf("%s is %s, want %s", text, got, want)
			}
		}
		tr, err := Trace(target.path, "main.chain", func(c *Call) { t.Errorf("delivered %v", c) }, withoutFeatures(lack...), WithCondition("l.Next.ID == id"))
		if err != nil {
			t.Fatalf("%+v", err)
		}
		target.do("chain 3")
		if err := tr.Close(); err != nil {
			t.Fatal(err)
		}
		if s := tr.Stats(); s.Calls != 1 || s.Filtered != 1 {
			t.Errorf("%+v", s)
		}
	})
}

// TestCaptureNotResident: sleepable programs read what other programs cannot, and
// those say so.
func TestCaptureNotResident(t *testing.T) {
	needRoot(t)
	target := startCaps(t, buildFixture(t, "caps"))
	forEachWay(t, func(t *testing.T, lack []string) {
		got, text := traceOne(t, target, "main.text", "text", withoutFeatures(lack...), WithCapture("s[0]"))
		c := probeCapabilities().without(lack)
		if c.sleepable != (got == strconv.Itoa(int(text[0]))) || !c.sleepable && !strings.Contains(got, "not resident") {
			t.Errorf("the first byte of %q is %s, with %+v", text, got, c)
		}
	})
}

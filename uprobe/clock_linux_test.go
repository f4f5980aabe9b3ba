package uprobe

import (
	"testing"
	"time"
)

// TestMonotonicOffset reads what /proc tells of a time namespace.
func TestMonotonicOffset(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"monotonic           0         0\nboottime            0         0\n": 0,
		"boottime            7         0\nmonotonic      100000        15\n": 100000*time.Second + 15,
		"monotonic          -5 500000000\nboottime            0         0\n": -4500 * time.Millisecond,
	} {
		if got, err := monotonicOffset([]byte(text)); got != want || err != nil {
			t.Errorf("%q: %v, %v; want %v", text, got, err, want)
		}
	}
	for _, text := range []string{
		"", "monotonic 1\n", "boottime 1 2\n", "monotonic 1 x\n", "monotonic y 0\n",
		"monotonic 9223372036854775807 0\n", "monotonic -9223372036854775808 0\n", "monotonic 1 1000000000\n", "monotonic 1 -1\n",
	} {
		if got, err := monotonicOffset([]byte(text)); err == nil {
			t.Errorf("%q: %v; want an error", text, got)
		}
	}
}

package uprobe

import (
	"testing"
	"time"
)

// TestWaiting waits for calls that are counted when they return: as long as some do,
// and then for a time.
func TestWaiting(t *testing.T) {
	var w waiting
	at := time.Unix(1000, 0)
	for _, tt := range []struct {
		after time.Duration
		open  int
		want  bool
	}{
		{0, 3, true},
		{firstPatience - 1, 3, true},
		{1, 2, true}, // one has returned
		{firstPatience - 1, 2, true},
		{1, 2, false},
		{time.Hour, 2, false},
		{1, 1, true},
		{1, 0, false},
	} {
		at = at.Add(tt.after)
		if got := w.worth(tt.open, at); got != tt.want {
			t.Errorf("%d open at %v: %t, want %t", tt.open, at, got, tt.want)
		}
	}
}

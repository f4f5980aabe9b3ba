package main

import (
	"testing"

	"github.com/argtap/argtap/uprobe"
)

// TestUnexplained: returns of calls that the last line names already are not repeated.
func TestUnexplained(t *testing.T) {
	for _, tt := range []struct {
		stats uprobe.Stats
		want  uint64
	}{
		{uprobe.Stats{Unmatched: 3}, 3},
		{uprobe.Stats{Unmatched: 90, Sampled: 90}, 0},
		{uprobe.Stats{Unmatched: 90, Sampled: 80, Filtered: 7, Limited: 1}, 2},
		{uprobe.Stats{Unmatched: 4, Filtered: 9}, 0},
		{uprobe.Stats{Unmatched: 9, Lost: 2, Beyond: 3, Paused: 4}, 0},
	} {
		if got := unexplained(tt.stats); got != tt.want {
			t.Errorf("%+v: %d, want %d", tt.stats, got, tt.want)
		}
	}
}

package e2e

import "testing"

// TestSameOrAbsent requires that what is there is compared beside what is absent.
func TestSameOrAbsent(t *testing.T) {
	for _, tt := range []struct {
		got, want string
		same      bool
	}{
		{`{1 "a"}`, `{1 "a"}`, true},
		{`{1 "a"}`, `{1 "b"}`, false},
		{`{1 (?)}`, `{1 "b"}`, true},
		{`{1 (?)}`, `{2 "b"}`, false},
		{`?:(?)`, `*main.failure:&0xc00{1 nil}`, true},
		{`[?:(?) 7]`, `[int:3 7]`, true},
		{`[?:(?) 7]`, `[int:3 8]`, false},
		{`&0xc00(?)`, `&0xc00{7}`, true},
		{`&0xc00(?)`, `&0xc08{7}`, false},
	} {
		if sameOrAbsent(tt.got, tt.want) != tt.same {
			t.Errorf("%s for %s: same is %v", tt.got, tt.want, !tt.same)
		}
	}
}

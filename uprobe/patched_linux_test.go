package uprobe

import (
	"testing"

	"github.com/argtap/argtap/abi"
)

// TestOtherCode tells breakpoints from code that was patched.
func TestOtherCode(t *testing.T) {
	for name, tt := range map[string]struct {
		arch      *abi.Arch
		file, mem string
		at        int // -1 if it is the same
	}{
		"same":               {abi.AMD64, "\x55\x48\x89\xe5", "\x55\x48\x89\xe5", -1},
		"probed":             {abi.AMD64, "\x55\x48\x89\xc3", "\xcc\x48\x89\xcc", -1},
		"patched":            {abi.AMD64, "\x55\x48\x89\xe5\xc3", "\x55\x48\xe9\x00\x00", 2},
		"probed and patched": {abi.AMD64, "\x55\x48\x89\xe5\xc3", "\xcc\x48\x89\xe6\xc3", 3},
		"optimised nop":      {abi.AMD64, "\x0f\x1f\x44\x00\x00\xc3", "\xe8\x01\x02\x03\x04\xc3", -1},
		"and behind it":      {abi.AMD64, "\x0f\x1f\x44\x00\x00\xc3", "\xe8\x01\x02\x03\x04\xc2", 5},
		"call of a function": {abi.AMD64, "\x0f\x1f\x44\x01\x00\xc3", "\xe8\x01\x02\x03\x04\xc3", 0},
		"386":                {abi.I386, "\x55\xc3", "\x55\xcc", -1},
		"arm64 probed":       {abi.ARM64, "\x01\x02\x03\x04\xfe\x0f\x1e\xf8", "\x01\x02\x03\x04\xa0\x00\x20\xd4", -1},
		"arm64 brk #0":       {abi.ARM64, "\x00\x02\x03\x04\xfe\x0f\x1e\xf8", "\x00\x00\x20\xd4\xfe\x0f\x1e\xf8", -1},
		"arm64 patched":      {abi.ARM64, "\x01\x02\x03\x04\xfe\x0f\x1e\xf8", "\x01\x02\x03\x04\x50\x00\x00\x58", 4},
		"arm64 cut":          {abi.ARM64, "\x01\x02\x03\x04\xfe", "\x01\x02\x03\x04\xff", 4},
	} {
		at, ok := otherCode(tt.arch, []byte(tt.file), []byte(tt.mem))
		if ok != (tt.at >= 0) || ok && at != tt.at {
			t.Errorf("%s: %d, %v; want %d", name, at, ok, tt.at)
		}
	}
}

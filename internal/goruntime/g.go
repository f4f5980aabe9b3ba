// Package goruntime knows the layouts of the Go runtime's own data structures,
// per release. Each row of a table says where it was read. A release that is
// not in a table is unknown; callers then turn to the debug information, or
// say that the fact is missing.
package goruntime

import (
	"strconv"
	"strings"
)

// Release returns the minor release of a Go version string as the toolchain
// writes it: 26 for "go1.26.8", "go1.26rc1" or "go1.26.8 X:nodwarf5". Versions
// of development builds and those of another major release have none.
func Release(version string) (minor int, ok bool) {
	rest, found := strings.CutPrefix(version, "go1.")
	if !found {
		return 0, false
	}
	end := 0
	for end < len(rest) && rest[end] >= '0' && rest[end] <= '9' {
		end++
	}
	minor, err := strconv.Atoi(rest[:end])
	return minor, err == nil
}

// goid is the offset of runtime.g.goid in bytes on 64-bit architectures. Read
// from the DWARF of programs built by the last patch of each release; the
// fields before it moved in 1.23 (syscallbp was added) and back in 1.25.
var goid = map[int]int64{
	17: 152, 18: 152, 19: 152, 20: 152, 21: 152, 22: 152,
	23: 160, 24: 160,
	25: 152, 26: 152, 27: 152,
}

// schedPC is the offset of runtime.g.sched.pc in bytes on 64-bit
// architectures: stack, two guards, two lists and m come before sched, sp
// before pc. The same in runtime2.go of Go 1.17 to 1.27.
const schedPC = 64

// SchedPC returns the offset in runtime.g of the program counter at which a
// goroutine that was last stopped goes on, in bytes, for a minor release on a
// 64-bit architecture.
func SchedPC(minor int) (off int64, ok bool) {
	_, ok = goid[minor]
	return schedPC, ok
}

// GoroutineID returns the offset of goid in runtime.g in bytes, for a minor
// release on a 64-bit architecture.
func GoroutineID(minor int) (off int64, ok bool) {
	off, ok = goid[minor]
	return off, ok
}

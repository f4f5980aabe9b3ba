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

// gLayout is where the fields of runtime.g are, in bytes, for the minor releases
// from first to last: on architectures of 64 and of 32 bits.
type gLayout struct {
	first, last          int
	goid64, goid32       int64
	schedPC64, schedPC32 int64
}

// gLayouts has been read in runtime/runtime2.go of the last patch of each
// release, types g and gobuf, and compared with the DWARF of programs that
// these built for amd64, arm64 and 386 (TestReleases).
//
// Before sched are stack, two guards, two lists and m, in all of them; sched
// begins with sp and pc.
var gLayouts = []gLayout{
	// Go 1.11: sched has seven words; syscallsp, syscallpc, stktopsp, param and
	// the two halves of atomicstatus and stackLock follow it.
	{first: 11, last: 22, goid64: 152, goid32: 80, schedPC64: 64, schedPC32: 32},
	// Go 1.23: syscallbp came before stktopsp.
	{first: 23, last: 24, goid64: 160, goid32: 84, schedPC64: 64, schedPC32: 32},
	// Go 1.25: ret is gone from sched.
	{first: 25, last: 27, goid64: 152, goid32: 80, schedPC64: 64, schedPC32: 32},
}

func gLayoutOf(minor int) (gLayout, bool) {
	for _, l := range gLayouts {
		if l.first <= minor && minor <= l.last {
			return l, true
		}
	}
	return gLayout{}, false
}

// choose returns the offset for a pointer size in bytes.
func choose(ptrSize int, off64, off32 int64) (int64, bool) {
	switch ptrSize {
	case 8:
		return off64, true
	case 4:
		return off32, true
	}
	return 0, false
}

// SchedPC returns the offset in runtime.g of the program counter at which a
// goroutine that was last stopped goes on, in bytes, for a minor release and a
// pointer size in bytes. The field is of that size.
func SchedPC(minor, ptrSize int) (off int64, ok bool) {
	l, ok := gLayoutOf(minor)
	if !ok {
		return 0, false
	}
	return choose(ptrSize, l.schedPC64, l.schedPC32)
}

// GoroutineID returns the offset in runtime.g of goid in bytes, for a minor
// release and a pointer size in bytes. The field has eight bytes with either.
func GoroutineID(minor, ptrSize int) (off int64, ok bool) {
	l, ok := gLayoutOf(minor)
	if !ok {
		return 0, false
	}
	return choose(ptrSize, l.goid64, l.goid32)
}

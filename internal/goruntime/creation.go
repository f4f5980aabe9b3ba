package goruntime

// creationLayout is where runtime.g has what tells how its goroutine came to be,
// in bytes, for the minor releases from first to last: parentGoid, 0 where there is
// none, and gopc. Behind gopc are ancestors and startpc, each of the size of a
// pointer.
type creationLayout struct {
	first, last        int
	parent64, parent32 int64
	gopc64, gopc32     int64
}

// creationLayouts has been read in runtime/runtime2.go of the last patch of each
// release, type g, and compared with the DWARF of programs that these built for
// amd64, arm64 and 386 (TestReleases).
var creationLayouts = []creationLayout{
	{first: 11, last: 16, gopc64: 280, gopc32: 164},
	{first: 17, last: 20, gopc64: 296, gopc32: 184},
	// Go 1.21: parentGoid came, in front of gopc.
	{first: 21, last: 22, parent64: 272, parent32: 164, gopc64: 280, gopc32: 172},
	{first: 23, last: 23, parent64: 280, parent32: 168, gopc64: 288, gopc32: 176},
	{first: 24, last: 24, parent64: 280, parent32: 172, gopc64: 288, gopc32: 180},
	{first: 25, last: 25, parent64: 272, parent32: 168, gopc64: 280, gopc32: 176},
	{first: 26, last: 27, parent64: 280, parent32: 176, gopc64: 288, gopc32: 184},
}

func creationOf(minor int) (creationLayout, bool) {
	for _, l := range creationLayouts {
		if l.first <= minor && minor <= l.last {
			return l, true
		}
	}
	return creationLayout{}, false
}

// ParentID returns the offset in runtime.g of parentGoid, the ID of the goroutine
// that executed the go statement, in bytes, for a minor release and a pointer size
// in bytes. The field has eight bytes with either. It is not ok for releases that
// do not have it: those before Go 1.21.
func ParentID(minor, ptrSize int) (off int64, ok bool) {
	l, ok := creationOf(minor)
	if !ok || l.parent64 == 0 {
		return 0, false
	}
	return choose(ptrSize, l.parent64, l.parent32)
}

// GoPC returns the offset in runtime.g of gopc, the return address of the go
// statement that made the goroutine, in bytes, for a minor release and a pointer
// size in bytes. Two pointers further is startpc, the address of the function that
// the goroutine runs. Both fields are of the size of a pointer.
func GoPC(minor, ptrSize int) (off int64, ok bool) {
	l, ok := creationOf(minor)
	if !ok {
		return 0, false
	}
	return choose(ptrSize, l.gopc64, l.gopc32)
}

package uprobe

import (
	"bytes"
	"fmt"
	"os"

	"github.com/argtap/argtap/symbols"
)

// siteBytes is how much of a probed instruction is looked at: what the kernel writes
// there is no longer on any architecture here.
const siteBytes = 4

// probed reports whether a process has a probe at an offset of the file that it runs:
// whether its memory there is other than the file's. That tells for certain which of
// several files of the same contents a process runs, where overlays hide it.
func probed(pid int, f *os.File, at symbols.FileOffset) bool {
	exe, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", pid))
	if err != nil {
		return false
	}
	maps, err := os.ReadFile(fmt.Sprintf("/proc/%d/maps", pid))
	if err != nil {
		return false
	}
	addr, ok := mappedAt(string(maps), exe, uint64(at))
	if !ok {
		return false
	}
	mem, err := os.Open(fmt.Sprintf("/proc/%d/mem", pid))
	if err != nil {
		return false
	}
	defer mem.Close()
	var got, want [siteBytes]byte
	if _, err := f.ReadAt(want[:], int64(at)); err != nil {
		return false
	}
	if _, err := mem.ReadAt(got[:], int64(addr)); err != nil {
		return false
	}
	return !bytes.Equal(got[:], want[:])
}

// mappedAt returns where code at an offset of a file is in a process's memory, by the
// contents of /proc/PID/maps (proc_pid_maps(5)).
func mappedAt(maps, path string, at uint64) (addr uint64, ok bool) {
	for _, m := range parseMappings([]byte(maps)) {
		if m.name == path && m.holds(at) {
			return m.low + (at - m.off), true
		}
	}
	return 0, false
}

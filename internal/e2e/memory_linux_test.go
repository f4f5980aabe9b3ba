package e2e

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
)

// patched counts the bytes of a process's code that are not those of its
// file: what probes leave there. mapped is the file's name in the process's
// memory map, orig a file with the original content.
func patched(t *testing.T, pid int, mapped, orig string) int {
	t.Helper()
	maps, err := os.Open(fmt.Sprintf("/proc/%d/maps", pid))
	if err != nil {
		t.Fatal(err)
	}
	defer maps.Close()
	mem, err := os.Open(fmt.Sprintf("/proc/%d/mem", pid))
	if err != nil {
		t.Fatal(err)
	}
	defer mem.Close()
	file, err := os.ReadFile(orig)
	if err != nil {
		t.Fatal(err)
	}
	n, segments := 0, 0
	for lines := bufio.NewScanner(maps); lines.Scan(); {
		line := strings.TrimSuffix(lines.Text(), " (deleted)")
		if !strings.HasSuffix(line, " "+mapped) {
			continue
		}
		var start, end, offset int64
		var perm string
		if _, err := fmt.Sscanf(line, "%x-%x %s %x", &start, &end, &perm, &offset); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		if perm[2] != 'x' {
			continue
		}
		segments++
		got := make([]byte, end-start)
		if _, err := mem.ReadAt(got, start); err != nil {
			t.Fatal(err)
		}
		want := make([]byte, len(got)) // the last page may end with zeros
		copy(want, file[offset:])
		if tail := len(file) - int(offset); tail < len(got) {
			got = got[:max(tail, 0)]
		}
		for i := range got {
			if got[i] != want[i] {
				n++
			}
		}
	}
	if segments == 0 {
		t.Fatalf("process %d does not map %s", pid, mapped)
	}
	return n
}

// linksTo counts the BPF links of the whole system that are uprobes on a file.
// Before 6.6 the kernel does not say of links, or of perf events without one,
// which file they are on: it counts the entry programs that are loaded, which
// nothing but those keeps.
func linksTo(t *testing.T, path string) int {
	t.Helper()
	n := 0
	if kernelBefore(t, 6, 6) {
		for id, err := ebpf.ProgramGetNextID(0); err == nil; id, err = ebpf.ProgramGetNextID(id) {
			p, err := ebpf.NewProgramFromID(id)
			if err != nil {
				continue // it is about to go
			}
			if info, err := p.Info(); err == nil && info.Type == ebpf.Kprobe && info.Name == "argtap_entry" {
				n++
			}
			p.Close()
		}
		return n
	}
	it := new(link.Iterator)
	defer it.Close()
	for it.Next() {
		info, err := it.Link.Info()
		if err != nil {
			continue // a link of somebody else's that is about to go
		}
		if m := info.UprobeMulti(); m != nil && m.File == path {
			n++
		}
		if p := info.PerfEvent(); p != nil && p.Uprobe() != nil && p.Uprobe().File == path {
			n++
		}
	}
	if err := it.Err(); err != nil {
		t.Fatal(err)
	}
	return n
}

// kernelBefore reports whether this is an older kernel than major.minor.
func kernelBefore(t *testing.T, major, minor int) bool {
	t.Helper()
	b, err := os.ReadFile("/proc/sys/kernel/osrelease")
	if err != nil {
		t.Fatal(err)
	}
	var x, y int
	if _, err := fmt.Sscanf(string(b), "%d.%d", &x, &y); err != nil {
		t.Fatalf("%q: %v", b, err)
	}
	return x < major || x == major && y < minor
}

// tracefsEvents counts the uprobe events in tracefs that name a file: an old
// way to attach, which leaves them behind when a tracer is killed.
func tracefsEvents(t *testing.T, path string) int {
	t.Helper()
	for _, dir := range []string{"/sys/kernel/tracing", "/sys/kernel/debug/tracing"} {
		if b, err := os.ReadFile(dir + "/uprobe_events"); err == nil {
			return bytes.Count(b, []byte(path))
		}
	}
	return 0
}

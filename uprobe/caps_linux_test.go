package uprobe

import (
	"fmt"
	"log/slog"
	"os"
	"runtime"
	"strings"
	"testing"
	"unsafe"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"golang.org/x/sys/unix"

	"github.com/argtap/argtap/abi"
)

// exactVar is set where the kernel is known to have exactly what its version
// says: where no distribution has added features.
const exactVar = "ARGTAP_KERNEL_EXACT"

// kernelVersion is the kernel's release as a number, 510 for 5.10.
func kernelVersion(t *testing.T) (version int, release string) {
	t.Helper()
	var uts unix.Utsname
	if err := unix.Uname(&uts); err != nil {
		t.Fatal(err)
	}
	release = unix.ByteSliceToString(uts.Release[:])
	var major, minor int
	if _, err := fmt.Sscanf(release, "%d.%d", &major, &minor); err != nil {
		t.Fatalf("kernel release %q: %v", release, err)
	}
	return major*100 + minor, release
}

// TestCapabilities compares what probing finds with the history of Linux. Only
// the test knows versions.
func TestCapabilities(t *testing.T) {
	needRoot(t)
	version, release := kernelVersion(t)
	c := probeCapabilities()
	t.Logf("%s %s: %+v", release, runtime.GOARCH, c)
	for _, tt := range []struct {
		name  string
		have  bool
		since int
	}{
		{"bpf_loop", c.loops, 517},
		{"atomic exchange", c.atomics, 512},
		{"cookies", c.cookies, 515},
		{"sleepable programs", c.sleepable, 600},
		{"uprobe_multi", c.multi, 606},
		{"PID filter of uprobe_multi", c.pidFilter, 610},
		{"stacks of the thread", c.threadStack, 606},
	} {
		switch {
		case version >= tt.since && !tt.have:
			t.Errorf("%s was not found, Linux has it since %d.%d", tt.name, tt.since/100, tt.since%100)
		case version < tt.since && tt.have && os.Getenv(exactVar) != "":
			t.Errorf("%s was found, Linux has it since %d.%d only", tt.name, tt.since/100, tt.since%100)
		}
	}
	// Everything that is lacking is said.
	var text strings.Builder
	c.logTo(slog.New(slog.NewTextHandler(&text, nil)))
	for _, l := range c.lacks() {
		if !strings.Contains(text.String(), l.feature) || !strings.Contains(text.String(), "Linux "+l.since) {
			t.Errorf("%+v is not logged:\n%s", l, text.String())
		}
	}
	if c == (capabilities{true, true, true, true, true, true, true}) != (text.Len() == 0) {
		t.Errorf("logged with %+v:\n%s", c, text.String())
	}
}

// TestThreadBase reads this thread's base address through the offset that the
// kernel's type information gives, and compares it with what the kernel says.
func TestThreadBase(t *testing.T) {
	needRoot(t)
	if runtime.GOARCH != "amd64" {
		if off, err := findThreadBase(abi.AMD64); err == nil {
			t.Errorf("offset %d on %s", off, runtime.GOARCH)
		}
		return
	}
	k, err := newKernel(&options{buffer: minBuffer, log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer k.close()
	off, err := k.threadBase(abi.AMD64)
	if err != nil {
		t.Fatal(err)
	}
	m, err := ebpf.NewMap(&ebpf.MapSpec{Type: ebpf.Array, KeySize: 4, ValueSize: 8, MaxEntries: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	p, err := ebpf.NewProgram(&ebpf.ProgramSpec{
		Type: ebpf.RawTracepoint, License: "GPL",
		Instructions: asm.Instructions{
			asm.FnGetCurrentTask.Call(),
			asm.Mov.Reg(asm.R3, asm.R0),
			asm.Add.Imm(asm.R3, int32(off)),
			asm.Mov.Imm(asm.R2, 8),
			asm.LoadMapValue(asm.R1, m.FD(), 0),
			asm.FnProbeReadKernel.Call(),
			asm.Mov.Imm(asm.R0, 0),
			asm.Return(),
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if _, err := p.Run(&ebpf.RunOptions{}); err != nil {
		t.Fatal(err)
	}
	var got, want uint64
	if err := m.Lookup(uint32(0), &got); err != nil {
		t.Fatal(err)
	}
	const (
		sysArchPrctl = 158    // on amd64, the only one that has it
		archGetFS    = 0x1003 // ARCH_GET_FS of asm/prctl.h
	)
	if _, _, errno := unix.Syscall(sysArchPrctl, archGetFS, uintptr(unsafe.Pointer(&want)), 0); errno != 0 {
		t.Fatal(errno)
	}
	if got != want || got == 0 {
		t.Errorf("thread base %#x at offset %d, want %#x", got, off, want)
	}
}

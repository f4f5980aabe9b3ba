package uprobe

import (
	"fmt"
	"os"
	"strconv"
	"syscall"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/features"
	"golang.org/x/sys/unix"

	"github.com/argtap/argtap/internal/probegen"
)

// initialPIDNamespace reports whether process IDs are those of the initial
// namespace, which are what programs see.
func initialPIDNamespace() bool {
	// PROC_PID_INIT_INO of include/linux/proc_ns.h.
	const initial = "pid:[4026531836]"
	ns, err := os.Readlink("/proc/self/ns/pid")
	return err == nil && ns == initial
}

// pidNamespace returns the namespace by which programs must go so that their process
// IDs are those of this process: the zero one if it is the initial namespace.
func pidNamespace() (ns probegen.Namespace, err error) {
	if initialPIDNamespace() {
		return ns, nil
	}
	fail := func(err error) (probegen.Namespace, error) {
		return probegen.Namespace{}, fmt.Errorf("the tracer is in a PID namespace of its own, a container's; to know process IDs there: %w", err)
	}
	st, err := os.Stat("/proc/self/ns/pid")
	if err != nil {
		return fail(fmt.Errorf("%w: mount proc on /proc", err))
	}
	if features.HaveProgramHelper(ebpf.Kprobe, asm.FnGetNsCurrentPidTgid) != nil {
		return fail(fmt.Errorf("%w: bpf_get_ns_current_pid_tgid, which Linux 5.7 has: run it in the host's PID namespace", ErrKernel))
	}
	sys := st.Sys().(*syscall.Stat_t)
	dev := uint64(sys.Dev)
	return probegen.Namespace{Dev: uint64(unix.Major(dev))<<20 | uint64(unix.Minor(dev)), Ino: sys.Ino}, nil
}

// ownProc returns an error if /proc shows the processes of another PID namespace
// than this process is in: the IDs there are of other processes.
func ownProc() error {
	self, err := os.Readlink("/proc/self")
	if err != nil {
		return fmt.Errorf("%w: mount proc on /proc", err)
	}
	if self != strconv.Itoa(os.Getpid()) {
		return fmt.Errorf("%w: /proc shows the processes of another PID namespace than this process is in: mount proc on /proc", ErrNamespace)
	}
	return nil
}

// visibleIDs returns an error if programs cannot tell the IDs of a process.
func visibleIDs(pid int) error {
	if initialPIDNamespace() {
		return nil
	}
	own, err := os.Readlink("/proc/self/ns/pid")
	if err != nil {
		return nil
	}
	its, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/pid", pid))
	if err != nil || its == own {
		return nil
	}
	return fmt.Errorf("process %d: %w: it is in a PID namespace below that of the tracer, which is not the host's, "+
		"so the kernel does not tell its ID: run the tracer there, or on the host", pid, ErrNamespace)
}

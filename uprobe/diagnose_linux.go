package uprobe

import (
	"errors"
	"fmt"
	"os"
	"regexp"
	"strconv"
	"strings"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"golang.org/x/sys/unix"
)

// kernelError explains an error of the bpf system call.
func kernelError(op string, err error) error {
	switch {
	case errors.Is(err, unix.EPERM) || errors.Is(err, unix.EACCES):
		return fmt.Errorf("%s: %w", op, permissionError(err))
	case errors.Is(err, ebpf.ErrNotSupported) || errors.Is(err, unix.EINVAL):
		return fmt.Errorf("%s: %w: %w: Linux 5.8 or newer has BPF ring buffers", op, ErrKernel, err)
	case errors.Is(err, unix.EMFILE):
		return fmt.Errorf("%s: %w: raise the limit (ulimit -n)", op, unix.EMFILE)
	}
	return fmt.Errorf("%s: %w", op, err)
}

// helpers are what generated programs call that not every kernel with ring
// buffers has (include/uapi/linux/bpf.h, by release).
var helpers = []struct {
	fn    asm.BuiltinFunc
	since string
}{
	{asm.FnRingbufOutput, "5.8"},
	{asm.FnGetAttachCookie, "5.15"},
	{asm.FnLoop, "5.17"},
}

// loadError explains why a program was not loaded.
func loadError(name string, err error) error {
	var ve *ebpf.VerifierError
	// The library takes every error for the verifier's if there is a log, as
	// there is of type information that was good.
	if errors.As(err, &ve) && len(ve.Log) > 0 && !errors.Is(err, unix.EMFILE) {
		log := strings.Join(ve.Log, "\n")
		for _, h := range helpers {
			// "unknown func bpf_loop#181", "invalid func unknown#181"
			// (kernel/bpf/verifier.c, check_helper_call).
			if regexp.MustCompile(fmt.Sprintf(`func \w+#%d\b`, h.fn)).MatchString(log) {
				return &FuncError{name, fmt.Errorf("%w: %s, which Linux %s has: %w", ErrKernel, h.fn, h.since, err)}
			}
		}
		return &VerifierError{Func: name, Log: fmt.Sprintf("%+v", ve), Err: err}
	}
	return &FuncError{name, kernelError("load the program", err)}
}

func (k *kernel) attachError(name string, err error) error {
	switch {
	case errors.Is(err, unix.EPERM) || errors.Is(err, unix.EACCES):
		err = permissionError(err)
	case errors.Is(err, unix.EMFILE) && k.multi: // else see perfError
		err = fmt.Errorf("%w: raise the limit (ulimit -n)", unix.EMFILE)
	}
	return &FuncError{name, fmt.Errorf("attach: %w", err)}
}

// Capability numbers (include/uapi/linux/capability.h).
const (
	capSysAdmin = 21
	capPerfmon  = 38
	capBPF      = 39
)

// permissionError says which privilege is missing, and how to get it.
func permissionError(err error) error {
	var why []string
	caps := effectiveCaps()
	if caps&(1<<capSysAdmin) == 0 {
		if caps&(1<<capBPF) == 0 {
			why = append(why, "CAP_BPF is missing")
		}
		if caps&(1<<capPerfmon) == 0 {
			why = append(why, "CAP_PERFMON is missing")
			if level, ok := perfParanoid(); ok && level > 1 {
				why = append(why, fmt.Sprintf("kernel.perf_event_paranoid is %d", level))
			}
		} else if level, ok := perfParanoid(); ok && level > 2 {
			// Debian's kernels know the level 3.
			why = append(why, fmt.Sprintf("kernel.perf_event_paranoid is %d, at which some kernels want CAP_SYS_ADMIN for perf events", level))
		}
	}
	if mode := lockdown(); mode == "confidentiality" {
		why = append(why, "kernel lockdown is in confidentiality mode, which forbids reading memory from BPF")
	}
	if len(why) == 0 {
		why = append(why, "the kernel refused although the capabilities are there (seccomp, LSM or a container?)")
	}
	// The libraries' texts speak of memory limits, which are not the cause.
	var errno unix.Errno
	if errors.As(err, &errno) {
		err = errno
	}
	self := "the program"
	if exe, e := os.Executable(); e == nil {
		self = exe
	}
	return fmt.Errorf("%w: %s; run it as root, or `sudo setcap cap_bpf,cap_perfmon+ep %s`: %w",
		ErrPermission, strings.Join(why, ", "), self, err)
}

// mayUseBPF reports whether the process has the capability for BPF maps.
func mayUseBPF() bool { return effectiveCaps()&(1<<capSysAdmin|1<<capBPF) != 0 }

func effectiveCaps() uint64 {
	b, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(b)) {
		if v, ok := strings.CutPrefix(line, "CapEff:"); ok {
			caps, _ := strconv.ParseUint(strings.TrimSpace(v), 16, 64)
			return caps
		}
	}
	return 0
}

func perfParanoid() (int, bool) {
	b, err := os.ReadFile("/proc/sys/kernel/perf_event_paranoid")
	if err != nil {
		return 0, false
	}
	n, err := strconv.Atoi(strings.TrimSpace(string(b)))
	return n, err == nil
}

// lockdown returns the kernel's lockdown mode, the word in brackets.
func lockdown() string {
	b, err := os.ReadFile("/sys/kernel/security/lockdown")
	if err != nil {
		return ""
	}
	_, rest, _ := strings.Cut(string(b), "[")
	mode, _, _ := strings.Cut(rest, "]")
	return mode
}

package uprobe

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// allProcesses returns the IDs of all processes.
func allProcesses() (pids []int) {
	names, err := os.ReadDir("/proc")
	if err != nil {
		return nil
	}
	for _, e := range names {
		if pid, err := strconv.Atoi(e.Name()); err == nil {
			pids = append(pids, pid)
		}
	}
	return pids
}

// candidates returns the processes that a tracer with these options may find, nil for
// all.
func candidates(o *options) []int {
	if len(o.pids) > 0 && o.cgroup == "" {
		return o.pids
	}
	if o.cgroup == "" {
		return nil
	}
	pids := []int{}
	filepath.WalkDir(o.cgroup, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.IsDir() {
			return nil
		}
		b, err := os.ReadFile(filepath.Join(path, "cgroup.procs"))
		if err != nil { // of a threaded cgroup
			b, _ = os.ReadFile(filepath.Join(path, "cgroup.threads"))
		}
		for f := range strings.FieldsSeq(string(b)) {
			if pid, err := strconv.Atoi(f); err == nil && (len(o.pids) == 0 || slices.Contains(o.pids, pid)) {
				pids = append(pids, threadGroup(pid))
			}
		}
		return nil
	})
	return pids
}

// look asks /proc for what a process runs. It reports whether it does.
func (e *ProcessEvent) look() bool {
	dir := fmt.Sprintf("/proc/%d/", e.PID)
	exe, err := os.Readlink(dir + "exe")
	if err != nil {
		return false
	}
	e.Executable = strings.TrimSuffix(exe, deleted)
	if b, err := os.ReadFile(dir + "cmdline"); err == nil && len(b) > 0 {
		e.Args = strings.Split(strings.TrimSuffix(string(b), "\x00"), "\x00")
	}
	if b, err := os.ReadFile(dir + "cgroup"); err == nil {
		for line := range strings.Lines(string(b)) {
			if path, ok := strings.CutPrefix(line, "0::"); ok {
				e.Cgroup = strings.TrimSuffix(path, "\n")
			}
		}
	}
	stat, err := os.ReadFile(dir + "stat")
	if err != nil {
		return false
	}
	var ok bool
	e.Started, ok = startTime(string(stat))
	return ok
}

// startTime reads when a process was made from its /proc/PID/stat: the 22nd field, in
// hundredths of a second since the machine started (proc_pid_stat(5); USER_HZ is 100
// on all architectures here).
func startTime(stat string) (time.Time, bool) {
	// The second field is a name in parentheses, which may have anything in it.
	_, rest, ok := cutLast(stat, ')')
	fields := strings.Fields(rest)
	if !ok || len(fields) < 20 {
		return time.Time{}, false
	}
	ticks, err := strconv.ParseInt(fields[19], 10, 64)
	if err != nil || ticks < 0 || ticks > 1<<50 {
		return time.Time{}, false
	}
	var boot unix.Timespec
	now := time.Now()
	if unix.ClockGettime(unix.CLOCK_BOOTTIME, &boot) != nil {
		return time.Time{}, false
	}
	return now.Add(time.Duration(ticks)*(time.Second/100) - time.Duration(boot.Nano())).Round(0), true
}

func cutLast(s string, sep byte) (before, after string, found bool) {
	if i := strings.LastIndexByte(s, sep); i >= 0 {
		return s[:i], s[i+1:], true
	}
	return s, "", false
}

package uprobe

import (
	"fmt"
	"log/slog"
	"os"
	"strconv"
	"strings"
)

// Of a process of another user it can be seen only with CAP_SYS_PTRACE what it runs.
// It is traced all the same: probes belong to the file, and if it runs another one
// nothing is hit, and nothing tells why.

// unseen returns why it cannot be seen what a process runs, nil if it can.
func unseen(pid int) error {
	_, err := os.Stat(fmt.Sprintf("/proc/%d/exe", pid))
	if os.IsPermission(err) {
		return err
	}
	return nil
}

// warnUnseen warns of processes that perhaps do not run what is to be traced.
func (t *target) warnUnseen(log *slog.Logger) {
	for _, c := range t.tracees {
		if c.unseen != nil {
			log.Warn(fmt.Sprintf("process %d: what it runs cannot be looked at: if that is not %s no call of it will be seen: "+
				"run as root, or with CAP_SYS_PTRACE, to be sure", c.pid, t.path), "err", c.unseen)
		}
	}
}

// runsNothing reports whether a process has no program, as everybody may see in its
// /proc/PID/stat: kernel threads, and processes that have ended.
func runsNothing(pid int) bool {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return false
	}
	// The second field is a name in parentheses, which may have anything in it. The
	// third is the state, the ninth are flags (proc_pid_stat(5)).
	_, rest, ok := cutLast(string(b), ')')
	fields := strings.Fields(rest)
	if !ok || len(fields) < 7 {
		return false
	}
	const kthread = 0x00200000 // PF_KTHREAD, include/linux/sched.h
	flags, err := strconv.ParseUint(fields[6], 10, 64)
	return fields[0] == "Z" || fields[0] == "X" || err == nil && flags&kthread != 0
}

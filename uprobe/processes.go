package uprobe

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"
)

// WithCgroup restricts the tracer to processes in a cgroup and in those below it:
// those of a container, a pod or a service. path is its directory, in a file system
// of cgroup version 2, such as /sys/fs/cgroup/system.slice/app.service. Which cgroup
// a process is in, the line "0::" of /proc/PID/cgroup tells.
//
// Hits of other processes are no calls and are counted nowhere, but they still cost
// those processes the trap. A call counts if it began in the cgroup. In threaded
// cgroups it is the thread that counts.
func WithCgroup(path string) Option {
	return func(o *options) error {
		switch {
		case path == "":
			return errors.New("empty path of a cgroup: leave the option out")
		case o.cgroup != "" && o.cgroup != path:
			return fmt.Errorf("cgroups %s and %s: only one can be selected: take one that both are below", o.cgroup, path)
		}
		o.cgroup = path
		return nil
	}
}

// WithProcesses tells of the processes that are traced: f is called for those that
// run the binary already, and for each that starts and that ends. It is called
// between calls, never at the same time as the handler, and a process is told of
// before its first call and after its last.
//
// A start is seen by a probe at the entry point of the binary. A process that does
// not pass it, because it was forked from one that did or has loaded the binary as a
// library, is found by its first call. An end is told of within a second. There is
// none for processes that still run when the tracer ends.
func WithProcesses(f func(ProcessEvent)) Option {
	return func(o *options) error {
		if f == nil {
			return errors.New("nil func given to WithProcesses: leave the option out")
		}
		o.processes = f
		return nil
	}
}

// ProcessState says what happened to a process.
type ProcessState uint8

const (
	// ProcessFound: it ran already when the tracer began, or when its first call
	// came.
	ProcessFound ProcessState = iota + 1
	// ProcessStarted: it begins to run the binary. None of its own code has run.
	ProcessStarted
	// ProcessEnded: it has ended, or runs another program now.
	ProcessEnded
)

// String returns "found", "started" or "ended".
func (s ProcessState) String() string {
	switch s {
	case ProcessFound:
		return "found"
	case ProcessStarted:
		return "started"
	case ProcessEnded:
		return "ended"
	}
	return fmt.Sprintf("ProcessState(%d)", uint8(s))
}

// ProcessEvent says that a process appears or ends. What it runs is looked up when it
// appears; of one that is gone by then, or of another user without CAP_SYS_PTRACE,
// Executable, Args, Started and Cgroup are empty.
type ProcessEvent struct {
	State ProcessState
	// Time is when that was seen.
	Time time.Time
	PID  int
	// Executable is the path of the file that the process runs, as the process sees
	// it.
	Executable string
	// Args are its command line, Args[0] the name that it was called by.
	Args []string
	// Started is when the process was made, to some 10 ms. Before that it may have
	// run other programs.
	Started time.Time
	// Cgroup is its cgroup of version 2, as /proc/PID/cgroup names it.
	Cgroup string
	// Calls is the number of its calls that the handler was given up to now: 0 where
	// calls are only counted ([WithCount]).
	Calls uint64
}

// String returns the event as one line of text: "process 7 started: ./app -port 8080",
// "process 7 ended: 12 calls".
func (e ProcessEvent) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "process %d %s", e.PID, e.State)
	switch {
	case e.State == ProcessEnded && e.Calls == 0:
	case e.State == ProcessEnded:
		fmt.Fprintf(&b, ": %d call", e.Calls)
		if e.Calls != 1 {
			b.WriteByte('s')
		}
	case e.Executable == "":
		b.WriteString(": it cannot be looked at: it has ended, or CAP_SYS_PTRACE is missing")
	default:
		fmt.Fprintf(&b, ": %s", e.Executable)
		for _, arg := range e.Args[min(1, len(e.Args)):] {
			b.WriteByte(' ')
			b.WriteString(arg)
		}
	}
	return b.String()
}

// LogValue implements [slog.LogValuer].
func (e ProcessEvent) LogValue() slog.Value {
	attrs := []slog.Attr{slog.Int("pid", e.PID), slog.String("state", e.State.String()), slog.Time("time", e.Time)}
	if e.Executable != "" {
		attrs = append(attrs, slog.String("executable", e.Executable), slog.Any("args", e.Args),
			slog.Time("started", e.Started), slog.String("cgroup", e.Cgroup))
	}
	return slog.GroupValue(append(attrs, slog.Uint64("calls", e.Calls))...)
}

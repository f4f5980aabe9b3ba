package main

import (
	"flag"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/argtap/argtap/uprobe"
)

// whose are the flags that say which processes are traced, and whether they are told
// of.
type whose struct {
	pids   []int
	cgroup string
	tell   bool
}

func (w *whose) register(fs *flag.FlagSet) {
	fs.Func("p", "trace only the process `PID`, and end when it ends; may be repeated, or a list as\n7,8. BINARY may then be a path in its container, or be left out", w.add)
	fs.StringVar(&w.cgroup, "cgroup", "", "trace only processes in the cgroup (version 2) whose directory is `PATH`, and\nbelow it: those of a container or service")
	fs.BoolVar(&w.tell, "processes", false, "tell of processes that run BINARY, start and end, on standard error")
}

func (w *whose) add(text string) error {
	for _, field := range strings.Split(text, ",") {
		pid, err := strconv.Atoi(strings.TrimSpace(field))
		switch {
		case err != nil:
			return fmt.Errorf("%q is no process ID", field)
		case pid <= 0:
			return fmt.Errorf("%d: a process ID is positive", pid)
		}
		if !slices.Contains(w.pids, pid) {
			w.pids = append(w.pids, pid)
		}
	}
	return nil
}

// binary takes the path of the binary off the arguments. It is left out where a
// process is given and the first argument is neither that of a file nor spelled as a
// path, but for that of a line.
func (w *whose) binary(args []string) (path string, funcs []string) {
	if len(w.pids) == 0 {
		return args[0], args[1:]
	}
	if st, err := os.Stat(args[0]); err == nil && !st.IsDir() {
		return args[0], args[1:]
	}
	if uprobe.IsLine(args[0]) {
		return "", args // "/src/app/main.go:123" is a path, but of no binary
	}
	for _, prefix := range []string{"/", "./", "../"} {
		if strings.HasPrefix(args[0], prefix) {
			return args[0], args[1:]
		}
	}
	return "", args
}

func (w *whose) options() []uprobe.Option {
	var opts []uprobe.Option
	for _, pid := range w.pids {
		opts = append(opts, uprobe.WithPID(pid))
	}
	if w.cgroup != "" {
		opts = append(opts, uprobe.WithCgroup(w.cgroup))
	}
	if w.tell {
		opts = append(opts, uprobe.WithProcesses(func(e uprobe.ProcessEvent) {
			fmt.Fprintf(os.Stderr, "argtap: %s\n", printable(e.String()))
		}))
	}
	return opts
}

// describe says which processes of a binary are traced.
func (w *whose) describe(binary string) string {
	in := ""
	if w.cgroup != "" {
		in = " in cgroup " + w.cgroup
	}
	switch len(w.pids) {
	case 0:
		return "every process" + in + " that runs " + binary
	case 1:
		return fmt.Sprintf("process %d%s", w.pids[0], in)
	}
	return fmt.Sprintf("%d processes%s", len(w.pids), in)
}

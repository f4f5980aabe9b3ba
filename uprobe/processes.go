package uprobe

import (
	"errors"
	"fmt"
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

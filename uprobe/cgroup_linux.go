package uprobe

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"syscall"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/features"
	"golang.org/x/sys/unix"

	"github.com/argtap/argtap/internal/probegen"
)

// cgroup is the cgroup whose processes are traced.
type cgroup struct {
	dir           *os.File
	id            uint64
	level, deeper int32
	// byID says that programs can compare the cgroup's number. If not, they look it
	// up in the map.
	byID bool
	m    *ebpf.Map
}

// maxCgroupLevel bounds how deep a cgroup is where that is not seen.
const maxCgroupLevel = 32

// cgroupRoot is the inode number of the root of the hierarchy (the first node of
// kernfs, fs/kernfs/dir.c).
const cgroupRoot = 1

// noDirectory is ENOENT, said of a directory.
type noDirectory struct{}

func (noDirectory) Error() string { return "no such directory" }
func (noDirectory) Unwrap() error { return unix.ENOENT }

// findCgroup finds a cgroup by the path of its directory.
func findCgroup(path string) (c *cgroup, err error) {
	fail := func(err error) (*cgroup, error) {
		if c != nil {
			c.close()
		}
		return nil, fmt.Errorf("cgroup %s: %w", path, err)
	}
	f, err := os.OpenFile(path, unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	switch {
	case errors.Is(err, unix.ENOTDIR):
		return fail(fmt.Errorf("%w: not a directory: give the directory of the cgroup", ErrCgroup))
	case errors.Is(err, fs.ErrNotExist):
		return fail(fmt.Errorf("%w: %w: a process's cgroup is the line \"0::\" of /proc/PID/cgroup, below %s", ErrCgroup, noDirectory{}, cgroupMount()))
	case err != nil:
		return fail(err)
	}
	c = &cgroup{dir: f}
	var st unix.Statfs_t
	if err := unix.Fstatfs(int(f.Fd()), &st); err != nil {
		return fail(err)
	}
	switch st.Type {
	case unix.CGROUP2_SUPER_MAGIC:
	case unix.CGROUP_SUPER_MAGIC:
		return fail(fmt.Errorf("%w: it is of cgroup version 1: give one of version 2, below %s", ErrCgroup, cgroupMount()))
	default:
		return fail(fmt.Errorf("%w: not in a cgroup file system: give a directory below %s", ErrCgroup, cgroupMount()))
	}
	if c.id, err = inode(f); err != nil {
		return fail(err)
	}
	// How deep it is below the root of what is mounted.
	at, above := int(f.Fd()), c.id
	var opened []int
	defer func() {
		for _, fd := range opened {
			unix.Close(fd)
		}
	}()
	for above != cgroupRoot {
		c.level++
		fd, err := unix.Openat2(at, "..", &unix.OpenHow{
			Flags: unix.O_PATH | unix.O_DIRECTORY | unix.O_CLOEXEC, Resolve: unix.RESOLVE_NO_XDEV,
		})
		if err != nil && err != unix.EXDEV {
			return fail(err)
		}
		var node unix.Stat_t
		if err == nil {
			opened = append(opened, fd)
			if err := unix.Fstat(fd, &node); err != nil {
				return fail(err)
			}
		}
		if err == unix.EXDEV || node.Ino == above {
			// What is mounted is not the root: the kernel counts levels that are
			// not seen here, in a container or through a bind mount.
			c.deeper = maxCgroupLevel
			break
		}
		at, above = fd, node.Ino
	}
	return c, nil
}

func inode(f *os.File) (uint64, error) {
	st, err := f.Stat()
	if err != nil {
		return 0, err
	}
	return st.Sys().(*syscall.Stat_t).Ino, nil
}

// cgroupMount returns where cgroups of version 2 are mounted, for messages.
func cgroupMount() string {
	for _, dir := range []string{"/sys/fs/cgroup", "/sys/fs/cgroup/unified"} {
		var st unix.Statfs_t
		if unix.Statfs(dir, &st) == nil && st.Type == unix.CGROUP2_SUPER_MAGIC {
			return dir
		}
	}
	return "a mount of cgroup2, which is mounted nowhere where it is expected (mount -t cgroup2 none DIR)"
}

// openCgroup finds the cgroup of the options, if there is one, and how programs can
// tell who is in it.
func (k *kernel) openCgroup() (err error) {
	if k.opts.cgroup == "" {
		return nil
	}
	if k.cgroup, err = findCgroup(k.opts.cgroup); err != nil {
		return err
	}
	c := k.cgroup
	c.byID = haveCgroupIDs() && !slices.Contains(k.opts.lack, "cgroupIDs")
	if c.byID {
		return nil
	}
	if c.m, err = ebpf.NewMap(&ebpf.MapSpec{
		Name: "argtap_cgroup", Type: ebpf.CGroupArray, KeySize: 4, ValueSize: 4, MaxEntries: 1,
	}); err != nil {
		return kernelError("create the map of the cgroup", err)
	}
	if err := c.m.Put(uint32(0), uint32(c.dir.Fd())); err != nil {
		return kernelError("cgroup "+k.opts.cgroup, err)
	}
	// See probegen.Cgroup.Map. Such kernels have no such programs anyway.
	k.caps.sleepable = false
	return nil
}

// haveCgroupIDs reports whether programs can ask for the cgroups that a process is in.
func haveCgroupIDs() bool {
	return features.HaveProgramHelper(ebpf.Kprobe, asm.FnGetCurrentAncestorCgroupId) == nil
}

func (c *cgroup) array() *ebpf.Map {
	if c == nil {
		return nil
	}
	return c.m
}

func (c *cgroup) close() {
	if c == nil {
		return
	}
	c.dir.Close()
	if c.m != nil {
		c.m.Close()
	}
}

// selectProcesses has programs keep back the hits of other processes.
//
// The kernel's filter spares other processes the traps. That of perf events, by
// memory, is right on every kernel; that of uprobe_multi links was not at first.
// Both let a child pass that still shares its parent's memory, so the program
// looks too.
func (k *kernel) selectProcesses(o *probegen.Options) {
	o.Namespace = k.namespace
	switch pids := k.opts.pids; len(pids) {
	case 0:
	case 1:
		o.PID = uint32(pids[0])
	default:
		for _, pid := range pids {
			o.PIDs = append(o.PIDs, uint32(pid))
		}
	}
	if c := k.cgroup; c != nil {
		o.Cgroup = probegen.Cgroup{ID: c.id, Level: c.level, Deeper: c.deeper, Map: !c.byID}
	}
}

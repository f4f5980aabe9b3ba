package uprobe

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/argtap/argtap/symbols"
)

// target is what is traced: a file, in all processes that run it or in some.
type target struct {
	// path is what the file is called in messages and where debug files are looked
	// for.
	path string
	// file is what is analysed.
	file *os.File
	// tracees are the processes, none for all.
	tracees []tracee
}

// tracee is a process that is traced. Its file has the contents of the target's, but
// may be another one: a copy, or the same one in another overlay.
type tracee struct {
	pid   int
	pidfd int      // -1 on kernels without, before 5.3
	file  *os.File // the very file that the process runs
	// unseen is why it could not be looked at what the process runs, nil if it could. Then
	// file is only what it is said to run.
	unseen error
}

// openTarget finds the file that path means, and the processes.
func openTarget(path string, pids []int) (_ *target, err error) {
	t := &target{path: path}
	defer func() {
		if err != nil {
			t.close()
		}
	}()
	if len(pids) == 0 {
		if path == "" {
			return nil, errors.New("no binary given: pass the path of its file, or name a process that runs it by WithPID")
		}
		t.file, err = openFile(path)
		return t, err
	}
	if err := ownProc(); err != nil {
		return nil, err
	}
	for _, pid := range pids {
		c, name, err := openTracee(pid, path)
		if err != nil {
			return nil, err
		}
		t.tracees = append(t.tracees, c)
		if t.file == nil {
			t.path, t.file = name, c.file
			continue
		}
		if same, err := sameContents(t.file, c.file); err != nil {
			return nil, fmt.Errorf("compare what processes %d and %d run: %w", t.tracees[0].pid, pid, err)
		} else if !same {
			return nil, fmt.Errorf("process %d: %w: it runs another %s than process %d does; trace it with a tracer of its own",
				pid, ErrWrongProcess, name, t.tracees[0].pid)
		}
	}
	return t, nil
}

func (t *target) close() {
	if t.file != nil {
		t.file.Close()
	}
	for _, c := range t.tracees {
		c.file.Close()
		if c.pidfd >= 0 {
			unix.Close(c.pidfd)
		}
	}
}

// openFile opens a file after a look at what kind it is: a pipe would block.
func openFile(path string) (*os.File, error) {
	sf, err := symbols.Open(path)
	if err != nil {
		return nil, err
	}
	sf.Close()
	return os.Open(path)
}

// openTracee finds the file that a process runs, which must be the one that path
// means, unless that is empty. name is what the file is called.
func openTracee(pid int, path string) (c tracee, name string, err error) {
	c = tracee{pid: pid, pidfd: -1}
	defer func() {
		if err != nil && c.pidfd >= 0 {
			unix.Close(c.pidfd)
		}
	}()
	// From here on the ID is that of the process, or the descriptor says that it has
	// ended.
	if c.pidfd, err = unix.PidfdOpen(pid, 0); err != nil {
		c.pidfd = -1
		if err == unix.ESRCH {
			return c, "", processError(pid, err)
		}
	}
	if _, err := os.Stat(fmt.Sprintf("/proc/%d", pid)); err != nil {
		return c, "", processError(pid, err)
	}
	if leader := threadGroup(pid); leader != pid && leader != 0 {
		return c, "", fmt.Errorf("process %d: %w: it is a thread of process %d; trace that", pid, ErrNoProcess, leader)
	}
	if err := visibleIDs(pid); err != nil {
		return c, "", err
	}
	c.file, name, err = processFile(pid, path)
	if err == nil {
		c.unseen = unseen(pid)
	}
	return c, name, err
}

// processFile opens the file that a process runs or has mapped and that path means:
//
//   - the file at path, as this process sees it or as that one does, in its root;
//   - the file that had this path when the process began to run it: it was removed
//     or replaced since, and the process goes on running the old one;
//   - where an overlay is in between, a file with the same contents.
//
// What is opened is never looked up by path where that could lead to another file.
func processFile(pid int, path string) (*os.File, string, error) {
	proc := fmt.Sprintf("/proc/%d/", pid)
	exe := proc + "exe"
	running, err := os.Stat(exe)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, "", fmt.Errorf("process %d: %w: it runs no file: a kernel thread, or a process that has ended", pid, ErrWrongProcess)
	case err != nil && path == "":
		return nil, "", fmt.Errorf("process %d: what it runs cannot be looked at: %w: run as root, or with CAP_SYS_PTRACE: %w", pid, ErrPermission, err)
	case runsNothing(pid):
		return nil, "", fmt.Errorf("process %d: %w: it runs no file: a kernel thread, or a process that has ended", pid, ErrWrongProcess)
	case err != nil:
		// Not ours to look at: see warnUnseen.
		f, err := openFile(path)
		return f, path, err
	}
	target, _ := os.Readlink(exe)
	if path == "" {
		f, err := openSame(exe, running)
		return f, strings.TrimSuffix(target, deleted), err
	}
	here, hereErr := os.Stat(path)
	if hereErr == nil && os.SameFile(here, running) {
		f, err := openFile(path)
		return f, path, err
	}
	there, thereErr := statInRoot(pid, path)
	if thereErr == nil && os.SameFile(there, running) || calledSo(pid, target, path) {
		f, err := openSame(exe, running)
		return f, path, err
	}
	if f := mappedFile(pid, func(entry string, got os.FileInfo) bool {
		if hereErr == nil && os.SameFile(here, got) || thereErr == nil && os.SameFile(there, got) {
			return true
		}
		link, _ := os.Readlink(entry)
		return calledSo(pid, link, path)
	}); f != nil {
		return f, path, nil
	}
	if hereErr == nil && here.Size() == running.Size() && (overlaid(path) || overlaid(exe)) {
		f, err := openSame(exe, running)
		if err != nil {
			return nil, "", err
		}
		if g, err := openFile(path); err == nil {
			same, err := sameContents(f, g)
			g.Close()
			if same && err == nil {
				return f, path, nil
			}
		}
		f.Close()
	}
	if hereErr != nil && thereErr != nil {
		if root, _ := os.Readlink(proc + "root"); root != "/" || !sameMounts(pid) {
			return nil, "", fmt.Errorf("process %d runs %s: %w, nor in the root of that process", pid, target, hereErr)
		}
		return nil, "", fmt.Errorf("process %d runs %s: %w", pid, target, hereErr)
	}
	return nil, "", fmt.Errorf("process %d: %w: it runs %s, not %s; trace %s instead, or leave the path out",
		pid, ErrWrongProcess, target, path, exe)
}

// deleted is what the kernel appends to the path of a file that has none any more.
const deleted = " (deleted)"

// calledSo reports whether what the kernel calls a file that a process has open is
// path: as this process would call it, or that one, which may have another root.
func calledSo(pid int, link, path string) bool {
	link = strings.TrimSuffix(link, deleted)
	abs, err := filepath.Abs(path)
	if err != nil || link == "" {
		return false
	}
	if link == abs {
		return true
	}
	root, err := os.Readlink(fmt.Sprintf("/proc/%d/root", pid))
	return err == nil && filepath.IsAbs(path) && link == filepath.Join(root, path)
}

// statInRoot looks at a path as a process sees it. Links on the way do not lead out
// of its root.
func statInRoot(pid int, path string) (os.FileInfo, error) {
	if !filepath.IsAbs(path) {
		return nil, fs.ErrNotExist // it is meant as seen from here
	}
	root, err := unix.Open(fmt.Sprintf("/proc/%d/root", pid), unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	defer unix.Close(root)
	fd, err := unix.Openat2(root, path, &unix.OpenHow{
		Flags: unix.O_PATH | unix.O_CLOEXEC, Resolve: unix.RESOLVE_IN_ROOT | unix.RESOLVE_NO_MAGICLINKS,
	})
	if err != nil {
		return nil, err
	}
	f := os.NewFile(uintptr(fd), path)
	defer f.Close()
	return f.Stat()
}

// openSame opens a file which must be the one that was seen there.
func openSame(path string, want os.FileInfo) (*os.File, error) {
	f, err := openFile(path)
	if err != nil {
		return nil, err
	}
	if got, err := f.Stat(); err != nil || !os.SameFile(got, want) {
		f.Close()
		return nil, fmt.Errorf("%s: %w: it began to run another file just now", path, ErrWrongProcess)
	}
	return f, nil
}

// mappedFile opens the first file that a process has mapped, as it does with a
// shared library, for which is holds; nil if there is none.
func mappedFile(pid int, is func(entry string, got os.FileInfo) bool) *os.File {
	dir := fmt.Sprintf("/proc/%d/map_files", pid)
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil
	}
	for _, e := range entries {
		entry := filepath.Join(dir, e.Name())
		got, err := os.Stat(entry)
		if err != nil || !got.Mode().IsRegular() || !is(entry, got) {
			continue
		}
		if f, err := openSame(entry, got); err == nil {
			return f
		}
	}
	return nil
}

// sameContents reports whether two files have the same contents.
func sameContents(a, b *os.File) (bool, error) {
	sa, err := a.Stat()
	if err != nil {
		return false, err
	}
	sb, err := b.Stat()
	if err != nil {
		return false, err
	}
	if os.SameFile(sa, sb) {
		return true, nil
	}
	if sa.Size() != sb.Size() {
		return false, nil
	}
	const step = 1 << 20
	bufA, bufB := make([]byte, step), make([]byte, step)
	for off := int64(0); off < sa.Size(); off += step {
		n, err := a.ReadAt(bufA, off)
		if err != nil && err != io.EOF {
			return false, err
		}
		m, err := b.ReadAt(bufB, off)
		if err != nil && err != io.EOF {
			return false, err
		}
		if !bytes.Equal(bufA[:n], bufB[:m]) {
			return false, nil
		}
	}
	return true, nil
}

// overlaid reports whether a file is in an overlay, where files have other numbers
// than in the layers.
func overlaid(path string) bool {
	var st unix.Statfs_t
	return unix.Statfs(path, &st) == nil && st.Type == unix.OVERLAYFS_SUPER_MAGIC
}

// sameMounts reports whether a process sees the mounts that this one does.
func sameMounts(pid int) bool {
	a, errA := os.Readlink("/proc/self/ns/mnt")
	b, errB := os.Readlink(fmt.Sprintf("/proc/%d/ns/mnt", pid))
	return errA == nil && errB == nil && a == b
}

// threadGroup returns the ID of the process that a thread belongs to, 0 if it
// cannot be read.
func threadGroup(tid int) int {
	v, _ := statusField(strconv.Itoa(tid), "Tgid:")
	id, _ := strconv.Atoi(v)
	return id
}

// statusField returns a field of /proc/PID/status.
func statusField(pid, field string) (string, bool) {
	b, err := os.ReadFile("/proc/" + pid + "/status")
	if err != nil {
		return "", false
	}
	for line := range strings.Lines(string(b)) {
		if v, ok := strings.CutPrefix(line, field); ok {
			return strings.TrimSpace(v), true
		}
	}
	return "", false
}

// stillThere returns an error if a process has ended while the probes were attached:
// another one may have its ID.
func (t *target) stillThere() error {
	for _, c := range t.tracees {
		if pidfdEnded(c.pidfd) {
			return fmt.Errorf("process %d: %w: it ended while the probes were attached", c.pid, ErrNoProcess)
		}
	}
	return nil
}

// pidfdEnded reports whether the process has ended. -1 is never known to.
func pidfdEnded(fd int) bool {
	if fd < 0 {
		return false
	}
	fds := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
	n, err := unix.Poll(fds, 0)
	return err == nil && n > 0
}

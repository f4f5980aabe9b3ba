package uprobe

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"
)

// watcher waits for what ends a tracer from outside: the end of the traced
// process, and the replacement of the traced file.
type watcher struct {
	file    *os.File
	path    string
	pidfd   int // -1 without a process
	inotify int // -1 if unavailable
	event   int // eventfd that wakes the watcher
	dir     int // inotify watch of the directory, -1 until it is needed
	ended   chan struct{}
}

func newWatcher(f *os.File, path string, pid int) (*watcher, error) {
	w := &watcher{file: f, path: path, pidfd: -1, inotify: -1, dir: -1, ended: make(chan struct{})}
	var err error
	if w.event, err = unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK); err != nil {
		return nil, fmt.Errorf("eventfd: %w", err)
	}
	if pid != 0 {
		if err := runsFile(pid, f); err != nil {
			w.close()
			return nil, err
		}
		// Kernels before 5.3 have no pidfds; the tracer then does not notice
		// the process's end.
		if w.pidfd, err = unix.PidfdOpen(pid, 0); err != nil {
			w.pidfd = -1
			if err == unix.ESRCH {
				w.close()
				return nil, processError(pid, err)
			}
		}
	}
	if w.inotify, err = unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK); err == nil {
		const mask = unix.IN_MODIFY | unix.IN_ATTRIB | unix.IN_MOVE_SELF | unix.IN_DELETE_SELF
		if _, err := unix.InotifyAddWatch(w.inotify, path, mask); err != nil {
			unix.Close(w.inotify)
			w.inotify = -1
		}
	} else {
		w.inotify = -1
	}
	return w, nil
}

// runsFile checks that the process exists and has the file mapped.
func runsFile(pid int, f *os.File) error {
	exe := fmt.Sprintf("/proc/%d/exe", pid)
	if _, err := os.Stat(fmt.Sprintf("/proc/%d", pid)); err != nil {
		return processError(pid, err)
	}
	if leader := threadGroup(pid); leader != pid && leader != 0 {
		return fmt.Errorf("process %d: %w: it is a thread of process %d; trace that", pid, ErrNoProcess, leader)
	}
	want, err := f.Stat()
	if err != nil {
		return err
	}
	got, err := os.Stat(exe)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return fmt.Errorf("process %d: %w: it runs no file: a kernel thread, or a process that has ended", pid, ErrWrongProcess)
	case err != nil:
		// Not ours to look at; the kernel will have its say when the probe is
		// attached.
		return nil
	}
	if os.SameFile(want, got) || mapsFile(pid, want) {
		return nil
	}
	target, _ := os.Readlink(exe)
	return fmt.Errorf("process %d: %w: it runs %s, not %s; trace %s instead",
		pid, ErrWrongProcess, target, f.Name(), exe)
}

// threadGroup returns the ID of the process that a thread belongs to, 0 if it
// cannot be read.
func threadGroup(tid int) int {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", tid))
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(b)) {
		if v, ok := strings.CutPrefix(line, "Tgid:"); ok {
			id, _ := strconv.Atoi(strings.TrimSpace(v))
			return id
		}
	}
	return 0
}

// mapsFile reports whether a process has mapped a file, as it does with a
// shared library.
func mapsFile(pid int, want os.FileInfo) bool {
	dir := fmt.Sprintf("/proc/%d/map_files", pid)
	entries, err := os.ReadDir(dir)
	if err != nil {
		return false
	}
	for _, e := range entries {
		if got, err := os.Stat(filepath.Join(dir, e.Name())); err == nil && os.SameFile(want, got) {
			return true
		}
	}
	return false
}

// wake ends the watcher's wait.
func (w *watcher) wake() {
	one := [8]byte{1}
	unix.Write(w.event, one[:])
}

func (w *watcher) close() {
	for _, fd := range []int{w.pidfd, w.inotify, w.event} {
		if fd >= 0 {
			unix.Close(fd)
		}
	}
	w.pidfd, w.inotify, w.event = -1, -1, -1
}

// watch ends the tracer when the process ends or the file is replaced.
func (t *Tracer) watch(w *watcher) {
	defer close(w.ended)
	fds := []unix.PollFd{
		{Fd: int32(w.event), Events: unix.POLLIN},
		{Fd: int32(w.pidfd), Events: unix.POLLIN},
		{Fd: int32(w.inotify), Events: unix.POLLIN},
	}
	// What is watched is the file itself. That its path leads to another one,
	// because a link or a directory on the way was changed, only looking tells.
	const interval = 1000 // milliseconds
	for {
		n, err := unix.Poll(fds, interval)
		if err != nil && err != unix.EINTR {
			t.opts.log.Warn("cannot watch for the end of the process or file", "err", err)
			return
		}
		switch {
		case n == 0:
			if err := t.replaced(w); err != nil {
				t.opts.log.Info("tracing ends", "err", err)
				t.end(err)
				return
			}
		case fds[0].Revents != 0:
			return
		case fds[1].Revents != 0:
			t.end(nil)
			return
		case fds[2].Revents != 0:
			if err := t.changed(w); err != nil {
				t.opts.log.Info("tracing ends", "err", err)
				t.end(err)
				return
			}
		}
	}
}

// changed reads what happened to the file. It returns an error if processes
// that are started from now on no longer run what is traced.
func (t *Tracer) changed(w *watcher) error {
	buf := make([]byte, 64*(unix.SizeofInotifyEvent+unix.NAME_MAX+1))
	n, err := unix.Read(w.inotify, buf)
	if err != nil {
		return nil
	}
	for off := 0; off+unix.SizeofInotifyEvent <= n; {
		e := (*unix.InotifyEvent)(unsafe.Pointer(&buf[off]))
		off += unix.SizeofInotifyEvent + int(e.Len)
		if e.Mask&unix.IN_MODIFY != 0 && int(e.Wd) != w.dir {
			return fmt.Errorf("%s: %w: it was written to; trace it anew", w.path, ErrBinaryReplaced)
		}
	}
	return t.replaced(w)
}

// replaced returns an error if another file has taken the place of the one
// that is traced.
func (t *Tracer) replaced(w *watcher) error {
	if t.opts.pid != 0 {
		return nil // the process goes on running the old file
	}
	want, err := w.file.Stat()
	if err != nil {
		return nil
	}
	switch got, err := os.Stat(w.path); {
	case err == nil && !os.SameFile(want, got):
		return fmt.Errorf("%s: %w: processes started from now on run another file; trace it anew",
			w.path, ErrBinaryReplaced)
	case err != nil && w.dir < 0:
		// It is gone, but processes may go on running it. Watch for another
		// file to take its name.
		t.opts.log.Warn("the binary was removed; processes that run it are still traced", "binary", w.path)
		dir, err := unix.InotifyAddWatch(w.inotify, filepath.Dir(w.path), unix.IN_CREATE|unix.IN_MOVED_TO)
		if err == nil {
			w.dir = dir
		}
	}
	return nil
}

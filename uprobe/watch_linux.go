package uprobe

import (
	"fmt"
	"os"
	"path/filepath"
	"unsafe"

	"golang.org/x/sys/unix"
)

// watcher waits for what ends a tracer from outside: the end of the traced
// process, and the replacement of the traced file.
type watcher struct {
	file    *os.File
	path    string
	pidfds  []int // of the processes that are traced, the target's; -1 if unavailable
	inotify int   // -1 if unavailable
	event   int   // eventfd that wakes the watcher
	dir     int   // inotify watch of the directory, -1 until it is needed
	ended   chan struct{}
}

func newWatcher(tg *target) (*watcher, error) {
	w := &watcher{file: tg.file, path: tg.path, inotify: -1, dir: -1, ended: make(chan struct{})}
	var err error
	if w.event, err = unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK); err != nil {
		return nil, fmt.Errorf("eventfd: %w", err)
	}
	watched := tg.path
	for _, c := range tg.tracees {
		// Kernels before 5.3 have no pidfds; the tracer then does not notice
		// the process's end.
		w.pidfds = append(w.pidfds, c.pidfd)
		watched = fmt.Sprintf("/proc/self/fd/%d", tg.file.Fd())
	}
	if w.inotify, err = unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK); err == nil {
		const mask = unix.IN_MODIFY | unix.IN_ATTRIB | unix.IN_MOVE_SELF | unix.IN_DELETE_SELF
		if _, err := unix.InotifyAddWatch(w.inotify, watched, mask); err != nil {
			unix.Close(w.inotify)
			w.inotify = -1
		}
	} else {
		w.inotify = -1
	}
	return w, nil
}

// wake ends the watcher's wait.
func (w *watcher) wake() {
	one := [8]byte{1}
	unix.Write(w.event, one[:])
}

func (w *watcher) close() {
	for _, fd := range []int{w.inotify, w.event} {
		if fd >= 0 {
			unix.Close(fd)
		}
	}
	w.inotify, w.event = -1, -1
}

// watch ends the tracer when the process ends or the file is replaced.
func (t *Tracer) watch(w *watcher) {
	defer close(w.ended)
	fds := []unix.PollFd{
		{Fd: int32(w.event), Events: unix.POLLIN},
		{Fd: int32(w.inotify), Events: unix.POLLIN},
	}
	const first = 2 // of the processes
	left := len(w.pidfds)
	for _, fd := range w.pidfds {
		fds = append(fds, unix.PollFd{Fd: int32(fd), Events: unix.POLLIN})
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
		for i := first; n > 0 && i < len(fds); i++ {
			if fds[i].Revents == 0 {
				continue
			}
			fds[i].Fd, fds[i].Revents = -1, 0
			if left--; left == 0 {
				t.end(nil)
				return
			}
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
	if len(t.opts.pids) != 0 {
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

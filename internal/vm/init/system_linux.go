package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"unsafe"

	"github.com/argtap/argtap/internal/vm/wire"
)

// mountAll mounts what programs expect to be there. Not every kernel has the
// last few.
func mountAll() error {
	for _, m := range []struct {
		kind, dir string
		optional  bool
	}{
		{"proc", "/proc", false},
		{"sysfs", "/sys", false},
		{"devtmpfs", "/dev", false},
		{"devpts", "/dev/pts", true},
		{"tmpfs", "/dev/shm", true},
		{"tmpfs", "/tmp", false},
		{"cgroup2", "/sys/fs/cgroup", true},
		{"bpf", "/sys/fs/bpf", true},
		{"debugfs", "/sys/kernel/debug", true},
		{"tracefs", "/sys/kernel/tracing", true},
		{"securityfs", "/sys/kernel/security", true},
	} {
		if err := os.MkdirAll(m.dir, 0o755); err != nil && !m.optional {
			return err
		}
		err := syscall.Mount(m.kind, m.dir, m.kind, 0, "")
		// A kernel may have mounted /dev already.
		if err != nil && err != syscall.EBUSY && !m.optional {
			return fmt.Errorf("mount %s: %w", m.dir, err)
		}
	}
	if err := os.Chmod("/tmp", 0o1777); err != nil {
		return err
	}
	for link, target := range map[string]string{
		"/dev/fd": "/proc/self/fd", "/dev/stdin": "/proc/self/fd/0",
		"/dev/stdout": "/proc/self/fd/1", "/dev/stderr": "/proc/self/fd/2",
	} {
		if err := os.Symlink(target, link); err != nil && !errors.Is(err, os.ErrExist) {
			return err
		}
	}
	return nil
}

// finitModule are the numbers of the system call, which package syscall lacks
// (arch/x86/entry/syscalls/syscall_64.tbl, include/uapi/asm-generic/unistd.h).
var finitModule = map[string]uintptr{"amd64": 313, "arm64": 273}

// compressedFile is MODULE_INIT_COMPRESSED_FILE (include/uapi/linux/module.h).
const compressedFile = 4

// loadModules loads the modules that are there, by their names. A module that
// needs another one first is refused as long as that is missing, and tried
// again.
func loadModules() error {
	left, err := filepath.Glob(filepath.Join(wire.ModuleDir, "*"))
	if err != nil {
		return err
	}
	for len(left) > 0 {
		var failed []string
		var errs []error
		for _, path := range left {
			if err := loadModule(path); err != nil {
				failed = append(failed, path)
				errs = append(errs, fmt.Errorf("load %s: %w", filepath.Base(path), err))
			}
		}
		if len(failed) == len(left) {
			return errors.Join(errs...)
		}
		left = failed
	}
	return nil
}

func loadModule(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	var flags uintptr
	if !strings.HasSuffix(path, ".ko") {
		flags = compressedFile
	}
	var none [1]byte
	_, _, errno := syscall.Syscall(finitModule[runtime.GOARCH], f.Fd(), uintptr(unsafe.Pointer(&none)), flags)
	if errno != 0 && errno != syscall.EEXIST {
		return errno
	}
	return nil
}

// linkUp turns a network interface on.
func linkUp(name string) error {
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_DGRAM, 0)
	if err != nil {
		return err
	}
	defer syscall.Close(fd)
	var req struct { // struct ifreq of linux/if.h
		name  [syscall.IFNAMSIZ]byte
		flags uint16
		_     [22]byte
	}
	copy(req.name[:], name)
	req.flags = syscall.IFF_UP
	if _, _, errno := syscall.Syscall(syscall.SYS_IOCTL, uintptr(fd), syscall.SIOCSIFFLAGS, uintptr(unsafe.Pointer(&req))); errno != 0 {
		return fmt.Errorf("turn on %s: %w", name, errno)
	}
	return nil
}

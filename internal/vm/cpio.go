package vm

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"path"
	"strings"
)

// archive writes a cpio archive in the format "newc", which the kernel unpacks
// as its first file system (Documentation/driver-api/early-userspace/buffer-format.rst).
type archive struct {
	w    *bufio.Writer
	off  int64 // bytes written
	ino  uint32
	made map[string]bool // directories
}

func newArchive(w io.Writer) *archive {
	return &archive{w: bufio.NewWriterSize(w, 1<<20), made: map[string]bool{"/": true}}
}

// File types of a mode (include/uapi/linux/stat.h).
const (
	typeMask = 0o170000
	typeDir  = 0o040000
	typeFile = 0o100000
	typeChar = 0o020000
	typeLink = 0o120000
)

// maxFile is the size of the largest file in bytes: the format has 32 bits for
// it.
const maxFile = 1<<32 - 1

// header begins an entry. name is a clean absolute path.
func (a *archive) header(name string, mode uint32, size int64, major, minor uint32) error {
	if size > maxFile {
		return fmt.Errorf("%s: %d bytes: a cpio archive holds files up to 4 GiB", name, size)
	}
	name = strings.TrimPrefix(name, "/")
	a.ino++
	nlink := uint32(1)
	if mode&typeMask == typeDir {
		nlink = 2
	}
	n, err := a.w.WriteString("070701")
	a.off += int64(n)
	for _, v := range []uint32{
		a.ino, mode, 0, 0, nlink, 0, uint32(size), 0, 0, major, minor, uint32(len(name) + 1), 0,
	} {
		if err == nil {
			n, err = fmt.Fprintf(a.w, "%08x", v)
			a.off += int64(n)
		}
	}
	if err == nil {
		n, err = a.w.WriteString(name + "\x00")
		a.off += int64(n)
	}
	if err == nil {
		err = a.pad()
	}
	return err
}

// pad fills up to a multiple of 4 bytes.
func (a *archive) pad() error {
	n, err := a.w.WriteString("\x00\x00\x00"[:-a.off&3])
	a.off += int64(n)
	return err
}

// dir adds a directory and those above it, unless they are there.
func (a *archive) dir(name string) error {
	name = path.Clean("/" + name)
	if a.made[name] {
		return nil
	}
	if err := a.dir(path.Dir(name)); err != nil {
		return err
	}
	a.made[name] = true
	return a.header(name, typeDir|0o755, 0, 0, 0)
}

// char adds a character device.
func (a *archive) char(name string, major, minor uint32) error {
	if err := a.dir(path.Dir(name)); err != nil {
		return err
	}
	return a.header(path.Clean("/"+name), typeChar|0o600, 0, major, minor)
}

// file adds a file of which exactly size bytes are read from r.
func (a *archive) file(name string, perm os.FileMode, size int64, r io.Reader) error {
	name = path.Clean("/" + name)
	if err := a.dir(path.Dir(name)); err != nil {
		return err
	}
	if err := a.header(name, typeFile|uint32(perm.Perm()), size, 0, 0); err != nil {
		return err
	}
	n, err := io.Copy(a.w, io.LimitReader(r, size))
	a.off += n
	if err == nil && n != size {
		err = fmt.Errorf("%s: %w: %d bytes instead of %d", name, io.ErrUnexpectedEOF, n, size)
	}
	if err == nil {
		err = a.pad()
	}
	return err
}

// link adds a symbolic link.
func (a *archive) link(name, target string) error {
	name = path.Clean("/" + name)
	if err := a.dir(path.Dir(name)); err != nil {
		return err
	}
	if err := a.header(name, typeLink|0o777, int64(len(target)), 0, 0); err != nil {
		return err
	}
	n, err := a.w.WriteString(target)
	a.off += int64(n)
	if err == nil {
		err = a.pad()
	}
	return err
}

// close ends the archive; the writer below stays open.
func (a *archive) close() error {
	if err := a.header("TRAILER!!!", 0, 0, 0, 0); err != nil {
		return err
	}
	return a.w.Flush()
}

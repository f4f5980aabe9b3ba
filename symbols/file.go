package symbols

import (
	"debug/elf"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"sync"
)

// VirtAddr is a virtual address as the file states it. In a process that runs
// a position-independent file it is moved by the load bias.
type VirtAddr uint64

// FileOffset is a position in bytes from the start of the file.
type FileOffset uint64

// File is an open ELF program or shared library. Its methods are safe for
// concurrent use; none may be called after Close.
type File struct {
	r      io.ReaderAt
	size   uint64 // bytes; no part beyond it is ever asked for
	closer io.Closer
	path   string

	class   elf.Class
	big     bool // big endian
	typ     elf.Type
	machine elf.Machine

	segments []Segment // PT_LOAD, in the file's order
	noteSegs []extent  // PT_NOTE
	dynamic  extent    // PT_DYNAMIC
	relro    extent    // addresses that the loader alone writes (PT_GNU_RELRO)
	sections []header

	// What is read once, when it is needed.
	notes   func() notes
	textrel func() bool
	relocs  func() (*relocations, error)
	table   func() (*FuncTable, error)
	module  func() (*ModuleData, error)
	version func() string
}

// Open opens the program or shared library at path and reads its headers. The
// caller closes the file.
//
// The error is [ErrNotELF] or [ErrNotProgram] for a file of another kind, a
// [*FormatError] for a malformed one, and wraps the operating system's where
// the file cannot be opened.
func Open(path string) (*File, error) {
	// Opening a named pipe would wait for its other end, so look first.
	st, err := os.Stat(path)
	if err != nil {
		return nil, openError(err)
	}
	if st.IsDir() {
		return nil, fmt.Errorf("open %s: %w: it is a directory: give the path of a program in it", path, ErrNotELF)
	}
	if !st.Mode().IsRegular() {
		return nil, fmt.Errorf("open %s: %w: it is not a regular file (mode %v)", path, ErrNotELF, st.Mode())
	}
	r, err := os.Open(path)
	if err != nil {
		return nil, openError(err)
	}
	f := &File{r: r, closer: r, path: path}
	if err := f.init(); err != nil {
		r.Close()
		return nil, err
	}
	return f, nil
}

func openError(err error) error {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%w: give the path of a program's file", err)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("%w: run as a user that may read it", err)
	}
	return err
}

// NewFile reads the headers of the ELF file in r. The caller keeps r open for
// as long as it uses the File. If r has a method Size() int64 or Stat, as
// [bytes.Reader], [io.SectionReader] and [os.File] have, the size of the file is
// taken from there, otherwise from reading. Errors are as in [Open].
func NewFile(r io.ReaderAt) (*File, error) {
	f := &File{r: r}
	if err := f.init(); err != nil {
		return nil, err
	}
	return f, nil
}

func (f *File) init() error {
	size, err := sizeOf(f.r)
	if err != nil {
		return f.wrap("read size", err)
	}
	f.size = size
	f.notes = sync.OnceValue(f.readNotes)
	f.textrel = sync.OnceValue(f.hasTextRelocations)
	f.relocs = sync.OnceValues(f.readRelocations)
	f.table = sync.OnceValues(f.readTable)
	f.module = sync.OnceValues(f.readModuleData)
	f.version = sync.OnceValue(f.readGoVersion)
	if err := f.readHeaders(); err != nil {
		return err
	}
	return nil
}

// Close closes the file that [Open] opened. It does nothing on one from
// [NewFile].
func (f *File) Close() error {
	if f.closer == nil {
		return nil
	}
	return f.closer.Close()
}

// Path returns the path that was given to [Open], "" for a file from
// [NewFile].
func (f *File) Path() string { return f.path }

// Size returns the size of the file in bytes when it was opened.
func (f *File) Size() int64 { return int64(f.size) }

// PIE reports whether the file is position independent (ET_DYN): a PIE or a
// shared library, which a process loads at an address of its own choice.
func (f *File) PIE() bool { return f.typ == elf.ET_DYN }

// GOARCH returns the name that Go gives the file's architecture, such as
// "amd64", "arm64" or "386". For a machine that Go does not know it is ELF's
// name in lower case, such as "sparc".
func (f *File) GOARCH() string {
	is64 := f.class == elf.ELFCLASS64
	pick := func(little, big string) string {
		if f.big {
			return big
		}
		return little
	}
	switch f.machine {
	case elf.EM_X86_64:
		if is64 {
			return "amd64"
		}
		return "amd64p32" // the x32 ABI
	case elf.EM_386:
		return "386"
	case elf.EM_AARCH64:
		return pick("arm64", "arm64be")
	case elf.EM_ARM:
		return pick("arm", "armbe")
	case elf.EM_PPC64:
		return pick("ppc64le", "ppc64")
	case elf.EM_PPC:
		return "ppc"
	case elf.EM_S390:
		if is64 {
			return "s390x"
		}
		return "s390"
	case elf.EM_RISCV:
		if is64 {
			return "riscv64"
		}
		return "riscv"
	case elf.EM_LOONGARCH:
		if is64 {
			return "loong64"
		}
	case elf.EM_MIPS, elf.EM_MIPS_RS3_LE:
		if is64 {
			return pick("mips64le", "mips64")
		}
		return pick("mipsle", "mips")
	}
	return strings.ToLower(strings.TrimPrefix(f.machine.String(), "EM_"))
}

// wrap says what was being done to which file when err came.
func (f *File) wrap(op string, err error) error {
	if f.path == "" {
		return fmt.Errorf("%s: %w", op, err)
	}
	return fmt.Errorf("%s: %s: %w", f.path, op, err)
}

// malformed returns a FormatError of f.
func (f *File) malformed(section string, at uint64, format string, args ...any) error {
	return &FormatError{File: f.path, Section: section, Offset: SectionOffset(at), Err: fmt.Errorf(format, args...)}
}

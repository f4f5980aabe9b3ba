package symbols

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// DebugFileOptions say where [FindDebugFile] looks. The zero value is what gdb
// and debuginfod do by default.
type DebugFileOptions struct {
	// Path, if it is not "", is the debug file; no other place is tried.
	Path string
	// Program is the path of the program, beside which a debug file may be; ""
	// stands for [File.Path].
	Program string
	// Dirs are the directories of debug files; nil stands for /usr/lib/debug.
	Dirs []string
	// CacheDirs are the directories of debuginfod's client; nil stands for
	// those that the environment names: $DEBUGINFOD_CACHE_PATH, or else
	// ~/.debuginfod_client_cache and debuginfod_client in $XDG_CACHE_HOME and
	// ~/.cache. Nothing is fetched.
	CacheDirs []string
}

// How [FindDebugFile] found a file.
const (
	byPath      = "path"
	byBuildID   = "build ID"
	byDebugLink = ".gnu_debuglink"
	byCache     = "debuginfod cache"
)

// FindDebugFile opens the file with the debug information of f, a stripped
// program, and says how it was found: by "path", "build ID", ".gnu_debuglink"
// or "debuginfod cache". The caller closes it. The places are, in this order:
//
//   - the path that o gives, and then no other;
//   - <dir>/.build-id/xx/yyyy.debug, by the GNU build ID;
//   - the name that section .gnu_debuglink has, beside the program, in .debug
//     there, and in <dir> followed by the program's directory;
//   - <cache dir>/<build ID>/debuginfo.
//
// A file counts only if it has debug information, is for the same
// architecture, and belongs to f: build IDs of the same kind, GNU's or Go's,
// must not differ; if the files have none in common, the checksum of
// .gnu_debuglink or, for a path, the same bytes of code must tell. Two builds
// of one source, of which one was stripped by the linker (-ldflags=-s), have
// different build IDs: strip a copy of the built program instead.
//
// The error is a [*NoDebugFileError] with all that was tried.
func FindDebugFile(f *File, o DebugFileOptions) (debug *File, how string, err error) {
	program := cmp.Or(o.Program, f.path)
	s := debugSearch{f: f, missing: &NoDebugFileError{File: program}}
	if o.Path != "" {
		if d := s.try(o.Path, byPath, nil); d != nil {
			return d, byPath, nil
		}
		return nil, "", s.missing
	}
	if o.Dirs == nil {
		o.Dirs = []string{"/usr/lib/debug"}
	}
	if o.CacheDirs == nil {
		o.CacheDirs = debuginfodCaches()
	}
	id := f.BuildID()
	if len(id) <= 2 {
		s.skip(byBuildID, errors.New("the file has no GNU build ID"))
	} else {
		for _, dir := range o.Dirs {
			path := filepath.Join(dir, ".build-id", id[:2], id[2:]+".debug")
			if d := s.try(path, byBuildID, nil); d != nil {
				return d, byBuildID, nil
			}
		}
	}
	switch link, ok, err := f.debugLink(); {
	case err != nil:
		s.skip(byDebugLink, err)
	case !ok:
		s.skip(byDebugLink, errors.New("the file has no such section"))
	case program == "":
		s.skip(byDebugLink, fmt.Errorf("the directory of the file, where %s would be, is not known", link.name))
	default:
		for _, path := range link.paths(program, o.Dirs) {
			if d := s.try(path, byDebugLink, &link); d != nil {
				return d, byDebugLink, nil
			}
		}
	}
	if len(id) > 2 {
		for _, dir := range o.CacheDirs {
			if d := s.try(filepath.Join(dir, id, "debuginfo"), byCache, nil); d != nil {
				return d, byCache, nil
			}
		}
	}
	return nil, "", s.missing
}

// debuginfodCaches returns the directories that debuginfod's client may keep
// files in (debuginfod_find_debuginfo(3), "FILES").
func debuginfodCaches() []string {
	if dir := os.Getenv("DEBUGINFOD_CACHE_PATH"); dir != "" {
		return []string{dir}
	}
	var dirs []string
	home, err := os.UserHomeDir()
	if err == nil {
		dirs = append(dirs, filepath.Join(home, ".debuginfod_client_cache"))
	}
	if dir := os.Getenv("XDG_CACHE_HOME"); dir != "" {
		dirs = append(dirs, filepath.Join(dir, "debuginfod_client"))
	}
	if err == nil {
		dirs = append(dirs, filepath.Join(home, ".cache", "debuginfod_client"))
	}
	return dirs
}

// debugSearch collects what was tried.
type debugSearch struct {
	f       *File
	missing *NoDebugFileError
}

func (s *debugSearch) skip(how string, err error) {
	s.missing.Tried = append(s.missing.Tried, DebugFileAttempt{How: how, Err: err})
}

// try opens the file at path, nil if it is not the one. link is what must
// check it, if that is how it was found.
func (s *debugSearch) try(path, how string, link *debugLink) *File {
	if slices.ContainsFunc(s.missing.Tried, func(a DebugFileAttempt) bool { return a.Path == path }) {
		return nil
	}
	d, err := Open(path)
	if err == nil {
		if err = s.f.checkDebugFile(d, how, link); err == nil {
			return d
		}
		d.Close()
	}
	s.missing.Tried = append(s.missing.Tried, DebugFileAttempt{How: how, Path: path, Err: err})
	return nil
}

// checkDebugFile returns why d is not the debug file of f.
func (f *File) checkDebugFile(d *File, how string, link *debugLink) error {
	if d.machine != f.machine || d.class != f.class || d.big != f.big {
		return fmt.Errorf("it is for %s, not %s", d.GOARCH(), f.GOARCH())
	}
	if _, ok := d.Section(".debug_info"); !ok {
		return errors.New("it has no debug information")
	}
	common := false
	for _, id := range []struct{ kind, f, d string }{
		{"GNU", f.BuildID(), d.BuildID()},
		{"Go", f.GoBuildID(), d.GoBuildID()},
	} {
		if id.f == "" || id.d == "" {
			continue
		}
		if id.f != id.d {
			return fmt.Errorf("it belongs to another build: its %s build ID is %s, not %s", id.kind, id.d, id.f)
		}
		common = true
	}
	if link != nil {
		if d.size > maxSummed {
			return fmt.Errorf("it has %d bytes, too many to check them", d.size)
		}
		sum := crc32.NewIEEE()
		if _, err := io.Copy(sum, io.NewSectionReader(d.r, 0, int64(d.size))); err != nil {
			return err
		}
		if sum.Sum32() != link.sum {
			return fmt.Errorf("its checksum is %#08x, not %#08x as in .gnu_debuglink", sum.Sum32(), link.sum)
		}
		return nil
	}
	switch {
	case common:
		return nil
	case how == byPath:
		return f.sameCode(d)
	}
	return errors.New("it has no build ID to tell that it belongs to the file")
}

// sameCode returns why it cannot be said that d has the same code as f.
func (f *File) sameCode(d *File) error {
	unlike := errors.New("the files have no build ID in common, and not the same code")
	code := func(f *File) (s []Segment) {
		for _, seg := range f.segments {
			if seg.Exec && seg.FileSize > 0 {
				s = append(s, seg)
			}
		}
		return s
	}
	a, b := code(f), code(d)
	if len(a) != len(b) || len(a) == 0 {
		return unlike
	}
	chunk := chunks.Get().(*[chunkSize]byte)
	defer chunks.Put(chunk)
	for i := range a {
		if a[i].Addr != b[i].Addr || a[i].FileSize != b[i].FileSize {
			return unlike
		}
		// The ELF header may be in it: what follows counts from there.
		at := uint64(0)
		if a[i].Offset == 0 {
			at = min(a[i].FileSize, 1<<12)
		}
		for at < a[i].FileSize {
			n := min(a[i].FileSize-at, chunkSize/2)
			x, y := chunk[:n], chunk[chunkSize/2:][:n]
			if err := f.read(x, uint64(a[i].Offset)+at); err != nil {
				return err
			}
			if err := d.read(y, uint64(b[i].Offset)+at); err != nil {
				return err
			}
			if !bytes.Equal(x, y) {
				return unlike
			}
			at += n
		}
	}
	return nil
}

// debugLink is what section .gnu_debuglink says: the name of the debug file, and
// a CRC-32 of its bytes (GDB manual, "Separate Debug Files").
type debugLink struct {
	name string
	sum  uint32
}

// maxSummed bounds a file of which the checksum is computed, in bytes: that takes
// a second for a gigabyte.
const maxSummed = 4 << 30

// maxDebugLink bounds the section, in bytes. Names of files have up to 255.
const maxDebugLink = 4096

// debugLink reads .gnu_debuglink; false if there is none.
func (f *File) debugLink() (debugLink, bool, error) {
	const section = ".gnu_debuglink"
	s, ok := f.Section(section)
	if !ok {
		return debugLink{}, false, nil
	}
	if s.err != nil {
		return debugLink{}, false, s.err
	}
	if s.compression != None || s.RawSize > maxDebugLink {
		return debugLink{}, false, f.malformed(section, 0, "%d bytes are too many", s.RawSize)
	}
	b := make([]byte, s.RawSize)
	if err := f.read(b, uint64(s.Offset)); err != nil {
		return debugLink{}, false, f.malformed(section, 0, "%w", err)
	}
	end := bytes.IndexByte(b, 0)
	sum := (end + 4) &^ 3 // behind the zero, aligned
	if end < 0 || sum+4 > len(b) {
		return debugLink{}, false, f.malformed(section, 0, "%w", ErrTruncated)
	}
	name := string(b[:end])
	// A name could lead anywhere.
	if name == "" || name == "." || name == ".." || strings.ContainsAny(name, `/\`) {
		return debugLink{}, false, f.malformed(section, 0, "%q is not the name of a file", name)
	}
	return debugLink{name, f.u32(b[sum:])}, true, nil
}

// paths returns where the debug file of the file at path can be.
func (l debugLink) paths(path string, dirs []string) []string {
	var found []string
	path, err := filepath.Abs(path)
	if err != nil {
		return nil
	}
	real, err := filepath.EvalSymlinks(path)
	if err != nil {
		real = path
	}
	for _, at := range slices.Compact([]string{filepath.Dir(real), filepath.Dir(path)}) {
		for _, p := range []string{filepath.Join(at, l.name), filepath.Join(at, ".debug", l.name)} {
			if p != real && p != path {
				found = append(found, p)
			}
		}
		for _, dir := range dirs {
			found = append(found, filepath.Join(dir, at[len(filepath.VolumeName(at)):], l.name))
		}
	}
	return found
}

// DebugFileAttempt is a place at which a debug file was looked for.
type DebugFileAttempt struct {
	// How is the way to it, as [FindDebugFile] names them.
	How string
	// Path is the file's, "" if the way leads to none.
	Path string
	// Err is why that is not the file; [io/fs.ErrNotExist] if it is not there.
	Err error
}

// NoDebugFileError tells that there is no debug file. It is [ErrNoDebugFile].
type NoDebugFileError struct {
	// File is the path of the program, "" if it is not known.
	File string
	// Tried are the places, in order.
	Tried []DebugFileAttempt
}

// Error returns the places and the reasons.
func (e *NoDebugFileError) Error() string {
	var b strings.Builder
	if e.File != "" {
		b.WriteString(e.File)
		b.WriteString(": ")
	}
	b.WriteString(ErrNoDebugFile.Error())
	for i, a := range e.Tried {
		b.WriteString([]string{": ", "; "}[min(i, 1)])
		b.WriteString(a.How)
		if a.Path != "" {
			b.WriteByte(' ')
			b.WriteString(a.Path)
		}
		b.WriteString(": ")
		var path *fs.PathError
		switch {
		case errors.Is(a.Err, fs.ErrNotExist):
			b.WriteString("no such file")
		case errors.As(a.Err, &path):
			b.WriteString(path.Err.Error())
		default:
			b.WriteString(a.Err.Error())
		}
	}
	return b.String()
}

// Is reports whether target is [ErrNoDebugFile].
func (e *NoDebugFileError) Is(target error) bool { return target == ErrNoDebugFile }

package symbols

import (
	"bytes"
	"debug/elf"
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// withNotes returns small with the given build IDs; without those that are "".
func withNotes(gnu, gob string) *image {
	im := small(image{})
	var b []byte
	if gnu != "" {
		b = append(b, im.note("GNU\x00", 3, gnu)...)
	}
	if gob != "" {
		b = append(b, im.note("Go\x00\x00", 4, gob)...)
	}
	im.sections[smallNote-1].data = b
	return im
}

// stripped returns im without .debug_info, and with a .gnu_debuglink for a file
// of the given name and contents, if name is not "".
func stripped(im *image, name string, file []byte) *image {
	im.sections = im.sections[:smallDebug-1]
	if name != "" {
		b := append([]byte(name), 0)
		for len(b)%4 != 0 {
			b = append(b, 0)
		}
		im.sections = append(im.sections, sect{name: ".gnu_debuglink", typ: elf.SHT_PROGBITS,
			data: im.words(b, 4, uint64(crc32.ChecksumIEEE(file)))})
	}
	return im
}

const gnuID, otherID = "\x12\x34\x56", "\x65\x43\x21"

func TestFindDebugFile(t *testing.T) {
	full := withNotes(gnuID, "go/id").bytes()
	otherGNU := withNotes(otherID, "go/id").bytes()
	otherGo := withNotes("", "go/other").bytes()
	noID := withNotes("", "").bytes()
	bare := stripped(withNotes(gnuID, "go/id"), "", nil).bytes()
	changed := withNotes("", "")
	changed.sections[smallText-1].data = bytes.Repeat([]byte{0x90}, 64)
	x86 := small(image{bits32: true, machine: elf.EM_386}).bytes()

	tests := []struct {
		name    string
		program *image
		files   map[string][]byte // in a directory, in which the program is bin/app
		options DebugFileOptions  // with paths in that directory
		env     map[string]string // likewise
		want    string            // path; "" for none
		how     string
		says    []string // in the error
	}{
		{name: "path", program: stripped(withNotes(gnuID, "go/id"), "", nil), files: map[string][]byte{"d": full},
			options: DebugFileOptions{Path: "d"}, want: "d", how: "path"},
		{name: "only the path", program: stripped(withNotes(gnuID, ""), "d", full), files: map[string][]byte{"bin/d": full},
			options: DebugFileOptions{Path: "none"}, says: []string{"path", "none: no such file"}},
		{name: "other GNU build ID", program: stripped(withNotes(gnuID, "go/id"), "", nil), files: map[string][]byte{"d": otherGNU},
			options: DebugFileOptions{Path: "d"}, says: []string{"another build", "GNU build ID is 654321, not 123456"}},
		{name: "other Go build ID", program: stripped(withNotes(gnuID, "go/id"), "", nil), files: map[string][]byte{"d": otherGo},
			options: DebugFileOptions{Path: "d"}, says: []string{"Go build ID is go/other, not go/id"}},
		{name: "other architecture", program: stripped(withNotes(gnuID, ""), "", nil), files: map[string][]byte{"d": x86},
			options: DebugFileOptions{Path: "d"}, says: []string{"it is for 386, not amd64"}},
		{name: "stripped too", program: stripped(withNotes(gnuID, ""), "", nil), files: map[string][]byte{"d": bare},
			options: DebugFileOptions{Path: "d"}, says: []string{"no debug information"}},
		{name: "not ELF", program: stripped(withNotes(gnuID, ""), "", nil), files: map[string][]byte{"d": []byte("text\n")},
			options: DebugFileOptions{Path: "d"}, says: []string{"not an ELF file"}},
		{name: "same code", program: stripped(withNotes("", ""), "", nil), files: map[string][]byte{"d": noID},
			options: DebugFileOptions{Path: "d"}, want: "d", how: "path"},
		{name: "other code", program: stripped(withNotes("", ""), "", nil), files: map[string][]byte{"d": changed.bytes()},
			options: DebugFileOptions{Path: "d"}, says: []string{"not the same code"}},
		{name: "build ID", program: stripped(withNotes(gnuID, ""), "", nil), files: map[string][]byte{"two/.build-id/12/3456.debug": full},
			options: DebugFileOptions{Dirs: []string{"one", "two"}}, want: "two/.build-id/12/3456.debug", how: "build ID"},
		{name: "build ID of another file", program: stripped(withNotes(gnuID, ""), "", nil), files: map[string][]byte{"one/.build-id/12/3456.debug": noID},
			options: DebugFileOptions{Dirs: []string{"one"}}, says: []string{"3456.debug: it has no build ID", ".gnu_debuglink: the file has no such section"}},
		{name: "beside", program: stripped(withNotes("", ""), "app.debug", noID), files: map[string][]byte{"bin/app.debug": noID},
			want: "bin/app.debug", how: ".gnu_debuglink"},
		{name: "in .debug", program: stripped(withNotes(gnuID, ""), "app.debug", full), files: map[string][]byte{"bin/.debug/app.debug": full},
			want: "bin/.debug/app.debug", how: ".gnu_debuglink"},
		{name: "checksum", program: stripped(withNotes(gnuID, ""), "app.debug", full), files: map[string][]byte{"bin/app.debug": append(full[:len(full):len(full)], 0)},
			says: []string{"app.debug: its checksum is", fmt.Sprintf("not %#08x", crc32.ChecksumIEEE(full))}},
		{name: "link to elsewhere", program: stripped(withNotes(gnuID, ""), "../app.debug", full), files: map[string][]byte{"app.debug": full},
			says: []string{`"../app.debug" is not the name of a file`}},
		{name: "link to itself", program: stripped(withNotes(gnuID, ""), "app", full), says: []string{"app: no such file"}},
		{name: "cache", program: stripped(withNotes(gnuID, ""), "", nil), files: map[string][]byte{"c/123456/debuginfo": full},
			options: DebugFileOptions{CacheDirs: []string{"c"}}, want: "c/123456/debuginfo", how: "debuginfod cache"},
		{name: "cache by DEBUGINFOD_CACHE_PATH", program: stripped(withNotes(gnuID, ""), "", nil), files: map[string][]byte{"c/123456/debuginfo": full},
			env: map[string]string{"DEBUGINFOD_CACHE_PATH": "c"}, want: "c/123456/debuginfo", how: "debuginfod cache"},
		{name: "cache by XDG_CACHE_HOME", program: stripped(withNotes(gnuID, ""), "", nil), files: map[string][]byte{"x/debuginfod_client/123456/debuginfo": full},
			env: map[string]string{"XDG_CACHE_HOME": "x"}, want: "x/debuginfod_client/123456/debuginfo", how: "debuginfod cache"},
		{name: "cache in the home directory", program: stripped(withNotes(gnuID, ""), "", nil), files: map[string][]byte{"h/.cache/debuginfod_client/123456/debuginfo": full},
			env: map[string]string{"HOME": "h", "USERPROFILE": "h"}, want: "h/.cache/debuginfod_client/123456/debuginfo", how: "debuginfod cache"},
		{name: "old cache", program: stripped(withNotes(gnuID, ""), "", nil), files: map[string][]byte{"h/.debuginfod_client_cache/123456/debuginfo": full},
			env: map[string]string{"HOME": "h", "USERPROFILE": "h"}, want: "h/.debuginfod_client_cache/123456/debuginfo", how: "debuginfod cache"},
		{name: "empty file in the cache", program: stripped(withNotes(gnuID, ""), "", nil), files: map[string][]byte{"c/123456/debuginfo": nil},
			options: DebugFileOptions{CacheDirs: []string{"c"}}, says: []string{"debuginfod cache", "it is empty"}},
		{name: "order", program: stripped(withNotes(gnuID, ""), "app.debug", full),
			files:   map[string][]byte{"one/.build-id/12/3456.debug": otherGNU, "bin/app.debug": full, "c/123456/debuginfo": full},
			options: DebugFileOptions{Dirs: []string{"one"}, CacheDirs: []string{"c"}}, want: "bin/app.debug", how: ".gnu_debuglink"},
		{name: "nothing", program: stripped(withNotes("", ""), "", nil),
			says: []string{"no debug file", "build ID: the file has no GNU build ID", "no such section"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			for name, data := range tt.files {
				write(t, filepath.Join(dir, name), data)
			}
			write(t, filepath.Join(dir, "bin/app"), tt.program.bytes())
			for _, v := range []string{"DEBUGINFOD_CACHE_PATH", "XDG_CACHE_HOME", "HOME", "USERPROFILE"} {
				if p, ok := tt.env[v]; ok {
					t.Setenv(v, filepath.Join(dir, p))
				} else {
					t.Setenv(v, "")
				}
			}
			within := func(paths []string) (in []string) {
				for _, p := range paths {
					in = append(in, filepath.Join(dir, p))
				}
				return in
			}
			o := DebugFileOptions{Dirs: within(tt.options.Dirs), CacheDirs: within(tt.options.CacheDirs)}
			if o.Dirs == nil {
				o.Dirs = []string{}
			}
			if tt.options.Path != "" {
				o.Path = filepath.Join(dir, tt.options.Path)
			}
			f, err := Open(filepath.Join(dir, "bin/app"))
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			d, how, err := FindDebugFile(f, o)
			if d != nil {
				defer d.Close()
			}
			if tt.want != "" {
				if err != nil || d.Path() != filepath.Join(dir, tt.want) || how != tt.how {
					t.Fatalf("found %v by %q, %v; want %s by %q", d, how, err, tt.want, tt.how)
				}
				return
			}
			if !errors.Is(err, ErrNoDebugFile) || d != nil {
				t.Fatalf("found %v by %q, %v; want none", d, how, err)
			}
			for _, want := range append(tt.says, f.Path()) {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%q does not say %q", err, want)
				}
			}
		})
	}
}

func write(t *testing.T, path string, data []byte) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestDebugDirectory: the program's directory below that of debug files, and a
// program that is run by a link.
func TestDebugDirectory(t *testing.T) {
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	full := withNotes(gnuID, "").bytes()
	write(t, filepath.Join(dir, "opt/app-1"), stripped(withNotes(gnuID, ""), "app-1.debug", full).bytes())
	debug := filepath.Join(dir, "debug")
	want := filepath.Join(debug, dir[len(filepath.VolumeName(dir)):], "opt/app-1.debug")
	write(t, want, full)
	link := filepath.Join(dir, "app")
	if err := os.Symlink(filepath.Join(dir, "opt/app-1"), link); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{filepath.Join(dir, "opt/app-1"), link} {
		f, err := Open(path)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		d, how, err := FindDebugFile(f, DebugFileOptions{Dirs: []string{debug}, CacheDirs: []string{}})
		if err != nil || d.Path() != want || how != ".gnu_debuglink" {
			t.Fatalf("%s: found %v by %q, %v", path, d, how, err)
		}
		d.Close()
	}
	// Without a path there is no directory to look in.
	f, err := NewFile(bytes.NewReader(stripped(withNotes(gnuID, ""), "app-1.debug", full).bytes()))
	if err != nil {
		t.Fatal(err)
	}
	_, _, err = FindDebugFile(f, DebugFileOptions{Dirs: []string{debug}, CacheDirs: []string{}})
	if !errors.Is(err, ErrNoDebugFile) || !strings.Contains(err.Error(), "directory of the file, where app-1.debug would be, is not known") {
		t.Errorf("without a path: %v", err)
	}
}

// TestHugeDebugFile: a file with holes is as large as it says, and not read to
// its end.
func TestHugeDebugFile(t *testing.T) {
	dir := t.TempDir()
	full := withNotes(gnuID, "").bytes()
	write(t, filepath.Join(dir, "app"), stripped(withNotes(gnuID, ""), "app.debug", full).bytes())
	debug := filepath.Join(dir, "app.debug")
	write(t, debug, full)
	if err := os.Truncate(debug, maxSummed+1); err != nil {
		t.Skip(err) // a file system without holes
	}
	f, err := Open(filepath.Join(dir, "app"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	_, _, err = FindDebugFile(f, DebugFileOptions{Dirs: []string{}, CacheDirs: []string{}})
	if !errors.Is(err, ErrNoDebugFile) || !strings.Contains(err.Error(), "too many to check") {
		t.Errorf("error %v, want it to say that it is too large", err)
	}
}

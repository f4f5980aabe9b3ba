package vm

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/argtap/argtap/internal/vm/wire"
)

// entry is what an archive says of a file.
type entry struct {
	mode         uint64
	major, minor uint64
	data         string
}

// unpack reads an archive by the format's description, as the kernel does.
func unpack(t *testing.T, b []byte) map[string]entry {
	t.Helper()
	entries, inodes := map[string]entry{}, map[uint64]string{}
	for off := 0; ; {
		if off%4 != 0 || off+110 > len(b) || string(b[off:off+6]) != "070701" {
			t.Fatalf("no header at offset %d of %d", off, len(b))
		}
		var f [13]uint64
		for i := range f {
			v, err := strconv.ParseUint(string(b[off+6+8*i:off+14+8*i]), 16, 32)
			if err != nil {
				t.Fatalf("field %d of the header at offset %d: %v", i, off, err)
			}
			f[i] = v
		}
		off += 110
		size, nameLen := int(f[6]), int(f[11])
		name := string(b[off : off+nameLen-1])
		if b[off+nameLen-1] != 0 {
			t.Fatalf("name %q does not end with a zero", name)
		}
		off = (off + nameLen + 3) &^ 3
		data := string(b[off : off+size])
		off = (off + size + 3) &^ 3
		if name == "TRAILER!!!" {
			if off != len(b) {
				t.Errorf("%d bytes behind the end", len(b)-off)
			}
			return entries
		}
		if strings.HasPrefix(name, "/") || entries[name] != (entry{}) {
			t.Errorf("%q: absolute, or twice", name)
		}
		if dir := filepath.Dir(name); dir != "." && entries[dir].mode>>12 != 4 {
			t.Errorf("%q comes before its directory", name)
		}
		if other, ok := inodes[f[0]]; ok {
			t.Errorf("%q and %q have the same inode number", name, other)
		}
		inodes[f[0]] = name
		entries[name] = entry{f[1], f[9], f[10], data}
	}
}

func TestArchive(t *testing.T) {
	var b bytes.Buffer
	a := newArchive(&b)
	want := map[string]entry{
		"dev":         {mode: 0o040755},
		"dev/console": {mode: 0o020600, major: 5, minor: 1},
		"a":           {mode: 0o040755},
		"a/b":         {mode: 0o040755},
		"a/b/link":    {mode: 0o120777, data: "../c"},
	}
	steps := []error{a.char("/dev/console", 5, 1), a.dir("/a/b/"), a.dir("a"), a.link("/a/b/link", "../c")}
	// All paddings of names and data.
	for i := range 8 {
		name, data := "a/"+strings.Repeat("n", i+1), strings.Repeat("d", i)
		want[name] = entry{mode: 0o100640, data: data}
		steps = append(steps, a.file("/"+name, 0o640, int64(i), strings.NewReader(data)))
	}
	if err := errors.Join(append(steps, a.close())...); err != nil {
		t.Fatal(err)
	}
	got := unpack(t, b.Bytes())
	for name, w := range want {
		if got[name] != w {
			t.Errorf("%s is %+v, want %+v", name, got[name], w)
		}
	}
	if len(got) != len(want) {
		t.Errorf("%d entries, want %d: %v", len(got), len(want), got)
	}
}

func TestArchiveErrors(t *testing.T) {
	a := newArchive(io.Discard)
	if err := a.file("/short", 0o600, 10, strings.NewReader("12345")); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("a file that is too short: %v", err)
	}
	if err := a.file("/large", 0o600, maxFile+1, strings.NewReader("")); err == nil {
		t.Error("a file that is too large is no error")
	}
	full := fmt.Errorf("disk full")
	a = newArchive(writerFunc(func([]byte) (int, error) { return 0, full }))
	if err := errors.Join(a.file("/f", 0o600, 5, strings.NewReader("12345")), a.close()); !errors.Is(err, full) {
		t.Errorf("a failing writer: %v", err)
	}
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(b []byte) (int, error) { return f(b) }

// write makes files below a new directory.
func write(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		name = filepath.Join(dir, filepath.FromSlash(name))
		if err := errors.Join(os.MkdirAll(filepath.Dir(name), 0o755), os.WriteFile(name, []byte(text), 0o755)); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestInitrd(t *testing.T) {
	dir := write(t, map[string]string{
		"init": "first", "app": "program", "data/x": "1", "data/sub/y": "2", "b.ko": "second", "a.ko.xz": "third",
	})
	if err := os.Symlink("x", filepath.Join(dir, "data", "link")); err != nil {
		t.Fatal(err)
	}
	c := Config{
		Kernel: &Kernel{Modules: []string{filepath.Join(dir, "b.ko"), filepath.Join(dir, "a.ko.xz")}},
		Files:  map[string]string{"/opt/app": filepath.Join(dir, "app"), "srv/data": filepath.Join(dir, "data")},
		Args:   []string{"/opt/app", "-v"}, Env: []string{"A=1"}, Dir: "/srv",
	}
	var b bytes.Buffer
	if err := writeInitrd(&b, filepath.Join(dir, "init"), &c); err != nil {
		t.Fatal(err)
	}
	got := unpack(t, b.Bytes())
	for name, data := range map[string]string{
		"init": "first", "opt/app": "program", "srv/data/x": "1", "srv/data/sub/y": "2", "srv/data/link": "x",
		wire.ModuleDir[1:] + "/00-b.ko": "second", wire.ModuleDir[1:] + "/01-a.ko.xz": "third",
	} {
		if got[name].data != data {
			t.Errorf("%s holds %q, want %q", name, got[name].data, data)
		}
	}
	if got["init"].mode&0o111 == 0 || got["srv/data/link"].mode>>12 != 0o12 {
		t.Errorf("init %+v, link %+v", got["init"], got["srv/data/link"])
	}
	const job = `"Args":["/opt/app","-v"]`
	if text := got[wire.JobFile[1:]].data; !strings.Contains(text, job) || !strings.Contains(text, `"A=1"]`) {
		t.Errorf("job %s", text)
	}
	for name, files := range map[string]map[string]string{
		"hidden":   {"/tmp/x": filepath.Join(dir, "app")},
		"twice":    {"/x": filepath.Join(dir, "app"), "x": filepath.Join(dir, "init")},
		"missing":  {"/x": filepath.Join(dir, "none")},
		"reserved": {"/init": filepath.Join(dir, "app")},
	} {
		c.Files = files
		if err := writeInitrd(io.Discard, filepath.Join(dir, "init"), &c); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

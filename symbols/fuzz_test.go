package symbols

import (
	"bytes"
	"debug/elf"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// fuzzCorpus adds files to the corpus of f and compares those that are
// committed with what the test would write.
func fuzzCorpus(f *testing.F, target string, files map[string][]byte) {
	for _, name := range slices.Sorted(maps.Keys(files)) {
		f.Add(files[name])
		path := filepath.Join("testdata/fuzz", target, name)
		text := fmt.Sprintf("go test fuzz v1\n[]byte(%q)\n", files[name])
		if *update {
			if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
				f.Fatal(err)
			}
			if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
				f.Fatal(err)
			}
		}
		if old, err := os.ReadFile(path); err != nil || string(old) != text {
			f.Errorf("%s is not what the test would write (%v): run go test -update", path, err)
		}
	}
}

// FuzzTable reads function tables, module data and relocations.
func FuzzTable(f *testing.F) {
	fuzzCorpus(f, "FuzzTable", damaged())
	for _, data := range tablePrograms() {
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) > 1<<16 {
			return // only slower
		}
		file, err := NewFile(bytes.NewReader(data))
		if err != nil {
			return
		}
		for _, err := range queryTable(t, file) {
			if err.Error() == "" {
				t.Error("error without text")
			}
		}
	})
}

// versions are what FuzzVersion starts from: build information.
func versions() map[string][]byte {
	inline := []byte(buildInfoMagic + "\x08\x02" + strings.Repeat("\x00", 16) + "\x08go1.26.8\x00")
	pointers := slices.Concat([]byte(buildInfoMagic+"\x08\x00"), []byte("\x20\x20\x40\x00\x00\x00\x00\x00"), make([]byte, 8),
		[]byte("\x30\x20\x40\x00\x00\x00\x00\x00\x08\x00\x00\x00\x00\x00\x00\x00go1.17.1"))
	return map[string][]byte{
		"inline": inline, "pointers": pointers, "cut": inline[:33], "long": append(inline[:32:32], 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f),
		"text": []byte("....go1.11.13\x00"),
	}
}

// FuzzVersion reads build information, and debug-file links and notes, all of
// the same bytes.
func FuzzVersion(f *testing.F) {
	fuzzCorpus(f, "FuzzVersion", versions())
	f.Fuzz(func(t *testing.T, data []byte) {
		im := small(image{})
		im.sections[smallData-1] = sect{name: ".go.buildinfo", typ: elf.SHT_PROGBITS, flags: elf.SHF_ALLOC | elf.SHF_WRITE, addr: 0x402000, data: data}
		im.segments[1].flags = elf.PF_R | elf.PF_W
		file, err := NewFile(bytes.NewReader(im.bytes()))
		if err != nil {
			t.Fatal(err)
		}
		v, ok := file.GoVersion()
		if ok != (v != "") || len(v) > maxVersion {
			t.Errorf("version %q, %v", v, ok)
		}
		if minor, ok := goMinor(v); minor < 0 || ok && !strings.Contains(v, "go1.") {
			t.Errorf("minor of %q: %d, %v", v, minor, ok)
		}
		if r := releaseText(data); r != "" && releaseText([]byte(r)) != r {
			t.Errorf("release %q", r)
		}
	})
}

// debugLinks are what FuzzDebugFile starts from: the contents of
// .gnu_debuglink and of a section of notes.
func debugLinks() map[string][]byte {
	im := small(image{})
	return map[string][]byte{
		"link": []byte("app.debug\x00\x00\x00\x01\x02\x03\x04"), "no-sum": []byte("app.debug\x00\x00\x00\x01"), "path": []byte("../x\x00\x00\x00\x00\x01\x02\x03\x04"),
		"empty-name": []byte("\x00\x00\x00\x00\x01\x02\x03\x04"), "no-end": []byte("app.debug"),
		"notes": append(im.note("GNU\x00", 3, "\x12\x34"), im.note("Go\x00\x00", 4, "id")...),
		"note":  im.note("GNU\x00", 3, ""),
	}
}

// FuzzDebugFile looks for debug files by arbitrary links and notes.
func FuzzDebugFile(f *testing.F) {
	fuzzCorpus(f, "FuzzDebugFile", debugLinks())
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, data []byte) {
		im := small(image{})
		im.sections[smallNote-1].data = data
		im.sections = append(im.sections[:smallDebug-1], sect{name: ".gnu_debuglink", typ: elf.SHT_PROGBITS, data: data})
		file, err := NewFile(bytes.NewReader(im.bytes()))
		if err != nil {
			t.Fatal(err)
		}
		file.path = filepath.Join(dir, "none", "app")
		link, ok, err := file.debugLink()
		if ok && (err != nil || filepath.Base(link.name) != link.name || link.name == "..") {
			t.Errorf("link to %q, %v", link.name, err)
		}
		debug, how, err := FindDebugFile(file, DebugFileOptions{Dirs: []string{dir}, CacheDirs: []string{dir}})
		if debug != nil || !errors.Is(err, ErrNoDebugFile) || err.Error() == "" {
			t.Errorf("found %v by %q: %v", debug, how, err)
		}
		// A file that refers to itself has the right ID, but is not stripped.
		if err := file.checkDebugFile(file, byBuildID, nil); err == nil {
			t.Error("a file without debug information counts as a debug file")
		}
	})
}

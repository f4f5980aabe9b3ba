package symbols

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// goCommand opens the go command, or builds one for Linux where the host's is
// no ELF file. It has some 15 000 functions.
func goCommand(b *testing.B) *File {
	b.Helper()
	out, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		b.Fatal(err)
	}
	path := filepath.Join(strings.TrimSpace(string(out)), "bin", "go")
	if runtime.GOOS != "linux" {
		path = filepath.Join(b.TempDir(), "go")
		cmd := exec.Command("go", "build", "-o", path, "cmd/go")
		cmd.Env = append(cmd.Environ(), "GOOS=linux", "CGO_ENABLED=0")
		if out, err := cmd.CombinedOutput(); err != nil {
			b.Fatalf("%v\n%s", err, out)
		}
	}
	f, err := Open(path)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { f.Close() })
	return f
}

func BenchmarkOpen(b *testing.B) {
	path := goCommand(b).Path()
	b.ReportAllocs()
	for b.Loop() {
		f, err := Open(path)
		if err != nil {
			b.Fatal(err)
		}
		f.Close()
	}
}

func BenchmarkLookup(b *testing.B) {
	f := goCommand(b)
	t, err := f.symtab()
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(t.syms.stored.size + t.strs.stored.size))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := f.Lookup("net/http.(*persistConn).roundTrip"); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkLookupMissing(b *testing.B) {
	f := goCommand(b)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := f.Lookup("net/http.persistCon.roundTrip"); err == nil {
			b.Fatal("found")
		}
	}
}

func BenchmarkGlob(b *testing.B) {
	f := goCommand(b)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := f.Glob("net/http.(*persistConn).*"); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkAt(b *testing.B) {
	f := goCommand(b)
	fn, err := f.Lookup("main.main")
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := f.At(fn.Entry + 1); err != nil {
			b.Fatal(err)
		}
	}
}

// tableFile opens a Go program to read the function table of: the one that
// ARGTAP_BENCH names, stripped or not, or the go command.
func tableFile(b *testing.B) *File {
	b.Helper()
	path := os.Getenv("ARGTAP_BENCH")
	if path == "" {
		return goCommand(b)
	}
	f, err := Open(path)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { f.Close() })
	return f
}

// Each of these finds the table anew, as a program does that runs once.
func benchmarkTable(b *testing.B, do func(t *FuncTable) error) {
	f := tableFile(b)
	b.ReportAllocs()
	for b.Loop() {
		t, err := f.readTable()
		if err == nil {
			err = do(t)
		}
		if err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkTableAll(b *testing.B) {
	n := 0
	benchmarkTable(b, func(t *FuncTable) error {
		n = 0
		for _, err := range t.All() {
			if err != nil {
				return err
			}
			n++
		}
		return nil
	})
	b.ReportMetric(float64(n), "funcs")
}

func BenchmarkTableLookup(b *testing.B) {
	benchmarkTable(b, func(t *FuncTable) error {
		found, err := t.lookup("main.main")
		if err == nil && len(found) != 1 {
			err = ErrNoFunc
		}
		return err
	})
}

func BenchmarkTableAt(b *testing.B) {
	benchmarkTable(b, func(t *FuncTable) error {
		text, err := t.TextStart()
		if err == nil {
			_, err = t.At(text + 1)
		}
		return err
	})
}

func BenchmarkTableInlined(b *testing.B) {
	benchmarkTable(b, func(t *FuncTable) error {
		found, err := t.lookup("main.main")
		if err == nil && len(found) == 1 {
			_, err = t.Inlined(found[0])
		}
		return err
	})
}

func BenchmarkModuleData(b *testing.B) {
	f := tableFile(b)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := f.readModuleData(); err != nil {
			b.Fatal(err)
		}
	}
}

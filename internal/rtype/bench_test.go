package rtype

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/argtap/argtap/abi"
	"github.com/argtap/argtap/internal/fixture"
	"github.com/argtap/argtap/symbols"
)

// bigBinary is a stripped program: the one in ARGTAP_BINARY, or the toolchain's
// own go command.
func bigBinary(b *testing.B) string {
	b.Helper()
	if path := os.Getenv("ARGTAP_BINARY"); path != "" {
		return path
	}
	out, err := fixture.GoCommand("env", "GOROOT").Output()
	if err != nil {
		b.Fatal(err)
	}
	return filepath.Join(strings.TrimSpace(string(out)), "bin", "go")
}

func openData(b *testing.B, path string) (*symbols.File, *Data) {
	b.Helper()
	f, err := symbols.Open(path)
	if err != nil {
		b.Fatal(err)
	}
	d, err := Open(f, abi.ArchFor(f.GOARCH()))
	if err != nil {
		b.Fatal(err)
	}
	return f, d
}

// BenchmarkFirstMethod is what the first function of a program costs.
func BenchmarkFirstMethod(b *testing.B) {
	path := bigBinary(b)
	b.ReportAllocs()
	for b.Loop() {
		f, d := openData(b, path)
		if _, err := d.Method(d.mod.Text+16, 3); !errors.Is(err, ErrNoType) {
			b.Fatal(err)
		}
		if len(d.index.keys) == 0 {
			b.Fatal("no methods")
		}
		f.Close()
	}
}

// BenchmarkAllMethods is what all methods cost, with the first.
func BenchmarkAllMethods(b *testing.B) {
	path := bigBinary(b)
	b.ReportAllocs()
	for b.Loop() {
		f, d := openData(b, path)
		d.Method(d.mod.Text+16, 3)
		n := 0
		for i, k := range d.index.keys {
			if i > 0 && d.index.keys[i-1]>>32 == k>>32 {
				continue
			}
			if _, err := d.Method(d.mod.Text+symbols.VirtAddr(k>>32), 3); err != nil {
				b.Fatal(err)
			}
			n++
		}
		b.ReportMetric(float64(n), "methods")
		f.Close()
	}
}

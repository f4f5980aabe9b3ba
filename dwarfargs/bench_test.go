package dwarfargs

import (
	"testing"

	"github.com/argtap/argtap/symbols"
)

// BenchmarkOne is what a cold start costs: open the go command, whose DWARF is
// compressed, and read one function. Looking up the symbol is not counted.
func BenchmarkOne(b *testing.B) {
	path := goCommand(b)
	for _, name := range []string{"main.main", "cmd/go/internal/load.PackagesAndErrors", "runtime.mallocgc"} {
		b.Run(name, func(b *testing.B) {
			f, err := symbols.Open(path)
			if err != nil {
				b.Fatal(err)
			}
			defer f.Close()
			fn, err := f.Lookup(name)
			if err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			for b.Loop() {
				d, err := Open(f)
				if err != nil {
					b.Fatal(err)
				}
				if _, err := d.Func(fn, 1); err != nil {
					b.Fatal(err)
				}
				d.Close()
			}
		})
	}
}

// BenchmarkNext is what each further function costs.
func BenchmarkNext(b *testing.B) {
	f, d := open(b, goCommand(b))
	var fns []symbols.Func
	for fn, err := range f.Funcs() {
		if err != nil {
			b.Fatal(err)
		}
		if _, err := d.Func(fn, 1); err == nil {
			fns = append(fns, fn)
		}
	}
	b.ReportAllocs()
	b.ResetTimer()
	for i := 0; b.Loop(); i++ {
		if _, err := d.Func(fns[i%len(fns)], 1); err != nil {
			b.Fatal(err)
		}
	}
}

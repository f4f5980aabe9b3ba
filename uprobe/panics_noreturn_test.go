package uprobe

import (
	"testing"

	"github.com/argtap/argtap/internal/fixture"
)

// TestOnlyPanics tells functions that can end in no other way than by a panic from
// those that may not end.
func TestOnlyPanics(t *testing.T) {
	src := fixture.Source{"main.go": `package main

import "os"

type failure struct{ n, m int }

//go:noinline
func must(n int) { panic(failure{n, 1}) }

//go:noinline
func checks(xs []int, n int) int {
	if xs[n] > 3 {
		println("much")
		panic("much")
	}
	panic(xs[n+1])
}

//go:noinline
func large(n int) {
	var xs [1 << 10]int
	xs[n&7] = n
	println(&xs)
	panic(n)
}

//go:noinline
func serves(n int) {
	for {
		n++
		if println(n); n > 1<<20 {
			panic(n)
		}
	}
}

//go:noinline
func blocks(n int) {
	if n > 3 {
		panic(n)
	}
	select {}
}

//go:noinline
func waits() { select {} }

func main() {
	switch len(os.Args) {
	case 2:
		must(1)
	case 3:
		checks([]int{1}, len(os.Args))
	case 4:
		large(1)
	case 5:
		serves(1)
	case 6:
		blocks(1)
	}
	waits()
}
`}
	want := map[string]bool{
		"main.must": true, "main.checks": true, "main.large": true, "main.serves": false, "main.blocks": false, "main.waits": false,
	}
	for _, arch := range []string{"amd64", "arm64", "386"} {
		for name, flags := range map[string][]string{"": nil, "noopt": {"-gcflags=-N -l"}, "stripped": {"-ldflags=-s -w"}} {
			t.Run(arch+name, func(t *testing.T) {
				path := fixture.BuildWith(t, fixture.Toolchain{Arch: arch}, src, flags...)
				for fn, panics := range want {
					fs, err := Inspect(path, fn)
					if err != nil {
						t.Fatal(err)
					}
					f := fs[0]
					if whole := f.NoResults() == ""; whole != panics {
						t.Errorf("%s: no results %q", fn, f.NoResults())
					}
					if len(f.ReturnProbes()) > 0 {
						t.Errorf("%s: %+v", fn, f.ReturnProbes())
					}
				}
			})
		}
	}
}

package e2e

import (
	"fmt"
	"os"
	"strconv"
	"testing"

	"github.com/argtap/argtap/internal/fixture"
	"github.com/argtap/argtap/internal/matrix"
)

// More random programs than CI has: with seedVar set the tests of random programs
// have those of other seeds, programsVar of them (1 without it) for each of the cells
// of cellsVar, which are as package matrix has them (the local release for this
// machine without it). funcsVar is the number of functions of each.
const (
	seedVar  = "ARGTAP_SEED"
	cellsVar = "ARGTAP_CELLS"
	funcsVar = "ARGTAP_FUNCS"
)

// trial is a random program: what it is made from, and what builds it.
type trial struct {
	seed  uint64
	funcs int
	tc    fixture.Toolchain
	flags []string
}

func (x trial) String() string {
	if len(x.flags) > 0 {
		return fmt.Sprintf("%d%v", x.seed, x.flags)
	}
	return fmt.Sprintf("%v/%d", x.tc, x.seed)
}

// again says how to have the same program again.
func (x trial) again() string {
	return fmt.Sprintf("%s=%d %s=%v %s=%d %v", seedVar, x.seed, cellsVar, x.tc, funcsVar, x.funcs, x.flags)
}

// minor is the second number of the release that builds it.
func (x trial) minor(t *testing.T) int {
	t.Helper()
	minor, err := x.tc.Minor()
	if err != nil {
		t.Fatal(err)
	}
	return minor
}

func (x trial) build(t *testing.T, src fixture.Source) string {
	t.Helper()
	return fixture.BuildWith(t, x.tc, src, x.flags...)
}

// unoptimised reports whether each statement has its code, in its place.
func (x trial) unoptimised() bool {
	return x.tc.Flavour == fixture.Unoptimised || len(x.flags) > 0 && x.flags[0] == builds[1].flags[0]
}

// number is that of an environment variable, or another where it is not set.
func number(t *testing.T, name string, other uint64) uint64 {
	t.Helper()
	s := os.Getenv(name)
	if s == "" {
		return other
	}
	n, err := strconv.ParseUint(s, 10, 64)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return n
}

// trials are the programs that the environment asks for, of so many functions unless
// it says how many. There are none without seedVar.
func trials(t *testing.T, funcs int) (list []trial) {
	t.Helper()
	if os.Getenv(seedVar) == "" {
		return nil
	}
	seed := number(t, seedVar, 0)
	spec := os.Getenv(cellsVar)
	if spec == "" {
		spec = fixture.Toolchain{}.String()
	}
	cells, err := matrix.ParseCells(spec)
	if err != nil {
		t.Fatalf("%s: %v", cellsVar, err)
	}
	for _, c := range cells {
		tc := fixture.Toolchain{Release: c.Release, Arch: c.Arch, Flavour: c.Flavour}
		for range number(t, programsVar, 1) {
			list = append(list, trial{seed: seed, funcs: int(number(t, funcsVar, uint64(funcs))), tc: tc})
			seed++
		}
	}
	return list
}

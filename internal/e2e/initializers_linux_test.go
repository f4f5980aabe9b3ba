package e2e

import (
	"fmt"
	"testing"

	"github.com/argtap/argtap/abi"
	"github.com/argtap/argtap/internal/fixture"
	"github.com/argtap/argtap/uprobe"
)

const initializerProgram = `package main

//go:noinline
func f(a, b int) int { return a + b }

//go:noinline
func of(n int) int {
	x := f(
		f(n, 1),
		f(n, 2))
	y := map[string]int{
		"a": f(n, x),
	}
	for i := 0; i < 3; i++ {
		z := n +
			f(i, 1)
		x += z
	}
	return x + len(y)
}

//go:noinline
func loops(n int) (r int) {
	switch n {
	case 2:
		r = 1
	default:
		for j := range n {
			r = f(r, 1)
			r += j
		}
	}
	for k := f(
		n, 1); k > 0; k-- {
		for m := 0; m < f(k, m); m += f(
			1,
			2) {
			if r > 3 {
				break
			}
			z := f(
				f(k, 1), m)
			r += z
		}
	}
	return r
}

func main() { println(of(2), loops(3)) }
`

// TestInitializers: a variable has no value in the lines of its own initializer, where
// debug information has it in scope already.
func TestInitializers(t *testing.T) {
	path := fixture.Build(t, fixture.Source{"main.go": initializerProgram}, "-gcflags=all=-N -l")
	for line, want := range map[int]map[string]bool{ // whether the variable has a value
		9: {"n": true, "x": false}, 10: {"x": false}, 12: {"x": true, "y": false},
		14: {"x": true, "y": true}, 16: {"x": true, "y": true, "i": true, "z": false}, 17: {"i": true, "z": true}, 19: {"x": true, "y": true},
		// The code with which a loop ends is of its first line, too.
		29: {"j": true}, 30: {"j": true}, 35: {"k": true}, 38: {"k": true, "m": true}, 39: {"k": true, "m": true},
		42: {"k": true, "m": true, "z": false}, 43: {"k": true, "m": true, "z": true},
	} {
		funcs, err := uprobe.Inspect(path, fmt.Sprintf("main.go:%d", line))
		if err != nil || len(funcs) == 0 {
			t.Errorf("line %d: %v", line, err)
			continue
		}
		for _, f := range funcs {
			found := 0
			for _, p := range f.Params() {
				has, asked := want[p.Name]
				if !asked {
					continue
				}
				found++
				why, absent := p.Absent()
				if absent == has || absent && why != abi.Unassigned.String() {
					t.Errorf("line %d: %s: absent %t: %s", line, p.Name, absent, why)
				}
			}
			if found != len(want) {
				t.Errorf("line %d: %d of %d variables", line, found, len(want))
			}
		}
	}
}

package uprobe

import (
	"testing"

	"github.com/argtap/argtap/abi"
	"github.com/argtap/argtap/internal/fixture"
	"github.com/argtap/argtap/internal/probegen"
)

// TestWitnesses finds the functions of the runtime that tell of panics, with and
// without debug information, and where the value of a panic and the chain of panics
// are.
func TestWitnesses(t *testing.T) {
	src := fixture.Source{"main.go": "package main\n\nimport \"runtime\"\n\nfunc main() { defer func() { recover(); runtime.Goexit() }(); panic(1) }\n"}
	for _, arch := range []string{"amd64", "arm64", "386"} {
		for name, flags := range map[string][]string{"": nil, "stripped": {"-ldflags=-s -w"}} {
			t.Run(arch+name, func(t *testing.T) {
				b, o, err := openBinary(fixture.BuildWith(t, fixture.Toolchain{Arch: arch}, src, flags...), []Option{WithResults()})
				if err != nil {
					t.Fatal(err)
				}
				defer b.close()
				found := b.findWitnesses(o)
				roles := map[probegen.Role]bool{}
				for _, w := range found {
					roles[w.role] = true
					if w.panics == nil {
						t.Errorf("%s: the chain of panics is not known", w.fn.name)
					}
					if f := w.fn; f.plan.Pair == 0 || f.plan.Goroutine == 0 || f.sites.Grow != nil || f.sites.Repeats != nil {
						t.Errorf("%s: plan %+v, sites %+v", f.name, f.plan, f.sites)
					}
				}
				if len(found) != 4 || len(roles) != 4 {
					t.Errorf("%d witnesses of roles %v", len(found), roles)
				}
				f := panicsOf(found)
				if f == nil {
					t.Fatal("nothing tells of panics")
				}
				p := &f.plan.Params[0]
				if f.plan.Walk == nil || len(p.Image.Holes) > 0 || p.Image.Size != 2*b.arch.PtrSize || p.Image.Type.Kind != abi.Interface {
					t.Errorf("parameter %+v, image %+v", p, p.Image)
				}
				b.findDynamic(o)
				if !b.walkTypes.HasDynamic() {
					t.Error("the types of values are not known")
				}
			})
		}
	}
}

package probegen_test

import (
	"fmt"
	"testing"

	"github.com/argtap/argtap/abi"
	"github.com/argtap/argtap/internal/goruntime"
	"github.com/argtap/argtap/internal/probegen"
)

// TestVerifierAcceptsPanics loads the programs of the beginning of a panic and of its
// recovery for the layouts of all releases, with the value captured as the kernel
// can.
func TestVerifierAcceptsPanics(t *testing.T) {
	l := newLoader(t)
	for _, a := range targets() {
		for _, v := range l.variants() {
			t.Run(fmt.Sprintf("%s/%v", a.GOARCH, v), func(t *testing.T) {
				value := planCase{arch: a, params: []*abi.Type{{Name: "interface {}", Kind: abi.Interface, Size: 2 * a.PtrSize, Align: a.PtrSize}}}
				value.limits.NoLoops, value.limits.Pair = v.noLoops, true
				f := value.fn(1)
				if !v.noLoops {
					funcs, types := walks(a, []planCase{value}, true)
					l.walkMaps(t, types)
					f = funcs[0]
				}
				f.CFA = a.PtrSize
				for minor := 10; minor <= goruntime.Newest; minor++ { // of the first nothing is known
					if layout, ok := goruntime.Panics(minor, int(a.PtrSize)); ok {
						f.Panics = &layout
					}
					for _, role := range []probegen.Role{probegen.RolePanic, probegen.RoleUnwound} {
						ins, err := probegen.Entry([]probegen.Func{whole(f, role)}, v.options(l))
						if err != nil {
							t.Fatal(err)
						}
						p, err := l.load(ins, v.sleepable)
						if err != nil {
							t.Fatalf("go1.%d, role %d: %+v", minor, role, err)
						}
						p.Close()
					}
				}
			})
		}
	}
}

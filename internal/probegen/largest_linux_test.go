package probegen_test

import (
	"fmt"
	"testing"

	"github.com/cilium/ebpf"

	"github.com/argtap/argtap/abi"
	"github.com/argtap/argtap/internal/capture"
	"github.com/argtap/argtap/internal/probegen"
)

// complexity is the kernel's bound on the instructions that the verifier looks
// at (BPF_COMPLEXITY_LIMIT_INSNS), less what another kernel may need more.
const complexity = 1_000_000 / 4

// verify loads the program for functions, and returns how many instructions it
// has and how many the verifier looked at.
func (l *loader) verify(t *testing.T, v variant, funcs ...probegen.Func) (size int, verified uint32) {
	t.Helper()
	ins, err := probegen.Entry(funcs, v.options(l))
	if err != nil {
		t.Fatal(err)
	}
	p, err := l.load(ins, v.sleepable)
	if err != nil {
		t.Fatalf("%+v", err)
	}
	defer p.Close()
	info, err := p.Info()
	if err != nil {
		t.Fatal(err)
	}
	verified, _ = info.VerifiedInstructions()
	if verified > complexity {
		t.Errorf("%d instructions verified", verified)
	}
	return len(ins), verified
}

// TestVerifierAcceptsLargest loads the largest plans that the limits allow.
func TestVerifierAcceptsLargest(t *testing.T) {
	l := newLoader(t)
	for _, a := range targets() {
		for _, tt := range largestPlans() {
			for _, v := range l.variants() {
				t.Run(fmt.Sprintf("%s/%s/%v", a.GOARCH, tt.name, v), func(t *testing.T) {
					tt.arch, tt.limits.NoLoops = a, v.noLoops
					f := tt.fn(0)
					if a == abi.AMD64 {
						f.G = probegen.G{Kind: probegen.GThread, TLS: -8}
					}
					size, verified := l.verify(t, v, f)
					t.Logf("%d instructions, %d verified; %d references, %d bytes and more", size, verified, countSlots(f.Plan), f.Plan.Fixed)
				})
			}
		}
	}
}

// TestVerifierAcceptsLargestWalk loads the largest walk, with the largest type
// table.
func TestVerifierAcceptsLargestWalk(t *testing.T) {
	l := newLoader(t)
	for _, a := range targets() {
		f, types := largestWalk(t, a)
		for _, cpus := range []int{l.cpus, 200} {
			l2 := *l
			l2.cpus, l2.maps = cpus, map[string]*ebpf.Map{}
			for k, m := range l.maps {
				l2.maps[k] = m
			}
			l2.walkMaps(t, types)
			for _, v := range l.variants() {
				if v.noLoops {
					continue
				}
				funcs := []probegen.Func{f}
				if l.cookies {
					for i := range uint32(3) { // others of the same table
						g := f
						g.ID, g.Cookie = 1+i, 1+i
						funcs = append(funcs, g)
					}
				}
				size, verified := l2.verify(t, v, funcs...)
				n, rows := types.Len()
				t.Logf("%s, %v, %d CPUs: %d instructions, %d verified; %d types, %d rows, %d bytes of parameters",
					a.GOARCH, v, cpus, size, verified, n, rows, f.Plan.Fixed-capture.WalkHeaderSize)
			}
		}
	}
}

// TestVerifierAcceptsRandomWalks loads random walks, most of which erase
// something.
func TestVerifierAcceptsRandomWalks(t *testing.T) {
	l := newLoader(t)
	rounds := 60
	if testing.Short() {
		rounds = 15
	}
	var most uint32
	for seed := range rounds {
		r := newRandom(uint64(seed), targets()[seed%len(targets())])
		v := pick(r, l.variants()...)
		if v.noLoops {
			continue
		}
		limits := pick(r, capture.Limits{}, largestLimits())
		limits.Redact = r.walkRedaction()
		types := capture.NewTypes(r.arch, limits)
		memo := map[*abi.Type]*abi.Type{}
		var funcs []probegen.Func
		for id := range pick(r, 1, 4) {
			if id == 0 || l.cookies {
				f := r.walkFn(uint32(id), types, limits, memo)
				f.Mark = probegen.NoMark
				funcs = append(funcs, f)
			}
		}
		d := dynamics(r.arch)
		for _, k := range dynamicKeys {
			types.AddDynamic(k, d[k], d[k].Kind == abi.Pointer)
		}
		l2 := *l
		l2.maps = map[string]*ebpf.Map{}
		for k, m := range l.maps {
			l2.maps[k] = m
		}
		l2.walkMaps(t, types)
		_, n := l2.verify(t, v, funcs...)
		most = max(most, n)
	}
	t.Logf("at most %d instructions verified", most)
}

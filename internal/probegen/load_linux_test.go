package probegen_test

import (
	"errors"
	"fmt"
	"os"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/rlimit"

	"github.com/argtap/argtap/internal/capture"
	"github.com/argtap/argtap/internal/probegen"
)

const sleepableFlag = 1 << 4 // BPF_F_SLEEPABLE

// loader loads generated programs, to hear what the verifier says of them.
type loader struct {
	maps map[string]*ebpf.Map
	cpus int
}

func newLoader(t *testing.T) *loader {
	t.Helper()
	if os.Geteuid() != 0 {
		if os.Getenv("CI") != "" {
			t.Fatal("must run as root")
		}
		t.Skip("loading programs needs root")
	}
	if err := rlimit.RemoveMemlock(); err != nil {
		t.Fatal(err)
	}
	cpus, err := ebpf.PossibleCPU()
	if err != nil {
		t.Fatal(err)
	}
	l := &loader{maps: map[string]*ebpf.Map{}, cpus: cpus}
	for name, spec := range map[string]*ebpf.MapSpec{
		probegen.MapCalls:   {Type: ebpf.RingBuf, MaxEntries: 64 << 10},
		probegen.MapScratch: {Type: ebpf.Array, KeySize: 4, ValueSize: uint32(probegen.ScratchSize(cpus)), MaxEntries: 1},
		probegen.MapLosses:  {Type: ebpf.Array, KeySize: 4, ValueSize: probegen.LossesSize, MaxEntries: 1},
		probegen.MapGrown:   {Type: ebpf.LRUHash, KeySize: probegen.RepeatKeySize, ValueSize: 1, MaxEntries: 64},
		probegen.MapRepeats: {Type: ebpf.Hash, KeySize: probegen.RepeatKeySize, ValueSize: 1, MaxEntries: 16},
	} {
		m, err := ebpf.NewMap(spec)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { m.Close() })
		l.maps[name] = m
	}
	return l
}

func (l *loader) load(ins asm.Instructions, sleepable bool) (*ebpf.Program, error) {
	for name, m := range l.maps {
		if err := ins.AssociateMap(name, m); err != nil && !errors.Is(err, asm.ErrUnreferencedSymbol) {
			return nil, err
		}
	}
	spec := &ebpf.ProgramSpec{
		Type: ebpf.Kprobe, AttachType: ebpf.AttachTraceUprobeMulti,
		License: probegen.License, Instructions: ins,
	}
	if sleepable {
		spec.Flags = sleepableFlag
	}
	return ebpf.NewProgram(spec)
}

func TestVerifierAccepts(t *testing.T) {
	l := newLoader(t)
	for _, tt := range plans() {
		for _, sleepable := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/sleepable=%t", tt.name, sleepable), func(t *testing.T) {
				f := tt.fn(0)
				o := probegen.Options{CPUs: l.cpus, Sleepable: sleepable, PID: 1}
				ins, err := probegen.Entry([]probegen.Func{f}, o)
				if err != nil {
					t.Fatal(err)
				}
				p, err := l.load(ins, sleepable)
				if err != nil {
					t.Fatalf("%+v", err)
				}
				defer p.Close()
				info, err := p.Info()
				if err != nil {
					t.Fatal(err)
				}
				n, _ := info.VerifiedInstructions()
				t.Logf("%d instructions, %d verified, load %v", len(ins), n, f.Plan.MaxRecord)
			})
		}
	}
}

func TestVerifierAcceptsBundle(t *testing.T) {
	l := newLoader(t)
	var funcs []probegen.Func
	for i, tt := range plans() {
		funcs = append(funcs, tt.fn(uint32(i)))
	}
	ins, err := probegen.Entry(funcs, probegen.Options{CPUs: l.cpus, Sleepable: true})
	if err != nil {
		t.Fatal(err)
	}
	p, err := l.load(ins, true)
	if err != nil {
		t.Fatalf("%+v", err)
	}
	p.Close()
	for cond := probegen.Cond(0); cond < 16; cond++ {
		f := funcs[0]
		f.Mark, f.Skip = probegen.Mark(cond%4), cond
		ins, err := probegen.Entry([]probegen.Func{f}, probegen.Options{CPUs: l.cpus})
		if err != nil {
			t.Fatal(err)
		}
		p, err := l.load(ins, false)
		if err != nil {
			t.Fatalf("entry, skip %d: %+v", cond, err)
		}
		p.Close()
		ins, err = probegen.BackEdge(f, cond, probegen.Options{CPUs: l.cpus})
		if err != nil {
			t.Fatal(err)
		}
		p, err = l.load(ins, false)
		if err != nil {
			t.Fatalf("back edge, cond %d: %+v", cond, err)
		}
		p.Close()
	}
}

// TestVerifierAcceptsRandom loads random programs. The kernel must accept
// whatever the limits allow: a rejection in the field is a function that cannot
// be traced.
func TestVerifierAcceptsRandom(t *testing.T) {
	l := newLoader(t)
	rounds := 200
	if testing.Short() {
		rounds = 50
	}
	var most, refs uint32
	for seed := range rounds {
		r := newRandom(uint64(seed))
		var funcs []probegen.Func
		for id := range pick(r, 1, 1, 1, 4) {
			f := r.fn(uint32(id))
			if seed%4 == 0 {
				f = r.heavy(uint32(id))
			}
			f.Mark = pick(r, probegen.NoMark, probegen.NoMark, probegen.Mark(r.IntN(4)))
			funcs = append(funcs, f)
			refs = max(refs, uint32(countSlots(f.Plan)))
		}
		sleepable := r.one(2)
		o := probegen.Options{CPUs: l.cpus, Sleepable: sleepable, PID: pick[uint32](r, 0, 1)}
		ins, err := probegen.Entry(funcs, o)
		if err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		p, err := l.load(ins, sleepable)
		if err != nil {
			t.Errorf("seed %d: %s\n%+v", seed, describe(&funcs[0]), err)
			continue
		}
		if info, err := p.Info(); err == nil {
			n, _ := info.VerifiedInstructions()
			most = max(most, n)
		}
		p.Close()
	}
	t.Logf("at most %d references followed, %d instructions verified", refs, most)
}

// countSlots counts the references that a program follows.
func countSlots(p *capture.Plan) int {
	n := 0
	var count func(m *capture.Image)
	count = func(m *capture.Image) {
		for i := range m.Refs {
			if m.Refs[i].Slot >= 0 {
				n++
				count(m.Refs[i].Elem)
			}
		}
	}
	for i := range p.Params {
		count(p.Params[i].Image)
	}
	return n
}

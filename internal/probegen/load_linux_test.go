package probegen_test

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/features"
	"github.com/cilium/ebpf/rlimit"

	"github.com/argtap/argtap/abi"
	"github.com/argtap/argtap/internal/capture"
	"github.com/argtap/argtap/internal/probegen"
)

// loadFuncs is how many functions the maps of a loader have room for.
const loadFuncs = 64

const sleepableFlag = 1 << 4 // BPF_F_SLEEPABLE

// loader loads generated programs, to hear what the verifier says of them.
type loader struct {
	maps map[string]*ebpf.Map
	cpus int
	// What this kernel has. Nothing is skipped where something is missing:
	// then it is the programs that do without it that must load.
	multi, sleepable, loops, atomics, cookies bool
	// limits are those of all programs.
	limits probegen.Limits
}

func newLoader(t *testing.T) *loader {
	t.Helper()
	cpus, err := ebpf.PossibleCPU()
	if err != nil {
		t.Fatal(err)
	}
	return newLoaderFor(t, cpus)
}

// newLoaderFor is a loader for programs of a machine with any number of CPUs.
func newLoaderFor(t *testing.T, cpus int) *loader {
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
	elements, size := probegen.Scratch(cpus)
	l := &loader{maps: map[string]*ebpf.Map{}, cpus: cpus}
	for name, spec := range map[string]*ebpf.MapSpec{
		probegen.MapCalls:   {Type: ebpf.RingBuf, MaxEntries: 64 << 10},
		probegen.MapScratch: {Type: ebpf.Array, KeySize: 4, ValueSize: uint32(size), MaxEntries: uint32(elements)},
		probegen.MapLosses:  {Type: ebpf.PerCPUArray, KeySize: 4, ValueSize: probegen.LossesSize, MaxEntries: loadFuncs},
		probegen.MapGates:   {Type: ebpf.Array, KeySize: 4, ValueSize: loadFuncs * probegen.GateSize, MaxEntries: 1},
		probegen.MapBudget:  {Type: ebpf.PerCPUArray, KeySize: 4, ValueSize: probegen.BudgetSize, MaxEntries: 1},
		probegen.MapGrown:   {Type: ebpf.LRUHash, KeySize: probegen.RepeatKeySize, ValueSize: 1, MaxEntries: 64},
		probegen.MapOpen:    {Type: ebpf.Hash, KeySize: probegen.OpenKeySize, ValueSize: probegen.OpenSize, MaxEntries: 64},
		probegen.MapSlots:   {Type: ebpf.Array, KeySize: 4, ValueSize: uint32(loadSlots * probegen.SlotSize(probegen.MaxKept+1)), MaxEntries: 1},
		probegen.MapLater:   {Type: ebpf.Array, KeySize: 4, ValueSize: 8, MaxEntries: 1},
		probegen.MapRepeats: {Type: ebpf.Hash, KeySize: probegen.RepeatKeySize, ValueSize: 1, MaxEntries: 16},
	} {
		m, err := ebpf.NewMap(spec)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { m.Close() })
		l.maps[name] = m
	}
	try := func(ins asm.Instructions, sleepable bool) bool {
		p, err := l.load(ins, sleepable)
		if err != nil {
			return false
		}
		p.Close()
		return true
	}
	empty := asm.Instructions{asm.Mov.Imm(asm.R0, 0), asm.Return()}
	if !try(empty, false) {
		t.Fatal("the kernel does not even load an empty program")
	}
	l.multi = features.HaveBPFLinkUprobeMulti() == nil
	l.loops = features.HaveProgramHelper(ebpf.Kprobe, asm.FnLoop) == nil
	l.cookies = features.HaveProgramHelper(ebpf.Kprobe, asm.FnGetAttachCookie) == nil
	l.atomics = try(probegen.AtomicsProgram(), false)
	l.sleepable = l.atomics && try(empty, true)
	t.Logf("multi %t, sleepable %t, loops %t, atomics %t, cookies %t", l.multi, l.sleepable, l.loops, l.atomics, l.cookies)
	return l
}

func (l *loader) load(ins asm.Instructions, sleepable bool) (*ebpf.Program, error) {
	for name, m := range l.maps {
		if err := ins.AssociateMap(name, m); err != nil && !errors.Is(err, asm.ErrUnreferencedSymbol) {
			return nil, err
		}
	}
	spec := &ebpf.ProgramSpec{Type: ebpf.Kprobe, License: probegen.License, Instructions: ins}
	if l.multi {
		spec.AttachType = ebpf.AttachTraceUprobeMulti
	}
	if sleepable {
		spec.Flags = sleepableFlag
	}
	return ebpf.NewProgram(spec)
}

// variant is a kernel for which programs are generated: this one, or an older.
type variant struct{ sleepable, noAtomics, noLoops bool }

func (v variant) String() string {
	return fmt.Sprintf("sleepable=%t,atomics=%t,loops=%t", v.sleepable, !v.noAtomics, !v.noLoops)
}

// loadSlots is how many slots there are where the kernel can have any.
const loadSlots = 64

func (v variant) options(l *loader) probegen.Options {
	o := probegen.Options{CPUs: l.cpus, Sleepable: v.sleepable, NoAtomics: v.noAtomics, ThreadBase: 4936, ThreadStack: l.multi, Limits: l.limits}
	if !v.noAtomics {
		o.Slots = loadSlots
	}
	return o
}

// variants are those whose programs this kernel must load.
func (l *loader) variants() []variant {
	all := []variant{{noAtomics: true, noLoops: true}}
	if l.atomics {
		all = append(all, variant{noLoops: true})
	}
	if l.loops {
		all = append(all, variant{noAtomics: true})
	}
	if l.atomics && l.loops {
		all = append(all, variant{})
	}
	if l.sleepable {
		all = append(all, variant{sleepable: true, noLoops: true})
	}
	if l.sleepable && l.loops {
		all = append(all, variant{sleepable: true})
	}
	return all
}

// targets are the architectures whose programs this machine runs.
func targets() []*abi.Arch {
	if runtime.GOARCH == "arm64" {
		return []*abi.Arch{abi.ARM64}
	}
	return []*abi.Arch{abi.AMD64, abi.I386}
}

func TestVerifierAccepts(t *testing.T) {
	l := newLoader(t)
	for _, a := range targets() {
		for _, tt := range plans() {
			for _, v := range l.variants() {
				t.Run(fmt.Sprintf("%s/%s/%v", a.GOARCH, tt.name, v), func(t *testing.T) {
					tt.arch, tt.limits.NoLoops = a, v.noLoops
					f := tt.fn(0)
					o := v.options(l)
					o.PID = 1
					ins, err := probegen.Entry([]probegen.Func{f}, o)
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
					n, _ := info.VerifiedInstructions()
					t.Logf("%d instructions, %d verified, load %v", len(ins), n, f.Plan.MaxRecord)
				})
			}
		}
	}
}

func TestVerifierAcceptsBundle(t *testing.T) {
	l := newLoader(t)
	for _, a := range targets() {
		for _, v := range l.variants() {
			var funcs []probegen.Func
			for i, tt := range plans() {
				tt.arch, tt.limits.NoLoops = a, v.noLoops
				funcs = append(funcs, tt.fn(uint32(i)))
			}
			ins, err := probegen.Entry(funcs, v.options(l))
			if err != nil {
				t.Fatal(err)
			}
			p, err := l.load(ins, v.sleepable)
			switch {
			case err != nil && l.cookies:
				t.Fatalf("%s, %v: %+v", a.GOARCH, v, err)
			case err == nil && !l.cookies:
				t.Error("a program that asks for its cookie, though the kernel has none")
			}
			if err == nil {
				p.Close()
			}
		}
		testMarks(t, l, a)
	}
}

// TestVerifierAcceptsManyCPUs loads what runs on machines with more CPUs than
// one array element has room for.
func TestVerifierAcceptsManyCPUs(t *testing.T) {
	l := newLoaderFor(t, 200)
	for _, v := range l.variants() {
		for _, tt := range plans() {
			tt.arch, tt.limits.NoLoops = targets()[0], v.noLoops
			ins, err := probegen.Entry([]probegen.Func{tt.fn(0)}, v.options(l))
			if err != nil {
				t.Fatal(err)
			}
			p, err := l.load(ins, v.sleepable)
			if err != nil {
				t.Errorf("%s, %v: %+v", tt.name, v, err)
				continue
			}
			p.Close()
		}
	}
}

// testMarks loads programs with each condition, and with marks of each kind.
func testMarks(t *testing.T, l *loader, a *abi.Arch) {
	for i := range probegen.Cond(17) {
		f := planCase{arch: a}.fn(0)
		cond := firstCond(a) + i
		if i == 16 {
			cond = probegen.Always
		}
		f.Skip = cond
		if f.Mark = probegen.Mark(i % 4); f.Mark != probegen.SkipRepeat && !a.HasG {
			f.Mark = probegen.NoMark
		}
		f.Resume = probegen.Resume{SchedPC: 64, Behind: 0x91}
		if a == abi.AMD64 && i%3 == 0 {
			f.G = probegen.G{Kind: probegen.GThread, TLS: -8}
		}
		o := probegen.Options{CPUs: l.cpus, ThreadBase: 4936}
		entry, err := probegen.Entry([]probegen.Func{f}, o)
		if err != nil {
			t.Fatal(err)
		}
		taken := probegen.Taken{Cond: cond}
		if i%5 == 0 {
			taken = probegen.Taken{Cond: probegen.Never, Test: probegen.Test{Reg: a.SP, Mask: 1 << (2 * i), Zero: i%2 == 0}}
		}
		edge, err := probegen.BackEdge(f, taken, o)
		if err != nil {
			t.Fatal(err)
		}
		for what, ins := range map[string]asm.Instructions{"entry": entry, "back edge": edge} {
			p, err := l.load(ins, false)
			if err != nil {
				t.Fatalf("%s: %s, condition %#x: %+v", a.GOARCH, what, cond, err)
			}
			p.Close()
		}
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
		r := newRandom(uint64(seed), targets()[seed%len(targets())])
		v := pick(r, l.variants()...)
		r.noLoops = v.noLoops
		var funcs []probegen.Func
		n := 1
		if l.cookies {
			n = pick(r, 1, 1, 1, 4)
		}
		for id := range n {
			f := r.fn(uint32(id))
			if seed%4 == 0 {
				f = r.heavy(uint32(id))
				if r.arch == abi.AMD64 {
					f.G = probegen.G{Kind: probegen.GThread, TLS: -8} // takes stack
				}
			}
			if f.Mark = probegen.Mark(r.IntN(8)); f.Mark > probegen.SkipGrown {
				f.Mark = probegen.NoMark
			}
			grown := f.Mark == probegen.SetGrown || f.Mark == probegen.SkipGrown
			if grown && f.G.Kind != probegen.GThread && (!r.arch.HasG || f.G.Reg != r.arch.G) {
				f.Mark = probegen.SkipRepeat
			}
			funcs = append(funcs, f)
			refs = max(refs, uint32(countSlots(f.Plan)))
		}
		o := v.options(l)
		o.PID = pick[uint32](r, 0, 1)
		ins, err := probegen.Entry(funcs, o)
		if err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		p, err := l.load(ins, v.sleepable)
		if err != nil {
			t.Errorf("seed %d, %s, %v: %s\n%+v", seed, r.arch.GOARCH, v, describe(&funcs[0]), err)
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

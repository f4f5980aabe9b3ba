package probegen_test

import (
	"encoding/binary"
	"fmt"
	"testing"

	"github.com/argtap/argtap/abi"
	"github.com/argtap/argtap/internal/bpfsim"
	"github.com/argtap/argtap/internal/capture"
	"github.com/argtap/argtap/internal/probegen"
)

// pointerShape is the type of pointers in code that is shared by all of them.
var pointerShape = &abi.Type{Name: "go.shape.*uint8", Kind: abi.Pointer, Size: 8, Align: 8}

// Dictionaries of the instances of generics, as the binary states their addresses.
const (
	dictInts  = 0x50_0000
	dictNodes = 0x50_0040
	dictOther = 0x50_0080
)

// generic is a function with two parameters whose types its dictionary has, and the
// plans of two instances: with pointers to int and to node.
func generic(a *abi.Arch, walk bool) (f probegen.Func, types *capture.Types, plans map[uint64]*capture.Plan) {
	memo := map[*abi.Type]*abi.Type{}
	of := func(t *abi.Type) *abi.Type {
		if a == abi.I386 {
			return on386(t, memo)
		}
		return t
	}
	sig := &abi.Signature{Dict: abi.DictFirst, Params: []abi.Param{{Name: "p", Type: of(pointerShape)}, {Name: "n", Type: of(tInt)}}}
	assign := abi.Internal
	if a == abi.I386 {
		assign = abi.Stack
	}
	as, err := assign(a, sig)
	if err != nil {
		panic(err)
	}
	var in []capture.Input
	for i, p := range sig.Params {
		in = append(in, capture.Input{Name: p.Name, Type: p.Type, Location: as.Params[i].AtEntry()})
	}
	in = append(in, capture.Input{Name: ".dict", Location: as.Dict.AtEntry(), Dict: true})
	f = planCase{name: "generic", arch: a}.fn(3)
	goid := f.Plan.Goroutine
	f.Site, f.Dict = walkSite, as.Dict.AtEntry()
	types = capture.NewTypes(a, capture.Limits{})
	plans = map[uint64]*capture.Plan{}
	build := func(in []capture.Input) *capture.Plan {
		if walk {
			return capture.BuildWalk(a, in, capture.Limits{}, types)
		}
		return capture.Build(a, in, capture.Limits{})
	}
	f.Plan = build(in)
	f.Plan.Goroutine = goid
	for dict, t := range map[uint64]*abi.Type{dictInts: pointer(tInt), dictNodes: pointer(node())} {
		plans[dict] = build(capture.Retyped(in, []*abi.Type{of(t), nil}))
	}
	return f, types, plans
}

// enterInstances gives the machine the map of instances.
func enterInstances(m *bpfsim.Machine, f *probegen.Func, plans map[uint64]*capture.Plan) {
	h := &bpfsim.Hash{KeySize: probegen.InstanceKeySize, ValueSize: probegen.InstanceSize, MaxEntries: 64, Entries: map[string][]byte{}}
	for dict, p := range plans {
		if p.Walk == nil {
			continue
		}
		key := make([]byte, probegen.InstanceKeySize)
		binary.LittleEndian.PutUint64(key[probegen.InstanceDict:], dict)
		binary.LittleEndian.PutUint64(key[probegen.InstanceFunc:], uint64(f.ID))
		value := make([]byte, probegen.InstanceSize)
		binary.LittleEndian.PutUint32(value[probegen.InstanceFirst:], p.Walk.First)
		binary.LittleEndian.PutUint32(value[probegen.InstanceRows:], p.Walk.Rows)
		h.Entries[string(key)] = value
	}
	m.Hashes[probegen.MapInstances] = h
}

// TestDictionary: the record says which dictionary a call had, and a walk follows
// what that says.
func TestDictionary(t *testing.T) {
	for _, a := range []*abi.Arch{abi.AMD64, abi.ARM64, abi.I386} {
		for _, walk := range []bool{false, true} {
			for _, only := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s/walk=%t/only=%t", a.GOARCH, walk, only), func(t *testing.T) { testDictionary(t, a, walk, only) })
			}
		}
	}
}

func testDictionary(t *testing.T, a *abi.Arch, walk, only bool) {
	f, types, plans := generic(a, walk)
	if only {
		f.Dicts = []uint64{dictNodes, dictOther}
	}
	p := load(t, []probegen.Func{f}, probegen.Options{CPUs: simCPUs, Sleepable: walk})
	m := newMachine(1 << 20)
	enterWalk(m, types)
	enterInstances(m, &f, plans)
	mem := bpfsim.NewMemory()
	if a == abi.I386 {
		mem = bpfsim.NewMemoryAt(0x9000_0000)
	}
	ptr := uint64(a.PtrSize)
	next := mem.Alloc(64, 8)
	obj := mem.Alloc(64, 8) // a node without name
	word := func(addr, v uint64) {
		var b [8]byte
		binary.LittleEndian.PutUint64(b[:], v)
		mem.Put(addr, b[:ptr])
	}
	word(obj, 42)
	word(obj+3*ptr, next)
	word(next, 43)
	sp := mem.Alloc(256, 8)
	for _, tt := range []struct {
		name    string
		dict    uint64 // in the target
		unread  bool
		objects int // that a walk finds
		wanted  bool
	}{
		{"ints", dictInts + walkBias, false, 1, false},
		{"nodes", dictNodes + walkBias, false, 2, true},
		{"unknown", dictOther + walkBias, false, 0, true},
		{"elsewhere", dictNodes, false, 0, false},
		{"beside", dictNodes + walkBias + 8, false, 0, false},
		{"nil", 0, false, 0, false},
		{"all ones", ^uint64(0), false, 0, false},
		{"unreadable", dictNodes + walkBias, true, 0, true},
	} {
		if tt.unread && a != abi.I386 {
			continue // it is in a register
		}
		t.Run(tt.name, func(t *testing.T) {
			dict := tt.dict
			if ptr == 4 {
				dict = uint64(uint32(dict))
			}
			h := &hit{arch: a, regs: map[abi.Reg]uint64{a.SP: sp}, mem: mem, pc: walkSite + walkBias, pid: 1, tid: 2}
			if a == abi.I386 {
				word(sp+4, dict)
				word(sp+8, obj)
				word(sp+12, 7)
			} else {
				h.regs[a.Ints[0]], h.regs[a.Ints[1]], h.regs[a.Ints[2]] = dict, obj, 7
			}
			if tt.unread {
				h.regs[a.SP] = 0x1000
			}
			h.enter(m)
			m.PID, m.TID = h.pid, h.tid
			if _, err := m.Run(p); err != nil {
				t.Fatal(err)
			}
			got := m.Ring.Take()
			if want := !only || tt.wanted; len(got) != map[bool]int{true: 1}[want] {
				t.Fatalf("%d records, wanted: %t", len(got), want)
			}
			if len(got) == 0 {
				return
			}
			rec := got[0]
			failed := binary.LittleEndian.Uint64(rec[capture.OffFailed:])&(1<<f.Plan.Dict.Bit) != 0
			if failed != tt.unread {
				t.Fatalf("the dictionary could not be read: %t", failed)
			}
			if failed {
				return
			}
			want := dict - walkBias
			if ptr == 4 {
				want = uint64(uint32(want))
			}
			if d := binary.LittleEndian.Uint64(rec[f.Plan.Dict.Offset:]); d != want {
				t.Errorf("the dictionary is at %#x, want %#x", d, want)
			}
			if v := binary.LittleEndian.Uint32(rec[f.Plan.Params[1].Offset:]); v != 7 {
				t.Errorf("n is %d, want 7", v)
			}
			if !walk {
				return
			}
			objects := 0
			for at := f.Plan.Fixed; at < len(rec); objects++ {
				id := binary.LittleEndian.Uint32(rec[at+capture.ObjectType:]) & (1<<capture.ObjectTypeBits - 1)
				n := binary.LittleEndian.Uint32(rec[at+capture.ObjectCount:])
				at += capture.ObjectHeader + int(capture.Align8(int64(n)*types.Image(id).Size))
			}
			if objects != tt.objects {
				t.Errorf("%d objects, want %d", objects, tt.objects)
			}
			if objects > 0 && binary.LittleEndian.Uint64(rec[f.Plan.Fixed+capture.ObjectAddr:]) != obj {
				t.Error("the first object is not what the parameter leads to")
			}
		})
	}
}

func TestDictionaryRefused(t *testing.T) {
	f, _, _ := generic(abi.AMD64, false)
	f.Dicts = []uint64{dictInts}
	for _, tt := range []struct {
		name   string
		change func(*probegen.Func)
	}{
		{"no place", func(f *probegen.Func) { f.Dict = nil }},
		{"two places", func(f *probegen.Func) { f.Dict = append(f.Dict, f.Dict...) }},
		{"half a word", func(f *probegen.Func) { f.Dict[0].Size = 4 }},
		{"in a float register", func(f *probegen.Func) { f.Dict[0].Reg = abi.AMD64.Floats[0] }},
		{"too many", func(f *probegen.Func) { f.Dicts = make([]uint64, probegen.MaxDicts+1) }},
	} {
		g := f
		g.Dict = append(abi.Location{}, f.Dict...)
		tt.change(&g)
		if _, err := probegen.Entry([]probegen.Func{g}, probegen.Options{CPUs: 1}); err == nil {
			t.Errorf("%s: no error", tt.name)
		}
	}
}

package probegen_test

import (
	"encoding/binary"
	"fmt"
	"slices"
	"testing"

	"github.com/argtap/argtap/abi"
	"github.com/argtap/argtap/internal/bpfsim"
	"github.com/argtap/argtap/internal/capture"
	"github.com/argtap/argtap/internal/probegen"
)

// whoseOptions are options that select processes.
func whoseOptions(sleepable bool) map[string]probegen.Options {
	all := map[string]probegen.Options{
		"pids":          {PIDs: []uint32{77, 5, 4194303, 6, 5}},
		"namespace":     {Namespace: probegen.Namespace{Dev: 4, Ino: 1<<32 + 5}},
		"namespace-pid": {Namespace: probegen.Namespace{Dev: 4, Ino: 1<<32 + 5}, PID: 3},
		"cgroup":        {Cgroup: probegen.Cgroup{ID: 1<<40 + 7, Level: 2}},
		"cgroup-deeper": {Cgroup: probegen.Cgroup{ID: 1<<40 + 7, Level: 1, Deeper: 3}, PIDs: []uint32{9, 8}},
	}
	if !sleepable {
		all["cgroup-map"] = probegen.Options{Cgroup: probegen.Cgroup{ID: 1<<40 + 7, Map: true}}
	}
	for name, o := range all {
		o.CPUs, o.Sleepable = simCPUs, sleepable
		all[name] = o
	}
	return all
}

// TestGoldenWhose: programs for the entry points of files and of a function.
func TestGoldenWhose(t *testing.T) {
	for name, o := range whoseOptions(false) {
		t.Run(name, func(t *testing.T) {
			about := fmt.Sprintf("# PID %d, PIDs %v, namespace %+v, cgroup %+v\n", o.PID, o.PIDs, o.Namespace, o.Cgroup)
			ins, err := probegen.Start(o)
			golden(t, "start-"+name, about, ins, err)
			f := planCase{name: "int", params: []*abi.Type{tInt}}.fn(0)
			ins, err = probegen.Entry([]probegen.Func{f}, o)
			golden(t, "whose-"+name, about, ins, err)
		})
	}
}

// TestWhose runs programs in processes of all kinds: those that are selected leave
// records with their IDs, the others leave nothing at all.
func TestWhose(t *testing.T) {
	const cgroup = 1<<40 + 7
	for _, sleepable := range []bool{false, true} {
		for name, o := range whoseOptions(sleepable) {
			start, err := probegen.Start(o)
			if err != nil {
				t.Fatal(err)
			}
			started, err := bpfsim.Load(start)
			if err != nil {
				t.Fatal(err)
			}
			entry := load(t, []probegen.Func{intFunc()}, o)
			m := newMachine(4096)
			m.Arrays[probegen.MapCgroup] = make([]byte, 4)
			seen, unseen := 0, 0
			for _, pid := range []uint32{1, 3, 5, 6, 7, 8, 9, 10, 76, 77, 78, 4194302, 4194303, 1<<31 - 1} {
				for i, w := range []bpfsim.Whose{
					{Dev: 4, Ino: 1<<32 + 5, PID: 3, TID: 30, Cgroups: []uint64{1, 2, cgroup}, InCgroup: true},
					{Dev: 4, Ino: 1<<32 + 5, PID: 2, TID: 3, Cgroups: []uint64{1, cgroup, 5, 6, 7, 8}, InCgroup: true},
					{Dev: 4, Ino: 1<<32 + 5, PID: 3, TID: 3, Cgroups: []uint64{1, 2, 3, 4, cgroup, 8}, InCgroup: true},
					{Dev: 4, Ino: 6, PID: 3, TID: 3, Cgroups: []uint64{cgroup, 1, 2, 3, 4, 5}},
					{Dev: 5, Ino: 1<<32 + 5, PID: 3, TID: 3, Cgroups: []uint64{1}},
				} {
					id, tid := pid, pid+100
					if o.Namespace != (probegen.Namespace{}) {
						id, tid = w.PID, w.TID
					}
					want := o.Namespace == (probegen.Namespace{}) || w.Dev == o.Namespace.Dev && w.Ino == o.Namespace.Ino
					want = want && (o.PID == 0 || o.PID == id) && (len(o.PIDs) == 0 || slices.Contains(o.PIDs, id))
					if c := o.Cgroup; c.Map {
						want = want && w.InCgroup
					} else if c.ID != 0 {
						at := slices.Index(w.Cgroups, c.ID)
						want = want && at >= int(c.Level) && at <= int(c.Level+c.Deeper)
					}
					h := hit{mem: bpfsim.NewMemory()}
					h.enter(m)
					m.PID, m.TID, m.Time, m.Whose = pid, pid+100, 12345, w
					for kind, p := range map[int]*bpfsim.Program{capture.KindEntry: entry, capture.KindStart: started} {
						if _, err := m.Run(p); err != nil {
							t.Fatal(err)
						}
						recs := m.Ring.Take()
						if (len(recs) == 1) != want {
							t.Fatalf("%s: process %d, %d: %d records", name, pid, i, len(recs))
						}
						if !want {
							unseen++
							continue
						}
						seen++
						r := recs[0]
						got := binary.LittleEndian.Uint64(r[capture.OffPIDTID:])
						if got != uint64(id)<<32|uint64(tid) || int(binary.LittleEndian.Uint16(r[capture.OffKind:])) != kind ||
							binary.LittleEndian.Uint64(r[capture.OffTime:]) != 12345 {
							t.Errorf("%s: process %d, %d: record %x, want process %d, thread %d", name, pid, i, r, id, tid)
						}
					}
				}
			}
			if seen == 0 || unseen == 0 {
				t.Errorf("%s: %d records, %d hits without", name, seen, unseen)
			}
			for cause, n := range mapLosses(m) {
				if n != 0 {
					t.Errorf("%s: counter %d is %d", name, cause, n)
				}
			}
		}
	}
}

// TestWhoseWholeCalls moves a process in and out of the cgroup between entries and
// returns.
func TestWhoseWholeCalls(t *testing.T) {
	for _, namespace := range []bool{false, true} {
		o := probegen.Options{CPUs: simCPUs, Cgroup: probegen.Cgroup{ID: 99, Level: 1}}
		if namespace {
			o.Namespace = probegen.Namespace{Dev: 4, Ino: 9}
		}
		c := planCase{name: "f", params: []*abi.Type{tInt}, limits: capture.Limits{Pair: true}}
		entry, ret := whole(c.fn(0), probegen.RoleEntry), whole(c.fn(0), probegen.RoleReturn)
		enter, leave := load(t, []probegen.Func{entry}, o), load(t, []probegen.Func{ret}, o)
		m := newMachine(1 << 16)
		open := &bpfsim.Hash{KeySize: probegen.OpenKeySize, ValueSize: probegen.OpenSize, MaxEntries: 16}
		m.Hashes[probegen.MapOpen] = open
		mem := bpfsim.NewMemory()
		gAddr := mem.Alloc(400, 8)
		mem.PutWord(gAddr+152, 7)
		mem.PutWord(gAddr+8, 0x8000)
		for i, step := range []struct {
			p                        *bpfsim.Program
			inside                   bool
			records, open, unmatched int
		}{
			{enter, false, 0, 0, 0},
			{leave, false, 0, 0, 0}, // not counted
			{enter, false, 0, 0, 0},
			{leave, true, 0, 0, 1}, // began outside
			{enter, true, 1, 1, 1},
			{leave, true, 1, 0, 1},
			{enter, true, 1, 1, 1},
			{leave, false, 1, 0, 1}, // began inside
			{enter, true, 1, 1, 1},
			{enter, false, 0, 0, 1}, // the one before was left without a return
			{leave, false, 0, 0, 1},
			{enter, true, 1, 1, 1},
			{enter, false, 0, 0, 1},
			{leave, true, 0, 0, 2},
		} {
			f := entry
			if step.p == leave {
				f = ret
			}
			h := hit{mem: mem, regs: map[abi.Reg]uint64{abi.AMD64.G: gAddr, abi.AMD64.SP: uint64(0x7000 - f.CFA)}}
			h.enter(m)
			m.PID, m.TID, m.Time = 5, 6, uint64(i)+1
			m.Whose = bpfsim.Whose{Dev: 4, Ino: 9, PID: 2, TID: 3, Cgroups: []uint64{1, 2}}
			if step.inside {
				m.Whose.Cgroups[1] = 99
			}
			if _, err := m.Run(step.p); err != nil {
				t.Fatal(err)
			}
			recs := len(m.Ring.Take())
			if n := int(losses(m, probegen.Unmatched)); recs != step.records || len(open.Entries) != step.open || n != step.unmatched {
				t.Errorf("step %d: %d records, %d open, %d unmatched, want %+v", i, recs, len(open.Entries), n, step)
			}
			want := uint64(5)
			if namespace {
				want = 2
			}
			for key := range open.Entries {
				if pid := binary.LittleEndian.Uint64([]byte(key)[probegen.OpenPID:]); pid != want {
					t.Errorf("step %d: process %d is in the key", i, pid)
				}
			}
		}
	}
}

// TestWhoseMarks: the marks that tell a repeated hit from a call are set and taken
// away wherever the process is, so that none is left when it moves.
func TestWhoseMarks(t *testing.T) {
	o := probegen.Options{CPUs: simCPUs, Cgroup: probegen.Cgroup{ID: 99, Level: 1}}
	f := intFunc()
	ins, err := probegen.BackEdge(f, probegen.Taken{Cond: probegen.Always}, o)
	if err != nil {
		t.Fatal(err)
	}
	edge, err := bpfsim.Load(ins)
	if err != nil {
		t.Fatal(err)
	}
	f.Mark = probegen.SkipRepeat
	entry := load(t, []probegen.Func{f}, o)
	k := &marks{t: t, m: newMachine(4096)}
	for _, before := range []bool{false, true} {
		for _, after := range []bool{false, true} {
			move := func(inside bool) {
				k.m.Whose.Cgroups = []uint64{1, 2}
				if inside {
					k.m.Whose.Cgroups[1] = 99
				}
			}
			move(before)
			k.hit(edge, 1, 100, 0)
			move(after)
			k.want("a repeated hit", k.hit(entry, 1, 100, 0), 0)
			if n := len(k.m.Hash.Entries); n != 0 {
				t.Errorf("%d marks are left", n)
			}
			want := 0
			if after {
				want = 1
			}
			k.want("a call", k.hit(entry, 1, 100, 0), want)
		}
	}
}

func TestBadWhose(t *testing.T) {
	for _, o := range []probegen.Options{
		{PID: 1, PIDs: []uint32{2}},
		{Cgroup: probegen.Cgroup{ID: 1, Map: true}, Sleepable: true},
		{Cgroup: probegen.Cgroup{ID: 1, Level: -1}},
		{Cgroup: probegen.Cgroup{ID: 1, Deeper: -1}},
	} {
		o.CPUs = 1
		if _, err := probegen.Entry([]probegen.Func{intFunc()}, o); err == nil {
			t.Errorf("%+v: no error", o)
		}
		if _, err := probegen.Start(o); err == nil {
			t.Errorf("%+v: no error of Start", o)
		}
	}
}

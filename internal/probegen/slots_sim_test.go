package probegen_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"testing"

	"github.com/argtap/argtap/abi"
	"github.com/argtap/argtap/internal/bpfsim"
	"github.com/argtap/argtap/internal/capture"
	"github.com/argtap/argtap/internal/probegen"
)

// openTable is a machine's table of slots and MapOpen, and a model of which calls
// are where.
type openTable struct {
	slots  []byte // nil for none
	hash   *bpfsim.Hash
	number int
	inSlot map[int]string // keys by slot
	inHash map[string]bool
}

func newOpenTable(m *bpfsim.Machine, slots int) *openTable {
	o := &openTable{number: slots, inSlot: map[int]string{}, inHash: map[string]bool{},
		hash: &bpfsim.Hash{KeySize: probegen.OpenKeySize, ValueSize: probegen.OpenSize, MaxEntries: 1 << 10}}
	m.Hashes[probegen.MapOpen] = o.hash
	if slots > 0 {
		o.slots = make([]byte, slots*probegen.SlotSize(0))
		m.Arrays[probegen.MapSlots] = o.slots
	}
	return o
}

func (o *openTable) slotOf(key string) int {
	w := func(i int) uint64 { return binary.LittleEndian.Uint64([]byte(key)[8*i:]) }
	return probegen.SlotOf(w(0), w(1), w(2), o.number)
}

func (o *openTable) spilled(slot int) (n uint64) {
	for key := range o.inHash {
		if o.slotOf(key) == slot {
			n++
		}
	}
	return n
}

// enter says where the call is now, and whether there was room for it.
func (o *openTable) enter(key string) bool {
	if o.number > 0 {
		at := o.slotOf(key)
		switch o.inSlot[at] {
		case key:
			return true
		case "":
			if o.spilled(at) == 0 {
				o.inSlot[at] = key
				return true
			}
		}
	}
	if !o.inHash[key] && len(o.inHash) >= o.hash.MaxEntries {
		return false
	}
	o.inHash[key] = true
	return true
}

func (o *openTable) leave(key string) {
	delete(o.inHash, key)
	if o.number > 0 && key != "" {
		if at := o.slotOf(key); o.inSlot[at] == key {
			delete(o.inSlot, at)
		}
	}
}

// calls are the values of the calls that are open, by key. It fails if they are
// not where they must be.
func (o *openTable) calls() (map[string][]byte, error) {
	all := map[string][]byte{}
	if len(o.hash.Entries) != len(o.inHash) {
		return nil, fmt.Errorf("%d calls in the map, want %d", len(o.hash.Entries), len(o.inHash))
	}
	for key, value := range o.hash.Entries {
		if !o.inHash[key] {
			return nil, fmt.Errorf("call %x in the map", key)
		}
		all[key] = value
	}
	size := probegen.SlotSize(0)
	for i := range o.number {
		s := o.slots[i*size:][:size]
		if n := binary.LittleEndian.Uint64(s[probegen.SlotSpilled:]); n != o.spilled(i) {
			return nil, fmt.Errorf("slot %d: %d calls are in the map in its place, want %d", i, n, o.spilled(i))
		}
		state := binary.LittleEndian.Uint64(s[probegen.SlotState:])
		key := s[probegen.SlotKey:][:probegen.OpenKeySize]
		switch want := o.inSlot[i]; {
		case state == 0 && want == "":
		case state <= probegen.SlotBusy || string(key) != want:
			return nil, fmt.Errorf("slot %d: state %d, key %x, want %x", i, state, key, want)
		default:
			all[want] = bytes.Clone(s[probegen.SlotState:])
		}
	}
	return all, nil
}

// TestSlotOf counts the calls that share a slot with one before: a tenth more than
// if slots were drawn by lot is too many, of deep recursions, of many goroutines, and
// of both.
func TestSlotOf(t *testing.T) {
	const slots = 1 << 14
	for _, tt := range []struct{ pids, goroutines, depths, step uint64 }{
		{1, 1, 8192, 16}, {1, 1, 8192, 64}, {1, 1, 8192, 112}, {1, 1, 8192, 4096},
		{1, 8192, 1, 0}, {1, 1024, 8, 96}, {8, 1024, 1, 0}, {16, 64, 8, 48}, {512, 16, 1, 8},
	} {
		taken := map[int]bool{}
		var shared, n int
		for pid := range tt.pids {
			for g := range tt.goroutines {
				for d := range tt.depths {
					at := probegen.SlotOf(4000+pid, 1+g, 200+d*tt.step, slots)
					if at < 0 || at >= slots {
						t.Fatalf("slot %d", at)
					}
					if taken[at] {
						shared++
					}
					taken[at] = true
					n++
				}
			}
		}
		// Of 8192 drawn by lot 1745 meet one that is taken, with a deviation of 34.
		if n != 8192 || shared > 1920 {
			t.Errorf("%+v: %d of %d share a slot", tt, shared, n)
		}
	}
}

// meeting is a machine with two goroutines whose calls hash to one slot.
type meeting struct {
	*bpfsim.Machine
	w            *world
	enter, leave *bpfsim.Program
	table        *openTable
	keys         [2]string
	gs, sps      [2]uint64
	cfa          [2]int64
	now          uint64
}

func newMeeting(t *testing.T) *meeting {
	t.Helper()
	entry := whole(intFunc(), probegen.RoleEntry)
	entry.Plan = capture.Build(abi.AMD64, nil, capture.Limits{Pair: true})
	entry = whole(entry, probegen.RoleEntry)
	entry.G = probegen.G{Kind: probegen.GRegister, Reg: abi.AMD64.G}
	back := entry
	back.Role, back.Skip = probegen.RoleReturn, probegen.Never
	o := probegen.Options{CPUs: simCPUs, Slots: 2}
	m := &meeting{Machine: newMachine(1 << 20), w: newRandom(1, abi.AMD64).world(), now: 1000, cfa: [2]int64{entry.CFA, back.CFA}}
	m.enter, m.leave = load(t, []probegen.Func{entry}, o), load(t, []probegen.Func{back}, o)
	m.table = newOpenTable(m.Machine, o.Slots)
	const pid, hi, depth = 7, 0x7000_0000, 64
	slot := -1
	for i, goid := 0, uint64(1); i < 2; goid++ {
		at := probegen.SlotOf(pid, goid, depth, o.Slots)
		if slot >= 0 && at != slot {
			continue
		}
		slot = at
		g := m.w.mem.Alloc(400, 8)
		m.w.mem.PutWord(g+152, goid)
		m.w.mem.PutWord(g+8, hi)
		m.gs[i], m.sps[i] = g, hi-depth
		var key []byte
		for _, w := range []uint64{pid, goid, depth} {
			key = binary.LittleEndian.AppendUint64(key, w)
		}
		m.keys[i] = string(key)
		i++
	}
	return m
}

// run has a goroutine enter or leave the function.
func (m *meeting) run(t *testing.T, who int, leave bool) {
	t.Helper()
	old, oldTime := m.Context, m.Time
	defer func() { m.Context, m.Time = old, oldTime }()
	p, cfa := m.enter, m.cfa[0]
	if leave {
		p, cfa = m.leave, m.cfa[1]
	}
	h := m.w.hit(false)
	h.regs[abi.AMD64.G], h.regs[abi.AMD64.SP] = m.gs[who], m.sps[who]-uint64(cfa)
	h.enter(m.Machine)
	m.now += 10
	m.PID, m.Time = 7, m.now
	if _, err := m.Run(p); err != nil {
		t.Fatal(err)
	}
}

// forget does what the tracer does to forget a call, and reports whether it was there.
func (m *meeting) forget(who int, time uint64) bool {
	key := m.keys[who]
	s := m.table.slots[m.table.slotOf(key)*probegen.SlotSize(0):]
	if binary.LittleEndian.Uint64(s[probegen.SlotState:]) == time && string(s[:len(key)]) == key {
		binary.LittleEndian.PutUint64(s[probegen.SlotState:], 0)
		return true
	}
	if v := m.table.hash.Entries[key]; v != nil && binary.LittleEndian.Uint64(v) == time {
		delete(m.table.hash.Entries, key)
		spilled := s[probegen.SlotSpilled:]
		binary.LittleEndian.PutUint64(spilled, binary.LittleEndian.Uint64(spilled)-1)
		return true
	}
	return false
}

// open returns since when a goroutine's call is open, 0 if it is not. It fails if
// there are two, or if the calls in the map are counted wrongly.
func (m *meeting) open(t *testing.T, who int) (time uint64) {
	t.Helper()
	key, n := m.keys[who], 0
	s := m.table.slots[m.table.slotOf(key)*probegen.SlotSize(0):]
	if state := binary.LittleEndian.Uint64(s[probegen.SlotState:]); state != 0 && string(s[:len(key)]) == key {
		time = state
		n++
	}
	if v := m.table.hash.Entries[key]; v != nil {
		time = binary.LittleEndian.Uint64(v)
		n++
	}
	if spilled := binary.LittleEndian.Uint64(s[probegen.SlotSpilled:]); n > 1 || spilled != uint64(len(m.table.hash.Entries)) {
		t.Fatalf("%d calls under one key, %d in the map, counted %d", n, len(m.table.hash.Entries), spilled)
	}
	return time
}

// TestSlotMeetings has two goroutines, and the tracer, come to one slot at the same
// time, the second one before each instruction of the first: afterwards each call that
// is open is so once, and all others have returned.
func TestSlotMeetings(t *testing.T) {
	begins := map[string]func(*meeting){
		"free":      func(*meeting) {},
		"mine":      func(m *meeting) { m.run(t, 0, false) },
		"theirs":    func(m *meeting) { m.run(t, 1, false) },
		"mine, map": func(m *meeting) { m.run(t, 0, false); m.run(t, 1, false) },
		"map, mine": func(m *meeting) { m.run(t, 1, false); m.run(t, 0, false) },
		"map":       func(m *meeting) { m.run(t, 1, false); m.run(t, 0, false); m.run(t, 1, true) },
	}
	runs := 0
	for name, begin := range begins {
		for _, leave := range []bool{false, true} {
			for other := range 4 {
				for at, done := 0, false; !done; at++ {
					m := newMeeting(t)
					begin(m)
					was := [2]uint64{m.open(t, 0), m.open(t, 1)}
					m.Ring.Take()
					n, met, forgotten := 0, false, false
					m.Step = func(int) {
						if n++; met || n <= at {
							return
						}
						met = true
						switch other {
						case 0, 1:
							m.run(t, 1, other == 1)
						default:
							forgotten = m.forget(other-2, was[other-2])
						}
					}
					m.run(t, 0, leave)
					m.Step = nil
					done = !met
					runs++
					fail := func(why string) {
						t.Fatalf("%s, leave %t, other %d at instruction %d: %s", name, leave, other, at, why)
					}
					mine, theirs := m.open(t, 0), m.open(t, 1)
					switch {
					case leave && mine != 0:
						fail("still open")
					case !leave && (mine == 0 || mine == was[0]):
						fail(fmt.Sprintf("not open: %d, was %d", mine, was[0]))
					}
					switch {
					case done || other == 2:
						if theirs != was[1] {
							fail("the other's call is not what it was")
						}
					case other == 0 && (theirs == 0 || theirs == was[1]), other != 0 && theirs != 0:
						fail(fmt.Sprintf("the other's call: %d, was %d", theirs, was[1]))
					}
					// Each return is delivered, unless the tracer has forgotten its call.
					returns := 0
					for _, r := range m.Ring.Take() {
						if r[capture.OffKind] == capture.KindReturn {
							returns++
						}
					}
					want := 0
					if leave && was[0] != 0 && !(other == 2 && forgotten) {
						want++
					}
					if other == 1 && was[1] != 0 && !done {
						want++
					}
					if returns != want {
						fail(fmt.Sprintf("%d returns, want %d", returns, want))
					}
				}
			}
		}
	}
	if runs < 2000 {
		t.Errorf("%d runs only", runs)
	}
}

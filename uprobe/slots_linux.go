package uprobe

import (
	"sync/atomic"
	"unsafe"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"github.com/argtap/argtap/internal/probegen"
)

// maxSlots is how many open calls have a slot at most: see [probegen.MapSlots]. The
// others, and those whose slot is another's, are in the map of open calls.
const maxSlots = 16 << 10

// openSlots is the table of slots. nil stands for none.
type openSlots struct {
	table *ebpf.Map
	mem   []byte // the table's memory
	size  int    // of a slot in bytes
}

// needSlots makes the table of slots where the kernel can have it.
func (k *kernel) needSlots() {
	if !k.caps.atomics || k.slots != nil {
		return
	}
	s := &openSlots{size: probegen.SlotSize(k.kept)}
	var err error
	if s.table, err = ebpf.NewMap(&ebpf.MapSpec{
		Name: "argtap_slots", Type: ebpf.Array, KeySize: 4, ValueSize: uint32(maxSlots * s.size), MaxEntries: 1, Flags: unix.BPF_F_MMAPABLE,
	}); err == nil {
		if s.mem, err = unix.Mmap(s.table.FD(), 0, maxSlots*s.size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED); err == nil {
			k.slots = s
			return
		}
		s.table.Close()
	}
	k.opts.log.Info("no slots for open calls: results cost more", "err", err)
}

// number returns how many slots there are.
func (s *openSlots) number() int {
	if s == nil {
		return 0
	}
	return maxSlots
}

func (s *openSlots) bpf() *ebpf.Map {
	if s == nil {
		return nil
	}
	return s.table
}

// word returns a word of the slot of a call.
func (s *openSlots) word(id callID, off int) *uint64 {
	at := probegen.SlotOf(uint64(id.pid), id.goroutine, id.depth, maxSlots)*s.size + off
	return (*uint64)(unsafe.Pointer(&s.mem[at]))
}

// has reports whether a call is in its slot.
func (s *openSlots) has(id callID) bool {
	if s == nil || id.time <= probegen.SlotBusy || atomic.LoadUint64(s.word(id, probegen.SlotState)) != id.time {
		return false
	}
	for i, w := range id.key() {
		if atomic.LoadUint64(s.word(id, probegen.SlotKey+8*i)) != w {
			return false
		}
	}
	return true
}

// forget frees the slot of a call, and reports whether it was in it.
func (s *openSlots) forget(id callID) bool {
	return s.has(id) && atomic.CompareAndSwapUint64(s.word(id, probegen.SlotState), id.time, 0)
}

// removed says that a call has been removed from the map of open calls.
func (s *openSlots) removed(id callID) {
	if s != nil && id.depth != openPanic {
		atomic.AddUint64(s.word(id, probegen.SlotSpilled), ^uint64(0))
	}
}

func (s *openSlots) close() {
	if s != nil {
		unix.Munmap(s.mem)
		s.table.Close()
	}
}

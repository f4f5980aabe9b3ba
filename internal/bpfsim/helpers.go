package bpfsim

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/cilium/ebpf/asm"
)

// helperNames are the helpers that can be called.
var helperNames = map[int32]string{
	int32(asm.FnMapLookupElem):     "map_lookup_elem",
	int32(asm.FnMapUpdateElem):     "map_update_elem",
	int32(asm.FnMapDeleteElem):     "map_delete_elem",
	int32(asm.FnKtimeGetNs):        "ktime_get_ns",
	int32(asm.FnGetSmpProcessorId): "get_smp_processor_id",
	int32(asm.FnGetCurrentPidTgid): "get_current_pid_tgid",
	int32(asm.FnGetCurrentTask):    "get_current_task",
	int32(asm.FnProbeReadUser):     "probe_read_user",
	int32(asm.FnProbeReadKernel):   "probe_read_kernel",
	int32(asm.FnRingbufOutput):     "ringbuf_output",
	int32(asm.FnRingbufReserve):    "ringbuf_reserve",
	int32(asm.FnRingbufSubmit):     "ringbuf_submit",
	int32(asm.FnRingbufDiscard):    "ringbuf_discard",
	int32(asm.FnCopyFromUser):      "copy_from_user",
	int32(asm.FnGetAttachCookie):   "get_attach_cookie",
	int32(asm.FnLoop):              "loop",
}

// Error numbers, negated as helpers return them.
const (
	eNoEnt = ^uint64(2) + 1
	eFault = ^uint64(14) + 1
	eExist = ^uint64(17) + 1
	e2Big  = ^uint64(7) + 1
	eInval = ^uint64(22) + 1
	eAgain = ^uint64(11) + 1
)

// Flags of map_update_elem.
const (
	updateAny = iota
	updateNoExist
	updateExist
)

func (r *run) helper(id int32, f *frame, depth int) (uint64, error) {
	name, ok := helperNames[id]
	if !ok {
		name, ok = whoseNames[id]
	}
	if !ok || r.NoLoops && asm.BuiltinFunc(id) == asm.FnLoop {
		return 0, fmt.Errorf("helper %d is not known", id)
	}
	if r.Hook != nil {
		r.Hook(name)
	}
	args := callArgs{f: f}
	ret, err := r.dispatch(id, &args, depth)
	if err == nil {
		err = args.err
	}
	return ret, err
}

// callArgs are the arguments of a helper. The first one missing is an error.
type callArgs struct {
	f   *frame
	err error
}

func (a *callArgs) arg(i byte) uint64 {
	v, err := a.f.get(i)
	if a.err == nil {
		a.err = err
	}
	return v
}

func (r *run) dispatch(id int32, a *callArgs, depth int) (uint64, error) {
	switch asm.BuiltinFunc(id) {
	case asm.FnKtimeGetNs:
		return r.Time, nil
	case asm.FnGetSmpProcessorId:
		return uint64(r.CPU), nil
	case asm.FnGetCurrentPidTgid:
		return uint64(r.PID)<<32 | uint64(r.TID), nil
	case asm.FnGetNsCurrentPidTgid, asm.FnGetCurrentAncestorCgroupId, asm.FnCurrentTaskUnderCgroup:
		return r.whose(id, a)
	case asm.FnGetAttachCookie:
		if a.arg(1) != r.ctx {
			return 0, errors.New("not the context")
		}
		return r.Cookie, nil
	case asm.FnGetCurrentTask:
		return taskHandle, nil
	case asm.FnProbeReadKernel:
		return r.readKernel(a)
	case asm.FnProbeReadUser, asm.FnCopyFromUser:
		return r.readUser(a, asm.BuiltinFunc(id) == asm.FnCopyFromUser)
	case asm.FnMapLookupElem:
		return r.element(a)
	case asm.FnMapUpdateElem, asm.FnMapDeleteElem:
		ret, err := r.hash(a, asm.BuiltinFunc(id) == asm.FnMapUpdateElem)
		if r.IntErrors {
			ret = uint64(uint32(ret))
		}
		return ret, err
	case asm.FnRingbufReserve:
		return r.reserveRecord(a)
	case asm.FnRingbufSubmit, asm.FnRingbufDiscard:
		return 0, r.release(a.arg(1), asm.BuiltinFunc(id) == asm.FnRingbufSubmit)
	case asm.FnRingbufOutput:
		return r.output(a)
	default:
		return r.loop(a, depth)
	}
}

// readUser clears the buffer when it fails, as the kernel does.
func (r *run) readUser(a *callArgs, wait bool) (uint64, error) {
	dst, size, addr := a.arg(1), a.arg(2), a.arg(3)
	if a.err != nil {
		return 0, nil
	}
	if size > 1<<regionShift {
		return 0, fmt.Errorf("size %d", int64(size))
	}
	b, err := r.at(dst, int(size), true)
	if err != nil {
		return 0, err
	}
	if !r.Target.Read(addr, b, wait) {
		clear(b)
		return eFault, nil
	}
	return 0, nil
}

// readKernel knows of the kernel's memory the task alone. It clears the buffer
// when it fails, as the kernel does.
func (r *run) readKernel(a *callArgs) (uint64, error) {
	dst, size, addr := a.arg(1), a.arg(2), a.arg(3)
	if a.err != nil {
		return 0, nil
	}
	if size > 1<<regionShift {
		return 0, fmt.Errorf("size %d", int64(size))
	}
	b, err := r.at(dst, int(size), true)
	if err != nil {
		return 0, err
	}
	off := addr - taskHandle
	if off > uint64(len(r.Task)) || size > uint64(len(r.Task))-off {
		clear(b)
		return eFault, nil
	}
	copy(b, r.Task[off:])
	return 0, nil
}

func (r *run) mapName(handle uint64) (string, error) {
	if handle&handleMask != mapHandle {
		return "", errors.New("not a map")
	}
	return r.prog.maps[handle&^handleMask], nil
}

// element looks up an element of an array, or an entry of one of the hash maps
// in Hashes.
func (r *run) element(a *callArgs) (uint64, error) {
	name, err := r.mapName(a.arg(1))
	if err != nil {
		return 0, err
	}
	elements, ok := r.arrays[name]
	if h := r.Hashes[name]; h != nil && !ok {
		return r.entry(h, a)
	}
	if !ok {
		return 0, fmt.Errorf("no array %q", name)
	}
	key, err := r.at(a.arg(2), 4, false)
	if err != nil {
		return 0, err
	}
	i := int(binary.LittleEndian.Uint32(key))
	if n := r.PerCPU[name]; n > 0 {
		if i >= n {
			return 0, nil
		}
		i += n * int(r.CPU)
	}
	if i < len(elements) {
		return elements[i], nil
	}
	return 0, nil
}

// entry looks up an entry of a hash map. Its value stays where it is until the
// program ends.
func (r *run) entry(h *Hash, a *callArgs) (uint64, error) {
	key, err := r.at(a.arg(2), h.KeySize, false)
	if err != nil {
		return 0, err
	}
	value, ok := h.Entries[string(key)]
	if !ok {
		return 0, nil
	}
	if h.CPUs > 0 {
		value = value[int(r.CPU)*h.ValueSize:][:h.ValueSize]
	}
	addr := r.add(&region{name: "hash entry", data: value})
	r.entries = append(r.entries, addr)
	return addr, nil
}

func (r *run) hash(a *callArgs, update bool) (uint64, error) {
	h := &r.Machine.Hash
	name, err := r.mapName(a.arg(1))
	if err != nil {
		return 0, err
	}
	if other := r.Machine.Hashes[name]; other != nil {
		h = other
	}
	key, err := r.at(a.arg(2), h.KeySize, false)
	if err != nil {
		return 0, err
	}
	_, exists := h.Entries[string(key)]
	if !update {
		delete(h.Entries, string(key))
		if !exists {
			return eNoEnt, nil
		}
		return 0, nil
	}
	value, err := r.at(a.arg(3), h.ValueSize, false)
	if err != nil {
		return 0, err
	}
	switch flags := a.arg(4); {
	case flags > updateExist:
		return eInval, nil
	case flags == updateNoExist && exists:
		return eExist, nil
	case flags == updateExist && !exists:
		return eNoEnt, nil
	case !exists && len(h.Entries) >= h.MaxEntries:
		return e2Big, nil
	}
	if h.Entries == nil {
		h.Entries = make(map[string][]byte)
	}
	if h.CPUs > 0 {
		all := h.Entries[string(key)]
		if all == nil {
			all = make([]byte, h.CPUs*h.ValueSize)
			h.Entries[string(key)] = all
		}
		copy(all[int(r.CPU)*h.ValueSize:], value)
		return 0, nil
	}
	h.Entries[string(key)] = slices.Clone(value)
	return 0, nil
}

func (r *run) reserveRecord(a *callArgs) (uint64, error) {
	if _, err := r.mapName(a.arg(1)); err != nil {
		return 0, err
	}
	size := a.arg(2)
	if a.arg(3) != 0 || size == 0 || size > 1<<regionShift {
		return 0, fmt.Errorf("size %d or flags", size)
	}
	if !r.Ring.fits(int(size)) {
		return 0, nil
	}
	addr := r.add(&region{name: "record", data: bytes.Repeat([]byte{Garbage}, int(size))})
	r.reserve[addr] = true
	return addr, nil
}

func (r *run) release(addr uint64, submit bool) error {
	if !r.reserve[addr] {
		return fmt.Errorf("%#x is no reserved record", addr)
	}
	delete(r.reserve, addr)
	if i, ok := r.index(addr); ok && submit {
		r.Ring.Records = append(r.Ring.Records, r.regions[i].data)
	}
	r.drop(addr)
	return nil
}

func (r *run) output(a *callArgs) (uint64, error) {
	if _, err := r.mapName(a.arg(1)); err != nil {
		return 0, err
	}
	size := a.arg(3)
	if a.arg(4) != 0 || size > 1<<regionShift {
		return 0, fmt.Errorf("size %d or flags", size)
	}
	b, err := r.at(a.arg(2), int(size), false)
	if err != nil {
		return 0, err
	}
	if !r.Ring.fits(len(b)) {
		return eAgain, nil
	}
	r.Ring.Records = append(r.Ring.Records, slices.Clone(b))
	return 0, nil
}

// maxLoops is the kernel's BPF_MAX_LOOPS.
const maxLoops = 8 << 20

func (r *run) loop(a *callArgs, depth int) (uint64, error) {
	n, fn, ctx := uint64(uint32(a.arg(1))), a.arg(2), a.arg(3)
	if a.arg(4) != 0 {
		return eInval, nil
	}
	if n > maxLoops {
		return e2Big, nil
	}
	if fn&handleMask != funcHandle {
		return 0, errors.New("not a function")
	}
	for i := range n {
		f := new(frame)
		f.set(1, i)
		f.set(2, ctx)
		stop, err := r.call(int(fn&^handleMask), f, depth+1)
		if err != nil {
			return 0, err
		}
		if stop > 1 {
			return 0, fmt.Errorf("loop function returned %d", stop)
		}
		if stop == 1 {
			return i + 1, nil
		}
	}
	return n, nil
}

package bpfsim

import (
	"encoding/binary"

	"github.com/cilium/ebpf/asm"
)

// Whose is what helpers say of the process beyond the IDs that it has in the initial
// namespace.
type Whose struct {
	// Dev and Ino are of the PID namespace that it is in, PID and TID its IDs there.
	Dev, Ino uint64
	PID, TID uint32
	// Cgroups are the numbers of the cgroups that it is in, the root's first.
	Cgroups []uint64
	// InCgroup says that it is in the cgroup of any map of cgroups.
	InCgroup bool
}

var whoseNames = map[int32]string{
	int32(asm.FnGetNsCurrentPidTgid):        "get_ns_current_pid_tgid",
	int32(asm.FnGetCurrentAncestorCgroupId): "get_current_ancestor_cgroup_id",
	int32(asm.FnCurrentTaskUnderCgroup):     "current_task_under_cgroup",
}

// whose calls one of these helpers.
func (r *run) whose(id int32, a *callArgs) (uint64, error) {
	w := &r.Whose
	switch asm.BuiltinFunc(id) {
	case asm.FnGetNsCurrentPidTgid:
		dev, ino, dst, size := a.arg(1), a.arg(2), a.arg(3), a.arg(4)
		if a.err != nil {
			return 0, nil
		}
		// It clears what it is given when it fails.
		b, err := r.at(dst, int(size), true)
		if err != nil {
			return 0, err
		}
		clear(b)
		if size != 8 || dev != w.Dev || ino != w.Ino {
			return eInval, nil
		}
		binary.LittleEndian.PutUint32(b, w.TID)
		binary.LittleEndian.PutUint32(b[4:], w.PID)
		return 0, nil
	case asm.FnGetCurrentAncestorCgroupId:
		if level := a.arg(1); level < uint64(len(w.Cgroups)) {
			return w.Cgroups[level], nil
		}
		return 0, nil
	}
	if a.arg(2) != 0 {
		return e2Big, nil
	}
	if w.InCgroup {
		return 1, nil
	}
	return 0, nil
}

package probegen

import (
	"slices"

	"github.com/cilium/ebpf/asm"
)

// MapCgroup is an array of one cgroup. Only programs with [Cgroup].Map refer to it.
const MapCgroup = "cgroup"

// Cgroup restricts a program to the processes of a cgroup (version 2) and of those
// below it. Hits of others are no calls and are not counted. The zero Cgroup is none.
//
// A process may move in the middle of a call. An entry that is hit outside is never
// joined with a return, and one that is hit inside is joined with its return wherever
// that is. Marks are set and taken away everywhere.
type Cgroup struct {
	// ID is the number of its directory's inode.
	ID uint64
	// Level is its depth: the root is at 0. Where only a lower bound is known,
	// Deeper is how many levels it may be deeper.
	Level, Deeper int32
	// Map compares by MapCgroup instead: kernels before 5.16 have nothing else.
	// Programs that may sleep cannot refer to such a map.
	Map bool
}

// Namespace is the PID namespace whose process IDs programs go by, in place of those
// of the initial one. Hits of processes that are not in it, those in a namespace
// below included, are no calls and are not counted: nothing tells their IDs. The zero
// Namespace is the initial one.
type Namespace struct {
	Dev uint64 // the device number of its file as the kernel keeps it: major<<20 | minor
	Ino uint64 // the number of its file's inode
}

// checkWhose returns why the options do not select processes, "" if they do.
func (o *Options) checkWhose() string {
	switch {
	case o.Cgroup.Map && o.Sleepable:
		return "a program that may sleep cannot refer to a map of cgroups"
	case o.Cgroup.Level < 0, o.Cgroup.Deeper < 0:
		return "the level of the cgroup is negative"
	case o.PID != 0 && len(o.PIDs) > 0:
		return "one process and several are selected"
	}
	return ""
}

// pidTgid leaves process ID << 32 | thread ID in R0. With a namespace it writes the
// same to the 8 bytes at base+off, and 0 to both if the process has no ID there.
func (g *gen) pidTgid(base asm.Register, off int16) {
	if g.opts.Namespace == (Namespace{}) {
		g.emit(asm.FnGetCurrentPidTgid.Call())
		return
	}
	g.emit(
		asm.LoadImm(asm.R1, int64(g.opts.Namespace.Dev), asm.DWord),
		asm.LoadImm(asm.R2, int64(g.opts.Namespace.Ino), asm.DWord),
		asm.Mov.Reg(asm.R3, base), asm.Add.Imm(asm.R3, int32(off)),
		asm.Mov.Imm(asm.R4, 8), // struct bpf_pidns_info: u32 pid, u32 tgid
		asm.FnGetNsCurrentPidTgid.Call(),
		asm.LoadMem(asm.R0, base, off, asm.DWord),
	)
}

// onlyPID ends the program in processes other than those of the options.
func (g *gen) onlyPID() {
	namespace := g.opts.Namespace != (Namespace{})
	if g.opts.PID == 0 && len(g.opts.PIDs) == 0 && !namespace {
		return
	}
	g.pidTgid(asm.RFP, -8)
	g.emit(asm.RSh.Imm(asm.R0, 32))
	switch {
	case g.opts.PID != 0:
		g.emit(asm.JNE.Imm(asm.R0, int32(g.opts.PID), "exit"))
	case len(g.opts.PIDs) > 0:
		mine := g.fresh("mine")
		g.search(slices.Compact(slices.Sorted(slices.Values(g.opts.PIDs))), mine)
		g.label(mine)
	default:
		g.emit(asm.JEq.Imm(asm.R0, 0, "exit"))
	}
}

// search jumps to found if R0 is one of the numbers, which ascend, and to the exit
// if not.
func (g *gen) search(numbers []uint32, found string) {
	if len(numbers) == 1 {
		g.emit(
			asm.JEq.Imm(asm.R0, int32(numbers[0]), found),
			asm.Ja.Label("exit"),
		)
		return
	}
	mid := len(numbers) / 2
	upper := g.fresh("pids")
	g.emit(asm.JGE.Imm(asm.R0, int32(numbers[mid]), upper))
	g.search(numbers[:mid], found)
	g.label(upper)
	g.search(numbers[mid:], found)
}

// onlyCgroup jumps to other in processes outside the cgroup of the options.
func (g *gen) onlyCgroup(other string) {
	c := g.opts.Cgroup
	if c == (Cgroup{}) {
		return
	}
	g.note("in the cgroup?")
	if c.Map {
		g.emit(
			asm.LoadMapPtr(asm.R1, 0).WithReference(MapCgroup),
			asm.Mov.Imm(asm.R2, 0),
			asm.FnCurrentTaskUnderCgroup.Call(),
			asm.JNE.Imm32(asm.R0, 1, other),
		)
		return
	}
	inside := g.fresh("inside")
	for level := c.Level; level <= c.Level+c.Deeper; level++ {
		g.emit(
			asm.Mov.Imm(asm.R1, level),
			asm.FnGetCurrentAncestorCgroupId.Call(),
			asm.LoadImm(asm.R1, int64(c.ID), asm.DWord),
		)
		if level == c.Level+c.Deeper {
			g.emit(asm.JNE.Reg(asm.R0, asm.R1, other))
			break
		}
		g.emit(
			asm.JEq.Reg(asm.R0, asm.R1, inside),
			asm.JEq.Imm(asm.R0, 0, other), // it has no ancestor as deep as that
		)
	}
	if c.Deeper > 0 {
		g.label(inside)
	}
}

// unmatched returns the label to jump to when a return belongs to no call that is
// open, with what is there to be found out about it.
func (g *gen) unmatched() (label string, emit func()) {
	counted := g.lost(Unmatched)
	if g.opts.Cgroup == (Cgroup{}) {
		return counted, func() {}
	}
	none, known := g.fresh("none"), g.fresh("known")
	return none, func() {
		g.emit(asm.Ja.Label(known))
		g.label(none)
		g.onlyCgroup("exit")
		g.emit(asm.Ja.Label(counted))
		g.label(known)
	}
}

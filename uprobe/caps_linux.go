package uprobe

import (
	"errors"
	"fmt"
	"log/slog"
	"runtime"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/btf"
	"github.com/cilium/ebpf/features"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"

	"github.com/argtap/argtap/abi"
	"github.com/argtap/argtap/internal/probegen"
)

// capabilities are the kernel features that make a difference, found by
// trying. Distributions backport, so a kernel's version tells nothing.
type capabilities struct {
	multi     bool // uprobe_multi links: many sites in one, detached in one go
	pidFilter bool // their PID filter selects processes, not threads
	cookies   bool // perf links carry a cookie, so sites can share a program
	sleepable bool // programs may wait for a page
	loops     bool // bpf_loop
	atomics   bool // atomic exchange
	// threadStack says that programs can insist on the thread's stack, with
	// probegen.Options.ThreadStack. Kernels that have another stack all can.
	threadStack bool
}

// without returns what is left of the capabilities without those named by their
// fields, and without what needs those.
func (c capabilities) without(names []string) capabilities {
	for _, name := range names {
		switch name {
		case "multi":
			c.multi, c.pidFilter = false, false
		case "pidFilter":
			c.pidFilter = false
		case "cookies":
			c.cookies, c.multi, c.pidFilter = false, false, false
		case "sleepable":
			c.sleepable = false
		case "loops":
			c.loops = false
		case "atomics":
			c.atomics, c.sleepable = false, false
		}
	}
	return c
}

// lacking describes what a kernel lacks and what follows from it. since is the
// Linux release that came with it.
type lacking struct{ feature, since, effect string }

// lacks returns what the kernel lacks.
func (c capabilities) lacks() []lacking {
	var l []lacking
	add := func(have bool, feature, since, effect string) {
		if !have {
			l = append(l, lacking{feature, since, effect})
		}
	}
	add(c.loops, "bpf_loop", "5.17", "what the elements of slices refer to is not followed, nor what only a walk finds: more than one pointer, interfaces")
	add(c.sleepable, "sleepable uprobe programs", "6.0",
		"values on pages that are not in memory are absent; hits that the kernel passes over because BPF runs on the same CPU are not counted")
	add(c.cookies, "attach cookies", "5.15", "each site has a program of its own, so attaching takes longer")
	add(c.multi, "uprobe_multi links", "6.6", "each site is attached by itself, and detaching takes some 50 to 100 ms for each")
	if c.multi {
		add(c.pidFilter, "the PID filter of uprobe_multi links", "6.10",
			"with WithPID each site is attached by itself")
	}
	add(c.atomics, "atomic exchange in BPF", "5.12", "next to nothing, as programs run one at a time on each CPU: after a pause each may let a call pass beyond a rate limit; and joining a return with its entry takes longer")
	return l
}

// logTo says what the kernel lacks.
func (c capabilities) logTo(log *slog.Logger) {
	for _, l := range c.lacks() {
		log.Info("the kernel lacks a feature", "feature", l.feature, "since", "Linux "+l.since, "effect", l.effect)
	}
}

func probeCapabilities() capabilities {
	var c capabilities
	c.loops = features.HaveProgramHelper(ebpf.Kprobe, asm.FnLoop) == nil
	c.atomics = probeAtomics()
	c.multi = features.HaveBPFLinkUprobeMulti() == nil
	// Tail calls beside functions, which it takes, are older than multi links on
	// every architecture, and those older than the other stack.
	c.threadStack = c.multi
	// The helper and cookies of perf links came together, as multi links came
	// with cookies.
	c.cookies = c.multi || features.HaveProgramHelper(ebpf.Kprobe, asm.FnGetAttachCookie) == nil
	p, err := emptyProgram(c.multi, unix.BPF_F_SLEEPABLE)
	if err != nil {
		return c
	}
	defer p.Close()
	// Sleepable programs share their scratch memory by atomic exchange.
	c.sleepable = c.atomics
	if c.multi {
		c.pidFilter = probePIDFilter(p)
	}
	return c
}

// probePIDFilter reports whether the PID of a uprobe_multi link means a process.
// Kernels where it does also reject what is no process ID; before, it selected
// the process's first thread.
func probePIDFilter(p *ebpf.Program) bool {
	ex, err := link.OpenExecutable("/proc/self/exe")
	if err != nil {
		return false
	}
	// Nothing is attached: there is no such process. The library would look up
	// a symbol for the offset 0.
	l, err := ex.UprobeMulti(nil, p, &link.UprobeMultiOptions{Addresses: []uint64{1}, PID: 1<<32 - 1})
	if err == nil {
		l.Close()
	}
	return errors.Is(err, unix.EINVAL)
}

// probeAtomics reports whether programs may exchange atomically.
func probeAtomics() bool {
	p, err := probeProgram(false, 0, probegen.AtomicsProgram())
	if err != nil {
		return false
	}
	p.Close()
	return true
}

// emptyProgram loads a program that does nothing.
func emptyProgram(multi bool, flags uint32) (*ebpf.Program, error) {
	return probeProgram(multi, flags, asm.Instructions{asm.Mov.Imm(asm.R0, 0), asm.Return()})
}

func probeProgram(multi bool, flags uint32, ins asm.Instructions) (*ebpf.Program, error) {
	return ebpf.NewProgram(&ebpf.ProgramSpec{
		Name: "argtap_probe", Type: ebpf.Kprobe, AttachType: attachType(multi), Flags: flags,
		License: probegen.License, Instructions: ins,
	})
}

func attachType(multi bool) ebpf.AttachType {
	if multi {
		return ebpf.AttachTraceUprobeMulti
	}
	return ebpf.AttachNone
}

// threadBase returns the offset of what tells the thread's base address in the
// kernel's task_struct: thread.fsbase, for 386 thread.tls_array. It takes long to find, and few functions need it.
func (k *kernel) threadBase(a *abi.Arch) (int64, error) {
	k.baseOnce.Do(func() {
		if k.base, k.baseErr = findThreadBase(a); k.baseErr != nil {
			k.opts.log.Info("goroutines of functions that keep the g in thread-local storage are not known", "err", k.baseErr)
		}
	})
	return k.base, k.baseErr
}

func findThreadBase(a *abi.Arch) (int64, error) {
	if runtime.GOARCH != "amd64" {
		return 0, fmt.Errorf("%w: %s keeps no base address in task_struct", ErrArch, runtime.GOARCH)
	}
	spec, err := btf.LoadKernelSpec()
	if err != nil {
		return 0, fmt.Errorf("%w: type information of the kernel itself (CONFIG_DEBUG_INFO_BTF): %w", ErrKernel, err)
	}
	var task *btf.Struct
	if err := spec.TypeByName("task_struct", &task); err != nil {
		return 0, fmt.Errorf("%w: type information of the kernel itself: %w", ErrKernel, err)
	}
	member := "fsbase"
	if a == abi.I386 {
		member = "tls_array"
	}
	off, ok := memberOffset(task, "thread", member)
	if !ok {
		return 0, fmt.Errorf("%w: its type information has no task_struct.thread.%s", ErrKernel, member)
	}
	return off, nil
}

// memberOffset returns the offset in bytes of a member of a member.
func memberOffset(t btf.Type, path ...string) (int64, bool) {
	var off int64
	for _, name := range path {
		s, ok := btf.UnderlyingType(t).(*btf.Struct)
		if !ok {
			return 0, false
		}
		found := false
		for _, m := range s.Members {
			if m.Name == name && m.BitfieldSize == 0 {
				off += int64(m.Offset.Bytes())
				t, found = m.Type, true
				break
			}
		}
		if !found {
			return 0, false
		}
	}
	return off, true
}

// threadBaseOrNone is threadBase, 0 where it is not known: goroutines of
// functions that keep the g in thread-local storage are then 0.
func (k *kernel) threadBaseOrNone(a *abi.Arch) int64 {
	off, err := k.threadBase(a)
	if err != nil {
		return 0
	}
	return off
}

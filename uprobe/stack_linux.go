package uprobe

import (
	"errors"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"github.com/argtap/argtap/internal/probegen"
)

const (
	// maxStacks bounds the stacks that are sent only once, stackBytes the memory for
	// them in bytes.
	maxStacks  = 16 << 10
	stackBytes = 4 << 20
	// shortStack is the depth of stacks that kernels can look up whose hash maps
	// have keys of 512 bytes at most.
	shortStack = 63
)

// needStacks makes the maps of stacks, if any function has some.
func (k *kernel) needStacks(funcs []*Func) (err error) {
	depth := 0
	for _, f := range funcs {
		depth = max(depth, f.plan.StackDepth)
	}
	if depth == 0 || k.stacks != nil {
		return nil
	}
	create := func(depth int) (*ebpf.Map, error) {
		key := probegen.StackKeySize(depth)
		room := min(maxStacks, stackBytes/key)
		if k.opts.aggregate != nil {
			room = max(room, min(k.opts.maxKeys, keyMemory/key))
		}
		if k.opts.stackRoom > 0 {
			room = k.opts.stackRoom
		}
		return ebpf.NewMap(&ebpf.MapSpec{
			Name: "argtap_stacks", Type: ebpf.Hash, KeySize: uint32(key), ValueSize: 8, MaxEntries: uint32(room),
		})
	}
	k.stacks, err = create(depth)
	if (errors.Is(err, unix.E2BIG) || errors.Is(err, unix.EINVAL)) && depth > shortStack {
		k.opts.log.Warn("stacks are shorter than asked for: this kernel takes no larger keys", "depth", shortStack)
		for _, f := range funcs {
			f.plan.StackDepth = min(f.plan.StackDepth, shortStack)
		}
		k.stacks, err = create(shortStack)
	}
	if err != nil {
		return kernelError("create the map of stacks", err)
	}
	elements, size, numbers := probegen.StackScratch(k.cpus)
	if k.stackArea, err = ebpf.NewMap(&ebpf.MapSpec{
		Name: "argtap_stackmem", Type: ebpf.Array, KeySize: 4, ValueSize: uint32(size), MaxEntries: uint32(elements),
	}); err != nil {
		return kernelError("create the scratch map of stacks", err)
	}
	number := uint64(0)
	for i := range elements {
		b := make([]byte, size)
		for _, at := range numbers {
			order.PutUint64(b[at:], number)
			number++
		}
		if err := k.stackArea.Put(uint32(i), b); err != nil {
			return kernelError("fill the scratch map of stacks", err)
		}
	}
	return nil
}

// adaptStacks gives up stacks that this kernel cannot collect.
func (k *kernel) adaptStacks(funcs []*Func) {
	if k.caps.loops && k.caps.atomics {
		return
	}
	for _, f := range funcs {
		if f.plan.Stack == 0 {
			continue
		}
		f.plan.StackDepth = 0
		if f.noStack == "" {
			f.noStack = "needs a newer kernel: Linux 5.17"
		}
	}
}

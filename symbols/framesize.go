package symbols

import "fmt"

// FrameSize returns by how many bytes the stack pointer is below what it was at the
// entry of fn, a function of this table, when it executes the instruction at pc: at
// a return address the same as during the call. It is what the runtime unwinds
// stacks by, and not known of all functions in assembly. The error is [ErrNoFunc]
// where pc is not in fn.
func (t *FuncTable) FrameSize(fn TableFunc, pc VirtAddr) (int64, error) {
	size, err := t.frameSize(fn, pc)
	if err != nil {
		err = t.f.wrap(fmt.Sprintf("frame size of %s at %#x", fn.Name, uint64(pc)), err)
	}
	return size, err
}

func (t *FuncTable) frameSize(fn TableFunc, pc VirtAddr) (size int64, err error) {
	r, err := t.record(fn)
	if err != nil {
		return 0, err
	}
	pcsp := t.f.u32(r.b[t.layout.pcsp:])
	if pcsp == 0 || pc < fn.Entry || uint64(pc-fn.Entry) >= fn.Size {
		return 0, ErrNoFunc
	}
	within, found := uint64(pc-fn.Entry), false
	err = t.reader().pcTable(pcsp, func(b []byte) bool {
		end := uint64(0)
		return pcSteps(b, func(s pcStep) bool {
			end += uint64(s.units) * t.quantum
			size, found = int64(s.value), within < end
			return !found
		})
	})
	switch {
	case err != nil:
		return 0, err
	case !found:
		return 0, ErrNoFunc
	case size < 0:
		return 0, t.malformed(t.funcs.off+r.at, "the function at %#x has a frame of %d bytes", uint64(fn.Entry), size)
	}
	return size, nil
}

package symbols

// StackDelta returns by how many bytes the stack pointer is below where it was at
// fn's entry when the instruction at pc is about to run: fn is a function of this
// table. The linker writes it for the runtime, which walks stacks by it. It is false
// if pc is not in the function, or nothing is known of it.
func (t *FuncTable) StackDelta(fn TableFunc, pc VirtAddr) (int64, bool, error) {
	delta, ok, err := t.stackDelta(fn, pc)
	if err != nil {
		err = t.f.wrap("stack of "+fn.Name, err)
	}
	return delta, ok, err
}

func (t *FuncTable) stackDelta(fn TableFunc, pc VirtAddr) (delta int64, found bool, err error) {
	r, err := t.record(fn)
	if err != nil {
		return 0, false, err
	}
	pcsp := t.f.u32(r.b[t.layout.pcsp:])
	if pcsp == 0 || pc < fn.Entry {
		return 0, false, nil
	}
	err = t.reader().pcTable(pcsp, func(b []byte) bool {
		at := fn.Entry
		found = false
		return pcSteps(b, func(s pcStep) bool {
			next := at + VirtAddr(uint64(s.units)*t.quantum)
			if at <= pc && pc < next {
				delta, found = int64(s.value), true
				return false
			}
			at = next
			return true
		})
	})
	if err != nil || delta < 0 {
		return 0, false, err
	}
	return delta, found, nil
}

package uprobe

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"fmt"
	"os"
	"slices"

	"github.com/argtap/argtap/abi"
	"github.com/argtap/argtap/symbols"
)

// checkCode returns the functions that can be traced, and of others why they are left
// out: [ErrPatched] if a process that is to have probes has other code there than the
// file. The kernel puts a breakpoint there all the same, and carries out the file's
// instruction in place of that in memory: the process would crash. It is an error
// for a function that is asked for by its name, if no function is left, and for those
// that only tell how calls end.
func checkCode(tg *target, b *executable, funcs []*Func, patterns []string) (kept []*Func, leftOut []error, err error) {
	all := slices.Clone(funcs)
	for _, w := range b.witnesses {
		all = append(all, w.fn)
	}
	other := map[symbols.VirtAddr]error{} // by entry
	check := func(pid int, f *os.File) {
		found := patchedIn(pid, f, b.file, all)
		if len(found) > 0 && tg.stillThere() != nil {
			return // that is for others to tell
		}
		for entry, err := range found {
			other[entry] = cmp.Or(other[entry], err)
		}
	}
	if len(tg.tracees) > 0 {
		for _, c := range tg.tracees {
			check(c.pid, c.file)
		}
	} else {
		running := newProcesses(nil, tg, 0)
		for _, pid := range allProcesses() {
			if running.runsFile(pid, true) != nil {
				check(pid, tg.file)
			}
		}
	}
	for i, f := range all {
		err := other[f.entry]
		switch {
		case err == nil && i < len(funcs):
			kept = append(kept, f)
		case err == nil:
		case i >= len(funcs) || slices.Contains(patterns, f.name):
			return nil, nil, err
		default:
			leftOut = append(leftOut, err)
		}
	}
	if len(kept) == 0 {
		return nil, nil, leftOut[0]
	}
	return kept, leftOut, nil
}

// patchedIn compares the code of functions in a process with the file that it runs, and
// returns the errors of those that differ, by their entries. What cannot be looked at
// is not patched: most programs never change their code, and a tracer that may not read
// another's memory is of use, too.
func patchedIn(pid int, f *os.File, sf *symbols.File, funcs []*Func) map[symbols.VirtAddr]error {
	exe, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", pid))
	if err != nil {
		return nil
	}
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/maps", pid))
	if err != nil {
		return nil
	}
	mem, err := os.Open(fmt.Sprintf("/proc/%d/mem", pid))
	if err != nil {
		return nil
	}
	defer mem.Close()
	maps := parseMappings(text)
	found := map[symbols.VirtAddr]error{}
	var want, got []byte
	var last symbols.VirtAddr
	for _, fn := range funcs {
		if fn.entry == last {
			continue // places in one function
		}
		last = fn.entry
		off, err := sf.FileOffset(fn.entry)
		if err != nil {
			continue
		}
		i := slices.IndexFunc(maps, func(m mapping) bool { return m.name == exe && m.holds(uint64(off)) })
		if i < 0 {
			continue
		}
		m := maps[i]
		size := min(max(fn.size, siteBytes), maxFunction, m.off+(m.high-m.low)-uint64(off))
		want, got = slices.Grow(want[:0], int(size))[:size], slices.Grow(got[:0], int(size))[:size]
		if _, err := f.ReadAt(want, int64(off)); err != nil {
			continue
		}
		if _, err := mem.ReadAt(got, int64(m.low+(uint64(off)-m.off))); err != nil {
			continue
		}
		if at, ok := otherCode(fn.arch, want, got); ok {
			found[fn.entry] = &FuncError{fn.name, fmt.Errorf("%w: process %d, at %#x: a probe there would crash it: "+
				"trace other functions, or other processes by their IDs", ErrPatched, pid, uint64(fn.entry)+uint64(at))}
		}
	}
	return found
}

// maxFunction bounds how much of a function is compared.
const maxFunction = 64 << 20

// holds reports whether code at an offset of the file is in the mapping.
func (m mapping) holds(off uint64) bool {
	return m.code && m.off <= off && m.low <= m.high && off-m.off < m.high-m.low
}

// otherCode returns where code in memory is other than the file's, but for breakpoints:
// those of other tracers and debuggers.
func otherCode(a *abi.Arch, file, mem []byte) (at int, ok bool) {
	if bytes.Equal(file, mem) {
		return 0, false
	}
	for i := 0; i < len(file); {
		if file[i] == mem[i] {
			i++
			continue
		}
		next, ok := behindBreakpoint(a, i, file, mem)
		if !ok {
			return i, true
		}
		i = next
	}
	return 0, false
}

// behindBreakpoint returns where a breakpoint that has the byte at i ends, not ok if
// there is none.
func behindBreakpoint(a *abi.Arch, i int, file, mem []byte) (next int, ok bool) {
	if a.HasLink { // arm64: brk #imm, in place of a whole instruction
		const brk, imm = 0xd4200000, 0xffff << 5
		i &^= 3
		return i + 4, i+4 <= len(mem) && binary.LittleEndian.Uint32(mem[i:])&^uint32(imm) == brk
	}
	const int3, call = 0xcc, 0xe8
	// From Linux 6.18 on a probe on a nop of five bytes becomes a call.
	nop5 := []byte{0x0f, 0x1f, 0x44, 0x00, 0x00}
	if mem[i] == call && bytes.HasPrefix(file[i:], nop5) {
		return i + len(nop5), true
	}
	return i + 1, mem[i] == int3
}

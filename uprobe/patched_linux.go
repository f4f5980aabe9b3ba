package uprobe

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"slices"

	"github.com/argtap/argtap/abi"
	"github.com/argtap/argtap/symbols"
)

// checkCode returns [ErrPatched] if a process that is to have probes has other code in
// a function than the file. The kernel puts a breakpoint there all the same, and
// carries out the file's instruction in place of that in memory: the process would
// crash. Functions that only tell how calls end are looked at, too.
func checkCode(tg *target, b *executable, funcs []*Func) error {
	funcs = slices.Clone(funcs)
	for _, w := range b.witnesses {
		funcs = append(funcs, w.fn)
	}
	check := func(pid int, f *os.File) error {
		err := unpatched(pid, f, b.file, funcs)
		if err != nil && tg.stillThere() != nil {
			return nil // that is for others to tell
		}
		return err
	}
	if len(tg.tracees) > 0 {
		for _, c := range tg.tracees {
			if err := check(c.pid, c.file); err != nil {
				return err
			}
		}
		return nil
	}
	running := newProcesses(nil, tg, 0)
	for _, pid := range allProcesses() {
		if running.runsFile(pid, true) == nil {
			continue
		}
		if err := check(pid, tg.file); err != nil {
			return err
		}
	}
	return nil
}

// unpatched compares the code of functions in a process with the file that it runs.
// What cannot be looked at is not patched: most programs never change their code, and
// a tracer that may not read another's memory is of use, too.
func unpatched(pid int, f *os.File, sf *symbols.File, funcs []*Func) error {
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
			return &FuncError{fn.name, fmt.Errorf("%w: process %d, at %#x: a probe there would crash it: "+
				"trace other functions, or other processes by their IDs", ErrPatched, pid, uint64(fn.entry)+uint64(at))}
		}
	}
	return nil
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

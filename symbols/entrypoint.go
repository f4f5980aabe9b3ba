package symbols

import (
	"debug/elf"
	"fmt"
)

// EntryPoint returns the virtual address at which processes of the file begin to run
// its code (gABI chapter 4, "ELF Header", e_entry). It is an error if the file has
// none, as most shared libraries have not, or one that is not in executable code.
func (f *File) EntryPoint() (VirtAddr, error) {
	const at = 24 // of e_entry, in both classes
	var buf [at + 8]byte
	if err := f.read(buf[:], 0); err != nil {
		return 0, f.wrap("read "+partELF, err)
	}
	a := VirtAddr(f.u32(buf[at:]))
	if f.class == elf.ELFCLASS64 {
		a = VirtAddr(f.u64(buf[at:]))
	}
	if a == 0 {
		return 0, f.wrap("entry point", fmt.Errorf("%w: the file states none", ErrNotProgram))
	}
	if s, ok := f.SegmentFor(a); !ok || !s.Exec || uint64(a-s.Addr) >= s.FileSize {
		return 0, f.malformed(partELF, at, "entry point %#x is not in executable code", uint64(a))
	}
	return a, nil
}

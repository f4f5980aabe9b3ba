package main

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/arch/x86/x86asm"
)

// int3 is the breakpoint instruction, which the kernel puts where a uprobe is.
const int3 = 0xcc

// memoryAddress returns where a process has the given offset of a file in
// executable memory. For a position-independent file that is not the address
// that the file says.
func memoryAddress(pid int, binary string, offset uint64) (uint64, error) {
	path, err := filepath.EvalSymlinks(binary)
	if err != nil {
		return 0, err
	}
	f, err := os.Open(fmt.Sprintf("/proc/%d/maps", pid))
	if err != nil {
		return 0, err
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		var start, end, from uint64
		var perms, dev, inode, name string
		// 00400000-006ec000 r-xp 00001000 fe:00 131 /srv/app
		n, _ := fmt.Sscanf(lines.Text(), "%x-%x %s %x %s %s %s", &start, &end, &perms, &from, &dev, &inode, &name)
		if n == 7 && name == path && strings.Contains(perms, "x") && from <= offset && offset < from+end-start {
			return start + offset - from, nil
		}
	}
	if err := lines.Err(); err != nil {
		return 0, err
	}
	return 0, fmt.Errorf("process %d has not mapped %s at offset %#x", pid, path, offset)
}

// showMemory prints the instruction at an address of a process and returns the
// bytes there.
func showMemory(pid int, addr uint64, when string) ([]byte, error) {
	mem, err := os.Open(fmt.Sprintf("/proc/%d/mem", pid))
	if err != nil {
		return nil, err
	}
	defer mem.Close()
	code := make([]byte, 8)
	if _, err := mem.ReadAt(code, int64(addr)); err != nil {
		return nil, fmt.Errorf("read the server's memory at %#x: %w", addr, err)
	}
	fmt.Printf("%-9s  %#x: % x  %s\n", when, addr, code, disassemble(code, addr))
	return code, nil
}

// disassemble returns the first instruction of code in GNU syntax.
func disassemble(code []byte, addr uint64) string {
	inst, err := x86asm.Decode(code, 64)
	if err != nil {
		return "?"
	}
	return x86asm.GNUSyntax(inst, addr, nil)
}

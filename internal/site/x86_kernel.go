package site

// What a 64-bit kernel makes of a probe on x86 instructions: from
// arch/x86/kernel/uprobes.c of Linux 5.10 to 7.1, taking of differing
// releases what is true of all. It emulates the same instructions in 32-bit
// programs (push_setup_xol_ops; emulate_push_stack pushes 4 bytes there).

// emulated reports whether the kernel emulates the instruction instead of
// executing a copy of it with a trap behind it.
func emulated(l *layout) bool {
	if l.vector || l.escape > 1 || refusedAny(l) != "" {
		return false
	}
	op := l.op
	// push_setup_xol_ops (since 4.16): without prefix, or with exactly 0x41.
	if l.escape == 0 && op >= 0x50 && op <= 0x57 {
		return len(l.legacy) == 0 && (l.rex == 0 || l.rex == 0x41)
	}
	// branch_setup_xol_ops takes prefixes other than 0x66 as well; compilers
	// write none, and what a processor makes of some is its own affair.
	if l.rex != 0 {
		return false
	}
	if l.escape == 0 && op == 0x90 {
		// Other nops are emulated by newer kernels only (insn_is_nop).
		return len(l.legacy) == 0 || len(l.legacy) == 1 && l.legacy[0] == 0x66
	}
	if len(l.legacy) > 0 {
		return false
	}
	if l.escape == 1 {
		return op >= 0x80 && op <= 0x8f
	}
	return op >= 0x70 && op <= 0x7f || op == 0xe8 || op == 0xe9 || op == 0xeb
}

// refused says why no probe may sit on the instruction: because the kernel
// rejects it, or because the program would not go on as without a probe.
// b begins with the instruction.
func refused(l *layout, b []byte) string {
	if s := refusedAny(l); s != "" {
		return s
	}
	if l.escape == 0 && l.op == 0xeb && b[l.immAt] == 8 {
		// can_optimize in kernels under development: such a jump is taken
		// for what an earlier probe left of a ten-byte nop, and the eight
		// bytes behind it are overwritten.
		return "kernels may rewrite the bytes behind it"
	}
	return ""
}

func refusedAny(l *layout) string {
	for _, p := range l.legacy {
		switch p {
		case 0x26, 0x2e, 0x36, 0x3e, 0xf0: // is_prefix_bad
			return "the kernel refuses its prefix"
		}
	}
	if l.vector {
		// The kernel's decoder leaves the last opcode byte alone in
		// insn.opcode, and branch_setup_xol_ops takes it for a one-byte
		// opcode: vzeroupper (77) for ja, vpor (eb) for jmp. On 6.18 a vpor
		// with a probe on it was not executed.
		return "the kernel may take a VEX or EVEX encoding for another instruction"
	}
	if l.escape == 1 {
		return refusedTwoByte(l)
	}
	if l.escape > 1 {
		return ""
	}
	return refusedOneByte(l)
}

func refusedOneByte(l *layout) string {
	op := l.op
	switch {
	case op == 0x90 && l.rex&1 != 0:
		// xchg %rax,%r8. On 6.18 one with a probe on it was not executed;
		// later kernels look at the REX prefix (insn_is_nop).
		return "the kernel may take it for a nop"
	case op == 0x9c || op == 0x9d:
		return "it copies the trap flag that the single step sets" // pushf, popf
	case l.has(0xf2) || l.has(0xf3):
		if op >= 0x6c && op <= 0x6f || op >= 0xa4 && op <= 0xa7 || op >= 0xaa && op <= 0xaf {
			return "a repeated string operation traps after each step, and each is a hit"
		}
	case op == 0x8e && l.reg() == 2:
		return "it masks the trap" // mov %ss: insn_masking_exception
	case op >= 0xc6 && op <= 0xc7 && l.modrm == 0xf8:
		return "a trap aborts the transaction" // xabort, xbegin
	case l.bits == 32 && (op == 0x07 || op == 0x17 || op == 0x1f):
		return "the kernel refuses it" // good_insns_32: pop %es, %ss, %ds
	case l.bits == 32 && (op == 0x9a || op == 0xea):
		return "far transfer of control"
	}
	switch {
	case op == 0x0f: // not reached: the escape to the other maps
	case op >= 0x6c && op <= 0x6f, op >= 0xcc && op <= 0xcf, op >= 0xe4 && op <= 0xe7,
		op >= 0xec && op <= 0xef, op == 0xf1, op == 0xf4, op == 0xfa, op == 0xfb:
		return "the kernel refuses it" // good_insns_64: in, out, int, iret, hlt, cli, sti
	case op == 0xff && (l.reg() == 3 || l.reg() == 5), op == 0xca, op == 0xcb:
		return "far transfer of control"
	}
	return ""
}

func refusedTwoByte(l *layout) string {
	switch l.op {
	case 0x00, 0x01, 0x05, 0x06, 0x07, 0x08, 0x09, 0x0b, 0x30, 0x34, 0x35, 0x37, 0x78, 0x79, 0xae:
		return "the kernel refuses it" // good_2byte_insns: syscall, ud2, xgetbv, fences, ...
	case 0x0a, 0x0c, 0xb9, 0xff:
		return "not an instruction"
	case 0x1f:
		// Kernels from 6.18 rewrite five-byte (later ten-byte) nops into a
		// call that pushes below the stack pointer. Which length they
		// choose has changed before.
		return "kernels may rewrite it into a call"
	}
	return ""
}

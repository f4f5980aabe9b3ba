package site

// What the kernel makes of a probe on arm64 instructions: from
// arch/arm64/kernel/probes/{decode-insn,simulate-insn,uprobes}.c and
// arch/arm64/include/asm/insn.h of Linux 5.10 to 7.1, taking of differing
// releases what is true of all.

// emulated reports whether the kernel simulates the instruction instead of
// executing a copy of it with a trap behind it (arm_probe_decode_insn). A nop
// is among those only since 6.13, and since then a load from a literal pool
// is no longer.
func (w word) emulated() bool {
	switch {
	case w.is(0x7c000000, 0x14000000), // b, bl
		w.is(0xff000010, 0x54000000),                               // b.cond
		w.is(0x7c000000, 0x34000000),                               // cbz, cbnz, tbz, tbnz
		w.is(0xfffffc1f, 0xd61f0000), w.is(0xfffffc1f, 0xd63f0000), // br, blr
		w.is(0xfffffc1f, 0xd65f0000), // ret
		w.is(0x1f000000, 0x10000000): // adr, adrp
		return true
	}
	return false
}

// refused says why no probe may sit on the instruction: because a kernel
// rejects it (aarch64_insn_is_steppable), or because the program would not go
// on as without a probe.
func (w word) refused() string {
	if w.emulated() {
		return ""
	}
	_, _, literal := w.literal()
	switch {
	case w.undefined():
		return "not an instruction"
	case literal:
		// Kernels reject it since 6.13; those before read a user's address
		// as their own, or, for vector registers, step a copy elsewhere.
		return "it loads from an address relative to its own, which the kernel does not do"
	case w.is(0x3f800000, 0x08000000):
		return "the kernel refuses it: an exclusive load or store"
	case w.is(0x3b200c00, 0x19000400):
		return "the kernel refuses it: one of three that belong together" // memory copy and set
	case w.is(0xff200400, 0xf8200400):
		return "it authenticates a pointer" // ldraa, ldrab
	case w.bits(28, 26) == 5: // branches, exceptions, system
		return w.refusedSystem()
	case w.is(0x1a000000, 0x02000000): // unallocated
		return "not an instruction"
	}
	return ""
}

func (w word) refusedSystem() string {
	switch {
	case w.is(0xfff00000, 0xd5300000), // mrs
		w.is(0xfffff01f, 0xd503301f): // dmb, dsb, isb, clrex
		return ""
	case w.is(0xfffff01f, 0xd503201f): // hint
		switch w.bits(11, 5) { // aarch64_insn_is_steppable_hint
		case 0, // nop
			7, 8, 10, // xpaclri, pacia1716, pacib1716
			24, 25, 26, 27, // paciaz, paciasp, pacibz, pacibsp
			32, 34, 36, 38: // bti
			return ""
		}
		return "the kernel refuses it: a hint"
	case w.is(0xff000000, 0xd4000000):
		return "the kernel refuses it: an exception"
	case w.is(0xfe000000, 0xd6000000):
		return "the kernel refuses it: a branch with authentication, or a return from an exception"
	}
	return "a branch or system instruction that kernels may refuse"
}

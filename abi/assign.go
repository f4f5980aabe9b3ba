package abi

import "fmt"

// EntryLocation is a [Location] that holds at one point only: when the first
// instruction of the function is about to run, and as long after it as nothing
// has changed the registers and memory that it names. It is a type of its own
// so that it cannot be used at any other program counter by mistake.
type EntryLocation struct{ l Location }

// AtEntry returns the location, for use at the function's entry. The caller
// must not change it.
func (l EntryLocation) AtEntry() Location { return l.l }

// ReturnLocation is a [Location] that holds at one point only: when an
// instruction that returns from the function (RET) is about to run.
type ReturnLocation struct{ l Location }

// AtReturn returns the location, for use at a return. The caller must not
// change it.
func (l ReturnLocation) AtReturn() Location { return l.l }

// Assignment says where a calling convention puts the arguments and results of
// one function. It is made by [Internal] or [Stack] and is immutable.
type Assignment struct {
	// Dict is where the hidden dictionary is; it has no pieces if the
	// signature has no dictionary.
	Dict EntryLocation
	// Params is parallel to Signature.Params.
	Params []EntryLocation
	// Results is parallel to Signature.Results.
	Results []ReturnLocation

	// ArgSize, ResultSize and SpillSize are the bytes of the three parts of the
	// caller's frame that belong to the call, each rounded up to the pointer
	// size: stack-assigned arguments, then stack-assigned results, then the
	// slots reserved for register-assigned arguments.
	ArgSize, ResultSize, SpillSize int64

	dictSpill CFAOffset
	spill     []CFAOffset // parallel to Params; valid if the location is in registers
}

// SpillSlot returns where the caller reserved memory for argument i, in case
// the callee must put it there: to grow the stack, or because its address is
// taken. The slot is not filled at the entry. ok is false if the argument is
// not in registers and so has none.
func (a *Assignment) SpillSlot(i int) (slot CFAOffset, ok bool) {
	return a.spill[i], a.Params[i].l.inRegisters()
}

// DictSpillSlot is what [Assignment.SpillSlot] is, for the dictionary.
func (a *Assignment) DictSpillSlot() (slot CFAOffset, ok bool) {
	return a.dictSpill, a.Dict.l.inRegisters()
}

// EntryRegs returns the registers that hold arguments at the entry, the
// dictionary's included. The closure context and g are not among them.
func (a *Assignment) EntryRegs() []Reg {
	regs := a.Dict.l.appendRegs(nil)
	for _, p := range a.Params {
		regs = p.l.appendRegs(regs)
	}
	return regs
}

func (l Location) inRegisters() bool { return len(l) > 0 && l[0].Kind == InRegister }

func (l Location) appendRegs(regs []Reg) []Reg {
	for i := range l {
		if l[i].Kind == InRegister {
			regs = append(regs, l[i].Reg)
		}
	}
	return regs
}

// Internal assigns by ABIInternal, the convention of compiled Go code since Go
// 1.17 on amd64 (cmd/compile/abi-internal.md; the code that decides is
// cmd/compile/internal/abi/abiutils.go). A register-assigned value has one
// piece for each register, at the offset that its bytes have in memory: padding
// is in no piece. A stack-assigned value is one piece.
//
// It fails for a type that was not read completely or whose sizes contradict
// each other, with an error that names the parameter and the type. There is no
// partial answer: one unknown size moves everything behind it.
func Internal(a *Arch, s *Signature) (*Assignment, error) {
	return assign(a, s, a.Ints, a.Floats)
}

// Stack assigns by ABI0, the convention of assembly functions and of all Go
// code before register arguments: everything is on the stack. By
// abi-internal.md it is ABIInternal with no registers.
func Stack(a *Arch, s *Signature) (*Assignment, error) {
	return assign(a, s, nil, nil)
}

// dictType stands for the type of the dictionary: a pointer to an array of
// uintptr.
func dictType(a *Arch) *Type {
	return &Type{Name: "*[...]uintptr", Kind: Pointer, Size: a.PtrSize, Align: a.PtrSize}
}

func assign(a *Arch, s *Signature, ints, floats []Reg) (*Assignment, error) {
	st := assigner{arch: a, ints: ints, floats: floats}
	out := &Assignment{
		Params:  make([]EntryLocation, 0, len(s.Params)),
		Results: make([]ReturnLocation, 0, len(s.Results)),
		spill:   make([]CFAOffset, 0, len(s.Params)),
	}
	dict := func() error {
		loc, spill, err := st.argument(dictType(a))
		out.Dict, out.dictSpill = EntryLocation{loc}, CFAOffset(spill)
		return err
	}
	if s.Dict > DictAfterReceiver {
		return nil, fmt.Errorf("assign %s: no such place of a dictionary: %d", s, s.Dict)
	}
	if s.Dict == DictAfterReceiver && (!s.Method || len(s.Params) == 0) {
		return nil, fmt.Errorf("assign %s: a dictionary after the receiver, but no receiver", s)
	}
	if s.Dict == DictFirst {
		if err := dict(); err != nil {
			return nil, err
		}
	}
	for i, p := range s.Params {
		if i == 1 && s.Dict == DictAfterReceiver {
			if err := dict(); err != nil {
				return nil, err
			}
		}
		loc, spill, err := st.argument(p.Type)
		if err != nil {
			return nil, fmt.Errorf("assign parameter %d %q (%s): %w", i, p.Name, p.Type, err)
		}
		out.Params = append(out.Params, EntryLocation{loc})
		out.spill = append(out.spill, CFAOffset(spill))
	}
	if s.Dict == DictAfterReceiver && len(s.Params) == 1 {
		if err := dict(); err != nil {
			return nil, err
		}
	}
	// Arguments and results share registers, but not stack space.
	st.stack = alignUp(st.stack, a.PtrSize)
	out.ArgSize = st.stack
	st.nextInt, st.nextFloat = 0, 0
	for i, r := range s.Results {
		loc, err := st.value(r.Type)
		if err != nil {
			return nil, fmt.Errorf("assign result %d %q (%s): %w", i, r.Name, r.Type, err)
		}
		out.Results = append(out.Results, ReturnLocation{loc})
	}
	st.stack = alignUp(st.stack, a.PtrSize)
	out.ResultSize = st.stack - out.ArgSize
	out.SpillSize = alignUp(st.spill, a.PtrSize)

	// Spill slots were numbered from the start of their area, which is known
	// only now.
	base := a.ArgBase + CFAOffset(st.stack)
	out.dictSpill += base
	for i := range out.spill {
		out.spill[i] += base
	}
	return out, nil
}

// maxFrame bounds the stack-assigned bytes of one call: the compiler keeps
// their offsets in 32 bits and rejects larger frames.
const maxFrame = 1<<31 - 1

// assigner is the state of an assignment: the indexes I and FP and the stack
// sequence S of abi-internal.md.
type assigner struct {
	arch               *Arch
	ints, floats       []Reg
	nextInt, nextFloat int
	stack, spill       int64 // bytes used so far
}

// argument assigns a receiver or argument and, if it goes to registers, a spill
// slot, as an offset in the spill area.
func (st *assigner) argument(t *Type) (Location, int64, error) {
	loc, err := st.value(t)
	if err != nil || !loc.inRegisters() {
		return loc, 0, err
	}
	slot, err := slot(&st.spill, t)
	return loc, slot, err
}

// value assigns one value: wholly to registers, or wholly to the stack.
func (st *assigner) value(t *Type) (Location, error) {
	sh := shaper{ptrSize: st.arch.PtrSize}
	if err := sh.visit(t, 0, 0); err != nil {
		return nil, err
	}
	// A value of no size goes to the stack sequence, for the sake of its
	// alignment.
	if t.Size > 0 && !sh.array &&
		sh.ints <= len(st.ints)-st.nextInt && sh.floats <= len(st.floats)-st.nextFloat {
		loc := make(Location, len(sh.leaves))
		for i, lf := range sh.leaves {
			loc[i] = Piece{Offset: lf.offset, Size: lf.size, Kind: InRegister}
			if lf.float {
				loc[i].Reg = st.floats[st.nextFloat]
				st.nextFloat++
			} else {
				loc[i].Reg = st.ints[st.nextInt]
				st.nextInt++
			}
		}
		return loc, nil
	}
	offset, err := slot(&st.stack, t)
	if err != nil || t.Size == 0 {
		return nil, err
	}
	return Location{{Size: t.Size, Kind: InFrame, CFA: st.arch.ArgBase + CFAOffset(offset)}}, nil
}

// slot takes the next place for a value of type t in the area of which *used
// bytes are taken.
func slot(used *int64, t *Type) (int64, error) {
	offset := alignUp(*used, t.Align)
	if t.Size > maxFrame-offset {
		return 0, fmt.Errorf("type %s: the call's stack frame exceeds %d bytes", t, maxFrame)
	}
	*used = offset + t.Size
	return offset, nil
}

// alignUp rounds n up to a multiple of align, a power of two.
func alignUp(n, align int64) int64 { return (n + align - 1) &^ (align - 1) }

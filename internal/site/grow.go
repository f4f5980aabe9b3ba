package site

import "github.com/argtap/argtap/abi"

// grow returns the probe on the call of morestack, if the tail does not
// restore all live registers; nil if it does, or if there is no stack check.
//
// The compiler spills and reloads argument registers around the call only if
// the function reads any of them (cmd/compile/internal/amd64/ssa.go: the spills
// are listed where the first OpArgIntReg or OpArgFloatReg is generated). A
// function that reads none starts again with whatever newstack has left in
// them. They still hold the arguments when the tail is entered.
func (f *function) grow(a *abi.Arch, live []abi.Reg, check stackCheck) *Probe {
	var restored regSet
	var more *instr
	first, ok := f.at(check.jumps[len(check.jumps)-1])
	if !ok {
		return nil
	}
	for off := int(first.target); off < check.tailJump; {
		in, ok := f.at(off)
		if !ok {
			break
		}
		switch {
		case in.flow == call || in.flow == callAny:
			more = &in
		case more != nil:
			w := f.m.effects(f.code, in).writes
			restored[0] |= w[0]
			restored[1] |= w[1]
		}
		off = in.end()
	}
	if more == nil {
		return nil
	}
	for _, r := range live {
		// The runtime itself keeps g, the stack pointer and the closure
		// context (runtime.morestack, gogo).
		if r == a.G || r == a.SP || r == a.Closure || a.IsFloat(r) || restored.has(r) {
			continue
		}
		p := f.probe(*more, a.CFAAtEntry)
		return &p
	}
	return nil
}

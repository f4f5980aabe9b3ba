package site

import "github.com/argtap/argtap/abi"

// grow returns the probe on the call of morestack, if the tail does not
// restore all live registers; nil if it does, or if there is no stack check.
//
// The compiler spills and reloads argument registers around the call only if
// the function reads any of them (cmd/compile/internal/amd64/ssa.go: the spills
// are listed where the first OpArgIntReg or OpArgFloatReg is generated). A
// function that reads none starts again with whatever newstack has left in
// them. They still hold the arguments when the tail is entered. Where the tail
// overwrites one before the call (arm64 passes the link register to morestack
// in x3), the probe is on the instruction that does.
func (f *function) grow(a *abi.Arch, live []abi.Reg, check stackCheck) *Probe {
	first, ok := f.at(check.jumps[len(check.jumps)-1])
	if !ok {
		return nil
	}
	var before []instr // of the tail, up to the call
	var restored regSet
	called := false
	for off := int(first.target); off < check.tailJump; {
		in, ok := f.at(off)
		if !ok {
			break
		}
		if !called {
			before = append(before, in)
		} else {
			restored.join(f.m.effects(f.code, in).writes)
		}
		called = called || in.flow == call || in.flow == callAny
		off = in.end()
	}
	var lost regSet
	for _, r := range live {
		// The runtime itself keeps g, the stack pointer, the link register
		// and the closure context (runtime.morestack, gogo).
		kept := a.HasG && r == a.G || r == a.SP || a.HasLink && r == a.Link || r == a.Closure
		if !kept && !a.IsFloat(r) && !restored.has(r) {
			lost.add(r)
		}
	}
	if !called || lost == (regSet{}) {
		return nil
	}
	at := before[len(before)-1]
	for _, in := range before {
		if f.m.effects(f.code, in).writes.meets(lost) {
			at = in
			break
		}
	}
	p := f.probe(at, a.CFAAtEntry)
	return &p
}

package probegen

import (
	"github.com/cilium/ebpf/asm"

	"github.com/argtap/argtap/abi"
)

// MapInstances is a hash of the rows that the parameters have in the type table by
// the dictionary that generic code was called with: of keys of [InstanceKeySize]
// to values of [InstanceSize] bytes. Only programs for functions with a walk and a
// dictionary refer to it.
const MapInstances = "instances"

// Sizes in bytes of a key and a value of MapInstances, and the offsets of their
// fields.
const (
	InstanceKeySize = 16
	InstanceDict    = 0 // u64: the dictionary's address, as the binary states it
	InstanceFunc    = 8 // u64: Func.ID, with InstanceResults for the rows of the results
	InstanceResults = 1 << 32

	InstanceSize  = 8
	InstanceFirst = 0 // u32: the first row
	InstanceRows  = 4 // u32: their number
)

// bias loads the distance of the target's addresses from those that its binary
// states. It changes scratch.
func (g *gen) bias(dst, scratch asm.Register, f *Func) {
	g.emit(
		asm.LoadMem(dst, regCtx, g.machine.pc, asm.DWord),
		asm.LoadImm(scratch, int64(f.Site), asm.DWord),
		asm.Sub.Reg(dst, scratch),
	)
}

// stated turns an address of the target into that which its binary states.
func (g *gen) stated(r asm.Register, f *Func) {
	g.bias(asm.R2, asm.R3, f)
	g.emit(asm.Sub.Reg(r, asm.R2))
	if g.machine.word == asm.Word {
		g.emit(asm.Mov.Reg32(r, r))
	}
}

// dict turns the dictionary in the record into the address that the binary
// states.
func (g *gen) dict(f *Func) {
	d := f.Plan.Dict
	if d == nil {
		return
	}
	g.note("the dictionary")
	g.emit(asm.LoadMem(asm.R1, regRecord, int16(d.Offset), g.machine.word))
	g.stated(asm.R1, f)
	g.emit(asm.StoreMem(regRecord, int16(d.Offset), asm.R1, asm.DWord))
}

// onlyDicts ends the program for calls with other dictionaries than those of f. A
// call of which the dictionary cannot be read is reported.
func (g *gen) onlyDicts(f *Func) {
	if f.Dicts == nil {
		return
	}
	wanted := g.fresh("wanted")
	g.note("which dictionary?")
	if f.doubts() {
		g.emit(asm.JNE.Imm(regFailed, 0, wanted))
	}
	g.loadDict(f, wanted)
	g.stated(asm.R1, f)
	for _, d := range f.Dicts {
		g.emit(asm.LoadImm(asm.R2, int64(d), asm.DWord), asm.JEq.Reg(asm.R1, asm.R2, wanted))
	}
	g.emit(asm.Ja.Label(g.ignored()))
	g.label(wanted)
}

// loadDict loads the dictionary into R1. Where it cannot be read it jumps to
// failed.
func (g *gen) loadDict(f *Func, failed string) {
	p := f.Dict[0]
	if p.Kind == abi.InRegister {
		g.loadReg(asm.R1, p.Reg)
		return
	}
	g.loadReg(asm.R3, f.Arch.SP)
	g.add(asm.R3, int64(p.CFA)+f.CFA)
	g.emit(
		asm.Mov.Imm(asm.R1, 0),
		asm.StoreMem(asm.RFP, -8, asm.R1, asm.DWord),
		asm.Mov.Reg(asm.R1, asm.RFP), asm.Add.Imm(asm.R1, -8),
		asm.Mov.Imm(asm.R2, int32(f.Arch.PtrSize)),
		asm.FnProbeReadUser.Call(),
		asm.JNE.Imm(asm.R0, 0, failed),
		asm.LoadMem(asm.R1, asm.RFP, -8, g.machine.word),
	)
}

// instance makes the rows with which a walk begins those of the true types of the
// parameters, if the dictionary is known.
func (g *gen) instance(f *Func) {
	d := f.Plan.Dict
	if d == nil && !f.Instances {
		return
	}
	const key = -InstanceKeySize
	id := int64(f.ID)
	if f.Role == RoleReturn {
		id |= InstanceResults
	}
	shapes := g.fresh("shapes")
	g.note("the rows of the true types")
	if f.Instances {
		g.emit(asm.LoadMem(asm.R1, asm.RFP, g.openValue()+OpenDict, asm.DWord))
	} else {
		g.emit(asm.LoadMem(asm.R1, regRecord, int16(d.Offset), asm.DWord))
	}
	g.emit(
		asm.StoreMem(asm.RFP, key+InstanceDict, asm.R1, asm.DWord),
		asm.LoadImm(asm.R1, id, asm.DWord),
		asm.StoreMem(asm.RFP, key+InstanceFunc, asm.R1, asm.DWord),
		asm.LoadMapPtr(asm.R1, 0).WithReference(MapInstances),
		asm.Mov.Reg(asm.R2, asm.RFP), asm.Add.Imm(asm.R2, key),
		asm.FnMapLookupElem.Call(),
		asm.JEq.Imm(asm.R0, 0, shapes),
		asm.LoadMem(asm.R1, asm.R0, InstanceFirst, asm.Word),
		asm.LoadMem(asm.R2, asm.R0, InstanceRows, asm.Word),
		asm.Add.Reg(asm.R2, asm.R1),
	)
	g.store(walkRow, asm.R1)
	g.store(walkRowStart, asm.R1)
	g.store(walkRowEnd, asm.R2)
	g.label(shapes)
}

// checkDict returns why the dictionary of a function is of no use, "" if nothing
// is wrong.
func (g *gen) checkDict(f *Func) string {
	if f.Dicts == nil {
		return ""
	}
	if len(f.Dict) != 1 || f.Dict[0].Size != f.Arch.PtrSize {
		return "the place of its dictionary is not known"
	}
	switch p := f.Dict[0]; {
	case len(f.Dicts) > MaxDicts:
		return "it has too many dictionaries"
	case p.Kind == abi.InFrame:
	case p.Kind != abi.InRegister || g.unreadable(p.Reg):
		return "its dictionary is not readable"
	}
	return ""
}

// MaxDicts bounds Func.Dicts.
const MaxDicts = 1024

package probegen

import (
	"github.com/cilium/ebpf/asm"

	"github.com/argtap/argtap/internal/capture"
)

// NeedsDynamic reports whether programs look up [MapDynamic].
func NeedsDynamic(t *capture.Types) bool { return t.HasDynamic() || t.Funcs() }

// dynamic generates what a step does for interfaces. An interface with methods
// takes two: the first appends the word of the itab that holds the dynamic
// type, and leaves where that is in the record in walkPhase. So does a func, with
// the word that has the address of the code.
func (g *gen) dynamic(ptr int16, word asm.Size, types int) {
	g.label("itab")
	g.emit(asm.Add.Imm(regAddr, int32(ptr)))
	g.label("func")
	g.load(asm.R1, walkPhase)
	g.emit(
		asm.JNE.Imm(asm.R1, 0, "typeword"),
		asm.Mov.Imm(asm.R1, capture.WordType),
	)
	g.store(walkType, asm.R1)
	g.emit(asm.Mov.Imm(asm.R1, phaseWord))
	g.store(walkPhase, asm.R1)
	g.emit(asm.Ja.Label("follow"))

	g.label("typeword")
	g.emit(asm.Mov.Imm(asm.R2, 0))
	g.store(walkPhase, asm.R2)
	g.emit(
		asm.JGT.Imm(asm.R1, capture.MaxWalk, "next"),
		asm.Add.Reg(asm.R1, regRecord),
		asm.LoadMem(regAddr, asm.R1, capture.ObjectHeader, word),
	)
	g.label("eface")
	g.note("the dynamic type")
	g.load(asm.R1, walkBias)
	g.emit(asm.Sub.Reg(regAddr, asm.R1))
	if word == asm.Word {
		g.emit(asm.Mov.Reg32(regAddr, regAddr))
	}
	g.emit(
		asm.StoreMem(asm.RFP, -8, regAddr, asm.DWord),
		asm.LoadMapPtr(asm.R1, 0).WithReference(MapDynamic),
		asm.Mov.Reg(asm.R2, asm.RFP), asm.Add.Imm(asm.R2, -8),
		asm.FnMapLookupElem.Call(),
		asm.JEq.Imm(asm.R0, 0, "next"),
		asm.LoadMem(asm.R1, asm.R0, capture.DynamicType, asm.Word),
	)
	g.store(walkType, asm.R1)
	g.emit(asm.LoadMem(asm.R2, asm.R0, capture.DynamicHop, asm.Word))
	g.store(walkHop, asm.R2)
	g.emit(
		asm.LoadMem(asm.R3, asm.R6, capture.RowKindAt, asm.Byte),
		asm.JEq.Imm(asm.R3, int32(capture.RowFunc), "closure"),
		asm.JEq.Imm(asm.R2, capture.DynamicInline, "inline"),
		asm.LoadMem(regAddr, asm.R9, ptr, word),
		asm.JEq.Imm(regAddr, 0, "next"),
		asm.Ja.Label("follow"),
	)
	g.label("closure")
	g.emit(
		asm.JEq.Imm(asm.R2, capture.DynamicInline, "next"), // no code
		asm.LoadMem(regAddr, asm.R9, 0, word),
		asm.Ja.Label("follow"),
	)
	g.label("inline")
	g.note("the rows of the value in the interface")
	for _, w := range [][2]int16{{walkBackRow, walkRow}, {walkBackEnd, walkRowEnd}, {walkBackPos, walkPos}} {
		g.load(asm.R2, w[1])
		g.store(w[0], asm.R2)
	}
	g.emit(asm.LoadMem(asm.R3, asm.R6, capture.RowOffset, asm.Word), asm.Add.Reg(asm.R2, asm.R3), asm.Add.Imm(asm.R2, int32(ptr)))
	g.store(walkPos, asm.R2)
	g.inTable(asm.R2, asm.R1, MapTypes, types)
	g.emit(
		asm.LoadMem(asm.R1, asm.R2, capture.TypeFirst, asm.Word),
		asm.LoadMem(asm.R3, asm.R2, capture.TypeRows, asm.Word),
		asm.Add.Reg(asm.R3, asm.R1),
	)
	g.store(walkRow, asm.R1)
	g.store(walkRowEnd, asm.R3)
	g.emit(asm.Ja.Label("next"))
}

// back generates the return from the rows of a value in an interface.
func (g *gen) back() {
	none := g.fresh("none")
	g.load(asm.R1, walkBackEnd)
	g.emit(asm.JEq.Imm(asm.R1, 0, none))
	g.store(walkRowEnd, asm.R1)
	g.emit(asm.Mov.Imm(asm.R2, 0))
	g.store(walkBackEnd, asm.R2)
	g.load(asm.R2, walkBackPos)
	g.store(walkPos, asm.R2)
	g.emit(asm.Mov.Reg(asm.R2, asm.R1))
	g.load(asm.R1, walkBackRow)
	g.store(walkRow, asm.R1)
	g.emit(asm.JLT.Reg(asm.R1, asm.R2, "row"))
	g.label(none)
}

package probegen

import (
	"math"

	"github.com/cilium/ebpf/asm"

	"github.com/argtap/argtap/internal/capture"
)

// Names of the maps that programs with walks refer to.
const (
	// MapWalk is an array whose elements [WalkScratch] describes.
	MapWalk = "walk"
	// MapTypes and MapRows are arrays of one element: the type table
	// ([capture.Types.Encode]).
	MapTypes = "types"
	MapRows  = "rows"
	// MapDynamic is a hash of the dynamic types ([capture.Types.EncodeDynamic])
	// by 8 bytes to [capture.DynamicSize].
	MapDynamic = "dynamic"
)

// walk follows the references of the record.
//
// The record's heap is its own queue. Each step, a call of bpf_loop's function,
// looks at one reference of one element of one object: reads its words from the
// record, and appends what it leads to unless that was appended already. What
// a step must know of the one before is in scratch memory, where the verifier
// knows nothing of it: so it walks through the function once.
func (g *gen) walk(f *Func) {
	w := f.Plan.Walk
	g.note("walk")
	state := func(at int16) { g.emit(asm.StoreMem(regRecord, at, asm.R1, asm.DWord)) }
	g.emit(asm.LoadMem(asm.R1, regRecord, walkGen, asm.DWord), asm.Add.Imm(asm.R1, 1))
	g.emit(asm.LSh.Imm(asm.R1, capture.ObjectTypeBits), asm.RSh.Imm(asm.R1, capture.ObjectTypeBits))
	state(walkGen)
	g.emit(asm.Mov.Imm(asm.R1, 0))
	zero := []int16{walkElems, walkPos, walkSize, walkDepth, walkPhase, walkFlags, walkObjects, walkBackEnd}
	if scans(w.Types) {
		zero = append(zero, walkScan)
	}
	for _, at := range zero {
		state(at)
	}
	if scans(w.Types) {
		g.emit(asm.Mov.Imm(asm.R1, capture.MaxScan))
		state(walkBudget)
	}
	g.emit(asm.Mov.Imm(asm.R1, int32(f.Plan.Fixed)))
	state(walkCursor)
	state(walkNext)
	g.emit(asm.Mov.Imm(asm.R1, int32(w.Bytes)))
	state(walkLimit)
	g.emit(asm.Mov.Imm(asm.R1, int32(w.First)))
	state(walkRow)
	state(walkRowStart)
	g.emit(asm.Mov.Imm(asm.R1, int32(w.First+w.Rows)))
	state(walkRowEnd)
	g.instance(f)
	g.note("the load bias")
	if f.Role == RoleReturn {
		// There are several sites with one program.
		g.emit(asm.LoadMem(asm.R1, asm.RFP, g.openValue()+OpenBias, asm.DWord))
	} else {
		g.bias(asm.R1, asm.R2, f)
	}
	state(walkBias)
	state(capture.OffBias)
	const callback = "step"
	if g.walker == nil {
		g.walker = w
		g.callbacks = append(g.callbacks, func() { g.step(callback, w) })
	}
	g.emit(
		asm.StoreMem(asm.RFP, -8, regRecord, asm.DWord),
		asm.Mov.Imm(asm.R1, maxSteps),
	)
	g.loopCall(callback, -8)
	g.emit(
		asm.LoadMem(asm.R1, regRecord, walkFlags, asm.DWord),
		asm.StoreMem(regRecord, capture.OffFlags, asm.R1, asm.Half),
	)
}

// step generates the function that bpf_loop calls.
func (g *gen) step(callback string, w *capture.Walk) {
	types, rows := w.Types.Len()
	dynamic := NeedsDynamic(w.Types)

	g.function(callback, each)
	g.note("the next reference of the element")
	g.emit(asm.LoadMem(regRecord, asm.R2, 0, asm.DWord))
	if scans(w.Types) {
		g.load(asm.R1, walkScan)
		g.emit(asm.JNE.Imm(asm.R1, 0, "scan"))
	}
	g.load(asm.R1, walkRow)
	g.load(asm.R2, walkRowEnd)
	g.emit(asm.JLT.Reg(asm.R1, asm.R2, "row"))
	if dynamic {
		g.back()
	}
	g.note("the next element of the object")
	g.load(asm.R1, walkElems)
	g.emit(asm.JEq.Imm(asm.R1, 0, "object"), asm.Sub.Imm(asm.R1, 1))
	g.store(walkElems, asm.R1)
	g.load(asm.R1, walkPos)
	g.load(asm.R2, walkSize)
	g.emit(asm.Add.Reg(asm.R1, asm.R2))
	g.store(walkPos, asm.R1)
	g.load(asm.R1, walkRowStart)
	g.emit(asm.Ja.Label("row"))
	g.nextObject(types)
	g.reference(w, rows, dynamic)
	if dynamic {
		g.emit(asm.Ja.Label("follow"))
		g.dynamic(int16(g.arch.PtrSize), g.machine.word, types)
	}
	if scans(w.Types) {
		if !dynamic {
			g.emit(asm.Ja.Label("follow"))
		}
		g.scanned()
	}
	g.follow(types)
	g.insert(func() {
		if w.Types.Erases() {
			g.eraseObject(types, rows)
		}
	})
	if scans(w.Types) {
		g.emit(asm.Ja.Label("drop"))
		g.scan(w.Types, types)
	}

	g.label("drop")
	g.emit(asm.Mov.Imm(asm.R1, 0))
	g.store(walkPhase, asm.R1)
	g.label("next")
	g.emit(asm.Mov.Imm(asm.R0, 0), asm.Return())
	g.label("stop")
	g.emit(asm.Mov.Imm(asm.R0, 1), asm.Return())
}

// nextObject generates what takes the next object up, if there is one that was not:
// R1 is its first reference then, if it has any.
func (g *gen) nextObject(types int) {
	g.label("object")
	g.note("the next object")
	g.load(asm.R1, walkNext)
	g.load(asm.R2, walkCursor)
	g.emit(
		asm.JGE.Reg(asm.R1, asm.R2, "stop"),
		asm.JGT.Imm(asm.R1, capture.MaxWalk, "stop"),
		asm.Mov.Reg(asm.R3, regRecord), asm.Add.Reg(asm.R3, asm.R1),
		asm.LoadMem(asm.R4, asm.R3, capture.ObjectType, asm.Word),
		asm.LoadMem(asm.R5, asm.R3, capture.ObjectCount, asm.Word),
		asm.Mov.Reg(asm.R2, asm.R4), asm.RSh.Imm(asm.R2, capture.ObjectTypeBits),
	)
	g.store(walkDepth, asm.R2)
	g.emit(asm.And.Imm(asm.R4, 1<<capture.ObjectTypeBits-1))
	g.inTable(asm.R2, asm.R4, MapTypes, types)
	g.emit(asm.LoadMem(asm.R3, asm.R2, capture.TypeBytes, asm.Word))
	g.store(walkSize, asm.R3)
	g.emit(
		asm.Mul.Reg(asm.R3, asm.R5),
		asm.Add.Imm(asm.R3, 7), asm.And.Imm(asm.R3, -8),
		asm.Add.Imm(asm.R1, capture.ObjectHeader), asm.Add.Reg(asm.R3, asm.R1),
	)
	g.store(walkNext, asm.R3)
	g.store(walkPos, asm.R1)
	g.emit(
		asm.LoadMem(asm.R1, asm.R2, capture.TypeFirst, asm.Word),
		asm.LoadMem(asm.R3, asm.R2, capture.TypeRows, asm.Half),
		asm.Add.Reg(asm.R3, asm.R1),
		asm.JGE.Reg(asm.R1, asm.R3, "next"), // Row and RowEnd are equal already
		asm.JEq.Imm(asm.R5, 0, "next"),
		asm.Sub.Imm(asm.R5, 1),
	)
	g.store(walkElems, asm.R5)
	g.store(walkRowStart, asm.R1)
	g.store(walkRowEnd, asm.R3)
}

// reference generates what looks at the reference in R1: it leaves its address in
// regAddr, how many elements it leads to in the walk's state, and goes on behind, or at
// what its kind asks for.
func (g *gen) reference(w *capture.Walk, rows int, dynamic bool) {
	word := g.machine.word
	g.label("row")
	g.note("a reference")
	g.emit(asm.Mov.Reg(asm.R2, asm.R1), asm.Add.Imm(asm.R2, 1))
	g.store(walkRow, asm.R2)
	g.inTable(asm.R6, asm.R1, MapRows, rows)
	g.load(asm.R1, walkPos)
	g.emit(
		asm.LoadMem(asm.R2, asm.R6, capture.RowOffset, asm.Word),
		asm.Add.Reg(asm.R1, asm.R2),
		asm.JGT.Imm(asm.R1, capture.MaxWalk, "stop"),
		asm.Mov.Reg(asm.R9, regRecord), asm.Add.Reg(asm.R9, asm.R1),
		asm.LoadMem(regAddr, asm.R9, 0, word),
		asm.JEq.Imm(regAddr, 0, "next"),
		asm.LoadMem(asm.R1, asm.R6, capture.RowHop, asm.Byte),
	)
	g.store(walkHop, asm.R1)
	g.emit(asm.LoadMem(asm.R1, asm.R6, capture.RowType, asm.Word))
	g.store(walkType, asm.R1)
	g.emit(asm.Mov.Imm(asm.R1, 1))
	g.store(walkCount, asm.R1)
	g.emit(
		asm.LoadMem(asm.R1, asm.R6, capture.RowKindAt, asm.Byte),
		asm.JEq.Imm(asm.R1, int32(capture.RowPointer), "follow"),
	)
	if dynamic {
		g.emit(
			asm.JEq.Imm(asm.R1, int32(capture.RowEface), "eface"),
			asm.JEq.Imm(asm.R1, int32(capture.RowIface), "itab"),
			asm.JEq.Imm(asm.R1, int32(capture.RowFunc), "func"),
		)
	}
	if scans(w.Types) {
		g.emit(
			asm.JEq.Imm(asm.R1, int32(capture.RowMap), "scanned"),
			asm.JEq.Imm(asm.R1, int32(capture.RowChan), "scanned"),
		)
	}
	g.emit(
		asm.JNE.Imm(asm.R1, int32(capture.RowCounted), "next"),
		asm.LoadMem(asm.R1, asm.R9, int16(g.arch.PtrSize), word),
		asm.JEq.Imm(asm.R1, 0, "next"),
	)
	if word == asm.DWord {
		g.emit(asm.JSLT.Imm(asm.R1, 0, "next"))
	} else {
		g.emit(asm.JGT.Imm(asm.R1, math.MaxInt32, "next"))
	}
	g.emit(
		asm.LoadMem(asm.R2, asm.R6, capture.RowLimit, asm.Word),
		asm.JLE.Reg(asm.R1, asm.R2, "counted"),
		asm.Mov.Reg(asm.R1, asm.R2),
	)
	g.label("counted")
	g.store(walkCount, asm.R1)
}

package probegen

import (
	"github.com/cilium/ebpf/asm"

	"github.com/argtap/argtap/internal/capture"
)

// follow generates the search for what a reference leads to among what was
// appended already.
func (g *gen) follow(types int) {
	g.label("follow")
	g.note("what it leads to")
	g.load(asm.R1, walkDepth)
	g.load(asm.R2, walkHop)
	g.emit(asm.Add.Reg(asm.R1, asm.R2))
	g.store(walkBehind, asm.R1)
	g.emit(asm.JGT.Imm(asm.R1, int32(g.walker.Depth), "drop"))
	g.load(asm.R1, walkType)
	g.emit(asm.JEq.Imm(asm.R1, 0, "drop"), asm.Mov.Reg(asm.R2, asm.R1))
	g.inTable(asm.R3, asm.R2, MapTypes, types)
	g.emit(asm.LoadMem(regSize, asm.R3, capture.TypeBytes, asm.Word))
	g.load(asm.R2, walkCount)
	g.emit(
		asm.Mul.Reg(regSize, asm.R2),
		asm.JEq.Imm(regSize, 0, "drop"),
		asm.JGT.Imm(regSize, capture.MaxValue, "drop"),
	)
	g.note("was it visited?")
	g.emit(
		// Fibonacci hashing of the address, and something of the type.
		asm.LoadImm(asm.R2, -0x61c8864680b583eb, asm.DWord),
		asm.Mul.Reg(asm.R2, regAddr),
		asm.RSh.Imm(asm.R2, 64-visitedBits),
		asm.Mul.Imm(asm.R1, 0x9e5),
		asm.Add.Reg(asm.R2, asm.R1),
	)
	for i := range probes {
		next := g.fresh("probe")
		g.emit(asm.And.Imm(asm.R2, visitedSlots-1))
		g.store(walkSlot, asm.R2)
		g.emit(
			asm.Mov.Reg(asm.R3, asm.R2), asm.LSh.Imm(asm.R3, 3), asm.Add.Reg(asm.R3, regRecord),
			asm.LoadMem(asm.R4, asm.R3, visitedAt, asm.DWord),
			asm.Mov.Reg(asm.R5, asm.R4), asm.RSh.Imm(asm.R5, capture.ObjectTypeBits),
		)
		g.load(asm.R1, walkGen)
		g.emit(
			asm.JNE.Reg(asm.R5, asm.R1, "insert"),
			asm.And.Imm(asm.R4, 1<<capture.ObjectTypeBits-1),
			asm.JGT.Imm(asm.R4, capture.MaxWalk, "insert"),
			asm.Mov.Reg(asm.R5, regRecord), asm.Add.Reg(asm.R5, asm.R4),
			asm.LoadMem(asm.R1, asm.R5, capture.ObjectAddr, asm.DWord),
			asm.JNE.Reg(asm.R1, regAddr, next),
			asm.LoadMem(asm.R1, asm.R5, capture.ObjectType, asm.Word),
			asm.And.Imm(asm.R1, 1<<capture.ObjectTypeBits-1),
		)
		g.load(asm.R3, walkType)
		g.emit(asm.JEq.Reg(asm.R1, asm.R3, "found"))
		g.label(next)
		if i < probes-1 {
			// Further away each time: triangular numbers.
			g.emit(asm.Add.Imm(asm.R2, int32(i+1)))
		} else {
			// All are taken: the last one is given up. What it stood for may be
			// appended once more.
			g.emit(asm.Ja.Label("insert"))
		}
	}
	g.found()
}

// found generates what is done about a reference to an object that was appended
// already: the one at R5, with the record offset R4.
func (g *gen) found() {
	g.label("found")
	g.load(asm.R2, walkCount)
	g.emit(
		asm.LoadMem(asm.R1, asm.R5, capture.ObjectCount, asm.Word),
		asm.JEq.Imm(asm.R1, 0, "drop"), // it cannot be read
		asm.JLT.Reg(asm.R1, asm.R2, "insert"),
		asm.LoadMem(asm.R1, asm.R5, capture.ObjectType, asm.Word),
		asm.Mov.Reg(asm.R2, asm.R1), asm.RSh.Imm(asm.R2, capture.ObjectTypeBits),
	)
	g.load(asm.R3, walkBehind)
	g.note("on a shorter way")
	g.emit(
		asm.JLE.Reg(asm.R2, asm.R3, "known"),
		asm.And.Imm(asm.R1, 1<<capture.ObjectTypeBits-1),
		asm.LSh.Imm(asm.R3, capture.ObjectTypeBits), asm.Or.Reg(asm.R1, asm.R3),
		asm.StoreMem(asm.R5, capture.ObjectType, asm.R1, asm.Word),
	)
	g.label("known")
	g.load(asm.R1, walkPhase)
	g.emit(
		asm.JEq.Imm(asm.R1, 0, "next"),
		asm.JNE.Imm(asm.R1, phaseWord, "drop"),
		asm.Mov.Reg(asm.R1, asm.R4),
	)
	g.label("again")
	g.note("the reference once more")
	g.store(walkPhase, asm.R1)
	g.load(asm.R1, walkRow)
	g.emit(asm.Sub.Imm(asm.R1, 1))
	g.store(walkRow, asm.R1)
	g.emit(asm.Ja.Label("next"))
}

// insert generates the appending of an object. It calls erase to generate what
// is done to an object that was read; behind it the object is unreadable.
func (g *gen) insert(erase func()) {
	g.label("insert")
	g.note("append it")
	g.emit(asm.Mov.Imm(asm.R4, capture.FlagObjects))
	g.load(asm.R1, walkObjects)
	g.emit(
		asm.JGE.Imm(asm.R1, int32(g.walker.Objects), "cut"),
		asm.Mov.Imm(asm.R4, capture.FlagBytes),
	)
	g.load(asm.R1, walkCursor)
	g.load(asm.R3, walkLimit)
	g.emit(
		asm.JGT.Imm(asm.R1, capture.MaxWalk, "cut"),
		asm.Mov.Reg(asm.R2, asm.R1), asm.Add.Imm(asm.R2, capture.ObjectHeader), asm.Add.Reg(asm.R2, regSize),
		asm.JGT.Reg(asm.R2, asm.R3, "cut"),
	)
	wasRead := "read"
	if g.walker.Types.Erases() {
		wasRead = "erase?"
	}
	read := func(helper asm.BuiltinFunc) {
		g.emit(
			asm.Add.Reg(asm.R1, regRecord), asm.Add.Imm(asm.R1, capture.ObjectHeader),
			asm.Mov.Reg(asm.R2, regSize),
			asm.Mov.Reg(asm.R3, regAddr),
			helper.Call(),
			asm.JEq.Imm(asm.R0, 0, wasRead),
		)
	}
	read(asm.FnProbeReadUser)
	if g.opts.Sleepable {
		g.note("fetch the page")
		g.load(asm.R1, walkCursor)
		g.emit(asm.JGT.Imm(asm.R1, capture.MaxWalk, "stop"))
		read(asm.FnCopyFromUser)
	}
	if wasRead != "read" {
		g.emit(asm.Ja.Label("unreadable"))
		g.label(wasRead)
		erase()
		g.label("unreadable")
	}
	g.note("it cannot be read")
	g.emit(asm.Mov.Imm(regSize, 0))
	g.store(walkCount, regSize)
	g.appended()
	g.cut()
}

// appended generates what adds an object that was read, or that cannot be, to the
// record and to the table of visited objects.
func (g *gen) appended() {
	g.label("read")
	g.load(asm.R1, walkCursor)
	g.load(asm.R2, walkGen)
	g.load(asm.R3, walkSlot)
	g.emit(
		asm.JGT.Imm(asm.R1, capture.MaxWalk, "stop"),
		asm.LSh.Imm(asm.R2, capture.ObjectTypeBits), asm.Or.Reg(asm.R2, asm.R1),
		asm.And.Imm(asm.R3, visitedSlots-1), asm.LSh.Imm(asm.R3, 3), asm.Add.Reg(asm.R3, regRecord),
		asm.StoreMem(asm.R3, visitedAt, asm.R2, asm.DWord),
		asm.Mov.Reg(asm.R2, regRecord), asm.Add.Reg(asm.R2, asm.R1),
		asm.StoreMem(asm.R2, capture.ObjectAddr, regAddr, asm.DWord),
	)
	g.load(asm.R3, walkBehind)
	g.load(asm.R4, walkType)
	g.emit(
		asm.LSh.Imm(asm.R3, capture.ObjectTypeBits), asm.Or.Reg(asm.R3, asm.R4),
		asm.StoreMem(asm.R2, capture.ObjectType, asm.R3, asm.Word),
	)
	g.load(asm.R3, walkCount)
	g.emit(
		asm.StoreMem(asm.R2, capture.ObjectCount, asm.R3, asm.Word),
		asm.Add.Imm(regSize, capture.ObjectHeader+7), asm.And.Imm(regSize, -8),
		asm.Add.Reg(regSize, asm.R1),
	)
	g.store(walkCursor, regSize)
	g.load(asm.R2, walkObjects)
	g.emit(asm.Add.Imm(asm.R2, 1))
	g.store(walkObjects, asm.R2)
	g.load(asm.R2, walkPhase)
	g.emit(asm.JEq.Imm(asm.R2, 0, "next"))
	if scans(g.walker.Types) {
		g.emit(
			asm.JEq.Imm(asm.R3, 0, "drop"), // it cannot be read
			asm.JEq.Imm(asm.R2, phaseScan, "begin"),
		)
		if maps, _ := g.walker.Types.Scans(); maps != nil && maps.Swiss {
			g.emit(asm.JEq.Imm(asm.R2, phaseTable, "table"))
		}
	}
	g.emit(
		asm.JNE.Imm(asm.R3, 0, "again"),
		asm.Ja.Label("drop"),
	)
}

// cut generates what says that a limit, whose flag is in R4, left an object out.
func (g *gen) cut() {
	g.label("cut")
	g.note("say what cut it")
	g.load(asm.R1, walkFlags)
	g.emit(asm.Or.Reg(asm.R1, asm.R4))
	g.store(walkFlags, asm.R1)
	if scans(g.walker.Types) {
		g.emit(asm.Mov.Imm(asm.R1, 0))
		g.store(walkScan, asm.R1)
	}
}

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

// Words of a walk's scratch area, as offsets from the record. Below them is the
// table of objects that were visited, above them the lock and the cursor that
// all areas have.
const (
	walkRow      = -24 - 8*iota // of the type table, the next to look at
	walkRowEnd                  // behind the last one of the element
	walkRowStart                // the first one
	walkElems                   // elements that follow in the object
	walkPos                     // record offset of the element
	walkSize                    // its size
	walkNext                    // record offset of the next object
	walkDepth                   // pointers to the object
	walkPhase                   // what was appended is the first step of: see phaseWord
	walkBias                    // the load bias
	walkGen                     // the number of the hit
	walkFlags                   // see capture.FlagObjects
	walkObjects                 // that are in the heap
	walkLimit                   // bytes of the record at most
	walkHop                     // of the reference at hand: whether it is a pointer,
	walkType                    // the type of what it leads to,
	walkCount                   // the number of elements,
	walkBehind                  // their depth,
	walkSlot                    // and their place in the table of visited objects
	// Where to go on behind the rows of a value within an interface.
	walkBackRow
	walkBackEnd
	walkBackPos
	// What is scanned: see scan.
	walkScan    // record offset of the header, 0 if nothing is
	walkRing    // whether it is a channel
	walkEntries // entries or elements that are captured at most
	walkLive    // entries that were found
	walkMember  // the type of the groups, or of the elements
	walkStride  // and its size
	walkBase    // the address of the groups
	walkGroups  // their number
	walkGroup   // the next one
	walkStage   // the next array of groups
	walkLast    // the table before
	walkChain   // the bucket that the last one overflows to
	walkBudget  // what may still be looked at
	// Of the object that was read:
	walkErase           // the first row of what is erased,
	walkErases          // their number,
	walkEraseSize       // the size of an element,
	walkEraseAll        // and the number of spans in all elements
	walkStates    = 512 // room for these in bytes
)

// Values of walkPhase: what the object that a step appends is for. Between two
// steps it is the record offset of a word that is to be looked at, or 0.
const (
	phaseWord  = 1 + iota // a word of an itab, or of a func
	phaseScan             // the header of a map or channel
	phaseTable            // a table of a map
)

const (
	// visitedSlots is the size of the table of visited objects: twice as many as
	// there may be.
	// A slot has 8 bytes: the number of the hit, and in the low 24 bits the
	// record offset of an object. What another hit left is free.
	visitedBits  = 11
	visitedSlots = 1 << visitedBits
	visitedAt    = -walkStates - 8*visitedSlots
	// probes is in how many slots an object may be.
	probes = 8

	walkRecord = walkStates + 8*visitedSlots
	// walkArea has room for what the verifier takes to be the end of a record.
	walkArea = walkRecord + capture.MaxWalk + capture.MaxValue + 64
	// maxSteps is more than a record can need: two steps for each word, one for
	// each object.
	maxSteps = capture.MaxWalk/4 + capture.MaxObjects + capture.MaxScan
)

// WalkScratch returns the number and the size in bytes of the elements of
// MapWalk for a machine with the given number of possible CPUs.
func WalkScratch(cpus int) (elements, size int) { return walkScratch.elements(cpus) }

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
	state(scratchCursor - scratchRecord)
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
		asm.Instruction{
			OpCode: asm.LoadImmOp(asm.DWord), Dst: asm.R2, Src: asm.PseudoFunc, Constant: -1,
		}.WithReference(callback),
		asm.Mov.Reg(asm.R3, asm.RFP),
		asm.Add.Imm(asm.R3, -8),
		asm.Mov.Imm(asm.R4, 0),
		asm.FnLoop.Call(),
		asm.LoadMem(asm.R1, regRecord, walkFlags, asm.DWord),
		asm.StoreMem(regRecord, capture.OffFlags, asm.R1, asm.Half),
	)
}

// load and store move a word of the walk's state.
func (g *gen) load(r asm.Register, at int16) {
	g.emit(asm.LoadMem(r, regRecord, at, asm.DWord))
}

func (g *gen) store(at int16, r asm.Register) {
	g.emit(asm.StoreMem(regRecord, at, r, asm.DWord))
}

// inTable makes dst the address of an entry of 16 bytes of a table, whose number
// is in index, below count. It changes index.
func (g *gen) inTable(dst, index asm.Register, table string, count int) {
	g.emit(
		asm.JGE.Imm(index, int32(count), "stop"),
		asm.LSh.Imm(index, 4),
		asm.LoadMapValue(dst, 0, 0).WithReference(table),
		asm.Add.Reg(dst, index),
	)
}

// step generates the function that bpf_loop calls.
func (g *gen) step(callback string, w *capture.Walk) {
	types, rows := w.Types.Len()
	dynamic := NeedsDynamic(w.Types)
	ptr := int16(g.arch.PtrSize)
	word := g.machine.word
	const cursor = scratchCursor - scratchRecord

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

	g.label("object")
	g.note("the next object")
	g.load(asm.R1, walkNext)
	g.load(asm.R2, cursor)
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
		asm.LoadMem(asm.R1, asm.R9, ptr, word),
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
	if dynamic {
		g.emit(asm.Ja.Label("follow"))
		g.dynamic(ptr, word, types)
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
	const cursor = scratchCursor - scratchRecord
	g.label("insert")
	g.note("append it")
	g.emit(asm.Mov.Imm(asm.R4, capture.FlagObjects))
	g.load(asm.R1, walkObjects)
	g.emit(
		asm.JGE.Imm(asm.R1, int32(g.walker.Objects), "cut"),
		asm.Mov.Imm(asm.R4, capture.FlagBytes),
	)
	g.load(asm.R1, cursor)
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
		g.load(asm.R1, cursor)
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

	g.label("read")
	g.load(asm.R1, cursor)
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
	g.store(cursor, regSize)
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

package probegen

import (
	"github.com/cilium/ebpf/asm"

	"github.com/argtap/argtap/internal/capture"
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

// walkCursor is the record offset at which the record ends so far.
const walkCursor = scratchCursor - scratchRecord

// WalkScratch returns the number and the size in bytes of the elements of
// MapWalk for a machine with the given number of possible CPUs.
func WalkScratch(cpus int) (elements, size int) { return walkScratch.elements(cpus) }

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

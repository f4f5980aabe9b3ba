package probegen

import (
	"strconv"

	"github.com/cilium/ebpf/asm"

	"github.com/argtap/argtap/abi"
	"github.com/argtap/argtap/internal/capture"
)

// What must not leave the kernel is zeroed as soon as it was read, before
// anything else is: so that whatever is in the record, or was left in scratch
// memory by an earlier hit, has nothing of it.

// maxStores is the size in bytes of the largest span that is zeroed by stores.
const maxStores = 64

// erase zeroes spans of a value at base+off. It uses R0 to R5.
func (g *gen) erase(base asm.Register, off int64, spans []capture.Span) {
	zero := false
	for _, s := range spans {
		if s.Size > maxStores {
			g.emit(asm.Mov.Reg(asm.R1, base), asm.Add.Imm(asm.R1, int32(off+s.Offset)), asm.Mov.Imm(asm.R2, int32(s.Size)))
			g.clear()
			zero = false
			continue
		}
		if !zero {
			g.emit(asm.Mov.Imm(asm.R1, 0))
			zero = true
		}
		for at, end := off+s.Offset, off+s.Offset+s.Size; at < end; {
			n := int64(8)
			for at%n != 0 || at+n > end {
				n /= 2
			}
			g.emit(asm.StoreMem(base, int16(at), asm.R1, memSize(int(n))))
			at += n
		}
	}
}

// clear zeroes R2 bytes at R1: the helper clears what it fails to read, and
// nothing of the target can be at the highest address.
func (g *gen) clear() {
	g.emit(asm.Mov.Imm(asm.R3, -1), asm.FnProbeReadUser.Call())
}

// eraseChunk zeroes what is redacted in the chunk that was read to the cursor,
// in each of its elements. It keeps regSize. If it fails, it jumps to store with
// the slot's word in R2.
func (g *gen) eraseChunk(name string, r *capture.Ref, store string) {
	if len(r.Elem.Erase) == 0 {
		return
	}
	g.notef("%s: erase what is redacted in %s", name, r.Elem.Type.Name)
	if r.Kind == capture.RefPointer {
		g.emit(asm.LoadMem(regAddr, asm.RFP, stackCursor, asm.DWord), asm.Add.Reg(regAddr, regRecord))
		g.erase(regAddr, 0, r.Elem.Erase)
		return
	}
	// The word of the outermost level for the record: functions that have such
	// a level call no loop within it.
	const l, cursor, count = stackLevels, stackCursor - stackLevels, stackCount
	g.labels++
	callback, whole := "erase"+strconv.Itoa(g.labels), g.fresh("erased")
	g.emit(
		asm.StoreMem(asm.RFP, l+levelRecord, regRecord, asm.DWord),
		asm.LoadMem(asm.R1, asm.RFP, count, asm.DWord),
	)
	g.loopCall(callback, l)
	g.emit(
		asm.LoadMem(asm.R1, asm.RFP, count, asm.DWord),
		asm.JEq.Reg(asm.R0, asm.R1, whole),
		asm.LoadImm(asm.R2, int64(capture.NoSlot(abi.Redacted)), asm.DWord),
		asm.Ja.Label(store),
	)
	g.label(whole)
	g.callbacks = append(g.callbacks, func() {
		g.function(callback, each)
		g.notef("%s: erase in one element", name)
		g.emit(
			asm.LoadMem(asm.R7, asm.R2, levelRecord, asm.DWord),
			asm.LoadMem(regAddr, asm.R2, cursor, asm.DWord),
			asm.Mov.Imm(asm.R0, 1), // never: the checks are the verifier's
			asm.JGE.Imm(asm.R1, int32(r.ChunkLimit()), callback+"end"),
			asm.JGT.Imm(regAddr, capture.VarMax, callback+"end"),
		)
		g.scale(asm.R1, r.Elem.Size)
		g.emit(asm.Add.Reg(regAddr, asm.R1), asm.Add.Reg(regAddr, asm.R7))
		g.erase(regAddr, 0, r.Elem.Erase)
		g.emit(asm.Mov.Imm(asm.R0, 0))
		g.label(callback + "end")
		g.emit(asm.Return())
	})
}

// eraseObject generates what a step does between reading an object and
// appending it, if that has something to erase.
func (g *gen) eraseObject(types, rows int) {
	const callback = "erase"
	g.note("what is redacted in it")
	g.load(asm.R1, walkType)
	g.inTable(asm.R2, asm.R1, MapTypes, types)
	g.emit(asm.LoadMem(asm.R3, asm.R2, capture.TypeErase, asm.Half), asm.JEq.Imm(asm.R3, 0, "read"))
	g.store(walkErases, asm.R3)
	g.emit(
		asm.LoadMem(asm.R1, asm.R2, capture.TypeFirst, asm.Word),
		asm.LoadMem(asm.R4, asm.R2, capture.TypeRows, asm.Half),
		asm.Add.Reg(asm.R1, asm.R4),
	)
	g.store(walkErase, asm.R1)
	g.emit(asm.LoadMem(asm.R1, asm.R2, capture.TypeBytes, asm.Word))
	g.store(walkEraseSize, asm.R1)
	g.load(asm.R1, walkCount)
	g.emit(asm.Mul.Reg(asm.R1, asm.R3))
	g.store(walkEraseAll, asm.R1)
	g.emit(
		asm.StoreMem(asm.RFP, -8, regRecord, asm.DWord),
	)
	g.loopCall(callback, -8)
	g.load(asm.R1, walkEraseAll)
	g.emit(asm.JEq.Reg(asm.R0, asm.R1, "read"))
	g.callbacks = append(g.callbacks, func() { g.eraseSpan(callback, rows) })
}

// eraseSpan generates the function that bpf_loop calls for each span of each
// element of an object.
func (g *gen) eraseSpan(callback string, rows int) {
	g.function(callback, each)
	g.note("erase a span of an element")
	g.emit(asm.LoadMem(regRecord, asm.R2, 0, asm.DWord))
	g.load(asm.R3, walkErases)
	g.load(asm.R5, walkErase)
	g.emit(
		asm.Mov.Imm(asm.R0, 1),
		asm.JEq.Imm(asm.R3, 0, callback+"end"),
		asm.Mov.Reg(asm.R4, asm.R1), asm.Div.Reg(asm.R4, asm.R3), // the element
		asm.Mod.Reg(asm.R1, asm.R3), // its span
		asm.Add.Reg(asm.R1, asm.R5),
		asm.JGE.Imm(asm.R1, int32(rows), callback+"end"),
		asm.LSh.Imm(asm.R1, 4),
		asm.LoadMapValue(asm.R5, 0, 0).WithReference(MapRows),
		asm.Add.Reg(asm.R5, asm.R1),
	)
	g.load(asm.R1, walkEraseSize)
	g.load(asm.R3, walkCursor)
	g.emit(
		asm.Mul.Reg(asm.R4, asm.R1),
		asm.Add.Reg(asm.R4, asm.R3),
		asm.LoadMem(asm.R1, asm.R5, capture.RowOffset, asm.Word),
		asm.Add.Reg(asm.R4, asm.R1),
		asm.JGT.Imm(asm.R4, capture.MaxWalk, callback+"end"),
		asm.Mov.Reg(asm.R1, regRecord), asm.Add.Reg(asm.R1, asm.R4), asm.Add.Imm(asm.R1, capture.ObjectHeader),
		asm.LoadMem(asm.R2, asm.R5, capture.RowLimit, asm.Word),
		asm.JGT.Imm(asm.R2, capture.MaxValue, callback+"end"),
		asm.Mov.Imm(asm.R0, 0),
		asm.JEq.Imm(asm.R2, 16, callback+"two"), // strings and interfaces,
		asm.JEq.Imm(asm.R2, 8, callback+"one"),  // words
	)
	g.clear()
	g.emit(asm.Mov.Imm(asm.R0, 0), asm.Return())
	g.label(callback + "two")
	g.emit(asm.StoreMem(asm.R1, 8, asm.R0, asm.DWord))
	g.label(callback + "one")
	g.emit(asm.StoreMem(asm.R1, 0, asm.R0, asm.DWord), asm.Return())
	g.label(callback + "end")
	g.note("never: the checks are the verifier's. Less than all was erased")
	g.emit(asm.Mov.Imm(asm.R1, -1))
	g.store(walkEraseAll, asm.R1)
	g.emit(asm.Return())
}

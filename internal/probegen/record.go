package probegen

import (
	"github.com/cilium/ebpf/asm"

	"github.com/argtap/argtap/internal/capture"
)

// record builds a record and sends it.
func (g *gen) record(f *Func) {
	p := f.Plan
	switch {
	case p.Walk != nil:
		g.takeScratch(&walkScratch)
	case p.InScratch(), inScratch(p):
		g.takeScratch(&chunkScratch)
	case fitsStack(p):
		g.notef("a record of %d bytes on the stack", p.Fixed)
		g.emit(
			asm.Mov.Reg(regRecord, asm.RFP),
			asm.Add.Imm(regRecord, -int32(capture.Align8(int64(p.Fixed)))),
		)
	default:
		g.reserve(p)
	}
	g.pair(f)
	g.header(f)
	g.stack(f)
	g.images(f)
	g.exprs(f)
	switch {
	case p.Walk != nil:
		g.walk(f)
		g.sendScratch(&walkScratch)
	case p.InScratch(), inScratch(p):
		g.chunks(p)
		g.sendScratch(&chunkScratch)
	case fitsStack(p):
		g.sendStack(p)
	default:
		g.note("submit")
		g.emit(
			asm.Mov.Reg(asm.R1, regRecord),
			asm.Mov.Imm(asm.R2, 0),
			asm.FnRingbufSubmit.Call(),
			asm.Ja.Label("exit"),
		)
	}
}

func (g *gen) header(f *Func) {
	g.note("header")
	if kind := roleKinds[f.Role]; kind == capture.KindEntry {
		g.emit(asm.Mov.Imm(asm.R1, int32(f.ID)))
	} else {
		g.emit(asm.LoadImm(asm.R1, int64(kind<<(8*capture.OffKind)|uint64(f.ID)), asm.DWord))
	}
	g.emit(asm.StoreMem(regRecord, capture.OffPlan, asm.R1, asm.DWord))
	switch {
	case f.opens():
	case f.timed():
		g.emit(asm.StoreMem(regRecord, capture.OffTime, regNow, asm.DWord))
	default:
		g.emit(
			asm.FnKtimeGetNs.Call(),
			asm.StoreMem(regRecord, capture.OffTime, asm.R0, asm.DWord),
		)
	}
	g.pidTgid(regRecord, capture.OffPIDTID)
	g.emit(
		asm.StoreMem(regRecord, capture.OffPIDTID, asm.R0, asm.DWord),
		asm.Mov.Imm(asm.R1, 0),
	)
	failed := asm.R1
	if f.doubts() {
		failed = regFailed
	}
	g.emit(asm.StoreMem(regRecord, capture.OffFailed, failed, asm.DWord))
	if f.pairs() {
		g.pairedHeader(f)
		return
	}
	g.goroutine(f)
}

// readFixed reads what r says at R3+disp into the record, and sets r's bit of the
// failure word if that fails.
func (g *gen) readFixed(r capture.Read, disp int64) {
	ok := g.fresh("ok")
	g.add(asm.R3, disp)
	g.emit(
		asm.Mov.Reg(asm.R1, regRecord),
		asm.Add.Imm(asm.R1, int32(r.Offset)),
		asm.Mov.Imm(asm.R2, int32(r.Size)),
		asm.FnProbeReadUser.Call(),
		asm.JEq.Imm(asm.R0, 0, ok),
	)
	g.fetchReceiver(r, ok)
	g.note("failed: say so")
	g.emit(asm.LoadMem(asm.R1, regRecord, capture.OffFailed, asm.DWord))
	if r.Bit < 31 {
		g.emit(asm.Or.Imm(asm.R1, 1<<r.Bit))
	} else {
		g.emit(asm.LoadImm(asm.R2, int64(uint64(1)<<r.Bit), asm.DWord), asm.Or.Reg(asm.R1, asm.R2))
	}
	g.emit(asm.StoreMem(regRecord, capture.OffFailed, asm.R1, asm.DWord))
	g.label(ok)
}

// images writes the parameters. Bytes that no piece covers are zeroed, so that
// a record never shows what the buffer held before.
func (g *gen) images(f *Func) {
	p := f.Plan
	g.zeroGaps(p)
	for _, s := range p.Stores {
		size := memSize(s.Size)
		if s.IsConst {
			g.emit(asm.LoadImm(asm.R1, int64(s.Const), asm.DWord))
		} else {
			g.note(f.Arch.RegName(s.Reg))
			g.loadReg(asm.R1, s.Reg)
		}
		g.emit(asm.StoreMem(regRecord, int16(s.Offset), asm.R1, size))
	}
	for _, r := range p.Reads {
		reg, disp := r.Reg, r.Disp
		if r.Frame {
			reg, disp = f.Arch.SP, r.Disp+f.CFA
			name := ".dict"
			if r.Param >= 0 {
				name = p.Params[r.Param].Name
			}
			g.notef("%s at CFA%+d", name, r.Disp)
		}
		g.loadReg(asm.R3, reg)
		g.readFixed(r, disp)
	}
	g.dict(f)
	if len(p.Erase) > 0 {
		g.note("erase what is redacted")
		g.erase(regRecord, 0, p.Erase)
	}
}

// zeroGaps stores zero to every word of the images that is not written whole
// by one store or read.
func (g *gen) zeroGaps(p *capture.Plan) {
	words := (p.SlotBase - capture.HeaderSize) / 8
	written := make([]int, words)
	mark := func(off, size int) {
		for b := off - capture.HeaderSize; b < off-capture.HeaderSize+size; b++ {
			if b >= 0 && b/8 < words {
				written[b/8]++
			}
		}
	}
	for _, s := range p.Stores {
		mark(s.Offset, s.Size)
	}
	for _, r := range p.Reads {
		mark(r.Offset, r.Size)
	}
	if p.Pair != 0 {
		mark(p.Pair, capture.PairSize)
	}
	if p.Stack != 0 {
		mark(p.Stack, capture.StackSize)
	}
	first := true
	for i, n := range written {
		if n >= 8 {
			continue
		}
		if first {
			g.note("padding")
			g.emit(asm.Mov.Imm(asm.R1, 0))
			first = false
		}
		g.emit(asm.StoreMem(regRecord, int16(capture.HeaderSize+8*i), asm.R1, asm.DWord))
	}
}

func memSize(bytes int) asm.Size {
	switch bytes {
	case 1:
		return asm.Byte
	case 2:
		return asm.Half
	case 4:
		return asm.Word
	}
	return asm.DWord
}

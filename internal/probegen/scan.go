package probegen

import (
	"github.com/cilium/ebpf/asm"

	"github.com/argtap/argtap/internal/capture"
	"github.com/argtap/argtap/internal/goruntime"
)

// scans reports whether programs have to scan maps or channels.
func scans(t *capture.Types) bool {
	maps, chans := t.Scans()
	return maps != nil || chans != nil
}

// zero stores 0 in words of the walk's state.
func (g *gen) zero(at ...int16) {
	g.emit(asm.Mov.Imm(asm.R1, 0))
	for _, a := range at {
		g.store(a, asm.R1)
	}
}

// scanned generates what a step does for the row of a map or channel: it appends
// the header, unless that is there already, and has it scanned.
func (g *gen) scanned() {
	g.label("scanned")
	g.note("a map or channel")
	ring := g.fresh("ring")
	g.emit(
		asm.Mov.Imm(asm.R2, 1),
		asm.JEq.Imm(asm.R1, int32(capture.RowChan), ring),
		asm.Mov.Imm(asm.R2, 0),
	)
	g.label(ring)
	g.store(walkRing, asm.R2)
	g.emit(asm.LoadMem(asm.R1, asm.R6, capture.RowLimit, asm.Word))
	g.store(walkEntries, asm.R1)
	g.emit(asm.Mov.Imm(asm.R1, phaseScan))
	g.store(walkPhase, asm.R1)
}

// scan generates what the steps do while a map or channel is scanned, which is
// all that happens until its last object is appended. See [capture.Map] and
// [capture.Chan].
func (g *gen) scan(t *capture.Types, types int) {
	maps, chans := t.Scans()
	g.begin(types)
	if maps != nil && maps.Swiss {
		g.table(maps)
	}
	g.label("scan")
	switch {
	case maps != nil && chans != nil:
		g.load(asm.R1, walkRing)
		g.emit(asm.JNE.Imm(asm.R1, 0, "ring"))
		g.groups(t, maps)
		g.ring(t, chans)
	case maps != nil:
		g.groups(t, maps)
	default:
		g.ring(t, chans)
	}
	g.label("finish")
	g.note("the header once more")
	g.store(walkType, asm.R4)
	g.header2(asm.R2)
	g.emit(asm.LoadMem(regAddr, asm.R2, capture.ObjectAddr, asm.DWord))
	g.zero(walkScan)
	g.append()
}

// append lets the step append one object of walkType at regAddr.
func (g *gen) append() {
	g.zero(walkHop)
	g.emit(asm.Mov.Imm(asm.R1, 1))
	g.store(walkCount, asm.R1)
	g.emit(asm.Ja.Label("follow"))
}

// header2 makes dst the address of the header that is scanned.
func (g *gen) header2(dst asm.Register) {
	g.load(asm.R1, walkScan)
	g.emit(
		asm.JGT.Imm(asm.R1, capture.MaxWalk, "stop"),
		asm.Mov.Reg(dst, regRecord), asm.Add.Reg(dst, asm.R1),
	)
}

// begin generates the start of a scan. R1 is the record offset of the header.
func (g *gen) begin(types int) {
	g.label("begin")
	g.store(walkScan, asm.R1)
	g.load(asm.R2, walkType)
	g.inTable(asm.R3, asm.R2, MapTypes, types)
	g.emit(asm.LoadMem(asm.R2, asm.R3, capture.TypeScan, asm.Word))
	g.store(walkMember, asm.R2)
	g.inTable(asm.R3, asm.R2, MapTypes, types)
	g.emit(asm.LoadMem(asm.R2, asm.R3, capture.TypeBytes, asm.Word))
	g.store(walkStride, asm.R2)
	g.zero(walkLive, walkGroups, walkGroup, walkStage, walkLast, walkChain)
	g.emit(asm.Ja.Label("drop"))
}

// table generates what is done with a table that was appended: its groups are
// next. R1 is its record offset.
func (g *gen) table(l *goruntime.MapLayout) {
	g.label("table")
	at := func(off int64) int16 { return int16(capture.ObjectHeader + off) }
	g.emit(
		asm.Mov.Reg(asm.R2, regRecord), asm.Add.Reg(asm.R2, asm.R1),
		asm.LoadMem(asm.R3, asm.R2, at(l.SwissMap.TableGroups), g.machine.word),
		asm.LoadMem(asm.R4, asm.R2, at(l.SwissMap.TableMask), asm.DWord),
		asm.Add.Imm(asm.R4, 1),
	)
	g.store(walkBase, asm.R3)
	g.store(walkGroups, asm.R4)
	g.emit(asm.Ja.Label("drop"))
}

// readStack reads size bytes at R3 to an offset from the frame pointer, and jumps
// if they cannot be read.
func (g *gen) readStack(at int16, size int, failed string) {
	g.emit(asm.StoreMem(asm.RFP, at-8, asm.R3, asm.DWord))
	ok := g.fresh("ok")
	read := func(helper asm.BuiltinFunc) {
		g.emit(
			asm.Mov.Reg(asm.R1, asm.RFP), asm.Add.Imm(asm.R1, int32(at)),
			asm.Mov.Imm(asm.R2, int32(size)),
			helper.Call(),
		)
	}
	read(asm.FnProbeReadUser)
	if g.opts.Sleepable {
		g.emit(asm.JEq.Imm(asm.R0, 0, ok), asm.LoadMem(asm.R3, asm.RFP, at-8, asm.DWord))
		read(asm.FnCopyFromUser)
	}
	g.emit(asm.JNE.Imm(asm.R0, 0, failed))
	g.label(ok)
}

// Places on the stack of a step: what is read there, and above the address.
const (
	stackWord = -24
	// Bits in each byte of a word.
	highBits = -0x7f7f7f7f7f7f7f80 // 0x8080808080808080
	lowBits  = 0x7f7f7f7f7f7f7f7f
	ones     = 0x0101010101010101
)

// groups generates the step from one group or bucket of a map to the next.
func (g *gen) groups(t *capture.Types, l *goruntime.MapLayout) {
	_, end, cut, _ := t.ScanTypes()
	budget := g.fresh("budget")
	g.load(asm.R1, walkBudget)
	g.emit(asm.JNE.Imm(asm.R1, 0, budget))
	g.load(asm.R2, walkFlags)
	g.emit(asm.Or.Imm(asm.R2, capture.FlagScan))
	g.store(walkFlags, asm.R2)
	g.emit(asm.Ja.Label("part"))
	g.label(budget)
	g.emit(asm.Sub.Imm(asm.R1, 1))
	g.store(walkBudget, asm.R1)
	if !l.Swiss {
		g.load(regAddr, walkChain)
		g.emit(asm.JNE.Imm(regAddr, 0, "group"))
	}
	g.load(regAddr, walkGroup)
	g.load(asm.R2, walkGroups)
	g.emit(asm.JGE.Reg(regAddr, asm.R2, "array"), asm.Mov.Reg(asm.R1, regAddr), asm.Add.Imm(asm.R1, 1))
	g.store(walkGroup, asm.R1)
	g.load(asm.R1, walkStride)
	g.load(asm.R2, walkBase)
	g.emit(asm.Mul.Reg(regAddr, asm.R1), asm.Add.Reg(regAddr, asm.R2))

	g.label("group")
	g.note("has it any entries?")
	if !l.Swiss {
		g.zero(walkChain)
	}
	g.emit(asm.Mov.Reg(asm.R3, regAddr))
	g.readStack(stackWord, 8, "member") // appended as what cannot be read
	g.emit(asm.LoadMem(regSize, asm.RFP, stackWord, asm.DWord))
	if !l.Swiss {
		g.load(asm.R3, walkStride)
		g.emit(asm.Add.Reg(asm.R3, regAddr), asm.Sub.Imm(asm.R3, int32(g.arch.PtrSize)))
		g.readStack(stackWord, int(g.arch.PtrSize), "member")
		g.emit(asm.LoadMem(asm.R1, asm.RFP, stackWord, g.machine.word))
		g.store(walkChain, asm.R1)
		// A byte from the least of an entry on sets its highest bit.
		g.emit(
			asm.Mov.Reg(asm.R1, regSize),
			asm.LoadImm(asm.R2, lowBits, asm.DWord), asm.And.Reg(asm.R1, asm.R2),
			asm.LoadImm(asm.R2, int64(0x80-l.MinTopHash())*ones, asm.DWord), asm.Add.Reg(asm.R1, asm.R2),
			asm.Or.Reg(regSize, asm.R1),
		)
	} else {
		g.emit(asm.Xor.Imm(regSize, -1)) // entries have a clear bit
	}
	g.emit(
		asm.LoadImm(asm.R2, highBits, asm.DWord), asm.And.Reg(regSize, asm.R2),
		asm.JEq.Imm(regSize, 0, "next"),
		asm.RSh.Imm(regSize, 7),
		asm.LoadImm(asm.R2, ones, asm.DWord), asm.Mul.Reg(regSize, asm.R2),
		asm.RSh.Imm(regSize, 56),
	)
	g.load(asm.R1, walkLive)
	g.load(asm.R2, walkEntries)
	g.emit(asm.JGE.Reg(asm.R1, asm.R2, "part"), asm.Add.Reg(asm.R1, regSize))
	g.store(walkLive, asm.R1)
	g.label("member")
	g.load(asm.R1, walkMember)
	g.store(walkType, asm.R1)
	g.append()

	g.label("array")
	g.note("the next array of them")
	g.header2(asm.R2)
	g.load(asm.R5, walkStage)
	if l.Swiss {
		g.tables(t, l)
	} else {
		g.bucketArrays(l)
	}
	g.label("all")
	g.emit(asm.Mov.Imm(asm.R4, int32(end)), asm.Ja.Label("finish"))
	g.label("part")
	g.emit(asm.Mov.Imm(asm.R4, int32(cut)), asm.Ja.Label("finish"))
}

// tables generates the way from one table to the next. R2 is the address of the
// header in the record, R5 how many entries of the directory were looked at.
func (g *gen) tables(t *capture.Types, l *goruntime.MapLayout) {
	table, _, _, _ := t.ScanTypes()
	word := g.machine.word
	at := func(off int64) int16 { return int16(capture.ObjectHeader + off) }
	g.emit(
		asm.LoadMem(asm.R3, asm.R2, at(l.SwissMap.DirPtr), word),
		asm.LoadMem(asm.R4, asm.R2, at(l.SwissMap.DirLen), word),
		asm.JNE.Imm(asm.R4, 0, "directory"),
		// A single group, if any.
		asm.JNE.Imm(asm.R5, 0, "all"),
		asm.JEq.Imm(asm.R3, 0, "all"),
		asm.Mov.Imm(asm.R1, 1),
	)
	g.store(walkBase, asm.R3)
	g.store(walkGroups, asm.R1)
	g.store(walkStage, asm.R1)
	g.emit(asm.Ja.Label("next"))
	g.label("directory")
	g.emit(asm.JGE.Reg(asm.R5, asm.R4, "all"), asm.Mov.Reg(asm.R1, asm.R5), asm.Add.Imm(asm.R1, 1))
	g.store(walkStage, asm.R1)
	g.emit(asm.Mul.Imm(asm.R5, int32(g.arch.PtrSize)), asm.Add.Reg(asm.R3, asm.R5))
	g.readStack(stackWord, int(g.arch.PtrSize), "part")
	g.emit(asm.LoadMem(regAddr, asm.RFP, stackWord, word))
	g.zero(walkGroup, walkGroups)
	g.load(asm.R2, walkLast)
	g.emit(
		asm.JEq.Imm(regAddr, 0, "part"),
		asm.JEq.Reg(regAddr, asm.R2, "next"), // it is at several indexes
	)
	g.store(walkLast, regAddr)
	g.emit(asm.Mov.Imm(asm.R1, int32(table)))
	g.store(walkType, asm.R1)
	g.emit(asm.Mov.Imm(asm.R1, phaseTable))
	g.store(walkPhase, asm.R1)
	g.append()
}

// bucketArrays generates the way to the buckets and on to the old ones. R2 is
// the address of the header in the record, R5 how many arrays there were.
func (g *gen) bucketArrays(l *goruntime.MapLayout) {
	m := &l.BucketMap
	at := func(off int64) int16 { return int16(capture.ObjectHeader + off) }
	g.emit(
		asm.LoadMem(asm.R4, asm.R2, at(m.B), asm.Byte),
		asm.JGT.Imm(asm.R4, 40, "part"),
		asm.LoadMem(asm.R3, asm.R2, at(m.Buckets), g.machine.word),
		asm.JEq.Imm(asm.R5, 0, "buckets"),
		asm.JNE.Imm(asm.R5, 1, "all"),
		asm.LoadMem(asm.R3, asm.R2, at(m.OldBuckets), g.machine.word),
		asm.JEq.Imm(asm.R3, 0, "all"),
		asm.LoadMem(asm.R1, asm.R2, at(m.Flags), asm.Byte),
		asm.And.Imm(asm.R1, goruntime.FlagSameSizeGrow),
		asm.JNE.Imm(asm.R1, 0, "buckets"),
		asm.JEq.Imm(asm.R4, 0, "part"),
		asm.Sub.Imm(asm.R4, 1),
	)
	g.label("buckets")
	g.store(walkBase, asm.R3)
	g.emit(asm.Add.Imm(asm.R5, 1))
	g.store(walkStage, asm.R5)
	g.zero(walkGroup)
	g.emit(asm.Mov.Imm(asm.R1, 1), asm.LSh.Reg(asm.R1, asm.R4), asm.JNE.Imm(asm.R3, 0, "made"), asm.Mov.Imm(asm.R1, 0))
	g.label("made")
	g.store(walkGroups, asm.R1)
	g.emit(asm.Ja.Label("next"))
}

// ring generates the steps of a channel: the elements up to the end of the
// buffer, those from its start on, and the header.
func (g *gen) ring(t *capture.Types, l *goruntime.ChanLayout) {
	_, _, _, end := t.ScanTypes()
	word := g.machine.word
	at := func(off int64) int16 { return int16(capture.ObjectHeader + off) }
	g.label("ring")
	g.note("elements of a channel")
	g.header2(asm.R2)
	g.load(asm.R1, walkStage)
	g.emit(
		asm.LoadMem(asm.R3, asm.R2, at(l.Count), word),
		asm.LoadMem(asm.R4, asm.R2, at(l.Cap), word),
		asm.LoadMem(asm.R5, asm.R2, at(l.RecvX), word),
		asm.LoadMem(regAddr, asm.R2, at(l.Buf), word),
	)
	g.load(regSize, walkMember)
	g.emit(
		asm.JEq.Imm(regSize, 0, "ringEnd"),
		asm.JGT.Imm(asm.R1, 1, "ringEnd"),
		asm.JEq.Imm(asm.R3, 0, "ringEnd"),
		asm.JGT.Reg(asm.R3, asm.R4, "ringEnd"),
		asm.JGE.Reg(asm.R5, asm.R4, "ringEnd"),
		asm.Sub.Reg(asm.R4, asm.R5), // what is left up to the end
	)
	g.store(walkType, regSize)
	g.emit(asm.Mov.Reg(regSize, asm.R1), asm.Add.Imm(regSize, 1))
	g.store(walkStage, regSize)
	g.load(regSize, walkEntries)
	g.emit(
		asm.JNE.Imm(asm.R1, 0, "ringStart"),
		asm.JLE.Reg(asm.R3, asm.R4, "ringCount"),
		asm.Mov.Reg(asm.R3, asm.R4),
		asm.Ja.Label("ringCount"),
	)
	g.label("ringStart")
	g.emit(
		asm.JLE.Reg(asm.R3, asm.R4, "ringEnd"),
		asm.JLE.Reg(regSize, asm.R4, "ringEnd"),
		asm.Sub.Reg(asm.R3, asm.R4),
		asm.Sub.Reg(regSize, asm.R4),
		asm.Mov.Imm(asm.R5, 0),
	)
	g.label("ringCount")
	g.emit(asm.JLE.Reg(asm.R3, regSize, "ringFew"), asm.Mov.Reg(asm.R3, regSize))
	g.label("ringFew")
	g.load(asm.R1, walkStride)
	g.emit(asm.Mul.Reg(asm.R5, asm.R1), asm.Add.Reg(regAddr, asm.R5))
	g.store(walkCount, asm.R3)
	g.zero(walkHop)
	g.emit(asm.Ja.Label("follow"))
	g.label("ringEnd")
	g.emit(asm.Mov.Imm(asm.R4, int32(end)), asm.Ja.Label("finish"))
}

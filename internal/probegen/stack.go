package probegen

import (
	"github.com/cilium/ebpf/asm"

	"github.com/argtap/argtap/abi"
	"github.com/argtap/argtap/internal/capture"
)

// Names of the maps that programs with stacks refer to.
const (
	// MapStackArea is an array whose elements [StackScratch] describes.
	MapStackArea = "stackarea"
	// MapStacks is a hash of the stacks that were sent, of keys of [StackKeySize]
	// to their IDs, 8 bytes.
	MapStacks = "stacks"
)

// StackKeySize returns the size in bytes of a key of MapStacks: the stack itself,
// as its record has it from [capture.StackInfo] on, so that the kernel compares all
// of it.
func StackKeySize(depth int) int { return capture.StackFixed - capture.StackInfo + 8*depth }

// Words of an area in which a stack is collected, as offsets from its record. The
// lock is where all areas have it.
const (
	stackIndex   = -112 // the area's number, which user space writes
	stackCounter = -104 // of the stacks that were sent from here
	stackFrame   = -96  // the frame pointer that is next
	stackLow     = -88  // the one before: it must be above this,
	stackHigh    = -80  // and at most this
	stackBias    = -72
	stackSaved   = -64 // what is read at a frame pointer: the caller's,
	stackReturn  = -56 // and the return address
	stackRecord  = 128
	stackArea    = stackRecord + capture.StackFixed + 8*capture.MaxStack + 16
)

// framePointers are the registers that Go keeps frame pointers in.
var framePointers = map[*abi.Arch]abi.Reg{abi.AMD64: abi.RBP, abi.ARM64: abi.X0 + 29}

var stackScratch = scratch{MapStackArea, stackArea, stackRecord, capture.StackFixed + 8*capture.MaxStack}

// StackScratch returns the number and the size in bytes of the elements of
// MapStackArea for a machine with the given number of possible CPUs, and where in
// them the words are that must have the numbers of the areas: 0 and so on over all
// elements.
func StackScratch(cpus int) (elements, size int, numbers []int) {
	elements, size = stackScratch.elements(cpus)
	for at := 0; at < size; at += stackArea {
		numbers = append(numbers, at+stackRecord+stackIndex)
	}
	return elements, size, numbers
}

// stack collects the call's stack, and what tells how its goroutine came to be.
//
// Go code keeps frame pointers: a register points to a word where the caller's
// frame pointer is, with the return address behind it (since Go 1.7 on amd64, 1.12
// on arm64; cmd/internal/obj/x86/obj6.go and arm64/obj7.go). So a frame takes one
// read. At the site the function itself may not have come so far: its return
// address is where the CFA says, and its caller's frame pointer in the register or,
// if that points to the function's own frame already, saved there. No other value
// can be taken for that: frames of callers are above.
//
// The stack is not part of the record. It is looked up among those that were sent,
// and sent before the record if it is new; so the reader has it when it comes to the
// record. What cannot be had says why, and the call is recorded nonetheless.
//
// It is called behind the header: neither regAddr nor regSize hold anything. The
// memory of the record that is used is on the stack or in scratch memory: were it
// reserved in the ring buffer, the stack would come behind it.
func (g *gen) stack(f *Func) {
	p := f.Plan
	if p.Stack == 0 {
		return
	}
	word := func(at int, r asm.Register) {
		g.emit(asm.StoreMem(regRecord, int16(p.Stack+at), r, asm.DWord))
	}
	g.note("how the goroutine came to be, and its stack")
	g.emit(asm.Mov.Imm(asm.R1, 0))
	for at := capture.StackParent; at < capture.StackSize; at += 8 {
		word(at, asm.R1)
	}
	none := int32(capture.StackNone)
	known := Usable(f.G, g.opts)
	if !known {
		none = capture.StackGoroutine
	}
	g.emit(asm.Mov.Imm(asm.R1, none))
	word(capture.StackID, asm.R1)
	g.bias(asm.R1, asm.R2, f)
	word(capture.StackBias, asm.R1)
	if !known {
		return
	}
	slot := stackG(p)
	if f.G.Kind == GThread {
		g.threadG(f, slot)
	}
	ptr := f.Arch.PtrSize
	if c := p.Creation; c.Parent != 0 && c.Parent == c.GoPC-8 {
		g.note("g.parentGoid, g.gopc, g.startpc")
		g.loadG(f, slot)
		g.readFixed(capture.Read{Offset: p.Stack + capture.StackParent, Size: int(8 + 3*ptr), Bit: p.StackBit}, c.Parent)
	} else if c.GoPC != 0 {
		g.note("g.gopc, g.startpc")
		g.loadG(f, slot)
		g.readFixed(capture.Read{Offset: p.Stack + capture.StackGoPC, Size: int(3 * ptr), Bit: p.StackBit}, c.GoPC)
	}
	if p.StackDepth > 0 {
		g.collect(f, slot)
	}
}

// collect leaves the ID of the call's stack in the record, or why there is none.
// slot is a word of the program's stack, that of loadG.
func (g *gen) collect(f *Func, slot int16) {
	p := f.Plan
	depth := p.StackDepth
	done, unread, give := g.fresh("nostack"), g.fresh("unread"), g.fresh("give")
	g.callers(f, slot, done, unread)
	load := func(dst asm.Register, at int16) { g.emit(asm.LoadMem(dst, regAddr, at, asm.DWord)) }
	store := func(at int16, src asm.Register) { g.emit(asm.StoreMem(regAddr, at, src, asm.DWord)) }
	sent, kept := g.fresh("sent"), g.fresh("kept")
	g.note("was it sent already?")
	g.emit(
		asm.LoadMapPtr(asm.R1, 0).WithReference(MapStacks),
		asm.Mov.Reg(asm.R2, regAddr), asm.Add.Imm(asm.R2, capture.StackInfo),
		asm.FnMapLookupElem.Call(),
		asm.JEq.Imm(asm.R0, 0, sent),
		asm.LoadMem(regSize, asm.R0, 0, asm.DWord),
		asm.Ja.Label(kept),
	)
	g.label(sent)
	g.note("send it")
	load(asm.R1, stackCounter)
	g.emit(asm.Add.Imm(asm.R1, 1))
	store(stackCounter, asm.R1)
	load(asm.R2, stackIndex)
	g.emit(asm.LSh.Imm(asm.R1, capture.StackIndexBits), asm.Or.Reg(asm.R1, asm.R2))
	store(capture.StackSelf, asm.R1)
	g.emit(asm.LoadImm(asm.R1, capture.KindStack<<(8*capture.OffKind), asm.DWord))
	store(capture.OffPlan, asm.R1)
	g.emit(
		asm.Mov.Imm(regSize, capture.StackRing),
		asm.LoadMem(asm.R3, regAddr, capture.StackInfo, asm.Word),
		asm.JGT.Imm(asm.R3, int32(depth), give),
		asm.LSh.Imm(asm.R3, 3), asm.Add.Imm(asm.R3, capture.StackFixed),
		asm.LoadMapPtr(asm.R1, 0).WithReference(MapCalls),
		asm.Mov.Reg(asm.R2, regAddr),
		asm.Mov.Imm(asm.R4, 0),
		asm.FnRingbufOutput.Call(),
		asm.JNE.Imm(asm.R0, 0, give),
	)
	load(regSize, capture.StackSelf)
	g.note("and remember that, if there is room")
	g.emit(
		asm.LoadMapPtr(asm.R1, 0).WithReference(MapStacks),
		asm.Mov.Reg(asm.R2, regAddr), asm.Add.Imm(asm.R2, capture.StackInfo),
		asm.Mov.Reg(asm.R3, regAddr), asm.Add.Imm(asm.R3, capture.StackSelf),
		asm.Mov.Imm(asm.R4, updateNoExist),
		asm.FnMapUpdateElem.Call(),
		asm.JNE.Imm32(asm.R0, 0, give),
	)
	g.label(kept)
	g.emit(
		asm.LoadImm(asm.R1, -1<<63, asm.DWord), asm.Or.Reg(regSize, asm.R1),
		asm.Ja.Label(give),
	)
	g.label(unread)
	g.emit(asm.Mov.Imm(regSize, capture.StackUnread))
	g.label(give)
	g.note("give the area back")
	g.emit(
		asm.StoreMem(regRecord, int16(p.Stack+capture.StackID), regSize, asm.DWord),
		asm.Mov.Imm(asm.R1, 0),
		xchg(regAddr, asm.R1, scratchLock-scratchRecord),
	)
	g.label(done)
}

// callers collects the call's stack in an area, whose record it leaves in regAddr. It
// jumps to busy where no area is free, and to unread, with one, where not even the
// return address can be read. slot is that of loadG. It uses neither regRecord nor
// regSize.
func (g *gen) callers(f *Func, slot int16, busy, unread string) {
	depth := f.Plan.StackDepth
	g.takeArea(&stackScratch, regAddr, busy, slot-8)
	load := func(dst asm.Register, at int16) { g.emit(asm.LoadMem(dst, regAddr, at, asm.DWord)) }
	store := func(at int16, src asm.Register) { g.emit(asm.StoreMem(regAddr, at, src, asm.DWord)) }
	// read reads a word at R3+disp.
	read := func(at int16, disp int64) {
		g.add(asm.R3, disp)
		g.emit(
			asm.Mov.Reg(asm.R1, regAddr), asm.Add.Imm(asm.R1, int32(at)),
			asm.Mov.Imm(asm.R2, 8),
			asm.FnProbeReadUser.Call(),
			asm.JNE.Imm(asm.R0, 0, unread),
		)
	}
	g.note("clear what stacks are told apart by")
	g.emit(asm.Mov.Imm(asm.R1, 0))
	for at := capture.StackInfo; at < capture.StackPCs+8*depth; at += 8 {
		store(int16(at), asm.R1)
	}
	g.bias(asm.R1, asm.R2, f)
	store(stackBias, asm.R1)
	g.note("g.stack.hi")
	g.loadG(f, slot)
	read(stackHigh, 8)
	load(asm.R1, stackHigh)
	g.emit(asm.Sub.Imm(asm.R1, 16))
	store(stackHigh, asm.R1)

	g.note("the return address, and the caller's frame pointer")
	own := g.fresh("caller")
	g.loadReg(asm.R3, f.Arch.SP)
	g.add(asm.R3, f.CFA-16)
	store(stackLow, asm.R3)
	g.loadReg(asm.R1, framePointers[f.Arch])
	store(stackFrame, asm.R1)
	if f.Arch == abi.ARM64 {
		// A frame begins with its return address, in the word above that which the
		// frame pointer points to.
		if f.CFA == 0 {
			g.loadReg(asm.R1, abi.X0+30)
			store(stackReturn, asm.R1)
		} else {
			g.loadReg(asm.R3, f.Arch.SP)
			read(stackReturn, 0)
			g.loadReg(asm.R3, f.Arch.SP)
			g.emit(asm.Sub.Imm(asm.R3, 8))
			load(asm.R1, stackFrame)
			g.emit(asm.JNE.Reg(asm.R1, asm.R3, own))
			read(stackFrame, 0)
			g.label(own)
		}
	} else {
		load(asm.R3, stackLow)
		read(stackReturn, 8)
		load(asm.R3, stackLow)
		load(asm.R1, stackFrame)
		g.emit(asm.JNE.Reg(asm.R1, asm.R3, own))
		read(stackFrame, 0)
		g.label(own)
	}
	load(asm.R1, stackReturn)
	g.emit(asm.JEq.Imm(asm.R1, 0, unread))
	load(asm.R2, stackBias)
	g.emit(
		asm.Sub.Reg(asm.R1, asm.R2),
		asm.LSh.Imm(asm.R1, 64-capture.StackPCBits), asm.RSh.Imm(asm.R1, 64-capture.StackPCBits),
	)
	store(capture.StackPCs, asm.R1)
	g.emit(
		asm.Mov.Imm(asm.R1, 1),
		asm.StoreMem(regAddr, capture.StackInfo, asm.R1, asm.Word),
	)

	g.note("its callers")
	const callback = "frame"
	if !g.stacks {
		g.stacks = true
		g.callbacks = append(g.callbacks, func() { g.frame(callback, depth) })
	}
	g.emit(
		asm.StoreMem(asm.RFP, slot, regAddr, asm.DWord),
		asm.Mov.Imm(asm.R1, int32(depth)),
	)
	g.loopCall(callback, slot)
}

// frame generates the function that bpf_loop calls for each frame: R1 is its index,
// R2 where the address of the area is.
func (g *gen) frame(callback string, depth int) {
	load := func(dst asm.Register, at int16) { g.emit(asm.LoadMem(dst, asm.R8, at, asm.DWord)) }
	store := func(at int16, src asm.Register) { g.emit(asm.StoreMem(asm.R8, at, src, asm.DWord)) }
	g.function(callback, each)
	g.note("one frame")
	g.emit(
		asm.LoadMem(asm.R8, asm.R2, 0, asm.DWord),
		asm.Mov.Reg(asm.R9, asm.R1),
	)
	load(asm.R3, stackFrame)
	g.emit(
		asm.Mov.Imm(asm.R1, capture.StackStart),
		asm.JEq.Imm(asm.R3, 0, callback+"end"),
		asm.Mov.Imm(asm.R1, capture.StackDepth),
		asm.JGE.Imm(asm.R9, int32(depth-1), callback+"end"),
		asm.Mov.Imm(asm.R1, capture.StackLeft),
	)
	load(asm.R2, stackHigh)
	g.emit(
		asm.JGT.Reg(asm.R3, asm.R2, callback+"end"),
		asm.Mov.Imm(asm.R1, capture.StackBroken),
	)
	load(asm.R4, stackLow)
	g.emit(
		asm.JLE.Reg(asm.R3, asm.R4, callback+"end"),
		asm.Mov.Reg(asm.R2, asm.R3), asm.And.Imm(asm.R2, 7),
		asm.JNE.Imm(asm.R2, 0, callback+"end"),
	)
	store(stackLow, asm.R3)
	near := g.fresh("near")
	g.emit(
		asm.Sub.Reg(asm.R3, asm.R4), asm.RSh.Imm(asm.R3, 3),
		asm.JLE.Imm(asm.R3, capture.StackFar, near),
		asm.Mov.Imm(asm.R3, capture.StackFar),
	)
	g.label(near)
	at := func() { // in R2
		g.emit(asm.Mov.Reg(asm.R2, asm.R9), asm.LSh.Imm(asm.R2, 3), asm.Add.Reg(asm.R2, asm.R8))
	}
	at()
	g.emit(
		asm.LSh.Imm(asm.R3, capture.StackPCBits),
		asm.LoadMem(asm.R1, asm.R2, capture.StackPCs, asm.DWord),
		asm.Or.Reg(asm.R1, asm.R3),
		asm.StoreMem(asm.R2, capture.StackPCs, asm.R1, asm.DWord),
		asm.LoadMem(asm.R3, asm.R8, stackFrame, asm.DWord),
		asm.Mov.Reg(asm.R1, asm.R8), asm.Add.Imm(asm.R1, stackSaved),
		asm.Mov.Imm(asm.R2, 16),
		asm.FnProbeReadUser.Call(),
		asm.Mov.Imm(asm.R1, capture.StackCut),
		asm.JNE.Imm(asm.R0, 0, callback+"end"),
		asm.Mov.Imm(asm.R1, capture.StackBroken),
	)
	load(asm.R3, stackReturn)
	g.emit(asm.JEq.Imm(asm.R3, 0, callback+"end"))
	load(asm.R1, stackBias)
	g.emit(
		asm.Sub.Reg(asm.R3, asm.R1),
		asm.LSh.Imm(asm.R3, 64-capture.StackPCBits), asm.RSh.Imm(asm.R3, 64-capture.StackPCBits),
	)
	at()
	g.emit(asm.StoreMem(asm.R2, capture.StackPCs+8, asm.R3, asm.DWord))
	load(asm.R1, stackSaved)
	store(stackFrame, asm.R1)
	g.emit(
		asm.Add.Imm(asm.R9, 2),
		asm.StoreMem(asm.R8, capture.StackInfo, asm.R9, asm.Word),
		asm.Mov.Imm(asm.R0, 0),
		asm.Return(),
	)
	g.label(callback + "end")
	g.emit(
		asm.StoreMem(asm.R8, capture.StackInfo+4, asm.R1, asm.Word),
		asm.Mov.Imm(asm.R0, 1),
		asm.Return(),
	)
}

// checkStack returns why no stack can be collected in f, "" if one can, or none is
// to be.
func (g *gen) checkStack(f *Func) string {
	p := f.Plan
	_, framed := framePointers[f.Arch]
	switch {
	case p.StackDepth == 0:
	case p.Stack == 0 && f.Aggregate == nil:
		return "its plan has no room for a stack"
	case p.StackDepth < 0 || p.StackDepth > capture.MaxStack:
		return "the depth of its stack is out of range"
	case !framed:
		return "its code has no frame pointers"
	case g.opts.NoAtomics:
		return "a stack needs atomic exchange"
	case g.depth != 0 && g.depth != p.StackDepth:
		return "the depths of stacks are mixed"
	}
	if p.StackDepth > 0 {
		g.depth = p.StackDepth
	}
	return ""
}

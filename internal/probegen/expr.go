package probegen

import (
	"math"

	"github.com/cilium/ebpf/asm"

	"github.com/argtap/argtap/abi"
	"github.com/argtap/argtap/internal/capture"
	"github.com/argtap/argtap/internal/expr"
)

// regValue holds the value of the operation at hand: an integer, bool or address
// of the target, extended to 64 bits by its signedness, or the address of a
// place. No helper changes it.
const regValue = asm.R8

// exprStack is how many words of the program's stack an expression may use.
const exprStack = 24

// maxExpr bounds the instructions of an expression. It is far more than people
// write; programs, and jumps, have bounds of their own.
const maxExpr = 6000

// compiler generates the code of one expression, straight-line but for jumps
// forward.
//
// Whatever the value of an operation is, it is in regValue, and what is needed
// later is on the stack, so that helpers may be called in between. Where there
// is no value the code jumps to a label for the reason. None of the registers
// that hold the same thing throughout a program is changed, but regValue.
type compiler struct {
	*gen
	c *capture.Expr
	// site is the address of the probed instruction as the binary states it, cfa
	// the distance from SP to the CFA.
	site uint64
	cfa  int64
	// used is the number of words of the stack that are in use, base that of the
	// words above them, which belong to others.
	used, base int
	// failures are the labels for the reasons why there is no value, order the
	// reasons as they were first used.
	failures map[abi.Reason]string
	order    []abi.Reason
	// err is why the expression cannot be compiled.
	err string
}

func (g *gen) compiler(f *Func, c *capture.Expr) *compiler {
	return &compiler{gen: g, c: c, site: f.Site, cfa: f.CFA, failures: map[abi.Reason]string{}}
}

// CheckExpr returns why no program can compute an expression, as a condition or
// for an image, "" if one can.
func CheckExpr(a *abi.Arch, e *capture.Expr, condition bool) string {
	g := &gen{opts: Options{CPUs: 1, Sleepable: true}, machine: machines[a.GOARCH], arch: a}
	if g.machine == nil {
		return "unsupported architecture"
	}
	x := g.compiler(&Func{}, e)
	if condition {
		x.unless("no")
	} else {
		x.store(&capture.Param{Image: &capture.Image{Type: e.Root.Type, Size: e.Root.Type.Size}, Expr: e})
	}
	if x.err == "" && len(g.ins) > maxExpr {
		x.err = "it is too long"
	}
	return x.err
}

// exprs computes the images of the expressions.
func (g *gen) exprs(f *Func) {
	for i := range f.Plan.Params {
		if p := &f.Plan.Params[i]; p.Expr != nil {
			g.notef("compute %s", p.Name)
			g.compiler(f, p.Expr).store(p)
		}
	}
}

// where ends the program unless the conditions are met.
func (g *gen) where(f *Func) {
	for _, c := range f.Where {
		no := g.lost(Filtered)
		if f.doubts() && c.Registers() {
			g.note("are the registers what they were?")
			g.emit(asm.JNE.Imm(regFailed, 0, no))
		}
		g.note("condition")
		g.compiler(f, c).unless(no)
	}
}

// store computes an image, or says why there is none.
func (x *compiler) store(p *capture.Param) {
	done := x.fresh("done")
	x.value(p)
	if len(x.failures) == 0 {
		return
	}
	absent := x.fresh("absent")
	x.emit(asm.Ja.Label(done))
	for _, r := range x.order {
		x.label(x.failures[r])
		x.emit(asm.Mov.Imm(asm.R0, int32(r)), asm.Ja.Label(absent))
	}
	x.label(absent)
	x.note("why there is no value")
	x.emit(asm.StoreMem(regRecord, int16(p.Why), asm.R0, asm.Byte))
	x.label(done)
}

// unless generates a condition as a jump: the code goes on where the condition
// is true, and else, or where it has no value, at label no.
func (x *compiler) unless(no string) {
	yes := x.fresh("yes")
	x.cond(x.c.Root, yes, no)
	for _, r := range x.order {
		x.label(x.failures[r])
		x.emit(asm.Ja.Label(no))
	}
	x.label(yes)
}

// failure returns the label for a reason.
func (x *compiler) failure(r abi.Reason) string {
	if x.failures[r] == "" {
		x.failures[r] = x.fresh("fail")
		x.order = append(x.order, r)
	}
	return x.failures[r]
}

// fail says that there is no value in any case. The verifier knows the condition
// to be true: to it, what follows can still be reached by the graph of jumps,
// which it wants, and is not looked at.
func (x *compiler) fail(r abi.Reason) {
	x.emit(asm.Mov.Imm(regValue, 1), asm.JNE.Imm(regValue, 0, x.failure(r)))
}

// alloc takes words of the stack and returns the offset of the lowest from the
// frame pointer.
func (x *compiler) alloc(words int) int16 {
	x.used += words
	if x.used > exprStack {
		if x.err == "" {
			x.err = "it is nested too deep"
		}
		return int16(-8 * (x.base + exprStack))
	}
	return int16(-8 * (x.base + x.used))
}

func (x *compiler) free(words int) { x.used -= words }

// push stores regValue to the stack.
func (x *compiler) push() int16 {
	at := x.alloc(1)
	x.emit(asm.StoreMem(asm.RFP, at, regValue, asm.DWord))
	return at
}

func (x *compiler) fetch(dst asm.Register, at int16) {
	x.emit(asm.LoadMem(dst, asm.RFP, at, asm.DWord))
}

// constant loads a number.
func (x *compiler) constant(dst asm.Register, v int64) {
	if v == int64(int32(v)) {
		x.emit(asm.Mov.Imm(dst, int32(v)))
	} else {
		x.emit(asm.LoadImm(dst, v, asm.DWord))
	}
}

// operate applies an operation with a constant to regValue. It may use R1.
func (x *compiler) operate(op asm.ALUOp, v int64) {
	if v == int64(int32(v)) {
		x.emit(op.Imm(regValue, int32(v)))
	} else {
		x.emit(asm.LoadImm(asm.R1, v, asm.DWord), op.Reg(regValue, asm.R1))
	}
}

// small reports whether addresses have 32 bits.
func (x *compiler) small() bool { return x.arch.PtrSize == 4 }

// extend cuts a register to so many bytes, and extends it.
func (x *compiler) extend(r asm.Register, size int64, signed bool) {
	if size < 1 || size >= 8 {
		return
	}
	back := asm.RSh
	if signed {
		back = asm.ArSh
	}
	x.emit(asm.LSh.Imm(r, int32(64-8*size)), back.Imm(r, int32(64-8*size)))
}

func signed(t *abi.Type) bool { return t.Kind >= abi.Int && t.Kind <= abi.Int64 }

// read reads bytes of the target at the address in regValue plus off.
func (x *compiler) read(dst asm.Register, to int16, off, size int64) {
	ok := x.fresh("ok")
	read := func(helper asm.BuiltinFunc) {
		x.emit(asm.Mov.Reg(asm.R3, regValue))
		x.add(asm.R3, off)
		if x.small() && off != 0 {
			x.emit(asm.Mov.Reg32(asm.R3, asm.R3))
		}
		x.emit(
			asm.Mov.Reg(asm.R1, dst), asm.Add.Imm(asm.R1, int32(to)),
			asm.Mov.Imm(asm.R2, int32(size)),
			helper.Call(),
		)
	}
	read(asm.FnProbeReadUser)
	if x.opts.Sleepable {
		x.emit(asm.JEq.Imm(asm.R0, 0, ok))
		x.note("fetch the page")
		read(asm.FnCopyFromUser)
	}
	x.emit(asm.JNE.Imm(asm.R0, 0, x.failure(abi.NotResident)))
	if x.opts.Sleepable {
		x.label(ok)
	}
}

// value writes the image.
func (x *compiler) value(p *capture.Param) {
	n := x.c.Root
	size := p.Image.Size
	switch {
	case n.IsPlace():
		x.copy(x.place(n), int64(p.Offset), size)
	case size < n.Type.Size:
		// The image does not fit into the record, which the decoder knows.
	case n.Type.Kind == abi.String || n.Type.Kind == abi.Slice:
		h, word := x.header(n), x.arch.PtrSize
		for i := range n.Type.Size / word {
			x.fetch(asm.R1, h+int16(8*i))
			x.emit(asm.StoreMem(regRecord, int16(int64(p.Offset)+i*word), asm.R1, memSize(int(word))))
		}
		x.free(3)
	default:
		x.scalar(n)
		x.emit(asm.StoreMem(regRecord, int16(p.Offset), regValue, memSize(int(size))))
	}
}

// copy copies size bytes of a place to the record.
func (x *compiler) copy(s spot, to, size int64) {
	if s.param < 0 {
		if size > 0 {
			x.read(regRecord, int16(to), s.off, size)
		}
		return
	}
	covered := int64(0)
	for _, p := range x.pieces(s, size) {
		from := max(p.Offset, s.off)
		part := min(p.Offset+p.Size, s.off+size) - from
		at := to + from - s.off
		covered += part
		if x.memory(p, from-p.Offset) {
			x.read(regRecord, int16(at), 0, part)
			continue
		}
		x.piece(p, from-p.Offset)
		for ; part > 0; part-- {
			x.emit(asm.StoreMem(regRecord, int16(at), regValue, asm.Byte), asm.RSh.Imm(regValue, 8))
			at++
		}
	}
	if covered == 0 && size > 0 {
		x.fail(abi.OptimizedOut)
	}
}

// number is an address, or offset, that fits what loads and immediates have.
func immediate(v int64) bool { return v >= math.MinInt32 && v <= math.MaxInt32 }

// unsigned compares regValue with a number, and jumps if it is not less.
func (x *compiler) below(limit int64, no string) {
	if immediate(limit) {
		x.emit(asm.JGE.Imm(regValue, int32(limit), no))
		return
	}
	x.emit(asm.LoadImm(asm.R1, limit, asm.DWord), asm.JGE.Reg(regValue, asm.R1, no))
}

// scaled multiplies regValue by the size of elements.
func (x *compiler) scaled(size int64) {
	if immediate(size) && size > 0 {
		x.scale(regValue, size)
		return
	}
	x.operate(asm.Mul, size)
}

// isConst returns a constant that an operation with an immediate may have.
func isConst(n *expr.Node) (int64, bool) {
	if n == nil || n.Op != expr.Const {
		return 0, false
	}
	v := int64(n.Bits())
	return v, immediate(v)
}

package uprobe

import (
	"bytes"
	"encoding/binary"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/argtap/argtap/abi"
	"github.com/argtap/argtap/internal/bpfsim"
	"github.com/argtap/argtap/internal/capture"
	"github.com/argtap/argtap/internal/probegen"
	"github.com/argtap/argtap/internal/site"
)

// traced is a function with its program, traced without a kernel.
type traced struct {
	tb   testing.TB
	arch *abi.Arch
	fn   *Func
	prog *bpfsim.Program
	m    *bpfsim.Machine
	asg  *abi.Assignment
	// stack: the parameters lie on the stack, so that floats are readable.
	stack bool
}

const (
	testGoid = 152
	testG    = 77 // the goroutine's ID
)

// trace makes a function whose parameters have the given names ("a b c") and
// types.
func trace(tb testing.TB, l Limits, stack bool, names string, types ...reflect.Type) *traced {
	tb.Helper()
	return traceOn(tb, abi.AMD64, l, stack, names, types...)
}

// traceOn does the same for a program of an architecture.
func traceOn(tb testing.TB, arch *abi.Arch, l Limits, stack bool, names string, types ...reflect.Type) *traced {
	tb.Helper()
	memo := reflected{arch, map[reflect.Type]*abi.Type{}}
	sig := &abi.Signature{}
	for i, name := range strings.Fields(names) {
		sig.Params = append(sig.Params, abi.Param{Name: name, Type: memo.of(types[i])})
	}
	t := &traced{tb: tb, arch: arch, stack: stack}
	t.fn = &Func{name: "main.f", source: SourceDWARF, entry: 0x401000, size: 64, arch: arch, sig: sig, sites: &site.Sites{Entry: site.Probe{Addr: 0x401000, CFA: arch.CFAAtEntry}}}
	var err error
	if t.asg, err = abi.Internal(arch, sig); err != nil {
		tb.Fatal(err)
	}
	var in []capture.Input
	at := int64(0)
	for i, p := range sig.Params {
		loc := t.asg.Params[i].AtEntry()
		if stack {
			loc = abi.Location{{Size: p.Type.Size, Kind: abi.InFrame, CFA: abi.CFAOffset(at)}}
			at += capture.Align8(p.Type.Size)
		}
		t.fn.params = append(t.fn.params, Param{Name: p.Name, Type: p.Type, Location: loc, arch: arch})
		b := &executable{arch: arch}
		in = append(in, capture.Input{Name: p.Name, Type: p.Type, Location: b.readable(loc)})
	}
	t.fn.plan = capture.Build(arch, in, l.capture())
	t.fn.plan.Goroutine = testGoid
	ins, err := probegen.Entry([]probegen.Func{{
		Name: t.fn.name, Arch: arch, Plan: t.fn.plan, CFA: arch.CFAAtEntry, Skip: probegen.Never,
		G: probegen.G{Kind: probegen.GRegister, Reg: testMachines[arch].g},
	}}, probegen.Options{CPUs: 1})
	if err != nil {
		tb.Fatal(err)
	}
	if t.prog, err = bpfsim.Load(ins); err != nil {
		tb.Fatal(err)
	}
	_, size := probegen.Scratch(1)
	t.m = &bpfsim.Machine{
		PID: 12, TID: 34, Time: 5_000_000_001,
		Arrays: map[string][]byte{
			probegen.MapScratch: bytes.Repeat([]byte{bpfsim.Garbage}, size),
			probegen.MapLosses:  make([]byte, probegen.LossesSize),
		},
		Ring: bpfsim.Ring{Size: 1 << 20},
	}
	scratch := t.m.Arrays[probegen.MapScratch]
	clear(scratch[:8])
	clear(scratch[len(scratch)/2:][:8])
	return t
}

// hit is the state at a call, to be spoilt before the program runs.
type hit struct {
	ptr    int // the size of a word
	mem    *bpfsim.Memory
	images [][]byte // of the arguments
	sp, g  uint64
}

// word returns the address of word i of argument arg: the register or stack
// word is written from there.
func (h *hit) word(arg, i int) []byte { return h.images[arg][h.ptr*i:][:h.ptr] }

func (h *hit) set(arg, i int, w uint64) {
	if b := h.word(arg, i); len(b) == 4 {
		binary.LittleEndian.PutUint32(b, uint32(w))
	} else {
		binary.LittleEndian.PutUint64(b, w)
	}
}

func (h *hit) get(arg, i int) uint64 {
	if b := h.word(arg, i); len(b) == 4 {
		return uint64(binary.LittleEndian.Uint32(b))
	}
	return binary.LittleEndian.Uint64(h.word(arg, i))
}

// epoch is the wall-clock time of the machine's start.
var testEpoch = time.Date(2026, 1, 2, 15, 4, 0, 123456788, time.UTC)

// call runs the program for a call with the given arguments, and decodes its
// record.
func (t *traced) call(spoil func(*hit), args ...any) *Call {
	t.tb.Helper()
	values := make([]reflect.Value, len(args))
	for i, a := range args {
		values[i] = reflect.ValueOf(a)
	}
	return t.callValues(spoil, values)
}

func (t *traced) callValues(spoil func(*hit), args []reflect.Value) *Call {
	t.tb.Helper()
	p := &process{types: reflected{t.arch, map[reflect.Type]*abi.Type{}}, mem: bpfsim.NewMemory(), ptrs: map[uintptr]uint64{}}
	if t.arch.PtrSize == 4 {
		p.mem = bpfsim.NewMemoryAt(0x9000_0000)
	}
	h := &hit{ptr: int(t.arch.PtrSize), mem: p.mem}
	for _, a := range args {
		h.images = append(h.images, p.image(a))
	}
	size := 4096
	for _, img := range h.images {
		size += len(img) + 8
	}
	h.sp, h.g = p.mem.Alloc(size, 16), p.mem.Alloc(512, 8)
	p.mem.PutWord(h.g+testGoid, testG)
	if spoil != nil {
		spoil(h)
	}
	t.enter(h)
	if _, err := t.m.Run(t.prog); err != nil {
		t.tb.Fatal(err)
	}
	recs := t.m.Ring.Take()
	if len(recs) != 1 {
		t.tb.Fatalf("%d records", len(recs))
	}
	c, ok := newCall(t.fn, recs[0], testEpoch)
	if !ok {
		t.tb.Fatal("no call")
	}
	return &c
}

// testMachines are the architectures whose programs are traced: the register
// that holds g, the size of struct pt_regs, and the offsets of registers in it
// (ptrace.h). A program for 386 sees those of amd64, of which the lower halves
// count.
var testMachines = map[*abi.Arch]struct {
	g    abi.Reg
	size int
	regs map[abi.Reg]int
}{
	abi.AMD64: {abi.R14, 168, map[abi.Reg]int{
		abi.R14: 8, abi.RBX: 40, abi.R11: 48, abi.R10: 56, abi.R9: 64, abi.R8: 72,
		abi.RAX: 80, abi.RCX: 88, abi.RSI: 104, abi.RDI: 112, abi.RSP: 152,
	}},
	abi.I386: {abi.ECX, 168, map[abi.Reg]int{abi.ECX: 88, abi.ESP: 152}},
	abi.ARM64: {abi.X28, 272, map[abi.Reg]int{
		abi.X0: 0, abi.X1: 8, abi.X2: 16, abi.X3: 24, abi.X4: 32, abi.X5: 40, abi.X6: 48, abi.X7: 56,
		abi.X8: 64, abi.X9: 72, abi.X10: 80, abi.X11: 88, abi.X12: 96, abi.X13: 104, abi.X14: 112, abi.X15: 120,
		abi.X28: 224, abi.ARM64SP: 248,
	}},
}

// enter puts the arguments into registers and onto the stack.
func (t *traced) enter(h *hit) {
	machine := testMachines[t.arch]
	ctx := bytes.Repeat([]byte{0xee}, machine.size)
	put := func(r abi.Reg, v uint64) {
		var b [8]byte
		binary.LittleEndian.PutUint64(b[:], v)
		copy(ctx[machine.regs[r]:], b[:h.ptr])
	}
	put(t.arch.SP, h.sp)
	put(machine.g, h.g)
	for i, img := range h.images {
		for _, piece := range t.fn.params[i].Location {
			b := img[piece.Offset:][:piece.Size]
			switch {
			case piece.Kind == abi.InFrame:
				if at := h.sp + uint64(t.arch.CFAAtEntry) + uint64(piece.CFA); h.mem.Read(at, make([]byte, len(b)), false) {
					h.mem.Put(at, b)
				}
			case !t.arch.IsFloat(piece.Reg):
				copy(ctx[machine.regs[piece.Reg]:], b)
			}
		}
	}
	t.m.Context, t.m.Target = ctx, h.mem
}

// one traces a function of one parameter, which lies on the stack, and calls
// it with a value.
func one(tb testing.TB, l Limits, x any) Value {
	tb.Helper()
	return oneOn(tb, abi.AMD64, l, x)
}

// oneOn does the same in a program of an architecture.
func oneOn(tb testing.TB, a *abi.Arch, l Limits, x any) Value {
	tb.Helper()
	return traceOn(tb, a, l, true, "x", reflect.TypeOf(x)).call(nil, x).Arg(0)
}

// archNames are the names of subtests for each architecture.
var archNames = map[string]*abi.Arch{"amd64": abi.AMD64, "arm64": abi.ARM64, "386": abi.I386}

// pointers386 changes text such that the addresses in it are those of a process
// with pointers of four bytes.
var pointers386 = strings.NewReplacer("0xc0001", "0x1")

// capture returns the limits of a plan.
func (l Limits) capture() capture.Limits {
	return capture.Limits{
		String: l.String, Elems: l.Elems, Bytes: l.Bytes, Depth: l.Depth, Objects: l.Objects, Record: l.Record,
	}
}

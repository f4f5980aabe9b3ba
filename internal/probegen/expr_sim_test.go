package probegen_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"go/constant"
	"testing"

	"github.com/argtap/argtap/abi"
	"github.com/argtap/argtap/internal/capture"
	"github.com/argtap/argtap/internal/expr"
	"github.com/argtap/argtap/internal/probegen"
)

// evalMemory is the target's memory for expr.Eval.
type evalMemory struct {
	hit  *hit
	site uint64
}

func (m evalMemory) Read(addr uint64, b []byte) bool { return m.hit.mem.Read(addr, b, m.hit.wait) }

func (m evalMemory) TypeWord(t *abi.Type) uint64 {
	w := m.hit.pc - m.site + descriptors + t.RuntimeType
	if m.hit.arch.PtrSize == 4 {
		return uint64(uint32(w))
	}
	return w
}

func (m evalMemory) MapElem(*abi.Type, uint64, constant.Value) (uint64, bool, bool) {
	return 0, false, false
}

// image returns the bytes of a value at a place, nil if some cannot be read.
func (h *hit) image(f *probegen.Func, t *abi.Type, l abi.Location) []byte {
	b := make([]byte, t.Size)
	for _, p := range l {
		part := b[p.Offset:][:p.Size]
		var word [16]byte
		switch p.Kind {
		case abi.InRegister:
			binary.LittleEndian.PutUint64(word[:], h.regs[p.Reg])
			if p.Size > h.arch.PtrSize {
				return nil
			}
			copy(part, word[:])
		case abi.Constant:
			binary.LittleEndian.PutUint64(word[:], p.Const)
			if p.Size > 8 {
				return nil
			}
			copy(part, word[:])
		case abi.InFrame, abi.InMemory:
			if !h.mem.Read(h.address(f, p), part, h.wait) {
				return nil
			}
		default:
			return nil
		}
	}
	return b
}

func (h *hit) address(f *probegen.Func, p abi.Piece) uint64 {
	a := h.regs[p.Reg] + uint64(p.Disp)
	if p.Kind == abi.InFrame {
		a = h.regs[h.arch.SP] + uint64(f.CFA+int64(p.CFA))
	}
	if h.arch.PtrSize == 4 {
		a = uint64(uint32(a))
	}
	return a
}

// reasons are those that programs have for what expr.Eval has.
var reasons = map[expr.Absence]abi.Reason{
	expr.Present: abi.Present, expr.NilDereference: abi.NilPointer, expr.IndexOutOfRange: abi.IndexOutOfRange,
	expr.SliceOutOfRange: abi.SliceOutOfRange, expr.OtherType: abi.OtherType, expr.DivisionByZero: abi.DivisionByZero,
	expr.NegativeShift: abi.NegativeShift, expr.NotResident: abi.NotResident,
	expr.Implausible: abi.Implausible,
}

// TestExprs runs programs with random expressions on random registers and
// memory, and compares what they have with the interpreter's.
func TestExprs(t *testing.T) {
	for _, a := range []*abi.Arch{abi.AMD64, abi.ARM64, abi.I386} {
		t.Run(a.GOARCH, func(t *testing.T) { testExprs(t, a) })
	}
}

func testExprs(t *testing.T, a *abi.Arch) {
	rounds := 400
	if testing.Short() {
		rounds = 60
	}
	ends := map[abi.Reason]int{}
	total, noParam := 0, 0
	for seed := range rounds {
		r := newRandom(uint64(seed), a)
		c := r.exprCase(12)
		f := c.fn(0, capture.Limits{Depth: -1})
		o := probegen.Options{CPUs: simCPUs, Sleepable: r.one(2)}
		prog := load(t, []probegen.Func{f}, o)
		m := newMachine(1 << 20)
		w := r.world()
		var pc uint64 = 0x7000_1000
		for _, held := range c.held.list {
			// Descriptors, and itabs that have them as the second word.
			word := evalMemory{&hit{arch: a, pc: pc}, f.Site}.TypeWord(held)
			itab := w.mem.Alloc(32, 8)
			var b [16]byte
			binary.LittleEndian.PutUint64(b[:], word)
			w.mem.Put(itab+uint64(a.PtrSize), b[:a.PtrSize])
			w.addrs = append(w.addrs, word, itab, word, itab)
		}
		for range 4 {
			// Structs that are full of good addresses.
			at := w.mem.Alloc(600, 8)
			w.fill(at, 600)
			w.addrs = append(w.addrs, at, at, at, at+16)
		}
		for n := range 10 {
			h := w.hit(o.Sleepable)
			h.pc = pc
			h.enter(m)
			if _, err := m.Run(prog); err != nil {
				t.Fatalf("seed %d: %v", seed, err)
			}
			got := m.Ring.Take()
			if len(got) != 1 {
				t.Fatalf("seed %d, hit %d: %d records", seed, n, len(got))
			}
			var params [][]byte
			for i, in := range c.inputs {
				image := h.image(&f, in.Type, in.Location)
				if c.gaps[i] {
					image = nil
				}
				params = append(params, image)
			}
			for i, e := range c.exprs {
				p := &f.Plan.Params[i]
				if p.Expr == nil {
					continue // a part of a parameter
				}
				want, why := expr.Eval(e, params, evalMemory{h, f.Site})
				reason := abi.Reason(got[0][p.Why])
				total++
				if why == expr.NoParameter {
					noParam++ // what is there of it may be enough
					continue
				}
				if why == expr.OtherType && reason == abi.NotResident {
					continue // both words of an interface are read at once
				}
				if why == expr.NotResident && partOfHeader(e.Root) {
					continue // one word says it, the interpreter reads all three
				}
				if reason != abi.Present && reason != reasons[why] && c.noAddress(e.Root) {
					ends[reason]++
					continue
				}
				ends[reason]++
				fail := func(format string, args ...any) {
					t.Errorf("seed %d, hit %d: %s: %s\n%s\n%s", seed, n, e, fmt.Sprintf(format, args...), e.Root, describe(&f))
				}
				if reason != reasons[why] {
					fail("reason %s, want %s", reason, why)
					continue
				}
				if d := want.Data; why == expr.Present && d.Param >= 0 {
					// The address is 0 there; programs know better.
					for _, piece := range c.inputs[d.Param].Location {
						if at := int64(d.Addr) - piece.Offset; at >= 0 && at < max(piece.Size, 1) {
							var b [8]byte
							binary.LittleEndian.PutUint64(b[:], h.address(&f, piece)+uint64(at))
							copy(want.Bytes[:a.PtrSize], b[:])
						}
					}
					if int64(d.Addr) >= c.inputs[d.Param].Type.Size {
						copy(want.Bytes[:a.PtrSize], got[0][p.Offset:])
					}
				}
				image := got[0][p.Offset:][:p.Image.Size]
				if why != expr.Present {
					want.Bytes = make([]byte, p.Image.Size)
				}
				if !bytes.Equal(image, want.Bytes[:p.Image.Size]) {
					fail("%x (%s), want %x", image, reason, want.Bytes)
				}
			}
			if t.Failed() {
				return
			}
		}
	}
	t.Logf("%d values: %v; of %d a parameter is not there", total, ends, noParam)
	for _, r := range reasons {
		if ends[r] == 0 && !testing.Short() {
			t.Errorf("no expression that ended with: %s", r)
		}
	}
	if ends[abi.Present] < total/6 {
		t.Error("the expressions are of no use")
	}
}

// partOfHeader reports whether an expression needs one word of a string or slice
// in memory.
func partOfHeader(n *expr.Node) bool {
	if n == nil {
		return false
	}
	one := n.Op == expr.IsNil || n.Op == expr.Len || n.Op == expr.Cap
	return one && (n.X.Type.Kind == abi.Slice || n.X.Type.Kind == abi.String) && n.X.IsPlace() ||
		partOfHeader(n.X) || partOfHeader(n.Y) || partOfHeader(n.Hi) || partOfHeader(n.Max)
}

// TestConditions: a call is recorded if its conditions are met, else counted.
func TestConditions(t *testing.T) {
	for _, a := range []*abi.Arch{abi.AMD64, abi.ARM64, abi.I386} {
		met, filtered := 0, 0
		for seed := range 300 {
			r := newRandom(uint64(seed), a)
			c := r.exprCase(0)
			for try := 0; len(c.exprs) < 1+seed%2 && try < 1000; try++ {
				e, err := expr.Condition(c.condition(3), c.scope)
				if err == nil && e.Root.Op != expr.Const && !partOfHeader(e.Root) && !c.noAddress(e.Root) {
					c.exprs = append(c.exprs, e)
				}
			}
			f := c.fn(0, capture.Limits{})
			f.Where = nil
			var locations []abi.Location
			for _, in := range c.inputs {
				locations = append(locations, in.Location)
			}
			for _, e := range c.exprs {
				f.Where = append(f.Where, &capture.Expr{Root: e.Root, Params: locations, Descriptors: descriptors})
			}
			c.exprs = nil
			f.Plan = c.fn(0, capture.Limits{}).Plan
			o := probegen.Options{CPUs: simCPUs, Sleepable: r.one(2)}
			prog := load(t, []probegen.Func{f}, o)
			m := newMachine(1 << 20)
			w := r.world()
			for n := range 10 {
				h := w.hit(o.Sleepable)
				h.enter(m)
				var params [][]byte
				known := true
				for i, in := range c.inputs {
					image := h.image(&f, in.Type, in.Location)
					known = known && image != nil && !c.gaps[i]
					params = append(params, image)
				}
				before := losses(m, probegen.Filtered)
				if _, err := m.Run(prog); err != nil {
					t.Fatalf("seed %d: %v", seed, err)
				}
				got := len(m.Ring.Take())
				if !known {
					continue
				}
				want := 1
				for _, e := range f.Where {
					if v, why := expr.Eval(expr.Of(a, e.Root), params, evalMemory{h, f.Site}); why != expr.Present || v.Bytes[0] == 0 {
						want = 0
					}
				}
				if got != want || losses(m, probegen.Filtered)-before != byte(1-want) {
					t.Fatalf("%s, seed %d, hit %d: %d records, %d filtered, want %d\n%v", a.GOARCH, seed, n, got, losses(m, probegen.Filtered)-before, want, f.Where[0].Root)
				}
				if want == 1 {
					met++
				} else {
					filtered++
				}
			}
		}
		t.Logf("%s: %d met, %d filtered", a.GOARCH, met, filtered)
		if met < 200 || filtered < 200 {
			t.Error("too uniform")
		}
	}
}

// noAddress reports whether an expression slices or indexes an array that is not
// in memory as a whole.
func (c *exprCase) noAddress(n *expr.Node) bool {
	if n == nil {
		return false
	}
	if (n.Op == expr.Slice || n.Op == expr.Index) && n.X.Type.Kind == abi.Array {
		x := n.X
		for x.Op == expr.Field || x.Op == expr.As {
			x = x.X
		}
		if x.Op == expr.Param {
			l := c.inputs[x.N].Location
			if c.gaps[int(x.N)] || len(l) != 1 || l[0].Kind != abi.InFrame && l[0].Kind != abi.InMemory {
				return true
			}
		}
	}
	return c.noAddress(n.X) || c.noAddress(n.Y) || c.noAddress(n.Hi) || c.noAddress(n.Max)
}

package dwarfargs

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/argtap/argtap/abi"
)

// TestHiddenParameter makes up functions and describes them as the compiler
// does, some with a parameter that is not described, some with parameters
// that are assigned to each other. It compares what is believed with what the
// convention makes of the whole list.
func TestHiddenParameter(t *testing.T) {
	for _, tt := range []struct {
		name            string
		hidden, assigns bool
		dict            bool // the hidden parameter, if any, is a dictionary
		n               int
		// wrong are the agreements with which a wrong place may be believed.
		wrong []Agreement
		all   bool // all must be believed
	}{
		{name: "all described", n: 20000, all: true},
		{name: "all described, assigned", assigns: true, n: 20000, all: true},
		// With none that is hidden, and where no name tells that there is one:
		// nothing contradicts the convention if all that moves is silent; or if
		// half of a value is, and the other half is where that should be.
		{name: "one is not", hidden: true, n: 20000, wrong: []Agreement{Silent, DeadPieces}},
		{name: "perhaps a dictionary", dict: true, n: 2000},
		{name: "a dictionary", hidden: true, dict: true, n: 2000},
		{name: "perhaps a dictionary, assigned", dict: true, assigns: true, n: 2000},
		{name: "a dictionary, assigned", hidden: true, dict: true, assigns: true, n: 2000},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m := maker{Rand: rand.New(rand.NewPCG(7, uint64(len(tt.name)))), assigns: tt.assigns}
			var counts [agreementCount]int
			for range tt.n {
				f, want := m.function(t, tt.hidden, tt.dict)
				rs, err := f.AtEntry(abi.AMD64)
				if err != nil {
					t.Fatal(err)
				}
				for i, r := range rs {
					counts[r.Agreement]++
					absent := r.Agreement == Contradicted || r.Agreement == Unconfirmed
					switch {
					case absent && tt.all:
						t.Errorf("%s: %s: %s", f.Signature(), r.Param.Name, r.Agreement)
					case !absent && !slices.Equal(r.Location, want[i]) && !slices.Contains(tt.wrong, r.Agreement):
						t.Errorf("%s: %s: %s: believed %s, is %s", f.Signature(), r.Param.Name, r.Agreement,
							r.Location.Format(abi.AMD64), want[i].Format(abi.AMD64))
					}
				}
			}
			if tt.assigns && counts[Reassigned] < tt.n/100 {
				t.Errorf("%d of %d functions have parameters that are assigned to", counts[Reassigned], tt.n)
			}
			if tt.hidden && !tt.dict && counts[Contradicted] < tt.n/10 {
				t.Errorf("%d of %d functions contradict the convention", counts[Contradicted], tt.n)
			}
		})
	}
}

// maker makes up functions.
type maker struct {
	*rand.Rand
	assigns bool
}

var madeTypes = func() []*abi.Type {
	i64 := &abi.Type{Name: "int", Kind: abi.Int, Size: 8, Align: 8}
	u8 := &abi.Type{Name: "uint8", Kind: abi.Uint8, Size: 1, Align: 1}
	f64 := &abi.Type{Name: "float64", Kind: abi.Float64, Size: 8, Align: 8}
	str := &abi.Type{Name: "string", Kind: abi.String, Size: 16, Align: 8}
	list := &abi.Type{Name: "[]int", Kind: abi.Slice, Elem: i64, Size: 24, Align: 8}
	two := &abi.Type{Name: "[2]int", Kind: abi.Array, Elem: i64, Len: 2, Size: 16, Align: 8}
	big := &abi.Type{Name: "main.T", Kind: abi.Struct, Size: 32, Align: 8,
		Fields: []abi.Field{{Name: "a", Type: i64}, {Name: "b", Type: list, Offset: 8}}}
	mixed := &abi.Type{Name: "main.F", Kind: abi.Struct, Size: 24, Align: 8,
		Fields: []abi.Field{{Name: "a", Type: f64}, {Name: "b", Type: str, Offset: 8}}}
	return []*abi.Type{i64, i64, u8, f64, str, str, list, list, two, big, mixed}
}()

// function makes a function and the places that its parameters have.
func (m maker) function(t *testing.T, hide, dict bool) (f *Func, want []abi.Location) {
	f = &Func{Name: "main.f", Go: true, KnownRelease: true, RegABI: true, Optimized: true}
	if dict {
		f.Name = "main.F[go.shape.int].func1"
	}
	sig := &abi.Signature{}
	for i := range 2 + m.IntN(7) {
		sig.Params = append(sig.Params, abi.Param{Name: fmt.Sprintf("p%d", i), Type: madeTypes[m.IntN(len(madeTypes))]})
	}
	hidden := -1
	if hide {
		hidden = m.IntN(len(sig.Params))
		if dict {
			sig.Params[hidden].Type = madeTypes[0]
		}
	}
	as, err := abi.Internal(abi.AMD64, sig)
	if err != nil {
		t.Fatal(err)
	}
	// The parts that the compiler describes, by parameter and offset: of what
	// is on the stack only those that are used.
	described := make([]abi.Location, len(sig.Params))
	for i, p := range sig.Params {
		l := as.Params[i].AtEntry()
		some := l[0].Kind == abi.InFrame && m.IntN(2) == 0
		if m.IntN(8) == 0 {
			continue
		}
		for _, w := range (&Param{Type: p.Type, ptr: 8}).parts(l) {
			if !some || m.IntN(2) == 0 {
				described[i] = append(described[i], w)
			}
		}
	}
	if m.assigns {
		described = m.assign(sig, hidden, described)
	}
	for i, p := range sig.Params {
		if i == hidden {
			continue
		}
		q := Param{Name: p.Name, Type: p.Type, ptr: 8,
			ev:      evaluator{order: binary.LittleEndian, addrSize: 8, frameBase: []byte{0x9c}},
			dialect: dialect{isGo: true},
		}
		if expr := madeExpr(described[i]); p.Type.Kind == abi.Array {
			q.loc = locDesc{expr: expr} // has one home
		} else if len(expr) > 0 {
			q.loc, q.dialect.split = locExpr(expr...), true
		}
		f.Params, want = append(f.Params, q), append(want, as.Params[i].AtEntry())
	}
	return f, want
}

// assign lets the description of some parts be that of the ones assigned to
// them, all at once.
func (m maker) assign(sig *abi.Signature, hidden int, described []abi.Location) []abi.Location {
	after := make([]abi.Location, len(described))
	for i := range described {
		after[i] = slices.Clone(described[i])
	}
	for range 1 + m.IntN(4) {
		to, from := m.IntN(len(after)), m.IntN(len(after))
		if to == hidden || from == hidden || sig.Params[to].Type != sig.Params[from].Type || sig.Params[to].Type.Kind == abi.Array {
			continue
		}
		for i := range described[to] {
			for _, w := range described[from] {
				if w.Offset == described[to][i].Offset && m.IntN(4) > 0 {
					after[to][i] = w
				}
			}
		}
	}
	return after
}

// madeExpr writes an expression as the compiler does (cmd/compile/internal/ssa,
// writePendingEntry).
func madeExpr(parts abi.Location) []byte {
	const reg0, regx, fbreg, piece, cfa = 0x50, 0x90, 0x91, 0x93, 0x9c
	var b []byte
	for _, w := range parts {
		switch {
		case w.Kind == abi.InRegister && w.Reg < 32:
			b = append(b, reg0+byte(w.Reg))
		case w.Kind == abi.InRegister:
			b = append(b, regx, byte(w.Reg))
		case w.CFA == 0:
			b = append(b, cfa)
		default:
			b = append(b, fbreg, byte(w.CFA&0x7f)|0x80, byte(w.CFA>>7)) // SLEB128, below 1<<13
		}
		if len(parts) > 1 {
			b = append(b, piece, byte(w.Size))
		}
	}
	return b
}

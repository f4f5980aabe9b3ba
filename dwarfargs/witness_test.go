package dwarfargs

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sort"
	"testing"

	"github.com/argtap/argtap/abi"
	"github.com/argtap/argtap/internal/arginfo"
)

// oldMaker makes up functions as releases up to Go 1.21 describe them: without
// blank parameters, and up to 1.16 in another order than that of the source.
type oldMaker struct {
	*rand.Rand
	arch  *abi.Arch
	minor int
	regs  bool
	// assigned is the share, of ten, of parameters that are assigned another of
	// the same type, or exchanged with it.
	assigned int
}

// types returns the types of parameters on the maker's architecture.
func (m *oldMaker) types() []*abi.Type {
	ptr := m.arch.PtrSize
	small := func(name string, k abi.Kind, size int64) *abi.Type {
		return &abi.Type{Name: name, Kind: k, Size: size, Align: min(size, ptr)}
	}
	word := small("int", abi.Int, ptr)
	u8, u16 := small("uint8", abi.Uint8, 1), small("uint16", abi.Uint16, 2)
	u32, i64, f64 := small("uint32", abi.Uint32, 4), small("int64", abi.Int64, 8), small("float64", abi.Float64, 8)
	str := &abi.Type{Name: "string", Kind: abi.String, Size: 2 * ptr, Align: ptr}
	list := &abi.Type{Name: "[]int", Kind: abi.Slice, Elem: word, Size: 3 * ptr, Align: ptr}
	two := &abi.Type{Name: "[2]int", Kind: abi.Array, Elem: word, Len: 2, Size: 2 * ptr, Align: ptr}
	big := &abi.Type{Name: "main.T", Kind: abi.Struct, Size: 4 * ptr, Align: ptr,
		Fields: []abi.Field{{Name: "a", Type: u8}, {Name: "b", Type: list, Offset: ptr}}}
	none := &abi.Type{Name: "struct {}", Kind: abi.Struct, Align: 1}
	nones := &abi.Type{Name: "[0]int", Kind: abi.Array, Elem: word, Align: ptr}
	return []*abi.Type{word, word, u8, u16, u32, u32, i64, f64, str, str, list, two, big, none, nones}
}

// made is a function, its whole signature, and where the convention has it.
type made struct {
	f   *Func
	sig *abi.Signature
	as  *abi.Assignment
	w   Witness
}

// function makes a function. blanks is the share of its parameters, of ten,
// that are blank; silent that of those without a location.
func (m *oldMaker) function(t *testing.T, blanks, silent int) *made {
	sig := &abi.Signature{}
	all := m.types()
	for _, n := range m.Perm(1 + m.IntN(6)) {
		name := fmt.Sprintf("p%d", n)
		if m.IntN(10) < blanks {
			name = "_"
		}
		sig.Params = append(sig.Params, abi.Param{Name: name, Type: all[m.IntN(len(all))]})
	}
	named := m.IntN(2) == 0
	for i := range m.IntN(4) {
		name := fmt.Sprintf("~r%d", i)
		if m.minor < 18 {
			name = fmt.Sprintf("~r%d", len(sig.Params)+i)
		}
		if named {
			name = fmt.Sprintf("q%d", m.IntN(1000)*10+i)
		}
		sig.Results = append(sig.Results, abi.Param{Name: name, Type: all[m.IntN(len(all))]})
	}
	f := &Func{
		Name: "main.f", Go: true, KnownRelease: true, Optimized: true, BlanksMissing: true, RegABI: m.regs,
		arch: m.arch, inputs: -1, release: release{m.minor, true}, anyOrder: m.minor == 11,
	}
	as, err := f.convention()(m.arch, sig)
	if err != nil {
		t.Fatal(err)
	}
	type entry struct {
		p   Param
		key int64
	}
	describe := func(p abi.Param, l abi.Location) entry {
		q := Param{Name: p.Name, Type: p.Type, ptr: m.arch.PtrSize,
			ev:      evaluator{order: m.arch.ByteOrder, addrSize: int(m.arch.PtrSize), frameBase: []byte{0x9c}},
			dialect: dialect{isGo: true}}
		e := entry{p: q}
		if len(l) > 0 && l[0].Kind == abi.InFrame {
			e.key = int64(l[0].CFA - m.arch.ArgBase)
		}
		if m.IntN(10) < silent || p.Type.Size == 0 {
			return e
		}
		parts := q.parts(l)
		if len(l) > 0 && l[0].Kind == abi.InFrame && p.Type.Kind != abi.Array {
			var some abi.Location
			for _, w := range parts {
				if m.IntN(3) > 0 {
					some = append(some, w)
				}
			}
			parts = some
		}
		if p.Type.Kind == abi.Array {
			e.p.loc = locDesc{present: true, expr: madeExpr(l)}
			e.key += int64(m.arch.ArgBase)
		} else if len(parts) > 0 {
			e.p.loc, e.p.dialect.split = locExpr(madeExpr(parts)...), true
			e.key += int64(m.arch.ArgBase) + parts[0].Offset
		}
		return e
	}
	list := func(params []abi.Param, from int64, at func(int) abi.Location) (out []Param) {
		var es []entry
		for i, p := range params {
			if p.Name != "_" {
				e := describe(p, at(i))
				if p.Type.Size == 0 { // the next value's offset
					e.key = from + stackOffset(params, i)
				}
				es = append(es, e)
			}
		}
		switch {
		case m.minor == 11:
			sort.SliceStable(es, func(i, j int) bool { return es[i].p.Name < es[j].p.Name })
		case m.minor < 17:
			sort.SliceStable(es, func(i, j int) bool { return es[i].key < es[j].key })
		}
		for _, e := range es {
			out = append(out, e.p)
		}
		return out
	}
	f.Params = list(sig.Params, 0, func(i int) abi.Location { return as.Params[i].AtEntry() })
	f.Results = list(sig.Results, as.ArgSize, func(i int) abi.Location { return as.Results[i].AtReturn() })
	m.assign(f.Params)
	f.countInputs()
	w := Witness{ArgsSize: as.ArgSize + as.ResultSize + as.SpillSize}
	if m.minor >= 17 {
		if w.ArgInfo, err = arginfo.Expect(arginfo.Func{Symbol: f.Name, Minor: m.minor, Arch: m.arch, Sig: sig, As: as}); err != nil {
			t.Fatal(err)
		}
		if m.IntN(2) == 0 {
			w.Spills = spillsOf(sig, as)
		}
	}
	return &made{f, sig, as, w}
}

// assign gives parameters the locations of others: see [Reassigned].
func (m *oldMaker) assign(ps []Param) {
	for i := range ps {
		p := &ps[i]
		if m.IntN(10) >= m.assigned || !p.dialect.split {
			continue
		}
		q := &ps[m.IntN(len(ps))]
		if !q.dialect.split || q.Type != p.Type {
			continue
		}
		if m.IntN(2) == 0 {
			p.loc = q.loc
		} else {
			p.loc, q.loc = q.loc, p.loc
		}
	}
}

// stackOffset returns where value i begins on the stack.
func stackOffset(params []abi.Param, i int) int64 {
	at := int64(0)
	for _, p := range params[:i] {
		at = alignUp(at, p.Type.Align) + p.Type.Size
	}
	return alignUp(at, params[i].Type.Align)
}

// spillsOf returns what a function saves before its stack grows.
func spillsOf(sig *abi.Signature, as *abi.Assignment) (spills []arginfo.Spill) {
	for i := range sig.Params {
		slot, ok := as.SpillSlot(i)
		for _, p := range as.Params[i].AtEntry() {
			if ok {
				spills = append(spills, arginfo.Spill{Reg: p.Reg, Slot: slot + abi.CFAOffset(p.Offset), Size: int(p.Size)})
			}
		}
	}
	return spills
}

// TestConfirm makes up functions, some with blank parameters, describes them as
// the compiler does, and compares what is believed with the convention's word
// on the whole signature. It must never be another one.
func TestConfirm(t *testing.T) {
	for _, tt := range []struct {
		name           string
		arch           *abi.Arch
		minor          int
		regs           bool
		blanks, silent int
		assigned       int
		// believed is the least share of parameters that are believed, in percent.
		believed int
	}{
		{name: "1.16", arch: abi.AMD64, minor: 16, silent: 3, believed: 85},
		{name: "1.16 all silent", arch: abi.AMD64, minor: 16, silent: 10, believed: 60},
		{name: "1.16 blanks", arch: abi.AMD64, minor: 16, blanks: 3, silent: 3, believed: 70},
		{name: "1.16 arm64", arch: abi.ARM64, minor: 16, silent: 3, believed: 80},
		{name: "1.16 arm64 blanks", arch: abi.ARM64, minor: 16, blanks: 3, silent: 3, believed: 65},
		{name: "1.16 386 blanks", arch: abi.I386, minor: 16, blanks: 3, silent: 3, believed: 65},
		{name: "1.11", arch: abi.AMD64, minor: 11, silent: 1, believed: 75},
		{name: "1.11 blanks", arch: abi.AMD64, minor: 11, blanks: 3, silent: 1, believed: 65},
		{name: "1.11 386", arch: abi.I386, minor: 11, silent: 1, believed: 70},
		{name: "1.17 386 blanks", arch: abi.I386, minor: 17, blanks: 3, silent: 5, believed: 85},
		{name: "1.17 arm64 blanks", arch: abi.ARM64, minor: 17, blanks: 3, silent: 5, believed: 85},
		{name: "1.17 blanks", arch: abi.AMD64, minor: 17, regs: true, blanks: 3, silent: 5, believed: 70},
		{name: "1.21 blanks", arch: abi.AMD64, minor: 21, regs: true, blanks: 3, silent: 5, believed: 70},
		{name: "1.21 arm64 blanks", arch: abi.ARM64, minor: 21, regs: true, blanks: 3, silent: 5, believed: 70},
		{name: "1.21", arch: abi.AMD64, minor: 21, regs: true, silent: 5, believed: 95},
		{name: "1.16 assigned", arch: abi.AMD64, minor: 16, blanks: 3, silent: 1, assigned: 5, believed: 60},
		{name: "1.17 assigned", arch: abi.AMD64, minor: 17, regs: true, blanks: 3, silent: 1, assigned: 5, believed: 60},
		{name: "1.21 assigned", arch: abi.AMD64, minor: 21, regs: true, blanks: 3, silent: 1, assigned: 5, believed: 60},
		{name: "1.21 arm64 assigned", arch: abi.ARM64, minor: 21, regs: true, blanks: 3, silent: 1, assigned: 5, believed: 60},
	} {
		t.Run(tt.name, func(t *testing.T) {
			n := 1000
			if tt.assigned > 0 {
				n = 1500 // few of which are of types that could be mixed up
			}
			if testing.Short() {
				n = 200
			}
			m := oldMaker{Rand: rand.New(rand.NewPCG(11, uint64(len(tt.name)))), arch: tt.arch, minor: tt.minor, regs: tt.regs, assigned: tt.assigned}
			all, believed, without := 0, 0, 0
			for range n {
				x := m.function(t, tt.blanks, tt.silent)
				text := x.f.Signature().String()
				if rs, err := x.f.AtEntry(tt.arch); err != nil {
					t.Fatal(err)
				} else {
					_, some := x.compare(t, text, rs, true)
					without += some
				}
				// Of what the table cuts off there may be too much.
				if err := x.f.Confirm(x.w); err != nil && !(x.w.ArgInfo != nil && x.w.ArgInfo.Cut && tt.blanks > 0) {
					t.Errorf("%s: the witness of %s: %v", text, x.sig, err)
				}
				rs, err := x.f.AtEntry(tt.arch)
				if err != nil {
					t.Fatal(err)
				}
				params, some := x.compare(t, text, rs, tt.assigned > 0)
				all, believed = all+params, believed+some
				x.compareResults(t, text)
			}
			if 100*believed < all*tt.believed {
				t.Errorf("%d of %d parameters are believed, at least %d %% are expected", believed, all, tt.believed)
			}
			if tt.blanks > 0 && without >= believed {
				t.Errorf("%d parameters are believed without the witness, %d with it", without, believed)
			}
		})
	}
}

// compare counts the parameters that are believed, and fails if one of them is
// elsewhere. Added ones have no name to find them by, but must not overlap.
func (x *made) compare(t *testing.T, text string, rs []Resolved, before bool) (all, believed int) {
	t.Helper()
	for _, r := range rs {
		if r.Agreement == NoBytes || r.Param.Name == "_" {
			continue
		}
		all++
		if r.Agreement == Unconfirmed || r.Agreement == Contradicted {
			if r.Agreement == Contradicted && !before {
				t.Errorf("%s of %s: %s: contradicted", text, x.sig, r.Param.Name)
			}
			continue
		}
		believed++
		i := slices.IndexFunc(x.sig.Params, func(p abi.Param) bool { return p.Name == r.Param.Name })
		if want := x.as.Params[i].AtEntry(); !slices.Equal(r.Location, want) {
			t.Errorf("%s of %s: %s: %s: believed %s, is %s", text, x.sig, r.Param.Name, r.Agreement,
				r.Location.Format(x.f.arch), want.Format(x.f.arch))
		}
	}
	return all, believed
}

func (x *made) compareResults(t *testing.T, text string) {
	t.Helper()
	rs, err := x.f.AtReturn(x.f.arch)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range rs {
		if r.Agreement == NoBytes || r.Agreement == Unconfirmed || r.Agreement == Contradicted {
			continue
		}
		i := slices.IndexFunc(x.sig.Results, func(p abi.Param) bool { return p.Name == r.Param.Name })
		if want := x.as.Results[i].AtReturn(); !slices.Equal(r.Location, want) {
			t.Errorf("%s of %s: result %s: %s: believed %s, is %s", text, x.sig, r.Param.Name, r.Agreement,
				r.Location.Format(x.f.arch), want.Format(x.f.arch))
		}
	}
}

// TestConfirmErrors is about witnesses that do not fit, and about none.
func TestConfirmErrors(t *testing.T) {
	i64 := &abi.Type{Name: "int", Kind: abi.Int, Size: 8, Align: 8}
	function := func(minor int, params ...string) *Func {
		f := &Func{Name: "main.f", Go: true, RegABI: minor >= 17, KnownRelease: true, Optimized: true,
			BlanksMissing: minor < 22, arch: abi.AMD64, inputs: -1, release: release{minor, true}}
		for _, name := range params {
			f.Params = append(f.Params, Param{Name: name, Type: i64, ptr: 8})
		}
		return f
	}
	table := func(t *testing.T, b ...byte) *arginfo.Info {
		in, err := arginfo.Parse(append(b, 0xff))
		if err != nil {
			t.Fatal(err)
		}
		return in
	}
	for _, tt := range []struct {
		name string
		f    *Func
		w    func(t *testing.T) Witness
		ok   bool
		want string // the first parameter's place
	}{
		{"nothing is known", function(21, "a"), func(*testing.T) Witness { return Witness{ArgsSize: -1} }, false, "unconfirmed"},
		{"nothing need be known", function(22, "a"), func(*testing.T) Witness { return Witness{ArgsSize: -1} }, true, "silent"},
		{"the same", function(21, "a"), func(t *testing.T) Witness { return Witness{ArgInfo: table(t, 0, 8), ArgsSize: 8} }, true, "silent"},
		{"a blank one", function(21, "a"), func(t *testing.T) Witness {
			return Witness{ArgInfo: table(t, 0, 1, 8, 8), ArgsSize: 16}
		}, true, "silent"},
		{"less", function(21, "a", "b"), func(t *testing.T) Witness { return Witness{ArgInfo: table(t, 0, 8), ArgsSize: 8} }, false, "unconfirmed"},
		{"another size", function(21, "a"), func(t *testing.T) Witness { return Witness{ArgInfo: table(t, 0, 4), ArgsSize: 8} }, false, "unconfirmed"},
		{"another number of bytes", function(21, "a"), func(*testing.T) Witness { return Witness{ArgsSize: 24} }, false, "unconfirmed"},
		{"more than a new release has", function(22, "a"), func(t *testing.T) Witness {
			return Witness{ArgInfo: table(t, 0, 8, 8, 8), ArgsSize: 16}
		}, false, "unconfirmed"},
		{"other registers", function(22, "a"), func(t *testing.T) Witness {
			return Witness{ArgInfo: table(t, 0, 8), ArgsSize: 8, Spills: []arginfo.Spill{{Reg: abi.RBX, Slot: 0, Size: 8}}}
		}, false, "unconfirmed"},
		{"too many bytes", function(16, "a"), func(*testing.T) Witness { return Witness{ArgsSize: 1 << 40} }, false, "unconfirmed"},
		{"too few bytes", function(16, "a"), func(*testing.T) Witness { return Witness{ArgsSize: 0} }, false, "unconfirmed"},
		{"the stack's size", function(16, "a"), func(*testing.T) Witness { return Witness{ArgsSize: 8} }, true, "silent"},
		{"room before or behind", function(16, "a"), func(*testing.T) Witness { return Witness{ArgsSize: 16} }, true, "unconfirmed"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			err := tt.f.Confirm(tt.w(t))
			if (err == nil) != tt.ok || err != nil && !errors.Is(err, ErrUnconfirmed) {
				t.Errorf("got error %v", err)
			}
			rs, err := tt.f.AtEntry(abi.AMD64)
			if err != nil {
				t.Fatal(err)
			}
			for _, r := range rs {
				if r.Param.Name == "a" && r.Agreement.String() != tt.want {
					t.Errorf("got %s, want %s", r.Agreement, tt.want)
				}
			}
		})
	}
}

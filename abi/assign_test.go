package abi

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "rewrite the goldens in testdata")

// TestAssignGolden prints the assignment of each function in
// testdata/signatures.go under its declaration.
func TestAssignGolden(t *testing.T) {
	src, err := os.ReadFile(filepath.Join("testdata", "signatures.go"))
	if err != nil {
		t.Fatal(err)
	}
	for file, a := range map[string]*Arch{"signatures.golden": AMD64, "signatures.arm64.golden": ARM64, "signatures.386.golden": I386} {
		t.Run(a.GOARCH, func(t *testing.T) { compareWithGolden(t, a, string(src), filepath.Join("testdata", file)) })
	}
}

func compareWithGolden(t *testing.T, arch *Arch, src, golden string) {
	names, sigs := parseFuncs(t, arch, src)
	if len(names) == 0 {
		t.Fatal("no signatures")
	}
	var b strings.Builder
	for i, s := range sigs {
		a, err := Internal(arch, s)
		if err != nil {
			t.Fatalf("%s: %v", names[i], err)
		}
		if err := check(arch, s, a); err != nil {
			t.Errorf("%s: %v", names[i], err)
		}
		stack, err := Stack(arch, s)
		if err != nil {
			t.Fatalf("%s: %v", names[i], err)
		}
		if err := check(arch, s, stack); err != nil {
			t.Errorf("%s: ABI0: %v", names[i], err)
		}
		b.WriteString(names[i])
		b.WriteString("\n")
		b.WriteString(format(arch, s, a))
		fmt.Fprintf(&b, "\tABI0 args %d results %d\n\n", stack.ArgSize, stack.ResultSize)
	}
	if *update {
		if err := os.WriteFile(golden, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if got := b.String(); got != string(want) {
		g, w := strings.Split(got, "\n"), strings.Split(string(want), "\n")
		for i := range min(len(g), len(w)) {
			if g[i] != w[i] {
				t.Fatalf("line %d:\n got %s\nwant %s\n(go test -update rewrites the golden)", i+1, g[i], w[i])
			}
		}
		t.Fatalf("got %d lines, want %d", len(g), len(w))
	}
}

// format prints an assignment, a line for each value.
func format(a *Arch, s *Signature, as *Assignment) string {
	var b strings.Builder
	line := func(name string, l Location, slot CFAOffset, hasSlot bool) {
		fmt.Fprintf(&b, "\t%s = %s", name, l.Format(a))
		for _, p := range l {
			if p.Kind == InRegister && len(l) > 1 {
				fmt.Fprintf(&b, " @%d", p.Offset)
			}
		}
		if hasSlot {
			fmt.Fprintf(&b, ", spill %d", slot)
		}
		b.WriteByte('\n')
	}
	if s.Dict != NoDict {
		slot, ok := as.DictSpillSlot()
		line(".dict", as.Dict.AtEntry(), slot, ok)
	}
	for i, p := range s.Params {
		slot, ok := as.SpillSlot(i)
		name := p.Name
		if unnamed(name) {
			name = fmt.Sprintf("_%d", i)
		}
		line(name, as.Params[i].AtEntry(), slot, ok)
	}
	for i, r := range s.Results {
		name := r.Name
		if unnamed(name) {
			name = fmt.Sprintf("~r%d", i)
		}
		line("-> "+name, as.Results[i].AtReturn(), 0, false)
	}
	fmt.Fprintf(&b, "\targs %d results %d spill %d\n", as.ArgSize, as.ResultSize, as.SpillSize)
	return b.String()
}

// check verifies what holds for every assignment, whatever the types: each
// value wholly in registers or wholly on the stack; pieces that cover the
// leaves and nothing else; no register and no stack byte used twice; stack
// slots aligned and inside their area.
func check(a *Arch, s *Signature, as *Assignment) error {
	if len(as.Params) != len(s.Params) || len(as.Results) != len(s.Results) {
		return fmt.Errorf("%d parameters and %d results", len(as.Params), len(as.Results))
	}
	spillBase := as.ArgSize + as.ResultSize
	in := &occupancy{arch: a, regs: map[Reg]bool{}}
	out := &occupancy{arch: a, regs: map[Reg]bool{}}
	if s.Dict != NoDict {
		if err := in.value(dictType(a), as.Dict.AtEntry(), 0, as.ArgSize); err != nil {
			return fmt.Errorf("dictionary: %w", err)
		}
		if slot, ok := as.DictSpillSlot(); ok {
			if err := in.slot(int64(slot-a.ArgBase), dictType(a), spillBase, spillBase+as.SpillSize); err != nil {
				return fmt.Errorf("dictionary: spill %w", err)
			}
		}
	}
	for i, p := range s.Params {
		if err := in.value(p.Type, as.Params[i].AtEntry(), 0, as.ArgSize); err != nil {
			return fmt.Errorf("parameter %s %s: %w", p.Name, p.Type, err)
		}
		if slot, ok := as.SpillSlot(i); ok {
			if err := in.slot(int64(slot-a.ArgBase), p.Type, spillBase, spillBase+as.SpillSize); err != nil {
				return fmt.Errorf("parameter %s: spill %w", p.Name, err)
			}
		}
	}
	for i, r := range s.Results {
		if err := out.value(r.Type, as.Results[i].AtReturn(), as.ArgSize, spillBase); err != nil {
			return fmt.Errorf("result %s %s: %w", r.Name, r.Type, err)
		}
	}
	if got := as.EntryRegs(); len(got) != len(in.regs) {
		return fmt.Errorf("EntryRegs has %d registers, the arguments use %d", len(got), len(in.regs))
	}
	return nil
}

// occupancy is what the values of one direction use.
type occupancy struct {
	arch  *Arch
	regs  map[Reg]bool
	slots [][2]int64
}

func (o *occupancy) value(t *Type, l Location, lo, hi int64) error {
	if t.Size == 0 {
		if len(l) != 0 {
			return fmt.Errorf("%d pieces for no bytes", len(l))
		}
		return nil
	}
	if len(l) == 1 && l[0].Kind == InFrame {
		if l[0].Offset != 0 || l[0].Size != t.Size {
			return fmt.Errorf("bytes %d+%d of %d on the stack", l[0].Offset, l[0].Size, t.Size)
		}
		return o.slot(int64(l[0].CFA-o.arch.ArgBase), t, lo, hi)
	}
	bytes := leafBytes(t)
	for _, p := range l {
		if p.Kind != InRegister {
			return fmt.Errorf("piece kind %d among registers", p.Kind)
		}
		if o.regs[p.Reg] {
			return fmt.Errorf("register %s used twice", o.arch.RegName(p.Reg))
		}
		o.regs[p.Reg] = true
		seq := o.arch.Ints
		if bytes[p.Offset] == 'f' {
			seq = o.arch.Floats
		}
		if !slices.Contains(seq, p.Reg) {
			return fmt.Errorf("register %s for a leaf of class %c", o.arch.RegName(p.Reg), bytes[p.Offset])
		}
		for i := p.Offset; i < p.Offset+p.Size; i++ {
			if bytes[i] == 0 {
				return fmt.Errorf("byte %d is padding, or in two registers", i)
			}
			bytes[i] = 0
		}
	}
	for i, c := range bytes {
		if c != 0 {
			return fmt.Errorf("byte %d is in no register", i)
		}
	}
	return nil
}

// leafBytes marks the bytes of a type that hold a value, 'i' or 'f' by the
// class of register. It shares no code with the assignment.
func leafBytes(t *Type) []byte {
	b := make([]byte, t.Size)
	var mark func(t *Type, at int64)
	mark = func(t *Type, at int64) {
		switch t.Kind {
		case Struct:
			for _, f := range t.Fields {
				mark(f.Type, at+f.Offset)
			}
		case Array:
			for i := range t.Len {
				mark(t.Elem, at+i*t.Elem.Size)
			}
		default:
			c := byte('i')
			if t.Kind >= Float32 && t.Kind <= Complex128 {
				c = 'f'
			}
			for i := at; i < at+t.Size; i++ {
				b[i] = c
			}
		}
	}
	mark(t, 0)
	return b
}

func (o *occupancy) slot(at int64, t *Type, lo, hi int64) error {
	if at%t.Align != 0 || at < lo || at+t.Size > hi {
		return fmt.Errorf("slot %d+%d outside %d–%d or not aligned to %d", at, t.Size, lo, hi, t.Align)
	}
	for _, s := range o.slots {
		if at < s[1] && s[0] < at+t.Size {
			return fmt.Errorf("slot %d+%d overlaps %d–%d", at, t.Size, s[0], s[1])
		}
	}
	o.slots = append(o.slots, [2]int64{at, at + t.Size})
	return nil
}

func TestAssignErrors(t *testing.T) {
	i64 := &Type{Name: "int64", Kind: Int64, Size: 8, Align: 8}
	structOf := func(size int64, f ...Field) *Type {
		return &Type{Name: "main.T", Kind: Struct, Size: size, Align: 8, Fields: f}
	}
	loop := structOf(8)
	loop.Fields = []Field{{Name: "self", Type: loop}}
	wide := &Type{Name: "struct {}", Kind: Struct, Align: 1}
	for range 60 { // 2^60 paths through types of no size
		wide = &Type{Name: "main.W", Kind: Struct, Align: 1,
			Fields: []Field{{Name: "a", Type: wide}, {Name: "b", Type: wide}}}
	}
	for _, tt := range []struct {
		name string
		typ  *Type
		want string
	}{
		{"no type", nil, `assign parameter 0 "x" (<nil>): type missing`},
		{"not read", &Type{Name: "main.T", Size: 8, Align: 8}, `type main.T: layout not known (kind invalid)`},
		{"field not read", structOf(8, Field{Name: "f", Type: &Type{Name: "main.U", Size: 8, Align: 8}}),
			`(main.T): field f: type main.U: layout not known`},
		{"field without type", structOf(8, Field{Name: "f"}), `field f: type missing`},
		{"no fields", structOf(8), `type main.T: 8 bytes, but no field that fills them`},
		{"field outside", structOf(8, Field{Name: "f", Type: i64, Offset: 8}), `field f: does not fit at byte 8 of type main.T`},
		{"fields overlap", structOf(16, Field{Name: "f", Type: i64}, Field{Name: "g", Type: i64, Offset: 4}), `field g: does not fit`},
		{"negative offset", structOf(8, Field{Name: "f", Type: i64, Offset: -8}), `field f: does not fit`},
		{"negative size", &Type{Name: "T", Kind: Struct, Size: -8, Align: 8}, `impossible size`},
		{"huge", &Type{Name: "T", Kind: Struct, Size: 1 << 40, Align: 8}, `impossible size`},
		{"no alignment", &Type{Name: "T", Kind: Int64, Size: 8}, `impossible alignment`},
		{"odd alignment", &Type{Name: "T", Kind: Int64, Size: 8, Align: 3}, `impossible alignment`},
		{"wrong size", &Type{Name: "T", Kind: Int32, Size: 8, Align: 8}, `type T: 8 bytes, but kind int32 has 4`},
		{"wrong string", &Type{Name: "T", Kind: String, Size: 8, Align: 8}, `type T: 8 bytes, but kind string has 16`},
		{"array sizes", &Type{Name: "T", Kind: Array, Elem: i64, Len: 3, Size: 16, Align: 8}, `type T: 16 bytes, but 3 elements of 8 bytes`},
		{"array overflow", &Type{Name: "T", Kind: Array, Elem: i64, Len: 1 << 61, Align: 8}, `elements of 8 bytes`},
		{"array without element", &Type{Name: "T", Kind: Array, Len: 3, Size: 16, Align: 8}, `array without element type`},
		{"contains itself", loop, errTooComplex.Error()},
		{"exponential", wide, errTooComplex.Error()},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := Internal(AMD64, &Signature{Params: []Param{{"x", tt.typ}}})
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got error %v, want %q", err, tt.want)
			}
			if _, err := Internal(AMD64, &Signature{Results: []Param{{"x", tt.typ}}}); err == nil {
				t.Error("no error for the type as result")
			}
		})
	}

	if _, err := Internal(AMD64, &Signature{Dict: DictAfterReceiver}); err == nil {
		t.Error("dictionary after a receiver that is not there: no error")
	}
	big := &Type{Name: "[1<<30]byte", Kind: Array, Elem: &Type{Name: "byte", Kind: Uint8, Size: 1, Align: 1}, Len: 1 << 30, Size: 1 << 30, Align: 1}
	if _, err := Internal(AMD64, &Signature{Params: []Param{{"a", big}, {"b", big}}}); err == nil {
		t.Error("frame beyond the limit: no error")
	}
}

func TestSignatureString(t *testing.T) {
	src := `package p
type T struct{}
func f1()
func f2(int, string) error
func f3(a int, _ string) (n int, err error)
func (t *T) m(x ...int)
func (T) n() (int, bool)
func g[P any](p P) {}
type S[P any] struct{ p P }
func (s *S[P]) push(p P) {}
func (s *S[P]) pop() P {}
`
	want := []string{
		"func()",
		"func(int, string) error",
		"func(a int, _ string) (n int, err error)",
		"func (t *p.T) (x []int)",
		"func (p.T) () (int, bool)",
		"func(.dict, p P)",
		"func (s *p.S[P]) (.dict, p P)",
		"func (s *p.S[P]) (.dict) P",
	}
	_, sigs := parseFuncs(t, AMD64, src)
	for i, s := range sigs {
		if got := s.String(); got != want[i] {
			t.Errorf("got %s, want %s", got, want[i])
		}
	}
}

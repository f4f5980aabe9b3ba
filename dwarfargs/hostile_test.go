package dwarfargs

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"maps"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/go-delve/delve/pkg/dwarf/op"

	"github.com/argtap/argtap/abi"
	"github.com/argtap/argtap/symbols"
)

// sections are a binary's debug sections in memory.
type sections map[string][]byte

func (s sections) source(name string) (rawSection, bool) {
	b, ok := s[name]
	return bytesSection(name, b), ok
}

func (s sections) open(tb testing.TB) (*Data, error) {
	d, err := openData(s.source, targets["amd64"])
	if err == nil {
		tb.Cleanup(d.Close)
	}
	return d, err
}

// loadSections returns the debug sections of a fixture and some of its
// functions.
func loadSections(tb testing.TB, fl flavour) (sections, []symbols.Func) {
	tb.Helper()
	path := fixture(tb, fl)
	f, err := elf.Open(path)
	if err != nil {
		tb.Fatal(err)
	}
	defer f.Close()
	s := make(sections)
	for _, sec := range f.Sections {
		if len(sec.Name) > 7 && sec.Name[:7] == ".debug_" {
			if s[sec.Name], err = sec.Data(); err != nil {
				tb.Fatal(err)
			}
		}
	}
	sf, err := symbols.Open(path)
	if err != nil {
		tb.Fatal(err)
	}
	defer sf.Close()
	var fns []symbols.Func
	for _, name := range []string{"main.Everything", "main.Structs", "main.(*Stack[go.shape.string]).Push", "main.partly"} {
		fn, err := sf.Lookup(name)
		if err != nil {
			tb.Fatal(err)
		}
		fns = append(fns, fn)
	}
	return s, fns
}

// readAll reads what there is to read, and returns how many calls failed. A
// result is used as its users do.
func readAll(tb testing.TB, s sections, fns []symbols.Func) (failed int) {
	d, err := openData(s.source, targets["amd64"])
	if err != nil {
		return len(fns) + 2
	}
	defer d.Close()
	for _, fn := range fns {
		f, err := d.Func(fn, 1)
		if err != nil {
			failed++
			continue
		}
		_ = f.Signature().String()
		for _, ps := range [][]Param{f.Params, f.Results} {
			for i := range ps {
				if l, ok := ps[i].At(fn.Entry); ok && ps[i].Type.Kind != abi.Invalid {
					if t, isT := tb.(*testing.T); isT {
						checkLocation(t, ps[i].Type, l)
					}
				}
			}
		}
	}
	if _, err := d.Struct("runtime.g", 1); err != nil {
		failed++
	}
	if _, err := d.Inlined("main.inlined"); err != nil {
		failed++
	}
	return failed
}

// TestTruncated cuts each section at many lengths, and leaves each out.
func TestTruncated(t *testing.T) {
	for _, fl := range []flavour{flavours[3], flavours[2]} {
		whole, fns := loadSections(t, fl)
		if n := readAll(t, whole, fns); n != 0 {
			t.Fatalf("%s: %d failures before any cut", fl.name, n)
		}
		failures := 0
		for name, b := range whole {
			s := maps.Clone(whole)
			cuts := []int{}
			for i := range 24 {
				cuts = append(cuts, i, len(b)*i/24, len(b)-i-1)
			}
			for _, cut := range cuts {
				s[name] = b[:min(max(cut, 0), len(b))]
				failures += readAll(t, s, fns)
			}
			delete(s, name)
			failures += readAll(t, s, fns)
		}
		if failures < 100 {
			t.Errorf("%s: %d failures: the cuts went unnoticed", fl.name, failures)
		}
	}
}

// TestCorrupted changes bytes at random.
func TestCorrupted(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	whole, fns := loadSections(t, flavours[3])
	names := []string{".debug_info", ".debug_abbrev", ".debug_loclists", ".debug_addr"}
	for round := range 200 {
		s := maps.Clone(whole)
		name := names[round%len(names)]
		b := bytes.Clone(s[name])
		for range 1 + r.IntN(len(b)/50+1) {
			b[r.IntN(len(b))] = byte(r.Uint32())
		}
		s[name] = b
		readAll(t, s, fns)
	}
}

// TestConcurrent reads all functions from several goroutines.
func TestConcurrent(t *testing.T) {
	f, d := open(t, fixture(t, flavours[0]))
	var fns []symbols.Func
	for fn, err := range f.Funcs() {
		if err != nil {
			t.Fatal(err)
		}
		fns = append(fns, fn)
	}
	read := make([]map[string]string, 4)
	var wg sync.WaitGroup
	for i := range read {
		read[i] = make(map[string]string)
		wg.Go(func() {
			r := rand.New(rand.NewPCG(7, uint64(i)))
			for _, j := range r.Perm(len(fns)) {
				if fn, err := d.Func(fns[j], 1); err == nil {
					read[i][fns[j].Name] = fn.Signature().String() + entryLocations(fn, abi.AMD64)
				}
			}
		})
	}
	wg.Wait()
	for i := range read {
		if !maps.Equal(read[0], read[i]) || len(read[i]) < 1000 {
			t.Errorf("goroutine %d read %d functions, another %d, or different ones", i, len(read[i]), len(read[0]))
		}
	}
}

// tiny is the smallest debug information of a function with parameters: DWARF 5
// as Go writes it, function main.f at 0x1000.
func tiny() sections {
	uleb := func(b []byte, vs ...int) []byte {
		for _, v := range vs {
			b = binary.AppendUvarint(b, uint64(v))
		}
		return b
	}
	le := binary.LittleEndian
	var ab []byte
	ab = uleb(ab, 1, int(tagCompileUnit), 1, int(attrName), int(formString), int(attrLanguage), int(formData1),
		int(attrLowPC), int(formAddr), int(attrProducer), int(formString), int(attrAddrBase), int(formSecOffset), 0, 0)
	ab = uleb(ab, 2, int(tagSubprogram), 1, int(attrName), int(formString), int(attrLowPC), int(formAddrx),
		int(attrHighPC), int(formUdata), int(attrFrameBase), int(formBlock1), 0, 0)
	ab = uleb(ab, 3, int(tagFormalParameter), 0, int(attrName), int(formString), int(attrVariableParam), int(formFlag),
		int(attrType), int(formRefAddr), int(attrLocation), int(formSecOffset), 0, 0)
	ab = uleb(ab, 4, int(tagBaseType), 0, int(attrName), int(formString), int(attrByteSize), int(formData1),
		int(attrEncoding), int(formData1), int(attrGoKind), int(formData1), 0, 0)
	ab = uleb(ab, 5, int(tagStructureType), 1, int(attrName), int(formString), int(attrByteSize), int(formUdata),
		int(attrGoKind), int(formData1), 0, 0)
	ab = uleb(ab, 6, int(tagMember), 0, int(attrName), int(formString), int(attrMemberLocation), int(formUdata),
		int(attrType), int(formRefAddr), 0, 0)
	ab = uleb(ab, 7, int(tagPointerType), 0, int(attrName), int(formString), int(attrType), int(formRefAddr), 0, 0)
	ab = append(ab, 0)

	str := func(b []byte, s string) []byte { return append(append(b, s...), 0) }
	info := []byte{0, 0, 0, 0, 5, 0, utCompile, 8, 0, 0, 0, 0}
	info = str(append(info, 1), "main")
	info = le.AppendUint64(append(info, langGo), 0x1000)
	info = le.AppendUint32(str(info, "Go cmd/compile go1.26.8; regabi"), 8)
	base := len(info)
	info = str(append(info, 4), "int")
	info = append(info, 8, ateSigned, byte(abi.Int))
	st := len(info)
	info = append(str(append(info, 5), "main.T"), 16, byte(abi.Struct))
	ptr := st + 1 + 7 + 2 + 2*(1+2+1+4) + 1
	info = le.AppendUint32(append(str(append(info, 6), "A"), 0), uint32(base))
	info = le.AppendUint32(append(str(append(info, 6), "P"), 8), uint32(ptr))
	info = append(info, 0)
	info = le.AppendUint32(str(append(info, 7), "*main.T"), uint32(st))
	info = append(str(append(info, 2), "main.f"), 0, 64, 1, byte(op.DW_OP_call_frame_cfa))
	info = le.AppendUint32(le.AppendUint32(append(str(append(info, 3), "t"), 0), uint32(st)), 12)
	info = append(info, 0, 0)
	le.PutUint32(info, uint32(len(info)-4))

	loc := []byte{0, 0, 0, 0, 5, 0, 8, 0, 0, 0, 0, 0}
	loc = append(loc, lleBaseAddressx, 0, lleOffsetPair, 0, 8, 6,
		byte(op.DW_OP_reg0), byte(op.DW_OP_piece), 8, byte(op.DW_OP_reg3), byte(op.DW_OP_piece), 8, lleEndOfList)
	le.PutUint32(loc, uint32(len(loc)-4))
	addr := le.AppendUint64([]byte{12, 0, 0, 0, 5, 0, 8, 0}, 0x1000)
	return sections{".debug_abbrev": ab, ".debug_info": info, ".debug_loclists": loc, ".debug_addr": addr}
}

func TestTiny(t *testing.T) {
	d, err := tiny().open(t)
	if err != nil {
		t.Fatal(err)
	}
	f, err := d.Func(symbols.Func{Name: "main.f", Entry: 0x1000}, 1)
	if err != nil {
		t.Fatal(err)
	}
	if got := f.Signature().String() + ": " + entryLocations(f, abi.AMD64); got != "func(t main.T): RAX:8 RBX:8" {
		t.Error(got)
	}
}

// FuzzInfo reads a function and a type from arbitrary units, abbreviations and
// lists.
func FuzzInfo(f *testing.F) {
	s := tiny()
	f.Add(s[".debug_abbrev"], s[".debug_info"], s[".debug_loclists"], s[".debug_addr"])
	s = cUnit()
	f.Add(s[".debug_abbrev"], s[".debug_info"], s[".debug_loclists"], s[".debug_addr"])
	f.Fuzz(func(t *testing.T, ab, info, loc, addr []byte) {
		s := sections{".debug_abbrev": ab, ".debug_info": info, ".debug_loclists": loc, ".debug_addr": addr,
			".debug_loc": loc, ".debug_ranges": loc, ".debug_rnglists": loc, ".debug_str": info, ".debug_line": info}
		d, err := s.open(t)
		if err != nil {
			return
		}
		defer d.Close()
		for _, name := range []string{"main.f", "f"} {
			fn, err := d.Func(symbols.Func{Name: name, Entry: 0x1000, Size: 64}, 2)
			if err != nil {
				continue
			}
			_ = fn.Signature().String()
			for i := range fn.Params {
				p := &fn.Params[i]
				if p.Type == nil {
					t.Fatal("parameter without type")
				}
				if l, ok := p.At(0x1000); ok && p.Type.Size > 0 {
					checkLocation(t, p.Type, l)
				}
			}
		}
		d.Struct("main.T", 2)
		d.Inlined("main.f")
		checkHostileScopes(t, d)
		checkHostileTypes(t, d)
		if c, err := d.Closure(symbols.Func{Name: "main.f", Entry: 0x1000, Size: 64}, 2); err == nil {
			for _, v := range c.Vars {
				if v.Type == nil || v.Offset < 8 {
					t.Fatalf("captured variable %+v", v)
				}
			}
		}
		d.Closure(symbols.Func{Name: "main.T.M-fm", Entry: 0x1000}, 2)
	})
}

// FuzzLoclist reads arbitrary location lists of both formats.
func FuzzLoclist(f *testing.F) {
	f.Add(tiny()[".debug_loclists"][12:], true)
	f.Add([]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0x10, 0, 0, 0, 0, 0, 0,
		0, 0, 0, 0, 0, 0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0x50,
		0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}, false)
	f.Fuzz(func(t *testing.T, b []byte, v5 bool) {
		s := tiny()
		u := &unit{format: format{version: 4, addrSize: 8}, lowPC: 0x1000, addrBase: 8}
		v := value{form: formSecOffset}
		s[".debug_loc"] = b
		if v5 {
			u.version = 5
			s[".debug_loclists"] = b
		}
		d, err := s.open(t)
		if err != nil {
			t.Fatal(err)
		}
		defer d.Close()
		list, err := d.locList(u, v)
		if err != nil {
			return
		}
		size := 0
		for _, e := range list {
			if e.low >= e.high {
				t.Fatalf("empty entry %+v", e)
			}
			size += len(e.expr)
		}
		if size > len(b) {
			t.Fatalf("%d bytes of expressions in %d", size, len(b))
		}
	})
}

// checkHostileScopes reads what is in scope, and inlined calls.
func checkHostileScopes(t *testing.T, d *Data) {
	fn := symbols.Func{Name: "main.f", Entry: 0x1000, Size: 64}
	for _, line := range []int{0, 10} {
		s, err := d.ScopeAt(fn, 0x1004, line, 2)
		if err != nil {
			continue
		}
		for i := range s.Vars {
			if s.Vars[i].Type == nil {
				t.Fatal("variable without type")
			}
			s.Vars[i].At(0x1004)
		}
	}
	var copies []*InlinedCopy
	d.InlinedCopies(nil, func(c *InlinedCopy) bool {
		copies = append(copies, c)
		return len(copies) < 16
	})
	for _, c := range copies {
		d.CopyParams(c, 2)
	}
}

// checkHostileTypes reads all types that have descriptors.
func checkHostileTypes(t *testing.T, d *Data) {
	types, err := d.RuntimeTypes()
	if err != nil {
		return
	}
	for r, err := range types.All() {
		if err != nil {
			break
		}
		if typ, err := types.At(r.Offset, 1); err == nil && (typ == nil || r.Offset == 0) {
			t.Fatalf("type %v at %#x", typ, r.Offset)
		}
	}
	types.Named("*main.T")
}

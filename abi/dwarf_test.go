package abi

import (
	"bytes"
	"debug/dwarf"
	"debug/elf"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestDWARFOracle compiles functions without optimisation, so that the debug
// information names the place of every parameter from the first instruction
// on, and compares. It ties register sequence numbers to real register
// numbers, and covers what TestCompilerOracle cannot: receivers and
// dictionaries.
func TestDWARFOracle(t *testing.T) {
	for _, a := range []*Arch{AMD64, ARM64, I386} {
		t.Run(a.GOARCH, func(t *testing.T) { compareWithDWARF(t, a) })
	}
}

func compareWithDWARF(t *testing.T, arch *Arch) {
	sigs := randomSignatures(t, arch, 300)
	var src strings.Builder
	src.WriteString("package main\n\nimport \"unsafe\"\n\nvar _ unsafe.Pointer\nvar sink []any\n\n")
	var uses strings.Builder
	want := map[string]*Signature{}
	for i, s := range sigs {
		s.Results = nil // without optimisation they are in the callee's frame
		params := strings.TrimPrefix(s.String(), "func")
		if i%3 == 0 && len(s.Params) > 0 {
			s.Method = true
			recv := s.Params[0].Type
			// A receiver needs a type with a name, and not a pointer type.
			fmt.Fprintf(&src, "type R%d struct{ v %s }\n", i, recv.Name)
			named := &Type{Kind: Struct, Fields: []Field{{Name: "v", Type: recv}}}
			layOut(named)
			named.Name = fmt.Sprintf("R%d", i)
			s.Params[0].Type = named
			var rest strings.Builder
			writeParams(&rest, s.Params[1:])
			fmt.Fprintf(&src, "//go:noinline\nfunc (p0 R%d) m(%s) {}\n\n", i, rest.String())
			fmt.Fprintf(&uses, "\tsink = append(sink, R%d.m)\n", i)
			want[fmt.Sprintf("main.R%d.m", i)] = s
			continue
		}
		fmt.Fprintf(&src, "//go:noinline\nfunc f%d%s {}\n\n", i, params)
		fmt.Fprintf(&uses, "\tsink = append(sink, f%d)\n", i)
		want[fmt.Sprintf("main.f%d", i)] = s
	}
	word := arch.PtrSize
	i := &Type{Name: "int", Kind: Int, Size: word, Align: word}
	str := &Type{Name: "string", Kind: String, Size: 2 * word, Align: word}
	src.WriteString(`
type G[P any] struct{ a, b P }

//go:noinline
func gen[P any](p P, n int) { sink = append(sink, p) }

//go:noinline
func (g G[P]) val(p P) { sink = append(sink, p) }

//go:noinline
func (g *G[P]) ptr(p P) { sink = append(sink, p) }

//go:noinline
func (g *G[P]) none() { var p P; sink = append(sink, p) }
`)
	uses.WriteString("\tgen(\"\", 1)\n\tvar g G[string]\n\tg.val(\"\")\n\tg.ptr(\"\")\n\tg.none()\n")
	pair := &Type{Kind: Struct, Fields: []Field{{Name: "a", Type: str}, {Name: "b", Type: str}}}
	layOut(pair)
	ptr := &Type{Name: "*G", Kind: Pointer, Size: word, Align: word}
	want["main.gen[go.shape.string]"] = &Signature{Dict: DictFirst, Params: []Param{{"p", str}, {"n", i}}}
	want["main.G[go.shape.string].val"] = &Signature{Method: true, Dict: DictAfterReceiver, Params: []Param{{"g", pair}, {"p", str}}}
	want["main.(*G[go.shape.string]).ptr"] = &Signature{Method: true, Dict: DictAfterReceiver, Params: []Param{{"g", ptr}, {"p", str}}}
	want["main.(*G[go.shape.string]).none"] = &Signature{Method: true, Dict: DictAfterReceiver, Params: []Param{{"g", ptr}}}
	fmt.Fprintf(&src, "\nfunc main() {\n%s}\n", uses.String())

	d, loclists := buildDWARF(t, arch, src.String())
	checked := 0
	r := d.Reader()
	for {
		e, err := r.Next()
		if err != nil {
			t.Fatal(err)
		}
		if e == nil {
			break
		}
		name, _ := e.Val(dwarf.AttrName).(string)
		s := want[name]
		if e.Tag != dwarf.TagSubprogram || s == nil {
			continue
		}
		delete(want, name)
		a, err := Internal(arch, s)
		if err != nil {
			t.Fatalf("%s: %v", s, err)
		}
		byName := map[string]Location{".dict": a.Dict.AtEntry()}
		for i, p := range s.Params {
			byName[p.Name] = a.Params[i].AtEntry()
		}
		for {
			p, err := r.Next()
			if err != nil {
				t.Fatal(err)
			}
			if p.Tag == 0 {
				break
			}
			pname, _ := p.Val(dwarf.AttrName).(string)
			loc, ok := byName[pname]
			if p.Tag != dwarf.TagFormalParameter || !ok {
				if p.Children {
					r.SkipChildren()
				}
				continue
			}
			delete(byName, pname)
			got, err := entryLocation(arch, p.Val(dwarf.AttrLocation), loclists)
			if err != nil {
				t.Fatalf("%s: %s: %v", s, pname, err)
			}
			if len(loc) == 0 {
				continue // no bytes; the debug information names the next free stack word
			}
			if got != places(arch, loc) {
				t.Errorf("%s %s: parameter %s: assigned to %s, debug information says %s", name, s, pname, places(arch, loc), got)
			}
			checked++
		}
		if s.Dict == NoDict {
			delete(byName, ".dict")
		}
		for pname, loc := range byName {
			t.Errorf("%s %s: no debug information for parameter %s (%s)", name, s, pname, loc.Format(arch))
		}
	}
	for name := range want {
		t.Errorf("no debug information for %s", name)
	}
	t.Logf("%d parameters", checked)
	if checked < 500 {
		t.Error("too few parameters to mean anything")
	}
}

func buildDWARF(t *testing.T, a *Arch, src string) (*dwarf.Data, []byte) {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{"go.mod": "module example.com/fixture\n\ngo 1.26\n", "main.go": src} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("GOOS", "linux")
	t.Setenv("GOARCH", a.GOARCH)
	goTool(t, dir, "build", "-gcflags=-N -l", "-o", "fixture", ".")
	f, err := elf.Open(filepath.Join(dir, "fixture"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	d, err := f.DWARF()
	if err != nil {
		t.Fatal(err)
	}
	loclists, err := f.Section(".debug_loclists").Data()
	if err != nil {
		t.Fatal(err)
	}
	return d, loclists
}

// places prints a location as entryLocation does: without offsets, which the
// debug information does not give.
func places(a *Arch, l Location) string {
	var b strings.Builder
	for _, p := range l {
		if p.Kind == InFrame {
			fmt.Fprintf(&b, "cfa%+d ", p.CFA)
		} else {
			fmt.Fprintf(&b, "%s:%d ", a.RegName(p.Reg), p.Size)
		}
		if len(l) == 1 && p.Kind == InRegister {
			return a.RegName(p.Reg) // one register: the debug information has no piece
		}
	}
	return b.String()
}

// entryLocation reads as much of DWARF 5 as the Go compiler writes: a
// DW_AT_location that is an expression, or a list whose first range starts at
// the function's entry.
func entryLocation(a *Arch, v any, loclists []byte) (string, error) {
	if expr, ok := v.([]byte); ok {
		return expression(a, expr)
	}
	off, ok := v.(int64)
	if !ok {
		return "", fmt.Errorf("location of type %T", v)
	}
	r := bytes.NewReader(loclists[off:])
	for {
		kind, err := r.ReadByte()
		if err != nil {
			return "", err
		}
		switch kind {
		case 1: // DW_LLE_base_addressx
			if _, err := binary.ReadUvarint(r); err != nil {
				return "", err
			}
		case 4: // DW_LLE_offset_pair
			start, _ := binary.ReadUvarint(r)
			_, _ = binary.ReadUvarint(r)
			n, err := binary.ReadUvarint(r)
			if err != nil {
				return "", err
			}
			expr := make([]byte, n)
			if _, err := r.Read(expr); err != nil {
				return "", err
			}
			if start != 0 {
				return fmt.Sprintf("from byte %d", start), nil
			}
			return expression(a, expr)
		default:
			return "", fmt.Errorf("location list entry of kind %d", kind)
		}
	}
}

// expression prints registers and frame offsets. A register without a piece is
// the whole value.
func expression(a *Arch, expr []byte) (string, error) {
	var b strings.Builder
	r := bytes.NewReader(expr)
	reg := ""
	for {
		op, err := r.ReadByte()
		if err != nil {
			break
		}
		switch {
		case op >= 0x50 && op <= 0x6f: // DW_OP_reg0…31
			reg = a.RegName(Reg(op - 0x50))
		case op == 0x90: // DW_OP_regx
			n, _ := binary.ReadUvarint(r)
			reg = a.RegName(Reg(n))
		case op == 0x93: // DW_OP_piece
			n, _ := binary.ReadUvarint(r)
			if reg != "" { // otherwise padding
				fmt.Fprintf(&b, "%s:%d ", reg, n)
			}
			reg = ""
		case op == 0x9c: // DW_OP_call_frame_cfa
			b.WriteString("cfa+0 ")
		case op == 0x91: // DW_OP_fbreg
			fmt.Fprintf(&b, "cfa%+d ", sleb(r))
		default:
			return "", fmt.Errorf("operation %#x", op)
		}
	}
	b.WriteString(reg)
	return b.String(), nil
}

func sleb(r *bytes.Reader) int64 {
	var n int64
	for shift := uint(0); ; shift += 7 {
		c, err := r.ReadByte()
		n |= int64(c&0x7f) << shift
		if err != nil || c&0x80 == 0 {
			if c&0x40 != 0 {
				n |= -1 << (shift + 7)
			}
			return n
		}
	}
}

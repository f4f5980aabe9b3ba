package symbols

import (
	"bytes"
	"debug/elf"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"
)

// queryTable asks the function table everything and returns the errors. It
// fails the test where answers contradict each other.
func queryTable(t testing.TB, f *File) []error {
	var errs []error
	note := func(err error) {
		if err != nil {
			errs = append(errs, err)
		}
	}
	m, err := f.ModuleData()
	note(err)
	if err == nil {
		if m.Types > m.ETypes || m.TypeLinkCount < 0 {
			t.Errorf("module data %+v", m)
		}
		note(f.DataAt(m.Types, make([]byte, 16)))
	}
	for _, s := range f.Segments()[:min(len(f.Segments()), 10)] {
		note(f.DataAt(s.Addr, make([]byte, 64)))
		note(f.DataAt(s.Addr+3, make([]byte, 7)))
	}
	table, err := f.Table()
	note(err)
	if err != nil {
		return errs
	}
	_, err = table.TextStart()
	note(err)
	n := 0
	for fn, err := range table.All() {
		note(err)
		if err != nil {
			break
		}
		if n++; n > 30 {
			break
		}
		if fn.Name == "" || len(fn.Name) > maxName+len(suffixABI0) {
			t.Errorf("name %q", fn.Name)
		}
		for i := range 7 {
			_, _, err := table.FuncData(fn, i)
			note(err)
		}
		for _, pc := range []VirtAddr{fn.Entry - 1, fn.Entry, fn.Entry + VirtAddr(fn.Size/2)} {
			size, err := table.FrameSize(fn, pc)
			note(err)
			if size < 0 {
				t.Errorf("frame of %d bytes", size)
			}
		}
		for _, a := range []VirtAddr{fn.Entry, fn.Entry + VirtAddr(fn.Size/2)} {
			l, err := table.Lines(a)
			note(err)
			if err == nil && (len(l.Positions) == 0 || len(l.Positions) > maxInlineDepth+1) {
				t.Errorf("%d positions", len(l.Positions))
			}
		}
		calls, err := table.Inlined(fn)
		note(err)
		for i, c := range calls {
			if c.Parent < -1 || c.Parent >= i {
				t.Errorf("call %d: %+v", i, c)
			}
		}
		got, err := table.At(fn.Entry)
		note(err)
		if err == nil && got.Entry > fn.Entry {
			t.Errorf("At(%#x) = %+v", fn.Entry, got)
		}
		// A function of a name is found by it, unless there are very many.
		found, err := table.lookup(fn.Name)
		note(err)
		if err == nil && len(found) < maxAmbiguous && !slices.ContainsFunc(found, func(g TableFunc) bool { return g.Func == fn.Func }) {
			if base := strings.TrimSuffix(fn.Name, suffixABI0); base == fn.Name || !strings.HasSuffix(base, suffixABI0) {
				t.Errorf("lookup(%q) = %+v, want also %+v", fn.Name, found, fn)
			}
		}
	}
	return errs
}

// tablePrograms are small programs with function tables of each format.
func tablePrograms() map[string][]byte {
	files := map[string][]byte{}
	for _, r := range fakeReleases {
		for i, im := range fakeImages[:3] {
			p := r.program(im)
			p.relocated, p.unnamed = i == 0 && r.minor%2 == 0, i == 1
			files[fmt.Sprintf("1.%d-%d", r.minor, i)] = p.file(r.data(p))
		}
	}
	return files
}

// damaged are copies of such programs with faults that the readers must meet:
// the corpus of FuzzTable.
func damaged() map[string][]byte {
	files := map[string][]byte{}
	copyOf := func(r release, im image, damage func(p *fakeProgram, b []byte, table int)) []byte {
		p := r.program(im)
		b := p.file(r.data(p))
		damage(p, b, bytes.Index(b, p.table()[:8]))
		return b
	}
	amd64, x86 := fakeImages[0], fakeImages[2]
	last := fakeReleases[len(fakeReleases)-1]
	files["count"] = copyOf(last, amd64, func(p *fakeProgram, b []byte, at int) { p.put(b, uint64(at+8), 8, 1<<24) })
	files["order-of-parts"] = copyOf(last, amd64, func(p *fakeProgram, b []byte, at int) { p.put(b, uint64(at+40), 8, 1) })
	files["no-text-start"] = copyOf(fakeReleases[8], amd64, func(p *fakeProgram, b []byte, at int) { p.put(b, uint64(at+24), 8, 0) })
	files["many-tables"] = copyOf(fakeReleases[4], x86, func(p *fakeProgram, b []byte, at int) {
		// The first record's number of tables of PCs.
		i := bytes.Index(b[at:], p.words(nil, 4, fakeText, 4, 0, 4, 24))
		p.put(b, uint64(at+i+28), 4, 1<<31)
	})
	files["old-names"] = copyOf(fakeReleases[1], x86, func(p *fakeProgram, b []byte, at int) {
		// Where it starts is in the index, too.
		i := bytes.LastIndex(b[:bytes.Index(b[at:], []byte("/x/main.go"))+at+800], p.words(nil, 4, fakeText+96))
		p.put(b, uint64(i+4), 4, 1<<30)
	})
	files["truncated"] = copyOf(fakeReleases[3], x86, func(*fakeProgram, []byte, int) {})
	files["truncated"] = files["truncated"][:len(files["truncated"])/3]
	return files
}

// TestTableTruncated cuts programs at many lengths, and changes bytes of their
// tables.
func TestTableTruncated(t *testing.T) {
	known := []error{ErrTruncated, ErrNoFunc, ErrNoSymbols, ErrNoTable, ErrNoModuleData, ErrNotMapped}
	for name, data := range tablePrograms() {
		for n := 64; n < len(data); n += 97 {
			f, err := NewFile(bytes.NewReader(data[:n]))
			if err != nil {
				continue
			}
			for _, err := range queryTable(t, f) {
				var fault *FormatError
				if !errors.As(err, &fault) && !slices.ContainsFunc(known, func(k error) bool { return errors.Is(err, k) }) {
					t.Errorf("%s, %d of %d bytes: %v", name, n, len(data), err)
				}
			}
		}
		changed := []string{"1.27-0", "1.11-2", "1.16-0", "1.18-1"}
		if testing.Short() {
			changed = changed[:1]
		}
		if !slices.Contains(changed, name) {
			continue
		}
		for i := len(data) / 8; i < len(data); i += 3 {
			old := data[i]
			for _, v := range []byte{0xff, old ^ 1} {
				data[i] = v
				if f, err := NewFile(bytes.NewReader(data)); err == nil {
					queryTable(t, f)
				}
			}
			data[i] = old
		}
	}
}

// TestTableHostile: what a table claims must neither be allocated nor believed.
func TestTableHostile(t *testing.T) {
	r := fakeReleases[len(fakeReleases)-1]
	amd64 := fakeImages[0]
	text := func(p *fakeProgram) []byte { return p.file(r.data(p)) }
	tests := []struct {
		name string
		make func() []byte
		says string
	}{
		{"number of functions", func() []byte { return damaged()["count"] }, "16777216 functions do not fit"},
		{"order of parts", func() []byte { return damaged()["order-of-parts"] }, "parts are not in order"},
		{"number of tables of PCs", func() []byte { return damaged()["many-tables"] }, "are too many"},
		{"name outside the table", func() []byte { return damaged()["old-names"] }, "name ends outside the section"},
		{"functions not in order", func() []byte {
			p := r.program(amd64)
			p.funcs[3], p.funcs[4] = p.funcs[4], p.funcs[3]
			return text(p)
		}, "starts behind the next one"},
		{"size of a function", func() []byte {
			p := r.program(amd64)
			b := text(p)
			// The table of PCs of main.main: its size, then the end.
			i := bytes.Index(b, pcTableOf(pcStep{0, 9}, pcStep{200, 7}))
			b[i+1] = 100
			return b
		}, "but the next one starts after 16"},
		{"no end of a table of PCs", func() []byte {
			p := r.program(amd64)
			b := text(p)
			at := bytes.Index(b, p.table()[:16])
			i := bytes.Index(b[at:], pcTableOf(pcStep{0, 21}, pcStep{200, 19}))
			for j := range 8 {
				b[at+i+j] |= 0x80
			}
			return b
		}, "does not end"},
		{"inlined call in a later one", func() []byte {
			p := r.program(amd64)
			data := r.data(p)
			p.put(data, 0x20+8, 4, 9) // where the second call's body is
			return p.file(data)
		}, "malformed tree"},
		{"module data of another table", func() []byte {
			p := r.program(amd64)
			p.funcs[0].at = 4
			b := text(p)
			i := bytes.Index(b, p.words(nil, 8, fakeText+4, 8, fakeText+256))
			p.put(b, uint64(i), 8, fakeText+8)
			return b
		}, "no module data"},
		{"unknown release", func() []byte {
			p := r.program(amd64)
			p.version = "go1.99"
			return text(p)
		}, "its layout in go1.99 is not known"},
		{"no release", func() []byte {
			p := r.program(amd64)
			p.version = "devel +123"
			return text(p)
		}, `"devel +123" is no release of Go`},
		{"no version", func() []byte {
			p := r.program(amd64)
			p.version = ""
			return text(p)
		}, "does not say which release"},
		{"types outside the file", func() []byte {
			p := r.program(amd64)
			b := text(p)
			i := bytes.Index(b, p.words(nil, 8, fakeData, 8, 0x40, 8, fakeData+0x100))
			p.put(b, uint64(i+16), 8, 1<<40)
			return b
		}, "malformed module data"},
		{"relocations outside the file", func() []byte {
			p := fakeReleases[5].program(amd64)
			p.relocated = true
			b := p.file(fakeReleases[5].data(p))
			i := bytes.Index(b, p.words(nil, 8, uint64(elf.DT_RELA), 8, fakeRela))
			p.put(b, uint64(i+24), 8, 1<<40)
			return b
		}, "malformed dynamic section"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			data := tt.make()
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			f, err := NewFile(bytes.NewReader(data))
			if err != nil {
				t.Fatal(err)
			}
			errs := queryTable(t, f)
			runtime.ReadMemStats(&after)
			if n := after.TotalAlloc - before.TotalAlloc; n > 48<<20 {
				t.Errorf("allocated %d bytes for a file of %d", n, len(data))
			}
			if text := fmt.Sprint(errs); !strings.Contains(text, tt.says) {
				t.Errorf("%q is not in %s", tt.says, text)
			}
		})
	}
}

// TestUnsortedRelocations: they may be in any order.
func TestUnsortedRelocations(t *testing.T) {
	r := fakeReleases[5]
	p := r.program(fakeImages[0])
	p.relocated = true
	data := p.file(r.data(p))
	f, err := NewFile(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	table, err := f.Table()
	if err != nil {
		t.Fatal(err)
	}
	want := allFuncs(t, table)
	// Reverse them.
	s := f.header(".rela.dyn")
	rela := data[s.stored.off:][:s.stored.size]
	for i, j := 0, len(rela)-24; i < j; i, j = i+24, j-24 {
		for k := range 24 {
			rela[i+k], rela[j+k] = rela[j+k], rela[i+k]
		}
	}
	if f, err = NewFile(bytes.NewReader(data)); err != nil {
		t.Fatal(err)
	}
	if table, err = f.Table(); err != nil {
		t.Fatal(err)
	}
	if got := allFuncs(t, table); !slices.Equal(got, want) {
		t.Errorf("%+v, want %+v", got, want)
	}
	m, err := f.ModuleData()
	if err != nil || m.Addr != fakeModule {
		t.Errorf("ModuleData() = %+v, %v", m, err)
	}
	// Every part of a relocated word is that of the whole.
	var whole [8]byte
	if err := f.DataAt(fakeModule, whole[:]); err != nil || f.u64(whole[:]) != fakeTable {
		t.Fatalf("DataAt = % x, %v", whole, err)
	}
	for i := range 8 {
		for n := 1; i+n <= 8; n++ {
			part := make([]byte, n)
			if err := f.DataAt(fakeModule+VirtAddr(i), part); err != nil || !bytes.Equal(part, whole[i:i+n]) {
				t.Errorf("%d bytes at %d: % x, %v; want % x", n, i, part, err, whole[i:i+n])
			}
		}
	}
}

// TestVeryMany: many functions, and relocations in many blocks.
func TestVeryMany(t *testing.T) {
	r := fakeReleases[5]
	p := r.program(fakeImages[0])
	p.relocated = true
	p.funcs = nil
	for i := range uint64(200) {
		p.funcs = append(p.funcs, fake{name: fmt.Sprintf("main.f%d", i), at: i, size: 1, file: "/x/x.go"})
	}
	f, err := NewFile(bytes.NewReader(p.file(make([]byte, 0x100))))
	if err != nil {
		t.Fatal(err)
	}
	table, err := f.Table()
	if err != nil {
		t.Fatal(err)
	}
	if rel, err := f.relocs(); err != nil || rel.all == nil && len(rel.firsts) < 1 {
		t.Errorf("relocations %+v, %v", rel, err)
	}
	for i, fn := range allFuncs(t, table) {
		want := Func{fmt.Sprintf("main.f%d", i), fakeText + VirtAddr(i), 1}
		if fn.Func != want {
			t.Errorf("%+v, want %+v", fn.Func, want)
		}
	}
}

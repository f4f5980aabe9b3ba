package dwarfargs

import (
	"debug/dwarf"
	"debug/elf"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/argtap/argtap/symbols"
)

// TestLines compares the rows of the fixture's file with those that debug/dwarf reads.
func TestLines(t *testing.T) {
	for _, fl := range flavours {
		t.Run(fl.name, func(t *testing.T) {
			path := fixture(t, fl)
			_, d := open(t, path)
			files, err := d.SourceFiles("fixture/main.go")
			if err != nil || len(files) != 1 {
				t.Fatalf("files %q: %v", files, err)
			}
			got, err := d.Lines(files[0])
			if err != nil {
				t.Fatal(err)
			}
			want := stdLines(t, path, files[0])
			if len(got) != len(want) || len(want) < 100 {
				t.Fatalf("%d rows, want %d", len(got), len(want))
			}
			for i, g := range got {
				if w := want[i]; g != w {
					t.Fatalf("row %d: %+v, want %+v", i, g, w)
				}
			}
			if all, err := d.SourceFiles("main.g"); err != nil || len(all) != 0 {
				t.Errorf("main.g: %q, %v", all, err)
			}
		})
	}
}

// stdLines returns the rows of the units that name a file.
func stdLines(t *testing.T, path, file string) (rows []LineRow) {
	f, err := elf.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	d, err := f.DWARF()
	if err != nil {
		t.Fatal(err)
	}
	r := d.Reader()
	for {
		cu, err := r.Next()
		if err != nil {
			t.Fatal(err)
		}
		if cu == nil {
			return rows
		}
		r.SkipChildren()
		lr, err := d.LineReader(cu)
		if err != nil || lr == nil {
			continue
		}
		named := slices.ContainsFunc(lr.Files(), func(lf *dwarf.LineFile) bool { return lf != nil && lf.Name == file })
		for named {
			var e dwarf.LineEntry
			if err := lr.Next(&e); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				t.Fatal(err)
			}
			row := LineRow{PC: symbols.VirtAddr(e.Address), Line: e.Line, Stmt: e.IsStmt, End: e.EndSequence}
			if e.File != nil {
				row.File = e.File.Name
			}
			rows = append(rows, row)
		}
	}
}

// TestInlinedCopies compares inlined calls with what the runtime's tables say of them.
func TestInlinedCopies(t *testing.T) {
	f, d := open(t, fixture(t, flavours[0]))
	table, err := f.Table()
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	var copies []*InlinedCopy
	err = d.InlinedCopies(nil, func(c *InlinedCopy) bool {
		if n++; n%7 == 0 {
			copies = append(copies, c)
		}
		return true
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range copies {
		host, err := table.At(c.Entry)
		if err != nil || host.Name != c.Host {
			t.Fatalf("%s in %s: %s, %v", c.Name, c.Host, host.Name, err)
		}
		calls, err := table.Inlined(host)
		if err != nil {
			t.Fatal(err)
		}
		if !slices.ContainsFunc(calls, func(k symbols.InlinedCall) bool {
			return k.Name == c.Name && slices.ContainsFunc(k.Ranges, func(r symbols.Range) bool { return c.Contains(r.Low) })
		}) {
			t.Errorf("%s in %s: not in the runtime's table: %v", c.Name, c.Host, calls)
		}
		if c.File == "" || c.Line == 0 || c.Caller == "" {
			t.Errorf("%+v", c)
		}
		at, err := d.InlinedAt(host.Func, c.Ranges[0].Low)
		if err != nil || len(at) <= c.Depth || !at[c.Depth].Same(&c.InlinedCall) {
			t.Errorf("%s in %s: at its begin is %v: %v", c.Name, c.Host, at, err)
		}
		ps, _, err := d.CopyParams(c, 1)
		if err != nil || strings.Contains(c.Name, ".(*") && len(ps) == 0 {
			t.Errorf("parameters of %s: %v, %v", c.Name, ps, err)
		}
	}
	if len(copies) < 100 {
		t.Errorf("only %d inlined calls", len(copies))
	}
}

// FuzzLine reads arbitrary line tables.
func FuzzLine(f *testing.F) {
	f.Add([]byte("\x40\x00\x00\x00\x04\x00\x20\x00\x00\x00\x01\x01\x01\xfc\x0a\x0b\x00\x01\x01\x01\x01\x00\x00\x00\x01\x00" +
		"\x00a.go\x00\x00\x00\x00\x00" + "\x00\x09\x02\x00\x10\x00\x00\x00\x00\x00\x00\x14\x4b\x02\x04\x00\x01\x01"))
	f.Add([]byte("\x30\x00\x00\x00\x05\x00\x08\x00\x22\x00\x00\x00\x01\x01\x01\xfc\x0a\x0b\x00\x01\x01\x01\x01\x00\x00\x00\x01\x00" +
		"\x01\x01\x08\x01/\x00\x02\x01\x08\x02\x0b\x01a.go\x00\x00\x14\x4b\x00\x01\x01"))
	f.Fuzz(func(t *testing.T, b []byte) {
		s := tiny()
		s[".debug_line"] = b
		d, err := s.open(t)
		if err != nil {
			t.Fatal(err)
		}
		defer d.Close()
		for _, off := range []int{0, len(b) / 2} {
			u := &unit{format: format{version: 4, addrSize: 8}, stmtList: off}
			h, err := d.lineHeader(u)
			if h == nil || err != nil {
				continue
			}
			rows := 0
			h.run(8, func(r LineRow) error {
				if rows++; rows > len(b) || r.Line < 0 {
					t.Fatalf("row %d of %d bytes: %+v", rows, len(b), r)
				}
				return nil
			})
		}
	})
}

package dwarfargs

import (
	"errors"
	"fmt"
	"math"
	"path"
	"slices"
	"strings"

	"github.com/argtap/argtap/symbols"
)

// maxLineRows bounds the rows of one unit's line table. The largest package of
// Go's own commands has some hundred thousand.
const maxLineRows = 1 << 23

// LineRow is a row of a line table: it holds from its address up to that of the
// next one.
type LineRow struct {
	PC   symbols.VirtAddr
	File string // path, as the compiler was told it
	Line int
	// Stmt says that the address is a good one for a breakpoint: a statement
	// begins there (is_stmt).
	Stmt bool
	// End says that there is no code of the sequence from here on.
	End bool
}

// lineTable is the header of a unit's line program, and where that begins.
type lineTable struct {
	c          cursor // at the first opcode, ends with the program
	minLength  int
	maxOps     int
	defaultIs  bool
	lineBase   int
	lineRange  int
	opcodeBase int
	lengths    []uint8 // operands of the standard opcodes, from 1
	files      []string
	firstFile  int // the number of files[0]
}

// SourceFiles returns the paths of the source files in the line tables that are
// suffix, or end in it behind a slash, each once and sorted.
func (d *Data) SourceFiles(suffix string) ([]string, error) {
	defer d.hurry()()
	d.mu.Lock()
	defer d.mu.Unlock()
	var found []string
	_, err := d.eachUnit(func(u *unit) (bool, error) {
		t, err := d.lineHeader(u)
		if t == nil || err != nil {
			return false, err
		}
		for _, f := range t.files {
			if matchesPath(f, suffix) {
				found = append(found, f)
			}
		}
		return false, nil
	})
	if len(found) > 0 {
		err = nil // of units that are of no use here
	}
	slices.Sort(found)
	return slices.Compact(found), err
}

func matchesPath(file, suffix string) bool {
	rest, ok := strings.CutSuffix(file, suffix)
	return ok && suffix != "" && (rest == "" || strings.HasSuffix(rest, "/") || strings.HasPrefix(suffix, "/"))
}

// Lines returns the rows of the line tables of all units that name a file: those
// of other files among them, in the order of the tables, which is that of the
// addresses within each sequence.
func (d *Data) Lines(file string) ([]LineRow, error) {
	defer d.hurry()()
	d.mu.Lock()
	defer d.mu.Unlock()
	var rows []LineRow
	_, err := d.eachUnit(func(u *unit) (bool, error) {
		t, err := d.lineHeader(u)
		if t == nil || err != nil || !slices.Contains(t.files, file) {
			return false, err
		}
		err = t.run(u.addrSize, func(r LineRow) error {
			if len(rows) == maxLineRows {
				return errTooBig
			}
			rows = append(rows, r)
			return nil
		})
		return false, err
	})
	if len(rows) > 0 {
		err = nil
	}
	return rows, err
}

// lineHeader reads the header of the unit's line program, nil if it has none.
// DWARF 5 §6.2.4, DWARF 4 §6.2.4.
func (d *Data) lineHeader(u *unit) (*lineTable, error) {
	if u.stmtList < 0 {
		return nil, nil
	}
	s, err := d.section(".debug_line")
	if errors.Is(err, errNoSection) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	c := d.cursor(s, u.stmtList, math.MaxInt)
	length, dwarf64 := uint64(c.u32()), false
	if length == math.MaxUint32 {
		length, dwarf64 = c.u64(), true
	}
	c.end = c.off + c.length(length)
	version := int(c.u16())
	if c.err == nil && (version < 2 || version > 5) {
		return nil, decodeErr(".debug_line", u.stmtList, fmt.Errorf("version %d: not known", version))
	}
	f := format{version: version, addrSize: u.addrSize, dwarf64: dwarf64}
	if version >= 5 {
		f.addrSize = int(c.u8())
		c.skip(1) // segment selector size
	}
	headerLength := c.offset(dwarf64)
	program := c.off + headerLength
	t := &lineTable{maxOps: 1}
	t.minLength = int(c.u8())
	if version >= 4 {
		t.maxOps = int(c.u8())
	}
	t.defaultIs = c.u8() != 0
	t.lineBase = int(int8(c.u8()))
	t.lineRange = int(c.u8())
	t.opcodeBase = int(c.u8())
	for i := 1; i < t.opcodeBase && c.err == nil; i++ {
		t.lengths = append(t.lengths, c.u8())
	}
	if c.err != nil {
		return nil, c.err
	}
	switch {
	case t.lineRange == 0:
		return nil, decodeErr(".debug_line", u.stmtList, errors.New("line range of 0"))
	case t.maxOps > 1:
		return nil, decodeErr(".debug_line", u.stmtList, errors.New("several operations in one instruction"))
	}
	if version >= 5 {
		err = d.lineFilesV5(u, &c, f, t)
	} else {
		err = lineFiles(&c, t)
	}
	if err != nil {
		return nil, err
	}
	if program < c.off || program > c.end {
		return nil, decodeErr(".debug_line", u.stmtList, errBadRef)
	}
	t.c = d.cursor(s, program, c.end)
	return t, nil
}

// lineFiles reads the tables of directories and files up to DWARF 4.
func lineFiles(c *cursor, t *lineTable) error {
	dirs := []string{""} // 0 is the directory of the compilation
	for c.more() {
		dir := c.cstring()
		if len(dir) == 0 || len(dirs) > maxLineFiles {
			break
		}
		dirs = append(dirs, string(dir))
	}
	t.firstFile = 1
	for c.more() {
		name := c.cstring()
		if len(name) == 0 || c.err != nil {
			break
		}
		if len(t.files) == maxLineFiles {
			c.fail(errTooBig)
			break
		}
		dir := c.uleb()
		c.skipLEB()
		c.skipLEB()
		t.files = append(t.files, joinPath(dirs, dir, string(name)))
	}
	return c.err
}

// joinPath puts a file into its directory, unless its path is absolute.
func joinPath(dirs []string, dir uint64, name string) string {
	if dir >= uint64(len(dirs)) || dirs[dir] == "" || strings.HasPrefix(name, "/") {
		return name
	}
	return path.Join(dirs[dir], name)
}

// lineFilesV5 reads the self-describing tables of DWARF 5, directories first.
func (d *Data) lineFilesV5(u *unit, c *cursor, f format, t *lineTable) error {
	const lnctPath, lnctDirectory = 1, 2
	var dirs []string
	for table := range 2 {
		specs := make([]attrSpec, c.u8())
		for i := range specs {
			specs[i] = attrSpec{name: attrID(c.uleb()), form: form(c.uleb())}
		}
		count := c.uleb()
		if c.err == nil && (count > maxLineFiles || count > 0 && len(specs) == 0) {
			c.fail(errTooBig)
		}
		for i := uint64(0); i < count && c.err == nil; i++ {
			name, dir := "", uint64(0)
			for _, spec := range specs {
				v := c.readValue(spec, f)
				if c.err != nil {
					break
				}
				switch spec.name {
				case lnctPath:
					e := die{off: u.die, attrs: []attr{{attrName, v}}}
					var err error
					if name, err = d.str(u, &e, attrName); err != nil {
						return err
					}
				case lnctDirectory:
					dir = v.u
				}
			}
			if table == 0 {
				dirs = append(dirs, name)
			} else {
				t.files = append(t.files, joinPath(dirs, dir, name))
			}
		}
	}
	return c.err
}

// Standard and extended opcodes: DWARF 5 §7.22.
const (
	lnsCopy             = 1
	lnsAdvancePC        = 2
	lnsAdvanceLine      = 3
	lnsSetFile          = 4
	lnsSetColumn        = 5
	lnsNegateStmt       = 6
	lnsBasicBlock       = 7
	lnsConstAddPC       = 8
	lnsFixedAdvancePC   = 9
	lnsPrologueEnd      = 10
	lnsEpilogueBegin    = 11
	lnsSetISA           = 12
	lneEndSequence      = 1
	lneSetAddress       = 2
	lneSetDiscriminator = 4
)

// run carries out the line program and calls emit with each row.
func (t *lineTable) run(addrSize int, emit func(LineRow) error) error {
	c := t.c
	var (
		pc   uint64
		file = uint64(1)
		line int64
		stmt bool
	)
	reset := func() { pc, file, line, stmt = 0, 1, 1, t.defaultIs }
	reset()
	row := func(end bool) {
		r := LineRow{PC: symbols.VirtAddr(pc), Stmt: stmt, End: end}
		if line > 0 && line < 1<<31 {
			r.Line = int(line)
		}
		if i := file - uint64(t.firstFile); i < uint64(len(t.files)) {
			r.File = t.files[i]
		}
		if err := emit(r); err != nil && c.err == nil {
			c.fail(err)
		}
	}
	advance := func(ops uint64) { pc += ops * uint64(t.minLength) }
	for c.more() {
		op := int(c.u8())
		switch {
		case op >= t.opcodeBase: // special
			adjusted := op - t.opcodeBase
			advance(uint64(adjusted / t.lineRange))
			line += int64(t.lineBase + adjusted%t.lineRange)
			row(false)
		case op == 0:
			n := c.length(c.uleb())
			if n == 0 {
				continue
			}
			next := c.off + n
			switch c.u8() {
			case lneEndSequence:
				row(true)
				reset()
			case lneSetAddress:
				if n-1 > 8 {
					c.fail(errTooBig)
					break
				}
				pc = c.uint(n - 1)
			}
			if c.err == nil && next >= c.off {
				c.skip(next - c.off)
			}
		case op == lnsCopy:
			row(false)
		case op == lnsAdvancePC:
			advance(c.uleb())
		case op == lnsAdvanceLine:
			line += c.sleb()
		case op == lnsSetFile:
			file = c.uleb()
		case op == lnsSetColumn, op == lnsSetISA:
			c.skipLEB()
		case op == lnsNegateStmt:
			stmt = !stmt
		case op == lnsBasicBlock, op == lnsPrologueEnd, op == lnsEpilogueBegin:
		case op == lnsConstAddPC:
			advance(uint64((255 - t.opcodeBase) / t.lineRange))
		case op == lnsFixedAdvancePC:
			pc += uint64(c.u16())
		default:
			for range t.lengths[op-1] {
				c.skipLEB()
			}
		}
	}
	return c.err
}

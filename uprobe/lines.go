package uprobe

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/argtap/argtap/symbols"
)

// ErrNoLine: no source file of the binary has that name, or no code belongs to the
// line. The error says which lines near it have code.
var ErrNoLine = errors.New("no such line in the binary")

// maxLineSites bounds the places of one line, and maxNear the files that an error
// lists.
const (
	maxLineSites = 1 << 10
	maxNear      = 12
)

// parseLine takes apart "file.go:123".
func parseLine(s string) (file string, line int, ok bool) {
	i := strings.LastIndexByte(s, ':')
	if i < 0 || !strings.HasSuffix(s[:i], ".go") {
		return "", 0, false
	}
	n, err := strconv.ParseUint(s[i+1:], 10, 31)
	return s[:i], int(n), err == nil && n > 0
}

// IsLine reports whether a name is that of a line, as [Trace] takes it: a path that
// ends in ".go", a colon and a number.
func IsLine(name string) bool {
	_, _, ok := parseLine(name)
	return ok
}

// lineSpots finds the places of a line.
func (b *executable) lineSpots(suffix string, line int, o *options) ([]spot, error) {
	if o.results && !o.inspect {
		return nil, errors.New("a line has no results: trace it without WithResults (-results)")
	}
	if b.dwarf == nil {
		return nil, fmt.Errorf("%w: only that knows of lines: %w", ErrNoDebugInfo, b.noDwarf)
	}
	file, err := b.sourceFile(suffix)
	if err != nil {
		return nil, err
	}
	all, err := b.dwarf.Lines(file)
	if err != nil {
		return nil, err
	}
	rows := newLineRows(all)
	var found []lineRow
	for _, r := range rows {
		if r.File == file && r.Line == line {
			found = append(found, r)
		}
	}
	if len(found) == 0 {
		return nil, noCode(rows, file, line)
	}
	spots, refused, err := b.spotsOf(found, rows, file, line, o)
	if err != nil {
		return nil, err
	}
	if len(spots) == 0 && refused != nil {
		return nil, refused
	}
	if len(spots) == 0 {
		return nil, noCode(rows, file, line)
	}
	return spots, nil
}

// spotsOf makes places of the rows of a line: of those that begin a statement, else,
// in code that is not optimised, of all. refused is an error of a function that has
// such a row.
func (b *executable) spotsOf(found []lineRow, rows lineRows, file string, line int, o *options) (spots []spot, refused, err error) {
	hosts := map[symbols.VirtAddr]*lineHost{}
	for _, anyRow := range []bool{false, true} {
		for _, r := range found {
			s, err := b.file.At(r.PC)
			if err != nil {
				refused = err
				continue
			}
			h := hosts[s.Entry]
			if h == nil {
				h = &lineHost{b: b, rows: rows.in(s), file: file, line: line, o: o}
				h.err = h.open(s)
				hosts[s.Entry] = h
				if h.err != nil {
					refused = &FuncError{s.Name, h.err}
				}
			}
			if h.err != nil || anyRow && (h.found || h.optimized) {
				continue
			}
			h.anyRow = anyRow
			sp, ok, err := h.spot(r)
			if err != nil {
				refused = &FuncError{s.Name, err}
				continue
			}
			if ok {
				h.found = h.found || !anyRow
				spots = append(spots, sp)
			}
			if len(spots) > maxLineSites {
				return nil, nil, fmt.Errorf("%s:%d is in more than %d places of the code", file, line, maxLineSites)
			}
		}
	}
	return spots, refused, nil
}

// sourceFile returns the one source file whose path ends in suffix.
func (b *executable) sourceFile(suffix string) (string, error) {
	files, err := b.dwarf.SourceFiles(suffix)
	switch {
	case err != nil:
		return "", err
	case len(files) == 0:
		return "", fmt.Errorf("%w: no source file %s; files are named by the end of their path, as \"main.go\" or \"http/server.go\"", ErrNoLine, suffix)
	case len(files) == 1 || slices.Contains(files, suffix):
		if slices.Contains(files, suffix) {
			return suffix, nil
		}
		return files[0], nil
	}
	more := ""
	if n := len(files); n > maxNear {
		more = fmt.Sprintf(" and %d more", n-maxNear)
		files = files[:maxNear]
	}
	return "", fmt.Errorf("%s is the name of several source files: say more of the path: %s%s", suffix, strings.Join(files, ", "), more)
}

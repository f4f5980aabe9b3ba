package uprobe

import (
	"fmt"
	"slices"
	"sort"

	"github.com/argtap/argtap/dwarfargs"
	"github.com/argtap/argtap/symbols"
)

// lineRow is a row of a line table and where it ends.
type lineRow struct {
	dwarfargs.LineRow
	end symbols.VirtAddr
}

// lineRows are rows by ascending address, each with code.
type lineRows []lineRow

func newLineRows(all []dwarfargs.LineRow) lineRows {
	var rows lineRows
	for i := 0; i+1 < len(all); i++ {
		if r := all[i]; !r.End && all[i+1].PC > r.PC {
			rows = append(rows, lineRow{r, all[i+1].PC})
		}
	}
	slices.SortStableFunc(rows, func(a, b lineRow) int {
		if a.PC < b.PC {
			return -1
		} else if a.PC > b.PC {
			return 1
		}
		return 0
	})
	return rows
}

// in returns the rows of a function.
func (rs lineRows) in(s symbols.Func) lineRows {
	from := sort.Search(len(rs), func(i int) bool { return rs[i].end > s.Entry })
	to := sort.Search(len(rs), func(i int) bool { return rs[i].PC >= s.End() })
	return rs[from:max(from, to)]
}

// at returns the row of an instruction.
func (rs lineRows) at(pc symbols.VirtAddr) (lineRow, bool) {
	i := sort.Search(len(rs), func(i int) bool { return rs[i].end > pc })
	if i < len(rs) && rs[i].PC <= pc {
		return rs[i], true
	}
	return lineRow{}, false
}

// noCode is the error of a line without code.
func noCode(rows lineRows, file string, line int) error {
	below, above := 0, 0
	for _, r := range rows {
		switch {
		case r.File != file || !r.Stmt || r.Line == 0:
		case r.Line < line:
			below = max(below, r.Line)
		case r.Line > line && (above == 0 || r.Line < above):
			above = r.Line
		}
	}
	near := "no line of the file has any"
	switch {
	case below > 0 && above > 0:
		near = fmt.Sprintf("the nearest that have are %d and %d", below, above)
	case below+above > 0:
		near = fmt.Sprintf("the nearest that has is %d", below+above)
	}
	return fmt.Errorf("%w: %s:%d: no statement begins there in the code of the binary; %s", ErrNoLine, file, line, near)
}

package matrix

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"slices"
	"strings"
)

// Compared is how many calls of a fixture program were compared on a kernel with
// what the program says of them, when none was wrong: a line of docs/kernels.jsonl,
// which the tests of package vm write. Program is one of those that package e2e names.
type Compared struct {
	Kernel  string `json:"kernel"` // the first two numbers of its release, as "6.1"
	Arch    string `json:"arch"`
	Release string `json:"release"` // of Go
	Program string `json:"program"`
	Calls   int    `json:"calls"`
}

func (c Compared) compare(o Compared) int {
	return cmp.Or(
		compareNumbers(c.Kernel, o.Kernel),
		cmp.Compare(slices.Index(Archs, c.Arch), slices.Index(Archs, o.Arch)),
		compareNumbers(c.Release, o.Release),
		cmp.Compare(c.Program, o.Program),
	)
}

// ReadCompared reads a file of such lines. One that does not exist is empty.
func ReadCompared(name string) ([]Compared, error) {
	text, err := os.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var list []Compared
	in := bufio.NewScanner(bytes.NewReader(text))
	for n := 1; in.Scan(); n++ {
		var c Compared
		if err := json.Unmarshal(in.Bytes(), &c); err != nil {
			return nil, fmt.Errorf("%s: line %d: %w", name, n, err)
		}
		list = append(list, c)
	}
	return list, in.Err()
}

// WriteCompared writes lines.
func WriteCompared(w io.Writer, list []Compared) error {
	e := json.NewEncoder(w)
	for _, c := range list {
		if err := e.Encode(c); err != nil {
			return err
		}
	}
	return nil
}

// RecordCompared puts lines into a file, in the place of those of the same programs
// on the same kernels.
func RecordCompared(name string, lines []Compared) error {
	all, err := ReadCompared(name)
	if err != nil {
		return err
	}
	for _, c := range lines {
		all = slices.DeleteFunc(all, func(o Compared) bool { return o.compare(c) == 0 })
		all = append(all, c)
	}
	slices.SortFunc(all, Compared.compare)
	var b bytes.Buffer
	if err := WriteCompared(&b, all); err != nil {
		return err
	}
	return os.WriteFile(name, b.Bytes(), 0o644)
}

// comparedColumns are the columns of KernelTable, and the programs of each.
var comparedColumns = []struct {
	name     string
	programs []string
}{
	{"results", []string{"results", "results_noopt", "random"}},
	{"panics", []string{"panics", "panics_noopt"}},
	{"wrappers", []string{"wrappers"}},
	{"conditions", []string{"returns"}},
	{"counted", []string{"aggregates"}},
	{"stacks", []string{"stacks"}},
	{"lines", []string{"lines"}},
	{"inlined", []string{"inlined"}},
	{"all at once", []string{"storm"}},
}

// KernelTable makes the table of what else is compared on other kernels. It is empty
// without lines.
func KernelTable(lines []Compared) string {
	if len(lines) == 0 {
		return ""
	}
	sums := map[[2]string]int{} // by row and column
	releases := map[string]bool{}
	var rows []string
	lines = slices.SortedFunc(slices.Values(lines), Compared.compare)
	for _, c := range lines {
		row := c.Kernel + " " + c.Arch
		if !slices.Contains(rows, row) {
			rows = append(rows, row)
		}
		for _, col := range comparedColumns {
			if slices.Contains(col.programs, c.Program) {
				sums[[2]string{row, col.name}] += c.Calls
				releases[c.Release] = true
			}
		}
	}
	list := slices.SortedFunc(maps.Keys(releases), compareNumbers)
	text := strings.Join(list, ", ")
	if len(list) > 4 {
		text = fmt.Sprintf("%s to %s", list[0], list[len(list)-1])
	}
	var b strings.Builder
	fmt.Fprintf(&b, "\nCalls on other kernels of which more than the arguments was compared, and right, of programs of Go %s:\n\n", text)
	b.WriteString("| Linux")
	for _, col := range comparedColumns {
		b.WriteString(" | " + col.name)
	}
	b.WriteString(" |\n|---|" + strings.Repeat("--:|", len(comparedColumns)) + "\n")
	for _, row := range rows {
		b.WriteString("| " + row)
		for _, col := range comparedColumns {
			b.WriteString(" |")
			if n := sums[[2]string{row, col.name}]; n > 0 {
				b.WriteString(" " + number(n))
			}
		}
		b.WriteString(" |\n")
	}
	return b.String()
}

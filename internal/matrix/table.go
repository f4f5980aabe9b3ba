package matrix

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/argtap/argtap/internal/fixture"
)

// Begin and End are the lines between which a file has the generated table.
const (
	Begin = "<!-- matrix:begin -->\n"
	End   = "<!-- matrix:end -->\n"
)

// Insert puts a table in the place of the one between the markers.
func Insert(text, table string) (string, error) {
	before, rest, ok := strings.Cut(text, Begin)
	_, after, ok2 := strings.Cut(rest, End)
	if !ok || !ok2 {
		return "", errors.New("lacks the lines " + strings.TrimSpace(Begin) + " and " + strings.TrimSpace(End))
	}
	return before + Begin + table + End + after, nil
}

// Table makes the table for people: what works where.
func Table(results []Result, compared []Compared) string {
	var b strings.Builder
	results = slices.SortedStableFunc(slices.Values(results), order)
	main := mainKernel(results)
	total := Result{}
	for _, r := range results {
		total.Functions += r.Functions
		total.Calls += r.Calls
		total.Values += r.Values
		total.Wrong += r.Wrong
		total.Missing += r.Missing
		total.Extra += r.Extra
	}
	fmt.Fprintf(&b, "Functions traced: %s; calls: %s; values: %s, of them **wrong: %s; missing calls: %s, extra calls: %s**.\n",
		number(total.Functions), number(total.Calls), number(total.Values+total.Wrong), number(total.Wrong), number(total.Missing), number(total.Extra))

	// On this machine: amd64 by flavour, and 386 by all of them together.
	var notes notes
	here := keep(results, func(r Result) bool { return r.Kernel == main && r.Arch != "arm64" })
	var cols []string
	for _, f := range fixture.Flavours {
		if len(keep(here, func(r Result) bool { return r.Flavour == f })) > 0 {
			cols = append(cols, string(f))
		}
	}
	if len(keep(here, func(r Result) bool { return r.Arch == "386" })) > 0 {
		cols = append(cols, "386")
	}
	fmt.Fprintf(&b, "\nValues compared on amd64 with Linux %s, by Go release and way to build (386: all of them):\n\n", main)
	b.WriteString(grid("Go", column(here, func(r Result) string { return r.Release }), cols, func(row, col string) []Result {
		return keep(here, func(r Result) bool {
			return r.Release == row && (r.Arch == "386" && col == "386" || r.Arch == "amd64" && string(r.Flavour) == col)
		})
	}, &notes))

	// On others.
	other := keep(results, func(r Result) bool { return r.Kernel != main })
	if len(other) > 0 {
		on := func(r Result) string { return r.Kernel + " " + r.Arch }
		rows := column(other, on)
		slices.SortStableFunc(rows, compareNumbers)
		releases := column(other, func(r Result) string { return r.Release })
		slices.SortFunc(releases, compareNumbers)
		b.WriteString("\nOn other kernels, by Go release:\n\n")
		b.WriteString(grid("Linux", rows, releases, func(row, col string) []Result {
			return keep(other, func(r Result) bool { return on(r) == row && r.Release == col })
		}, &notes))
	}
	b.WriteString(KernelTable(compared))
	b.WriteString(notes.text())
	return b.String()
}

// keep returns those of the results for which keep is true.
func keep(results []Result, keep func(Result) bool) []Result {
	var list []Result
	for _, r := range results {
		if keep(r) {
			list = append(list, r)
		}
	}
	return list
}

// mainKernel is the kernel that most results are of: the machine's own.
func mainKernel(results []Result) string {
	n := map[string]int{}
	best := ""
	for _, r := range results {
		n[r.Kernel]++
		if n[r.Kernel] > n[best] {
			best = r.Kernel
		}
	}
	return best
}

// column collects the different values of a field, in the order of the list.
func column(list []Result, field func(Result) string) []string {
	var values []string
	for _, r := range list {
		if v := field(r); !slices.Contains(values, v) {
			values = append(values, v)
		}
	}
	return values
}

// grid makes a table of Markdown. A cell of it stands for several results.
func grid(corner string, rows, cols []string, cell func(row, col string) []Result, n *notes) string {
	var b strings.Builder
	fmt.Fprintf(&b, "| %s | %s |\n|---|%s\n", corner, strings.Join(cols, " | "), strings.Repeat("--:|", len(cols)))
	for _, row := range rows {
		b.WriteString("| " + row)
		for _, col := range cols {
			b.WriteString(" | " + n.cell(cell(row, col)))
		}
		b.WriteString(" |\n")
	}
	return b.String()
}

// notes are footnotes.
type notes struct{ list []string }

func (n *notes) mark(text string) string {
	i := slices.Index(n.list, text)
	if i < 0 {
		i = len(n.list)
		n.list = append(n.list, text)
	}
	return fmt.Sprintf("<sup>%d</sup>", i+1)
}

func (n *notes) text() string {
	var b strings.Builder
	for i, text := range n.list {
		if i == 0 {
			b.WriteString("\n")
		}
		fmt.Fprintf(&b, "%d. %s\n", i+1, text)
	}
	return b.String()
}

// cell is what a table says of results: the number of right values, what is
// wrong if anything is, and what was not possible.
func (n *notes) cell(list []Result) string {
	if len(list) == 0 {
		return ""
	}
	var sum Result
	marks := ""
	for _, r := range list {
		if r.Impossible != "" {
			if r.Arch == "amd64" { // the others have one column for all
				marks += n.mark(r.Impossible)
			}
			continue
		}
		sum.Calls += r.Calls
		sum.Values += r.Values
		sum.Wrong += r.Wrong + r.Missing + r.Extra + len(r.Failed)
		for _, reason := range slices.Sorted(maps.Keys(r.Not)) {
			count(&sum.Not, reason, r.Not[reason])
		}
	}
	for _, reason := range slices.Sorted(maps.Keys(sum.Not)) {
		marks += n.mark("some functions are not traced: " + reason)
	}
	switch {
	case sum.Wrong > 0:
		return fmt.Sprintf("**%d wrong**%s", sum.Wrong, marks)
	case sum.Calls == 0:
		return "–" + marks
	}
	return number(sum.Values) + marks
}

// number writes a number with its thousands apart.
func number(n int) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "\u202f" + s[i:]
	}
	return s
}

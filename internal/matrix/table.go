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
func Table(results []Result) string {
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
	fmt.Fprintf(&b, "Functions traced: %s, calls compared: %s, values right: %s, **wrong: %s; missing calls: %s, extra calls: %s**.\n",
		number(total.Functions), number(total.Calls), number(total.Values), number(total.Wrong), number(total.Missing), number(total.Extra))
	var notes notes
	for _, arch := range Archs {
		list := slices.DeleteFunc(slices.Clone(results), func(r Result) bool { return r.Arch != arch || r.Kernel != main })
		if !slices.ContainsFunc(list, func(r Result) bool { return r.Impossible == "" }) {
			continue
		}
		fmt.Fprintf(&b, "\n%s, Linux %s, values that were compared and right:\n\n", arch, main)
		var flavours []string
		for _, f := range fixture.Flavours {
			flavours = append(flavours, string(f))
		}
		b.WriteString(grid("Go", column(list, func(r Result) string { return r.Release }), flavours, func(row, col string) []Result {
			return slices.DeleteFunc(slices.Clone(list), func(r Result) bool { return r.Release != row || string(r.Flavour) != col })
		}, &notes))
	}
	other := slices.DeleteFunc(slices.Clone(results), func(r Result) bool { return r.Kernel == main })
	for _, arch := range Archs {
		list := slices.DeleteFunc(slices.Clone(other), func(r Result) bool { return r.Arch != arch })
		if len(list) == 0 {
			continue
		}
		kernels := column(list, func(r Result) string { return r.Kernel })
		slices.SortFunc(kernels, compareNumbers)
		fmt.Fprintf(&b, "\n%s on other kernels, all flavours that were tried there:\n\n", arch)
		b.WriteString(grid("Go", column(list, func(r Result) string { return r.Release }), kernels, func(row, col string) []Result {
			return slices.DeleteFunc(slices.Clone(list), func(r Result) bool { return r.Release != row || r.Kernel != col })
		}, &notes))
	}
	b.WriteString(notes.text())
	return b.String()
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
			marks += n.mark(strings.TrimPrefix(after(r.Impossible, ": "), "not possible: "))
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
		marks += n.mark("Some functions are not traced: " + reason)
	}
	switch {
	case sum.Wrong > 0:
		return fmt.Sprintf("**%d wrong**%s", sum.Wrong, marks)
	case sum.Calls == 0:
		return "–" + marks
	}
	return number(sum.Values) + marks
}

// after is what follows a cell's name in an error.
func after(text, sep string) string {
	if _, rest, ok := strings.Cut(text, sep); ok && strings.Contains(text[:len(text)-len(rest)], "/") {
		return rest
	}
	return text
}

// number writes a number with its thousands apart.
func number(n int) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "\u202f" + s[i:]
	}
	return s
}

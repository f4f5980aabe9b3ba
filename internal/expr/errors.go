package expr

import (
	"fmt"
	"go/token"
	"slices"
	"strings"
	"unicode/utf8"
)

// Error is an error in an expression.
type Error struct {
	// Text is the expression.
	Text string
	// Column of Text where the error is, in bytes, the first being 1. It is
	// len(Text)+1 where something is missing at the end.
	Column int
	// Message says what is wrong and, where something is not there, what is.
	Message string
	// Unsupported says that what is at Column may be valid Go, but nothing that
	// an expression can have.
	Unsupported bool
}

// maxQuoted is how much of an expression an error quotes.
const maxQuoted = 200

// Error returns "expression r.Pth: column 3: no field Pth in …", in one line.
func (e *Error) Error() string {
	text := strings.Join(strings.Fields(e.Text[:min(len(e.Text), maxQuoted)]), " ")
	if len(e.Text) > maxQuoted {
		text += "…"
	}
	if text == "" {
		text = `""`
	}
	return fmt.Sprintf("expression %s: column %d: %s", text, e.Column, e.Message)
}

// Caret returns the expression with a mark under the column, in two lines:
//
//	r.URL.Pth
//	      ^
//
// Of an expression of several lines it is the line with the error.
func (e *Error) Caret() string {
	at := max(0, min(e.Column-1, len(e.Text)))
	start := strings.LastIndexByte(e.Text[:at], '\n') + 1
	line, _, _ := strings.Cut(e.Text[start:], "\n")
	var b strings.Builder
	b.WriteString(line)
	b.WriteByte('\n')
	for _, r := range e.Text[start:at] {
		if r != '\t' {
			r = ' '
		}
		b.WriteRune(r)
	}
	b.WriteByte('^')
	return b.String()
}

// errorAt makes an error at a place of the text.
func (c *checker) errorAt(pos token.Pos, format string, args ...any) *Error {
	// A message may quote the text, which may have several lines.
	message := strings.Join(strings.Fields(fmt.Sprintf(format, args...)), " ")
	return &Error{Text: c.text, Column: c.offset(pos) + 1, Message: message}
}

// unsupported makes an error for what may be valid Go.
func (c *checker) unsupported(pos token.Pos, format string, args ...any) *Error {
	err := c.errorAt(pos, format, args...)
	err.Unsupported = true
	return err
}

// offset returns where a position is in the text.
func (c *checker) offset(pos token.Pos) int {
	return max(0, min(int(pos)-c.base, len(c.text)))
}

// maxListed is how many names an error lists.
const maxListed = 20

// list writes names, not too many of them.
func list(names []string) string {
	if len(names) == 0 {
		return "none"
	}
	rest := ""
	if len(names) > maxListed {
		rest = fmt.Sprintf(", … (%d more)", len(names)-maxListed)
		names = names[:maxListed]
	}
	return strings.Join(names, ", ") + rest
}

// didYouMean returns "; did you mean x?" for the name that is most like the one
// that is not there, "" if none is.
func didYouMean(name string, names []string) string {
	best, least := "", 1+len(name)/3
	for _, n := range names[:min(len(names), 1000)] {
		if strings.EqualFold(n, name) {
			return "; did you mean " + n + "?"
		}
		if d := distance(name, n, least); d <= least && (best == "" || d < least) {
			best, least = n, d
		}
	}
	if best == "" {
		return ""
	}
	return "; did you mean " + best + "?"
}

// distance is the Levenshtein distance of two names, or more than limit if it
// is more.
func distance(a, b string, limit int) int {
	if d := utf8.RuneCountInString(a) - utf8.RuneCountInString(b); d > limit || -d > limit {
		return limit + 1
	}
	x, y := []rune(a), []rune(b)
	row := make([]int, len(y)+1)
	for j := range row {
		row[j] = j
	}
	for i := range x {
		diagonal := row[0]
		row[0] = i + 1
		for j := range y {
			cost := diagonal
			if x[i] != y[j] {
				cost = 1 + min(diagonal, row[j], row[j+1])
			}
			diagonal, row[j+1] = row[j+1], cost
		}
	}
	return row[len(y)]
}

// sorted returns the names in order, each once.
func sorted(names []string) []string {
	slices.Sort(names)
	return slices.Compact(names)
}

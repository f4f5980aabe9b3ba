package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/term"
)

// style says how to print to a file: with alignment on a terminal, and with
// colours if the user has not turned them off (https://no-color.org).
type style struct {
	terminal bool
	colour   bool
}

func styleOf(f *os.File) style {
	if !term.IsTerminal(int(f.Fd())) {
		return style{}
	}
	return style{terminal: true, colour: os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"}
}

// The colours, as ANSI escape sequences.
const (
	bold   = "\x1b[1m"
	dim    = "\x1b[2m"
	red    = "\x1b[31m"
	green  = "\x1b[32m"
	yellow = "\x1b[33m"
	cyan   = "\x1b[36m"
	reset  = "\x1b[0m"
)

// paint returns text in a colour.
func (s style) paint(colour, text string) string {
	if !s.colour || colour == "" || text == "" {
		return text
	}
	return colour + text + reset
}

// cell is a field of a table.
type cell struct{ text, colour string }

// table collects rows and prints them: aligned on a terminal, with one tab
// between the fields elsewhere.
type table struct {
	style  style
	indent string
	rows   [][]cell
}

func (t *table) row(cells ...cell) {
	for i := range cells {
		cells[i].text = printable(cells[i].text)
	}
	t.rows = append(t.rows, cells)
}

// printable escapes control characters, and bytes that are no text: some of these are
// control characters to a terminal that is not set to UTF-8. Names come from binaries,
// which nobody vouches for; they must not begin new lines or command the terminal.
func printable(text string) string {
	if utf8.ValidString(text) && strings.IndexFunc(text, unicode.IsControl) < 0 {
		return text
	}
	var b strings.Builder
	for len(text) > 0 {
		r, n := utf8.DecodeRuneInString(text)
		switch {
		case r == utf8.RuneError && n == 1:
			fmt.Fprintf(&b, `\x%02x`, text[0])
		case unicode.IsControl(r):
			b.WriteString(strings.Trim(strconv.QuoteRune(r), "'"))
		default:
			b.WriteRune(r)
		}
		text = text[n:]
	}
	return b.String()
}

// printableFrom is [printable] for what stands in b behind the first n bytes.
func printableFrom(b []byte, n int) []byte {
	if utf8.Valid(b[n:]) && bytes.IndexFunc(b[n:], unicode.IsControl) < 0 {
		return b
	}
	return append(b[:n], printable(string(b[n:]))...)
}

// maxColumn bounds the width to which a column is padded, so that one long
// name does not push everything off the screen.
const maxColumn = 60

func (t *table) print(w io.Writer) {
	var widths []int
	for _, row := range t.rows {
		for i, c := range row {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			if n := utf8.RuneCountInString(c.text); n <= maxColumn {
				widths[i] = max(widths[i], n)
			}
		}
	}
	for _, row := range t.rows {
		last := len(row) - 1
		for last > 0 && row[last].text == "" {
			last--
		}
		io.WriteString(w, t.indent)
		for i, c := range row[:last+1] {
			io.WriteString(w, t.style.paint(c.colour, c.text))
			switch {
			case i == last:
			case t.style.terminal:
				pad := max(0, widths[i]-utf8.RuneCountInString(c.text)) + 2
				io.WriteString(w, strings.Repeat(" ", pad))
			default:
				io.WriteString(w, "\t")
			}
		}
		fmt.Fprintln(w)
	}
}

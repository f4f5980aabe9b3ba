package main

import (
	"cmp"
	"fmt"
	"math"
	"os"
	"path"
	"slices"
	"strings"
	"unicode/utf8"

	"golang.org/x/term"

	"github.com/argtap/argtap/uprobe"
)

// The size of what is no terminal, in characters.
const (
	plainWidth  = 1 << 20
	plainHeight = 1 << 30
	barWidth    = 40
	leastBar    = 10 // on a narrow terminal
)

// screen returns the size of the terminal.
func screen() (width, height int) {
	if w, h, err := term.GetSize(int(os.Stdout.Fd())); err == nil && w > 20 && h > 4 {
		return w, h
	}
	return plainWidth, plainHeight
}

// bar is a line with a label, a count and a bar, and lines below it.
type bar struct {
	label string
	n     uint64
	below []string
}

// render returns the lines that show what was counted, none longer than width.
func (b *board) render(all []uprobe.Aggregate, width int) (lines []string) {
	add := func(colour, text string) {
		text = printable(text)
		if utf8.RuneCountInString(text) > width {
			text = string([]rune(text)[:width-1]) + "…"
		}
		lines = append(lines, b.style.paint(colour, text))
	}
	if len(all) > 0 && all[0].Expr() == "" && len(all[0].Key) == 0 && !all[0].Other {
		// Only functions are told apart.
		slices.SortStableFunc(all, func(a, b uprobe.Aggregate) int { return cmp.Compare(b.Count, a.Count) })
		var bars []bar
		for i := range all {
			bars = append(bars, bar{label: placeText(all[i].Func), n: all[i].Count})
		}
		b.bars(bars, width, add)
		return lines
	}
	for len(all) > 0 {
		f := all[0].Func
		n := 1
		for n < len(all) && all[n].Func == f {
			n++
		}
		rows := all[:n]
		all = all[n:]
		if rows[0].Expr() == "" {
			var bars []bar
			for i := range rows {
				bars = append(bars, bar{keyText(&rows[i]), rows[i].Count, keyFrames(&rows[i])})
			}
			add(cyan, placeText(f))
			b.bars(bars, width, add)
			continue
		}
		for i := range rows {
			a := &rows[i]
			title := placeText(f)
			if k := keyText(a); k != "" {
				title += " " + k
			}
			add(cyan, title)
			for _, l := range keyFrames(a) {
				add("", l)
			}
			calls := "calls"
			if a.Count == 1 {
				calls = "call"
			}
			add(dim, fmt.Sprintf("  %s: %d %s, %s", a.Expr(), a.Count, calls, a.Summary()))
			var bars []bar
			labels := bucketLabels(a)
			for i, k := range a.Buckets {
				bars = append(bars, bar{label: labels[i], n: k.Count})
			}
			b.bars(bars, width, add)
		}
	}
	if len(lines) == 0 {
		add(dim, "no calls were counted")
	}
	return lines
}

// bars adds a line for each bar, their lengths in proportion.
func (b *board) bars(bars []bar, width int, add func(colour, text string)) {
	var most uint64
	label, number := 0, 0
	for _, x := range bars {
		most = max(most, x.n)
		label = max(label, min(utf8.RuneCountInString(printable(x.label)), maxColumn))
		number = max(number, len(fmt.Sprint(x.n)))
	}
	full := max(min(barWidth, width-label-number-7), leastBar)
	for _, x := range bars {
		text := printable(x.label)
		if pad := label - utf8.RuneCountInString(text); pad > 0 {
			text += strings.Repeat(" ", pad)
		}
		n := int(math.Round(float64(x.n) / float64(max(most, 1)) * float64(full)))
		if n == 0 && x.n > 0 {
			n = 1
		}
		add("", fmt.Sprintf("  %s  %*d |%s%s|", text, number, x.n, strings.Repeat("@", n), strings.Repeat(" ", full-n)))
		for _, l := range x.below {
			add("", l)
		}
	}
}

// placeText returns what is counted: a function, a line of one, or one where it was
// inlined.
func placeText(f *uprobe.Func) string {
	if file, line := f.Line(); line > 0 {
		return fmt.Sprintf("%s:%d %s", path.Base(file), line, f.Name())
	}
	if in, ok := f.Inlined(); ok {
		return f.Name() + " inlined in " + in.String()
	}
	return f.Name()
}

// keyText returns the key of a row as people read it, but for stacks.
func keyText(a *uprobe.Aggregate) string {
	if a.Other {
		return "(other keys)"
	}
	var parts []string
	for _, k := range a.Key {
		if _, ok := k.Value.(uprobe.Stack); ok {
			parts = append(parts, k.Expr)
			continue
		}
		parts = append(parts, k.Expr+"="+k.String())
	}
	return strings.Join(parts, " ")
}

// keyFrames returns a line for each frame of the stacks in a key, the function's caller
// first.
func keyFrames(a *uprobe.Aggregate) (lines []string) {
	for _, k := range a.Key {
		s, ok := k.Value.(uprobe.Stack)
		if !ok {
			continue
		}
		const indent = "      "
		for i, f := range s.Frames() {
			if i > 0 {
				text := uprobe.Key{Value: f}.String()
				if f.Inlined {
					text += " (inlined)"
				}
				lines = append(lines, indent+text)
			}
			if f.Missing != "" {
				lines = append(lines, indent+"<may be missing: "+f.Missing+">")
			}
		}
		if end := s.End(); end != "" {
			lines = append(lines, indent+"<"+end+">")
		}
	}
	return lines
}

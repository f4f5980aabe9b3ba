package main

import (
	"flag"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/argtap/argtap/uprobe"
)

// aggregate are the flags that have calls counted in place of being printed.
type aggregate struct {
	countBy, by repeated
	hist        string
	maxKeys     int
}

// byFunc is the key of -count-by that only tells functions apart. It is no name that a
// parameter can have.
const byFunc = "func"

func (a *aggregate) register(fs *flag.FlagSet) {
	fs.Var(&a.countBy, "count-by", "count the calls by `EXPR`, an integer, bool or string in Go over the\n"+
		"parameters and results, or by goroutine, parent, creator, stack, pid,\n"+
		"or func for each function alone, and print the counts at the end, on\n"+
		"a terminal also live; may be repeated")
	fs.StringVar(&a.hist, "hist", "", "print a histogram of `EXPR`, an integer in Go over the parameters and\n"+
		"results, or of duration; by powers of two, or from 0 to 100 in steps of 10 as\n"+
		"EXPR:linear:0:100:10, where durations are as 5ms")
	fs.Var(&a.by, "by", "with -hist: one histogram for each value of `EXPR`, as in -count-by;\nmay be repeated")
	fs.IntVar(&a.maxKeys, "max-keys", 0, "with -count-by and -by: count the calls of the first `N` keys apart")
}

// wanted reports whether calls are counted.
func (a *aggregate) wanted() bool { return len(a.countBy) > 0 || a.hist != "" }

// byStack reports whether calls are counted by their stacks, unless a parameter has
// that name.
func (a *aggregate) byStack() bool {
	return slices.Contains(a.countBy, "stack") || slices.Contains(a.by, "stack")
}

// check returns what is wrong with the flags, "" if nothing is.
func (a *aggregate) check(r *request) string {
	switch {
	case !a.wanted() && len(a.by) > 0:
		return "-by without -hist: for counts alone use -count-by"
	case !a.wanted() && a.maxKeys != 0:
		return "-max-keys without -count-by or -hist"
	case !a.wanted():
		return ""
	case len(a.countBy) > 0 && a.hist != "":
		return "-count-by with -hist: a histogram counts the calls, too: use -hist with -by"
	case len(a.by) > 0 && a.hist == "":
		return "-by with -count-by: -by is for -hist; repeat -count-by for a key of several parts"
	case r.limit > 0:
		return "-n with -count-by or -hist, which print no calls: use -first"
	case r.stacks.show:
		return "-stack with -count-by or -hist, which print no calls: use -count-by stack, or -hist with -by stack"
	case r.stacks.file != "":
		return "-pprof with -count-by or -hist, which deliver no calls: leave these out"
	case r.results:
		return "-results with -count-by or -hist, which print no calls: use -hist duration, or results in expressions"
	case r.count:
		return "-count with -count-by or -hist: they print no calls anyway"
	case len(r.source.captures) > 0:
		return "-capture with -count-by or -hist, which print no calls: give the expressions to them"
	case a.maxKeys < 0:
		return fmt.Sprintf("-max-keys %d: must be positive", a.maxKeys)
	}
	if a.hist != "" {
		if _, _, err := parseHist(a.hist); err != nil {
			return fmt.Sprintf("-hist %s: %v", a.hist, err)
		}
	}
	return ""
}

func (a *aggregate) options() []uprobe.Option {
	if !a.wanted() {
		return nil
	}
	var opts []uprobe.Option
	if a.hist != "" {
		expr, scale, _ := parseHist(a.hist) // check has looked
		opts = append(opts, uprobe.WithHistogram(expr, scale, a.by...))
	} else {
		var by []string
		for _, b := range a.countBy {
			if b != byFunc {
				by = append(by, b)
			}
		}
		opts = append(opts, uprobe.WithCount(by...))
	}
	if a.maxKeys > 0 {
		opts = append(opts, uprobe.WithMaxKeys(a.maxKeys))
	}
	return opts
}

// parseHist takes the scale off the end of -hist: expressions may have colons, too.
func parseHist(text string) (expr string, scale uprobe.Scale, err error) {
	if expr, ok := strings.CutSuffix(text, ":log2"); ok {
		return expr, uprobe.Log2(), nil
	}
	at := strings.LastIndex(text, ":linear")
	if at < 0 {
		if i := strings.LastIndexByte(text, ':'); i >= 0 && !strings.ContainsAny(text[i:], "])") {
			return "", scale, fmt.Errorf("%q is no scale: give log2, or linear:MIN:MAX:STEP", text[i+1:])
		}
		return text, uprobe.Log2(), nil
	}
	parts := strings.Split(text[at+1:], ":")
	if len(parts) != 4 {
		return "", scale, fmt.Errorf("a linear scale is EXPR:linear:MIN:MAX:STEP, as len(b):linear:0:1000:50")
	}
	var n [3]int64
	durations := false
	for i, p := range parts[1:] {
		if n[i], err = parseNumber(p); err != nil {
			return "", scale, err
		}
		durations = durations || strings.HasSuffix(p, "s")
	}
	if durations { // which errors show as such
		return text[:at], uprobe.Linear(time.Duration(n[0]), time.Duration(n[1]), time.Duration(n[2])), nil
	}
	return text[:at], uprobe.Linear(n[0], n[1], n[2]), nil
}

// parseNumber reads an integer, or a duration as nanoseconds.
func parseNumber(text string) (int64, error) {
	if n, err := strconv.ParseInt(text, 0, 64); err == nil {
		return n, nil
	}
	if d, err := time.ParseDuration(text); err == nil {
		return int64(d), nil
	}
	return 0, fmt.Errorf("%q is no integer, and no duration such as 5ms", text)
}

// redraw is how often counts are printed to a terminal.
const redraw = time.Second

// board prints what was counted.
type board struct {
	tracer *uprobe.Tracer
	json   bool
	style  style
	stop   chan struct{}
	done   chan struct{}
	lines  int // on the terminal
}

// startBoard prints the counts of a tracer to standard output, over and over if that is
// a terminal, until finish is called.
func startBoard(t *uprobe.Tracer, json bool) *board {
	b := &board{tracer: t, json: json, style: styleOf(os.Stdout), stop: make(chan struct{}), done: make(chan struct{})}
	if json || !b.style.terminal {
		close(b.done)
		return b
	}
	go func() {
		defer close(b.done)
		tick := time.NewTicker(redraw)
		defer tick.Stop()
		for {
			select {
			case <-b.stop:
				return
			case <-tick.C:
				if all, err := t.Aggregates(); err == nil {
					b.draw(all)
				}
			}
		}
	}()
	return b
}

// draw prints what fits the screen, in place of what was drawn before.
func (b *board) draw(all []uprobe.Aggregate) {
	width, height := screen()
	lines := b.render(all, width)
	if len(lines) > height-1 {
		n := len(lines) - (height - 2)
		lines = append(lines[:height-2], fmt.Sprintf("and %d lines, which are printed at the end", n))
	}
	fmt.Fprint(os.Stdout, b.erase()+strings.Join(lines, "\n")+"\n")
	b.lines = len(lines)
}

// erase returns what removes what was drawn.
func (b *board) erase() string {
	if b.lines == 0 {
		return ""
	}
	return fmt.Sprintf("\x1b[%dA\x1b[J", b.lines)
}

// finish prints the counts once more, all of them. The tracer has ended.
func (b *board) finish() error {
	close(b.stop)
	<-b.done
	all, err := b.tracer.Aggregates()
	if err != nil {
		return err
	}
	var out []byte
	if b.json {
		for i := range all {
			line, err := all[i].MarshalJSON()
			if err != nil {
				return err
			}
			out = append(append(out, line...), '\n')
		}
	} else {
		width, _ := screen()
		out = append(out, b.erase()...)
		for _, l := range b.render(all, width) {
			out = append(append(out, l...), '\n')
		}
	}
	if _, err := os.Stdout.Write(out); err != nil {
		return fmt.Errorf("standard output: %w", err)
	}
	return nil
}

package main

import (
	"bufio"
	"fmt"
	"os"

	"github.com/argtap/argtap/uprobe"
)

// maxCopies is how many places of an inlined function inspect shows.
const maxCopies = 12

// listInlined prints the functions that were inlined and, below each, where: a line
// for each call, which may be there in several places.
func listInlined(binary, pattern string) error {
	w := bufio.NewWriter(os.Stdout)
	n := 0
	err := uprobe.ListInlined(binary, pattern, func(f uprobe.InlinedFunc) {
		n++
		where := "in place of its calls only"
		if f.OutOfLine {
			where = "also"
		}
		fmt.Fprintf(w, "%s: inlined %s, %s\n", printable(f.Name), where, places(len(f.Places)))
		for _, text := range callsOf(f.Places) {
			fmt.Fprintf(w, "  %s\n", text)
		}
	})
	if err != nil {
		return err
	}
	if n == 0 && pattern != "" {
		return fmt.Errorf("%s: no function %s was inlined", binary, pattern)
	}
	return w.Flush()
}

func places(n int) string {
	if n == 1 {
		return "1 place"
	}
	return fmt.Sprintf("%d places", n)
}

// callsOf returns the places in words, equal ones together.
func callsOf(all []uprobe.Inlining) (texts []string) {
	for i := 0; i < len(all); {
		n := 1
		for i+n < len(all) && all[i+n] == all[i] {
			n++
		}
		text := fmt.Sprintf("%s:%d in %s", printable(all[i].File), all[i].Line, printable(all[i].Caller))
		if n > 1 {
			text += ", " + places(n)
		}
		texts = append(texts, text)
		i += n
	}
	return texts
}

// copies prints where a function was inlined.
func (in *inspector) copies(f *uprobe.Func) {
	if file, _ := f.Line(); file != "" {
		return
	}
	if _, inlined := f.Inlined(); inlined {
		return
	}
	var all []uprobe.Inlining
	// What cannot be read here was told before.
	_ = uprobe.ListInlined(in.binary, f.Name(), func(i uprobe.InlinedFunc) {
		if i.Name == f.Name() {
			all = i.Places
		}
	}, in.source.options()...)
	if len(all) == 0 {
		return
	}
	heading := fmt.Sprintf("inlined in %s, whose calls are traced with -inlined only", places(len(all)))
	fmt.Fprintf(in.out, "  %s\n", in.style.paint(dim, heading))
	texts := callsOf(all)
	for _, text := range texts[:min(len(texts), maxCopies)] {
		fmt.Fprintf(in.out, "    %s\n", text)
	}
	if n := len(texts) - maxCopies; n > 0 {
		fmt.Fprintf(in.out, "    and %d more\n", n)
	}
}

// placeFacts tells of a line or an inlined call.
func placeFacts(f *uprobe.Func, fact func(name, text string)) {
	if file, line := f.Line(); file != "" {
		fact("line", fmt.Sprintf("%s:%d", printable(file), line))
	}
	if i, ok := f.Inlined(); ok {
		fact("inlined", fmt.Sprintf("%s:%d in %s", printable(i.File), i.Line, printable(i.Caller)))
	}
}

// argumentsHeading says what the table of arguments has.
func argumentsHeading(f *uprobe.Func) string {
	if file, _ := f.Line(); file != "" {
		return "variables in scope: name, type, location at the probe, where that is from, what is missing"
	}
	if _, ok := f.Inlined(); ok {
		return "arguments: name, type, location at the probe, where that is from, what is missing"
	}
	return "arguments: name, type, location at entry, debug information, what is missing"
}

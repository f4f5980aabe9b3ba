package main

import (
	"fmt"

	"github.com/argtap/argtap/uprobe"
)

// maxWrappers is how many wrappers of a method are shown.
const maxWrappers = 20

// wrappers prints the wrappers of a method, and how they come to it.
func (in *inspector) wrappers(f *uprobe.Func) {
	all := f.Wrappers()
	if len(all) == 0 {
		return
	}
	fmt.Fprintf(in.out, "  %s\n", in.style.paint(dim, "wrappers that the compiler made: name, address, how a call comes to the method, where it is seen"))
	t := table{style: in.style, indent: "    "}
	for _, w := range all[:min(len(all), maxWrappers)] {
		seen, colour := "in the method", ""
		switch {
		case w.Missed != "":
			seen, colour = "not seen: "+w.Missed, yellow
		case w.Reach == uprobe.ReachInlined:
			seen = "in the wrapper, which is probed too"
		}
		t.row(cell{printable(w.Name), cyan}, cell{fmt.Sprintf("%#x", uint64(w.Entry)), dim}, cell{w.Reach.String(), ""}, cell{seen, colour})
	}
	t.print(in.out)
	if n := len(all) - maxWrappers; n > 0 {
		fmt.Fprintf(in.out, "    and %d more\n", n)
	}
}

// through returns what is behind the name of a function where it is code of another,
// or leads to one.
func through(f *uprobe.Func) string {
	if via := f.Via(); via != "" {
		return ", through " + printable(via)
	}
	switch method, how := f.Wraps(); {
	case method == "":
		return ""
	case how == uprobe.ReachInlined:
		return ", a wrapper that has inlined " + printable(method)
	case how == uprobe.ReachJumps:
		return ", a wrapper that jumps to " + printable(method)
	default:
		return ", a wrapper that calls " + printable(method)
	}
}

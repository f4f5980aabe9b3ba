package main

import (
	"fmt"

	"github.com/argtap/argtap/uprobe"
)

// maxReturns is how many returns of a function are shown.
const maxReturns = 20

// results prints where the results are at a return, and where returns are probed.
func (in *inspector) results(f *uprobe.Func) {
	heading := func(text string) { fmt.Fprintf(in.out, "  %s\n", in.style.paint(dim, text)) }
	if why := f.NoResults(); why != "" {
		heading("no results: " + why)
		return
	}
	if len(f.Results()) == 0 {
		heading("no results")
	} else {
		heading("results: name, type, location at return, debug information, what is missing")
	}
	results := table{style: in.style, indent: "    "}
	for _, p := range f.Results() {
		missing, _ := p.Absent()
		results.row(cell{p.Name, cyan}, cell{p.TypeName(), ""}, cell{p.LocationText(), ""},
			cell{p.Source, dim}, cell{missing, yellow})
	}
	results.print(in.out)
	probes := f.ReturnProbes()
	if len(probes) == 0 {
		heading("no returns: each call ends by a panic")
		return
	}
	heading("returns, probed for results only")
	returns := table{style: in.style, indent: "    "}
	for _, p := range probes[:min(len(probes), maxReturns)] {
		returns.row(cell{fmt.Sprintf("%#x", uint64(p.Addr)), ""}, cell{p.Instruction, ""}, cell{steps(p), dim})
	}
	returns.print(in.out)
	if n := len(probes) - maxReturns; n > 0 {
		fmt.Fprintf(in.out, "    and %d more\n", n)
	}
}

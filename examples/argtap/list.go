package main

import (
	"bufio"
	"flag"
	"fmt"
	"os"
	"slices"

	"github.com/argtap/argtap/symbols"
	"github.com/argtap/argtap/uprobe"
)

// list prints the names of the functions of a binary, or of those that match a
// pattern, one a line.
func list(args []string) error {
	fs := flag.NewFlagSet("list", flag.ContinueOnError)
	inlined := fs.Bool("inlined", false, "list the functions that were inlined, also those of which nothing else is left,\nand where")
	if done, err := parse(fs, args, "[flags] BINARY [PATTERN]"); done || err != nil {
		return err
	}
	if fs.NArg() < 1 {
		return &usageError{"list", "no BINARY given"}
	}
	if fs.NArg() > 2 {
		return &usageError{"list", "more than one PATTERN given"}
	}
	if *inlined {
		return listInlined(fs.Arg(0), fs.Arg(1))
	}
	if uprobe.IsLine(fs.Arg(1)) {
		return fmt.Errorf("%s is a line, and list prints functions: argtap inspect shows what is traced of it", fs.Arg(1))
	}
	f, err := symbols.Open(fs.Arg(0))
	if err != nil {
		return err
	}
	defer f.Close()
	names, err := functionNames(f, fs.Arg(1))
	if err != nil {
		return err
	}
	w := bufio.NewWriter(os.Stdout)
	for _, name := range names {
		w.WriteString(printable(name))
		w.WriteByte('\n')
	}
	return w.Flush()
}

// functionNames returns the names that match a pattern, all if it is "", in
// order and each once.
func functionNames(f *symbols.File, pattern string) ([]string, error) {
	var names []string
	switch {
	case pattern == "":
		for fn, err := range f.Funcs() {
			if err != nil {
				return nil, err
			}
			names = append(names, fn.Name)
		}
	case symbols.IsPattern(pattern):
		funcs, err := f.Glob(pattern)
		if err != nil {
			return nil, err
		}
		for _, fn := range funcs {
			names = append(names, fn.Name)
		}
	default:
		funcs, err := f.Select(pattern)
		if err != nil {
			return nil, err
		}
		for _, fn := range funcs {
			names = append(names, fn.Name)
		}
	}
	slices.Sort(names)
	return slices.Compact(names), nil
}

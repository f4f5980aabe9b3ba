// The matrix command shows what works where: see package matrix.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"

	"github.com/argtap/argtap/internal/matrix"
)

const usage = `usage: matrix build -o DIR [-programs N] CELL...     build programs
       matrix run DIR                               trace them here
       matrix trace [-record FILE] CELL...          both
       matrix vm -kernels LIST [-record FILE] CELL...  both, on other kernels
       matrix table [-results FILE] [-o FILE]       make the table for people
A cell is RELEASE/ARCH/FLAVOUR: see the documentation of internal/matrix.
`

func main() {
	if err := run(os.Args[1:]); err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "matrix:", err)
		os.Exit(1)
	}
}

// settings are what the flags of all commands set.
type settings struct {
	out, record, results, compared, kernels string
	programs, funcs, parallel               int
}

func run(args []string) error {
	if len(args) == 0 || args[0] == "-h" || args[0] == "-help" || args[0] == "--help" || args[0] == "help" {
		fmt.Fprint(os.Stderr, usage)
		return flag.ErrHelp
	}
	var s settings
	flags := flag.NewFlagSet("matrix "+args[0], flag.ContinueOnError)
	flags.Usage = func() {
		fmt.Fprint(flags.Output(), usage)
		flags.PrintDefaults()
	}
	flags.IntVar(&s.parallel, "p", min(2, runtime.NumCPU()), "cells that are built or traced at the same time")
	commands := map[string]func(*settings, []string) error{
		"build": build, "run": runBundle, "trace": trace, "vm": vms, "table": table,
	}
	command, ok := commands[args[0]]
	if !ok {
		fmt.Fprint(os.Stderr, usage)
		return fmt.Errorf("unknown command %q", args[0])
	}
	switch args[0] {
	case "build", "trace", "vm":
		programs, funcs := 2, 60
		if args[0] == "vm" {
			programs, funcs = 1, 20 // emulation is slow
		}
		flags.IntVar(&s.programs, "programs", programs, "random programs, besides the table of signatures")
		flags.IntVar(&s.funcs, "funcs", funcs, "functions in each of them")
	}
	switch args[0] {
	case "build":
		flags.StringVar(&s.out, "o", "", "directory for the bundle")
	case "table":
		flags.StringVar(&s.results, "results", "docs/matrix.jsonl", "results to make the table of")
		flags.StringVar(&s.compared, "compared", "docs/kernels.jsonl", "what else was compared on other kernels")
		flags.StringVar(&s.out, "o", "README.md", "file with markers, between which the table goes")
	case "vm":
		flags.StringVar(&s.kernels, "kernels", "", "kernels, as 5.10,6.1")
		fallthrough
	case "trace":
		flags.StringVar(&s.record, "record", "", "file of results to put these into")
	}
	if err := flags.Parse(args[1:]); err != nil {
		return err
	}
	return command(&s, flags.Args())
}

func (s *settings) build(dir string, cells []matrix.Cell) error {
	return matrix.Build(dir, cells, matrix.BuildOptions{
		Programs: s.programs, Funcs: s.funcs, Parallel: s.parallel, Log: os.Stderr,
	})
}

func build(s *settings, args []string) error {
	cells, err := matrix.ParseCells(args...)
	if err != nil {
		return err
	}
	if s.out == "" || len(cells) == 0 {
		return errors.New("build: name a directory with -o, and cells")
	}
	return s.build(s.out, cells)
}

// collector prints results and keeps them.
type collector struct {
	results []matrix.Result
	bad     []string
}

func (c *collector) add(r matrix.Result) {
	matrix.WriteResults(os.Stdout, []matrix.Result{r})
	c.results = append(c.results, r)
	if !r.OK() {
		c.bad = append(c.bad, fmt.Sprintf("%v on %s", r.Cell, r.Kernel))
	}
}

// finish puts the results into a file, and complains of those that are wrong.
func (c *collector) finish(record string) error {
	if record != "" {
		if err := matrix.Record(record, c.results); err != nil {
			return err
		}
	}
	if len(c.bad) > 0 {
		// Once more, where whoever reads the end of a long output sees it.
		for _, r := range c.results {
			for _, text := range slices.Concat(r.Failed, r.Diffs[:min(len(r.Diffs), 10)]) {
				if !r.OK() {
					fmt.Fprintf(os.Stderr, "%v on %s: %s\n", r.Cell, r.Kernel, text)
				}
			}
		}
		slices.Sort(c.bad)
		return fmt.Errorf("%d of %d cells are wrong: %s", len(c.bad), len(c.results), strings.Join(c.bad, ", "))
	}
	return nil
}

func runBundle(s *settings, args []string) error {
	if len(args) != 1 {
		return errors.New("run: name the directory of a bundle")
	}
	var c collector
	if err := matrix.Run(args[0], matrix.RunOptions{Parallel: s.parallel, Log: os.Stderr}, c.add); err != nil {
		return err
	}
	return c.finish("")
}

func trace(s *settings, args []string) error {
	cells, err := matrix.ParseCells(args...)
	if err != nil {
		return err
	}
	var c collector
	// A few at a time: they are large.
	for part := range slices.Chunk(cells, 8) {
		dir, err := os.MkdirTemp("", "argtap-matrix-")
		if err != nil {
			return err
		}
		err = s.build(dir, part)
		if err == nil {
			err = matrix.Run(dir, matrix.RunOptions{Parallel: s.parallel, Log: os.Stderr}, c.add)
		}
		os.RemoveAll(dir)
		if err != nil {
			return err
		}
	}
	return c.finish(s.record)
}

func table(s *settings, args []string) error {
	if len(args) > 0 {
		return fmt.Errorf("table: unexpected argument %q", args[0])
	}
	f, err := os.Open(s.results)
	if err != nil {
		return err
	}
	defer f.Close()
	results, err := matrix.ReadResults(f)
	if err != nil {
		return fmt.Errorf("%s: %w", s.results, err)
	}
	compared, err := matrix.ReadCompared(s.compared)
	if err != nil {
		return err
	}
	old, err := os.ReadFile(s.out)
	if err != nil {
		return err
	}
	text, err := matrix.Insert(string(old), matrix.Table(results, compared))
	if err != nil {
		return fmt.Errorf("%s: %w", s.out, err)
	}
	return os.WriteFile(s.out, []byte(text), 0o644)
}

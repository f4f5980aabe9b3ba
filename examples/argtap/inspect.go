package main

import (
	"bufio"
	"cmp"
	"errors"
	"flag"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/argtap/argtap/abi"
	"github.com/argtap/argtap/symbols"
	"github.com/argtap/argtap/uprobe"
)

// inspector prints how functions of one binary would be traced.
type inspector struct {
	binary  string
	arch    *abi.Arch
	version string // of Go
	style   style
	source  source
	out     *bufio.Writer
}

// inspect prints for each function that is named how it would be traced, and a
// table for each pattern.
func inspect(args []string) error {
	fs := flag.NewFlagSet("inspect", flag.ContinueOnError)
	in := &inspector{style: styleOf(os.Stdout), out: bufio.NewWriter(os.Stdout)}
	in.source.register(fs)
	if done, err := parse(fs, args, "[flags] BINARY FUNC..."); done || err != nil {
		return err
	}
	if fs.NArg() < 1 {
		return &usageError{"inspect", "no BINARY given"}
	}
	if fs.NArg() < 2 {
		return &usageError{"inspect", "no FUNC given"}
	}
	in.binary = fs.Arg(0)
	f, err := symbols.Open(in.binary)
	if err != nil {
		return err
	}
	in.arch = abi.ArchFor(f.GOARCH())
	in.version, _ = f.GoVersion()
	f.Close()

	var failed error
	for i, name := range fs.Args()[1:] {
		if i > 0 {
			fmt.Fprintln(in.out)
		}
		inspectOne := in.function
		if symbols.IsPattern(name) {
			inspectOne = in.pattern
		}
		if err := inspectOne(name); err != nil {
			if failed != nil {
				complain(failed)
			}
			failed = err
		}
	}
	if err := in.out.Flush(); err != nil {
		return err
	}
	return failed
}

// function prints everything about one function, or about all code of a generic
// one.
func (in *inspector) function(name string) error {
	funcs, err := uprobe.Inspect(in.binary, name, in.source.options()...)
	if err != nil {
		return err
	}
	for i, f := range funcs {
		if i > 0 {
			fmt.Fprintln(in.out)
		}
		in.describe(f)
	}
	return nil
}

func (in *inspector) describe(f *uprobe.Func) {
	p := f.EntryProbe()
	version := ""
	if in.version != "" {
		version = ", " + in.version
	}
	fmt.Fprintln(in.out, in.style.paint(bold, printable(f.Name())))
	about := table{style: in.style, indent: "  "}
	fact := func(name, text string) { about.row(cell{name, dim}, cell{text, ""}) }
	placeFacts(f, fact)
	signature := f.Signature().String()
	if !f.SignatureKnown() {
		signature = "unknown"
	}
	fact("signature", signature)
	source := f.Source().String()
	if d := f.SourceDetail(); d != "" {
		source += ": " + d
	}
	fact("source", source)
	fact("entry", fmt.Sprintf("%#x, %d bytes%s", uint64(f.Entry()), f.Size(), version))
	fact("probe", fmt.Sprintf("%#x  %s", uint64(p.Addr), p.Instruction))
	fact("cost", steps(p))
	fact("why there", f.Why())
	fact("record", recordSize(f))
	about.print(in.out)

	args := table{style: in.style, indent: "    "}
	for i, p := range f.Params() {
		missing := few(in.missingOf(f, i))
		first, colour := "", ""
		if len(missing) > 0 {
			first, colour = missing[0], yellow
		}
		args.row(cell{p.Name, cyan}, cell{p.TypeName(), ""}, cell{p.LocationText(), ""},
			cell{p.Source, dim}, cell{first, colour})
		for _, m := range missing[min(1, len(missing)):] {
			args.row(cell{}, cell{}, cell{}, cell{}, cell{m, colour})
		}
	}
	what := argumentsHeading(f)
	switch {
	case !f.SignatureKnown():
		what = "arguments unknown: nothing describes those of assembly and of C"
	case len(f.Params()) == 0:
		what = "no arguments"
	}
	fmt.Fprintf(in.out, "  %s\n", in.style.paint(dim, what))
	args.print(in.out)
	in.results(f)
	in.captures(f)
	in.instances(f)
	in.copies(f)
}

// maxInstances is how many instances of generic code are shown.
const maxInstances = 20

// instances prints which instances of a generic function share its code.
func (in *inspector) instances(f *uprobe.Func) {
	all := f.Instances()
	if len(all) == 0 {
		return
	}
	fmt.Fprintf(in.out, "  %s\n", in.style.paint(dim, "instances with this code, and their signatures: a call tells of which it is, and so the true types"))
	t := table{style: in.style, indent: "    "}
	for _, i := range all[:min(len(all), maxInstances)] {
		t.row(cell{printable(i.Name), cyan}, cell{i.Signature.String(), ""})
	}
	t.print(in.out)
	if n := len(all) - maxInstances; n > 0 {
		fmt.Fprintf(in.out, "    and %d more\n", n)
	}
}

// captures prints the expressions of -capture.
func (in *inspector) captures(f *uprobe.Func) {
	if len(f.Captures()) == 0 {
		return
	}
	exprs := table{style: in.style, indent: "    "}
	for _, c := range f.Captures() {
		how := c.LocationText()
		switch {
		case c.Maps:
			how = "looked up in what is captured of the map"
		case how == "":
			how = "computed by the probe"
		}
		exprs.row(cell{c.Expr, cyan}, cell{c.TypeName(), ""}, cell{how, dim})
	}
	fmt.Fprintf(in.out, "  %s\n", in.style.paint(dim, "captured instead: expression, type, where it comes from"))
	exprs.print(in.out)
}

func steps(p uprobe.Probe) string {
	if p.Emulated {
		return "emulated by the kernel"
	}
	return "single-stepped by the kernel, which takes several times as long as to emulate it"
}

func recordSize(f *uprobe.Func) string {
	least, most := f.RecordSize()
	if least == most {
		return fmt.Sprintf("%d bytes a call", least)
	}
	return fmt.Sprintf("%d to %d bytes a call", least, most)
}

// pattern prints a table of the functions that match a pattern, and how many
// can be traced.
func (in *inspector) pattern(pattern string) error {
	var (
		rows     = table{style: in.style}
		failures = map[string]int{}
		sources  = map[string]int{}
		absences = map[string]int{}

		total, emulated, complete int
	)
	err := uprobe.InspectAll(in.binary, pattern, func(name string, f *uprobe.Func, err error) bool {
		total++
		if err != nil {
			why, kind := reason(err)
			failures[kind]++
			rows.row(cell{name, bold}, cell{"-", ""}, cell{"-", ""}, cell{"cannot be traced", red}, cell{why, ""})
			return true
		}
		p := f.EntryProbe()
		how, colour := "emulated", green
		if p.Emulated {
			emulated++
		} else {
			how, colour = "single-stepped", yellow
		}
		sources[f.Source().String()]++
		args := "arguments unknown"
		if f.SignatureKnown() {
			whole := 0
			for i := range f.Params() {
				missing := in.missingOf(f, i)
				if len(missing) == 0 {
					whole++
				}
				for _, m := range missing {
					_, why, nested := strings.Cut(m, ": ")
					if !nested {
						why = m
					}
					absences[why]++
				}
			}
			if whole == len(f.Params()) {
				complete++
			}
			args = fmt.Sprintf("%d of %d arguments whole", whole, len(f.Params()))
		}
		rows.row(cell{name, bold}, cell{fmt.Sprintf("%#x", uint64(p.Addr)), dim}, cell{p.Instruction, ""},
			cell{how, colour}, cell{args, ""})
		return true
	}, in.source.options()...)
	if err != nil {
		return err
	}
	rows.print(in.out)
	traced := total - sum(failures)
	fmt.Fprintf(in.out, "\ntotal: %d functions, %d can be traced, %d on an emulated instruction, %d with all arguments whole\n",
		total, traced, emulated, complete)
	in.counts(fmt.Sprintf("%d cannot be traced:\n", sum(failures)), failures)
	in.counts("signatures come from:\n", sources)
	in.counts("of arguments is missing, by number of places:\n", absences)
	if traced == 0 {
		return fmt.Errorf("none of the %d functions that match %s can be traced", total, pattern)
	}
	return nil
}

func sum(counts map[string]int) (n int) {
	for _, c := range counts {
		n += c
	}
	return n
}

// counts prints a table of numbers and what they count, the greatest first.
func (in *inspector) counts(title string, counts map[string]int) {
	if len(counts) == 0 {
		return
	}
	fmt.Fprint(in.out, title)
	t := table{style: in.style, indent: "  "}
	for _, k := range byCount(counts) {
		t.row(cell{fmt.Sprintf("%6d", counts[k]), ""}, cell{k, ""})
	}
	t.print(in.out)
}

// byCount returns the keys of counts, the most frequent first.
func byCount(counts map[string]int) []string {
	return slices.SortedFunc(maps.Keys(counts), func(a, b string) int {
		return cmp.Or(cmp.Compare(counts[b], counts[a]), cmp.Compare(a, b))
	})
}

// reason returns why a function cannot be traced, and the kind of reason to
// count it under.
func reason(err error) (why, kind string) {
	var fe *uprobe.FuncError
	if errors.As(err, &fe) {
		err = fe.Err
	}
	for _, known := range []error{
		uprobe.ErrNoSite, uprobe.ErrNoDebugInfo, uprobe.ErrInlined, uprobe.ErrArch, symbols.ErrNoCode, uprobe.ErrExpr,
	} {
		if errors.Is(err, known) {
			return err.Error(), known.Error()
		}
	}
	return err.Error(), err.Error()
}

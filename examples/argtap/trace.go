package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/argtap/argtap/uprobe"
)

// request is what trace was asked for.
type request struct {
	whose    whose
	json     bool
	count    bool
	results  bool
	limit    int // calls; 0 for no limit
	duration time.Duration
	binary   string
	funcs    []string
	command  []string // nil if there is none
	source   source
	throttle throttle
	stacks   stacks
	counted  aggregate
}

const traceSynopsis = `[flags] BINARY FUNC... [-- COMMAND ARGS...]

Prints the calls of the functions, one a line, by every process that runs BINARY.
It attaches first and then starts COMMAND, whose output goes to standard error.
It ends when COMMAND ends, after -n calls, after -duration, or on an interrupt.
A COMMAND that still runs then is ended with it, and its status does not count.

flags:`

func parseTrace(args []string) (r *request, done bool, err error) {
	r = &request{}
	fs := flag.NewFlagSet("trace", flag.ContinueOnError)
	r.whose.register(fs)
	fs.BoolVar(&r.json, "json", false, "print each call as a JSON object")
	fs.BoolVar(&r.count, "count", false, "print no calls, only count them")
	fs.BoolVar(&r.results, "results", false, "print calls when they return, with results and duration")
	fs.IntVar(&r.limit, "n", 0, "end after `N` calls")
	fs.DurationVar(&r.duration, "duration", 0, "end after `D`, such as 10s or 1m30s")
	r.source.register(fs)
	r.throttle.register(fs)
	r.stacks.register(fs)
	r.counted.register(fs)
	own, command := splitCommand(args)
	if done, err := parse(fs, own, traceSynopsis); done || err != nil {
		return nil, done, err
	}
	fail := func(format string, args ...any) (*request, bool, error) {
		return nil, false, &usageError{"trace", fmt.Sprintf(format, args...)}
	}
	given := map[string]bool{}
	empty := ""
	fs.Visit(func(f *flag.Flag) {
		given[f.Name] = true
		if isEmpty(f.Value) {
			empty = f.Name
		}
	})
	switch {
	case empty != "":
		// As of a variable of the shell that is not set: without the flag all would be shown.
		return fail("-%s is given, and empty: leave it out, or give it a value", empty)
	case given["n"] && r.limit <= 0:
		return fail("-n %d: the number of calls must be positive", r.limit)
	case r.stacks.depth < 1 || r.stacks.depth > 127:
		return fail("-frames %d: must be between 1 and 127", r.stacks.depth)
	case given["frames"] && !r.stacks.show && r.stacks.file == "" && !r.counted.byStack():
		return fail("-frames is for -stack and -pprof, and for counts by stack")
	case given["duration"] && r.duration <= 0:
		return fail("-duration %v: must be positive", r.duration)
	case fs.NArg() < 1:
		return fail("no BINARY given")
	case command != nil && len(command) == 0:
		return fail("no COMMAND behind --")
	}
	if r.binary, r.funcs = r.whose.binary(fs.Args()); len(r.funcs) == 0 {
		return fail("no FUNC given")
	}
	for _, fn := range r.funcs {
		if _, err := os.Stat(fn); err == nil && strings.Contains(fn, "/") && !uprobe.IsLine(fn) {
			return fail("FUNC %s is a file: a command to start comes behind --", fn)
		}
	}
	if why := r.counted.check(r); why != "" {
		return fail("%s", why)
	}
	r.command = command
	return r, false, nil
}

// trace prints calls until one of the ends that the usage lists.
func trace(args []string) error {
	r, done, err := parseTrace(args)
	if done || err != nil {
		return err
	}
	var cmd *command
	if r.command != nil {
		// A mistake in its name should show before anything is attached.
		if cmd, err = newCommand(r.command); err != nil {
			return err
		}
	}
	interrupts := make(chan os.Signal, 4)
	signal.Notify(interrupts, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)

	out := newSink(os.Stdout, r)
	opts := []uprobe.Option{uprobe.WithFuncs(r.funcs[1:]...), uprobe.WithLogger(slog.New(warnings{}))}
	opts = append(opts, r.source.options()...)
	opts = append(opts, r.throttle...)
	stackOpts, err := r.stacks.options(r.counted.byStack())
	if err != nil {
		return err
	}
	opts = append(opts, stackOpts...)
	opts = append(opts, r.counted.options()...)
	handler := out.call
	if r.counted.wanted() {
		handler = nil
	}
	if r.results {
		opts = append(opts, uprobe.WithResults())
	}
	opts = append(opts, r.whose.options()...)
	attached := make(chan struct{})
	go func() {
		select {
		case <-attached:
		case sig := <-interrupts:
			select {
			case <-attached: // meanwhile
				interrupts <- sig
				return
			default:
			}
			complain(errors.New("interrupted before the probes were in place"))
			os.Exit(1) // the kernel removes what was attached
		}
	}()
	t, err := uprobe.Trace(r.binary, r.funcs[0], handler, opts...)
	close(attached)
	if err != nil {
		return needsResults(err, r.results)
	}
	announce(r, t)
	if r.results {
		announceMissing(t)
	}
	var counts *board
	if r.counted.wanted() {
		counts = startBoard(t, r.json)
	}
	err = follow(r, t, out, cmd, interrupts)
	if counts != nil {
		err = errors.Join(err, counts.finish())
	}
	failed := cmd.stop()
	// The counts come last, so errors are told before.
	var code exitCode
	for _, e := range []error{err, failed, r.stacks.close()} {
		switch {
		case e == nil || errors.As(e, &code):
		default:
			complain(e)
			code = max(code, 1)
		}
	}
	out.summary(t.Stats())
	if code != 0 {
		return code
	}
	return nil
}

// announce says on standard error what is traced.
func announce(r *request, t *uprobe.Tracer) {
	what := printable(t.Funcs()[0].Name())
	if file, line := t.Funcs()[0].Line(); file != "" {
		what = fmt.Sprintf("%s:%d in %s", printable(file), line, what)
	}
	if n := len(t.Funcs()); n > 1 {
		what = fmt.Sprintf("%d functions", n)
	}
	fmt.Fprintf(os.Stderr, "argtap: tracing %s in %s\n", what, r.whose.describe(r.binary))
	left, wrappers := leftOut(t)
	if wrappers > 0 {
		fmt.Fprintf(os.Stderr, "argtap: %d of the functions are wrappers of methods, traced as calls of these\n", wrappers)
	}
	if len(left) > 0 {
		kinds := map[string]int{}
		for _, err := range left {
			_, kind := reason(err)
			kinds[kind]++
		}
		var why []string
		for _, k := range byCount(kinds) {
			why = append(why, fmt.Sprintf("%s (%d)", k, kinds[k]))
		}
		fmt.Fprintf(os.Stderr, "argtap: cannot trace %d of the functions: %s: \"argtap inspect\" tells more\n",
			len(left), strings.Join(why, ", "))
	}
}

// leftOut returns why functions cannot be traced, without the wrappers all of whose
// calls are seen as calls of their methods, and the number of those.
func leftOut(t *uprobe.Tracer) (left []error, wrappers int) {
	traced := map[string]bool{}
	for _, f := range t.Funcs() {
		traced[f.Name()] = true
	}
	for _, err := range t.LeftOut() {
		var of *uprobe.FuncError
		if errors.Is(err, uprobe.ErrWrapper) && errors.As(err, &of) && !traced[of.Func] {
			wrappers++
		} else {
			left = append(left, err)
		}
	}
	return left, wrappers
}

// announceMissing says of which functions no results can be printed.
func announceMissing(t *uprobe.Tracer) {
	kinds := map[string]int{}
	var name string
	for _, f := range t.Funcs() {
		if why := f.NoResults(); why != "" {
			kinds[why]++
			name = f.Name()
		}
	}
	for _, why := range byCount(kinds) {
		who := printable(name)
		if n := kinds[why]; n > 1 || len(kinds) > 1 {
			who = fmt.Sprintf("%d of the functions", n)
		}
		fmt.Fprintf(os.Stderr, "argtap: no results of %s, whose calls are printed at their entry: %s\n", who, why)
	}
}

// follow runs the command, if there is one, and waits for the end. It returns
// when everything that was captured is printed.
func follow(r *request, t *uprobe.Tracer, out *sink, cmd *command, interrupts <-chan os.Signal) (err error) {
	var timeout <-chan time.Time
	if r.duration > 0 {
		timeout = time.After(r.duration)
	}
	if cmd != nil {
		err = cmd.start()
	}
	if err == nil {
		select {
		case <-cmd.ended():
		case <-out.enough:
		case <-timeout:
		case <-ended(r, t, cmd):
		case sig := <-interrupts:
			// Calls that the command makes while it ends still count.
			cmd.interrupt(sig, interrupts)
		}
	}
	// A second interrupt must find a way out even if standard output is stuck.
	go func() {
		for range interrupts {
			cmd.kill()
			os.Exit(1)
		}
	}()
	return errors.Join(err, t.Close(), out.close())
}

// warnings is a slog handler that prints what the tracer warns of, in the
// form of the tool's other messages.
type warnings struct{}

func (warnings) Enabled(_ context.Context, l slog.Level) bool { return l >= slog.LevelWarn }

func (warnings) Handle(_ context.Context, r slog.Record) error {
	text := r.Message
	r.Attrs(func(a slog.Attr) bool {
		text += fmt.Sprintf(": %v", a.Value)
		return true
	})
	complain(errors.New(text))
	return nil
}

func (w warnings) WithAttrs([]slog.Attr) slog.Handler { return w }
func (w warnings) WithGroup(string) slog.Handler      { return w }

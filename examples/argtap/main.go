// Command argtap shows the arguments of functions in running Go programs.
//
//	argtap list    BINARY [PATTERN]
//	argtap inspect BINARY FUNC...
//	argtap trace   [flags] BINARY FUNC... [-- COMMAND ARGS...]
//	argtap trace   -p PID [flags] FUNC...
//
// list prints the functions that a binary has. inspect shows how functions
// would be traced, without any privileges. trace prints their calls, those of
// all processes that run the binary.
//
// FUNC is a function's full name, such as main.(*Server).Serve, or a pattern in
// which * stands for any run of characters and ? for one: 'main.(*Server).*'.
//
// Standard output holds results only; everything else goes to standard error.
// The exit status of trace is that of COMMAND where it fails by itself; 1 for
// an error of argtap's own; else 0.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"syscall"
)

const usage = `argtap shows the arguments of functions in running Go programs.

usage:
  argtap list    BINARY [PATTERN]                            functions of a binary
  argtap inspect BINARY FUNC...                              how they would be traced; needs no privileges
  argtap trace   [flags] BINARY FUNC... [-- COMMAND ARGS...] print their calls; needs root or capabilities

FUNC is a full name such as 'main.(*Server).Serve', or a pattern in which * stands for any characters
and ? for one: 'main.(*Server).*'. BINARY is the path of the program's file.

examples:
  argtap list ./app 'main.*'
  argtap inspect ./app main.computeE
  argtap trace ./app main.computeE
  argtap trace -json -n 10 ./app 'main.*' -- ./app -port 8080

"argtap trace -h" lists the flags.
`

// exitCode is an error that is an exit status and needs no message any more.
type exitCode int

func (e exitCode) Error() string { return fmt.Sprintf("exit status %d", int(e)) }

// usageError is a mistake in the command line of a subcommand.
type usageError struct{ command, text string }

func (e *usageError) Error() string {
	if e.command == "" {
		return e.text + `: see "argtap -h"`
	}
	return fmt.Sprintf(`%s: %s: see "argtap %s -h"`, e.command, e.text, e.command)
}

func main() { os.Exit(status(run(os.Args[1:]))) }

// status prints an error, if it has anything to say, and returns the exit
// status that it stands for.
func status(err error) int {
	var code exitCode
	switch {
	case err == nil:
		return 0
	case errors.As(err, &code):
		return int(code)
	case errors.Is(err, syscall.EPIPE):
		return 0 // whoever read our output has seen enough
	}
	complain(err)
	return 1
}

// complain prints an error in one line.
func complain(err error) {
	text := strings.Join(strings.Fields(strings.ReplaceAll(err.Error(), "\n", "; ")), " ")
	fmt.Fprintf(os.Stderr, "argtap: %s\n", printable(text))
}

func run(args []string) error {
	keepSIGPIPE()
	if len(args) == 0 {
		return &usageError{"", "no command given: list, inspect or trace"}
	}
	switch args[0] {
	case "list":
		return list(args[1:])
	case "inspect":
		return inspect(args[1:])
	case "trace":
		return trace(args[1:])
	case "help", "-h", "-help", "--help":
		_, err := io.WriteString(os.Stdout, usage)
		return err
	}
	return &usageError{"", fmt.Sprintf("unknown command %q: it is one of list, inspect and trace", args[0])}
}

// parse parses the flags of a subcommand. It returns done if it was asked for
// help, and gave it.
func parse(fs *flag.FlagSet, args []string, synopsis string) (done bool, err error) {
	fs.SetOutput(io.Discard)
	fs.Usage = func() {}
	switch err := fs.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		fmt.Printf("usage: argtap %s %s\n", fs.Name(), synopsis)
		fs.SetOutput(os.Stdout)
		fs.PrintDefaults()
		return true, nil
	case err != nil:
		text, ok := strings.CutSuffix(err.Error(), ": parse error")
		switch {
		case ok && strings.Contains(text, "flag -duration"):
			text += ": a duration has a unit, as 10s or 1m30s"
		case ok && strings.HasPrefix(text, "invalid value"):
			text += ": it is no number"
		default:
			text = err.Error()
		}
		return false, &usageError{fs.Name(), text}
	}
	for i, arg := range fs.Args() {
		if i > 0 && len(arg) > 1 && arg[0] == '-' {
			return false, &usageError{fs.Name(), fmt.Sprintf("%q stands behind BINARY: flags go before it", arg)}
		}
	}
	return false, nil
}

// splitCommand splits the arguments at the first "--". command is nil if there
// is none.
func splitCommand(args []string) (own, command []string) {
	if i := slices.Index(args, "--"); i >= 0 {
		return args[:i], args[i+1:]
	}
	return args, nil
}

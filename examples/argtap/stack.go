package main

import (
	"flag"
	"fmt"
	"os"
	"strings"

	"github.com/argtap/argtap/uprobe"
	"github.com/argtap/argtap/uprobe/pprof"
)

// stacks is what trace was asked for about the stacks of calls.
type stacks struct {
	show    bool
	depth   int
	file    string // of the profile, "" for none
	profile *pprof.Profile
	out     *os.File
}

func (s *stacks) register(fs *flag.FlagSet) {
	fs.BoolVar(&s.show, "stack", false, "print the Go stack of each call, and what made its goroutine")
	fs.IntVar(&s.depth, "frames", 32, "with -stack, -pprof and counts by stack: `N` frames of callers, at most 127")
	fs.StringVar(&s.file, "pprof", "", "write a profile of the calls by their stacks to `FILE`, for go tool pprof")
}

// options returns the tracer's options, and makes the file of the profile: a mistake
// in its name should show before anything is attached. counted says that calls are
// counted by their stacks.
func (s *stacks) options(counted bool) ([]uprobe.Option, error) {
	if s.file != "" {
		f, err := os.Create(s.file)
		if err != nil {
			return nil, fmt.Errorf("-pprof: %w", err)
		}
		s.out, s.profile = f, pprof.New()
	}
	if !s.show && s.file == "" && !counted {
		return nil, nil
	}
	return []uprobe.Option{uprobe.WithStack(s.depth)}, nil
}

// add counts a call in the profile.
func (s *stacks) add(c *uprobe.Call) {
	if s.profile != nil {
		s.profile.Add(c)
	}
}

// with adds the stack to how a call is printed.
func (s *stacks) with(format func([]byte, *uprobe.Call) []byte) func([]byte, *uprobe.Call) []byte {
	if !s.show {
		return format
	}
	return func(b []byte, c *uprobe.Call) []byte {
		b = format(b, c)
		for line := range strings.Lines(c.Stack().String() + c.Creation().String()) {
			text := strings.TrimLeft(line, "\t")
			b = append(b, "\n\t"...)
			b = append(b, line[:len(line)-len(text)]...)
			b = append(b, printable(strings.TrimSuffix(text, "\n"))...)
		}
		return b
	}
}

// close writes the profile.
func (s *stacks) close() error {
	if s.out == nil {
		return nil
	}
	err := s.profile.Write(s.out)
	if cerr := s.out.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return fmt.Errorf("-pprof %s: %w", s.file, err)
	}
	return nil
}

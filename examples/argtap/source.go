package main

import (
	"flag"
	"strings"

	"github.com/argtap/argtap/uprobe"
)

// source are the flags that say where signatures come from, for trace and
// inspect alike.
type source struct {
	signatures signatures
	debugFile  string
}

func (s *source) register(fs *flag.FlagSet) {
	fs.Var(&s.signatures, "signature", "the `SIGNATURE` of functions that the binary does not describe, as\n"+
		"'func(n int64) float64', or FUNC=SIGNATURE for one of several; may be repeated")
	fs.StringVar(&s.debugFile, "debug-file", "", "read debug information from `FILE`")
}

func (s *source) options() []uprobe.Option {
	var opts []uprobe.Option
	for _, text := range s.signatures {
		// The name of a function has no '=' and no space before "func".
		if fn, sig, ok := strings.Cut(text, "=func"); ok {
			opts = append(opts, uprobe.WithSignature("func"+sig, fn))
		} else {
			opts = append(opts, uprobe.WithSignature(text))
		}
	}
	if s.debugFile != "" {
		opts = append(opts, uprobe.WithDebugFile(s.debugFile))
	}
	return opts
}

// signatures is a flag that may be repeated.
type signatures []string

func (s *signatures) String() string { return strings.Join(*s, " ") }

func (s *signatures) Set(text string) error {
	*s = append(*s, text)
	return nil
}

package main

import (
	"flag"
	"slices"
	"strings"

	"github.com/argtap/argtap/uprobe"
)

// source are the flags that say where signatures come from, what is captured, and
// what is redacted,
// for trace and inspect alike.
type source struct {
	signatures repeated
	debugFile  string
	captures   repeated
	where      string
	redact     repeated
	noRedact   bool
	inlined    bool
	uncertain  bool
}

func (s *source) register(fs *flag.FlagSet) {
	fs.Var(&s.signatures, "signature", "the `SIGNATURE` of functions that the binary does not describe, as\n"+
		"'func(n int64) float64', or FUNC=SIGNATURE for one of several; may be repeated")
	fs.Var(&s.captures, "capture", "capture the value of `EXPR`, in Go over the parameters, instead of the\n"+
		"parameters, as 'r.URL.Path' or 'len(body)'; may be repeated")
	fs.StringVar(&s.where, "where", "", "only calls for which `EXPR` is true, a condition in Go over the parameters,\n"+
		"as 'n > 1000 && r.Method == \"GET\"'; with -results, -count-by or -hist also over\n"+
		"results by name or as result0, duration and panicked:\n"+
		"'err != nil || duration > 10ms';\n"+
		"the others are counted as filtered")
	fs.StringVar(&s.debugFile, "debug-file", "", "read debug information from `FILE`")
	fs.Var(&s.redact, "redact", "redact what is called `NAME` too: parameters and fields in whose names\n"+
		"it is a word, as password, or values of a type, as http.Cookie, or of\n"+
		"those of a package, as crypto/rsa.*; may be repeated")
	fs.BoolVar(&s.inlined, "inlined", false, "also the calls in whose place the compiler has put the function's body")
	fs.BoolVar(&s.uncertain, "uncertain", false, "show variables of lines in optimised code that may be out of date, as x~=5")
	fs.BoolVar(&s.noRedact, "no-redact", false, "show passwords, tokens and whatever else is redacted by default")
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
	if s.inlined {
		opts = append(opts, uprobe.WithInlined())
	}
	if s.uncertain {
		opts = append(opts, uprobe.WithUncertain())
	}
	if s.debugFile != "" {
		opts = append(opts, uprobe.WithDebugFile(s.debugFile))
	}
	if s.where != "" {
		opts = append(opts, uprobe.WithCondition(s.where))
	}
	if len(s.captures) > 0 {
		opts = append(opts, uprobe.WithCapture(s.captures...))
	}
	if s.noRedact {
		opts = append(opts, uprobe.WithoutRedaction())
	}
	if len(s.redact) > 0 {
		opts = append(opts, uprobe.WithRedact(s.redact...))
	}
	return opts
}

// repeated is a flag that may be repeated.
type repeated []string

func (s *repeated) String() string { return strings.Join(*s, " ") }

func (s *repeated) Set(text string) error {
	*s = append(*s, text)
	return nil
}

// isEmpty reports whether a flag was given a text that is empty.
func isEmpty(v flag.Value) bool {
	switch v := v.(type) {
	case *repeated:
		return slices.Contains(*v, "")
	case flag.Getter:
		return v.Get() == ""
	}
	return false
}

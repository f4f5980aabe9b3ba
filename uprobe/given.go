package uprobe

import (
	"slices"

	"github.com/argtap/argtap/symbols"
)

// givenSignature is an argument of [WithSignature].
type givenSignature struct {
	text  string
	funcs []string // names and patterns; all functions if there are none
	used  bool     // for some function
}

func (g *givenSignature) holdsFor(name string) bool {
	for _, p := range g.funcs {
		if p == name || symbols.IsPattern(p) && symbols.Match(p, name) {
			return true
		}
	}
	return len(g.funcs) == 0
}

// givenFor returns the signature that was given for a function, nil if none was.
func (o *options) givenFor(name string) *givenSignature {
	for i := len(o.given) - 1; i >= 0; i-- {
		if o.given[i].holdsFor(name) {
			return &o.given[i]
		}
	}
	return nil
}

// warnUnused tells of signatures that nothing was described by: their user
// waits for values that do not come.
func (o *options) warnUnused(funcs []*Func) {
	for i := range o.given {
		g := &o.given[i]
		if g.used {
			continue
		}
		why := "no function that is traced has a name that it is for"
		if slices.ContainsFunc(funcs, func(f *Func) bool { return g.holdsFor(f.name) }) {
			why = "the binary itself describes the functions that it is for, or a later one replaces it"
		}
		o.log.Warn("signature not used", "signature", g.text, "why", why)
	}
}

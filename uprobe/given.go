package uprobe

import (
	"github.com/argtap/argtap/symbols"
)

// givenSignature is an argument of [WithSignature].
type givenSignature struct {
	text  string
	funcs []string // names and patterns; all functions if there are none
}

func (g *givenSignature) holdsFor(name string) bool {
	for _, p := range g.funcs {
		if p == name || symbols.IsPattern(p) && symbols.Match(p, name) {
			return true
		}
	}
	return len(g.funcs) == 0
}

// given returns the signature that was given for a function.
func (o *options) givenFor(name string) (text string, ok bool) {
	for i := len(o.given) - 1; i >= 0; i-- {
		if o.given[i].holdsFor(name) {
			return o.given[i].text, true
		}
	}
	return "", false
}

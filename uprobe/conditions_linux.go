package uprobe

import (
	"fmt"

	"github.com/argtap/argtap/internal/capture"
)

// checkReturns works out what must be kept of open calls for the conditions of their
// returns. Where this kernel cannot join a function's entry and return there is
// nothing that could decide: an error, for all its calls would be shown.
func (k *kernel) checkReturns(funcs []*Func) error {
	for _, s := range entrySites(funcs) {
		k.kept = max(k.kept, s.KeptWords())
	}
	for _, f := range funcs {
		if f.asks() && !f.pairsNow() {
			return &FuncError{f.name, fmt.Errorf("the condition %s needs what is known only when the call returns: %w: %s",
				f.atReturn.texts[0], ErrKernel, f.noResults)}
		}
	}
	return nil
}

// keepFor adds what an entry keeps for the conditions of the return.
func (e *entrySite) keepFor(f *Func) {
	r := f.atReturn
	switch {
	case r == nil:
	case f.aggregated != nil:
		e.Keep, e.FirstLater = r.keep, f.asks()
		if f.aggregated.program.Unwinds { // else what is left by a panic is not seen
			e.Unwound = r.unwoundIf
		}
	default:
		e.Keep, e.Unwound, e.FirstLater = r.keep, r.unwoundIf, true
	}
}

// askFor adds the conditions of the return.
func (e *entrySite) askFor(f *Func) {
	if r := f.atReturn; r != nil {
		e.Where = append([]*capture.Expr(nil), r.where...)
		e.FirstLater = f.aggregated != nil && f.asks()
	}
}

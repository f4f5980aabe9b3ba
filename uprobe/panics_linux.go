package uprobe

import "github.com/argtap/argtap/internal/capture"

// needPanics makes the plans of panics such that this kernel can carry them out, and
// the maps that they need.
func (k *kernel) needPanics(funcs []*Func, witnesses []witness) error {
	if k.open == nil {
		return nil
	}
	for _, w := range witnesses {
		if !k.caps.loops && len(w.fn.inputs) > 0 {
			limits := k.opts.paired().limits
			limits.NoLoops = true
			goid := w.fn.plan.Goroutine
			w.fn.plan = capture.Build(w.fn.arch, w.fn.inputs, limits)
			w.fn.plan.Goroutine = goid
		}
		if err := k.needPlanMaps(w.fn.plan, funcs); err != nil {
			return err
		}
	}
	return nil
}

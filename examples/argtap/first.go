package main

import (
	"errors"
	"fmt"

	"github.com/argtap/argtap/uprobe"
)

// needsResults says of a condition over results which flag is missing.
func needsResults(err error, results bool) error {
	var e *uprobe.ExprError
	if errors.As(err, &e) && e.NeedsResults && !results {
		return fmt.Errorf("%w: add the flag -results", err)
	}
	return err
}

// ended returns a channel that is closed when the tracer has ended and the trace is to
// end with it. When -first was all that was asked for, the command may go on to
// its own end.
func ended(r *request, t *uprobe.Tracer, cmd *command) <-chan struct{} {
	if cmd == nil || len(r.whose.pids) > 0 {
		return t.Done()
	}
	failed := make(chan struct{})
	go func() {
		if t.Wait() != nil {
			close(failed)
		}
	}()
	return failed
}

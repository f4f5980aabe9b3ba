//go:build !linux

package uprobe

import (
	"fmt"
	"runtime"
)

// kernel stands for the kernel's side of a tracer, which only Linux has.
type kernel struct{}

// processes stands for what follows processes.
type processes struct{}

// firsts removes probes.
type firsts struct{}

func (k *kernel) counts() kernelCounts { return kernelCounts{} }

func (k *kernel) tallies() ([]tally, error) { return nil, nil }

func (t *Tracer) start(path string, patterns []string) error {
	return fmt.Errorf("%s: %w: uprobes need Linux, this is %s; Inspect works here", path, ErrKernel, runtime.GOOS)
}

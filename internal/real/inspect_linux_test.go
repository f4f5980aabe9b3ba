package real

import (
	"runtime"
	"runtime/debug"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/argtap/argtap/uprobe"
)

// TestInspect works out how every function of each program would be traced. It
// must neither panic nor take memory without bounds, and say of each function
// where its signature comes from or why it cannot be traced.
func TestInspect(t *testing.T) {
	each(t, func(t *testing.T, p *program, path string, _ []string) {
		debug.FreeOSMemory()
		peak, stop := watchHeap()
		sources, failures, absences := map[string]int{}, map[string]int{}, map[string]int{}
		functions, params, traceable := 0, 0, 0
		err := uprobe.InspectAll(path, "*", func(name string, f *uprobe.Func, err error) bool {
			functions++
			if err != nil {
				failures[reason(err)]++
				return true
			}
			traceable++
			sources[f.Source().String()]++
			for _, p := range f.Params() {
				params++
				if why, absent := p.Absent(); absent {
					absences[why]++
				}
			}
			return true
		})
		stop()
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("%d functions, %d can be traced; signatures %v; %d parameters, absent %v; failures %v; heap at its peak %d MB",
			functions, traceable, sources, params, absences, failures, peak.Load()>>20)
		if traceable < functions*98/100 {
			t.Errorf("%d of %d functions can be traced: %v", traceable, functions, failures)
		}
		if p.stripped && sources[uprobe.SourceDWARF.String()] > 0 || sources[uprobe.SourceGiven.String()] > 0 {
			t.Errorf("sources %v", sources)
		}
		if p.stripped && sources[uprobe.SourceTypes.String()] < functions/10 {
			t.Errorf("runtime type data describe %d of %d functions only", sources[uprobe.SourceTypes.String()], functions)
		}
		if !p.stripped && sources[uprobe.SourceDWARF.String()] < functions*95/100 {
			t.Errorf("debug information describes %d of %d functions only", sources[uprobe.SourceDWARF.String()], functions)
		}
		if n := peak.Load(); n > maxHeap {
			t.Errorf("heap of %d MB", n>>20)
		}
	})
}

// maxHeap bounds the heap while the functions of a program are inspected one
// after another: debug information is kept once it is inflated.
const maxHeap = 1 << 30

// reason is an error's text without what differs from function to function.
func reason(err error) string {
	text := err.Error()
	for _, known := range []error{uprobe.ErrNoSite, uprobe.ErrNoDebugInfo} {
		if i := strings.Index(text, known.Error()); i >= 0 {
			return known.Error()
		}
	}
	return text
}

// watchHeap samples the heap's size in bytes until stop is called.
func watchHeap() (peak *atomic.Uint64, stop func()) {
	peak = new(atomic.Uint64)
	done, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		var m runtime.MemStats
		for {
			runtime.ReadMemStats(&m)
			peak.Store(max(peak.Load(), m.HeapInuse))
			select {
			case <-done:
				return
			case <-time.After(20 * time.Millisecond):
			}
		}
	}()
	return peak, func() { close(done); <-ended }
}

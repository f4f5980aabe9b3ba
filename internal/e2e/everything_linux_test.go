package e2e

import (
	"os"
	"sync/atomic"
	"testing"

	"github.com/argtap/argtap/internal/fixture"
	"github.com/argtap/argtap/uprobe"
)

// TestEverything traces every function of a program that has a probe site, returns
// too, while it does everything at once: scheduler and collector, signal handlers,
// write barriers, what runs on the system stack and what switches stacks, and C
// where there is any. Its own checks must hold. Names that no probe may be on would
// show here. It is part of the long runs.
func TestEverything(t *testing.T) {
	if os.Getenv(survivalVar) != "full" {
		t.Logf("every function of a program is traced with %s=full", survivalVar)
		return
	}
	needRoot(t)
	src := fixture.Dir(t, "testdata/storm")
	for name, tc := range map[string]fixture.Toolchain{
		"local":   {},
		"cgo":     {Flavour: fixture.Cgo},
		"1.21.13": {Release: "1.21.13"},
	} {
		t.Run(name, func(t *testing.T) {
			path := fixture.BuildWith(t, tc, src)
			target := fixture.Start(t, path, "STORM_MS=500", "STORM_GOROUTINES=20", "GOTRACEBACK=all")
			var calls atomic.Uint64
			tr := trace(t, path, []string{"*"}, func(*uprobe.Call) { calls.Add(1) },
				uprobe.WithPID(target.PID), uprobe.WithBufferSize(64<<20), uprobe.WithResults())
			target.Go()
			var end struct{ Bad, Rounds, Signals, GCs uint64 }
			target.Event("end", &end)
			target.Calls()
			if err := tr.Close(); err != nil {
				t.Error(err)
			}
			target.Close()
			if end.Bad != 0 || end.Rounds < 20 || end.Signals == 0 || end.GCs == 0 {
				t.Errorf("the program says %+v", end)
			}
			s := tr.Stats()
			if len(tr.Funcs()) < 2000 || s.Calls < 100_000 || s.Calls != sumOf(s) || s.Delivered != calls.Load() || s.LostMalformed != 0 {
				t.Errorf("%d functions, %d calls were delivered, stats %+v", len(tr.Funcs()), calls.Load(), s)
			}
			t.Logf("%d functions, %d left out; %+v", len(tr.Funcs()), len(tr.LeftOut()), s)
		})
	}
}

package e2e

import (
	"errors"
	"slices"
	"testing"

	"github.com/argtap/argtap/internal/fixture"
	"github.com/argtap/argtap/uprobe"
)

// TestFIPS has a program in FIPS 140 mode, which ends when it starts if there is a
// breakpoint in the code that it verifies. That code is not traced in processes that
// may start meanwhile; in one that runs already it is.
func TestFIPS(t *testing.T) {
	needRoot(t)
	path := fixture.Build(t, fixture.Source{"main.go": `package main

import (
	"crypto/fips140"
	"crypto/sha256"

	"fixture/truth"
)

//go:noinline
func work(n int) byte { return sha256.Sum256([]byte{byte(n)})[0] }

func main() {
	if !fips140.Enabled() {
		panic("not in FIPS 140 mode")
	}
	truth.Start()
	for {
		for i := 0; i < 20; i++ {
			work(i)
		}
		truth.Done()
	}
}
`})
	const fips, sum = "GODEBUG=fips140=on", "crypto/internal/fips140/sha256.(*Digest).Write"
	ignore := func(*uprobe.Call) {}
	for _, name := range []string{sum, "crypto/internal/fips140/sha256.*"} {
		tr, err := uprobe.Trace(path, name, ignore)
		if tr != nil {
			tr.Close()
		}
		if !errors.Is(err, uprobe.ErrFIPS) {
			t.Errorf("%s: %v", name, err)
		}
	}
	all := trace(t, path, []string{"crypto/*", "main.work"}, ignore, uprobe.WithResults())
	if !slices.ContainsFunc(all.LeftOut(), func(err error) bool { return errors.Is(err, uprobe.ErrFIPS) }) {
		t.Error("nothing is left out")
	}
	target := fixture.Start(t, path, fips)
	one := trace(t, path, []string{sum}, ignore, uprobe.WithPID(target.PID), uprobe.WithResults())
	target.Go()
	target.Calls()
	for _, tr := range []*uprobe.Tracer{all, one} {
		closeAll(t, tr)
		for _, f := range tr.FuncStats() {
			switch name := f.Func.Name(); {
			case name == "main.work" && f.Delivered == 20, name == sum && f.Delivered >= 20:
			case name == "main.work", name == sum:
				t.Errorf("%s: %+v", name, f)
			}
		}
	}
}

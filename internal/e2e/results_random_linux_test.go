package e2e

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/argtap/argtap/internal/fixture"
	"github.com/argtap/argtap/uprobe"
)

// randomResults generates a program that announces results.
func randomResults(seed uint64) fixture.Program { return fixture.GenerateResults(seed, 60) }

// TestRandomResults compares arguments and results of generated programs.
func TestRandomResults(t *testing.T) {
	needRoot(t)
	total := &fixture.Report{}
	for seed := uint64(104); seed < 109; seed++ {
		b := builds[seed%uint64(len(builds))]
		t.Run(fmt.Sprintf("%s/%d", b.name, seed), func(t *testing.T) {
			p := randomResults(seed)
			total.Add(testRandomResults(t, fixture.Build(t, p.Source, b.flags...), p))
		})
	}
	t.Log(total)
	if total.Calls < 1000 {
		t.Errorf("%d calls", total.Calls)
	}
}

func testRandomResults(t *testing.T, path string, p fixture.Program) *fixture.Report {
	lim := fixture.Limits{String: 512, Elems: 64, Bytes: 4096}
	symbols := p.Symbols(t, path)
	funcs := slices.Compact(slices.Sorted(maps.Values(symbols)))
	target := fixture.Start(t, path)
	var args, results []fixture.Call
	tr := trace(t, path, funcs, func(c *uprobe.Call) {
		line, err := c.MarshalJSON()
		if err != nil {
			t.Error(err)
			return
		}
		call, err := fixture.ParseCall(line)
		var end struct{ Results []fixture.Arg }
		if err == nil {
			err = json.Unmarshal(line, &end)
		}
		if _, ok := c.Duration(); err != nil || !ok {
			t.Errorf("%v: %v", c, err)
		}
		args = append(args, call)
		call.Func += fixture.ResultsSuffix
		call.Args = end.Results
		results = append(results, call)
	}, uprobe.WithPID(target.PID), uprobe.WithResults(),
		uprobe.WithLimits(uprobe.Limits{String: lim.String, Elems: lim.Elems, Bytes: lim.Bytes}))
	target.Go()
	for name, symbol := range maps.Clone(symbols) {
		symbols[name+fixture.ResultsSuffix] = symbol + fixture.ResultsSuffix
	}
	want := fixture.Rename(target.Calls(), symbols)
	s := closeAll(t, tr)
	addsUp(t, s, len(want)/2)
	// The program announces arguments in the order of the entries.
	slices.SortStableFunc(args, func(a, b fixture.Call) int { return entered(t, a).Compare(entered(t, b)) })
	target.Close()
	r := fixture.Compare(want, append(args, results...), lim)
	check(t, r, fmt.Sprintf("seed %d", p.Seed))
	compared(t, len(want)/2)
	return r
}

func entered(t *testing.T, c fixture.Call) time.Time {
	var at time.Time
	if err := json.Unmarshal(c.Time, &at); err != nil {
		t.Errorf("%s: %v", strings.TrimSpace(string(c.Time)), err)
	}
	return at
}

package e2e

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/argtap/argtap/internal/fixture"
	"github.com/argtap/argtap/uprobe"
)

// randomResults generates a program that announces results.
func randomResults(seed uint64) fixture.Program { return fixture.GenerateResults(seed, 60) }

// TestRandomResults compares arguments and results of generated programs: see seedVar.
func TestRandomResults(t *testing.T) {
	needRoot(t)
	list := trials(t, 60)
	if list == nil {
		for seed := uint64(104); seed < 109; seed++ {
			list = append(list, trial{seed: seed, funcs: 60, flags: builds[seed%uint64(len(builds))].flags})
		}
	}
	total := &fixture.Report{}
	for _, x := range list {
		t.Run(x.String(), func(t *testing.T) {
			p := fixture.GenerateResultsFor(x.minor(t), x.seed, x.funcs)
			total.Add(testRandomResults(t, x.build(t, p.Source), p, x.minor(t), x.again()))
		})
	}
	t.Log(total)
	if os.Getenv(seedVar) == "" && total.Calls < 1000 {
		t.Errorf("%d calls", total.Calls)
	}
}

func testRandomResults(t *testing.T, path string, p fixture.Program, minor int, again string) *fixture.Report {
	lim := fixture.Limits{String: 512, Elems: 64, Bytes: 4096}
	symbols := p.Symbols(t, path)
	funcs := slices.Compact(slices.Sorted(maps.Values(symbols)))
	env, blanks := "FIXTURE_WORDS=", fixture.BlanksOf(minor)
	if blanks != fixture.BlanksKnown {
		env += "1"
	}
	target := fixture.Start(t, path, env, fmt.Sprintf("FIXTURE_SEED=%d", p.Seed))
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
		call.Args = end.Results
		results = append(results, call)
	}, uprobe.WithPID(target.PID), uprobe.WithResults(),
		uprobe.WithLimits(uprobe.Limits{String: lim.String, Elems: lim.Elems, Bytes: lim.Bytes}))
	target.Go()
	wantArgs, wantResults := fixture.Results(target.Calls(), blanks)
	wantArgs, wantResults = fixture.Rename(wantArgs, symbols), fixture.Rename(wantResults, symbols)
	s := closeAll(t, tr)
	addsUp(t, s, len(wantArgs))
	// The program announces arguments in the order of the entries.
	slices.SortStableFunc(args, func(a, b fixture.Call) int { return entered(t, a).Compare(entered(t, b)) })
	target.Close()
	r := fixture.CompareBy(fixture.Rules{Limits: lim, Blanks: blanks}, wantArgs, args)
	check(t, r, "arguments: "+again)
	rules := fixture.Rules{Limits: lim, Omitted: minor == 17}
	if minor < 17 { // their order may not be known
		rules.Blanks = blanks
	}
	rr := fixture.CompareBy(rules, wantResults, results)
	check(t, rr, "results: "+again)
	r.Add(rr)
	compared(t, len(wantArgs))
	return r
}

func entered(t *testing.T, c fixture.Call) time.Time {
	var at time.Time
	if err := json.Unmarshal(c.Time, &at); err != nil {
		t.Errorf("%s: %v", strings.TrimSpace(string(c.Time)), err)
	}
	return at
}

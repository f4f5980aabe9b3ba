package uprobe

import "testing"

// benchWay is a way to trace a function.
type benchWay struct {
	name string
	opts []Option
	// check, unless nil, says whether the counts are as they must be: after warming
	// calls and the measured ones, once more where programs are measured.
	check func(Stats) bool
}

// warming is how often a function is called before it is measured.
const warming = 1000

// benchWays has the target call a function in turns with an empty program at its entry
// site and traced in each way, as often as there are rounds. run is what has it call
// the function main.fn.
type benchWays struct {
	fn, run       string
	calls, rounds int
	// programs says that the time of the programs is measured, too.
	programs bool
}

// measure returns medians in ns: of a call with the empty program, of one for each
// way, and how long the programs of entries run for each way.
func (w benchWays) measure(b *testing.B, t *benchTarget, ways []benchWay) (empty float64, took, programs []float64) {
	b.Helper()
	fs, err := Inspect(t.path, "main."+w.fn)
	if err != nil {
		b.Fatal(err)
	}
	var empties []float64
	each, run := make([][]float64, len(ways)), make([][]float64, len(ways))
	for range w.rounds {
		detach := emptyProbe(b, t.path, fs[0])
		t.run(w.run, warming)
		empties = append(empties, t.run(w.run, w.calls))
		detach()
		for i, way := range ways {
			tr, err := Trace(t.path, "main."+w.fn, func(*Call) {}, way.opts...)
			if err != nil {
				b.Fatal(err)
			}
			t.run(w.run, warming)
			each[i] = append(each[i], t.run(w.run, w.calls))
			if w.programs {
				run[i] = append(run[i], programTime(b, func() { t.run(w.run, w.calls) }, tr.kernel.progs...))
			}
			if err := tr.Close(); err != nil {
				b.Fatal(err)
			}
			if s := tr.Stats(); way.check != nil && !way.check(s) {
				b.Fatalf("%s: %+v", way.name, s)
			}
		}
	}
	for i := range ways {
		took = append(took, median(each[i]))
		if w.programs {
			programs = append(programs, median(run[i]))
		}
	}
	return median(empties), took, programs
}

package judge

import (
	"cmp"
	"errors"
	"fmt"
	"hash/fnv"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-delve/delve/service/api"

	"github.com/argtap/argtap/abi"
	"github.com/argtap/argtap/uprobe"
)

// Program is what to run, and which of its functions to compare.
type Program struct {
	Name string
	// Command runs it, Dir is its working directory, and Output the file that
	// what it prints goes to.
	Command []string
	Dir     string
	Output  *os.File
	// Packages are patterns that select functions.
	Packages []string
	// Load makes it work, while it runs, and returns when that is done; then it
	// is killed. A program without Load ends by itself.
	Load func(pid int)

	// Candidates is how many functions get a breakpoint, Funcs how many are
	// compared at most, and Calls how many calls of each.
	Candidates, Funcs, Calls int
	// Progress is told what happens.
	Progress func(format string, args ...any)
	// tamper, in tests of the judge itself, may falsify what Delve shows: a
	// parameter, or an object that one leads to.
	tamper func(fn string, v *api.Variable, object bool)
}

// Result counts what was compared.
type Result struct {
	Program      string
	Funcs, Calls int
	// Grew are stops of calls that made the goroutine's stack grow first, Back
	// those of them after which the goroutine's next stop was at the same
	// function. The others were let go together with another thread's stop.
	Grew, Back int
	// Unsent are calls that argtap counted as lost: they are not compared.
	Unsent int
	Equal  int
	// Absent counts by side and reason what one of them did not show, and
	// Example has one value for each.
	Absent  map[string]int
	Example map[string]string
	// Differences that are not explained, and the number of those that are, by
	// the reason.
	Differences []Difference
	Explained   map[string]int
	// Missing are calls that Delve saw and argtap did not, or twice.
	Missing []string
	// Lost and Seen are argtap's own counts.
	Seen, Lost uint64
}

// records holds the calls that argtap has delivered.
type records struct {
	mu    sync.Mutex
	calls []*uprobe.Call
	open  map[string]bool // functions of which calls are kept
	more  chan struct{}
}

func (r *records) add(c *uprobe.Call) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.open[c.Name()] {
		return
	}
	r.calls = append(r.calls, c.Clone())
	select {
	case r.more <- struct{}{}:
	default:
	}
}

// done drops the calls of a function, those to come too.
func (r *records) done(fn string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.open, fn)
}

// take removes and returns the calls that a thread made between two times. It
// waits for the first.
func (r *records) take(fn string, goroutine int64, tid int, from, to time.Time) (found []*uprobe.Call) {
	deadline := time.After(5 * time.Second)
	for {
		r.mu.Lock()
		rest := r.calls[:0]
		for _, c := range r.calls {
			switch {
			case c.Time().Before(from.Add(-clockError)):
			case c.Name() == fn && c.Goroutine() == uint64(goroutine) && c.TID() == tid && c.Time().Before(to.Add(clockError)):
				found = append(found, c)
			default:
				rest = append(rest, c)
			}
		}
		r.calls = rest
		r.mu.Unlock()
		if len(found) > 0 {
			return found
		}
		select {
		case <-r.more:
		case <-deadline:
			return nil
		}
	}
}

// clockError bounds how far the time of a record may be from the clock.
const clockError = 2 * time.Millisecond

// candidates selects functions to compare, in an order that depends on their
// names alone, those first whose parameters refer to something.
func candidates(p *Program) ([]*uprobe.Func, error) {
	var funcs []*uprobe.Func
	for _, pattern := range p.Packages {
		err := uprobe.InspectAll(p.Command[0], pattern, func(name string, f *uprobe.Func, err error) bool {
			if err == nil && f.Source() == uprobe.SourceDWARF && len(f.Params()) > 0 && f.EntryProbe().Addr > f.Entry() {
				funcs = append(funcs, f)
			}
			return true
		}, options...)
		if err != nil {
			return nil, err
		}
	}
	order := func(f *uprobe.Func) uint64 {
		h := fnv.New64a()
		h.Write([]byte(f.Name()))
		n := h.Sum64() >> 1
		if !interesting(f) {
			n |= 1 << 63
		}
		return n
	}
	slices.SortFunc(funcs, func(a, b *uprobe.Func) int { return cmp.Compare(order(a), order(b)) })
	return funcs[:min(len(funcs), p.Candidates)], nil
}

func interesting(f *uprobe.Func) bool {
	return slices.ContainsFunc(f.Params(), func(p uprobe.Param) bool {
		return p.Type.HasPointers() && p.Type.Kind != abi.String
	})
}

// options are those of all tracers.
var options = []uprobe.Option{uprobe.WithLimits(uprobe.Limits{Depth: 4, Objects: 1024, Record: 32768})}

// Run runs a program and compares calls until it ends.
func Run(p *Program) (*Result, error) {
	funcs, err := candidates(p)
	if err != nil {
		return nil, err
	}
	if len(funcs) == 0 {
		return nil, fmt.Errorf("%s: no functions match %q", p.Name, p.Packages)
	}
	s, err := launch(p.Dir, p.Output, p.Command...)
	if err != nil {
		return nil, err
	}
	defer s.close()
	recs := &records{open: map[string]bool{}, more: make(chan struct{}, 1)}
	names := make([]string, len(funcs))
	for i, f := range funcs {
		names[i] = f.Name()
		recs.open[f.Name()] = true
	}
	started := time.Now()
	// The program stands still: its first call is to come.
	tr, err := uprobe.Trace(p.Command[0], names[0], recs.add, append([]uprobe.Option{
		uprobe.WithFuncs(names[1:]...), uprobe.WithPID(s.pid()), uprobe.WithImmediate(), uprobe.WithBufferSize(64 << 20)}, options...)...)
	if err != nil {
		return nil, err
	}
	defer tr.Close()
	p.Progress("%s: %d functions traced after %v", p.Name, len(funcs), time.Since(started).Round(time.Millisecond))
	j := &judge{p: p, s: s, recs: recs, tr: tr, armed: map[int]*armed{}, grew: map[int64]string{}, result: newResult(p.Name)}
	for _, f := range funcs {
		id, err := s.breakAt(f)
		if err != nil {
			return nil, err
		}
		j.armed[id] = &armed{f: f}
	}
	p.Progress("%s: breakpoints set after %v", p.Name, time.Since(started).Round(time.Millisecond))
	ended := make(chan struct{})
	if p.Load != nil {
		go func() {
			p.Load(s.pid())
			j.worked.Store(true)
			// A request to halt is forgotten by a program that is just let run.
			for {
				s.halt()
				select {
				case <-ended:
					return
				case <-time.After(50 * time.Millisecond):
				}
			}
		}()
	}
	err = j.loop()
	close(ended)
	if err != nil {
		return nil, err
	}
	if err := tr.Close(); err != nil {
		return nil, err
	}
	stats := tr.Stats()
	j.result.Seen, j.result.Lost = stats.Calls, stats.Lost
	p.Progress("%s: done after %v", p.Name, time.Since(started).Round(time.Millisecond))
	return j.result, nil
}

// armed is a function with a breakpoint.
type armed struct {
	f     *uprobe.Func
	calls int
}

// judge runs one program.
type judge struct {
	p      *Program
	s      *session
	recs   *records
	tr     *uprobe.Tracer
	armed  map[int]*armed   // by the breakpoint's ID
	worked atomic.Bool      // the load is done
	grew   map[int64]string // functions that goroutines are to come back to
	result *Result
}

func (j *judge) loop() error {
	for !j.worked.Load() {
		th, err := j.s.run()
		if errors.Is(err, errExited) {
			return nil
		}
		if err != nil {
			return err
		}
		if th == nil || th.Breakpoint == nil {
			continue // halted
		}
		a := j.armed[th.Breakpoint.ID]
		if a == nil {
			return fmt.Errorf("stopped at %#x by %q", th.PC, th.Breakpoint.Name)
		}
		if err := j.stop(a, th.Breakpoint.ID, th.ID, th.GoroutineID, th.PC); err != nil {
			return err
		}
	}
	return nil
}

// stop compares the call at whose first instruction a thread has stopped.
func (j *judge) stop(a *armed, id, tid int, goroutine int64, pc uint64) error {
	name := a.f.Name()
	if fn, ok := j.grew[goroutine]; ok {
		delete(j.grew, goroutine)
		if fn == name {
			j.result.Back++
		}
	}
	args, argsErr := j.s.args()
	lost := j.tr.Stats().Lost
	passed, from, to, err := j.s.stepOver(a.f, pc)
	if err != nil {
		return err
	}
	if !passed {
		j.result.Grew++
		j.grew[goroutine] = name
		return nil
	}
	calls := j.recs.take(name, goroutine, tid, from, to)
	if len(calls) == 0 && j.tr.Stats().Lost > lost {
		j.result.Unsent++
		return nil
	}
	if len(calls) != 1 {
		j.result.Missing = append(j.result.Missing, fmt.Sprintf("%s: goroutine %d: %d records of one call", name, goroutine, len(calls)))
	}
	if len(calls) > 0 {
		j.compare(name, calls[0], args, argsErr)
		if a.calls++; a.calls == 1 {
			j.result.Funcs++
		}
		j.result.Calls++
	}
	if a.calls >= j.p.Calls || len(calls) == 0 {
		delete(j.armed, id)
		j.recs.done(name)
		if err := j.s.clear(id); err != nil {
			return err
		}
	}
	if j.result.Funcs >= j.p.Funcs {
		return j.disarm()
	}
	return nil
}

// disarm removes the breakpoints of functions that were not called yet.
func (j *judge) disarm() error {
	for id, a := range j.armed {
		if a.calls == 0 {
			delete(j.armed, id)
			j.recs.done(a.f.Name())
			if err := j.s.clear(id); err != nil {
				return err
			}
		}
	}
	return nil
}

func (j *judge) compare(name string, call *uprobe.Call, args []*api.Variable, argsErr error) {
	r := j.result
	if argsErr != nil {
		r.Absent["delve: "+unreadable(argsErr.Error())] += call.NumArgs()
		return
	}
	load := j.s.load
	if j.p.tamper != nil {
		for _, a := range args {
			j.p.tamper(name, a, false)
		}
		load = func(addr uint64, typ string) (*api.Variable, error) {
			v, err := j.s.load(addr, typ)
			if err == nil {
				j.p.tamper(name, v, true)
			}
			return v, err
		}
	}
	c := newComparer(name, load)
	c.call(call, args)
	r.Equal += c.equal
	for why, n := range c.absent {
		if r.Absent[why] == 0 {
			r.Example[why] = c.example[why]
		}
		r.Absent[why] += n
	}
	for _, d := range c.diffs {
		if why := explain(d); why != "" {
			r.Explained[why]++
			continue
		}
		r.Differences = append(r.Differences, d)
	}
}

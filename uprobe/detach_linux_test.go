package uprobe

import (
	"log/slog"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cilium/ebpf/link"

	"github.com/argtap/argtap/internal/probegen"
)

// orderedLink is a link that is closed when all those of stages before it have been.
type orderedLink struct {
	link.Link
	t    *testing.T
	name string
	// before is how many must have been closed, closed how many have.
	before int64
	closed *atomic.Int64
}

func (l *orderedLink) Close() error {
	// Those that are closed together get a chance to overtake.
	for range 100 {
		runtime.Gosched()
	}
	if n := l.closed.Load(); n < l.before {
		l.t.Errorf("%s is closed after %d links, want %d before it", l.name, n, l.before)
	}
	l.closed.Add(1)
	return nil
}

// TestDetachOrder: entries are removed before what announces their hits, and that
// before what comes after; for all functions, and for one that has its own links.
func TestDetachOrder(t *testing.T) {
	add := func(k *kernel, closed *atomic.Int64, owner *Func) {
		// In the order in which they are attached.
		for stage, name := range map[linkStage]string{stageLater: "return", stageAnnounce: "branch back", stageEntry: "entry"} {
			for range 20 {
				k.addLink(&orderedLink{t: t, name: name, before: 20 * int64(stage), closed: closed}, stage, owner)
			}
		}
	}
	k := &kernel{opts: &options{log: slog.New(slog.DiscardHandler)}}
	var closed atomic.Int64
	add(k, &closed, nil)
	k.detach()
	if n := closed.Load(); n != 60 {
		t.Errorf("%d of 60 links are closed", n)
	}
	var own, others atomic.Int64
	f, g := new(Func), new(Func)
	add(k, &own, f)
	add(k, &others, g)
	k.detachEntries(f)
	if n := own.Load(); n != 40 {
		t.Errorf("%d links of a function are closed, want 40: its returns stay", n)
	}
	k.detachReturns(f)
	if own.Load() != 60 || others.Load() != 0 {
		t.Errorf("%d links of a function are closed and %d of another, want 60 and none", own.Load(), others.Load())
	}
	k.detach()
	if own.Load() != 60 || others.Load() != 60 {
		t.Errorf("%d and %d links are closed, want 60 each", own.Load(), others.Load())
	}
}

// TestDetachJoins: where the kernel joins returns with entries, no return is probed any
// more when entries are not.
func TestDetachJoins(t *testing.T) {
	k := &kernel{opts: &options{log: slog.New(slog.DiscardHandler)}, joins: true}
	var closed atomic.Int64
	for i, stage := range []linkStage{stageLater, stageEntry, stageAnnounce} {
		for range 20 {
			k.addLink(&orderedLink{t: t, name: "a link", before: 20 * int64(i), closed: &closed}, stage, nil)
		}
	}
	k.detach()
	if n := closed.Load(); n != 60 {
		t.Errorf("%d of 60 links are closed", n)
	}
}

// TestGroups: what announces hits of entries is attached before them, by links of its
// own, so that it can be removed after them.
func TestGroups(t *testing.T) {
	f, g := new(Func), new(Func)
	site := func(fn *Func, m probegen.Mark, r probegen.Role) entrySite {
		return entrySite{Func: probegen.Func{Mark: m, Role: r}, fn: fn}
	}
	entries := bundle{
		site(f, probegen.SetGrown, probegen.RoleEntry), site(f, probegen.SkipGrown, probegen.RoleEntry),
		site(g, probegen.SetGrown, probegen.RoleEntry), site(g, probegen.SkipGrown, probegen.RoleEntry),
		site(g, probegen.SkipRepeat, probegen.RoleEntry), site(g, probegen.NoMark, probegen.RoleEntry),
	}
	for _, tt := range []struct {
		first int32
		b     bundle
		want  []int // sites of each group
		stage []linkStage
	}{
		{0, entries, []int{2, 4}, []linkStage{stageAnnounce, stageEntry}},
		{1, entries, []int{1, 1, 1, 3}, []linkStage{stageAnnounce, stageEntry, stageAnnounce, stageEntry}},
		{0, entries[4:], []int{2}, []linkStage{stageEntry}},
		{0, bundle{site(f, probegen.NoMark, probegen.RoleReturn)}, []int{1}, []linkStage{stageLater}},
	} {
		k := &kernel{opts: &options{throttle: probegen.Limits{First: tt.first}}}
		groups := k.groups(tt.b)
		if len(groups) != len(tt.want) {
			t.Fatalf("%d groups, want %d", len(groups), len(tt.want))
		}
		for i, g := range groups {
			if len(g) != tt.want[i] {
				t.Errorf("group %d has %d sites, want %d", i, len(g), tt.want[i])
			}
			for j := range g {
				if g[j].stage() != tt.stage[i] {
					t.Errorf("group %d: site of stage %d, want %d", i, g[j].stage(), tt.stage[i])
				}
			}
		}
	}
}

// TestDetachTime logs how long it takes to attach to many functions, and to
// detach.
func TestDetachTime(t *testing.T) {
	needRoot(t)
	path := buildFixture(t, "caps")
	start := time.Now()
	// Perf events are detached one after another, at some 50 to 100 ms each.
	tr, err := Trace(path, "strconv.*", func(*Call) {}, WithPID(startCaps(t, path).pid()))
	if err != nil {
		t.Fatalf("%+v", err)
	}
	attached := time.Now()
	if err := tr.Close(); err != nil {
		t.Fatal(err)
	}
	t.Logf("%d functions: attached in %v, detached in %v", len(tr.Funcs()), attached.Sub(start), time.Since(attached))
}

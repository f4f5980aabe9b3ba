package uprobe

import (
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/argtap/argtap/abi"
)

// unread is what was not read for want of loops.
var unread = regexp.MustCompile(`\((\*main\.link|interface \{\}|any)\)\([^()]* ?<` + regexp.QuoteMeta(abi.NeedsLoops.String()) + `>\)`)

// TestConcurrentHits has many more threads than CPUs hit the same programs.
// Programs are preempted in the middle then, where the kernel does that, and run
// again on the same CPU: no record may be lost, doubled or mixed with another.
func TestConcurrentHits(t *testing.T) {
	needRoot(t)
	target := startCaps(t, buildFixture(t, "caps"))
	for _, lack := range [][]string{nil, {"loops"}} {
		if !probeCapabilities().loops && lack != nil {
			continue
		}
		t.Run(fmt.Sprintf("without %q", lack), func(t *testing.T) { concurrentHits(t, target, lack) })
	}
}

func concurrentHits(t *testing.T, target *capsTarget, lack []string) {
	const threads, perThread = 24, 1000
	item := func(id, i int) string {
		return fmt.Sprintf(`&main.item{ID: %d, Name: "item %d", P: &main.point{X: %d, Y: %d}}`, id+i, id, id, i+1)
	}
	want := map[string]func(id int) string{
		"main.crowd":  func(id int) string { return fmt.Sprint(id, id+1e9, ^id, 3*id) },
		"main.throng": func(id int) string { return fmt.Sprint(id, id+2e9, -id, 5*id) },
		"main.list": func(id int) string {
			return fmt.Sprintf("%d []*main.item{%s, %s, %s}", id, item(id, 0), item(id, 1), item(id, 2))
		},
	}
	want["main.chain"] = func(id int) string {
		text, open := fmt.Sprintf("%d &main.link{ID: %d, Next: ", id, id), ", Any: nil}"
		for i := range 7 {
			text += fmt.Sprintf("&main.link{ID: %d, Next: ", id+i+1)
			open = fmt.Sprintf(`, Any: "any %d"}`, id) + open
		}
		return text + "(*main.link)(first)" + open
	}
	loops := probeCapabilities().without(lack).loops
	if !loops {
		// Of the chain the first links are there, without what their interfaces hold.
		want["main.chain"] = func(id int) string {
			text, open := fmt.Sprintf("%d &main.link{ID: %d, Next: ", id, id), ", Any: nil}"
			for i := range 3 {
				text += fmt.Sprintf("&main.link{ID: %d, Next: ", id+i+1)
				open = ", Any: unread}" + open
			}
			return text + "unread" + open
		}
		want["main.list"] = func(id int) string { return fmt.Sprintf("%d %d", id, 3) }
	}
	seen := map[string][]int{}
	for name := range want {
		seen[name] = make([]int, threads*perThread)
	}
	wrong := 0
	tr, err := Trace(target.path, "main.crowd", func(c *Call) {
		args := make([]string, c.NumArgs())
		for i := range args {
			args[i] = c.Arg(i).String()
		}
		if c.Name() == "main.list" && strings.Count(args[1], abi.NeedsLoops.String()) == 3 {
			args[1] = "3"
		}
		if c.Name() == "main.chain" && !loops {
			args[1] = unread.ReplaceAllString(args[1], "unread")
		} else if p, ok := c.Arg(1).Pointer(); ok && c.Name() == "main.chain" {
			args[1] = strings.Replace(args[1], fmt.Sprintf("%#x", p), "first", 1)
		}
		got := strings.Join(args, " ")
		id, ok := c.Arg(0).Int()
		if !ok || id < 0 || id >= threads*perThread || got != want[c.Name()](int(id)) {
			if wrong++; wrong <= 10 {
				t.Errorf("%s was called with %s", c.Name(), got)
			}
			return
		}
		seen[c.Name()][id]++
	}, WithFuncs("main.throng", "main.list", "main.chain"), WithLimits(Limits{Depth: 10}), WithBufferSize(256<<20), withoutFeatures(lack...))
	if err != nil {
		t.Fatalf("%+v", err)
	}
	target.do(fmt.Sprint("race ", threads))
	if err := tr.Close(); err != nil {
		t.Fatal(err)
	}
	missing, twice := 0, 0
	for _, ids := range seen {
		for _, n := range ids {
			switch {
			case n == 0:
				missing++
			case n > 1:
				twice++
			}
		}
	}
	s := tr.Stats()
	if wrong+twice != 0 || missing != int(s.LostBusy) || s.LostRing+s.LostMalformed != 0 {
		t.Errorf("of %d calls %d are wrong, %d missing, %d there more than once; %+v",
			4*threads*perThread, wrong, missing, twice, s)
	}
	t.Logf("%+v", s)
}

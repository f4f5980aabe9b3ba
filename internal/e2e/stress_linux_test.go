package e2e

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	_ "embed"

	"github.com/argtap/argtap/abi"
	"github.com/argtap/argtap/internal/fixture"
	"github.com/argtap/argtap/uprobe"
)

//go:embed testdata/stress/main.go
var stressSource string

// stress checks what is captured of testdata/stress. All that its program stores
// says itself whether it is whole, so what is captured is one of:
//
//   - whole: a value that was there;
//   - torn: a value of more than one word that the program overwrote in place
//     while it was read. That is an item with the number of one and the sum of
//     another; a string or slice with the pointer of one and the length of
//     another; an interface with the type of one and the value of another; an
//     entry of a map, or an element of a channel's buffer, whose slot was
//     emptied or used again;
//   - absent, for a reason that is known for what changes meanwhile.
//
// Anything else is wrong: a number that no item has, a string or an element from
// elsewhere, an entry under a key that the program never uses, a key twice, more
// entries than the map has. And what never changes once it is published, the
// nodes of lists and what interfaces and maps refer to, is never torn.
type stress struct {
	whole, torn, absent map[string]int
	wrong               []string
	wrongs              int
	sums                map[uint64]uint64 // the numbers of items by their sums
}

const (
	stressIDs   = 1000
	stressWidth = 64
	stressArena = 512
)

var stressLens = []int{0, 1, 3, 8, 20, 33, 64}

func newStress() *stress {
	s := &stress{whole: map[string]int{}, torn: map[string]int{}, absent: map[string]int{}, sums: map[uint64]uint64{}}
	for id := uint64(1); id <= stressIDs; id++ {
		x := id
		x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
		x = (x ^ x>>27) * 0x94d049bb133111eb
		s.sums[x^x>>31] = id
	}
	return s
}

func (s *stress) fail(v uprobe.Value, format string, args ...any) {
	s.wrongs++
	if len(s.wrong) < 20 {
		s.wrong = append(s.wrong, fmt.Sprintf(format, args...)+fmt.Sprintf(": %.300s", v))
	}
}

// changing are the reasons for which something that changes may be absent.
var changing = regexp.MustCompile(`^(too deep|cut at the limit on (objects|bytes) of a call|a goroutine is writing to the map|changed while it was read)$`)

// missing reports whether a value is absent, and counts the reason.
func (s *stress) missing(v uprobe.Value, what string) bool {
	reason, absent := v.Absent()
	if !absent {
		return false
	}
	if !changing.MatchString(reason) {
		s.fail(v, "%s is absent: %s", what, reason)
	}
	s.absent[what+": "+reason]++
	return true
}

// item checks an item. It returns its number, 0 if it is torn.
func (s *stress) item(v uprobe.Value, what string, mayTear, mayBeZero bool) uint64 {
	if s.missing(v, what) {
		return 0
	}
	id, ok1 := v.Field(0).Uint()
	sum, ok2 := v.Field(1).Uint()
	owner, known := s.sums[sum]
	switch {
	case !ok1 || !ok2:
		s.fail(v, "%s without its fields", what)
	case mayBeZero && mayTear && (id == 0 || sum == 0) && (id == 0 || id <= stressIDs) && (sum == 0 || known):
		s.torn[what]++
	case id == 0 || id > stressIDs || !known:
		s.fail(v, "%s that is none", what)
	case owner == id:
		s.whole[what]++
		return id
	case mayTear:
		s.torn[what]++
	default:
		s.fail(v, "%s is torn", what)
	}
	return 0
}

// text checks a string: one letter, as often as its length says.
func (s *stress) text(v uprobe.Value, what string, mayTear bool) {
	if s.missing(v, what) {
		return
	}
	x, ok := v.Str()
	if !ok {
		s.missing(v.Index(0), what)
		return
	}
	at := -1
	for i, n := range stressLens {
		if n == v.Len() {
			at = i
		}
	}
	letter := 0
	if len(x) > 0 {
		letter = int(x[0]) - 'a'
	}
	switch {
	case at < 0 || len(x) != v.Len() || letter < 0 || letter >= len(stressLens) || strings.Trim(x, x[:min(1, len(x))]) != "":
		s.fail(v, "%s that is none", what)
	case len(x) == 0 || letter == at:
		s.whole[what]++
	case mayTear:
		s.torn[what]++
	default:
		s.fail(v, "%s is torn", what)
	}
}

// list checks the nodes of a list: whichever they are, none is torn.
func (s *stress) list(v uprobe.Value) {
	for range 2 * stressArena {
		if v.IsNil() {
			s.whole["end of a list"]++
			return
		}
		n := v.Elem()
		if s.missing(n, "node") {
			return
		}
		id := s.item(n.Field(0), "item of a node", false, false)
		if id > stressArena {
			s.fail(n, "node %d", id)
		}
		s.text(n.Field(1), "name of a node", false)
		if x, ok := n.Field(1).Str(); ok && id > 0 && len(x) != stressLens[int(id-1)%len(stressLens)] {
			s.fail(n, "node %d with the name of another", id)
		}
		v = n.Field(2)
		if s.missing(v, "next node") {
			return
		}
	}
}

func (s *stress) slice(v uprobe.Value, what string, lens []int, mayTear bool) {
	if s.missing(v, what) {
		return
	}
	known := lens == nil && v.Len() < stressWidth
	for _, n := range lens {
		known = known || n == v.Len()
	}
	if !known {
		s.fail(v, "%s of %d elements", what, v.Len())
		return
	}
	for i := range v.Captured() {
		s.item(v.Index(i), "item of "+what, mayTear, false)
	}
	if v.Captured() < v.Len() {
		s.missing(v.Index(v.Captured()), what)
	}
}

// dynamic checks what an interface holds, which never changes itself.
func (s *stress) dynamic(v uprobe.Value, what string) {
	if s.missing(v, what) {
		return
	}
	if v.IsNil() { // or half of one
		s.whole[what]++
		return
	}
	d := v.Dynamic()
	if reason, _ := d.Absent(); reason == "implausible" { // half of nil, and it says so
		s.torn[what]++
		return
	}
	if s.missing(d, what) {
		return
	}
	name := d.TypeName()
	if d.Kind() == abi.Pointer {
		if d.IsNil() { // half of nil
			s.torn[what]++
			return
		}
		if d = d.Elem(); s.missing(d, what) {
			return
		}
	}
	if name != "main.cat" && name != "main.dog" && name != "*main.cat" {
		s.fail(v, "%s of type %s", what, name)
		return
	}
	kind, _ := d.Field(0).Uint()
	s.item(d.Field(1), "item of "+what, false, false)
	switch {
	case kind != 'c' && kind != 'd':
		s.fail(v, "%s of kind %d", what, kind)
	case (kind == 'd') != (name == "main.dog"):
		s.torn[what]++
	default:
		s.whole[what]++
	}
}

// followed reports whether a map or channel was.
func (s *stress) followed(v uprobe.Value, what string) bool {
	if v.Len() >= 0 {
		return true
	}
	text := v.String()
	for _, reason := range []string{"a goroutine was writing to the map", "changed while it was read", "cut at the limit on"} {
		if strings.Contains(text, reason) {
			s.absent[what+": "+reason]++
			return false
		}
	}
	s.fail(v, "%s is absent", what)
	return false
}

// table checks a map. elem returns the number of the item in an element.
func (s *stress) table(v uprobe.Value, what string, key func(uprobe.Value) (uint64, bool), elem func(uprobe.Value) uint64) {
	if v.IsNil() || s.missing(v, what) || !s.followed(v, what) {
		return
	}
	seen, n := map[uint64]bool{}, 0
	for k, e := range v.MapRange() {
		n++
		id, ok := key(k)
		if !ok {
			continue
		}
		if id == 0 || id > stressIDs {
			s.fail(v, "%s: key %d", what, id)
		}
		if seen[id] {
			s.fail(v, "%s: key %d twice", what, id)
		}
		seen[id] = true
		if of := elem(e); of > 0 && of != id {
			s.torn["entry of "+what]++
		}
	}
	switch {
	case n > v.Len() || n != v.Captured():
		s.fail(v, "%s: %d entries of %d, and %d are said to be there", what, n, v.Len(), v.Captured())
	case n == v.Len():
		s.whole[what]++
	default:
		s.absent["entries of "+what] += v.Len() - n
	}
}

func (s *stress) channel(v uprobe.Value) {
	const what = "channel"
	if s.missing(v, what) || !s.followed(v, what) {
		return
	}
	if closed, _ := v.Closed(); v.Cap() != 10 || v.Len() > v.Cap() || v.Captured() > v.Len() || closed {
		s.fail(v, "%s of %d elements, %d are there, room for %d", what, v.Len(), v.Captured(), v.Cap())
	}
	for i := range v.Captured() {
		s.item(v.Index(i), "element of a channel", true, true)
	}
}

func (s *stress) call(c *uprobe.Call) {
	switch v := c.Arg(0); c.Name() {
	case "main.takeList":
		s.list(v)
	case "main.takeSlice":
		s.slice(v, "slice", nil, true)
	case "main.takeHolder":
		h := v.Elem()
		if s.missing(h, "holder") {
			return
		}
		s.text(h.Field(0), "string", true)
		s.slice(h.Field(1), "other slice", stressLens, false)
		s.dynamic(h.Field(2), "interface{}")
		s.dynamic(h.Field(3), "error")
		s.list(h.Field(4))
	case "main.takeMaps":
		s.table(v, "map", uprobe.Value.Uint, func(e uprobe.Value) uint64 { return s.item(e, "element of a map", true, true) })
		s.table(c.Arg(1), "map of pointers", func(k uprobe.Value) (id uint64, ok bool) {
			if s.missing(k, "key") {
				return 0, false
			}
			x, ok := k.Str()
			if n, _ := fmt.Sscanf(x, "k%d", &id); n != 1 && ok {
				s.fail(k, "a key")
			}
			return id, ok
		}, func(e uprobe.Value) uint64 {
			if e.IsNil() { // emptied
				s.torn["element of a map of pointers"]++
				return 0
			}
			return s.item(e.Elem(), "what a map's element points to", false, false)
		})
	case "main.takeChan":
		s.channel(v)
	}
}

// TestStress traces functions whose arguments change without pause. It takes a
// few seconds, or as many as ARGTAP_STRESS says.
func TestStress(t *testing.T) {
	needRoot(t)
	duration := 8 * time.Second
	if text := os.Getenv("ARGTAP_STRESS"); text != "" {
		var err error
		if duration, err = time.ParseDuration(text + "s"); err != nil {
			t.Fatal(err)
		}
	}
	path := fixture.Build(t, fixture.Source{"main.go": stressSource})
	target := fixture.Start(t, path, fmt.Sprintf("STRESS_MS=%d", duration.Milliseconds()), "GOGC=20")
	s, delivered := newStress(), map[string]uint64{}
	tr := trace(t, path, []string{"main.take*"}, func(c *uprobe.Call) {
		delivered[c.Name()]++
		s.call(c)
	}, uprobe.WithPID(target.PID), uprobe.WithBufferSize(64<<20), uprobe.WithLimits(uprobe.Limits{Depth: 12, Elems: 256, Objects: 600}))
	target.Go()
	var end struct {
		Bad  int
		Made [5]uint64
	}
	target.Event("end", &end)
	if err := tr.Close(); err != nil {
		t.Errorf("close: %v", err)
	}
	target.Close()
	if end.Bad != 0 {
		t.Errorf("the program found %d of its own values wrong", end.Bad)
	}
	stats, total := tr.Stats(), uint64(0)
	for i, name := range []string{"List", "Slice", "Holder", "Maps", "Chan"} {
		total += end.Made[i]
		if n := delivered["main.take"+name]; n < 100 || n > end.Made[i] {
			t.Errorf("take%s: %d calls were delivered, of %d", name, n, end.Made[i])
		}
	}
	if stats.Calls != total || stats.Delivered+stats.Lost != stats.Calls || stats.LostMalformed != 0 {
		t.Errorf("stats %+v: the program made %d calls", stats, total)
	}
	for _, text := range s.wrong {
		t.Error(text)
	}
	if s.wrongs > 0 {
		t.Errorf("%d values are wrong", s.wrongs)
	}
	for _, what := range []string{"item of a node", "name of a node", "item of slice", "string", "item of other slice", "item of interface{}", "item of error"} {
		if s.whole[what] < 1000 {
			t.Errorf("%d times %s", s.whole[what], what)
		}
	}
	t.Logf("%d calls, %d delivered; whole %v; torn %v; absent %v", total, stats.Delivered, s.whole, s.torn, s.absent)
}

package uprobe

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/argtap/argtap/abi"
	"github.com/argtap/argtap/internal/capture"
)

// stackCode are functions of a program without a file: their frames' sizes by name,
// each at a hundred times its position.
type stackCode struct {
	name  string
	frame int64
	asm   bool
}

var stackCodes = []stackCode{
	{"main.f", 32, false}, {"main.g", 64, false}, {"main.main", 16, false}, {"runtime.main", 128, false},
	{"runtime.goexit", 0, true}, {"main.leaf", 0, false}, {"runtime.sigpanic", 48, false}, {"runtime.memmove", 0, true},
	{"main.wrap", 24, false}, {"main.huge", 600 << 10, false},
}

// stackCall is a call of main.f with a stack of the given functions, the innermost
// first. Of one in shift the frame pointer is elsewhere by so many bytes.
func stackCall(a *abi.Arch, end uint32, names []string, shift map[int]int64) *Call {
	fn := &Func{
		name: "main.f", entry: 100, arch: a, names: &funcNames{lines: map[uint64]*codeLine{}},
		plan: &capture.Plan{Stack: capture.HeaderSize, StackDepth: len(names), PtrSize: 8},
	}
	code := map[string]*codeLine{}
	addr := map[string]uint64{}
	for i, c := range stackCodes {
		at := uint64(100 * (i + 1))
		l := &codeLine{
			frames: []Frame{{Func: c.name, File: "f.go", Line: 10 * (i + 1), entry: at}}, wrapper: []bool{c.name == "main.wrap"},
			start: 10 * (i + 1), frame: c.frame, asm: c.asm,
		}
		if c.name == "main.g" {
			l.frames = []Frame{{Func: "main.inlined", File: "f.go", Line: 7, Inlined: true}, l.frames[0]}
			l.wrapper = []bool{false, false}
		}
		code[c.name], addr[c.name] = l, at+20
		fn.names.lines[at] = l
		fn.names.lines[at+19], fn.names.lines[at+20] = l, l
	}
	words := make([]uint64, len(names))
	before, injected := int64(0), false
	for i, name := range names {
		l := code[name]
		pc, frame := uint64(5<<40), int64(0) // outside
		if l != nil {
			pc, frame = addr[name], l.frame
		}
		var d int64
		injected = i > 0 && interrupts[names[i-1]]
		switch {
		case i+1 == len(names):
		case a == abi.ARM64:
			if d = before; i == 0 {
				d = 8
			}
			if injected {
				d += 16
			}
			before = frame
		default:
			d = frame + 8
		}
		if a == abi.ARM64 {
			before = frame
		}
		d += shift[i]
		words[i] = pc<<16>>16 | uint64(min(d/8, capture.StackFar))<<capture.StackPCBits
	}
	c := &Call{fn: fn, plan: fn.plan, data: make([]byte, capture.HeaderSize+capture.StackSize), stack: &callStack{words: words, end: end}}
	order.PutUint64(c.data[capture.HeaderSize:], capture.StackFirst)
	return c
}

func TestUnwinding(t *testing.T) {
	const whole, depth, left, broken, cut = capture.StackStart, capture.StackDepth, capture.StackLeft, capture.StackBroken, capture.StackCut
	tests := []struct {
		name  string
		end   uint32
		code  string
		shift map[int]int64
		want  string
	}{
		{"whole", whole, "g main runtime.main goexit", nil, "f inlined g main runtime.main goexit"},
		{"whole at the depth", depth, "main runtime.main goexit", nil, "f main runtime.main goexit"},
		{"cut", depth, "g main", nil, "f inlined g main; cut at depth 2"},
		{"page", cut, "g main", nil, "f inlined g main; page not resident"},
		{"another stack", left, "main", nil, "f main; the next frame is not on the goroutine's stack"},
		{"no chain", broken, "main", nil, "f main; no further frame pointer"},
		{"no start", whole, "main", nil, "f main; no further frame pointer"},
		{"a wrong frame pointer", whole, "g main runtime.main goexit", map[int]int64{1: 8}, "f inlined g main; the frame pointer does not lead to the caller of main.main"},
		{"too near", whole, "g main runtime.main goexit", map[int]int64{1: -8}, "f inlined g main; the frame pointer does not lead to the caller of main.main"},
		{"the first", whole, "g main goexit", map[int]int64{0: 16}, "f inlined g; the frame pointer does not lead to the caller of main.g"},
		{"large frame", whole, "huge main goexit", nil, "f huge main goexit"},
		{"wrapper", whole, "wrap main goexit", nil, "f main goexit"},
		{"outside", whole, "main outside goexit", nil, "f main ?; nothing tells the frames of code outside the binary"},
		{"outside at the end", cut, "main outside", nil, "f main ?; page not resident"},
		{"fault", whole, "sigpanic g main goexit", nil, "f sigpanic inlined g main goexit"},
		{"fault in assembly", whole, "sigpanic memmove main goexit", map[int]int64{1: 32}, "f sigpanic memmove; the frame pointer does not lead to the caller of runtime.memmove"},
	}
	for _, a := range []*abi.Arch{abi.AMD64, abi.ARM64} {
		for _, tt := range tests {
			var names []string
			for n := range strings.FieldsSeq(tt.code) {
				i := slices.IndexFunc(stackCodes, func(c stackCode) bool {
					return c.name == n || strings.HasSuffix(c.name, "."+n) && n != "main" || c.name == "main.main" && n == "main"
				})
				if i < 0 {
					names = append(names, n)
					continue
				}
				names = append(names, stackCodes[i].name)
			}
			if a == abi.ARM64 && tt.name == "large frame" {
				continue // the next word has the distance
			}
			s := stackCall(a, tt.end, names, tt.shift).Stack()
			var got []string
			for _, f := range s.Frames() {
				switch short := strings.TrimPrefix(f.Func, "main."); {
				case f.Func == "" && f.Module == "?":
					got = append(got, "?")
				case f.Func == "runtime.main":
					got = append(got, f.Func)
				default:
					got = append(got, strings.TrimPrefix(short, "runtime."))
				}
			}
			text := strings.Join(got, " ")
			if s.End() != "" {
				text += "; " + s.End()
			}
			if text != tt.want {
				t.Errorf("%s, %s: %s, want %s", a.GOARCH, tt.name, text, tt.want)
			}
		}
	}
	// What faults without a frame leaves out its caller, where the rest is right.
	for shift, want := range map[int64]int{0: 4, 72: 4} {
		c := stackCall(abi.AMD64, whole, []string{"runtime.sigpanic", "main.leaf", "main.main", "runtime.goexit"}, map[int]int64{1: shift})
		s := c.Stack()
		if missing := s.Frames()[2].Missing != ""; len(s.Frames()) != want+1 || missing != (shift > 0) || s.End() != "" {
			t.Errorf("shift %d: %+v", shift, s)
		}
	}
	c := stackCall(abi.AMD64, whole, []string{"runtime.sigpanic", "main.leaf", "main.main", "runtime.main", "runtime.goexit"}, map[int]int64{1: 72, 2: 8})
	if s := c.Stack(); len(s.Frames()) != 3 || s.End() == "" {
		t.Errorf("two wrong frame pointers: %+v", s)
	}
}

// TestStackText is how stacks are shown, and those that are absent.
func TestStackText(t *testing.T) {
	c := stackCall(abi.AMD64, capture.StackDepth, []string{"main.g", "main.main"}, nil)
	const text = "main.f(...)\n\tf.go:10\nmain.inlined(...)\n\tf.go:7\nmain.g(...)\n\tf.go:20 +0x14\nmain.main(...)\n\tf.go:30 +0x14\n<cut at depth 2>\n"
	if got := c.Stack().String(); got != text {
		t.Errorf("%s\nwant\n%s", got, text)
	}
	b, err := json.Marshal(c.Stack())
	const want = `[{"func":"main.f","file":"f.go","line":10},{"func":"main.inlined","file":"f.go","line":7,"inlined":true},` +
		`{"func":"main.g","file":"f.go","line":20},{"func":"main.main","file":"f.go","line":30}]`
	if err != nil || string(b) != want {
		t.Errorf("%s, %v, want %s", b, err, want)
	}
	k := c.Clone()
	c.fn.names.lines = nil // as if the binary were closed
	if got := k.Stack().String(); got != text {
		t.Errorf("a clone's: %s", got)
	}
	c.stack = nil
	for id, want := range map[uint64]string{
		capture.StackNone: noStackBusy, capture.StackRing: noStackRing, capture.StackGoroutine: noStackGoroutine,
		capture.StackUnread: noStackUnread, capture.StackFirst + 5: noStackRing,
	} {
		order.PutUint64(c.data[capture.HeaderSize:], id)
		why, absent := c.Stack().Absent()
		if why != want || !absent || len(c.Stack().Frames()) != 0 || c.Stack().String() != "<"+want+">\n" {
			t.Errorf("%d: absent for %q, want %q", id, why, want)
		}
		if b, _ := json.Marshal(c.Stack()); string(b) != `{"absent":"`+want+`"}` {
			t.Errorf("%s", b)
		}
	}
	c.fn.plan = &capture.Plan{}
	if why, _ := c.Stack().Absent(); why != noStackAsked {
		t.Errorf("absent for %q", why)
	}
	if why, _ := c.Creation().Absent(); why != noStackAsked {
		t.Errorf("creation absent for %q", why)
	}
}

// stackRecord is the record of a stack.
func stackRecord(id uint64, words ...uint64) []byte {
	b := make([]byte, capture.StackFixed+8*len(words))
	order.PutUint16(b[capture.OffKind:], capture.KindStack)
	order.PutUint64(b[capture.StackSelf:], id)
	order.PutUint32(b[capture.StackInfo:], uint32(len(words)))
	order.PutUint32(b[capture.StackInfo+4:], capture.StackStart)
	for i, w := range words {
		order.PutUint64(b[capture.StackPCs+8*i:], w)
	}
	return b
}

// TestStackTable keeps stacks as long as calls may refer to them.
func TestStackTable(t *testing.T) {
	fn := &Func{plan: &capture.Plan{Stack: capture.HeaderSize, StackDepth: 5}}
	call := func(id uint64) []byte {
		b := make([]byte, capture.HeaderSize+capture.StackSize)
		order.PutUint64(b[capture.HeaderSize:], id)
		return b
	}
	var x stackTable
	const id = capture.StackFirst
	for _, b := range [][]byte{nil, make([]byte, 8), make([]byte, capture.HeaderSize), stackRecord(1)[:capture.StackFixed-1]} {
		if x.add(b) {
			t.Errorf("% x is a stack", b)
		}
	}
	if !x.add(stackRecord(id, 1, 2)[:capture.StackFixed+8]) {
		t.Error("a cut stack is another record")
	}
	if s, lost := x.of(fn, call(id)); s != nil || !lost {
		t.Errorf("%v, %t of a cut stack", s, lost)
	}
	x.add(stackRecord(id, 1, 2))
	x.add(stackRecord(id+1, 3))
	for range 3 {
		if s, lost := x.of(fn, call(id|capture.StackKept)); s == nil || lost || !slices.Equal(s.words, []uint64{1, 2}) {
			t.Errorf("%v, %t", s, lost)
		}
	}
	if s, lost := x.of(fn, call(id+1)); s == nil || lost || s.words[0] != 3 {
		t.Errorf("%v, %t", s, lost)
	}
	if s, lost := x.of(fn, call(id+1)); s != nil || !lost {
		t.Errorf("%v, %t of a stack that only one call has", s, lost)
	}
	for why, want := range map[uint64]bool{capture.StackNone: true, capture.StackRing: true, capture.StackGoroutine: false, capture.StackUnread: false} {
		if s, lost := x.of(fn, call(why)); s != nil || lost != want {
			t.Errorf("%d: %v, %t", why, s, lost)
		}
	}
	// Those whose calls were lost do not stay for ever.
	for i := range uint64(5 * inFlight) {
		x.add(stackRecord(id+10+i, i))
	}
	if len(x.byID) > 3*inFlight {
		t.Errorf("%d stacks", len(x.byID))
	}
	if s, _ := x.of(fn, call(id|capture.StackKept)); s == nil {
		t.Error("a stack that further calls have is gone")
	}
	if s, _ := x.of(fn, call(id+10+5*inFlight-1)); s == nil {
		t.Error("the last stack is gone")
	}
}

func TestWithStack(t *testing.T) {
	for _, n := range []int{-1, 0, 128} {
		if _, err := newOptions([]Option{WithStack(n)}); err == nil || !strings.Contains(err.Error(), "between 1 and 127") {
			t.Errorf("%d: %v", n, err)
		}
	}
	o, err := newOptions([]Option{WithStack(7), WithLimits(Limits{String: 3})})
	if err != nil || o.limits.Stack != 7 || o.limits.String != 3 {
		t.Errorf("%+v, %v", o.limits, err)
	}
}

func TestMappings(t *testing.T) {
	maps := parseMappings([]byte(`00400000-00401000 r-xp 00000000 fe:01 12 /bin/a b
7f0000000000-7f0000001000 r-xp 00000000 00:00 0
7fff0000-7fff1000 r-xp 00000000 00:00 0                          [vdso]
x-y r-xp 00000000 00:00 0 /c
malformed
`))
	for a, want := range map[uint64]string{0x400000: "/bin/a b", 0x400fff: "/bin/a b", 0x401000: "?", 0x7fff0010: "[vdso]", 0x7f0000000000: "?"} {
		if got := moduleAt(maps, a); got != want {
			t.Errorf("%#x: %q, want %q", a, got, want)
		}
	}
	if len(maps) != 2 {
		t.Errorf("%+v", maps)
	}
}

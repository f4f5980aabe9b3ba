package uprobe

import (
	"encoding/binary"
	"strings"
	"testing"

	"github.com/argtap/argtap/abi"
	"github.com/argtap/argtap/internal/capture"
	"github.com/argtap/argtap/internal/probegen"
)

// TestMergeNamed: keys that look the same to people are one, and nothing of what was
// counted under them is lost.
func TestMergeNamed(t *testing.T) {
	b := &probegen.Buckets{Signed: true}
	line := func(fn string, n int) *codeLine {
		return &codeLine{frames: []Frame{{Func: fn, File: "/src/main.go", Line: n}}, wrapper: []bool{false}, frame: 8}
	}
	names := &funcNames{lines: map[uint64]*codeLine{
		0x1000: line("main.f", 5), 0x1fff: line("main.a", 10), 0x2fff: line("main.a", 10), 0x3fff: line("main.b", 20), 0x4fff: line("runtime.goexit", 1),
	}}
	key := make([]probegen.KeyPart, 2)
	key[0].Kind, key[1].Kind = probegen.KeyCreator, probegen.KeyStack
	f := &Func{name: "main.f", entry: 0x1000, names: names, aggregated: &aggregated{
		program: probegen.Aggregate{Buckets: b, Key: key, Layout: probegen.KeyLayout{Strings: make([]bool, 2)}},
		key:     []aggregatedPart{{text: "creator"}, {text: "stack"}}, value: aggregatedPart{text: "n", typ: &abi.Type{Kind: abi.Int, Name: "int"}},
	}}
	stack := &callStack{words: []uint64{0x4000 | 2<<capture.StackPCBits, 0x5000}, end: capture.StackStart}
	row := func(creator, id uint64, st *callStack, values ...uint64) tally {
		y := tally{key: make([]byte, f.aggregated.program.Layout.Size()), stack: st}
		binary.LittleEndian.PutUint64(y.key[8:], creator)
		binary.LittleEndian.PutUint64(y.key[16:], id)
		y.add(b, rowOf(b, values...))
		return y
	}
	rows := mergeNamed([]*Func{f}, []tally{
		row(0x2000, 1<<24, stack, 1, 2), row(0x3000, 1<<24, stack, 70), row(0x4000, 1<<24, stack, 7),
		row(0x2000, 1<<25, &callStack{words: stack.words[1:], end: capture.StackStart}, 9),
		row(0x3000, 1<<26, &callStack{words: stack.words, end: capture.StackStart}, 4), row(0, capture.StackFull, nil, 3), {fn: 0},
	})
	var texts []string
	for i := range rows {
		a := f.row(&rows[i])
		texts = append(texts, a.String())
	}
	want := []string{
		"main.f main.a main.go:10 main.f < main.b < runtime.goexit: 4, mean 19, min 1, p50 3, p90 68, p99 70, max 70",
		"main.f main.b main.go:20 main.f < main.b < runtime.goexit: 1, mean 7, min 7, p50 7, p90 7, p99 7, max 7",
		"main.f main.a main.go:10 main.f < runtime.goexit: 1, mean 9, min 9, p50 9, p90 9, p99 9, max 9",
		"main.f (no go statement has started it) (no room for further stacks: see WithMaxKeys): 1, mean 3, min 3, p50 3, p90 3, p99 3, max 3",
		"main.f (other keys): 0",
	}
	if got := strings.Join(texts, "\n"); got != strings.Join(want, "\n") {
		t.Errorf("got\n%s\nwant\n%s", got, strings.Join(want, "\n"))
	}
	a := f.row(&rows[0])
	text, err := a.MarshalJSON()
	if want := `"key":[{"expr":"creator","value":{"func":"main.a","file":"/src/main.go","line":10}},{"expr":"stack","value":[{"func":"main.f","file":"/src/main.go","line":5},` +
		`{"func":"main.b","file":"/src/main.go","line":20},{"func":"runtime.goexit","file":"/src/main.go","line":1}]}]`; err != nil || !strings.Contains(string(text), want) {
		t.Errorf("%s, %v, want %s", text, err, want)
	}
}

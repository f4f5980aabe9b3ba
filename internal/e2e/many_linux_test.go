package e2e

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/argtap/argtap/internal/fixture"
	"github.com/argtap/argtap/uprobe"
)

// manyProgram has n functions, which call each other in turn.
func manyProgram(n int) string {
	var b strings.Builder
	b.WriteString("package main\n\nimport \"fixture/truth\"\n\nfunc main() {\n\ttruth.Start()\n\tsum := 0\n\tfor i := 0; i < 20; i++ {\n\t\tsum += f0(i, \"n\")\n\t}\n")
	b.WriteString("\ttruth.Print(`{\"ev\":\"sum\",\"sum\":%d}`, sum)\n\ttruth.Done()\n}\n")
	for i := range n {
		fmt.Fprintf(&b, "\n//go:noinline\nfunc f%d(n int, s string) int {\n", i)
		if i+1 < n {
			fmt.Fprintf(&b, "\treturn f%d(n+1, s) + len(s)\n}\n", i+1)
		} else {
			b.WriteString("\treturn n\n}\n")
		}
	}
	return b.String()
}

// resident is the memory of this process in KiB.
func resident(t *testing.T) (kib int) {
	t.Helper()
	data, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(data), "VmRSS:")
	fmt.Sscan(rest, &kib)
	return kib
}

// TestManyFunctions traces 500 functions at once, each call within another.
func TestManyFunctions(t *testing.T) {
	needRoot(t)
	const funcs, rounds = 500, 20
	path := fixture.Build(t, fixture.Source{"main.go": manyProgram(funcs)})
	for _, results := range []bool{false, true} {
		t.Run(fmt.Sprintf("results=%v", results), func(t *testing.T) {
			target := fixture.Start(t, path)
			opts := []uprobe.Option{uprobe.WithPID(target.PID), uprobe.WithBufferSize(16 << 20)}
			if results {
				opts = append(opts, uprobe.WithResults())
			}
			delivered, wrong := make([]int, funcs), 0
			kib, begin := resident(t), time.Now()
			tr := trace(t, path, []string{"main.f*"}, func(c *uprobe.Call) {
				var i int
				n, _ := c.Arg(0).Int()
				s, _ := c.Arg(1).Str()
				_, err := fmt.Sscanf(c.Name(), "main.f%d", &i)
				round := int(n) - i
				good := err == nil && round >= 0 && round < rounds && s == "n"
				if results {
					// The last one returns the round and the calls before it, each
					// of the others adds one.
					r, ok := c.Result(0).Int()
					good = good && ok && int(r) == round+funcs-1+(funcs-1-i)
				}
				if !good {
					if wrong++; wrong < 10 {
						t.Errorf("wrong: %v", c)
					}
					return
				}
				delivered[i]++
			}, opts...)
			attached, used := time.Since(begin), resident(t)-kib
			target.Go()
			var sum struct{ Sum int }
			target.Event("sum", &sum)
			target.Calls()
			target.Close()
			begin = time.Now()
			s := closeAll(t, tr)
			t.Logf("%d functions: attached in %v, with %d KiB more memory; detached in %v", len(tr.Funcs()), attached, used, time.Since(begin))
			if len(tr.Funcs()) != funcs || s.Calls != funcs*rounds || s.Open != 0 || s.Unmatched != 0 {
				t.Errorf("%d functions, %+v", len(tr.Funcs()), s)
			}
			if want := rounds*(2*(funcs-1)) + rounds*(rounds-1)/2; sum.Sum != want {
				t.Errorf("the program computed %d, want %d", sum.Sum, want)
			}
			for i, n := range delivered {
				if n != rounds {
					t.Errorf("f%d: %d calls were delivered", i, n)
				}
			}
		})
	}
}

// deepProgram calls itself to the depth that the environment says.
const deepProgram = `package main

import (
	"os"
	"strconv"

	"fixture/truth"
)

//go:noinline
func down(n int) int {
	if n == 0 {
		return 0
	}
	return down(n-1) + 1
}

func main() {
	n, err := strconv.Atoi(os.Getenv("DEPTH"))
	if err != nil {
		panic(err)
	}
	truth.Start()
	if down(n) != n || down(10) != 10 {
		panic("wrong")
	}
	truth.Done()
}
`

// TestDeepRecursion has very many calls open at once: 100,000 are all paired, and of
// more each that is not is counted, with its return.
func TestDeepRecursion(t *testing.T) {
	needRoot(t)
	path := fixture.Build(t, fixture.Source{"main.go": deepProgram})
	// The map has room for 131,072, the slots for 16,384: each of those is found by
	// some key, but for a few.
	for _, tt := range []struct{ depth, least, most int }{{100_000, 100_000, 100_000}, {160_000, 131_072 + 16_300, 131_072 + 16_384}} {
		t.Run(fmt.Sprint(tt.depth), func(t *testing.T) {
			target := fixture.Start(t, path, fmt.Sprintf("DEPTH=%d", tt.depth-1))
			wrong := 0
			tr := trace(t, path, []string{"main.down"}, func(c *uprobe.Call) {
				n, _ := c.Arg(0).Int()
				if r, ok := c.Result(0).Int(); !ok || r != n {
					if wrong++; wrong < 10 {
						t.Errorf("wrong: %v", c)
					}
				}
			}, uprobe.WithPID(target.PID), uprobe.WithBufferSize(128<<20), uprobe.WithResults())
			target.Go()
			target.Calls()
			target.Close()
			if err := tr.Close(); err != nil {
				t.Error(err)
			}
			s := tr.Stats()
			t.Logf("%+v", s)
			const shallow = 11 // of the second recursion
			lost := s.LostOpen
			want := uprobe.Stats{
				Calls: uint64(tt.depth + shallow), Delivered: uint64(tt.depth+shallow) - lost, Unmatched: lost,
				LostOpen: lost, Lost: lost,
			}
			if paired := tt.depth - int(lost); s != want || paired < tt.least || paired > tt.most {
				t.Errorf("stats %+v, want %+v, with %d to %d pairs", s, want, tt.least, tt.most)
			}
		})
	}
}

package e2e

import (
	"os/exec"
	"testing"

	"github.com/argtap/argtap/internal/fixture"
	"github.com/argtap/argtap/uprobe"
)

// TestNegativeLengths has headers of strings and slices with negative lengths and
// capacities, which are no Go values: what is computed of them is absent and says so,
// and no condition is met by them; also where words have 32 bits.
func TestNegativeLengths(t *testing.T) {
	needRoot(t)
	source := fixture.Source{"main.go": `package main

import "unsafe"

var sink uintptr

type text struct {
	p *byte
	n int
}

type list struct {
	p    *int
	n, c int
}

//go:noinline
func take(i int, s string, b []int, p *string) {
	sink += uintptr(i) + uintptr(unsafe.Pointer(p))
}

func main() {
	x, y := byte('x'), 7
	for i, n := range []int{1, -5} {
		s, b := text{&x, n}, list{&y, n, 1}
		take(i, *(*string)(unsafe.Pointer(&s)), *(*[]int)(unsafe.Pointer(&b)), (*string)(unsafe.Pointer(&s)))
	}
	b := list{&y, 1, -1}
	take(2, "x", *(*[]int)(unsafe.Pointer(&b)), nil)
}
`}
	exprs := []string{"i", "len(s)", "s[0]", `s == "x"`, "len(s[:1])", "len(b)", "cap(b)", "b[0]", "len(b[:1])", "len(*p)", "(*p)[0]", "s", "b"}
	const no = "<implausible>"
	want := [][]string{
		{"0", "1", "120", "true", "1", "1", "1", "7", "1", "1", "120", `"x"`, "[]int{7}"},
		{"1", no, no, no, no, no, "1", no, no, no, no, no, no},
		{"2", "1", "120", "true", "1", "1", no, no, no, "<nil pointer>", "<nil pointer>", `"x"`, no},
	}
	for _, tc := range []fixture.Toolchain{{}, {Arch: "386"}} {
		t.Run(tc.String(), func(t *testing.T) {
			path := fixture.BuildWith(t, tc, source)
			run := func() {
				if out, err := exec.Command(path).CombinedOutput(); err != nil {
					t.Fatalf("%v: %s", err, out)
				}
			}
			var got [][]string
			tr := trace(t, path, []string{"main.take"}, func(c *uprobe.Call) {
				var texts []string
				for i := range c.NumArgs() {
					texts = append(texts, c.Arg(i).String())
				}
				got = append(got, texts)
			}, uprobe.WithCapture(exprs...))
			run()
			closeAll(t, tr)
			if len(got) != len(want) {
				t.Fatalf("%d calls: %v", len(got), got)
			}
			for i := range want {
				for j, text := range want[i] {
					if got[i][j] != text {
						t.Errorf("call %d: %s is %s, want %s", i, exprs[j], got[i][j], text)
					}
				}
			}
			for _, condition := range []string{"len(s) > 1", "len(s) < 1", `s != "x"`, "b[0] != 7", "len(*p) > 1"} {
				tr := trace(t, path, []string{"main.take"}, func(c *uprobe.Call) { t.Errorf("%s is met: %v", condition, c) },
					uprobe.WithCondition(condition))
				run()
				if err := tr.Close(); err != nil {
					t.Error(err)
				}
				if s := tr.Stats(); s.Filtered != 3 {
					t.Errorf("%s: %+v", condition, s)
				}
			}
		})
	}
}

package e2e

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/argtap/argtap/internal/fixture"
	"github.com/argtap/argtap/symbols"
	"github.com/argtap/argtap/uprobe"
)

// wrapperFuncs are the methods of testdata/wrappers.
var wrapperFuncs = []string{
	"main.T.Small", "main.T.Big", "main.T.Const", "main.T.Nop", "main.T.Many", "main.(*T).PSmall", "main.(*T).PBig",
	"main.(*T).PNil", "main.Int.Add", "main.Large.At", "main.Empty.Say",
}

// wrapperGenerics are those of generic types.
var wrapperGenerics = []string{"main.G.Get", "main.G.Far"}

func wrapperSource(t *testing.T, minor int) fixture.Source {
	src := fixture.Dir(t, filepath.Join("testdata", "wrappers"))
	src["generic.go"] = "package main\n\nfunc generic(T) {}\n"
	if minor >= 19 { // 1.18 makes closures of method values, and does not describe the receivers of inlined code
		maps.Copy(src, fixture.Dir(t, filepath.Join("testdata", "wrappers18")))
	}
	return src
}

// TestWrappers compares the calls of methods, however they are made, with what the
// program says of them.
func TestWrappers(t *testing.T) {
	needRoot(t)
	builds := []fixture.Toolchain{{}, {Flavour: fixture.Unoptimised}, {Flavour: fixture.PIE}, {Arch: "386"}}
	if os.Getenv("ARGTAP_TOOLCHAINS") == "1" {
		builds = append(builds, releases()...)
	}
	for _, tc := range builds {
		t.Run(tc.String(), func(t *testing.T) {
			minor, err := tc.Minor()
			if err != nil {
				t.Fatal(err)
			}
			path := fixture.BuildWith(t, tc, wrapperSource(t, minor))
			for _, whole := range []bool{false, true} {
				t.Run(fmt.Sprintf("results=%t", whole), func(t *testing.T) { testWrappers(t, path, minor, whole) })
			}
		})
	}
}

// sameCall compares calls as text.
func sameCall(got, want string, minor int) bool {
	// A float in a register: that of a receiver that is passed by value.
	if strings.Contains(got, "F:<register not readable>") {
		want = strings.Replace(want, "F:1.5", "F:<register not readable>", 1)
	}
	g, w := strings.Split(got, "\t"), strings.Split(want, "\t")
	for i := range min(len(g), len(w)) {
		if slices.ContainsFunc(lacking(), func(why string) bool { return strings.Contains(g[i], "<"+why+">") }) {
			w[i] = g[i]
		}
	}
	if minor == 11 || minor == 17 { // of which little is described
		const missing = "<the debug information may leave out a value before it>"
		if n := len(g) - 1; n > 0 && g[n] == missing && g[n-1] == "=" {
			w = append(w[:slices.Index(w, "=")+1], missing)
		}
		for i := range g {
			if i < len(w) && g[i] == missing {
				w[i] = missing
			}
		}
	}
	return slices.Equal(g, w)
}

func testWrappers(t *testing.T, path string, minor int, whole bool) {
	funcs := wrapperFuncs
	if minor >= 19 {
		funcs = slices.Concat(wrapperFuncs, wrapperGenerics)
	}
	var got []string
	vias := map[string]int{}
	handler := func(c *uprobe.Call) {
		text := []string{symbols.WithoutTypeArgs(c.Name())}
		for _, v := range c.Args() {
			text = append(text, fmt.Sprintf("%#v", v))
		}
		if whole {
			text = append(text, "=")
			for _, v := range c.Results() {
				text = append(text, fmt.Sprintf("%#v", v))
			}
		}
		got = append(got, strings.Join(text, "\t"))
		vias[c.Via()]++
	}
	var opts []uprobe.Option
	if whole {
		opts = append(opts, uprobe.WithResults())
	}
	tr := trace(t, path, funcs, handler, opts...)
	for _, err := range tr.LeftOut() {
		t.Errorf("left out: %v", err)
	}
	lines := printed(t, path)
	closeAll(t, tr)
	var want, how []string
	for _, f := range lines {
		if f[0] == "ready" || f[0] == "end" {
			continue
		}
		end := slices.Index(f, "main.results{}")
		if end < 0 {
			t.Fatalf("%q", f)
		}
		text := append([]string{f[0]}, f[2:end]...)
		if whole {
			text = append(append(text, "="), f[end+1:]...)
		}
		want, how = append(want, strings.Join(text, "\t")), append(how, f[1])
	}
	for i := range want {
		if i == len(got) {
			t.Errorf("call %d of %d is missing: %s: %s", i, len(want), how[i], want[i])
			break
		}
		if !sameCall(got[i], want[i], minor) {
			t.Errorf("call %d: %s:\n got %s\nwant %s", i, how[i], got[i], want[i])
			break
		}
	}
	if len(got) != len(want) {
		t.Errorf("%d calls, want %d", len(got), len(want))
	}
	compared(t, len(want))
	t.Logf("%d calls, by the wrapper that they came through: %v", len(want), vias)
}

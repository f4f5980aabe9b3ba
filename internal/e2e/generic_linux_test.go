package e2e

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/argtap/argtap/internal/fixture"
	"github.com/argtap/argtap/symbols"
	"github.com/argtap/argtap/uprobe"
)

// genericFuncs are those of testdata/generic.
var genericFuncs = []string{
	"main.One", "main.Map", "main.Slices", "main.Mixed", "main.Words", "main.Text", "main.Get", "main.Lists",
	"main.Number", "main.Many", "main.(*Stack).Push", "main.Stack.Top", "main.(*Pair).Set", "main.Pair.Swap",
}

// genericCall is a call as the program or the tracer tells it.
type genericCall struct {
	name, instance string
	args           []string // types and values
	why            []map[string]int
}

func (c genericCall) String() string { return c.name + "\t" + strings.Join(c.args, "\t") }

// runGeneric traces functions of testdata/generic and runs it.
func runGeneric(t *testing.T, path string, funcs []string, opts ...uprobe.Option) (want, got []genericCall) {
	t.Helper()
	handler := func(c *uprobe.Call) {
		g := genericCall{name: symbols.WithoutTypeArgs(c.Name()), instance: c.Instance()}
		for _, v := range c.Args() {
			s, why := shapeOf(v)
			g.args, g.why = append(g.args, v.TypeName()+" "+s), append(g.why, why)
		}
		got = append(got, g)
	}
	opts = append(opts, uprobe.WithLimits(uprobe.Limits{Depth: 100, Objects: 1024, Record: 32 << 10}))
	tr := trace(t, path, funcs, handler, opts...)
	lines := printed(t, path)
	closeAll(t, tr)
	for _, f := range lines {
		want = append(want, genericCall{name: f[0], args: f[1:]})
	}
	return want, got
}

// TestGeneric compares the types and values of arguments of generic functions with
// what the program says of them.
func TestGeneric(t *testing.T) {
	needRoot(t)
	releases := []string{""}
	if os.Getenv("ARGTAP_TOOLCHAINS") != "" {
		releases = append(releases, "1.18.10", "1.19.13", "1.20.14", "1.21.13", "1.23.12", "1.24.13", "1.26.8", "1.27.4")
	}
	for _, release := range releases {
		for _, fl := range []fixture.Flavour{fixture.Default, fixture.Unoptimised, fixture.PIE} {
			tc := fixture.Toolchain{Release: release, Flavour: fl}
			t.Run(tc.String(), func(t *testing.T) {
				path := fixture.BuildWith(t, tc, genericSource(t))
				minor, err := tc.Minor()
				if err != nil {
					t.Fatal(err)
				}
				compareGeneric(t, path, minor < 22)
			})
		}
	}
	t.Run("386", func(t *testing.T) {
		tc := fixture.Toolchain{Arch: "386"}
		compareGeneric(t, fixture.BuildWith(t, tc, genericSource(t)), false)
	})
}

// genericSource is the program of testdata/generic.
func genericSource(t *testing.T) fixture.Source {
	src := fixture.Dir(t, filepath.Join("testdata", "generic"))
	src["shape.go"] = shapeSource
	return src
}

// funcText is how a func literal of generic code is shown.
var funcText = regexp.MustCompile(`func:main\.call\[.*\]\.func1\{.*\}`)

// compareGeneric compares all calls of a build of testdata/generic. doubts says that
// the compiler leaves blank parameters out of the debug information: then values
// behind those of many parameters may be absent.
func compareGeneric(t *testing.T, path string, doubts bool) {
	t.Helper()
	want, got := runGeneric(t, path, genericFuncs)
	if len(got) != len(want) {
		t.Errorf("%d calls, want %d", len(got), len(want))
	}
	failed := 0
	for i := range want {
		if i == len(got) {
			break
		}
		if doubts && want[i].name == "main.Many" {
			for j, why := range got[i].why {
				typ, _, _ := strings.Cut(want[i].args[j], " ")
				if why["the debug information may leave out a value before it"] > 0 && got[i].args[j] == typ+" (?)" {
					got[i].args[j] = want[i].args[j]
				}
			}
		}
		for j, a := range got[i].args {
			got[i].args[j] = funcText.ReplaceAllString(a, "func")
		}
		if g, w := got[i].String(), want[i].String(); g != w {
			if failed++; failed <= 10 {
				t.Errorf("call %d:\n got %s\nwant %s\nbecause %v", i, g, w, got[i].why)
			}
		}
		if strings.Contains(got[i].instance, "go.shape.") {
			if failed++; failed <= 10 {
				t.Errorf("call %d: of an instance that is not known: %s", i, got[i].instance)
			}
		}
	}
	compared(t, len(want))
	if failed > 10 {
		t.Errorf("%d of %d calls in all", failed, len(want))
	}
}

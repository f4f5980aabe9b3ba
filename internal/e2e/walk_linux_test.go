package e2e

import (
	"embed"
	"io/fs"
	"os"
	"path"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"github.com/argtap/argtap/internal/fixture"
	"github.com/argtap/argtap/uprobe"
)

//go:embed testdata/walk/*.go
var walkFiles embed.FS

// shapeSource is what programs print their values with.
//
//go:embed testdata/shape/shape.go
var shapeSource string

// walkRelease is the part of a file's name that says from which release on it is.
var walkRelease = regexp.MustCompile(`_(\d+)\.go$`)

// walkSource is the program of testdata/walk for Go 1.minor.
func walkSource(t *testing.T, minor int) fixture.Source {
	t.Helper()
	names, err := fs.Glob(walkFiles, "testdata/walk/*.go")
	if err != nil || len(names) < 4 {
		t.Fatalf("files %q: %v", names, err)
	}
	src := fixture.Source{"shape.go": shapeSource}
	for _, name := range names {
		if m := walkRelease.FindStringSubmatch(name); m != nil {
			if from, err := strconv.Atoi(m[1]); err != nil || minor < from {
				continue
			}
		}
		text, err := walkFiles.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		src[path.Base(name)] = string(text)
	}
	return src
}

// buildWalk builds the program of testdata/walk.
func buildWalk(t *testing.T, tc fixture.Toolchain, flags ...string) (path string, minor int) {
	t.Helper()
	minor, err := tc.Minor()
	if err != nil {
		t.Fatal(err)
	}
	return fixture.BuildWith(t, tc, walkSource(t, minor), flags...), minor
}

// walked is what a program said of a call, and what was captured of it.
type walked struct {
	name string
	args []string
	why  []map[string]int
}

func (w walked) String() string { return w.name + "\t" + strings.Join(w.args, "\t") }

// runWalk traces the functions of testdata/walk and runs it.
func runWalk(t *testing.T, path string, opts ...uprobe.Option) (want, got []walked) {
	t.Helper()
	return runShapes(t, path, []string{"list", "trees", "shared", "slices", "anys", "one", "errs", "arrays", "pointers", "named", "dangling"}, opts...)
}

// runShapes traces functions of a program that prints the shapes of their
// arguments, and runs it.
func runShapes(t *testing.T, path string, names []string, opts ...uprobe.Option) (want, got []walked) {
	t.Helper()
	handler := func(c *uprobe.Call) {
		w := walked{name: c.Name()}
		for _, v := range c.Args() {
			s, why := shapeOf(v)
			w.args, w.why = append(w.args, s), append(w.why, why)
		}
		got = append(got, w)
	}
	var funcs []string
	for _, f := range names {
		funcs = append(funcs, "main."+f)
	}
	tr := trace(t, path, funcs, handler, opts...)
	lines := printed(t, path)
	closeAll(t, tr)
	for _, f := range lines {
		want = append(want, walked{name: f[0], args: f[1:]})
	}
	return want, got
}

// walkReleases have each a layout, a calling convention or debug information of
// their own.
var walkReleases = []string{
	"1.11.13", "1.16.15", "1.17.13", "1.18.10", "1.21.13", "1.23.12", "1.24.13", "1.26.8", "1.27.4",
}

// TestWalk compares graphs of all kinds with what the program says of them. With
// ARGTAP_TOOLCHAINS=1 it does for programs of other releases of Go, too.
func TestWalk(t *testing.T) {
	needRoot(t)
	for _, b := range builds {
		t.Run(b.name, func(t *testing.T) { testWalk(t, fixture.Toolchain{}, b.flags...) })
	}
	if os.Getenv("ARGTAP_TOOLCHAINS") != "1" || runtime.GOARCH != "amd64" {
		return
	}
	for _, release := range walkReleases {
		t.Run(release, func(t *testing.T) { testWalk(t, fixture.Toolchain{Release: release}) })
	}
}

func testWalk(t *testing.T, tc fixture.Toolchain, flags ...string) {
	path, minor := buildWalk(t, tc, flags...)
	compareWalk(t, path, minor)
}

// compareWalk compares all calls of a build of testdata/walk by Go 1.minor.
func compareWalk(t *testing.T, path string, minor int) {
	t.Helper()
	want, got := runWalk(t, path, uprobe.WithLimits(uprobe.Limits{Depth: 100, Objects: 1024, Record: 32 << 10}))
	if len(got) != len(want) || len(want) < 50 {
		t.Fatalf("%d calls, want %d", len(got), len(want))
	}
	unknown := 0
	for i := range want {
		for j := range min(len(got[i].args), len(want[i].args)) {
			// Debug information of the first releases does not tell the places
			// of more than one argument.
			if minor <= 16 && len(want[i].args) > 1 && got[i].args[j] == "(?)" && got[i].why[j]["the debug information may leave out a value before it"] == 1 {
				got[i].args[j] = want[i].args[j]
				unknown++
			}
		}
		if g, w := got[i].String(), want[i].String(); g != w {
			t.Errorf("call %d:\n got %s\nwant %s\nbecause %v", i, g, w, got[i].why)
		}
	}
	compared(t, len(want))
	if unknown > 0 {
		t.Logf("%d arguments of %d calls are not known", unknown, len(want))
	}
}

// walkCalls returns what was captured of the calls of one function, and what the
// program said of them.
func walkCalls(t *testing.T, name string, want, got []walked) (w, g []walked) {
	t.Helper()
	for i := range want {
		if i < len(got) && want[i].name == name && got[i].name == name {
			w, g = append(w, want[i]), append(g, got[i])
		}
	}
	if len(w) == 0 {
		t.Fatalf("no call of %s", name)
	}
	return w, g
}

// TestWalkLimits: what is cut says by which limit, and the rest is right.
func TestWalkLimits(t *testing.T) {
	needRoot(t)
	path, _ := buildWalk(t, fixture.Toolchain{})
	for _, tt := range []struct {
		name   string
		opts   []uprobe.Option
		fn     string
		call   int
		nodes  int // that are there
		reason string
	}{
		{"default depth", nil, "main.list", 3, 3, "too deep"},
		{"depth", []uprobe.Option{uprobe.WithDepth(7)}, "main.list", 3, 7, "too deep"},
		{"no depth", []uprobe.Option{uprobe.WithDepth(0)}, "main.list", 3, 0, "too deep"},
		// 13 objects: nodes, and their names, of which every seventh is empty.
		{"objects", []uprobe.Option{uprobe.WithLimits(uprobe.Limits{Depth: 100, Objects: 13})}, "main.list", 3, 7, "cut at the limit on objects of a call"},
		// The record begins with 56 bytes; each node takes 48, and each name 24.
		{"bytes", []uprobe.Option{uprobe.WithLimits(uprobe.Limits{Depth: 100, Record: 56 + 10*72})}, "main.list", 3, 11, "cut at the limit on bytes of a call"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			want, got := runWalk(t, path, tt.opts...)
			w, g := walkCalls(t, tt.fn, want, got)
			text, whole := g[tt.call].args[0], w[tt.call].args[0]
			nodes := strings.Count(text, "{")
			if nodes != tt.nodes {
				t.Errorf("%d nodes, want %d: %s", nodes, tt.nodes, text)
			}
			for r := range g[tt.call].why[0] {
				if r != tt.reason {
					t.Errorf("absent: %s, want %s", r, tt.reason)
				}
			}
			if g[tt.call].why[0][tt.reason] == 0 {
				t.Errorf("absent: %v, want %s", g[tt.call].why, tt.reason)
			}
			// Before the first thing that is absent all is as it was passed.
			if there, _, _ := strings.Cut(text, "(?)"); !strings.HasPrefix(whole, there) {
				t.Errorf("got %s\nwant a beginning of %s", there, whole)
			}
		})
	}
}

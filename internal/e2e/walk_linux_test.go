package e2e

import (
	"bytes"
	"embed"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/argtap/argtap/abi"
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

// shape prints values such that programs can print the same of their own:
// numbers, quoted strings, [elements], {fields}, dynamic type:value for
// interfaces, &address and the value for pointers, ^address where the same was
// printed already, and (?) for what is not there.
type shape struct {
	b    []byte
	seen map[string]bool
	why  map[string]int // reasons of absence
}

func shapeOf(v uprobe.Value) (string, map[string]int) {
	s := shape{seen: map[string]bool{}, why: map[string]int{}}
	s.value(v)
	return string(s.b), s.why
}

func (s *shape) printf(format string, args ...any) {
	s.b = append(s.b, fmt.Sprintf(format, args...)...)
}

func (s *shape) absent(reason string) {
	s.why[reason]++
	s.printf("(?)")
}

func (s *shape) value(v uprobe.Value) {
	if reason, absent := v.Absent(); absent {
		s.absent(reason)
		return
	}
	switch k := v.Kind(); k {
	case abi.Bool:
		x, _ := v.Bool()
		s.printf("%t", x)
	case abi.Int, abi.Int8, abi.Int16, abi.Int32, abi.Int64:
		x, _ := v.Int()
		s.printf("%d", x)
	case abi.Uint, abi.Uint8, abi.Uint16, abi.Uint32, abi.Uint64, abi.Uintptr:
		x, _ := v.Uint()
		s.printf("%d", x)
	case abi.Float32, abi.Float64:
		x, _ := v.Float()
		s.printf("%v", x)
	case abi.Complex64, abi.Complex128:
		x, _ := v.Complex()
		s.printf("%v", x)
	case abi.String:
		x, ok := v.Str()
		switch {
		case !ok:
			why := "string"
			if a, ok := v.Any().(uprobe.Absent); ok {
				why = a.Reason
			}
			s.absent(why)
		case len(x) < v.Len():
			s.printf("%q…(%d)", x, v.Len())
		default:
			s.printf("%q", x)
		}
	case abi.Slice, abi.Array:
		if v.IsNil() {
			s.printf("nil")
			return
		}
		s.printf("[")
		for i := range v.Captured() {
			if i > 0 {
				s.printf(" ")
			}
			s.value(v.Index(i))
		}
		if n := v.Captured(); n < v.Len() {
			reason, _ := v.Index(n).Absent()
			s.why[reason]++
			s.printf("…(%d)", v.Len())
		}
		s.printf("]")
	case abi.Struct:
		s.printf("{")
		for i := range v.NumField() {
			if i > 0 {
				s.printf(" ")
			}
			s.value(v.Field(i))
		}
		s.printf("}")
	case abi.Pointer:
		p, _ := v.Pointer()
		key := fmt.Sprintf("%#x %s", p, v.TypeName())
		switch {
		case p == 0:
			s.printf("nil")
		case s.seen[key]:
			s.printf("^%#x", p)
		default:
			s.seen[key] = true
			s.printf("&%#x", p)
			s.value(v.Elem())
		}
	case abi.Interface:
		if v.IsNil() {
			s.printf("nil")
			return
		}
		d := v.Dynamic()
		s.printf("%s:", d.TypeName())
		s.value(d)
	case abi.Map:
		s.mapping(v)
	case abi.Chan:
		s.channel(v)
	case abi.Func:
		s.function(v)
	default:
		s.printf("?")
	}
}

// again reports whether what is at an address was printed, and if not that it is
// going to be.
func (s *shape) again(v uprobe.Value, mark string) bool {
	p, _ := v.Pointer()
	key := fmt.Sprintf("%#x %s", p, v.TypeName())
	if s.seen[key] {
		s.printf("^%#x", p)
		return true
	}
	s.seen[key] = true
	s.printf("%s%#x", mark, p)
	return false
}

// mapping prints the entries in the order of how their keys print.
func (s *shape) mapping(v uprobe.Value) {
	if v.IsNil() {
		s.printf("nil")
		return
	}
	if reason, ok := v.Unfollowed(); ok {
		s.absent(reason)
		return
	}
	if s.again(v, "map") {
		return
	}
	s.printf("%d{", v.Len())
	type entry struct {
		text      string
		key, elem uprobe.Value
	}
	var list []entry
	for k, e := range v.MapRange() {
		text, _ := shapeOf(k)
		list = append(list, entry{text, k, e})
	}
	slices.SortFunc(list, func(a, b entry) int { return strings.Compare(a.text, b.text) })
	for i, e := range list {
		if i > 0 {
			s.printf(" ")
		}
		s.value(e.key)
		s.printf(":")
		s.value(e.elem)
	}
	s.printf("}")
}

func (s *shape) channel(v uprobe.Value) {
	if v.IsNil() {
		s.printf("nil")
		return
	}
	if reason, ok := v.Unfollowed(); ok {
		s.absent(reason)
		return
	}
	if s.again(v, "chan") {
		return
	}
	s.printf(" %d/%d", v.Len(), v.Cap())
	if closed, _ := v.Closed(); closed {
		s.printf(" closed")
	}
	s.printf("[")
	for i := range v.Len() {
		if i > 0 {
			s.printf(" ")
		}
		s.value(v.Index(i))
	}
	s.printf("]")
}

func (s *shape) function(v uprobe.Value) {
	if v.IsNil() {
		s.printf("nil")
		return
	}
	if reason, ok := v.Unfollowed(); ok {
		s.absent(reason)
		return
	}
	name, _ := v.FuncName()
	s.printf("func:%s{", name)
	vars := v.Closure()
	for i := range vars.NumField() {
		if i > 0 {
			s.printf(" ")
		}
		s.printf("%s=", vars.Type().Fields[i].Name)
		s.value(vars.Field(i))
	}
	s.printf("}")
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
	cmd := exec.Command(path)
	cmd.Stdin = strings.NewReader("go\n")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, stderr.Bytes())
	}
	closeAll(t, tr)
	for line := range strings.Lines(string(out)) {
		f := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
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

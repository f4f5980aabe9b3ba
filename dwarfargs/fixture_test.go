package dwarfargs

import (
	"cmp"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	random "github.com/argtap/argtap/internal/fixture"
	"github.com/argtap/argtap/symbols"
)

// flavour is a way to build testdata/fixture.
type flavour struct {
	name   string
	goarch string
	env    []string
	args   []string
	pkg    string // "": testdata/fixture
}

var flavours = []flavour{
	{name: "default", goarch: "amd64"},
	{name: "N-l", goarch: "amd64", args: []string{"-gcflags=-N -l"}},
	{name: "nodwarf5", goarch: "amd64", env: []string{"GOEXPERIMENT=nodwarf5"}},
	{name: "uncompressed", goarch: "amd64", args: []string{"-ldflags=-compressdwarf=false"}},
	{name: "pie", goarch: "amd64", args: []string{"-buildmode=pie"}},
	{name: "arm64", goarch: "arm64"},
	{name: "386", goarch: "386"},
}

var (
	fixtureDir string
	built      sync.Map // flavour name → func() (string, error)
)

func TestMain(m *testing.M) {
	var err error
	if fixtureDir, err = os.MkdirTemp("", "dwarfargs"); err != nil {
		panic(err)
	}
	code := random.Main(m)
	os.RemoveAll(fixtureDir)
	os.Exit(code)
}

// fixture builds the fixture once and returns its path.
func fixture(tb testing.TB, fl flavour) string {
	tb.Helper()
	build, _ := built.LoadOrStore(fl.name, sync.OnceValues(func() (string, error) {
		out := filepath.Join(fixtureDir, fl.name)
		args := append([]string{"build", "-o", out}, fl.args...)
		cmd := exec.Command("go", append(args, cmp.Or(fl.pkg, "./testdata/fixture"))...)
		cmd.Env = append(os.Environ(), "GOFLAGS=", "GOENV=off", "GOWORK=off", "GOTOOLCHAIN=local", "GOEXPERIMENT=",
			"CGO_ENABLED=0", "GOOS=linux", "GOARCH="+fl.goarch)
		cmd.Env = append(cmd.Env, fl.env...)
		if text, err := cmd.CombinedOutput(); err != nil {
			return "", &buildError{fl.name, string(text), err}
		}
		return out, nil
	}))
	path, err := build.(func() (string, error))()
	if err != nil {
		tb.Fatal(err)
	}
	return path
}

type buildError struct {
	flavour, text string
	err           error
}

func (e *buildError) Error() string {
	return "build " + e.flavour + ": " + e.err.Error() + "\n" + e.text
}

// goCommand is a big binary whose source every developer has: the go command,
// built anew because the one of a release has no DWARF.
func goCommand(tb testing.TB) string {
	return fixture(tb, flavour{name: "go", goarch: "amd64", pkg: "cmd/go"})
}

// open opens a file and its debug information until the test ends.
func open(tb testing.TB, path string) (*symbols.File, *Data) {
	tb.Helper()
	f, err := symbols.Open(path)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { f.Close() })
	d, err := Open(f)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(d.Close)
	return f, d
}

// lookup reads one function by name.
func lookup(tb testing.TB, f *symbols.File, d *Data, name string, depth int) (*Func, error) {
	tb.Helper()
	fn, err := f.Lookup(name)
	if err != nil {
		return nil, err
	}
	return d.Func(fn, depth)
}

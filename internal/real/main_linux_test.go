package real

import (
	"debug/buildinfo"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	"github.com/argtap/argtap/internal/fixture"
)

// program is a program to test with.
type program struct {
	name string
	// args make it print something to standard output and end.
	args []string
	// installed is where a package manager may have put it: a command's name.
	installed string
	// module, pkg and flags build it, or what stands in for it.
	module, pkg string
	flags       []string
	// substitute says that what is built is another program, and its args.
	substitute []string
	stripped   bool
}

const (
	caddy = "github.com/caddyserver/caddy/v2@v2.11.9"
	delve = "github.com/go-delve/delve@v1.27.2"
)

// programs are those that the tests use. What a vendor ships comes first where
// it is installed: it was built by another release, in the vendor's own way.
var programs = []program{
	{name: "delve", args: []string{"version"}, module: delve, pkg: "github.com/go-delve/delve/cmd/dlv"},
	{name: "caddy", args: []string{"list-modules"}, module: caddy, pkg: "github.com/caddyserver/caddy/v2/cmd/caddy"},
	{
		name: "docker", args: []string{"--version"}, installed: "docker", substitute: []string{"version"},
		module: delve, pkg: "github.com/go-delve/delve/cmd/dlv", flags: []string{"-buildmode=pie"},
	},
	{
		name: "kubectl", args: []string{"version", "--client"}, installed: "kubectl", substitute: []string{"version"}, stripped: true,
		module: delve, pkg: "github.com/go-delve/delve/cmd/dlv", flags: []string{"-ldflags=-s -w", "-buildmode=pie"},
	},
	{
		name: "terraform", args: []string{"version"}, installed: "terraform", substitute: []string{"list-modules"}, stripped: true,
		module: caddy, pkg: "github.com/caddyserver/caddy/v2/cmd/caddy", flags: []string{"-ldflags=-s -w", "-trimpath"},
	},
}

var found struct {
	sync.Mutex
	paths map[string]string
	args  map[string][]string
}

// find returns the path of a program and the arguments to run it with.
func (p *program) find(t testing.TB) (path string, args []string) {
	t.Helper()
	found.Lock()
	defer found.Unlock()
	if path, ok := found.paths[p.name]; ok {
		return path, found.args[p.name]
	}
	path, args = p.lookFor()
	if path == "" {
		path, args = keep(t, fixture.FromProxy(t, p.module, p.pkg, p.flags...)), p.args
		if p.substitute != nil {
			t.Logf("%s is not installed: %s %q stands in for it", p.name, p.module, p.flags)
			args = p.substitute
		}
	}
	if found.paths == nil {
		found.paths, found.args = map[string]string{}, map[string][]string{}
	}
	found.paths[p.name], found.args[p.name] = path, args
	return path, args
}

// lookFor finds an installed program, if it is one of Go.
func (p *program) lookFor() (path string, args []string) {
	if p.installed == "" {
		return "", nil
	}
	path, err := exec.LookPath(p.installed)
	if err != nil {
		return "", nil
	}
	if path, err = filepath.EvalSymlinks(path); err != nil {
		return "", nil
	}
	if _, err := buildinfo.ReadFile(path); err != nil {
		return "", nil // a script, or not Go
	}
	return path, p.args
}

// dir is where what was built lies until all tests have run.
var dir string

// keep moves a file out of a test's own directory.
func keep(t testing.TB, path string) string {
	t.Helper()
	f, err := os.CreateTemp(dir, filepath.Base(path)+"-*")
	if err != nil {
		t.Fatal(err)
	}
	f.Close()
	if err := os.Rename(path, f.Name()); err != nil {
		t.Fatal(err)
	}
	return f.Name()
}

func TestMain(m *testing.M) {
	// They take minutes, and a network.
	if os.Getenv("ARGTAP_REAL") == "" && os.Getenv("CI") == "" {
		fmt.Println("skipped: set ARGTAP_REAL=1 to fetch, build and trace real programs")
		return
	}
	var err error
	if dir, err = os.MkdirTemp("", "argtap-real-"); err != nil {
		panic(err)
	}
	code := m.Run()
	os.RemoveAll(dir)
	os.Exit(code)
}

// each runs a test for every program.
func each(t *testing.T, test func(t *testing.T, p *program, path string, args []string)) {
	for i := range programs {
		p := &programs[i]
		t.Run(p.name, func(t *testing.T) {
			path, args := p.find(t)
			test(t, p, path, args)
		})
	}
}

package symbols

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// variant is a way to build testdata/prog.
type variant struct {
	name   string
	goarch string
	args   []string
}

var (
	plain      = variant{name: "plain", goarch: "amd64"}
	pie        = variant{name: "pie", goarch: "amd64", args: []string{"-buildmode=pie"}}
	noDWARF    = variant{name: "w", goarch: "amd64", args: []string{"-ldflags=-w"}}
	noSymbols  = variant{name: "sw", goarch: "amd64", args: []string{"-ldflags=-s -w"}}
	knownID    = variant{name: "id", goarch: "amd64", args: []string{"-ldflags=-B 0x0123456789abcdef0123456789abcdef01234567 -compressdwarf=false"}}
	noID       = variant{name: "noid", goarch: "amd64", args: []string{"-ldflags=-B none -buildid="}}
	arm64      = variant{name: "arm64", goarch: "arm64"}
	x86        = variant{name: "386", goarch: "386"}
	withTables = []variant{plain, pie, noDWARF, knownID, arm64, x86}
	variants   = append([]variant{noSymbols, noID}, withTables...)
)

var fixtures struct {
	sync.Mutex
	dir   string
	built map[string]string
}

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "symbols")
	if err != nil {
		panic(err)
	}
	fixtures.dir, fixtures.built = dir, map[string]string{}
	code := m.Run()
	os.RemoveAll(dir)
	os.Exit(code)
}

// path builds the variant, once, and returns the program's path.
func (v variant) path(t testing.TB) string {
	t.Helper()
	fixtures.Lock()
	defer fixtures.Unlock()
	if p, ok := fixtures.built[v.name]; ok {
		return p
	}
	p := filepath.Join(fixtures.dir, v.name)
	args := append([]string{"build", "-o", p}, v.args...)
	cmd := exec.Command("go", append(args, "main.go")...)
	cmd.Dir = "testdata/prog"
	cmd.Env = append(os.Environ(), "GOOS=linux", "GOARCH="+v.goarch, "CGO_ENABLED=0",
		"GOFLAGS=", "GOWORK=off", "GOTOOLCHAIN=local")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build %s: %v\n%s", v.name, err, out)
	}
	fixtures.built[v.name] = p
	return p
}

func (v variant) open(t testing.TB) *File {
	t.Helper()
	f, err := Open(v.path(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

// goTool returns the output of go tool name args.
func goTool(t *testing.T, name string, args ...string) string {
	t.Helper()
	cmd := exec.Command("go", append([]string{"tool", name}, args...)...)
	cmd.Env = append(os.Environ(), "GOFLAGS=", "GOTOOLCHAIN=local")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go tool %s: %v\n%s", name, err, &stderr)
	}
	return string(out)
}

// nm returns the functions that go tool nm lists: what it shows as T or t.
func nm(t *testing.T, path string) map[Func]bool {
	t.Helper()
	funcs := map[Func]bool{}
	for line := range strings.Lines(goTool(t, "nm", "-size", path)) {
		// address size type name; names may have spaces
		f := strings.Fields(line)
		if len(f) < 4 || f[2] != "T" && f[2] != "t" {
			continue
		}
		addr, err1 := strconv.ParseUint(f[0], 16, 64)
		size, err2 := strconv.ParseUint(f[1], 10, 64)
		_, name, ok := strings.Cut(line, " "+f[2]+" ")
		if err1 != nil || err2 != nil || !ok {
			t.Fatalf("go tool nm: %q", line)
		}
		fn := Func{Name: strings.TrimSuffix(name, "\n"), Entry: VirtAddr(addr), Size: size}
		if size == 0 && isMarker(fn.Name) {
			continue
		}
		funcs[fn] = true
	}
	if len(funcs) < 500 {
		t.Fatalf("go tool nm: only %d functions", len(funcs))
	}
	return funcs
}

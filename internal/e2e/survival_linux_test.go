package e2e

import (
	"bytes"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/argtap/argtap/internal/fixture"
)

// survivalVar asks TestSurvivalFull to run every suite of every release: "full", or the
// time that each test of it may take, as for [time.ParseDuration], in place of a
// minute. It takes half a day: docs/survival.md has the results.
const survivalVar = "ARGTAP_SURVIVAL"

// survivalTests is a pattern of the tests that TestSurvivalFull runs of each suite.
const survivalTests = "ARGTAP_SURVIVAL_TESTS"

// goBuildSkip is in what a test says that is skipped because of suite.noBuild.
const goBuildSkip = "not compatible with setting $GO_GCFLAGS"

// testTime is how long one test of the standard library may take with probes. One that
// takes longer is ended with its process and told; the others run on in a new one.
func testTime() time.Duration {
	if d, err := time.ParseDuration(os.Getenv(survivalVar)); err == nil {
		return d
	}
	return time.Minute
}

// TestSurvival runs tests of the standard library while every function of
// their package is traced, returns too: as many must pass as without, and every
// call be accounted for. It is the short form of TestSurvivalFull.
func TestSurvival(t *testing.T) {
	needRoot(t)
	for _, s := range shortSuites {
		name := s.pkg
		if s.entries {
			name += "/entries"
		}
		t.Run(name, func(t *testing.T) { s.survive(t, fixture.Toolchain{}) })
	}
}

// TestSurvivalFull does so with whole suites, built by several releases.
func TestSurvivalFull(t *testing.T) {
	if os.Getenv(survivalVar) == "" {
		t.Logf("the whole suites run with %s=full", survivalVar)
		return
	}
	needRoot(t)
	for _, release := range []string{"", "1.17.13", "1.21.13"} {
		name := release
		if name == "" {
			name = "local"
		}
		t.Run(name, func(t *testing.T) {
			for _, s := range fullSuites {
				t.Run(s.pkg, func(t *testing.T) { s.survive(t, fixture.Toolchain{Release: release}) })
			}
		})
	}
}

// suite says which tests of a package run, and which of its functions are traced.
type suite struct {
	pkg     string
	entries bool // without returns
	// run selects tests, all if it is empty.
	run string
	// slow are tests that may fail when what they measure takes longer. They run,
	// and how they end is told.
	slow []exception
	// noBuild has tests that start the go command skip themselves: what they build and
	// run is another program, of which nothing is traced.
	noBuild bool
	least   int // functions that must be traced, to know that the pattern worked
}

// exception names tests or functions by a pattern of package path, with the reason.
type exception struct{ pattern, why string }

// excepted returns the exception that a name is subject to.
func excepted(list []exception, name string) *exception {
	for i := range list {
		if ok, err := path.Match(list[i].pattern, name); ok && err == nil {
			return &list[i]
		}
	}
	return nil
}

// built is a suite's test program.
type built struct {
	exe, dir string
	env      []string
}

func (s *suite) build(t *testing.T, tc fixture.Toolchain) *built {
	t.Helper()
	// A module of the release: one of an older one has its tests run with an older
	// behaviour (GODEBUG).
	minor, err := tc.Minor()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "go.mod"), fmt.Appendf(nil, "module survival\n\ngo 1.%d\n", minor), 0o644); err != nil {
		t.Fatal(err)
	}
	b := &built{exe: filepath.Join(dir, "stdlib.test")}
	// No DWARF in what "go test" links by default, unless told to.
	cmd := tc.Command("test", "-c", "-o", b.exe, "-ldflags=-w=0 -s=0", s.pkg)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %v\n%s", cmd, err, out)
	}
	cmd = tc.Command("env", "GOROOT")
	cmd.Dir = dir
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	goroot := strings.TrimSpace(string(out))
	b.dir = filepath.Join(goroot, "src", filepath.FromSlash(s.pkg))
	// Some tests run the go command. What they build with cgo is another program,
	// of which nothing is traced.
	b.env = append(slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "GO") }),
		"GOTRACEBACK=all", "GOENV=off", "GOTOOLCHAIN=local", "CGO_ENABLED=0", "PATH="+filepath.Join(goroot, "bin")+":"+os.Getenv("PATH"))
	if s.noBuild {
		b.env = append(b.env, "GO_GCFLAGS=-N") // internal/testenv looks whether it is set
	}
	return b
}

// tests lists the suite's tests.
func (s *suite) tests(t *testing.T, b *built) (names []string) {
	t.Helper()
	cmd := exec.Command(b.exe, "-test.list", cmpOr(s.run, "."))
	cmd.Dir, cmd.Env = b.dir, b.env
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %v", cmd, err)
	}
	chosen, err := regexp.Compile(os.Getenv(survivalTests))
	if err != nil {
		t.Fatal(err)
	}
	for name := range strings.FieldsSeq(string(out)) {
		if chosen.MatchString(name) && (strings.HasPrefix(name, "Test") || strings.HasPrefix(name, "Example")) {
			names = append(names, name)
		}
	}
	return names
}

func cmpOr(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

// survive runs the tests of a suite without and with probes.
func (s *suite) survive(t *testing.T, tc fixture.Toolchain) {
	b := s.build(t, tc)
	tests := s.tests(t, b)
	if len(tests) == 0 && os.Getenv(survivalTests) != "" {
		return
	}
	plain := b.run(t, tests, nil)
	if plain.count("PASS") == 0 {
		t.Fatalf("nothing passes without probes: %v\n%.3000s", plain.err, plain.out)
	}
	g := s.trace(t, b, nil)
	traced := b.run(t, tests, g)
	st := g.end(t)
	s.compare(t, plain, traced)
	if len(g.Funcs()) < s.least {
		t.Errorf("%d functions are traced, want at least %d", len(g.Funcs()), s.least)
	}
	if st.Calls == 0 {
		t.Error("no call was seen")
	}
	results := 0
	for _, f := range g.Funcs() {
		if f.NoResults() == "" {
			results++
		}
	}
	t.Logf("| %s | `%s` | %d (%d) | %d, %d, %d | %d, %d, %d | %s | %.1f s | %.1f s | %.1f |", releaseName(tc), s.pkg,
		len(g.Funcs()), results, plain.count("PASS"), plain.count("FAIL"), plain.count("SKIP"),
		traced.count("PASS"), traced.count("FAIL"), traced.count("SKIP"), strings.Join(traced.overdue, ", "),
		plain.took.Seconds(), traced.took.Seconds(), traced.took.Seconds()/plain.took.Seconds())
	if n := bytes.Count(plain.out, []byte(goBuildSkip)); n > 0 {
		t.Logf("%d tests and subtests are skipped with and without probes because they start the go command", n)
	}
	g.tell(t)
	late := slices.DeleteFunc(traced.overdue, func(test string) bool { return slices.Contains(plain.overdue, test) })
	if len(late) > 0 && os.Getenv(survivalVar) != "" {
		s.again(t, tc, b, plain, g, late)
	}
}

// releaseName is the release of a toolchain, as tables have it.
func releaseName(tc fixture.Toolchain) string {
	if tc.Release != "" {
		return tc.Release
	}
	return strings.TrimPrefix(runtime.Version(), "go")
}

// compare requires that each test ended as it did without probes.
func (s *suite) compare(t *testing.T, plain, traced *outcome) {
	t.Helper()
	all := maps.Clone(plain.tests)
	maps.Copy(all, traced.tests)
	for _, name := range slices.Concat(plain.overdue, traced.overdue) {
		tell := t.Logf
		if os.Getenv(survivalVar) == "" {
			tell = t.Errorf
		}
		tell("%s takes more than %v: ended", name, testTime())
		maps.DeleteFunc(all, func(test, _ string) bool { return topTest(test) == name })
	}
	bad := false
	for _, name := range slices.Sorted(maps.Keys(all)) {
		was, is := plain.tests[name], traced.tests[name]
		if was == is {
			continue
		}
		if e := excepted(s.slow, topTest(name)); e != nil {
			t.Logf("%s: %q without, %q with probes: %s", name, was, is, e.why)
			continue
		}
		bad = true
		t.Errorf("%s: %q without, %q with probes", name, was, is)
	}
	if bad {
		t.Errorf("the tests end with %v while they are traced, %v without\n%s", traced.err, plain.err, excerpt(traced.out))
	}
}

// excerpt is what a test's output has of failures.
func excerpt(out []byte) string {
	var b strings.Builder
	at := 0
	for _, m := range regexp.MustCompile(`(?m)^( *--- FAIL|panic:|fatal error:|SIG|unexpected)`).FindAllIndex(out, 8) {
		from := max(m[0]-300, at)
		at = max(from, min(m[0]+2500, len(out)))
		b.Write(out[from:at])
	}
	if b.Len() == 0 {
		return string(out[max(0, len(out)-2000):])
	}
	return b.String()
}

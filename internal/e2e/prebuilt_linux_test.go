package e2e

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/argtap/argtap/internal/fixture"
	"github.com/argtap/argtap/uprobe"
)

// prebuilt is a fixture program that one machine builds and another traces.
type prebuilt struct {
	// set is what it is about: "values", or "calls" for whole calls and the like, of
	// which "unoptimised" are further ones.
	set string
	// since is the first release of Go that compiles it, as 18 for Go 1.18.
	since int
	// described: not by a release of which the results are not always described.
	described bool
	// flags are those of the compiler for the program's own packages, without the
	// standard library: building that another time takes long.
	flags []string
	// source is the program, where the package's directory is.
	source func(t *testing.T, minor int) fixture.Source
	// test traces it, where that directory is not.
	test func(t *testing.T, path string, minor int)
}

var unoptimised = []string{"-gcflags=-N -l"}

// prebuilts are the programs by name.
var prebuilts = map[string]prebuilt{
	"containers": {set: "values", source: func(t *testing.T, minor int) fixture.Source {
		return fixture.Source{"main.go": containersSource, "shape.go": shapeSource}
	}, test: func(t *testing.T, path string, minor int) {
		testContainers(t, path, minor >= 23, minor < 12)
	}},
	"walk": {set: "values", source: walkSource, test: loops(compareWalk)},
	"generic": {set: "values", since: 18, source: func(t *testing.T, minor int) fixture.Source {
		return genericSource(t)
	}, test: loops(func(t *testing.T, path string, minor int) {
		compareGeneric(t, path, minor < 22)
	})},
	"storm": {set: "values", since: 19, source: func(t *testing.T, minor int) fixture.Source {
		return fixture.Dir(t, "testdata/storm")
	}, test: func(t *testing.T, path string, minor int) {
		testStorm(t, path, 5*time.Second, 1000)
	}},

	"results":       prebuiltResults("calls"),
	"results_noopt": prebuiltResults("unoptimised", unoptimised...),
	"panics":        prebuiltPanics("calls"),
	"panics_noopt":  prebuiltPanics("unoptimised", unoptimised...),
	"random": {set: "calls", since: 22, source: func(t *testing.T, minor int) fixture.Source {
		return randomResults(uint64(minor)).Source
	}, test: func(t *testing.T, path string, minor int) {
		testRandomResults(t, path, randomResults(uint64(minor)), minor, "prebuilt")
	}},
	"wrappers": {set: "calls", source: wrapperSource, test: func(t *testing.T, path string, minor int) {
		testWrappers(t, path, minor, true)
	}},
	"returns": {set: "calls", described: true, source: func(t *testing.T, minor int) fixture.Source {
		src, _ := returnsProgram(1, 6)
		return src
	}, test: func(t *testing.T, path string, minor int) {
		_, texts := returnsProgram(1, 6)
		for _, list := range texts {
			for i, text := range list {
				// Emulated machines are too slow for any call to take less.
				if strings.Contains(text, "ms") || strings.Contains(text, "000000") {
					list[i] = ""
				}
			}
		}
		testReturns(t, path, texts)
	}},
	"aggregates": {set: "calls", since: 18, source: func(t *testing.T, minor int) fixture.Source {
		return fixture.Source{"main.go": aggregateSource}
	}, test: func(t *testing.T, path string, minor int) { testAggregates(t, path) }},
	"stacks": {set: "calls", source: func(t *testing.T, minor int) fixture.Source {
		return stackSource(t)
	}, test: func(t *testing.T, path string, minor int) {
		if withoutLoops() {
			testNoStack(t, path, "needs a newer kernel: Linux 5.17")
			return
		}
		if minor < 12 && runtime.GOARCH == "arm64" {
			testNoStack(t, path, "no frame pointers on arm64 before Go 1.12")
			return
		}
		testStack(t, path, 64, minor)
		if minor >= 21 { // which have the parent's ID
			testAggregateStacks(t, path, 32, uprobe.WithCount(identity...))
		}
		testStackPlaces(t, path, minor, false)
	}},
	"lines": {set: "calls", flags: unoptimised, source: func(t *testing.T, minor int) fixture.Source {
		return fixture.GenerateLines(1, 3).Source
	}, test: func(t *testing.T, path string, minor int) {
		l := fixture.GenerateLines(1, 3)
		want, got := traceLines(t, path, l)
		shown, absent := compareLines(t, l, want, got, true)
		if shown < 150 || len(absent) > 0 {
			t.Errorf("%d lines, %d values shown, absent: %v", len(l.Marks), shown, absent)
		}
	}},
	"inlined": {set: "calls", since: 12, source: func(t *testing.T, minor int) fixture.Source {
		return fixture.GenerateLines(3, 30).Source
	}, test: func(t *testing.T, path string, minor int) {
		testInlined(t, fixture.GenerateLines(3, 30), path)
	}},
}

// loops is a test for which the kernel must have loops.
func loops(test func(t *testing.T, path string, minor int)) func(t *testing.T, path string, minor int) {
	return func(t *testing.T, path string, minor int) {
		if withoutLoops() {
			t.Log("the kernel has no loops")
			return
		}
		test(t, path, minor)
	}
}

// undescribed are the reasons for which values may be absent in programs of a release.
func undescribed(minor int) []string {
	if minor == 11 || minor == 17 { // of which little is described
		return []string{"the debug information may leave out a value before it"}
	}
	return nil
}

func prebuiltResults(set string, flags ...string) prebuilt {
	return prebuilt{set: set, flags: flags, source: func(t *testing.T, minor int) fixture.Source {
		return resultsProgram()
	}, test: func(t *testing.T, path string, minor int) {
		testResults(t, path, append(undescribed(minor), "register not readable")...)
	}}
}

func prebuiltPanics(set string, flags ...string) prebuilt {
	return prebuilt{set: set, flags: flags, source: func(t *testing.T, minor int) fixture.Source {
		return panicsProgram(t)
	}, test: func(t *testing.T, path string, minor int) {
		if runtime.GOARCH == "arm64" && (minor == 14 || minor == 15) {
			t.Log("these releases crash it on arm64, traced or not")
			return
		}
		testPanics(t, path, 1, undescribed(minor)...)
	}}
}

// prebuildVar has TestPrebuild build programs: "ARCH:SET:RELEASES:DIRECTORY", as in
// arm64:calls:1.16.15,1.27.4:/tmp/programs; programsVar, a regular expression, only
// some.
const (
	prebuildVar = "ARGTAP_PREBUILD"
	programsVar = "ARGTAP_PROGRAMS"
)

// TestPrebuild leaves fixture programs in a directory, for TestPrebuilt. It needs no
// privileges.
func TestPrebuild(t *testing.T) {
	spec := os.Getenv(prebuildVar)
	if spec == "" {
		t.Logf("nothing to build: %s says what", prebuildVar)
		return
	}
	words := strings.SplitN(spec, ":", 4)
	if len(words) != 4 {
		t.Fatalf("%s=%s: want ARCH:SET:RELEASES:DIRECTORY", prebuildVar, spec)
	}
	some, err := regexp.Compile(os.Getenv(programsVar))
	if err != nil {
		t.Fatalf("%s: %v", programsVar, err)
	}
	for _, release := range strings.Split(words[2], ",") {
		tc := fixture.Toolchain{Release: release, Arch: words[0]}
		minor, err := tc.Minor()
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range slices.Sorted(maps.Keys(prebuilts)) {
			if p := prebuilts[name]; some.MatchString(name) && p.set == words[1] && minor >= p.since && !(p.described && undescribed(minor) != nil) {
				path := fixture.BuildWith(t, tc, p.source(t, minor), p.flags...)
				fixture.Copy(t, path, words[3], fmt.Sprint(name, "-", minor))
			}
		}
	}
}

// prebuiltVar is a directory with fixture programs that were built elsewhere, for
// machines without Go: PROGRAM-MINOR, as in containers-27 for one that Go 1.27
// built.
const prebuiltVar = "ARGTAP_PREBUILT"

// mayLose is how many calls may be lost, as long as they are counted: some where
// threads are preempted in the middle of a program, as slow guests of Linux 7.2 do.
// The kernel then passes over the program of another's return, and calls that are left
// by a panic are no longer told from those that have returned.
func mayLose() uint64 {
	if os.Getenv(prebuiltVar) != "" {
		return 1000
	}
	return 0
}

// TestPrebuilt does what the tests of fixture programs do with those of the
// directory.
func TestPrebuilt(t *testing.T) {
	dir := os.Getenv(prebuiltVar)
	if dir == "" {
		t.Logf("no directory of programs: %s names one", prebuiltVar)
		return
	}
	needRoot(t)
	files, err := filepath.Glob(filepath.Join(dir, "*-*"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no programs in %s: %v", dir, err)
	}
	for _, path := range files {
		t.Run(filepath.Base(path), func(t *testing.T) {
			name, release, _ := strings.Cut(filepath.Base(path), "-")
			minor, err := strconv.Atoi(release)
			p, ok := prebuilts[name]
			if err != nil || !ok {
				t.Fatalf("no test for %s", path)
			}
			p.test(t, path, minor)
		})
	}
}

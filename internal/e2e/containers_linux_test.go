package e2e

import (
	_ "embed"
	"os"
	"regexp"
	"runtime"
	"strings"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/features"

	"github.com/argtap/argtap/abi"
	"github.com/argtap/argtap/internal/fixture"
	"github.com/argtap/argtap/uprobe"
)

//go:embed testdata/containers/main.go
var containersSource string

// containerFuncs are the functions of testdata/containers.
var containerFuncs = []string{"ints", "names", "structs", "bigs", "anys", "empties", "chans", "funcs", "nested"}

// TestContainers compares maps, channels and funcs of all kinds with what the
// program says of them: one that the local toolchain builds, and with
// ARGTAP_TOOLCHAINS=1 those of all releases.
func TestContainers(t *testing.T) {
	needRoot(t)
	src := fixture.Source{"main.go": containersSource, "shape.go": shapeSource}
	for _, b := range builds {
		t.Run(b.name, func(t *testing.T) { testContainers(t, fixture.Build(t, src, b.flags...), true, false) })
	}
	if os.Getenv("ARGTAP_TOOLCHAINS") != "1" {
		return
	}
	for _, tc := range releases() {
		t.Run(tc.String(), func(t *testing.T) {
			minor, err := tc.Minor()
			if err != nil {
				t.Fatal(err)
			}
			testContainers(t, fixture.BuildWith(t, tc, src), minor >= 23, minor < 12)
		})
	}
}

// releases are toolchains of all releases, also for 386 where its programs run.
func releases() (list []fixture.Toolchain) {
	for _, r := range knownReleases {
		list = append(list, fixture.Toolchain{Release: r})
		if runtime.GOARCH == "amd64" {
			list = append(list, fixture.Toolchain{Release: r, Arch: "386"})
		}
	}
	return list
}

// captured are the variables of function literals, which debug information
// describes since Go 1.23.
var captured = regexp.MustCompile(`(func:main\.closures\.func\d+)\{[^{}]*(\{[^{}]*\})?[^{}]*\}`)

func testContainers(t *testing.T, path string, closures, old bool) {
	want, got := runShapes(t, path, containerFuncs, uprobe.WithLimits(uprobe.Limits{Depth: 100, Objects: 1024, Record: 32 << 10}))
	if len(got) != len(want) || len(want) < 50 {
		t.Fatalf("%d calls, want %d", len(got), len(want))
	}
	absent := 0
	noLoops := withoutLoops()
	for i := range want {
		g, w := got[i].String(), want[i].String()
		if !closures {
			w = captured.ReplaceAllString(w, "$1{}")
		}
		if noLoops && onlyBecause(got[i], abi.NeedsLoops.String()) {
			absent++
			continue
		}
		if strings.Contains(g, "(?)") && notDescribed(got[i]) {
			absent++
			continue
		}
		if g != w {
			t.Errorf("call %d:\n got %s\nwant %s\nbecause %v", i, g, w, got[i].why)
		}
	}
	compared(t, len(want))
	t.Logf("%d calls, %d absent", len(want), absent)
	if absent > 0 && !old && !noLoops {
		t.Errorf("%d calls without values", absent)
	}
}

// withoutLoops reports whether the kernel lacks bpf_loop.
func withoutLoops() bool { return features.HaveProgramHelper(ebpf.Kprobe, asm.FnLoop) != nil }

// lacking are the reasons for which values may be absent on this kernel.
func lacking() []string {
	if withoutLoops() {
		return []string{abi.NeedsLoops.String()}
	}
	return nil
}

// sameOrAbsent compares a value in the form of shape with what the program says of
// it. In the place of what is absent anything may be.
func sameOrAbsent(got, want string) bool {
	if !strings.Contains(got, "(?)") {
		return got == want
	}
	pattern := regexp.QuoteMeta(got)
	for _, absent := range []string{"?:(?)", "(?)"} {
		pattern = strings.ReplaceAll(pattern, regexp.QuoteMeta(absent), ".*")
	}
	return regexp.MustCompile("^" + pattern + "$").MatchString(want)
}

// notDescribed reports whether all that is absent of a call is so because debug
// information may leave out parameters: that of Go 1.11 is not in their order.
func notDescribed(w walked) bool {
	return onlyBecause(w, "the debug information may leave out a value before it")
}

// onlyBecause reports whether what is absent of a call is so for a reason.
func onlyBecause(w walked, reason string) bool {
	for _, why := range w.why {
		for r := range why {
			if r != reason {
				return false
			}
		}
	}
	return true
}

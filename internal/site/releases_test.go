package site

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
)

// releases are the last patches of the Go releases that programs may be
// built with.
var releases = []string{
	"1.11.13", "1.12.17", "1.13.15", "1.14.15", "1.15.15", "1.16.15", "1.17.13", "1.18.10", "1.19.13",
	"1.20.14", "1.21.13", "1.22.12", "1.23.12", "1.24.13", "1.25.11", "1.27.4",
}

// unlike are those whose stack checks differ from the one's before.
var unlike = []string{"1.11.13", "1.16.15", "1.17.13", "1.21.13", "1.27.4"}

// TestReleases checks every function of programs built by other releases:
// each has a site, or is one of those that expectNoSite names. It needs the
// toolchains, and time: without ARGTAP_TOOLCHAINS=1 it checks a small program
// of the local one.
func TestReleases(t *testing.T) {
	if os.Getenv("ARGTAP_TOOLCHAINS") == "" {
		b := openBinary(t, goBuild(t, "cmd/gofmt", "-buildmode=pie"))
		checkRelease(t, b)
		return
	}
	for _, release := range releases {
		for _, goarch := range []string{"amd64", "386"} {
			builds := [][]string{nil}
			if slices.Contains(unlike, release) {
				builds = append(builds, []string{"-gcflags=all=-N -l"})
				if goarch != "386" { // whose linker needs a C compiler for these
					builds = append(builds, []string{"-buildmode=pie"})
				}
			}
			for _, flags := range builds {
				pkg := "cmd/gofmt"
				if flags == nil {
					pkg = "cmd/go"
				}
				t.Run(strings.Join(append([]string{release, goarch}, flags...), " "), func(t *testing.T) {
					var minor int
					if _, err := fmt.Sscanf(release, "1.%d", &minor); err != nil {
						t.Fatal(err)
					}
					b := openBinary(t, buildRelease(t, release, goarch, pkg, flags...))
					b.stackABI = minor < 17
					checkRelease(t, b)
				})
			}
		}
	}
}

func checkRelease(t *testing.T, b *elfFile) {
	t.Helper()
	st := checkAll(t, b)
	share := func(n int) float64 { return 100 * float64(n) / float64(st.total) }
	t.Logf("%d functions: %.1f %% on an emulated instruction, %.1f %% single-stepped, %d without a site; %d stack checks, loads of the g by displacement %v",
		st.total, share(st.emulated), share(st.total-st.emulated-st.noSite), st.noSite, st.checks, st.tls)
	// How many functions have a stack check differs by release and flags: half
	// to nine of ten. Those that have one never need a single step.
	if st.stepped > 0 {
		t.Errorf("%d functions with a stack check are single-stepped, want none", st.stepped)
	}
	if st.checks < st.total/2 {
		t.Errorf("%d stack checks in %d functions, want half or more", st.checks, st.total)
	}
	// The g is at one place in all functions of a program.
	if len(st.tls) > 1 {
		t.Errorf("the g is loaded from %v", st.tls)
	}
}

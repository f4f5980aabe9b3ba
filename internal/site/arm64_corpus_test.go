package site

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/argtap/argtap/abi"
)

// TestCorpusARM64 is TestCorpus for arm64.
func TestCorpusARM64(t *testing.T) {
	pkg, want := corpusARM64()
	b := openBinary(t, goBuildFor(t, "arm64", pkg))
	st := checkAllARM64(t, b, b.liveIn)
	t.Log(st)
	if st.total < want {
		t.Errorf("%d functions in %s, want more than %d", st.total, pkg, want)
	}
	if share := float64(st.emulated) / float64(st.total); share < 0.8 {
		t.Errorf("%.1f %% on an emulated instruction, want 80 or more", 100*share)
	}
}

// corpusARM64 is the command whose functions are checked, and how many it has
// at least.
func corpusARM64() (pkg string, funcs int) {
	if testing.Short() {
		return "cmd/gofmt", 2000
	}
	return "cmd/go", 10000
}

// TestReleasesARM64 is TestReleases for arm64.
func TestReleasesARM64(t *testing.T) {
	if os.Getenv("ARGTAP_TOOLCHAINS") == "" {
		b := openBinary(t, goBuildFor(t, "arm64", "cmd/gofmt", "-buildmode=pie"))
		checkReleaseARM64(t, b, b.liveIn)
		return
	}
	for _, release := range releases {
		builds := [][]string{nil}
		if slices.Contains(unlike, release) {
			builds = append(builds, []string{"-gcflags=all=-N -l"})
			if release != "1.11.13" { // which needs a C linker for these
				builds = append(builds, []string{"-buildmode=pie"})
			}
		}
		for _, flags := range builds {
			t.Run(strings.Join(append([]string{release}, flags...), " "), func(t *testing.T) {
				var minor int
				if _, err := fmt.Sscanf(release, "1.%d", &minor); err != nil {
					t.Fatal(err)
				}
				b := openBinary(t, buildRelease(t, release, "arm64", "cmd/gofmt", flags...))
				live := b.liveIn
				if minor < 18 { // everything is on the stack
					live = func(string) []abi.Reg { return []abi.Reg{b.arch.G, b.arch.Closure} }
				}
				checkReleaseARM64(t, b, live)
			})
		}
	}
}

func checkReleaseARM64(t *testing.T, b *elfFile, live func(name string) []abi.Reg) {
	t.Helper()
	st := checkAllARM64(t, b, live)
	t.Log(st)
	if share := float64(st.emulated) / float64(st.total); share < 0.7 {
		t.Errorf("%.1f %% on an emulated instruction, want 70 or more", 100*share)
	}
}

// buildRelease builds a program of the standard library with another release.
func buildRelease(t *testing.T, release, goarch, pkg string, flags ...string) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "go.mod"), []byte("module example.com/empty\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(dir, "program")
	cmd := exec.Command("go", slices.Concat([]string{"build", "-o", out}, flags, []string{pkg})...)
	cmd.Dir = dir // with a module of its own: without one, GOTOOLCHAIN has no effect
	cmd.Env = append(os.Environ(), "GOENV=off", "GOFLAGS=", "GOWORK=off", "GO111MODULE=on", "GOTOOLCHAIN=go"+release,
		"GOOS=linux", "GOARCH="+goarch, "CGO_ENABLED=0")
	if msg, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v with Go %s: %v\n%s", cmd.Args, release, err, msg)
	}
	program, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(program, []byte("go"+release)) {
		t.Fatalf("%v did not use Go %s", cmd.Args, release)
	}
	return out
}

// TestBuildsARM64 is TestBuilds for arm64.
func TestBuildsARM64(t *testing.T) {
	for _, flags := range [][]string{
		nil,
		{"-gcflags=all=-N -l"},
		{"-buildmode=pie"},
	} {
		t.Run(strings.Join(flags, " "), func(t *testing.T) {
			b := fixtureFor(t, "arm64", flags...)
			st := checkAllARM64(t, b, b.liveIn)
			t.Log(st)
			if st.kinds[AfterCheck]+st.kinds[AtCheck] < st.total/2 {
				t.Errorf("%d sites at or after a stack check, want more than half", st.kinds[AfterCheck]+st.kinds[AtCheck])
			}
		})
	}
}

// checkAllARM64 checks the sites of all functions of a program.
func checkAllARM64(t *testing.T, b *elfFile, live func(name string) []abi.Reg) stats {
	t.Helper()
	st := stats{kinds: map[Kind]int{}, repeats: map[bool]int{}}
	words := b.wordsInto()
	for _, fn := range b.funcs {
		switch fn.Name {
		case "go:textfipsstart", "go:textfipsend", "crypto/internal/boring/sig.StandardCrypto.abi0",
			"crypto/internal/boring/sig.StandardCrypto":
			continue // marks in the text, not functions
		}
		code, regs := b.code(t, fn), live(fn.Name)
		start := time.Now()
		s, err := FindIn(b.arch, code, fn.Entry, regs, b.read)
		st.duration += time.Since(start)
		st.bytes += len(code)
		st.total++
		if errors.Is(err, ErrNoSite) {
			st.noSite++
			if !expectNoSiteARM64(fn.Name) {
				t.Errorf("%s: %v", fn.Name, err)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", fn.Name, err)
			continue
		}
		st.kinds[s.Kind]++
		if s.Entry.Emulated {
			st.emulated++
		}
		if len(s.Repeats) > 0 {
			st.repeats[strings.HasSuffix(fn.Name, ".abi0")]++
		}
		w := newWalkerARM64(t, b, fn, words[fn.Entry], regs)
		site := fmt.Sprintf("%s: site %q at +%#x, %s", fn.Name, s.Entry.Instr, s.Entry.Addr-fn.Entry, s.Why)
		if err := w.check(s); err != nil {
			t.Errorf("%s: %v", site, err)
		}
		if err := w.checkStraight(s); err != nil {
			t.Errorf("%s: %v", site, err)
		}
		if _, ok := (arm64{}).prepare(code).stackCheck(code, fn.Entry); ok != w.growsStack() {
			t.Errorf("%s: stack check found: %t", fn.Name, ok)
		}
		if n := w.returns(); n != len(s.Returns) {
			t.Errorf("%s: %d returns, want %d", fn.Name, len(s.Returns), n)
		}
	}
	return st
}

// expectNoSiteARM64: hand-written assembly that begins with an instruction
// that cannot be probed, or that jumps to an address it is given.
func expectNoSiteARM64(name string) bool {
	switch strings.TrimSuffix(name, ".abi0") {
	case "internal/runtime/sys.DisableDIT", "gogo", "runtime.reflectcall", "runtime.cgoSigtramp",
		"runtime.skipPleaseUseCallersFrames": // data that is never run
		return true
	case "runtime.duffcopy": // begins with a load of R27, and is entered in the middle
		return true
	}
	return false
}

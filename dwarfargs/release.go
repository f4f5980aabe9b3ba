package dwarfargs

import "strings"

// The releases whose debug information and calling conventions this package
// knows: TestReleases has compared both for every function of a program that
// each of them has compiled (docs/abi-dwarf.md).
const (
	oldestRelease = 11 // go1.11
	newestRelease = 27 // go1.27
)

// release is what a compiler's version tells.
type release struct {
	// minor is the number behind "go1.", 0 if there is none.
	minor int
	// official says that it is the name of a release, candidate or beta, as
	// the Go project gives them: no development build, and no vendor's.
	official bool
}

// parseRelease reads a version as runtime.Version returns it: "go1.26.8",
// "go1.27rc1", "devel go1.28-0123abcd Mon Jan 2 …" (since Go 1.17; before that
// "devel +0123abcd"), or one of a vendor's, such as "go1.26.8-acme". Experiments
// may follow, behind a space ("X:nodwarf5"); they are not part of version here.
func parseRelease(version string) release {
	devel := strings.HasPrefix(version, "devel ")
	rest, ok := strings.CutPrefix(strings.TrimPrefix(version, "devel "), "go1.")
	if !ok {
		return release{}
	}
	r := release{}
	r.minor, rest = number(rest)
	if r.minor < 0 {
		return release{}
	}
	for _, sep := range []string{".", "rc", "beta"} {
		if tail, ok := strings.CutPrefix(rest, sep); ok {
			n, end := number(tail)
			r.official = n >= 0 && end == "" && !devel
			return r
		}
	}
	r.official = rest == "" && !devel
	return r
}

// number reads the decimal number that s begins with, -1 if there is none, or
// none that a release would have.
func number(s string) (n int, rest string) {
	end := 0
	for end < len(s) && s[end] >= '0' && s[end] <= '9' {
		n = 10*n + int(s[end]-'0')
		if end++; end > 4 {
			return -1, s
		}
	}
	if end == 0 {
		return -1, s
	}
	return n, s[end:]
}

// known reports whether this package has a row for the release. A development
// build counts as the release that it leads to in what it is read by, but it is
// not known: its conventions may be on their way to that release's. The same is
// true of a vendor's build.
func (r release) known() bool {
	return r.official && r.minor >= oldestRelease && r.minor <= newestRelease
}

// before reports whether the release came before go1.minor. Where no number is
// given it counts as new.
func (r release) before(minor int) bool { return r.minor > 0 && r.minor < minor }

package goruntime

import "strings"

// Newest is the newest minor release that the tables of this package know.
const Newest = 27

// regABI has the first minor release whose compiled code passes arguments in
// registers by default, per architecture (internal/buildcfg/exp.go of each
// release). What is not in it passes them on the stack in all releases up to
// [Newest].
var regABI = map[string]int{"amd64": 17, "arm64": 18, "ppc64": 18, "ppc64le": 18, "riscv64": 19, "loong64": 22, "s390x": 26}

// RegABI reports whether compiled code of a Go release passes arguments in
// registers on an architecture. version is as the toolchain writes it, with
// experiments behind " X:". known is false for a version that says no minor
// release, or one that is newer than this package.
func RegABI(version, goarch string) (regs, known bool) {
	minor, ok := Release(version)
	if !ok || minor > Newest {
		return false, false
	}
	first, ok := regABI[goarch]
	if !ok || minor < first {
		return false, true
	}
	// In the first release with it on an architecture, it could be turned off.
	_, experiments, _ := strings.Cut(version, " X:")
	for _, x := range strings.Split(experiments, ",") {
		if strings.HasPrefix(x, "noregabi") {
			return false, minor == 17
		}
	}
	return true, true
}

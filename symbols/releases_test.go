package symbols

import (
	"os"
	"testing"
)

// toolchains are the releases of Go that the formats were read from.
var toolchains = []string{
	"go1.11.13", "go1.12.17", "go1.13.15", "go1.14.15", "go1.15.15", "go1.16.15", "go1.17.13", "go1.18.10", "go1.19.13",
	"go1.20.14", "go1.21.13", "go1.22.12", "go1.23.12", "go1.24.13", "go1.25.11", "local", "go1.27.4",
}

// TestReleases is TestTable for every release, architecture and build mode
// that works with a C compiler for amd64 only. It fetches toolchains, and so it
// runs only where the environment has ARGTAP_TOOLCHAINS=1.
func TestReleases(t *testing.T) {
	if os.Getenv("ARGTAP_TOOLCHAINS") != "1" {
		return
	}
	for i, tc := range toolchains {
		builds := []build{
			{toolchain: tc, goarch: "amd64", mode: "exe"},
			{toolchain: tc, goarch: "amd64", mode: "pie"},
			{toolchain: tc, goarch: "amd64", mode: "exe", external: true},
			{toolchain: tc, goarch: "amd64", mode: "pie", external: true},
			{toolchain: tc, goarch: "arm64", mode: "exe"},
			{toolchain: tc, goarch: "386", mode: "exe"},
		}
		const internalPIE = 4 // Go 1.15
		if i >= internalPIE {
			builds = append(builds, build{toolchain: tc, goarch: "arm64", mode: "pie"})
		}
		for _, b := range builds {
			// Before, it took the C linker for amd64, too.
			b.external = b.external || b.mode == "pie" && i < internalPIE
			t.Run(b.String(), func(t *testing.T) { testTable(t, b) })
		}
	}
}

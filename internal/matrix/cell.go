package matrix

import (
	"fmt"
	"slices"
	"strings"

	"github.com/argtap/argtap/internal/fixture"
)

// Releases are the last patch releases of Go that the matrix has, by age.
var Releases = []string{
	"1.11.13", "1.12.17", "1.13.15", "1.14.15", "1.15.15", "1.16.15", "1.17.13", "1.18.10", "1.19.13",
	"1.20.14", "1.21.13", "1.22.12", "1.23.12", "1.24.13", "1.25.11", "1.26.8", "1.27.4",
}

// Archs are the machines that programs are built for, as GOARCH.
var Archs = []string{"amd64", "arm64", "386"}

// Cell is what programs are built with and for. The kernel that they run on is
// not part of it: the same programs run on any.
type Cell struct {
	Release string          `json:"release"`
	Arch    string          `json:"arch"`
	Flavour fixture.Flavour `json:"flavour"`
}

func (c Cell) String() string { return fmt.Sprintf("%s/%s/%s", c.Release, c.Arch, c.Flavour) }

// toolchain is what builds the cell's programs.
func (c Cell) toolchain() fixture.Toolchain {
	return fixture.Toolchain{Release: c.Release, Arch: c.Arch, Flavour: c.Flavour}
}

// ParseCells reads cells as the package's documentation describes them.
func ParseCells(specs ...string) ([]Cell, error) {
	var cells []Cell
	for _, spec := range specs {
		parts := strings.Split(spec, "/")
		if len(parts) > 3 {
			return nil, fmt.Errorf("cell %q: want RELEASE/ARCH/FLAVOUR", spec)
		}
		part := func(i int, all []string) ([]string, error) {
			if i >= len(parts) || parts[i] == "all" {
				return all, nil
			}
			list := strings.Split(parts[i], ",")
			for j, s := range list {
				if i == 0 {
					var err error
					if s, err = release(s); err != nil {
						return nil, fmt.Errorf("cell %q: %w", spec, err)
					}
					list[j] = s
				} else if !slices.Contains(all, s) {
					return nil, fmt.Errorf("cell %q: %q is none of %s", spec, s, strings.Join(all, ", "))
				}
			}
			return list, nil
		}
		var flavours []string
		for _, f := range fixture.Flavours {
			flavours = append(flavours, string(f))
		}
		var lists [3][]string
		for i, all := range [][]string{Releases, Archs, flavours} {
			var err error
			if lists[i], err = part(i, all); err != nil {
				return nil, err
			}
		}
		for _, r := range lists[0] {
			for _, a := range lists[1] {
				for _, f := range lists[2] {
					c := Cell{r, a, fixture.Flavour(f)}
					if !slices.Contains(cells, c) {
						cells = append(cells, c)
					}
				}
			}
		}
	}
	return cells, nil
}

// release completes a release: "1.16" to its last patch release, and "local".
func release(s string) (string, error) {
	if s == "local" {
		return fixture.Local()
	}
	for _, r := range Releases {
		if r == s || strings.HasPrefix(r, s+".") && strings.Count(s, ".") == 1 {
			return r, nil
		}
	}
	if strings.Count(s, ".") == 2 && strings.HasPrefix(s, "1.") {
		return s, nil // another patch release
	}
	return "", fmt.Errorf("release %q: want local, or one of %s", s, strings.Join(Releases, ", "))
}

func flavourIndex(f fixture.Flavour) int { return slices.Index(fixture.Flavours, f) }

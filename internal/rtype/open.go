package rtype

import (
	"fmt"

	"github.com/argtap/argtap/abi"
	"github.com/argtap/argtap/symbols"
)

// Open finds the type data of f, a Go program for the architecture a, which
// must stay open as long as the Data is used. The error is a
// [symbols.ErrNoModuleData] or [symbols.ErrNoTable] where f has no such data, or
// where it is not known how the release that built it writes them; it says
// which.
func Open(f *symbols.File, a *abi.Arch) (*Data, error) {
	md, err := f.ModuleData()
	if err != nil {
		return nil, fmt.Errorf("type data: %w", err)
	}
	version, _ := f.GoVersion()
	return New(f, a, version, Module{
		Text: md.Text, Types: md.Types, ETypes: md.ETypes,
		TypeLinks: md.TypeLinks, TypeLinkCount: md.TypeLinkCount,
		TypeDescSize: md.TypeDescSize, ItabOffset: md.ItabOffset,
	})
}

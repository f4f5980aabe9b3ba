package dwarfargs

import (
	"fmt"

	"github.com/argtap/argtap/symbols"
)

// Open finds the debug information of f, which must stay open until Close.
// Only headers are read; what functions need is inflated when they are asked
// for. The error is [ErrNoDWARF], or a *symbols.FormatError of a section
// that cannot be read.
func Open(f *symbols.File) (*Data, error) {
	t, ok := targets[f.GOARCH()]
	if !ok {
		return nil, fmt.Errorf("dwarf: architecture %s: not supported", f.GOARCH())
	}
	d, err := openData(func(name string) (rawSection, bool) {
		s, ok := f.Section(name)
		if !ok {
			return rawSection{}, false
		}
		raw := rawSection{name: name, size: s.Size, rawSize: s.RawSize, raw: s.Raw(), err: s.Err()}
		switch s.Compression() {
		case symbols.Zlib, symbols.ZlibGNU:
			raw.compression = deflated
		case symbols.Zstd:
			raw.compression = zstandard
		}
		return raw, true
	}, t)
	if err != nil {
		return nil, err
	}
	d.typesBase = func() (uint64, bool) {
		md, err := f.ModuleData()
		if err != nil {
			return 0, false
		}
		return uint64(md.Types), true
	}
	d.code = func(addr uint64, buf []byte) error { return f.ReadOnlyAt(symbols.VirtAddr(addr), buf) }
	return d, nil
}

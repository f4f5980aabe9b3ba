package uprobe

import (
	"errors"
	"fmt"
	"io/fs"
	"runtime"
	"strings"

	"github.com/argtap/argtap/abi"
	"github.com/argtap/argtap/dwarfargs"
	"github.com/argtap/argtap/internal/capture"
	"github.com/argtap/argtap/internal/rtype"
	"github.com/argtap/argtap/symbols"
)

// executable is an executable file that is being analysed.
type executable struct {
	file  *symbols.File
	arch  *abi.Arch
	dwarf *dwarfargs.Data
	// debugFile has the debug information, nil if the binary itself does, and
	// debugHow says how it was found.
	debugFile *symbols.File
	debugHow  string
	// noDwarf is why there is no debug information, nil if there is, and refused
	// are the files that could have it.
	noDwarf error
	refused []string
	g       *gOffsets
	tls     *int64 // see threadOffset
	// types is the runtime's type data, noTypes why there is none: see
	// runtimeTypes.
	types   *rtype.Data
	noTypes error
	// dicts are the dictionaries of generic code: see dictionaries.
	// dictTypes are the types that words of them lead to, nil for none.
	dicts     map[string][]symbols.Dictionary
	dictTypes map[dictWord]*abi.Type
	// walkTypes is the type table of the walks, nil if there are none.
	walkTypes *capture.Types
	// names are those of the functions.
	names *funcNames
	// witnesses tell how calls end, unwitnessed says that they do not tell of all:
	// see findWitnesses.
	witnesses   []witness
	unwitnessed bool
	// wrapped are the wrappers that are worked out as the methods that they have
	// inlined, by their entries.
	wrapped map[symbols.VirtAddr]*wrapping
}

func openBinary(path string, opts []Option) (*executable, *options, error) {
	o, err := newOptions(opts)
	if err != nil {
		return nil, nil, err
	}
	f, err := symbols.Open(path)
	if err != nil {
		return nil, nil, err
	}
	o.inspect = true
	b, err := newBinary(f, path, o)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", path, err)
	}
	return b, o, nil
}

// newBinary takes over f, the file at path.
func newBinary(f *symbols.File, path string, o *options) (*executable, error) {
	b := &executable{file: f, arch: abi.ArchFor(f.GOARCH()), names: newFuncNames(f)}
	if b.arch == nil {
		err := fmt.Errorf("%w: built for %s, only amd64, arm64 and 386 can be traced", ErrArch, f.GOARCH())
		f.Close()
		return nil, err
	}
	if err := b.openDWARF(path, o); err != nil {
		b.close()
		return nil, err
	}
	if b.dwarf != nil {
		// Inflate while the function is looked up. Closing stops it.
		b.dwarf.Prefetch()
	}
	return b, nil
}

// openDWARF opens the debug information: of the debug file that the user names,
// else of the binary, else of a debug file that can be found.
func (b *executable) openDWARF(path string, o *options) error {
	if o.debugFile == "" {
		if b.dwarf, b.noDwarf = dwarfargs.Open(b.file); !errors.Is(b.noDwarf, dwarfargs.ErrNoDWARF) {
			return nil
		}
	}
	f, how, err := symbols.FindDebugFile(b.file, symbols.DebugFileOptions{Path: o.debugFile, Program: path})
	if err != nil {
		if o.debugFile != "" {
			return fmt.Errorf("%w: %w", ErrDebugFile, err)
		}
		b.noDwarf = fmt.Errorf("%w; %w", b.noDwarf, err)
		b.refused = refused(err)
		for _, why := range b.refused {
			o.log.Warn("debug file not used", "why", why)
		}
		return nil
	}
	b.debugFile, b.debugHow = f, how
	b.dwarf, b.noDwarf = dwarfargs.Open(f)
	if b.dwarf == nil && o.debugFile != "" {
		return fmt.Errorf("%w: %w", ErrDebugFile, b.noDwarf)
	}
	return nil
}

// refused returns the debug files that are there, but not used, with the reason.
func refused(err error) (files []string) {
	var missing *symbols.NoDebugFileError
	if !errors.As(err, &missing) {
		return nil
	}
	for _, a := range missing.Tried {
		switch {
		case a.Path == "" || errors.Is(a.Err, fs.ErrNotExist):
		case strings.Contains(a.Err.Error(), a.Path):
			files = append(files, fmt.Sprintf("debug file: %v", a.Err))
		default:
			files = append(files, fmt.Sprintf("debug file %s: %v", a.Path, a.Err))
		}
	}
	return files
}

func (b *executable) close() {
	b.names.close()
	b.closeDebug()
	b.file.Close()
}

// closeDebug closes what is of use only until the functions are worked out.
func (b *executable) closeDebug() {
	if b.dwarf != nil {
		b.dwarf.Close()
		b.dwarf = nil
	}
	if b.debugFile != nil {
		b.debugFile.Close()
		b.debugFile = nil
	}
}

// checkMachine reports whether the binary's code can run on this machine. That
// of 386 runs on amd64.
func (b *executable) checkMachine() error {
	if b.arch.GOARCH != runtime.GOARCH && (b.arch != abi.I386 || runtime.GOARCH != abi.AMD64.GOARCH) {
		return fmt.Errorf("%w: built for %s, this machine is %s", ErrArch, b.arch.GOARCH, runtime.GOARCH)
	}
	return nil
}

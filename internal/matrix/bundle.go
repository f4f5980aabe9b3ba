package matrix

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/argtap/argtap/internal/fixture"
)

// manifestFile describes a bundle, in its directory.
const manifestFile = "manifest.json"

// bundle is a directory of programs that are built: all that is needed to
// trace them.
type bundle struct {
	Cells []bundledCell `json:"cells"`
}

type bundledCell struct {
	Cell
	// Impossible says why such programs can't be built.
	Impossible string    `json:"impossible,omitempty"`
	Programs   []program `json:"programs,omitempty"`
}

// program is an executable and what is to be traced of it.
type program struct {
	Name string `json:"name"`
	// File is relative to the bundle.
	File   string         `json:"file"`
	Seed   uint64         `json:"seed"` // of its values
	Limits fixture.Limits `json:"limits"`
	// Copies: what it passes may be copies of what it announces.
	Copies bool       `json:"copies,omitempty"`
	Funcs  []function `json:"funcs"`
}

// function is a function that the program announces calls of.
type function struct {
	Name   string `json:"name"`   // as announced
	Symbol string `json:"symbol"` // as the file has it
	// Signature is what a user would write for it, where the file does not
	// describe it. Empty if that is not possible.
	Signature string `json:"signature,omitempty"`
	// Unnamed says why the file has no name for it that tells it from others.
	Unnamed string `json:"unnamed,omitempty"`
}

// BuildOptions says what goes into a bundle.
type BuildOptions struct {
	// Programs is the number of random programs, besides the table.
	Programs int
	// Funcs is the number of functions of each.
	Funcs int
	// Parallel builds run at the same time; 2 if zero.
	Parallel int
	// Log takes a line for each cell.
	Log io.Writer
}

// Build builds the programs of the cells, and leaves them and a manifest in dir.
func Build(dir string, cells []Cell, o BuildOptions) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	b := bundle{Cells: make([]bundledCell, len(cells))}
	errs := make([]error, len(cells))
	if o.Parallel == 0 {
		o.Parallel = 2
	}
	slots := make(chan bool, o.Parallel)
	var wg sync.WaitGroup
	for i, c := range cells {
		slots <- true
		wg.Go(func() {
			defer func() { <-slots }()
			var err error
			if b.Cells[i], err = buildCell(dir, c, o); err != nil {
				errs[i] = fmt.Errorf("%v: %w", c, err)
			}
			if o.Log != nil {
				fmt.Fprintf(o.Log, "built %v\n", c)
			}
		})
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		return err
	}
	text, err := json.MarshalIndent(b, "", "\t")
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, manifestFile), text, 0o644)
}

func buildCell(dir string, c Cell, o BuildOptions) (bundledCell, error) {
	cell := bundledCell{Cell: c}
	tc := c.toolchain()
	if err := tc.Check(); errors.Is(err, fixture.ErrNotPossible) {
		_, cell.Impossible, _ = strings.Cut(err.Error(), fixture.ErrNotPossible.Error()+": ")
		return cell, nil
	} else if err != nil {
		return cell, err
	}
	minor, err := tc.Minor()
	if err != nil {
		return cell, err
	}
	sub := fmt.Sprintf("%s-%s-%s", c.Release, c.Arch, c.Flavour)
	if err := os.MkdirAll(filepath.Join(dir, sub), 0o755); err != nil {
		return cell, err
	}
	table, err := fixture.Table(minor)
	if err != nil {
		return cell, err
	}
	add := func(name string, src fixture.Program, lim fixture.Limits) error {
		p := program{Name: name, Copies: name == "table", File: filepath.Join(sub, name), Seed: src.Seed, Limits: lim}
		path := filepath.Join(dir, p.File)
		if err := tc.Build(src.Source, path); err != nil {
			return err
		}
		p.Funcs, err = functions(tc, minor, src, path)
		cell.Programs = append(cell.Programs, p)
		return err
	}
	if err := add("table", table, fixture.Limits{String: 256, Elems: 10, Bytes: 4096}); err != nil {
		return cell, err
	}
	limits := []fixture.Limits{{String: 512, Elems: 64, Bytes: 4096}, {String: 40, Elems: 5, Bytes: 1024}, {String: 100, Elems: 12, Bytes: 8192}}
	for i := range o.Programs {
		// Others for each release: together they are more.
		seed := uint64(minor*1000 + i)
		name := fmt.Sprintf("random%d", i)
		if err := add(name, fixture.GenerateFor(minor, seed, o.Funcs), limits[i%len(limits)]); err != nil {
			return cell, err
		}
	}
	return cell, nil
}

// functions finds the symbols of a program's functions and writes their
// signatures.
func functions(tc fixture.Toolchain, minor int, src fixture.Program, path string) ([]function, error) {
	twin := path
	if tc.Flavour == fixture.Stripped {
		// The same program, but with a symbol table. The runtime's has the
		// same names.
		tc.Flavour, twin = fixture.NoDWARF, path+".symbols"
		if err := tc.Build(src.Source, twin); err != nil {
			return nil, err
		}
		defer os.Remove(twin)
	}
	symbols, err := src.SymbolNames(twin)
	if err != nil {
		return nil, err
	}
	var signatures map[string]string
	if !tc.Flavour.HasDWARF() {
		if signatures, err = Signatures(src); err != nil {
			return nil, err
		}
	}
	var list []function
	for _, fn := range src.Funcs {
		f := function{Name: fn.Name, Symbol: symbols[fn.Name], Signature: signatures[fn.Name]}
		if fn.Generic && twin != path && minor < 21 {
			f.Unnamed = "before Go 1.21 the runtime's table has one name for all instances of a generic function"
		}
		list = append(list, f)
	}
	slices.SortFunc(list, func(a, b function) int { return strings.Compare(a.Name, b.Name) })
	return list, nil
}

// readBundle reads a bundle's manifest.
func readBundle(dir string) (*bundle, error) {
	text, err := os.ReadFile(filepath.Join(dir, manifestFile))
	if err != nil {
		return nil, err
	}
	b := new(bundle)
	if err := json.Unmarshal(text, b); err != nil {
		return nil, fmt.Errorf("%s: %w", manifestFile, err)
	}
	return b, nil
}

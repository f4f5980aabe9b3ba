package dwarfargs

import (
	"encoding/binary"
	"errors"
	"fmt"
	"sync"

	"github.com/argtap/argtap/abi"
)

// source is what has the sections: a file, or a test's table.
type source func(name string) (rawSection, bool)

// target is what the reader must know of the file besides its DWARF.
type target struct {
	goarch  string
	ptrSize int64
	order   binary.ByteOrder
}

// targets lists Go's architectures.
var targets = map[string]target{
	"386":      {"386", 4, binary.LittleEndian},
	"amd64":    {"amd64", 8, binary.LittleEndian},
	"arm":      {"arm", 4, binary.LittleEndian},
	"arm64":    {"arm64", 8, binary.LittleEndian},
	"loong64":  {"loong64", 8, binary.LittleEndian},
	"mips":     {"mips", 4, binary.BigEndian},
	"mipsle":   {"mipsle", 4, binary.LittleEndian},
	"mips64":   {"mips64", 8, binary.BigEndian},
	"mips64le": {"mips64le", 8, binary.LittleEndian},
	"ppc64":    {"ppc64", 8, binary.BigEndian},
	"ppc64le":  {"ppc64le", 8, binary.LittleEndian},
	"riscv64":  {"riscv64", 8, binary.LittleEndian},
	"s390x":    {"s390x", 8, binary.BigEndian},
}

// Data is the debug information of one file. It is safe for concurrent use:
// calls wait for each other, inflation goes on beside them.
type Data struct {
	target
	arch *abi.Arch // nil if package abi does not know it
	src  source
	info *section
	// typesBase returns the address of runtime.types; nil if nobody knows.
	typesBase func() (uint64, bool)
	// code reads what the program has at an address; nil if nobody can.
	code func(addr uint64, buf []byte) error

	sectionsMu sync.Mutex
	sections   map[string]*section
	closed     bool

	mu       sync.Mutex // guards what follows, and every unit
	spare    []*die     // see takeDIE
	units    []*unit    // by offset; those that were read
	unitPos  int        // offset of the next unit's header
	unitsErr error
	abbrevs  map[abbrevKey]*abbrevs
	entries  map[uint64]entryDIE // the functions that were walked past, by entry address
	types    map[typeKey]*abi.Type

	runtimeTypes *RuntimeTypes // nil until asked for
}

// openData is Open for any source of sections.
func openData(src source, t target) (*Data, error) {
	d := &Data{
		target:   t,
		arch:     abi.ArchFor(t.goarch),
		src:      src,
		sections: make(map[string]*section),
		entries:  make(map[uint64]entryDIE),
		abbrevs:  make(map[abbrevKey]*abbrevs),
		types:    make(map[typeKey]*abi.Type),
	}
	info, err := d.section(".debug_info")
	if errors.Is(err, errNoSection) || err == nil && info.size == 0 {
		return nil, fmt.Errorf("%w: built with -ldflags=-w or -s, or stripped since: build it without", ErrNoDWARF)
	}
	if err != nil {
		return nil, err
	}
	d.info = info
	for _, name := range followers {
		if s, err := d.section(name); err == nil {
			s.follow(info)
		}
	}
	return d, nil
}

// section returns the section of that name, to be inflated when it is read.
func (d *Data) section(name string) (*section, error) {
	d.sectionsMu.Lock()
	defer d.sectionsMu.Unlock()
	if s := d.sections[name]; s != nil {
		return s, nil
	}
	if d.closed {
		return nil, ErrClosed
	}
	raw, ok := d.src(name)
	if !ok {
		return nil, decodeErr(name, 0, errNoSection)
	}
	raw.name = name
	s, err := newSection(raw)
	if err != nil {
		return nil, err
	}
	d.sections[name] = s
	return s, nil
}

// followers are the sections that inflate beside .debug_info while a call is
// looking for its function, before it is known how far they will be needed.
// They have what belongs to a unit in the order of the units. Any other section
// is small, or rarely needed.
var followers = []string{".debug_loclists", ".debug_loc", ".debug_addr"}

// hurry lets these sections inflate ahead of the reader, until the function
// that it returns is called.
func (d *Data) hurry() (relax func()) {
	all := append([]*section{d.info}, d.info.followers...)
	for _, s := range all {
		s.hurry()
	}
	return func() {
		for _, s := range all {
			s.relax()
		}
	}
}

// Prefetch begins to inflate what [Data.Func] is going to read, beside what the
// caller does: it pays to call it before the function's symbol is looked up.
// The function that it returns ends that, and is to be called once, when no
// other call is about to follow.
func (d *Data) Prefetch() (stop func()) { return d.hurry() }

// Close stops inflating and frees the sections. Functions and types that were
// returned stay valid. Other calls end with ErrClosed. Close is idempotent.
func (d *Data) Close() {
	d.sectionsMu.Lock()
	defer d.sectionsMu.Unlock()
	d.closed = true
	for _, s := range d.sections {
		s.close()
	}
}

package rtype

import (
	"fmt"
	"strings"

	"github.com/argtap/argtap/internal/goruntime"
)

// layout says how a release writes type descriptors. All offsets and sizes are
// in bytes.
//
// What no release from 1.11 to 1.27 has changed is in the code: the order of
// fields of runtime._type and of the descriptors of all kinds but maps; the
// bits of tflag (runtime/type.go, tflagUncommon and those behind it); names
// begin with a byte of flags, of which 1<<1 says that a tag follows and 1<<2 that
// the offset of a package's name ends it; 16 bytes of
// uncommontype (pkgpath, mcount, xcount, moff, and four unused) behind the
// descriptor of its kind, before what a func type has of parameters; 16 bytes of
// method (name, mtyp, ifn, tfn); bit 15 of a func type's number of results
// says that it is variadic.
type layout struct {
	ptr int64
	// mapType is the size of a map's descriptor: what is behind depends on it.
	mapType int64
	// varint says that a name's length is a varint, rather than two bytes, the
	// higher first.
	varint bool
	// blankInPackage says that names of types have the package before blank
	// fields, too.
	blankInPackage bool
	// embeddedInName says that bit 1<<3 of a field name's flags marks an
	// embedded field, rather than bit 0 of its offset, which is doubled then.
	embeddedInName bool
	// contiguous says that all descriptors stand one behind the other at the
	// begin of the type data; there are no type links.
	contiguous bool
	// directInTFlag says that a bit of tflag marks types whose values
	// interfaces hold directly, rather than one of kind.
	directInTFlag bool
}

// release is a row of the table of releases: what it changed, until the next.
type release struct {
	from int // minor number
	// maps are the words of a map's descriptor behind the type, and the bytes
	// behind those.
	mapWords, mapBytes int64
	layout
}

// releases is read from runtime/type.go (maptype, structfield, name) of each
// release up to 1.20 and from internal/abi/type.go and map*.go since.
var releases = []release{
	// maptype: key, elem, bucket; two sizes, the bucket's size, flags.
	{from: 11, mapWords: 3, mapBytes: 8},
	// hasher before the sizes.
	{from: 14, mapWords: 4, mapBytes: 8},
	// name.readvarint; cmd/compile/internal/types/fmt.go, fldconv, instead of
	// cmd/compile/internal/gc/fmt.go.
	{from: 17, mapWords: 4, mapBytes: 8, layout: layout{varint: true, blankInPackage: true}},
	// structfield.offset, name.embedded.
	{from: 19, mapWords: 4, mapBytes: 8, layout: layout{varint: true, blankInPackage: true, embeddedInName: true}},
	// SwissMapType: key, elem, group, hasher, three sizes; flags.
	{from: 24, mapWords: 7, mapBytes: 4, layout: layout{varint: true, blankInPackage: true, embeddedInName: true}},
	// TFlagDirectIface.
	{from: 26, mapWords: 7, mapBytes: 4, layout: layout{varint: true, blankInPackage: true, embeddedInName: true, directInTFlag: true}},
	// MapType: three words more. moduledata.typedesclen (runtime/symtab.go),
	// moduleTypelinks (runtime/type.go).
	{from: 27, mapWords: 10, mapBytes: 4, layout: layout{varint: true, blankInPackage: true, embeddedInName: true, contiguous: true, directInTFlag: true}},
}

// newest is the last minor release that was read for the table.
const newest = 27

// layoutFor returns the layout that a release uses for an architecture with
// pointers of ptr bytes. The version is as runtime.Version has it.
func layoutFor(version string, ptr int64) (*layout, error) {
	minor, ok := goruntime.Release(version)
	if !ok {
		return nil, fmt.Errorf("the layout of type data is not known for version %q", version)
	}
	if minor < releases[0].from || minor > newest {
		return nil, fmt.Errorf("the layout of type data is not known for Go 1.%d: it is for 1.%d to 1.%d", minor, releases[0].from, newest)
	}
	r := releases[0]
	for _, next := range releases[1:] {
		if minor >= next.from {
			r = next
		}
	}
	// GOEXPERIMENT=noswissmap: OldMapType (internal/abi/map_noswiss.go).
	if _, x, _ := strings.Cut(version, " X:"); (minor == 24 || minor == 25) && strings.Contains(x, "noswissmap") {
		r.mapWords, r.mapBytes = 4, 8
	}
	l := r.layout
	l.ptr = ptr
	l.mapType = align(l.typeSize()+r.mapWords*ptr+r.mapBytes, ptr)
	return &l, nil
}

// Offsets in a descriptor (runtime._type): size and ptrdata are words; then
// there are hash, of four bytes, tflag, align, fieldAlign and kind, of one; two
// words; the offset of the name, and of the type of pointers to it.

func (l *layout) tflag() int64    { return 2*l.ptr + 4 }
func (l *layout) align() int64    { return 2*l.ptr + 5 }
func (l *layout) kind() int64     { return 2*l.ptr + 7 }
func (l *layout) str() int64      { return 4*l.ptr + 8 }
func (l *layout) typeSize() int64 { return 4*l.ptr + 16 }

// Bits of tflag.
const (
	flagUncommon  = 1 << 0
	flagExtraStar = 1 << 1
	flagNamed     = 1 << 2
	flagDirect    = 1 << 5 // from Go 1.26
)

// kindDirect is the bit of a descriptor's kind that marks types whose values
// interfaces hold directly, up to Go 1.25.
const kindDirect = 1 << 5

// Bits of a name's first byte.
const (
	nameExported = 1 << 0
	nameTag      = 1 << 1
	namePkgPath  = 1 << 2
	nameEmbedded = 1 << 3
)

// Sizes of what follows descriptors.
const (
	uncommonSize = 16
	methodSize   = 16
	imethodSize  = 8
)

// kindMask takes the flags off a descriptor's kind: kindDirect, 1<<6 for programs of the garbage
// collector up to Go 1.23, 1<<7 for types without pointers up to 1.13.
const kindMask = 1<<5 - 1

func align(n, to int64) int64 { return (n + to - 1) &^ (to - 1) }

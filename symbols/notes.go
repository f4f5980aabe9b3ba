package symbols

import (
	"debug/elf"
	"encoding/hex"
)

// notes is what the note sections say.
type notes struct {
	gnu []byte // the GNU build ID
	gob string // the Go build ID
}

// Types of notes and the names of their owners: NT_GNU_BUILD_ID of the GNU
// tools, and cmd/internal/buildid (elfGoBuildIDTag) of Go's.
const (
	noteGNUBuildID = 3
	noteGoBuildID  = 4
	ownerGNU       = "GNU\x00"
	ownerGo        = "Go\x00\x00"
)

// maxNotes bounds the bytes of one note section, maxBuildID those of an ID.
// GNU IDs have 8 to 32 bytes, Go's about 83.
const (
	maxNotes   = 64 << 10
	maxBuildID = 1 << 10
)

// BuildID returns the GNU build ID in hexadecimal, as perf and the .build-id
// directories write it; "" if the file has none. Go's linker writes one by
// default from Go 1.24.
func (f *File) BuildID() string { return hex.EncodeToString(f.notes().gnu) }

// GoBuildID returns the build ID that go tool buildid prints, "" if the file
// has none. It identifies the program's inputs and contents.
func (f *File) GoBuildID() string { return f.notes().gob }

// readNotes reads the notes of the sections and, for a file without section
// headers, those of the segments.
func (f *File) readNotes() notes {
	var n notes
	for _, h := range f.sections {
		if h.typ == elf.SHT_NOTE && !n.complete() {
			f.parseNotes(&n, h.stored)
		}
	}
	for _, seg := range f.noteSegs {
		if !n.complete() {
			f.parseNotes(&n, seg)
		}
	}
	return n
}

func (n *notes) complete() bool { return n.gnu != nil && n.gob != "" }

// parseNotes adds what the notes at where say and n does not know yet. What is
// malformed ends it: a build ID is an extra, its absence no reason to refuse a
// file. Both kinds of build ID are padded to 4 bytes, also in 64-bit files;
// only .note.gnu.property, which has a section of its own, is padded to 8.
func (f *File) parseNotes(n *notes, where extent) {
	if where.size > maxNotes || !f.fits(where) {
		return
	}
	b := make([]byte, where.size)
	if f.read(b, where.off) != nil {
		return
	}
	for len(b) >= 12 {
		nameSize, descSize, typ := uint64(f.u32(b)), uint64(f.u32(b[4:])), f.u32(b[8:])
		b = b[12:]
		desc := (nameSize + 3) &^ 3
		next := (desc + descSize + 3) &^ 3
		if desc+descSize > uint64(len(b)) {
			return
		}
		owner, id := string(b[:nameSize]), b[desc:desc+descSize]
		if descSize > 0 && descSize <= maxBuildID {
			switch {
			case owner == ownerGNU && typ == noteGNUBuildID && n.gnu == nil:
				n.gnu = id
			case owner == ownerGo && typ == noteGoBuildID && n.gob == "":
				n.gob = string(id)
			}
		}
		b = b[min(next, uint64(len(b))):]
	}
}

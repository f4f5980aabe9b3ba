package symbols

import (
	"fmt"
	"iter"
	"sort"
)

// FuncTable is the table of functions that the Go runtime uses for tracebacks
// (runtime.pclntab, section .gopclntab). A stripped program has it too. It
// lists every Go function, functions in assembly, what the linker makes, and
// where Go's own linker linked C code, its functions. It is safe for concurrent
// use as long as its File is open.
//
// Its names are those of the symbol table, with these exceptions:
//
//   - Go 1.18 to 1.20 put "[...]" for type arguments, so that all instances of
//     a generic function have one name (cmd/link/internal/ld, nameParts);
//   - from Go 1.17 to 1.21 some functions in assembly, most of package runtime,
//     lack the ".abi0" that they have in the symbol table;
//   - the symbol table writes "." for "·".
//
// Layouts are known for Go 1.11 to 1.27, on 32- and 64-bit machines of either
// byte order; a later release that keeps the magic is read as 1.27 is.
type FuncTable struct {
	f       *File
	section string   // its name, for errors
	addr    VirtAddr // of the header
	stored  extent   // in the file; may reach behind the table's end

	magic   magic
	quantum uint64 // bytes that a step of 1 in a table of PCs stands for
	ptr     int    // size of an address in bytes
	count   uint64
	// Parts of the table, with offsets from the header: names of functions;
	// for each compilation unit, its files; names of files; tables of PCs;
	// records; and the index of functions, which precedes the records.
	names, cus, files, pcs, funcs, index extent
	// absolute: the index has addresses, not offsets from the text's start.
	absolute bool
	layout   funcLayout

	text    func() (VirtAddr, error)        // read once
	bridges func() (map[uint32]bool, error) // read once
	wrapper func() (id uint8, known bool)   // read once
}

// TableFunc is a function of a [FuncTable].
type TableFunc struct {
	// Func has the exact size in bytes, without padding, if the function was
	// compiled or assembled by Go; otherwise it ends where the padding before
	// the next one begins.
	Func
	// Args is the number of bytes that arguments and results have in the
	// caller's frame, in ABIInternal the stack-assigned ones and the spill
	// space; -0x80000000 if not known, as for some functions in assembly.
	Args int32
	// ID is the runtime's funcID: 0 for an ordinary function; numbers differ
	// by release (internal/abi, FuncID). Flag are the runtime's funcFlags, 0
	// before Go 1.17.
	ID, Flag uint8
	// StartLine is the line of the declaration, 0 before Go 1.20 and where it
	// is not known.
	StartLine int32
	// Asm says that the function is written in assembly: by its flag from Go
	// 1.18, before by the name of its file.
	Asm bool
	// Wrapper says that the compiler made it (FuncIDWrapper): a method on a
	// pointer or of an embedded type, a bridge between ABIs, and some helpers
	// of the runtime. Always false before Go 1.12.
	Wrapper bool
	// Foreign says that neither Go's compiler nor its assembler made it: a
	// function in C that Go's linker linked, or one of the linker's own. The
	// runtime's data about it, such as Args, mean nothing.
	Foreign bool

	at uint32 // of its record, from the beginning of the records
}

// Table returns the function table of the file. The error is [ErrNoTable] if
// it has none, as a program that is not Go's or a file of debug information;
// otherwise mostly a [*FormatError]. The table is found once and kept; of its
// contents little is.
//
// Where no section has it, the segments are searched for its header, which
// takes milliseconds for 100 MB.
func (f *File) Table() (*FuncTable, error) {
	t, err := f.table()
	if err != nil {
		return nil, f.wrap("find function table", err)
	}
	return t, nil
}

// Len returns the number of functions.
func (t *FuncTable) Len() int { return int(t.count) }

// TextStart returns the address that the offsets in the table and in type data
// count from, runtime.text. It is not that of section .text if an external
// linker put C code before it. From Go 1.26 it is only in the module data; the
// error is [ErrNoModuleData] if that is not found.
func (t *FuncTable) TextStart() (VirtAddr, error) {
	if !t.absolute {
		return t.text()
	}
	m, err := t.f.ModuleData()
	if err != nil {
		return 0, err
	}
	return m.Text, nil
}

// readTextStart finds what the offsets of the index count from.
func (t *FuncTable) readTextStart() (VirtAddr, error) {
	var b [8]byte
	if err := t.readWords(b[:t.ptr], uint64(8+2*t.ptr)); err != nil {
		return 0, err
	}
	text := VirtAddr(t.f.word(b[:]))
	if text == 0 { // always from Go 1.26
		m, err := t.f.findModule(t)
		if err != nil {
			return 0, err
		}
		return VirtAddr(m.word(m.shape.text)), nil
	}
	s, err := t.f.segmentFor(text)
	if err != nil || !s.Exec {
		return 0, t.malformed(uint64(8+2*t.ptr), "the text's start, %#x, is not executable", uint64(text))
	}
	return text, nil
}

// record is a function's entry in the index and its record.
type record struct {
	index int
	// low and high are the function's entry and the next one's, as the index
	// has them: addresses, or offsets from the text's start.
	low, high uint64
	at        uint64 // of b, from the beginning of the records
	b         []byte // fixed part; words that the loader relocates are not
}

// entryAt returns the i-th entry of the index.
func (t *FuncTable) entryAt(i uint64) (low, at uint64, err error) {
	var b [16]byte
	entry := b[:t.indexEntry()]
	if i == t.count {
		entry = entry[:len(entry)/2]
	}
	off := t.index.off + i*t.indexEntry()
	if t.absolute {
		err = t.readWords(entry, off)
		return t.f.word(b[:]), t.f.word(b[t.ptr:]), err
	}
	err = t.read(entry, off)
	return uint64(t.f.u32(b[:])), uint64(t.f.u32(b[4:])), err
}

// each calls visit for each function, in order, until it returns false. The
// record is valid during the call.
func (t *FuncTable) each(visit func(r *record) bool) error {
	return t.eachFrom(0, t.count, visit)
}

// eachFrom is each for the functions from first up to, not including, end.
func (t *FuncTable) eachFrom(first, end uint64, visit func(r *record) bool) error {
	entry := t.indexEntry()
	chunk := chunks.Get().(*[chunkSize]byte)
	defer chunks.Put(chunk)
	w := window{t: t, base: t.funcs.off, size: t.funcs.size}
	r := &record{}
	for i := first; i < end; {
		// One more entry than functions, the last of which is half a one.
		n := min(end-i, chunkSize/entry-1)
		b := chunk[:n*entry+entry/2]
		off := t.index.off + i*entry
		var err error
		if t.absolute {
			err = t.readWords(b, off)
		} else {
			err = t.read(b, off)
		}
		if err != nil {
			return err
		}
		for range n {
			r.index = int(i)
			if t.absolute {
				r.low, r.at, r.high = t.f.word(b), t.f.word(b[t.ptr:]), t.f.word(b[2*t.ptr:])
			} else {
				r.low, r.at, r.high = uint64(t.f.u32(b)), uint64(t.f.u32(b[4:])), uint64(t.f.u32(b[8:]))
			}
			b = b[entry:]
			if r.high < r.low {
				return t.malformed(t.index.off+i*entry, "function %d starts behind the next one", i)
			}
			if r.at>>32 != 0 { // TableFunc keeps 32 bits
				return t.malformed(t.index.off+i*entry, "function %d: %w", i, ErrTruncated)
			}
			if r.b, err = w.bytes(r.at, t.layout.size); err != nil {
				return err
			}
			if !visit(r) {
				return nil
			}
			i++
		}
	}
	return nil
}

// All returns an iterator over the functions by ascending entry. An error ends
// the iteration. Functions without a name, or with one over 64 KiB, are left
// out.
func (t *FuncTable) All() iter.Seq2[TableFunc, error] {
	return func(yield func(TableFunc, error) bool) {
		n := t.reader()
		var fault error
		stopped := false
		err := t.each(func(r *record) bool {
			fn, ok, err := n.named(r)
			if err != nil {
				fault = err
				return false
			}
			stopped = ok && !yield(fn, nil)
			return !stopped
		})
		if fault != nil {
			err = fault
		}
		if err != nil && !stopped {
			yield(TableFunc{}, fmt.Errorf("list functions: %w", err))
		}
	}
}

// At returns the function that contains address a. Padding between functions
// belongs to none. The error is [ErrNoFunc] if there is none. It reads some
// entries of the index only.
func (t *FuncTable) At(a VirtAddr) (TableFunc, error) {
	fn, err := t.at(a)
	if err != nil {
		return TableFunc{}, t.f.wrap(fmt.Sprintf("find function at %#x", uint64(a)), err)
	}
	return fn, nil
}

func (t *FuncTable) at(a VirtAddr) (TableFunc, error) {
	var text VirtAddr
	if !t.absolute {
		var err error
		if text, err = t.text(); err != nil {
			return TableFunc{}, err
		}
	}
	if a < text {
		return TableFunc{}, ErrNoFunc
	}
	want := uint64(a - text)
	var fault error
	// The first entry behind a; the function is before it.
	i := uint64(sort.Search(int(t.count)+1, func(i int) bool {
		low, _, err := t.entryAt(uint64(i))
		if err != nil {
			fault = err
			return true
		}
		return low > want
	}))
	if fault != nil {
		return TableFunc{}, fault
	}
	if i == 0 || i > t.count {
		return TableFunc{}, ErrNoFunc
	}
	fn, name, err := t.reader().at(i - 1)
	if err != nil {
		return TableFunc{}, err
	}
	if name == "" || uint64(a-fn.Entry) >= max(fn.Size, 1) {
		return TableFunc{}, ErrNoFunc
	}
	fn.Name, err = t.nameOf(fn, name)
	return fn, err
}

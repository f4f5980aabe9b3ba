package dwarfargs

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/argtap/argtap/abi"
	"github.com/argtap/argtap/symbols"
)

// argInfo holds the tables by which the runtime prints arguments in a
// traceback: FUNCDATA_ArgInfo, where the compiler writes for each function the
// offset and size of each word of its arguments, on the stack or in the spill
// slots (cmd/compile/internal/ssagen/ssa.go, EmitArgInfo). The compiler made
// them from its own assignment, blank parameters included, so they confirm
// where DWARF is silent: which arguments there are, of what sizes, which are in
// registers, and in what order they were assigned.
type argInfo struct {
	offsets map[uint64]uint32 // entry → offset in data, noArgInfo if none
	data    []byte            // from go:func.*
}

const noArgInfo = ^uint32(0)

// readArgInfo reads .gopclntab as Go 1.20 and later lay it out
// (internal/abi and runtime/symtab.go: pcHeader, functab, _func). Entries count
// from runtime.text, funcdata from go:func.*.
func readArgInfo(t *testing.T, path string) *argInfo {
	t.Helper()
	f, err := elf.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	syms, err := f.Symbols()
	if err != nil {
		t.Fatal(err)
	}
	var text, gofunc uint64
	for _, s := range syms {
		switch s.Name {
		case "runtime.text":
			text = s.Value
		case "go:func.*":
			gofunc = s.Value
		}
	}
	var pcln, data []byte
	for _, s := range f.Sections {
		if s.Type != elf.SHT_PROGBITS {
			continue
		}
		if strings.HasSuffix(s.Name, ".gopclntab") {
			if pcln, err = s.Data(); err != nil {
				t.Fatal(err)
			}
		}
		if gofunc >= s.Addr && gofunc < s.Addr+s.Size && s.Addr != 0 {
			if data, err = s.Data(); err != nil {
				t.Fatal(err)
			}
			data = data[gofunc-s.Addr:]
		}
	}
	le := binary.LittleEndian
	if text == 0 || data == nil || len(pcln) < 72 || le.Uint32(pcln) != 0xfffffff1 {
		t.Fatalf("%s: no traceback tables as Go 1.20 and later write them", path)
	}
	a := &argInfo{offsets: make(map[uint64]uint32), data: data}
	n, table := le.Uint64(pcln[8:]), pcln[le.Uint64(pcln[64:]):]
	for i := range n {
		entry, fn := le.Uint32(table[8*i:]), table[le.Uint32(table[8*i+4:]):]
		npcdata, nfuncdata := le.Uint32(fn[28:]), uint32(fn[43])
		const funcdataArgInfo = 5 // internal/abi/symtab.go
		at := noArgInfo
		if nfuncdata > funcdataArgInfo {
			at = le.Uint32(fn[44+4*npcdata+4*funcdataArgInfo:])
		}
		a.offsets[text+uint64(entry)] = at
	}
	return a
}

// confirm compares the function's table with what the assignment makes of its
// signature. confirmed is false if the function has neither arguments nor
// table, or is no compiled Go function.
func (a *argInfo) confirm(fn symbols.Func, fd *Func) (confirmed bool, err error) {
	if !fd.Go || len(fd.Params) == 0 && fd.Dict == abi.NoDict {
		// Assembly functions have tables from their Go declarations, but no
		// parameters in DWARF. A compiled function with a table and without
		// parameters would be one that was misread; assembly has no producer
		// with flags.
		if at, ok := a.offsets[uint64(fn.Entry)]; ok && at != noArgInfo && strings.Contains(fd.Producer, "cmd/compile") && fd.Line > 0 && !fd.Wrapper && !rangeBody(fn.Name) {
			return false, fmt.Errorf("no parameters, but a traceback table % x", a.at(at))
		}
		return false, nil
	}
	at, ok := a.offsets[uint64(fn.Entry)]
	if !ok || at == noArgInfo {
		return false, errors.New("no traceback table")
	}
	got := a.at(at)
	ps, err := fd.placements(abi.AMD64)
	if err != nil {
		return false, err
	}
	_, remaining := fd.checkEntry(ps)
	var want []byte
	for i := range remaining {
		var e argInfoEmitter
		e.emit(fn.Name, &remaining[i])
		want = e.out
		if bytes.Equal(got, want) {
			return true, nil
		}
		// The body of a range-over-func loop lacks its last parameters.
		if own := want[:len(want)-1]; rangeBody(fn.Name) && bytes.HasPrefix(got, own) {
			return true, nil
		}
	}
	return false, fmt.Errorf("the assignment gives the traceback table\n% x, but the binary has\n% x", want, got)
}

// at returns the table at the offset, to its end mark.
func (a *argInfo) at(off uint32) []byte {
	rest := a.data[off:]
	for i := 0; i < len(rest); i++ {
		switch c := rest[i]; {
		case c == 0xff:
			return rest[:i+1]
		case c < 0xf0:
			i++ // the offset's size follows
		}
	}
	return rest
}

// argInfoEmitter writes a table as EmitArgInfo does.
type argInfoEmitter struct {
	out []byte
	n   int
}

// The compiler's constants (internal/abi/type.go, TraceArgs…).
const (
	traceLimit, traceMaxDepth                       = 10, 5
	traceEndSeq, traceStartAgg, traceEndAgg         = 0xff, 0xfe, 0xfd
	traceDotdotdot, traceOffsetTooLarge, traceFirst = 0xfc, 0xfb, 0xf0
)

func (e *argInfoEmitter) emit(symbol string, pl *placement) {
	type arg struct {
		t  *abi.Type
		at int64
	}
	var args []arg
	add := func(t *abi.Type, l abi.Location, slot abi.CFAOffset, inRegs bool) {
		switch {
		case inRegs:
			args = append(args, arg{t, int64(slot)})
		case len(l) > 0:
			args = append(args, arg{t, int64(l[0].CFA)})
		default:
			args = append(args, arg{t, 0}) // no bytes: no offset is written
		}
	}
	dict := func() {
		slot, ok := pl.as.DictSpillSlot()
		add(&abi.Type{Kind: abi.Uintptr, Size: 8}, pl.as.Dict.AtEntry(), slot, ok)
	}
	if pl.sig.Dict == abi.DictFirst {
		dict()
	}
	for i, p := range pl.sig.Params {
		slot, ok := pl.as.SpillSlot(i)
		add(p.Type, pl.as.Params[i].AtEntry(), slot, ok)
		if i == 0 && pl.sig.Dict == abi.DictAfterReceiver {
			dict()
		}
	}
	// Meant to skip the dictionary, and so done for everything with type
	// arguments in its name, whatever its first argument is.
	if strings.Contains(symbol, "[") && len(args) > 0 {
		args = args[1:]
	}
	for _, a := range args {
		if !e.visit(a.t, a.at, 0) {
			break
		}
	}
	e.out = append(e.out, traceEndSeq)
}

func (e *argInfoEmitter) visit(t *abi.Type, at int64, depth int) bool {
	if e.n >= traceLimit {
		e.out = append(e.out, traceDotdotdot)
		return false
	}
	words := int64(0)
	switch t.Kind {
	case abi.String, abi.Interface, abi.Complex64, abi.Complex128:
		words = 2
	case abi.Slice:
		words = 3
	case abi.Array, abi.Struct:
	default:
		if at >= traceFirst {
			e.out = append(e.out, traceOffsetTooLarge)
		} else {
			e.out = append(e.out, byte(at), byte(t.Size))
		}
		e.n++
		return true
	}
	e.out = append(e.out, traceStartAgg)
	if depth++; depth >= traceMaxDepth {
		e.out = append(e.out, traceDotdotdot, traceEndAgg)
		e.n++
		return true
	}
	switch {
	case words > 0:
		w := &abi.Type{Kind: abi.Uintptr, Size: t.Size / words}
		for i := range words {
			if !e.visit(w, at+i*w.Size, depth) {
				break
			}
		}
	case t.Kind == abi.Array && t.Len == 0 || t.Kind == abi.Struct && len(t.Fields) == 0:
		e.n++
	case t.Kind == abi.Array:
		for i := range t.Len {
			if !e.visit(t.Elem, at+i*t.Elem.Size, depth) {
				break
			}
		}
	default:
		for _, f := range t.Fields {
			if !e.visit(f.Type, at+f.Offset, depth) {
				break
			}
		}
	}
	e.out = append(e.out, traceEndAgg)
	return true
}

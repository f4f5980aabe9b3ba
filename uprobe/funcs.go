package uprobe

import (
	"fmt"
	"strings"
	"sync"

	"github.com/argtap/argtap/abi"
	"github.com/argtap/argtap/dwarfargs"
	"github.com/argtap/argtap/internal/capture"
	"github.com/argtap/argtap/symbols"
)

// funcNames are the names of the functions of a binary, by their addresses. They
// are looked up when they are asked for, as long as the binary is open.
type funcNames struct {
	mu    sync.Mutex
	file  *symbols.File // nil when it is closed
	known map[uint64]string
	// lines are what is known of instructions: see line.
	lines map[uint64]*codeLine
}

func newFuncNames(f *symbols.File) *funcNames {
	return &funcNames{file: f, known: make(map[uint64]string)}
}

// name returns the name of the function that begins at pc.
func (n *funcNames) name(pc uint64) (string, bool) {
	if n == nil {
		return "", false
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	name, ok := n.known[pc]
	if !ok && n.file != nil {
		name = n.find(symbols.VirtAddr(pc))
		n.known[pc] = name
	}
	return name, name != ""
}

func (n *funcNames) find(pc symbols.VirtAddr) string {
	// The function table is searched in no time, but up to Go 1.20 it has one
	// name for all instances of a generic function.
	if t, err := n.file.Table(); err == nil {
		if fn, err := t.At(pc); err == nil && fn.Entry == pc && !strings.Contains(fn.Name, "[...]") {
			return fn.Name
		}
	}
	if fn, err := n.file.At(pc); err == nil && fn.Entry == pc {
		return fn.Name
	}
	return ""
}

// close ends the use of the binary.
func (n *funcNames) close() {
	if n != nil {
		n.mu.Lock()
		n.file = nil
		n.mu.Unlock()
	}
}

// resolveNames looks up the names of all funcs in the heap, for when the binary
// is no longer open.
func (h *heap) resolveNames() {
	if h == nil || h.funcs == nil {
		return
	}
	h.once.Do(h.objects)
	for _, o := range h.list {
		if o.typ == capture.WordType && o.count > 0 {
			h.funcs.name(h.codeAt(Value{data: h.data, small: h.small}, o))
		}
	}
}

// code returns the address of a func's code, as the binary states it.
func (h *heap) code(v Value) (uint64, abi.Reason) {
	o, ok := h.find(v.word(0), capture.WordType)
	switch {
	case !ok:
		return 0, h.missing(v, 0)
	case o.count == 0:
		return 0, abi.NotResident
	}
	return h.codeAt(v, o), abi.Present
}

func (h *heap) codeAt(v Value, o heapObject) uint64 {
	v.base, v.off = o.off, 0
	pc := v.word(0) - order.Uint64(h.data[capture.OffBias:])
	if v.small {
		pc = uint64(uint32(pc))
	}
	return pc
}

// closure is Value.Closure of a func that is present and not nil.
func (h *heap) closure(v Value) Value {
	pc, r := h.code(v)
	if r != abi.Present {
		return absent(nil, r)
	}
	d, ok := h.walk.Types.Dynamic(pc)
	if !ok || !d.Closure {
		return absent(nil, abi.UnknownType)
	}
	vars := *d.Type
	vars.Fields = vars.Fields[1:] // beside the address of the code
	id, _, r := h.walk.Types.Lookup(capture.RowPointer, d.Type)
	if r != abi.Present {
		return absent(&vars, r)
	}
	c, _, r := h.object(v, v.word(0), id, d.Type, 1, 1)
	if r != abi.Present {
		return absent(&vars, r)
	}
	c.typ = &vars
	return c
}

// addClosures adds to the type table what funcs have captured, as far as the
// debug information says it.
func (b *executable) addClosures() error {
	if b.dwarf == nil {
		return nil
	}
	var fns []symbols.Func
	for fn, err := range b.file.Funcs() {
		if err != nil {
			return err
		}
		if mayCapture(fn.Name) {
			fns = append(fns, fn)
		}
	}
	return b.dwarf.Closures(fns, wholeTypes, func(fn symbols.Func, c *dwarfargs.Closure) {
		t, holes := closureType(b.arch, fn.Name, c)
		b.walkTypes.AddClosure(uint64(fn.Entry), t, holes)
	})
}

// mayCapture reports whether the compiler calls functions so that have captured
// variables: function literals (main.f.func1, main.f.func1.2, main.f.gowrap1,
// main.init.func3) and method values.
func mayCapture(name string) bool {
	if strings.HasSuffix(name, "-fm") {
		return true
	}
	i := strings.LastIndexByte(name, '.')
	if i < 0 {
		return false
	}
	last := name[i+1:]
	trimmed := strings.TrimRight(last, "0123456789-")
	return trimmed == "" || last != trimmed && (trimmed == "func" || trimmed == "gowrap" || trimmed == "deferwrap")
}

// closureType is the type of what a func value of the closure points to. Variables
// that the debug information leaves out are fields called "?", "?2" and so on. A
// variable of which it does not tell whether it or its address is there may take all
// the place up to the next one.
func closureType(a *abi.Arch, name string, c *dwarfargs.Closure) (t *abi.Type, holes []capture.Hole) {
	t = &abi.Type{
		Name: "closure of " + name, Kind: abi.Struct, Size: a.PtrSize, Align: a.PtrSize,
		Fields: []abi.Field{{Name: "F", Type: &abi.Type{Name: "uintptr", Kind: abi.Uintptr, Size: a.PtrSize, Align: a.PtrSize}}},
	}
	gaps := 0
	for i, v := range c.Vars {
		if gap := v.Offset - t.Size; gap >= max(v.Type.Align, 1) && (i == 0 || !c.Vars[i-1].Unknown) {
			field := abi.Field{Name: "?", Offset: t.Size, Type: &abi.Type{Name: "?", Kind: abi.Struct, Size: gap, Align: 1}}
			if gaps++; gaps > 1 {
				field.Name = fmt.Sprint("?", gaps)
			}
			t.Fields = append(t.Fields, field)
			holes = append(holes, capture.Hole{Offset: t.Size, Size: gap, Reason: abi.OptimizedOut})
		}
		field := abi.Field{Name: v.Name, Type: v.Type, Offset: v.Offset}
		if v.Unknown {
			field.Type = &abi.Type{Name: "?", Kind: abi.Struct, Size: v.Type.Size, Align: v.Type.Align}
			holes = append(holes, capture.Hole{Offset: v.Offset, Size: v.Type.Size, Reason: abi.UnknownLayout})
		}
		if c.MethodValue {
			field.Name = "receiver"
		}
		t.Fields = append(t.Fields, field)
		t.Size = max(t.Size, v.Offset+v.Type.Size)
	}
	return t, holes
}

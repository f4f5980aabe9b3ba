package uprobe

import (
	"encoding/binary"

	"github.com/argtap/argtap/internal/capture"
	"github.com/argtap/argtap/internal/probegen"
)

// readStacks gives rows the stacks of their keys. The programs put a stack into its map
// before they count a call under it, and nothing is removed.
func (k *kernel) readStacks(rows []tally) error {
	a := &k.aggregates
	read := false
	for i := range rows {
		y := &rows[i]
		id := a.funcs[y.fn].stackID(y.key)
		if id < capture.StackFirst {
			continue
		}
		if a.stacks[id] == nil && !read {
			if err := k.readStackMap(); err != nil {
				return err
			}
			read = true
		}
		y.stack = a.stacks[id]
	}
	return nil
}

// readStackMap reads all stacks.
func (k *kernel) readStackMap() error {
	all := map[uint64]*callStack{}
	var key []byte
	var id uint64
	it := k.stacks.Iterate()
	for it.Next(&key, &id) {
		n := min(int(binary.LittleEndian.Uint32(key)), (len(key)-8)/8)
		s := &callStack{words: make([]uint64, n), end: binary.LittleEndian.Uint32(key[4:])}
		for i := range s.words {
			s.words[i] = binary.LittleEndian.Uint64(key[capture.StackPCs-capture.StackInfo+8*i:])
		}
		if old := k.aggregates.stacks[id]; old != nil {
			s = old // it has names
		}
		all[id] = s
	}
	if err := it.Err(); err != nil {
		return err
	}
	k.aggregates.stacks = all
	return nil
}

// stackID returns the ID of the stack in a key, 0 if there is none.
func (f *Func) stackID(key []byte) uint64 {
	id, _ := f.stackOf(key)
	return id
}

// lacksStack reports whether there was no memory or no room for the stack in a key.
func (f *Func) lacksStack(key []byte) bool {
	id, ok := f.stackOf(key)
	return ok && (id == capture.StackNone || id == capture.StackFull)
}

// stackOf returns what a key has of a stack, and whether it has one as a part.
func (f *Func) stackOf(key []byte) (id uint64, ok bool) {
	for i, p := range f.aggregated.program.Key {
		if key != nil && p.Expr == nil && p.Kind == probegen.KeyStack {
			return binary.LittleEndian.Uint64(key[f.aggregated.program.Layout.Offset(i):]), true
		}
	}
	return 0, false
}

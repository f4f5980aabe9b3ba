package uprobe

import (
	"bytes"
	"strconv"
	"strings"

	"github.com/argtap/argtap/symbols"
)

// codeLine is what is known of an instruction of the binary.
type codeLine struct {
	// frames are its positions, the innermost first, without their PCs; wrapper says
	// which of them the compiler made.
	frames  []Frame
	wrapper []bool
	// start is the line of the declaration of the function that the code is of, 0 if
	// it is not known.
	start int
	// frame is the size of the frame at the instruction in bytes, as
	// [symbols.Lines.Frame] has it, and asm says that the function is in assembly.
	frame int64
	asm   bool
}

// maxCodeLines bounds the instructions that are remembered.
const maxCodeLines = 1 << 16

// line returns what is known of the instruction at pc, an address as the binary
// states it; nil if it is in no function of the binary.
func (n *funcNames) line(pc uint64) *codeLine {
	if n == nil {
		return nil
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	l, ok := n.lines[pc]
	if !ok && n.file != nil {
		l = n.findLine(symbols.VirtAddr(pc))
		if n.lines == nil || len(n.lines) >= maxCodeLines {
			n.lines = make(map[uint64]*codeLine)
		}
		n.lines[pc] = l
	}
	return l
}

func (n *funcNames) findLine(pc symbols.VirtAddr) *codeLine {
	if t, err := n.file.Table(); err == nil {
		if l, err := t.Lines(pc); err == nil {
			return n.codeLine(l)
		}
	}
	fn, err := n.file.At(pc) // of no Go function, or the table is damaged
	if err != nil {
		return nil
	}
	return &codeLine{frames: []Frame{{Func: frameName(fn.Name), entry: uint64(fn.Entry)}}, wrapper: []bool{false}, frame: -1}
}

func (n *funcNames) codeLine(l symbols.Lines) *codeLine {
	c := &codeLine{start: int(l.Func.StartLine), frame: l.Frame, asm: l.Func.Asm || l.Func.Foreign}
	for i, p := range l.Positions {
		name := p.Func
		if i == len(l.Positions)-1 && strings.Contains(name, "[...]") {
			// Up to Go 1.20 the table has one name for all instances.
			if fn, err := n.file.At(l.Func.Entry); err == nil && fn.Entry == l.Func.Entry {
				name = fn.Name
			}
		}
		c.frames = append(c.frames, Frame{
			Func: frameName(name), File: p.File, Line: int(p.Line), Inlined: p.Inlined, entry: uint64(l.Func.Entry),
		})
		c.wrapper = append(c.wrapper, p.Wrapper)
	}
	return c
}

// frameName is the name of a function in tracebacks, which do not tell apart code of
// the two conventions.
func frameName(name string) string { return strings.TrimSuffix(name, ".abi0") }

// mapping is a part of a process's address space.
type mapping struct {
	low, high uint64
	off       uint64 // of low in the file
	code      bool   // it is executable
	name      string
}

// moduleAt returns what is mapped at an address, "?" if that is not known.
func moduleAt(maps []mapping, a uint64) string {
	for _, m := range maps {
		if m.low <= a && a < m.high && m.name != "" {
			return m.name
		}
	}
	return "?"
}

// parseMappings reads the text of /proc/PID/maps.
func parseMappings(text []byte) (maps []mapping) {
	for line := range bytes.Lines(text) {
		// address perms offset dev inode name
		fields := bytes.SplitN(bytes.TrimRight(line, "\n"), []byte{' '}, 6)
		low, high, ok := bytes.Cut(fields[0], []byte{'-'})
		if !ok || len(fields) < 6 {
			continue
		}
		m := mapping{name: string(bytes.TrimLeft(fields[5], " ")), code: bytes.IndexByte(fields[1], 'x') >= 0}
		var err1, err2, err3 error
		m.low, err1 = strconv.ParseUint(string(low), 16, 64)
		m.high, err2 = strconv.ParseUint(string(high), 16, 64)
		m.off, err3 = strconv.ParseUint(string(fields[2]), 16, 64)
		if err1 == nil && err2 == nil && err3 == nil {
			maps = append(maps, m)
		}
	}
	return maps
}

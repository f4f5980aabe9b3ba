package uprobe

import (
	"github.com/argtap/argtap/abi"
	"github.com/argtap/argtap/internal/goruntime"
	"github.com/argtap/argtap/internal/probegen"
	"github.com/argtap/argtap/internal/site"
	"github.com/argtap/argtap/symbols"
)

// findG says where the g, which has the goroutine's ID, is at the entry's site.
func (b *executable) findG(f *Func, d *description, code []byte) probegen.G {
	switch {
	case !d.goCode:
		// C code has its own use for the registers.
	case d.keepsG(b.arch):
		return probegen.G{Kind: probegen.GRegister, Reg: b.arch.G}
	case f.sites.HasG:
		return probegen.G{Kind: probegen.GRegister, Reg: f.sites.G}
	case b.arch == abi.AMD64:
		return b.threadG(code, f.entry)
	}
	return probegen.G{}
}

// threadG says where the g is in the thread's local storage, by the code of a function
// or of others.
func (b *executable) threadG(code []byte, entry symbols.VirtAddr) probegen.G {
	off, ok := site.TLSOffset(b.arch, code, entry)
	if !ok {
		off, ok = b.threadOffset()
	}
	if !ok {
		return probegen.G{}
	}
	return probegen.G{Kind: probegen.GThread, TLS: off}
}

// loadsG are functions of the runtime that load the g from the thread's local
// storage, in one release or another.
var loadsG = []string{
	"runtime.asmcgocall.abi0", "runtime.asmcgocall", "runtime.mcall", "runtime.rt0_go.abi0", "runtime.rt0_go", "runtime.main",
}

// threadOffset returns where the g is in the thread's local storage of the
// binary's processes: the same for all functions of a program.
func (b *executable) threadOffset() (int64, bool) {
	if b.tls != nil {
		return *b.tls, *b.tls != 0
	}
	b.tls = new(int64)
	for _, name := range loadsG {
		fn, err := b.file.Lookup(name)
		if err != nil {
			continue
		}
		code, err := b.file.Code(fn)
		if err != nil {
			continue
		}
		if off, ok := site.TLSOffset(b.arch, code, fn.Entry); ok {
			*b.tls = off
			break
		}
	}
	return *b.tls, *b.tls != 0
}

// gOffsets returns where the fields of g are: from the table of releases, or
// for an unknown release from the debug information.
func (b *executable) gOffsets() gOffsets {
	if b.g != nil {
		return *b.g
	}
	b.g = new(gOffsets)
	version, _ := b.file.GoVersion()
	if minor, ok := goruntime.Release(version); ok {
		if off, ok := goruntime.GoroutineID(minor, int(b.arch.PtrSize)); ok {
			b.g.goid = off
			b.g.schedPC, _ = goruntime.SchedPC(minor, int(b.arch.PtrSize))
			return *b.g
		}
	}
	if b.dwarf == nil {
		return *b.g
	}
	g, err := b.dwarf.Struct("runtime.g", 0)
	if err != nil || g == nil {
		return *b.g
	}
	for _, f := range g.Fields {
		switch {
		case f.Name == "goid" && f.Type.Size == 8:
			b.g.goid = f.Offset
		case f.Name == "sched":
			for _, s := range f.Type.Fields {
				if s.Name == "pc" && s.Type.Size == b.arch.PtrSize {
					b.g.schedPC = f.Offset + s.Offset
				}
			}
		}
	}
	return *b.g
}

// gOffsets are offsets in runtime.g in bytes, 0 for what is not known.
type gOffsets struct{ goid, schedPC int64 }

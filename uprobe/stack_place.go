package uprobe

// A stack can begin anywhere in a function: the function table says how far the CFA
// is from the stack pointer at each instruction ([symbols.FuncTable.FrameSize]), and so
// where the return address is. The register for the frame pointer has the caller's, or
// once the prologue has come so far, and until the epilogue, the function's own, which
// is at one distance from the CFA: no instruction of compiled code makes it anything
// else. Where the return address is in a register, as in functions of arm64 without a
// frame, the compiler does not use that for anything else (isLeaf in
// cmd/compile/internal/ssa/regalloc.go).

// firstFrames are those of what is traced: of the function, or of a place within it,
// with the functions that the code there was inlined into.
func (f *Func) firstFrames() []Frame {
	if f.place == nil {
		return []Frame{f.firstFrame()}
	}
	pl, pc := f.place, uint64(f.sites.Entry.Addr)
	first := Frame{Func: frameName(f.name), File: pl.file, Line: pl.line, PC: pc, Inlined: pl.depth > 0}
	l := f.names.line(pc)
	if l == nil || len(l.frames) <= pl.depth {
		if pl.depth > 0 {
			first.Missing = "nothing tells what it was inlined into"
		}
		return []Frame{first}
	}
	// The instruction may be one of a further call, which begins there and was inlined
	// as well: of that there is no frame yet.
	begun := len(l.frames) - pl.depth - 1
	own := l.frames[begun:]
	if first.entry = own[0].entry; pl.file == "" {
		first.File, first.Line = own[0].File, own[0].Line
	}
	frames := []Frame{first}
	for i, f := range own[1:] {
		if f.PC = pc; !l.wrapper[begun+1+i] {
			frames = append(frames, f)
		}
	}
	return frames
}

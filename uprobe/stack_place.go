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
	pc := uint64(f.sites.Entry.Addr)
	n := len(f.place.inlined)
	first := Frame{Func: frameName(f.name), File: f.place.file, Line: f.place.line, PC: pc, Inlined: n > 0}
	// The instruction may be one of a further call, which begins there and was inlined
	// as well.
	l := f.names.line(pc)
	at := 0
	if l != nil {
		at = len(l.frames) - n - 1
	}
	known := l != nil && at >= 0
	if known && f.place.file == "" {
		first.File, first.Line = l.frames[at].File, l.frames[at].Line
	}
	frames := []Frame{first}
	for i, c := range f.place.inlined {
		if known && l.wrapper[at+1+i] {
			continue
		}
		frames = append(frames, Frame{Func: frameName(c.Caller), File: c.File, Line: c.Line, PC: pc, Inlined: i < n-1})
	}
	if last := &frames[len(frames)-1]; !last.Inlined {
		last.entry = uint64(f.entry)
	}
	return frames
}

// host is the name of the function whose code is traced, which others may have been
// inlined into.
func (f *Func) host() string {
	if f.place == nil || len(f.place.inlined) == 0 {
		return f.name
	}
	return f.place.inlined[len(f.place.inlined)-1].Caller
}

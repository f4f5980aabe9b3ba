package uprobe

import (
	"fmt"
	"path"
	"strings"

	"github.com/argtap/argtap/internal/capture"
	"github.com/argtap/argtap/internal/goruntime"
	"github.com/argtap/argtap/internal/probegen"
)

// The names of parts of a key that are no parameters.
const (
	goroutineName = "goroutine"
	pidName       = "pid"
	parentName    = "parent"
	creatorName   = "creator"
	stackName     = "stack"
)

var keyKinds = map[string]probegen.KeyKind{
	pidName: probegen.KeyPID, goroutineName: probegen.KeyGoroutine,
	parentName: probegen.KeyParent, creatorName: probegen.KeyCreator, stackName: probegen.KeyStack,
}

// keyDepth is how many frames tell stacks apart without WithStack.
const keyDepth = 32

// has reports whether a part of the key is of a kind.
func (g *aggregated) has(kinds ...probegen.KeyKind) bool {
	if g == nil {
		return false
	}
	for _, p := range g.program.Key {
		for _, k := range kinds {
			if p.Expr == nil && p.Kind == k {
				return true
			}
		}
	}
	return false
}

// keyedByStack reports whether calls of the function are counted by their stacks.
func (f *Func) keyedByStack() bool { return f.aggregated.has(probegen.KeyStack) }

// countedAtReturn reports whether calls of the function are counted when they return.
func (f *Func) countedAtReturn() bool { return f.aggregate().Whole() }

// notCounted is the error of a function whose calls cannot be counted when they
// return.
func (f *Func) notCounted() error {
	what := "its durations"
	if !f.aggregate().Durations() {
		what = "its calls"
	}
	return fmt.Errorf("%s cannot be counted: that is done when they return, and %s", what, f.noResults)
}

// planKeys adds to the plan of a function what the parts of its key need that are no
// expressions. Where these cannot be had of any call it is an error.
func (b *executable) planKeys(f *Func, d *description, o *options) error {
	if f.aggregated == nil {
		return nil
	}
	minor, known := b.minor()
	version, _ := b.file.GoVersion()
	ptr := int(b.arch.PtrSize)
	var have bool
	for _, p := range f.aggregated.program.Key {
		if p.Expr != nil {
			continue
		}
		fail := func(name, format string, args ...any) error {
			return fmt.Errorf("calls cannot be counted by %q: %s", name, fmt.Sprintf(format, args...))
		}
		name := parentName
		switch p.Kind {
		case probegen.KeyParent:
			if f.plan.Creation.Parent, have = goruntime.ParentID(minor, ptr); have && known {
				break
			}
			if known && d.goCode {
				return fail(name, "the runtime keeps the ID of a goroutine's parent since Go 1.21, and the binary is of %s; %q tells the go statement", version, creatorName)
			}
		case probegen.KeyCreator:
			name = creatorName
			f.plan.Creation.GoPC, have = goruntime.GoPC(minor, ptr)
		case probegen.KeyStack:
			if f.noStack != "" {
				return fail(stackName, "%s", f.noStack)
			}
			f.plan.StackDepth = o.keyDepth
			continue
		default:
			continue
		}
		switch {
		case !d.goCode:
			return fail(name, "it is no Go function, which no goroutine is known of")
		case f.g.Kind == probegen.GNone:
			return fail(name, "nothing tells its goroutine")
		case !have || !known:
			return fail(name, "where the runtime keeps it is not known of %s", version)
		}
	}
	return nil
}

// named reports whether parts of the key are code, which must be given names.
func (g *aggregated) named() bool { return g.has(probegen.KeyCreator, probegen.KeyStack) }

// createdBy returns what started a goroutine, by g.gopc as the binary states it. Of a
// place outside the binary nothing more is known.
func (f *Func) createdBy(gopc uint64) Frame {
	l := f.names.line(gopc - 1) // into the call
	if l == nil || len(l.frames) == 0 {
		return Frame{PC: gopc, Module: "?"}
	}
	by := l.frames[0]
	by.PC = gopc
	return by
}

// stackKey returns the stack that calls are counted under.
func (f *Func) stackKey(st *callStack) Stack {
	return f.symbolize(st, func(pc uint64) Frame { return Frame{PC: pc, Module: "?"} })
}

// noStackKey is why calls are counted under no stack, by the word that they have for
// it.
func noStackKey(id uint64) string {
	switch id {
	case capture.StackNone:
		return noStackBusy
	case capture.StackGoroutine:
		return noStackGoroutine
	case capture.StackUnread:
		return noStackUnread
	case capture.StackFull:
		return "no room for further stacks: see WithMaxKeys"
	}
	return "its frames could not be read"
}

// brief returns a frame in one line: main.serve main.go:30.
func (f Frame) brief() string {
	if f.Module != "" || f.Func == "" {
		return fmt.Sprintf("? %#x", f.PC)
	}
	if f.File == "" {
		return f.Func
	}
	return fmt.Sprintf("%s %s:%d", f.Func, path.Base(f.File), f.Line)
}

// brief returns a stack in one line, the innermost function first.
func (s Stack) brief() string {
	var names []string
	for _, f := range s.frames {
		if f.Func == "" {
			f.Func = "?"
		}
		names = append(names, f.Func)
	}
	if s.end != "" {
		names = append(names, "…")
	}
	return strings.Join(names, " < ")
}

// merge adds what was counted under another key of the same function.
func (y *tally) merge(o *tally) {
	y.count += o.count
	y.absent += o.absent
	y.why |= o.why
	y.addSum(o.sum, o.sumHigh)
	if y.buckets == nil {
		y.buckets, y.least, y.most = o.buckets, o.least, o.most
		return
	}
	for i, n := range o.buckets {
		y.buckets[i] += n
	}
	if o.buckets != nil {
		y.most, y.least = max(y.most, o.most), min(y.least, o.least)
	}
}

// mergeNamed makes one of rows whose keys are the same for people: the same go
// statement, inlined into several functions, or the same frames, read by other ways.
func mergeNamed(funcs []*Func, rows []tally) []tally {
	type name struct {
		fn  uint32
		key string
	}
	seen := map[name]int{}
	merged := rows[:0]
	for _, y := range rows {
		if y.key == nil || int(y.fn) >= len(funcs) || !funcs[y.fn].aggregated.named() {
			merged = append(merged, y)
			continue
		}
		var b strings.Builder
		for _, k := range funcs[y.fn].parts(&y) {
			switch v := k.Value.(type) {
			case Frame:
				if v.Module == "" {
					v.PC = 0
				}
				fmt.Fprintf(&b, "%q %d %d %q", v.Func, v.Line, v.PC, v.File)
			case Stack:
				fmt.Fprintf(&b, "%q", v.String())
			default:
				fmt.Fprintf(&b, "%q %t", k.String(), k.Cut)
			}
			b.WriteByte(0)
		}
		n := name{y.fn, b.String()}
		if i, ok := seen[n]; ok {
			merged[i].merge(&y)
			continue
		}
		seen[n] = len(merged)
		merged = append(merged, y)
	}
	return merged
}

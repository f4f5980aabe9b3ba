package uprobe

import (
	"fmt"
	"strings"

	"github.com/argtap/argtap/internal/capture"
)

// Creation tells how the goroutine of a call came to be: see [Call.Creation].
type Creation struct {
	// By is where the go statement is, and Start the function that the goroutine
	// runs, with the line of its declaration, or before Go 1.20 of its first
	// instruction.
	By, Start Frame

	parent           uint64
	noParent, absent string
}

// Why nothing is known of how a goroutine came to be.
const (
	noCreation       = "where the runtime keeps it is not known of this Go release"
	noCreationSystem = "on a system stack"
	noCreationRead   = "page not resident"
	noParentRelease  = "kept by the runtime since Go 1.21"
)

// Creation returns how the goroutine that made the call came to be, with
// [WithStack].
func (c *Call) Creation() Creation {
	if c.creation != nil {
		return *c.creation
	}
	p := c.fn.plan
	if p == nil || p.Stack == 0 {
		return Creation{absent: noStackAsked}
	}
	failed := order.Uint64(c.data[capture.OffFailed:])
	word := func(at int) uint64 { return order.Uint64(c.data[p.Stack+at:]) }
	gopc, start := word(capture.StackGoPC), word(capture.StackGoPC+2*p.PtrSize)
	if p.PtrSize == 4 {
		gopc, start = uint64(uint32(gopc)), uint64(uint32(start))
	}
	switch {
	case p.Creation.GoPC == 0:
		return Creation{absent: noCreation}
	case c.stackWord(capture.StackID) == capture.StackGoroutine:
		return Creation{absent: noStackGoroutine}
	case failed&(1<<p.StackBit) != 0:
		return Creation{absent: noCreationRead}
	case c.Goroutine() == 0:
		return Creation{absent: noCreationSystem}
	}
	cr := Creation{parent: word(capture.StackParent)}
	if p.Creation.Parent == 0 {
		cr.noParent = noParentRelease
	}
	bias := c.stackWord(capture.StackBias)
	if p.PtrSize == 4 {
		bias = uint64(uint32(bias))
	}
	at := func(pc uint64, before uint64) Frame {
		pc -= bias
		l := c.fn.names.line(pc - before)
		if l == nil || len(l.frames) == 0 {
			return Frame{PC: pc + bias, Module: moduleAt(readMappings(c.PID()), pc+bias)}
		}
		f := l.frames[0]
		if before == 0 {
			f = l.frames[len(l.frames)-1]
			if l.start > 0 {
				f.Line = l.start
			} else if len(l.frames) > 1 {
				f.Line = 0
			}
		}
		f.PC = pc
		return f
	}
	cr.By, cr.Start = at(gopc, 1), at(start, 0)
	return cr
}

// Parent returns the ID of the goroutine that executed the go statement, 0 for what
// the runtime starts on a system stack, as the main goroutine. It is not ok if that
// is not known: [Creation.NoParent] says why.
func (c Creation) Parent() (id uint64, ok bool) {
	return c.parent, c.absent == "" && c.noParent == ""
}

// NoParent returns why the ID of the parent is not known, "" if it is.
func (c Creation) NoParent() string {
	if c.absent != "" {
		return c.absent
	}
	return c.noParent
}

// Absent returns why nothing is known of how the goroutine came to be, and whether
// that is so.
func (c Creation) Absent() (reason string, absent bool) { return c.absent, c.absent != "" }

// String returns what Go prints at the end of a goroutine's stack:
//
//	created by main.main in goroutine 1
//		/src/app/main.go:30 +0x1d
func (c Creation) String() string {
	if c.absent != "" {
		return "created by <" + c.absent + ">\n"
	}
	behind := ""
	if id, ok := c.Parent(); ok {
		behind = fmt.Sprintf(" in goroutine %d", id)
	}
	var b strings.Builder
	b.WriteString("created by ")
	c.By.write(&b, behind)
	return b.String()
}

// MarshalJSON returns an object with func, file and line of the go statement, with
// goroutine, the parent's ID, and start, the function that the goroutine runs; or one
// with absent.
func (c Creation) MarshalJSON() ([]byte, error) { return c.appendJSON(nil), nil }

func (c Creation) appendJSON(b []byte) []byte {
	if c.absent != "" {
		return appendAbsentJSON(b, c.absent)
	}
	b = c.By.appendJSON(append(b, '{'))
	if id, ok := c.Parent(); ok {
		b = append(b, `,"goroutine":`...)
		b = appendUint(b, id)
	}
	b = append(b, `,"start":{`...)
	return append(c.Start.appendJSON(b), "}}"...)
}

package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"syscall"
	"time"

	"github.com/argtap/argtap/uprobe"
)

const (
	// flushDelay is how long a line may wait in the buffer.
	flushDelay = 50 * time.Millisecond
	flushSize  = 64 << 10
)

// sink prints calls. Its method call is the tracer's handler.
type sink struct {
	format func([]byte, *uprobe.Call) []byte // nil to print nothing
	limit  uint64
	out    io.Writer
	stacks *stacks
	// enough is closed when no further call is wanted: the limit is reached,
	// or nobody reads the output any more.
	enough chan struct{}

	mu       sync.Mutex
	buf      []byte
	timer    *time.Timer // runs flush while buf is not empty
	err      error       // of the first write that failed
	taken    uint64      // calls up to the limit
	beyond   uint64      // calls that came after the limit was reached
	unwanted bool        // enough is closed
}

func newSink(f *os.File, r *request) *sink {
	s := &sink{out: f, limit: uint64(r.limit), stacks: &r.stacks, enough: make(chan struct{})}
	switch st := styleOf(f); {
	case r.count:
	case r.json:
		s.format = func(b []byte, c *uprobe.Call) []byte { return c.AppendJSON(b) }
	case st.terminal:
		s.format = r.stacks.with(st.appendCall)
	default:
		s.format = r.stacks.with(func(b []byte, c *uprobe.Call) []byte { return printableFrom(c.AppendText(b), len(b)) })
	}
	s.timer = time.AfterFunc(time.Hour, s.flush)
	s.timer.Stop()
	return s
}

// appendCall appends a call with its time and goroutine, for a terminal.
func (s style) appendCall(b []byte, c *uprobe.Call) []byte {
	when := c.Time().Local().Format("15:04:05.000000")
	b = append(b, s.paint(dim, fmt.Sprintf("%s  g%-6d", when, c.Goroutine()))...)
	b = append(b, "  "...)
	name := c.Name()
	b = append(b, s.paint(cyan, printable(name))...)
	return append(b, printable(c.String()[len(name):])...)
}

// call takes a call.
func (s *sink) call(c *uprobe.Call) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.limit > 0 && s.taken == s.limit {
		s.beyond++
		return
	}
	s.taken++
	s.stacks.add(c)
	if s.format != nil && s.err == nil {
		if len(s.buf) == 0 {
			s.timer.Reset(flushDelay)
		}
		s.buf = append(s.format(s.buf, c), '\n')
		if len(s.buf) >= flushSize {
			s.write()
		}
	}
	if s.taken == s.limit {
		s.write()
		s.end()
	}
}

func (s *sink) end() {
	if !s.unwanted {
		s.unwanted = true
		close(s.enough)
	}
}

func (s *sink) flush() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.write()
}

func (s *sink) write() {
	if len(s.buf) > 0 && s.err == nil {
		if _, s.err = s.out.Write(s.buf); s.err != nil {
			s.end()
		}
	}
	s.buf = s.buf[:0]
}

// close prints what is left. It returns what went wrong with the output, but
// for a reader that has gone away.
func (s *sink) close() error {
	s.timer.Stop()
	s.flush()
	if s.err == nil || errors.Is(s.err, syscall.EPIPE) {
		return nil
	}
	return fmt.Errorf("standard output: %w", s.err)
}

// summary prints the counts on standard error. Calls beyond the limit do not
// belong to the trace that was asked for, and are told apart.
func (s *sink) summary(st uprobe.Stats) {
	line := fmt.Sprintf("calls=%d delivered=%d lost=%d filtered=%d",
		st.Calls-s.beyond, st.Delivered-s.beyond, st.Lost, st.Filtered)
	for _, c := range []struct {
		name string
		n    uint64
	}{
		{"aggregated", st.Aggregated}, {"lost_ring", st.LostRing}, {"lost_busy", st.LostBusy}, {"lost_unread", st.LostUnread}, {"lost_missed", st.LostMissed},
		{"lost_malformed", st.LostMalformed}, {"lost_open", st.LostOpen}, {"lost_return", st.LostReturn},
		{"sampled", st.Sampled}, {"limited", st.Limited}, {"beyond", st.Beyond}, {"paused", st.Paused},
		{"open", st.Open}, {"abandoned", st.Abandoned}, {"exited", st.Exited}, {"unmatched", unexplained(st)}, {"lost_stacks", st.LostStacks}, {"after_limit", s.beyond},
	} {
		if c.n > 0 {
			line += fmt.Sprintf(" %s=%d", c.name, c.n)
		}
	}
	fmt.Fprintln(os.Stderr, line)
}

// unexplained returns how many returns had no entry beyond those of calls that were kept
// back or lost, which the line says already: of calls that began before.
func unexplained(st uprobe.Stats) uint64 {
	known := st.Lost + st.Filtered + st.Sampled + st.Limited + st.Beyond + st.Paused
	return st.Unmatched - min(st.Unmatched, known)
}

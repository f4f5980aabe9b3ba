package goruntime

import (
	"encoding/binary"
	"fmt"
)

// ChanLayout is where the fields of runtime.hchan are, in bytes.
//
// Read in runtime/chan.go of the last patch of each release, and compared with
// the DWARF of programs that these built (TestDWARF): qcount, dataqsiz, buf,
// elemsize and closed have kept their places since Go 1.11; before elemtype, a
// word for a timer came in 1.23.
type ChanLayout struct {
	target
	// Count, Cap and Buf are words: how many elements are buffered, how many
	// may be, and where the buffer is.
	Count, Cap, Buf int64
	// ElemSize has two bytes, Closed four.
	ElemSize, Closed int64
	// Timer is a word that is not nil in the channel of a timer; -1 up to 1.22.
	Timer int64
	// SendX and RecvX are words: the elements of the buffer that the next send
	// and the next receive are about.
	SendX, RecvX int64
	// Size is how many bytes of the channel there must be.
	Size int64
}

// NewChanLayout returns the layout of channels of a minor release.
func NewChanLayout(minor int, order binary.ByteOrder, ptrSize int) (*ChanLayout, error) {
	t, err := newTarget(order, ptrSize)
	if err != nil {
		return nil, err
	}
	if minor < 11 || minor > Newest {
		return nil, fmt.Errorf("the layout of channels is not known for Go 1.%d", minor)
	}
	p := t.ptr
	l := &ChanLayout{target: t, Cap: p, Buf: 2 * p, ElemSize: 3 * p, Closed: 3*p + 4, Timer: -1}
	next := 3*p + 8 // elemtype
	if minor >= 23 {
		l.Timer = next
		next += p
	}
	l.SendX, l.RecvX, l.Size = next+p, next+2*p, next+3*p
	return l, nil
}

// Chan is the state of a channel.
type Chan struct {
	Len, Cap uint64 // buffered elements, and how many there may be
	Buf      uint64 // address of the buffer, Cap elements
	ElemSize int64
	Closed   bool
	// Timer says that the channel belongs to a timer: programs see no buffer
	// then, unless they run with GODEBUG=asynctimerchan=1.
	Timer bool
	recv  uint64
}

// Read reads a channel. b begins where the channel does.
func (l *ChanLayout) Read(b []byte) (Chan, error) {
	if int64(len(b)) < l.Size {
		return Chan{}, ErrShort
	}
	c := Chan{
		Len: l.word(b, l.Count), Cap: l.word(b, l.Cap), Buf: l.word(b, l.Buf),
		ElemSize: int64(l.order.Uint16(b[l.ElemSize:])), Closed: l.order.Uint32(b[l.Closed:]) != 0,
		Timer: l.Timer >= 0 && l.word(b, l.Timer) != 0, recv: l.word(b, l.RecvX),
	}
	send := l.word(b, l.SendX)
	switch {
	case l.order.Uint32(b[l.Closed:]) > 1, c.Cap > 1<<48:
		return Chan{}, inconsistent("no channel")
	case c.Len > c.Cap:
		return Chan{}, inconsistent("%d of %d elements", c.Len, c.Cap)
	case c.Cap == 0 && (send != 0 || c.recv != 0):
		return Chan{}, inconsistent("a buffer without elements")
	case c.Cap > 0 && (send >= c.Cap || c.recv >= c.Cap || (c.recv+c.Len)%c.Cap != send):
		return Chan{}, inconsistent("%d elements from %d to %d", c.Len, c.recv, send)
	}
	return c, nil
}

// Slot returns which element of the buffer is received after i others. i is
// less than c.Len.
func (c Chan) Slot(i uint64) uint64 {
	if c.Cap == 0 {
		return 0
	}
	return (c.recv + i) % c.Cap
}

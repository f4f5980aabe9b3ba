package dwarfargs

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"math"
	"sync"
	"sync/atomic"

	"github.com/klauspost/compress/flate"
	"github.com/klauspost/compress/zstd"
)

// compression is how a section's bytes are stored.
type compression uint8

const (
	stored   compression = iota
	deflated             // a zlib stream
	zstandard
)

// rawSection is a section as the file has it.
type rawSection struct {
	name        string
	size        uint64 // bytes when inflated
	rawSize     uint64 // bytes in the file, without a compression header
	compression compression
	raw         io.ReaderAt
	err         error // why it cannot be read
}

const (
	// maxSection bounds what is inflated of one section. The largest
	// .debug_info known to the author has some hundred megabytes.
	maxSection = math.MaxInt32
	// maxDeflateRatio is the most that DEFLATE can gain: 258 bytes out of two
	// bits (RFC 1951, one bit each for length and distance).
	maxDeflateRatio = 1032
	// inflateStep is how much is inflated before readers hear of it.
	inflateStep = 128 << 10
	// aheadSlack is what a section inflates beyond its share.
	aheadSlack = 256 << 10
)

// section is a prefix of a section's bytes that grows in the background for as
// long as somebody wants more of it. It is safe for concurrent use.
type section struct {
	raw  rawSection
	size int

	// leader, if not nil, bounds how far the section inflates ahead of its
	// readers: to the same fraction as the leader has.
	leader    *section
	followers []*section
	have      atomic.Int64 // len(data), for followers

	mu      sync.Mutex
	more    sync.Cond
	data    []byte // the prefix; bytes below len never change
	want    int    // inflate up to here
	greedy  int    // or, while not 0, as far as ahead says
	running bool
	closed  bool
	err     error
	src     io.Reader // nil before the first and after the last byte
	release func()
}

func newSection(raw rawSection) (*section, error) {
	s := &section{raw: raw}
	s.more.L = &s.mu
	switch {
	case raw.err != nil:
		return nil, raw.err
	case raw.size > maxSection:
		return nil, decodeErr(raw.name, 0, fmt.Errorf("%d bytes: %w", raw.size, errTooBig))
	case raw.compression == stored && raw.size > raw.rawSize,
		raw.compression == deflated && raw.size/maxDeflateRatio > raw.rawSize:
		return nil, decodeErr(raw.name, 0, fmt.Errorf("%d bytes out of %d stored ones: %w", raw.size, raw.rawSize, errTooBig))
	}
	s.size = int(raw.size)
	return s, nil
}

// need returns the section's first bytes, at least n of them, and waits until
// they are there. n must not exceed the section's size.
func (s *section) need(n int) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(s.data) < n {
		if s.err != nil {
			return nil, s.err
		}
		if s.closed {
			return nil, ErrClosed
		}
		s.want = max(s.want, n)
		s.start()
		s.more.Wait()
	}
	return s.data, nil
}

// hurry makes the section inflate ahead of its readers until relax is called
// as often as hurry was.
func (s *section) hurry() {
	if s == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.greedy++
	s.start()
}

// relax is the end of a hurry.
func (s *section) relax() {
	if s == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.greedy--
}

// close stops the inflation for good: when it returns, nothing is read any
// more. What was returned stays valid.
func (s *section) close() {
	if s == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	s.more.Broadcast()
	for s.running {
		s.more.Wait()
	}
	s.finish()
	s.data = nil
}

// resume is called when the leader has got further. A section waits for none
// of its followers: their locks are taken in this order only.
func (s *section) resume() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.start()
}

// start lets the inflation run on, if it has something to do. mu is held.
func (s *section) start() {
	if s.running || s.closed || s.err != nil || !s.wanted() {
		return
	}
	s.running = true
	go s.inflate()
}

// wanted reports whether somebody wants more than there is. mu is held.
func (s *section) wanted() bool {
	return len(s.data) < s.size && (len(s.data) < s.want || s.greedy > 0 && len(s.data) < s.ahead())
}

// ahead returns how far the section should inflate when nobody waits for it.
func (s *section) ahead() int {
	if s.leader == nil {
		return s.size
	}
	if s.leader.size == 0 {
		return 0
	}
	return int(float64(s.size)*float64(s.leader.have.Load())/float64(s.leader.size)) + aheadSlack
}

// follow makes s inflate ahead no further than leader does. It is to be called
// before either is used.
func (s *section) follow(leader *section) {
	s.leader = leader
	leader.followers = append(leader.followers, s)
}

// finish frees the decompressor. mu is held, or nobody else can know s.
func (s *section) finish() {
	if s.release != nil {
		s.release()
	}
	s.src, s.release = nil, nil
}

// inflate appends to the prefix until nobody wants more.
func (s *section) inflate() {
	s.mu.Lock()
	defer s.mu.Unlock()
	defer func() {
		s.running = false
		s.more.Broadcast()
	}()
	if s.src == nil {
		if err := s.open(); err != nil {
			s.fail(err)
			return
		}
	}
	buf := s.data
	for s.wanted() && !s.closed {
		step := min(inflateStep, s.size-len(buf))
		s.mu.Unlock()
		buf = s.grow(buf, step)
		n, err := io.ReadFull(s.src, buf[len(buf):len(buf)+step])
		s.mu.Lock()
		buf = buf[:len(buf)+n]
		if s.closed {
			break
		}
		s.data = buf
		s.have.Store(int64(len(buf)))
		if n < step {
			if err == io.EOF || err == io.ErrUnexpectedEOF {
				err = errTruncated
			}
			s.fail(fmt.Errorf("inflate: %w", err))
			return
		}
		s.more.Broadcast()
		for _, f := range s.followers {
			f.resume()
		}
	}
	if len(buf) == s.size {
		s.finish()
	}
}

func (s *section) fail(err error) {
	s.err = decodeErr(s.raw.name, len(s.data), err)
	s.finish()
	s.more.Broadcast()
}

// grow makes room for n more bytes. The header's word on the size is believed
// no further than eight times the stored bytes before they have shown it: what
// is allocated stays in proportion to what the file has. (DWARF deflates three
// to five times, so that nothing is copied in practice.)
func (s *section) grow(buf []byte, n int) []byte {
	if len(buf)+n <= cap(buf) {
		return buf
	}
	plausible := int(min(uint64(s.size), 8*min(s.raw.rawSize, maxSection)+inflateStep))
	c := min(s.size, max(plausible, 2*cap(buf), len(buf)+n))
	bigger := make([]byte, len(buf), c)
	copy(bigger, buf)
	return bigger
}

// open starts to read at the section's first byte.
func (s *section) open() error {
	raw := io.NewSectionReader(s.raw.raw, 0, int64(min(s.raw.rawSize, math.MaxInt64)))
	switch s.raw.compression {
	case stored:
		s.src = raw
		return nil
	case deflated:
		// The zlib container (RFC 1950) is read here: its checksum is behind
		// the last byte, and most sections are not read to the end.
		in := bufio.NewReaderSize(raw, 64<<10)
		var head [2]byte
		if _, err := io.ReadFull(in, head[:]); err != nil {
			return fmt.Errorf("zlib header: %w", errTruncated)
		}
		if head[0]&0x0f != 8 || head[1]&0x20 != 0 || (int(head[0])<<8|int(head[1]))%31 != 0 {
			return fmt.Errorf("zlib header: invalid bytes %x", head)
		}
		f := flate.NewReader(in)
		s.src, s.release = f, func() { f.Close() }
		return nil
	case zstandard:
		z, err := zstd.NewReader(raw, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(128<<20))
		if err != nil {
			return fmt.Errorf("zstd: %w", err)
		}
		s.src, s.release = z, z.Close
		return nil
	}
	return fmt.Errorf("unknown compression %d", s.raw.compression)
}

// bytesSection is a section whose bytes are in memory already.
func bytesSection(name string, b []byte) rawSection {
	return rawSection{name: name, size: uint64(len(b)), rawSize: uint64(len(b)), raw: bytes.NewReader(b)}
}

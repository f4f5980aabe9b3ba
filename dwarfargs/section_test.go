package dwarfargs

import (
	"bytes"
	"compress/zlib"
	"errors"
	"io"
	"math"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"
)

// sample returns n bytes that deflate about threefold.
func sample(n int) []byte {
	r := rand.New(rand.NewPCG(3, 4))
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(r.IntN(6)) << (i % 3)
	}
	return b
}

func deflate(b []byte) []byte {
	var buf bytes.Buffer
	w := zlib.NewWriter(&buf)
	w.Write(b)
	w.Close()
	return buf.Bytes()
}

func compressed(b []byte, c compression, data []byte) rawSection {
	return rawSection{name: ".debug_info", size: uint64(len(b)), rawSize: uint64(len(data)), compression: c, raw: bytes.NewReader(data)}
}

func TestSection(t *testing.T) {
	want := sample(3<<20 + 17)
	enc, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	for name, raw := range map[string]rawSection{
		"stored":    bytesSection(".debug_info", want),
		"deflated":  compressed(want, deflated, deflate(want)),
		"zstandard": compressed(want, zstandard, enc.EncodeAll(want, nil)),
	} {
		t.Run(name, func(t *testing.T) {
			s, err := newSection(raw)
			if err != nil {
				t.Fatal(err)
			}
			// Readers of different prefixes, at once.
			var wg sync.WaitGroup
			for i := range 8 {
				wg.Go(func() {
					n := len(want) * i / 7
					got, err := s.need(n)
					if err != nil || len(got) < n || !bytes.Equal(got[:n], want[:n]) {
						t.Errorf("first %d bytes: got %d, %v", n, len(got), err)
					}
				})
			}
			wg.Wait()
			s.mu.Lock()
			defer s.mu.Unlock()
			if s.src != nil && !s.running {
				t.Error("decompressor kept after the last byte")
			}
		})
	}
}

// TestSectionPrefix checks that no more is inflated than somebody wants.
func TestSectionPrefix(t *testing.T) {
	want := sample(4 << 20)
	s, err := newSection(compressed(want, deflated, deflate(want)))
	if err != nil {
		t.Fatal(err)
	}
	first, err := s.need(1000)
	if err != nil {
		t.Fatal(err)
	}
	idle := func() int {
		for {
			s.mu.Lock()
			running, n := s.running, len(s.data)
			s.mu.Unlock()
			if !running {
				return n
			}
			time.Sleep(time.Millisecond)
		}
	}
	if n := idle(); n > inflateStep {
		t.Errorf("%d bytes inflated for 1000", n)
	}
	s.hurry()
	if n := idle(); n != len(want) {
		t.Errorf("%d bytes inflated in a hurry", n)
	}
	s.relax()
	if !bytes.Equal(first[:1000], want[:1000]) {
		t.Error("the first prefix has changed")
	}

	if s, err = newSection(compressed(want, deflated, deflate(want))); err != nil {
		t.Fatal(err)
	}
	s.hurry()
	if _, err := s.need(1); err != nil {
		t.Fatal(err)
	}
	s.relax()
	s.close()
	s.close()
	if idle(); s.src != nil {
		t.Error("decompressor kept after close")
	}
	if _, err := s.need(len(want)); !errors.Is(err, ErrClosed) {
		t.Errorf("after close: %v", err)
	}
}

type failingReader struct{}

func (failingReader) ReadAt([]byte, int64) (int, error) { return 0, io.ErrClosedPipe }

func TestSectionErrors(t *testing.T) {
	want := sample(1 << 20)
	z := deflate(want)
	short := compressed(want, deflated, z[:len(z)/2])
	longer := compressed(want, deflated, z)
	longer.size += 100
	corrupt := bytes.Clone(z)
	corrupt[2] |= 6 // the reserved block type
	reader := longer
	reader.raw = failingReader{}
	for name, tt := range map[string]struct {
		raw  rawSection
		open error
		need error
	}{
		"cut stream":          {raw: short, need: errTruncated},
		"too large a size":    {raw: longer, need: errTruncated},
		"corrupt stream":      {raw: compressed(want, deflated, corrupt)},
		"no zlib header":      {raw: compressed(want, deflated, want)},
		"cut zlib header":     {raw: compressed(want, deflated, z[:1]), open: errTooBig},
		"no zstd frame":       {raw: compressed(want, zstandard, z)},
		"unreadable":          {raw: reader},
		"impossible ratio":    {raw: rawSection{size: 1 << 30, rawSize: 1000, compression: deflated}, open: errTooBig},
		"more than any":       {raw: rawSection{size: math.MaxUint64, rawSize: math.MaxUint64}, open: errTooBig},
		"stored beyond bytes": {raw: rawSection{size: 2, rawSize: 1}, open: errTooBig},
	} {
		s, err := newSection(tt.raw)
		if tt.open != nil || err != nil {
			if !errors.Is(err, tt.open) || tt.open == nil {
				t.Errorf("%s: %v, want %v", name, err, tt.open)
			}
			continue
		}
		var de *DecodeError
		if _, err = s.need(s.size); !errors.As(err, &de) || tt.need != nil && !errors.Is(err, tt.need) {
			t.Errorf("%s: %v, want %v", name, err, tt.need)
		}
		if _, again := s.need(s.size); again == nil {
			t.Errorf("%s: the error is forgotten", name)
		}
	}

	// A header that promises much more than the stream has must not make us
	// allocate it.
	liar := compressed(nil, deflated, deflate(make([]byte, 1<<20)))
	liar.size = liar.rawSize * maxDeflateRatio
	s, err := newSection(liar)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.need(1); err != nil {
		t.Fatal(err)
	}
	s.mu.Lock()
	if c := cap(s.data); c > 4*inflateStep {
		t.Errorf("%d bytes allocated for %d stored ones", c, liar.rawSize)
	}
	s.mu.Unlock()
}

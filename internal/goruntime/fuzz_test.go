package goruntime_test

import (
	"encoding/binary"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/argtap/argtap/internal/goruntime"
)

var update = flag.Bool("update", false, "write the corpus of the fuzz targets")

// fuzzLayouts are what the first byte of an input chooses from.
func fuzzLayouts(t testing.TB) (list []*goruntime.MapLayout) {
	for _, version := range []string{"go1.11.13", "go1.23.12", "go1.24.13", "go1.27.4"} {
		for _, ptr := range []int{8, 4} {
			for _, kv := range [][2]goruntime.TypeSize{{{8, 4}, {4, 4}}, {{0, 1}, {0, 1}}, {{200, 4}, {200, 4}}} {
				l, err := goruntime.NewMapLayout(version, binary.LittleEndian, ptr, kv[0], kv[1])
				if err != nil {
					t.Fatal(err)
				}
				list = append(list, l)
			}
		}
	}
	return list
}

// fuzzBase is where the bytes of an input are: first the map, then the rest.
const fuzzBase = 0x1000

// memory has the parts of a map one behind the other.
type memory struct {
	l *goruntime.MapLayout
	b []byte
}

func (m *memory) add(n int64) int64 {
	at := int64(len(m.b))
	m.b = append(m.b, make([]byte, (n+7)&^7)...)
	return at
}

func (m *memory) word(at int64, v uint64) {
	if m.l.SwissMap.DirPtr == 12 || m.l.BucketMap.Buckets == 12 {
		binary.LittleEndian.PutUint32(m.b[at:], uint32(v))
		return
	}
	binary.LittleEndian.PutUint64(m.b[at:], v)
}

// sample makes a map: with two tables, of which the first is at two places in
// the directory; or one that grows, with a bucket that overflows.
func sample(l *goruntime.MapLayout) (b []byte, entries int) {
	m := &memory{l: l}
	m.add(l.HeaderSize)
	if l.Swiss {
		s := l.SwissMap
		binary.LittleEndian.PutUint64(m.b[s.Used:], 5)
		m.b[s.GlobalDepth] = 2
		dir := m.add(32)
		m.word(s.DirPtr, fuzzBase+uint64(dir))
		m.word(s.DirLen, 4)
		ptr := s.DirLen - s.DirPtr
		for i, index := range []int{0, 2, 3} {
			table, groups := m.add(s.TableSize), m.add(2*l.Size)
			for j := index; j < 4 && (j == index || i == 0 && j == 1); j++ {
				m.word(dir+int64(j)*ptr, fuzzBase+uint64(table))
			}
			binary.LittleEndian.PutUint16(m.b[table+s.TableUsed:], uint16(2-i/2))
			binary.LittleEndian.PutUint16(m.b[table+s.TableCapacity:], 16)
			m.word(table+s.TableIndex, uint64(index))
			m.word(table+s.TableGroups, fuzzBase+uint64(groups))
			binary.LittleEndian.PutUint64(m.b[table+s.TableMask:], 1)
			binary.LittleEndian.PutUint64(m.b[groups:], 0x80808080fe802180)
			binary.LittleEndian.PutUint64(m.b[groups+l.Size:], 0x0180808080808080|uint64(i/2)<<63)
		}
		return m.b, 5
	}
	s := l.BucketMap
	m.word(s.Count, 4)
	m.b[s.B] = 2
	buckets, old, over := m.add(4*l.Size), m.add(2*l.Size), m.add(l.Size)
	m.word(s.Buckets, fuzzBase+uint64(buckets))
	m.word(s.OldBuckets, fuzzBase+uint64(old))
	m.word(s.NEvacuate, 1)
	m.b[buckets], m.b[buckets+2*l.Size+7] = 9, 200
	m.word(buckets+s.Overflow, fuzzBase+uint64(over))
	m.b[over+3] = 77
	m.b[old], m.b[old+1] = 2, 3 // evacuated
	m.b[old+l.Size+2] = 5
	return m.b, 4
}

func entriesOf(l *goruntime.MapLayout, b []byte) ([]goruntime.Slot, goruntime.MapState, error) {
	n := min(l.HeaderSize, int64(len(b)))
	return l.Entries(scan(l, b[:n], func(addr uint64, size int64) []byte {
		off := addr - fuzzBase
		if addr < fuzzBase || off > uint64(len(b)) || uint64(size) > uint64(len(b))-off {
			return nil
		}
		return b[off : off+uint64(size)]
	}))
}

// TestEntries finds the entries of made-up maps, and what a writer may have
// done to them.
func TestEntries(t *testing.T) {
	for i, l := range fuzzLayouts(t) {
		b, n := sample(l)
		entries, st, err := entriesOf(l, b)
		if err != nil || len(entries) != n || st != (goruntime.MapState{Len: uint64(n), Found: uint64(n)}) {
			t.Errorf("layout %d: %d entries, %+v, %v", i, len(entries), st, err)
		}
		// What is cut is missing, and never wrong.
		for cut := len(b) - 1; cut >= int(l.HeaderSize); cut -= 8 {
			if entries, st, err := entriesOf(l, b[:cut]); err == nil && (st.Len != uint64(n) || len(entries) > n || len(entries) < n && !st.Missing) {
				t.Fatalf("layout %d, cut at %d of %d: %d entries, %+v", i, cut, len(b), len(entries), st)
			}
		}
		if _, _, err := entriesOf(l, b[:l.HeaderSize-1]); !errors.Is(err, goruntime.ErrShort) {
			t.Errorf("layout %d: a short map: %v", i, err)
		}
		writing, bit := l.SwissMap.Writing, byte(1)
		if !l.Swiss {
			writing, bit = l.BucketMap.Flags, 4
		}
		b[writing] |= bit
		if e, _, err := entriesOf(l, b); !errors.Is(err, goruntime.ErrWriting) || e != nil {
			t.Errorf("layout %d: while it is written to: %v", i, err)
		}
	}
}

// FuzzEntries: any bytes are no map, or one whose entries are among them.
func FuzzEntries(f *testing.F) {
	layouts := fuzzLayouts(f)
	for i, l := range layouts {
		b, _ := sample(l)
		f.Add(uint8(i), b)
	}
	f.Fuzz(func(t *testing.T, which uint8, b []byte) {
		l := layouts[int(which)%len(layouts)]
		entries, st, err := entriesOf(l, b)
		if err != nil {
			if entries != nil || st != (goruntime.MapState{}) {
				t.Fatalf("%d entries, %+v with %v", len(entries), st, err)
			}
			return
		}
		if st.Found != uint64(len(entries)) || st.Found > st.Len || st.Found < st.Len && !st.Missing {
			t.Fatalf("%d entries, %+v", len(entries), st)
		}
		if len(slices.Compact(slices.Clone(entries))) != len(entries) {
			t.Fatalf("the same entry twice: %v", entries)
		}
	})
}

// FuzzChan: any bytes are no channel, or one whose elements are in its buffer.
func FuzzChan(f *testing.F) {
	f.Add(uint8(23), true, make([]byte, 64))
	f.Fuzz(func(t *testing.T, minor uint8, wide bool, b []byte) {
		ptr := 4
		if wide {
			ptr = 8
		}
		l, err := goruntime.NewChanLayout(int(minor), binary.LittleEndian, ptr)
		if err != nil {
			return
		}
		c, err := l.Read(b)
		if err != nil {
			return
		}
		if c.Len > c.Cap {
			t.Fatalf("%+v", c)
		}
		for i := range min(c.Len, 100) {
			if s := c.Slot(i); s >= c.Cap || i > 0 && s != (c.Slot(i-1)+1)%c.Cap {
				t.Fatalf("%+v: element %d in slot %d", c, i, s)
			}
		}
	})
}

// TestCorpus makes sure that the committed corpus has every layout.
func TestCorpus(t *testing.T) {
	for i, l := range fuzzLayouts(t) {
		name := filepath.Join("testdata", "fuzz", "FuzzEntries", fmt.Sprintf("layout-%02d", i))
		b, _ := sample(l)
		want := fmt.Sprintf("go test fuzz v1\nbyte('\\x%02x')\n[]byte(%q)\n", i, b)
		if *update {
			if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(name, []byte(want), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if have, err := os.ReadFile(name); err != nil || string(have) != want {
			t.Errorf("%s: %v: run this test with -update", name, err)
		}
	}
}

func TestUnknownLayouts(t *testing.T) {
	size := goruntime.TypeSize{Size: 8, Align: 8}
	for _, tt := range []struct {
		version   string
		ptr       int
		key, elem goruntime.TypeSize
	}{
		{"go1.10", 8, size, size},
		{"go1.28", 8, size, size},
		{"devel go1.28-0123456789", 8, size, size},
		{"go1.26.8", 2, size, size},
		{"go1.26.8", 8, goruntime.TypeSize{}, size},
		{"go1.26.8", 8, size, goruntime.TypeSize{Size: 3, Align: 2}},
		{"go1.26.8", 8, size, goruntime.TypeSize{Size: -8, Align: 8}},
		{"go1.26.8", 8, size, goruntime.TypeSize{Size: 1 << 60, Align: 8}},
		{"go1.23.12", 4, size, size}, // sync/atomic.Int64
	} {
		if _, err := goruntime.NewMapLayout(tt.version, binary.LittleEndian, tt.ptr, tt.key, tt.elem); err == nil {
			t.Errorf("%+v: a layout", tt)
		}
	}
	for _, minor := range []int{10, 28, -1} {
		if _, err := goruntime.NewChanLayout(minor, binary.LittleEndian, 8); err == nil {
			t.Errorf("Go 1.%d: a layout of channels", minor)
		}
	}
}

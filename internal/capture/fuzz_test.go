package capture_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/argtap/argtap/abi"
	"github.com/argtap/argtap/internal/capture"
)

// bytesource reads numbers from fuzz data; it is zero behind their end.
type bytesource []byte

func (b *bytesource) byte() byte {
	if len(*b) == 0 {
		return 0
	}
	c := (*b)[0]
	*b = (*b)[1:]
	return c
}

func (b *bytesource) n(below int) int { return int(b.byte()) % below }

// num is a number that is small, or an extreme.
func (b *bytesource) num() int64 {
	switch c := b.byte(); {
	case c < 0xe0:
		return int64(c)
	case c < 0xf0:
		return int64(b.byte())<<8 | int64(c)
	default:
		return []int64{-1, -8, 1 << 31, 1 << 32, 1<<63 - 1, -1 << 63, 1<<63 - 8, 4096}[c&7]
	}
}

var fieldNames = []string{"F", "Secret", "G", "H"}

// types is a random graph of types, the last the root. Fields and array elements
// only refer to types before, as abi.Type promises; pointers and slices to any.
func (b *bytesource) types(word int64) []*abi.Type {
	list := make([]*abi.Type, 1+b.n(10))
	for i := range list {
		list[i] = new(abi.Type)
	}
	for i, t := range list {
		t.Kind = abi.Kind(b.n(int(abi.UnsafePointer) + 1))
		t.Name = fmt.Sprintf("main.t%d", i)
		t.Align = 1
		switch t.Kind {
		case abi.Struct:
			if i == 0 {
				break
			}
			for range b.n(4) {
				f := abi.Field{Name: fieldNames[len(t.Fields)], Type: list[b.n(i)], Offset: t.Size}
				t.Fields = append(t.Fields, f)
				t.Size += max(f.Type.Size, 0)
				if b.n(16) == 1 {
					t.Fields[len(t.Fields)-1].Offset = b.num() // nonsense
				}
			}
		case abi.Array:
			if i == 0 {
				t.Kind = abi.Int
				break
			}
			t.Elem, t.Len = list[b.n(i)], b.num()
			t.Size = t.Len * t.Elem.Size
		case abi.String, abi.Interface:
			t.Size = 2 * word
		case abi.Slice:
			t.Size, t.Elem = 3*word, list[b.n(len(list))]
		case abi.Pointer, abi.Chan, abi.Map:
			t.Size = word
			if b.n(8) != 1 {
				t.Elem = list[b.n(len(list))]
			}
		case abi.Invalid:
		default:
			t.Size = int64(1 << b.n(5))
		}
		if b.n(32) == 1 {
			t.Size = b.num() // nonsense
		}
	}
	return list
}

func (b *bytesource) location() abi.Location {
	loc := make(abi.Location, b.n(6))
	for i := range loc {
		loc[i] = abi.Piece{
			Offset: b.num(), Size: b.num(), Kind: abi.PlaceKind(b.n(7)), Reg: abi.Reg(b.n(40)),
			CFA: abi.CFAOffset(b.num()), Disp: b.num(), Const: uint64(b.num()), Reason: abi.Reason(b.n(15)),
		}
		if i > 0 && b.n(2) == 0 {
			loc[i].Offset = loc[i-1].Offset + loc[i-1].Size
		}
	}
	return loc
}

// FuzzBuild builds plans of random types, locations and limits, and checks what
// the program generator and the decoder rely on.
func FuzzBuild(f *testing.F) {
	f.Add([]byte{}, false, false)
	f.Add([]byte{2, byte(abi.String), 0, byte(abi.Slice), 0, 0, byte(abi.Pointer), 0, 1, 0, 1, 1, 0, 8, 1, 3}, false, true)
	f.Fuzz(func(t *testing.T, data []byte, i386, noLoops bool) {
		b := bytesource(data)
		limits := capture.Limits{
			String: int(b.num()), Elems: int(b.num()), Bytes: int(b.num()), Depth: int(b.num()), NoLoops: noLoops,
		}
		arch := abi.AMD64
		if i386 {
			arch = abi.I386
		}
		types := b.types(arch.PtrSize)
		in := make([]capture.Input, 1+b.n(4))
		for i := range in {
			in[i] = capture.Input{Name: "p", Type: types[(len(types)-1+i)%len(types)], Location: b.location()}
		}
		if b.n(2) == 1 {
			limits.Redact = redaction(t, "secret", "main.t3")
		}
		p := capture.Build(arch, in, limits)
		if p.PtrSize != int(arch.PtrSize) {
			t.Fatalf("pointers of %d bytes for %s", p.PtrSize, arch.GOARCH)
		}
		if err := check(p, in, limits.WithDefaults()); err != nil {
			t.Fatalf("%v\n%s, limits %+v\ninputs %+v", err, arch.GOARCH, limits, in)
		}
	})
}

// check returns the first promise that a plan breaks.
func check(p *capture.Plan, in []capture.Input, l capture.Limits) error {
	if len(p.Params) != len(in) {
		return fmt.Errorf("%d parameters", len(p.Params))
	}
	at := capture.HeaderSize
	for i := range p.Params {
		q := &p.Params[i]
		if q.Offset != at || q.Offset%8 != 0 {
			return fmt.Errorf("parameter %d at %d, want %d", i, q.Offset, at)
		}
		if q.Image.Type != in[i].Type {
			return fmt.Errorf("parameter %d has another type", i)
		}
		if q.Image.Size > max(in[i].Type.Size, 0) {
			return fmt.Errorf("parameter %d: image of %d bytes", i, q.Image.Size)
		}
		if err := checkImage(q.Image, int64(p.PtrSize), false, l, 0); err != nil {
			return fmt.Errorf("parameter %d: %w", i, err)
		}
		at += int(capture.Align8(q.Image.Size))
	}
	if p.SlotBase != at {
		return fmt.Errorf("slots at %d, images end at %d", p.SlotBase, at)
	}
	slots := 0
	for i := range p.Params {
		if p.Params[i].Slots != at {
			return fmt.Errorf("parameter %d: slots at %d, want %d", i, p.Params[i].Slots, at)
		}
		at += capture.SlotSize * p.Params[i].Image.Slots
		slots += p.Params[i].Image.Slots
	}
	if p.Fixed != at || p.Slots != slots || p.Variable() != (slots > 0) || p.MaxRecord < p.Fixed {
		return fmt.Errorf("fixed %d, want %d; %d slots, want %d; at most %d", p.Fixed, at, p.Slots, slots, p.MaxRecord)
	}
	// Programs reach the fixed part by offsets of 16 bits.
	if p.Fixed >= 1<<15 || !p.Variable() && p.MaxRecord != p.Fixed {
		return fmt.Errorf("fixed %d, at most %d", p.Fixed, p.MaxRecord)
	}
	if n := countRefs(p); n > 96 {
		return fmt.Errorf("%d references are followed", n)
	}
	if err := checkPieces(p); err != nil {
		return err
	}
	return checkRedacted(p)
}

// checkRedacted checks that no byte that is redacted is stored, and that those
// that are read are erased.
func checkRedacted(p *capture.Plan) error {
	redacted := make([]bool, p.Fixed)
	for i := range p.Params {
		q := &p.Params[i]
		for _, h := range q.Image.Holes {
			if h.Reason == abi.Redacted {
				for k := range h.Size {
					redacted[int64(q.Offset)+h.Offset+k] = true
				}
			}
		}
	}
	read := make([]bool, p.Fixed)
	for _, r := range p.Reads {
		for k := range r.Size {
			read[r.Offset+k] = true
		}
	}
	for _, s := range p.Erase {
		if s.Size <= 0 || s.Offset < capture.HeaderSize || s.Offset+s.Size > int64(p.SlotBase) {
			return fmt.Errorf("erase %+v", s)
		}
		for k := range s.Size {
			if !redacted[s.Offset+k] {
				return fmt.Errorf("erase %+v: not redacted", s)
			}
			read[s.Offset+k] = false
		}
	}
	for _, s := range p.Stores {
		for k := range s.Size {
			read[s.Offset+k] = true
		}
	}
	for at := range read {
		if read[at] && redacted[at] {
			return fmt.Errorf("byte %d is redacted, and written", at)
		}
	}
	return nil
}

// checkImage checks an image and all that is reached from it. level counts the
// references on the way, and looped says that one of them was to the elements of
// a slice.
func checkImage(m *capture.Image, word int64, looped bool, l capture.Limits, level int) error {
	if m.Size < 0 || m.Size > int64(l.Bytes) {
		return fmt.Errorf("image of %d bytes", m.Size)
	}
	for _, h := range m.Holes {
		if h.Reason == abi.Present || h.Offset < 0 || h.Size <= 0 || h.Offset+h.Size > m.Size {
			return fmt.Errorf("hole %+v of %d bytes", h, m.Size)
		}
	}
	if !slices.IsSortedFunc(m.Refs, func(a, b capture.Ref) int { return int(a.Offset - b.Offset) }) {
		return fmt.Errorf("references out of order: %+v", m.Refs)
	}
	seen := make(map[int]bool)
	for i := range m.Refs {
		r := &m.Refs[i]
		if width := word * [...]int64{1, 2, 3}[r.Kind]; r.Offset < 0 || r.Slot >= 0 && r.Offset+width > m.Size {
			return fmt.Errorf("reference %+v in %d bytes", r, m.Size)
		}
		if r.Slot < 0 {
			if r.Reason == abi.Present && r.Limit < 0 {
				return fmt.Errorf("reference %+v", r)
			}
			continue
		}
		if seen[r.Slot] || r.Slot >= m.Slots || r.Elem == nil || r.Reason != abi.Present {
			return fmt.Errorf("reference %+v of %d slots", r, m.Slots)
		}
		seen[r.Slot] = true
		if looped && l.NoLoops {
			return fmt.Errorf("reference %+v needs a loop", r)
		}
		n := int64(r.ChunkLimit())
		if n < 0 || n > int64(r.Limit) || n*r.Elem.Size > capture.MaxChunk ||
			n*int64(r.Elem.Slots)*capture.SlotSize > capture.MaxChunk {
			return fmt.Errorf("%d elements of %d bytes and %d slots", n, r.Elem.Size, r.Elem.Slots)
		}
		if n == 0 && l.Bytes > 0 && l.String > 0 && l.Elems > 0 {
			return fmt.Errorf("reference %+v to nothing", r)
		}
		// probegen has room for eight levels.
		if level >= 7 {
			return fmt.Errorf("nested too deep")
		}
		if l.NoLoops && r.Kind == capture.RefSlice && r.Elem.Erase != nil {
			return fmt.Errorf("reference %+v: what is redacted needs a loop", r)
		}
		hidden := int64(0)
		for _, s := range r.Elem.Erase {
			hidden += s.Size
			if s.Size <= 0 || s.Offset < 0 || s.Offset+s.Size > r.Elem.Size || r.Elem.Absent(s.Offset, s.Size) != abi.Redacted {
				return fmt.Errorf("erase %+v of %d bytes", s, r.Elem.Size)
			}
		}
		if hidden == 0 && len(r.Elem.Holes) > 0 {
			return fmt.Errorf("holes %+v, and nothing is erased", r.Elem.Holes)
		}
		if err := checkImage(r.Elem, word, looped || r.Kind == capture.RefSlice, l, level+1); err != nil {
			return fmt.Errorf("+%d: %w", r.Offset, err)
		}
	}
	if len(seen) != m.Slots {
		return fmt.Errorf("%d slots of %d", len(seen), m.Slots)
	}
	return nil
}

func countRefs(p *capture.Plan) (n int) {
	var count func(m *capture.Image)
	count = func(m *capture.Image) {
		for i := range m.Refs {
			if m.Refs[i].Slot >= 0 {
				n++
				count(m.Refs[i].Elem)
			}
		}
	}
	for i := range p.Params {
		count(p.Params[i].Image)
	}
	return n
}

// checkPieces checks that what is written lies in the images.
func checkPieces(p *capture.Plan) error {
	inside := func(off, size int) bool {
		return slices.ContainsFunc(p.Params, func(q capture.Param) bool {
			return off >= q.Offset && off+size <= q.Offset+int(q.Image.Size)
		})
	}
	for _, s := range p.Stores {
		if s.Size != 1 && s.Size != 2 && s.Size != 4 && s.Size != 8 || !inside(s.Offset, s.Size) {
			return fmt.Errorf("store %+v", s)
		}
	}
	if len(p.Reads) >= capture.MaxFixedReads {
		return fmt.Errorf("%d reads", len(p.Reads))
	}
	for i, r := range p.Reads {
		if r.Size <= 0 || !inside(r.Offset, r.Size) || r.Bit != i+1 {
			return fmt.Errorf("read %+v", r)
		}
		if q := p.Params[r.Param]; int64(r.Offset-q.Offset) != r.Within {
			return fmt.Errorf("read %+v of %+v", r, q)
		}
	}
	return nil
}

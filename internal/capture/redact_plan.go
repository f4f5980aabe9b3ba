package capture

import (
	"github.com/argtap/argtap/abi"
)

// redacted returns spans as holes.
func redacted(spans []Span) (holes []Hole) {
	for _, s := range spans {
		holes = append(holes, Hole{Offset: s.Offset, Size: s.Size, Reason: abi.Redacted})
	}
	return holes
}

// joined joins spans that overlap or touch.
func joined(spans []Span) (out []Span) {
	for _, s := range spans {
		if n := len(out); n > 0 {
			l := &out[n-1]
			if end := l.Offset + l.Size; l.Offset <= s.Offset && s.Offset <= end {
				l.Size = max(end, s.Offset+s.Size) - l.Offset
				continue
			}
		}
		out = append(out, s)
	}
	return out
}

// kept returns how many bytes of a piece that is stored are not redacted: those
// up to the first that is. The rest is in the same register, and is left out with
// it.
func (b *builder) kept(img *Image, off, size int64) int64 {
	keep := size
	for _, s := range img.Erase {
		if s.Offset < off+keep && off < s.Offset+s.Size {
			keep = max(s.Offset-off, 0)
		}
	}
	if keep == size {
		return size
	}
	if !storable(keep) {
		keep = 0
	}
	for _, s := range img.Erase {
		if s.Offset <= off+keep && off+size <= s.Offset+s.Size {
			return keep
		}
	}
	img.Holes = append(img.Holes, Hole{Offset: off + keep, Size: size - keep, Reason: abi.Redacted})
	return keep
}

// erase has the plan erase what is redacted of a read, or read less. It reports
// whether there is something to read.
func (b *builder) erase(img *Image, r *Read) bool {
	lo, hi := r.Within, r.Within+int64(r.Size)
	from, to := lo, hi
	for _, s := range img.Erase {
		if s.Offset <= from && from < s.Offset+s.Size {
			from = s.Offset + s.Size
		}
	}
	for i := len(img.Erase) - 1; i >= 0; i-- {
		if s := img.Erase[i]; s.Offset < to && to <= s.Offset+s.Size {
			to = s.Offset
		}
	}
	if from >= to {
		return false
	}
	for _, s := range img.Erase {
		if at, end := max(s.Offset, from), min(s.Offset+s.Size, to); at < end {
			b.plan.Erase = append(b.plan.Erase, Span{int64(r.Offset) + at - lo, end - at})
		}
	}
	r.Offset += int(from - lo)
	r.Disp += from - lo
	r.Within = from
	r.Size = int(to - from)
	return true
}

// image returns the image of a value of type t of which so many bytes are
// captured.
func (l *Limits) image(t *abi.Type, size int64) *Image {
	m := &Image{Type: t, Size: size, NoLoops: l.NoLoops}
	if spans := l.Redact.Spans(t, size); spans != nil {
		m.Holes, m.Erase = redacted(spans), joined(spans)
	}
	return m
}

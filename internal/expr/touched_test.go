package expr

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/argtap/argtap/abi"
)

// only returns what is left of a truth if nothing can be read but the paths:
// other bytes of parameters are garbage, and other memory is not there.
func (tr *truth) only(paths []Path) *truth {
	out := &truth{maps: tr.maps, types: tr.types, params: make([][]byte, len(tr.params))}
	for i, p := range tr.params {
		out.params[i] = make([]byte, len(p))
		for j := range p {
			out.params[i][j] = ^p[j]
		}
	}
	for _, p := range paths {
		for _, at := range tr.spots(p) {
			b := make([]byte, p.Size)
			switch {
			case at.Param >= 0:
				image := tr.params[at.Param]
				copy(out.params[at.Param][min(at.Addr, uint64(len(image))):], image[min(at.Addr, uint64(len(image))):min(at.Addr+uint64(p.Size), uint64(len(image)))])
			case tr.Read(at.Addr, b):
				out.mem = append(out.mem, region{at.Addr, b})
			default:
				// What does not reach so far as a constant does.
				for n := p.Size - 1; n > 0; n-- {
					if b = b[:n]; tr.Read(at.Addr, b) {
						out.mem = append(out.mem, region{at.Addr, b})
						break
					}
				}
			}
		}
	}
	return out
}

// spots returns where the bytes of a path are: nowhere if it cannot be followed.
func (tr *truth) spots(p Path) []Place {
	at := []Place{{Param: p.Param}}
	for _, s := range p.Steps {
		var next []Place
		for _, ref := range spread(at, s.Offset, s.Repeats) {
			m := machine{arch: abi.AMD64, params: tr.params, mem: tr}
			word, why := m.word(ref, 0, 8)
			if why != Present || word == 0 {
				continue
			}
			switch s.Kind {
			case abi.Slice, abi.String:
				count, _ := m.word(ref, 8, 8)
				size := int64(1)
				if s.Kind == abi.Slice {
					count, _ = m.word(ref, 16, 8)
				}
				if s.Type != nil {
					size = s.Type.Size
				}
				if count > 1000 {
					continue // an interface holds another type, and this is no length
				}
				for i := range int64(count) {
					if s.Index < 0 || s.Index == i {
						next = append(next, Place{Param: -1, Addr: word + uint64(i*size)})
					}
				}
			case abi.Map:
				if s.Key == nil {
					next = append(next, Place{Param: -1, Addr: word})
				} else if addr, found, _ := tr.MapElem(nil, word, s.Key); found {
					next = append(next, Place{Param: -1, Addr: addr})
				}
			case abi.Interface:
				if s.Type != nil {
					word, _ = m.word(ref, 8, 8)
				}
				next = append(next, Place{Param: -1, Addr: word})
			default:
				next = append(next, Place{Param: -1, Addr: word})
			}
		}
		at = next
	}
	return spread(at, p.Offset, p.Repeats)
}

// spread returns the places at an offset and its repeats.
func spread(at []Place, offset int64, repeats []Repeat) []Place {
	out := make([]Place, 0, len(at))
	for _, p := range at {
		p.Addr += uint64(offset)
		out = append(out, p)
	}
	for _, r := range repeats {
		before := out
		out = nil
		for _, p := range before {
			for i := range r.Count {
				q := p
				q.Addr += uint64(i * r.Stride)
				out = append(out, q)
			}
		}
	}
	return out
}

// pathText writes a path as TestTouched has it.
func pathText(p Path) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d", p.Param)
	offset := func(n int64, repeats []Repeat) {
		fmt.Fprintf(&b, "+%d", n)
		for _, r := range repeats {
			fmt.Fprintf(&b, "+%d*%d", r.Count, r.Stride)
		}
	}
	for _, s := range p.Steps {
		offset(s.Offset, s.Repeats)
		fmt.Fprintf(&b, " %s", s.Kind)
		if s.Index >= 0 {
			fmt.Fprintf(&b, "[%d]", s.Index)
		}
		if s.Key != nil {
			fmt.Fprintf(&b, "[%s]", s.Key)
		}
		b.WriteString(" ")
	}
	offset(p.Offset, p.Repeats)
	fmt.Fprintf(&b, ":%d", p.Size)
	if p.Maybe {
		b.WriteString("?")
	}
	if p.Value {
		b.WriteString("!")
	}
	return b.String()
}

// enough reports whether an expression has the same value where only what it
// touches can be read.
func (tr *truth) enough(e *Expr) bool {
	less := tr.only(Touched(e))
	want, wantWhy := Eval(e, tr.params, tr)
	got, why := Eval(e, less.params, less)
	return why == wantWhy && bytes.Equal(got.Bytes, want.Bytes) && got.Data == want.Data && got.Text == want.Text
}

func TestTouched(t *testing.T) {
	for text, want := range map[string]string{
		`r.URL.Path`:                 `0+0:8; 0+0 pointer +16:8; 0+0 pointer +16 pointer +56:16!`,
		`len(body)`:                  `1+0:24`,
		`*p.next`:                    `2+0:8; 2+0 pointer +8:8; 2+0 pointer +8 pointer +0:16!`,
		`m["key"]`:                   `3+0:8; 3+0 map["key"] +0:8!`,
		`err.(*fs.PathError).Path`:   `4+0:8; 4+0 interface +8:8; 4+8:8; 4+8 pointer +16:16!`,
		`e.(fs.PathError).Op`:        `5+0:8; 5+8:8; 5+0 interface +0:16!`,
		`s[:16]`:                     `6+0:16; 6+0 string[0] +0:16!`,
		`s[2:16][b:]`:                `6+0:16; 8+0:1`,
		`body[3]`:                    `1+0:24; 1+0 slice[3] +0:1!`,
		`body[b]`:                    `1+0:24; 8+0:1; 1+0 slice +0:1!`,
		`arr[b] > arr[1]`:            `8+0:1; 18+0+4*8:8; 18+8:8`,
		`arr[1:3]`:                   `18+8:16!`,
		`b > 1 && r.Method == "GET"`: `8+0:1; 0+0:8?; 0+0 pointer +0:16?; 0+0 pointer +0 string[0] +0:3?`,
		`b > 1 && b < 3 && e != nil`: `8+0:1; 5+0:8?`,
		`cap(c) > len(m)`:            ``,
		`len(c) > len(m)`:            `20+0:8; 20+0 chan +0:8; 3+0:8; 3+0 map +0:8`,
		`len(arr)`:                   ``,
	} {
		e, err := Compile(text, testScope())
		if err != nil {
			if want != "" {
				t.Error(err)
			}
			continue
		}
		var got []string
		for _, p := range Touched(e) {
			got = append(got, pathText(p))
		}
		if s := strings.Join(got, "; "); s != want {
			t.Errorf("%s touches\n%s, want\n%s", text, s, want)
		}
	}
}

package symbols

import (
	"errors"
	"slices"
	"testing"
)

// TestLines compares positions with those that debug/gosym reads, which knows no
// inlined calls, and inlined calls with those of the tree.
func TestLines(t *testing.T) {
	for _, b := range tableBuilds {
		t.Run(b.String(), func(t *testing.T) {
			b.stripped = true
			f := b.open(t)
			table, err := f.Table()
			if err != nil {
				t.Fatal(err)
			}
			all, text := gosymOf(t, f, table)
			n, inlined, frames := 0, 0, 0
			for i, fn := range allFuncs(t, table) {
				if i%7 != 0 && fn.Name != "main.nested" || fn.Foreign {
					continue
				}
				tree, err := table.Inlined(fn)
				if err != nil {
					t.Fatal(err)
				}
				for pc := fn.Entry; pc < fn.End(); pc += VirtAddr(max(4, fn.Size/8&^3)) {
					l, err := table.Lines(pc)
					if err != nil {
						t.Fatal(err)
					}
					n++
					p := l.Positions
					file, line, _ := all.PCToLine(uint64(pc))
					if p[0].File != file || int(p[0].Line) != line {
						t.Fatalf("%s at %#x: %+v, debug/gosym has %s:%d", fn.Name, uint64(pc), p[0], file, line)
					}
					if out := p[len(p)-1]; out.Func != l.Func.Name || out.Inlined || out.StartLine != fn.StartLine || l.Func.Entry != fn.Entry {
						t.Fatalf("%s at %#x: %+v", fn.Name, uint64(pc), out)
					}
					var names []string
					for _, c := range calledAt(tree, pc) {
						names = append(names, c.Name)
					}
					var got []string
					for _, q := range p[:len(p)-1] {
						if !q.Inlined || q.StartLine <= 0 {
							t.Fatalf("%s at %#x: %+v", fn.Name, uint64(pc), q)
						}
						got = append(got, q.Func)
						inlined++
					}
					if !slices.Equal(got, names) {
						t.Fatalf("%s at %#x: calls of %q are inlined, want %q", fn.Name, uint64(pc), got, names)
					}
					if l.Frame > 0 {
						frames++
					}
				}
			}
			if n < 1000 || inlined < 300 || frames < n/3 {
				t.Errorf("%d instructions, %d inlined, %d with a frame", n, inlined, frames)
			}
			for _, a := range []VirtAddr{0, 1, text - 1, 1 << 63, ^VirtAddr(0)} {
				if l, err := table.Lines(a); !errors.Is(err, ErrNoFunc) {
					t.Errorf("%#x: %+v, %v", uint64(a), l, err)
				}
			}
		})
	}
}

// calledAt returns the calls whose bodies the instruction at pc is in, the innermost
// first.
func calledAt(tree []InlinedCall, pc VirtAddr) (calls []InlinedCall) {
	i := slices.IndexFunc(tree, func(c InlinedCall) bool {
		return slices.ContainsFunc(c.Ranges, func(r Range) bool { return r.Low <= pc && pc < r.High })
	})
	for i >= 0 {
		calls = append(calls, tree[i])
		i = tree[i].Parent
	}
	return calls
}

package symbols_test

import (
	"errors"
	"testing"

	"github.com/argtap/argtap/internal/fixture"
	"github.com/argtap/argtap/symbols"
)

func TestDictionaries(t *testing.T) {
	src := fixture.Source{"main.go": `package main

type named string

//go:noinline
func f[T any](t T) { println(&t) }

type list[T any] struct{ elems []T }

//go:noinline
func (l *list[T]) add(t T) { l.elems = append(l.elems, t) }

func main() {
	f("a")
	f(named("b"))
	var l list[named]
	l.add("c")
	println(len(l.elems))
}
`}
	for _, fl := range []fixture.Flavour{fixture.Default, fixture.NoDWARF, fixture.Stripped} {
		f, err := symbols.Open(fixture.BuildWith(t, fixture.Toolchain{Flavour: fl}, src))
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		dicts, err := f.Dictionaries()
		if fl == fixture.Stripped {
			if !errors.Is(err, symbols.ErrNoSymbols) || dicts != nil {
				t.Errorf("%s: %v, %v", fl, dicts, err)
			}
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		found := map[string]bool{}
		for i, d := range dicts {
			if d.Size == 0 || d.Addr == 0 || i > 0 && d.Addr < dicts[i-1].Addr {
				t.Errorf("%s: %+v", fl, d)
			}
			found[d.Name] = true
		}
		for _, name := range []string{"main.f[string]", "main.f[main.named]", "main.list[main.named]"} {
			if !found[name] {
				t.Errorf("%s: no dictionary of %s among %d", fl, name, len(dicts))
			}
		}
	}
}

package expr

import (
	"errors"
	"math/rand/v2"
	"strings"
	"testing"
)

// TestAccept compares which expressions are accepted with go/types. What is
// valid Go but no part of the language must be refused as that, and by a reason
// that is listed here; of what Go refuses nothing is accepted.
func TestAccept(t *testing.T) {
	worlds := 20
	if testing.Short() {
		worlds = 5
	}
	var both, neither, beyond int
	why := map[string]int{}
	for seed := range worlds {
		w := newWorld(t, rand.New(rand.NewPCG(uint64(seed), 1)))
		for range 1000 {
			text := w.expression(3)
			for range w.rnd.IntN(3) {
				text = w.mutate(text)
			}
			want, goErr := w.check(text)
			e, err := Compile(text, w.scope)
			var ee *Error
			if err != nil && (!errors.As(err, &ee) || ee.Column < 1 || ee.Column > len(text)+1 || ee.Message == "" || ee.Text != text) {
				t.Fatalf("%q: error %#v", text, err)
			}
			switch {
			case goErr == nil && err == nil:
				both++
				if name := w.conv.convert(want).Name; e.Type().Name != name {
					t.Errorf("world %d: %s has type %s, want %s", seed, text, e.Type().Name, name)
				}
			case goErr != nil && err != nil:
				neither++
			case goErr == nil && ee.Unsupported:
				beyond++
				first, _, _ := strings.Cut(ee.Message, ":")
				why[strings.Fields(first)[0]]++
			case goErr == nil && strings.HasPrefix(ee.Message, "a shift count is an integer") && strings.Contains(ee.Message, "float"):
				// go/types accepts any typed constant. The specification doesn't.
			case goErr == nil && strings.HasPrefix(ee.Message, "no field M in"):
				// Nothing here knows which methods a type has.
			case goErr == nil && (strings.HasPrefix(ee.Message, "no type ") || strings.HasPrefix(ee.Message, "no interface of the program")):
				// For go/types a program has all types that can be written.
			case goErr == nil:
				t.Errorf("world %d: %s is refused: %v", seed, text, err)
			case strings.Contains(goErr.Error(), "impossible type assertion"):
				// Nothing here knows which methods a type has.
			default:
				t.Errorf("world %d: %s is accepted, but: %v", seed, text, goErr)
			}
		}
	}
	t.Logf("%d accepted by both, %d refused by both, %d refused as unsupported: %v", both, neither, beyond, why)
	if both < 5*worlds*20 || neither < 100*worlds || beyond > both/2 {
		t.Errorf("the expressions are of no use: %d accepted by both, %d refused by both, %d refused as unsupported", both, neither, beyond)
	}
}

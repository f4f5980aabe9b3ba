package gosig

import (
	"errors"
	"strings"
	"testing"

	"github.com/argtap/argtap/abi"
)

// FuzzParse: any text gives an error that says where, or a signature that can
// be assigned and that is read again as it was written.
func FuzzParse(f *testing.F) {
	for _, s := range []string{
		"func(iterations int64) float64",
		"func (s *struct{ n int }) (delta int) error",
		"func (s int) M(f func(...any), m map[string]<-chan [2]struct{ int; _ byte `x:\"y\"` }) (a, b error)",
		"func(x [1 << 60]int8, interface{ M(); error })",
		"func f[T any](x T)",
		"func(x time.Time) {}",
		"func /* ( */ (a, b complex128,\n) unsafe.Pointer;",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, src string) {
		for _, a := range []*abi.Arch{abi.AMD64, abi.I386} {
			sig, err := Parse(src, a)
			if err != nil {
				var pe *Error
				if !errors.As(err, &pe) || pe.Line < 1 || pe.Column < 1 || pe.Column > len(src)+1 || pe.Msg == "" {
					t.Fatalf("%q: error %#v", src, err)
				}
				continue
			}
			// Frames may be too large in all, and types of more nodes than any
			// real one has are refused.
			if _, err := abi.Internal(a, sig); err != nil && len(src) < 1000 && !strings.Contains(err.Error(), "stack frame exceeds") {
				t.Fatalf("%q: %v", src, err)
			}
			if len(src) > maxSource/4 {
				continue // it may be longer as it is written
			}
			if sig.Method && len(sig.Results) == 0 {
				continue // it is written like a func type with results
			}
			if text := sig.String(); !strings.Contains(text, "~r") {
				again, err := Parse(text, a)
				if err != nil {
					t.Fatalf("%q: written as %q: %v", src, text, err)
				}
				if text2 := again.String(); text2 != text {
					t.Fatalf("%q: written as %q, then as %q", src, text, text2)
				}
			}
		}
	})
}

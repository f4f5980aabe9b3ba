package abi

import "testing"

// FuzzAssign drives the type generator with the fuzzer's bytes. Types that are
// laid out right must be assigned and keep the invariants of check; types that
// were damaged afterwards must not panic.
func FuzzAssign(f *testing.F) {
	f.Add([]byte{0, 3, 8, 1, 9, 4, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9})
	f.Add([]byte{1, 2, 9, 5, 0, 1, 8, 3, 9, 2, 2, 2, 7, 6, 5, 4, 3, 2, 1, 0})
	f.Add([]byte{2, 5, 6, 2, 1, 9, 4, 12, 0, 13, 14, 15, 200, 100, 3, 2})
	f.Fuzz(func(t *testing.T, data []byte) {
		intN := func(n int) int {
			if len(data) == 0 {
				return 0
			}
			c := data[0]
			data = data[1:]
			return int(c) % n
		}
		damage, dict, method := intN(2) == 1, DictPlace(intN(4)), intN(2) == 1
		arch := []*Arch{AMD64, ARM64, I386}[intN(3)]
		s := (&generator{arch, intN}).signature()
		s.Dict, s.Method = dict, method && len(s.Params) > 0
		if damage {
			for i := range s.Params {
				damageType(s.Params[i].Type, intN)
			}
		}
		_ = s.String()
		for _, convention := range []func(*Arch, *Signature) (*Assignment, error){Internal, Stack} {
			a, err := convention(arch, s)
			if err != nil {
				if !damage && (dict != DictAfterReceiver || s.Method) && dict <= DictAfterReceiver {
					t.Fatalf("%s: %v", s, err)
				}
				continue
			}
			if damage {
				_ = format(arch, s, a)
				continue
			}
			if err := check(arch, s, a); err != nil {
				t.Fatalf("%s: %v", s, err)
			}
		}
	})
}

// damageType changes some number or pointer in the type, as a reader of broken
// debug information might.
func damageType(t *Type, intN func(int) int) {
	numbers := [...]int64{0, 1, -1, 3, 8, 255, 1 << 31, 1 << 62, -1 << 63}
	number := func() int64 { return numbers[intN(len(numbers))] }
	switch intN(8) {
	case 0:
		t.Size = number()
	case 1:
		t.Align = number()
	case 2:
		t.Len = number()
	case 3:
		t.Kind = Kind(intN(32))
	case 4:
		t.Elem = nil
	case 5:
		t.Elem = t
	}
	for i := range t.Fields {
		switch f := &t.Fields[i]; intN(6) {
		case 0:
			f.Offset = number()
		case 1:
			f.Type = nil
		case 2:
			f.Type = t
		default:
			damageType(f.Type, intN)
		}
	}
}

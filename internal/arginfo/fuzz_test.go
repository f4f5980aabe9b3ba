package arginfo

import (
	"encoding/hex"
	"testing"

	"github.com/argtap/argtap/abi"
)

// FuzzParse: any bytes give an error or a table, and any table parameters.
func FuzzParse(f *testing.F) {
	for _, tt := range tables {
		b, err := hex.DecodeString(tt.bytes)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b, int64(16))
	}
	f.Add([]byte{0xfb, 0xfe, 0x00, 0x08, 0xfb, 0xfd, 0xfe, 0xfc, 0xfd, 0xfc, 0xff}, int64(0))
	f.Add([]byte{0xfe, 0xfe, 0xfe, 0xfe, 0xfe, 0xfc, 0xfd, 0xfd, 0xfd, 0xfd, 0xfd, 0xff}, int64(8))
	f.Add([]byte{0xef, 0x40, 0x00, 0x01, 0xff}, int64(1<<63-1))
	f.Fuzz(func(t *testing.T, b []byte, slot int64) {
		in, err := Parse(b)
		if err != nil {
			return
		}
		spills := []Spill{{abi.RAX, abi.CFAOffset(slot), 8}, {abi.XMM0, abi.CFAOffset(slot + 8), 4}}
		for _, a := range []*abi.Arch{abi.AMD64, abi.ARM64, abi.I386} {
			valid(t, "stack", in.Params(a, false, nil))
			valid(t, "unknown", in.Params(a, true, nil))
			valid(t, "spills", in.Params(a, true, spills))
		}
		if err := in.Check(function(t, abi.AMD64, "main.f", "func(a int8, s string, f []float32)", abi.NoDict)); err == nil &&
			in.String() != "0:1 {8:8 16:8} {24:8 32:8 40:8}" {
			t.Fatalf("[%s] is right", in)
		}
	})
}

package arginfo

import (
	"testing"

	"github.com/argtap/argtap/abi"
)

func TestPlaceReceiver(t *testing.T) {
	for _, tt := range []struct {
		symbol, table string
		arch          *abi.Arch
		want          string
	}{
		{"net/http.(*Request).Cookie", "0008fe08081008fdff", abi.AMD64, "RAX:8"},
		{"gopkg.in/yaml%2ev3.(*parser).peek", "0008ff", abi.ARM64, "R0:8"},
		{"main.(*T·1).M", "0008ff", abi.AMD64, "RAX:8"},
		{"main.T.M", "0008ff", abi.AMD64, ""},
		{"main.f", "0008ff", abi.AMD64, ""},
		{"main.(*T).M.func1", "0008ff", abi.AMD64, ""},
		{"main.(*T).M-fm", "0008ff", abi.AMD64, ""},
		{"main.(*T).M-range1", "0008ff", abi.AMD64, ""},
		{"main.(*T).M.gowrap2", "0008ff", abi.AMD64, ""},
		{"main.(*T[go.shape.int]).M", "0008ff", abi.AMD64, ""},
		{"main.(*T[...]).M", "0008ff", abi.AMD64, ""},
		{"go:(*struct { *main.T }).M", "0008ff", abi.AMD64, ""},
		{"main.(*T).M", "fe0008fdff", abi.AMD64, ""}, // impossible
		{"main.(*T).M", "0004ff", abi.AMD64, ""},
	} {
		params := parse(t, tt.table).Params(tt.arch, true, nil)
		before := params[0].Location.Format(tt.arch)
		if tt.want == "" {
			tt.want = before
		}
		PlaceReceiver(tt.arch, tt.symbol, params)
		if got := params[0].Location.Format(tt.arch); got != tt.want {
			t.Errorf("%s: %s, want %s", tt.symbol, got, tt.want)
		}
	}
	// What is known stays.
	params := parse(t, "0008ff").Params(abi.AMD64, false, nil)
	PlaceReceiver(abi.AMD64, "main.(*T).M", params)
	if got := params[0].Location.Format(abi.AMD64); got != "[CFA+0]:8" {
		t.Errorf("on the stack: %s", got)
	}
	PlaceReceiver(abi.AMD64, "main.(*T).M", nil)
	PlaceReceiver(abi.I386, "main.(*T).M", parse(t, "0004ff").Params(abi.I386, true, nil))
}

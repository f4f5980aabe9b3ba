package dwarfargs

import (
	"errors"
	"os"
	"testing"

	"github.com/argtap/argtap/abi"
	"github.com/argtap/argtap/symbols"
)

func TestProbe(t *testing.T) {
	f, err := symbols.Open(os.Getenv("BIN"))
	if err != nil {
		t.Fatal(err)
	}
	d, err := Open(f)
	if err != nil {
		t.Fatal(err)
	}
	n, errs := [agreementCount]int{}, 0
	none := 0
	for fn, err := range f.Funcs() {
		if err != nil {
			t.Fatal(err)
		}
		df, err := d.Func(fn, 0)
		if errors.Is(err, ErrNoEntry) {
			none++
			continue
		}
		if err != nil {
			t.Log(err)
			errs++
			continue
		}
		rs, err := df.AtEntry(abi.AMD64)
		if err != nil {
			t.Log(err)
			errs++
			continue
		}
		for _, r := range rs {
			n[r.Agreement]++
			if r.Agreement >= DeadPieces {
				t.Logf("%-12s %s %s: %s %s: abi %s dwarf %s", r.Agreement, fn.Name, df.Signature(), r.Param.Name, r.Param.Type, r.Location.Format(abi.AMD64), r.DWARF.Format(abi.AMD64))
			}
		}
	}
	t.Log(n, errs, none)
}

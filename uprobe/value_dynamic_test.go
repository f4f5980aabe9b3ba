package uprobe

import (
	"testing"

	"github.com/argtap/argtap/abi"
	"github.com/argtap/argtap/internal/capture"
)

// What a static plan does not follow is absent, and says so.
func TestDynamicNotFollowed(t *testing.T) {
	data := make([]byte, 64)
	data[0], data[8] = 0x10, 0x20
	value := func(k abi.Kind, size int64) Value {
		typ := &abi.Type{Name: "T", Kind: k, Size: size}
		return Value{data: data, typ: typ, img: &capture.Image{Type: typ, Size: size}}
	}
	want := abi.NotFollowed.String()
	if r, ok := value(abi.Interface, 16).Dynamic().Absent(); !ok || r != want {
		t.Errorf("Dynamic: absent %q, %t", r, ok)
	}
	if r, ok := value(abi.Func, 8).Closure().Absent(); !ok || r != want {
		t.Errorf("Closure: absent %q, %t", r, ok)
	}
	if _, ok := value(abi.Func, 8).FuncName(); ok {
		t.Error("FuncName: known")
	}
	if _, ok := value(abi.Chan, 8).Closed(); ok {
		t.Error("Closed: known")
	}
	for range value(abi.Map, 8).MapRange() {
		t.Error("MapRange: an entry")
	}
	if r, ok := value(abi.Int, 8).Dynamic().Absent(); !ok || r != abi.UnknownType.String() {
		t.Errorf("Dynamic of an int: absent %q, %t", r, ok)
	}
}

package arginfo

import (
	"strings"

	"github.com/argtap/argtap/abi"
)

// PlaceReceiver gives the first parameter its register, where nothing but the
// function's name tells it: the receiver of a method on a pointer is in the
// first integer register, whatever follows. params are the result of
// [Info.Params] for a function that takes arguments in registers. Others are
// left as they are, and so are methods of types with type arguments, of which
// the table lacks the receiver.
func PlaceReceiver(a *abi.Arch, symbol string, params []Param) {
	if len(params) == 0 || len(a.Ints) == 0 || !pointerMethod(symbol) {
		return
	}
	l := params[0].Location
	if len(l) == 1 && l[0].Reason == abi.UnknownRegister && l[0].Size == a.PtrSize && params[0].Type.Kind != abi.Struct {
		params[0].Location = abi.Location{{Size: a.PtrSize, Kind: abi.InRegister, Reg: a.Ints[0]}}
	}
}

// pointerMethod reports whether the name is that of a method on a pointer, as
// in "net/http.(*Request).Cookie": not that of a closure in one, nor of a
// method value (cmd/compile/internal/ir: closureName, MethodSym).
func pointerMethod(symbol string) bool {
	symbol = strings.TrimSuffix(symbol, ".abi0")
	if strings.ContainsAny(symbol, "[{ ") {
		return false // type arguments, or a type without a name
	}
	_, rest, ok := strings.Cut(symbol, ".(*")
	if !ok {
		return false
	}
	typ, method, ok := strings.Cut(rest, ").")
	return ok && typ != "" && method != "" && !strings.ContainsAny(typ, "()*") && !strings.ContainsAny(method, ".-()*")
}

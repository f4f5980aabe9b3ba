package probegen

import (
	"fmt"

	"github.com/argtap/argtap/abi"
	"github.com/argtap/argtap/internal/capture"
)

// Names of the maps that only programs with an [Aggregate] refer to.
const (
	// MapKeys is a hash that each CPU has its own values of: from keys of
	// [KeyLayout.Size] bytes to rows of [RowSize] bytes. Only programs with a key
	// refer to it.
	MapKeys = "keys"
	// MapOther is an array that each CPU has its own of, with a row for each
	// [Func.ID]: of all calls where there is no key, else of those for whose key
	// MapKeys had no room.
	MapOther = "other"
	// MapZero is an array of one row that is zero, from which rows are made. Only
	// programs with a key refer to it.
	MapZero = "zero"
)

// Aggregate has calls counted by a key, and a value of them by its size, in place
// of records.
//
// A call is counted when its entry is hit, and at its return if its duration is
// the value; the key is in any case that of the entry, and MapOpen has it in
// between.
type Aggregate struct {
	// Key are the parts of the key, at most [MaxKeyParts]. Layout says where they
	// are, and is the same for all functions of a tracer.
	Key    []KeyPart
	Layout KeyLayout
	// Buckets is what is counted by size: of Value, or of the duration in
	// nanoseconds if that is nil. nil only counts the calls.
	Buckets *Buckets
	Value   *capture.Expr
}

// whole reports whether calls are counted when they return.
func (a *Aggregate) whole() bool { return a != nil && a.Buckets != nil && a.Value == nil }

// Exprs returns all expressions that are computed at the entry.
func (a *Aggregate) Exprs() (all []*capture.Expr) {
	if a == nil {
		return nil
	}
	for _, p := range a.Key {
		if p.Expr != nil {
			all = append(all, p.Expr)
		}
	}
	if a.Value != nil {
		all = append(all, a.Value)
	}
	return all
}

// KeyPart is a part of a key.
type KeyPart struct {
	// Expr is an integer, a bool or a string. Without it the part is what Kind says.
	Expr *capture.Expr
	Kind KeyKind
}

// KeyKind is what else than an expression a part of a key can be.
type KeyKind uint8

// The kinds: the ID of the process, and of the goroutine.
const (
	KeyPID KeyKind = iota + 1
	KeyGoroutine
)

// MaxKeyParts bounds the parts of a key, and MaxKeySize its bytes: the key and the
// words of expressions share the program's stack.
const (
	MaxKeyParts = 4
	MaxKeySize  = 240
)

// KeyLayout says where the parts of a key are. It is
//
//	u32     Func.ID
//	u8[4]   for each part the abi.Reason why it has no value
//	parts   a number of 8 bytes, extended by its signedness; or a string: a u64
//	        with its length, or KeyString+1 if that is larger, and as many bytes
//	        as fit KeyString, zero behind the string's end
//
// A part that has no value is zero. A function may have a number where others have
// a string.
type KeyLayout struct {
	// Strings says for each part whether it has room for a string.
	Strings []bool
}

// KeyString is the number of bytes of a string in a key.
const KeyString = 64

const keyReasons = 4 // the offset of the reasons

// Offset returns where part i begins, in bytes. For i = len(Strings) it is Size.
func (l KeyLayout) Offset(i int) int {
	at := 8
	for _, s := range l.Strings[:i] {
		at += 8
		if s {
			at += KeyString
		}
	}
	return at
}

// Size returns the size of a key in bytes, 0 if it has no parts: then there is
// none.
func (l KeyLayout) Size() int {
	if len(l.Strings) == 0 {
		return 0
	}
	return l.Offset(len(l.Strings))
}

// OpenSize returns the size of a value of MapOpen.
func (a *Aggregate) OpenSize() int {
	if a == nil {
		return OpenSize
	}
	return OpenSize + a.Layout.Size()
}

// Where a program keeps what it aggregates on its stack: below what expressions
// use. The value of MapOpen is followed by the key.
const keyEnd = -8 * exprStack

func (a *Aggregate) keyAt() int16 { return keyEnd - int16(a.Layout.Size()) }

func (a *Aggregate) openAt() int16 { return a.keyAt() - OpenSize }

// checkAggregate returns why f cannot be aggregated, "" if it can.
func (g *gen) checkAggregate(f *Func) string {
	a := f.Aggregate
	switch {
	case a == nil:
		return ""
	case len(a.Key) > MaxKeyParts || len(a.Layout.Strings) != len(a.Key):
		return fmt.Sprintf("a key has at most %d parts", MaxKeyParts)
	case a.Layout.Size() > MaxKeySize:
		return "the key is too long"
	case a.whole() != f.pairs():
		return "a duration needs whole calls, and nothing else does"
	case f.Role != RoleEntry && f.Role != RoleReturn:
		return "only entries and returns are aggregated"
	case a.Buckets != nil:
		return a.Buckets.check()
	}
	return ""
}

// CheckKey returns why no program can have an expression in a key, "" if one can.
func CheckKey(a *abi.Arch, e *capture.Expr) string {
	switch k := e.Root.Type.Kind; {
	case k == abi.String, k == abi.Bool, integer(k):
	default:
		return fmt.Sprintf("a key is an integer, a bool or a string; this is %s", e.Root.Type)
	}
	return checkAggregated(a, e, func(x *compiler) { x.keyPart(keyEnd - MaxKeySize) })
}

// CheckValue returns why no program can count an expression by its size, "" if one
// can.
func CheckValue(a *abi.Arch, e *capture.Expr) string {
	if !integer(e.Root.Type.Kind) {
		return fmt.Sprintf("what is counted by size is an integer, or \"duration\"; this is %s", e.Root.Type)
	}
	return checkAggregated(a, e, (*compiler).number)
}

func integer(k abi.Kind) bool { return k >= abi.Int && k <= abi.Uintptr }

func checkAggregated(a *abi.Arch, e *capture.Expr, generate func(*compiler)) string {
	g := &gen{opts: Options{CPUs: 1, Sleepable: true}, machine: machines[a.GOARCH], arch: a}
	if g.machine == nil {
		return "unsupported architecture"
	}
	x := g.compiler(&Func{}, e)
	generate(x)
	if x.err == "" && len(g.ins) > maxExpr {
		x.err = "it is too long"
	}
	if x.err != "" {
		return "a probe cannot compute this: " + x.err
	}
	return ""
}

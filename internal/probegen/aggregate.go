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
// A call is counted when its entry is hit, or at its return, if its duration is the
// value or AtReturn says so. Then MapOpen has in between what is known of the key,
// and of the value, at the entry.
type Aggregate struct {
	// Key are the parts of the key, at most [MaxKeyParts]. Layout says where they
	// are, and is the same for all functions of a tracer.
	Key    []KeyPart
	Layout KeyLayout
	// Buckets is what is counted by size: of Value, or of the duration in
	// nanoseconds if that is nil. nil only counts the calls.
	Buckets *Buckets
	Value   *capture.Expr
	// AtReturn has calls counted when they return: their conditions, the key or the
	// value need what is known only then.
	AtReturn bool
	// KeepValue makes room in the values of MapOpen for a value of the entry. Like
	// Layout it is the same for all functions of a tracer.
	KeepValue bool
	// Unwinds has calls that are open, and in whose place another begins, sent to the
	// tracer with all that is kept of them ([capture.KindLeft]): it finds out whether a
	// panic left them. It is the same for all functions of a tracer.
	Unwinds bool
}

// Durations reports whether what is counted by size is how long calls take.
func (a *Aggregate) Durations() bool { return a != nil && a.Buckets != nil && a.Value == nil }

// Whole reports whether calls are counted when they return.
func (a *Aggregate) Whole() bool { return a != nil && (a.AtReturn || a.Durations()) }

// KeepsValue reports whether a value that the entry has waits for the return.
func (a *Aggregate) KeepsValue() bool {
	return a.Whole() && a.Value != nil && !a.Value.Return
}

// Exprs returns all expressions that are computed at the entry, or at the return.
func (a *Aggregate) Exprs(atReturn bool) (all []*capture.Expr) {
	if a == nil {
		return nil
	}
	for _, p := range a.Key {
		if p.Expr != nil && p.Expr.Return == atReturn {
			all = append(all, p.Expr)
		}
		if p.Unwound != nil && !atReturn {
			all = append(all, p.Unwound)
		}
	}
	if a.Value != nil && a.Value.Return == atReturn {
		all = append(all, a.Value)
	}
	return all
}

// KeyPart is a part of a key.
type KeyPart struct {
	// Expr is an integer, a bool or a string. Without it the part is what Kind says.
	Expr *capture.Expr
	Kind KeyKind
	// Unwound is what the entry has in the place of an Expr of the return, for the case
	// that the call is left by a panic, nil if the part has no value then.
	Unwound *capture.Expr
}

// KeyKind is what else than an expression a part of a key can be.
type KeyKind uint8

// The kinds: the ID of the process, of the goroutine, and of that which made it, 0 if
// none did; what g.gopc has, as the binary states it, or 0; and the ID of the call's
// stack in [MapStacks], or why there is none, as at capture.StackID.
const (
	KeyPID KeyKind = iota + 1
	KeyGoroutine
	KeyParent
	KeyCreator
	KeyStack
)

// MaxKeyParts bounds the parts of a key, and MaxKeySize its bytes, with those of what
// is kept of the call until it returns: they and the words of expressions share the
// program's stack.
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

// KeyReasons is the offset of the reasons in a key, in bytes.
const KeyReasons = 4

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

// keptValue is the size in bytes of a value that waits for the return: the value, and
// the reason why there is none.
const keptValue = 16

// OpenSize returns the size of a value of MapOpen, but for the words of
// [Options].Kept.
func (a *Aggregate) OpenSize() int {
	if a == nil {
		return OpenSize
	}
	return OpenSize + a.keptSize()
}

// keptSize is the size in bytes of the key, and the value if there is room for it.
func (a *Aggregate) keptSize() int {
	if a.KeepValue {
		return a.Layout.Size() + keptValue
	}
	return a.Layout.Size()
}

// Where a program keeps what it aggregates on its stack: below what expressions
// use, in the order in which a value of MapOpen has it. That is followed by the words
// of [Options].Kept, the key, and the value.
const keyEnd = -8 * exprStack

func (a *Aggregate) keyAt() int16 { return keyEnd - int16(a.keptSize()) }

func (a *Aggregate) valueAt() int16 { return keyEnd - keptValue }

func (a *Aggregate) openAt(kept int) int16 { return a.keyAt() - 8*int16(kept) - OpenSize }

// checkAggregate returns why f cannot be aggregated, "" if it can.
func (g *gen) checkAggregate(f *Func) string {
	a := f.Aggregate
	switch {
	case a == nil:
		return ""
	case len(a.Key) > MaxKeyParts || len(a.Layout.Strings) != len(a.Key):
		return fmt.Sprintf("a key has at most %d parts", MaxKeyParts)
	case a.keptSize()+8*g.opts.Kept > MaxKeySize:
		return "the key is too long, with what is kept of a call"
	case a.Whole() != f.pairs():
		return "what is known at the return needs whole calls, and nothing else does"
	case f.Role != RoleEntry && f.Role != RoleReturn:
		return "only entries and returns are aggregated"
	case !a.AtReturn && (len(a.Exprs(true)) > 0 || f.pairs() && f.Role == RoleReturn && len(f.Where) > 0):
		return "what it needs of the return is not known at the entry"
	case a.KeepsValue() && !a.KeepValue:
		return "there is no room for its value"
	case f.Role == RoleEntry && a.stacks() && f.Plan.StackDepth == 0:
		return "a key by stacks needs the depth of them"
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
		return fmt.Sprintf("a key is an integer, a bool or a string; this is %s: %s", e.Root.Type, instead(k))
	}
	return checkAggregated(a, e, func(x *compiler) { x.keyPart(keyEnd - MaxKeySize) })
}

// CheckValue returns why no program can count an expression by its size, "" if one
// can.
func CheckValue(a *abi.Arch, e *capture.Expr) string {
	if !integer(e.Root.Type.Kind) {
		return fmt.Sprintf("what is counted by size is an integer, or \"duration\"; this is %s: %s", e.Root.Type, insteadOfSize(e.Root.Type.Kind))
	}
	return checkAggregated(a, e, (*compiler).number)
}

// instead says what of a value may be in a key that is none itself.
func instead(k abi.Kind) string {
	switch k {
	case abi.Interface, abi.Pointer, abi.UnsafePointer, abi.Func:
		return "ask for a part of it, or whether it is nil, by == nil"
	case abi.Slice, abi.Map, abi.Chan:
		return "ask for its len, or for a part of it"
	case abi.Float32, abi.Float64:
		return "compare it with something, or convert it to an integer"
	}
	return "ask for a part of it"
}

// insteadOfSize says what of a value may be counted by its size that cannot itself.
func insteadOfSize(k abi.Kind) string {
	switch k {
	case abi.String, abi.Slice, abi.Map, abi.Chan:
		return "ask for its len"
	case abi.Bool:
		return "make it a part of the key"
	case abi.Float32, abi.Float64:
		return "convert it to an integer"
	}
	return "ask for a part of it"
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

// stacks reports whether a part of the key is a stack.
func (a *Aggregate) stacks() bool {
	for _, p := range a.Key {
		if p.Kind == KeyStack {
			return true
		}
	}
	return false
}

package uprobe

import (
	"slices"
	"strings"

	"github.com/argtap/argtap/abi"
	"github.com/argtap/argtap/internal/expr"
	"github.com/argtap/argtap/internal/probegen"
)

// Calls that are left by a panic do not come to a probe. Where conditions or keys ask
// for them, the kernel sends what it has kept of a call when another begins in its
// place, the tracer looks for those that are left besides (see unwinder), and counts
// the ones that a panic has left, by the key and the value that the entry has made.

// unwoundPart returns what a part of a key is when the call returns, and sets what it
// is if a panic leaves the call.
func (c *exprCompiler) unwoundPart(s *returnScope, part *aggregatedPart) (*expr.Node, error) {
	asks := func(n int64) bool { return n == s.panicked }
	if expr.Find(part.root, asks) == nil {
		return part.root, nil
	}
	truth := func(panicked bool) *expr.Node {
		return expr.Replace(part.root, func(p *expr.Node) *expr.Node {
			if asks(p.N) {
				return expr.Bool(p, panicked)
			}
			return p
		})
	}
	part.panicked = true
	if rest, ok := expr.Remains(truth(true), s.late); ok {
		part.unwound = c.of(rest)
		if at := asserts(rest); at != nil && c.descriptors == 0 {
			return nil, noDescriptors(part.text, at)
		}
		if why := probegen.CheckKey(c.b.arch, part.unwound); why != "" {
			return nil, &ExprError{Text: part.text, Column: rest.Column, Message: why}
		}
	}
	return truth(false), nil
}

// namesPanicked reports whether keys or conditions perhaps ask for calls that a panic
// leaves: records tell of these, so the buffer is needed.
func (o *options) namesPanicked() bool {
	names := func(text string) bool { return strings.Contains(text, panickedName) }
	return slices.ContainsFunc(o.conds, names) || slices.ContainsFunc(o.aggregate.by, names)
}

// unwinds reports whether calls that a panic leaves are counted, of any of the
// functions: it is the same for all.
func unwinds(funcs []*Func) bool {
	return len(funcs) > 0 && funcs[0].aggregated != nil && funcs[0].aggregated.program.Unwinds
}

// keptWords is how many words are kept of a call until it returns.
func (f *Func) keptWords() int {
	p := probegen.Func{Keep: f.atReturn.keep}
	if f.aggregated != nil && f.aggregated.program.Unwinds {
		p.Unwound = f.atReturn.unwoundIf
	}
	return p.KeptWords()
}

// keptCall is what the kernel has kept of a call whose calls are counted when they
// return: a value of the map of open calls, of which kept words are for conditions.
type keptCall struct {
	value []byte
	kept  int
}

// unwoundCounts reports whether a call that a panic has left meets the conditions.
func (f *Func) unwoundCounts(k keptCall) bool {
	switch r := f.atReturn; {
	case r == nil:
		return true
	case r.unwoundIf != nil:
		return probegen.KeptWord(k.value, 1+len(r.keep)) == 1
	default:
		return r.unwound == expr.Met
	}
}

// unwoundKey returns the key under which a call is counted that a panic has left, nil
// if there is none: results have no value.
func (f *Func) unwoundKey(k keptCall) []byte {
	a := f.aggregate()
	if a.Layout.Size() == 0 {
		return nil
	}
	key := slices.Clone(a.KeptKey(k.value, k.kept))
	for i, p := range a.Key {
		if p.Expr != nil && p.Expr.Return && p.Unwound == nil {
			key[probegen.KeyReasons+i] = byte(abi.NotReturned)
		}
	}
	return key
}

// unwoundValue returns the value by whose size the call is counted, or why it has
// none.
func (f *Func) unwoundValue(k keptCall) (v uint64, why abi.Reason) {
	a := f.aggregate()
	if !a.KeepsValue() {
		return 0, abi.NotReturned
	}
	return a.KeptValue(k.value, k.kept)
}

// one adds a call with a value, or one that has none for a reason. b is nil if calls
// are counted only.
func (y *tally) one(b *probegen.Buckets, v uint64, why abi.Reason) {
	switch {
	case b == nil:
		y.count++
		return
	case y.buckets == nil:
		y.buckets, y.least = make([]uint64, b.Len()), ^uint64(0)
	}
	if why != abi.Present {
		y.absent++
		y.why |= 1 << why
		return
	}
	y.count++
	var high uint64
	if b.Signed && int64(v) < 0 {
		high = ^uint64(0)
	}
	y.addSum(v, high)
	y.most, y.least = max(y.most, b.Ordered(v)), min(y.least, b.Ordered(v))
	y.buckets[b.Bucket(v)]++
}

// clone returns a row with buckets of its own.
func (y *tally) clone() *tally {
	c := *y
	c.buckets = slices.Clone(y.buckets)
	return &c
}

package uprobe

import (
	"github.com/argtap/argtap/abi"
	"github.com/argtap/argtap/internal/capture"
	"github.com/argtap/argtap/internal/expr"
)

// showsRedacted reports whether an expression is made of a value that is redacted:
// a part, an element, the length of one, or what it compares as.
func showsRedacted(r *capture.Redaction, n *expr.Node) bool {
	return r != nil && anyNode(n, func(n *expr.Node) bool {
		return r.Type(n.Type) || n.Op == expr.Field && fieldRedacted(r, n)
	})
}

// fieldRedacted reports whether a field is redacted by its name. The expression
// does not have the name of an embedded one.
func fieldRedacted(r *capture.Redaction, n *expr.Node) bool {
	for _, f := range n.X.Type.Fields {
		if f.Offset == n.N && f.Type != nil && f.Type.Name == n.Type.Name && r.Name(f.Name) {
			return true
		}
	}
	return false
}

// redactInstances redacts expressions over parameters of generic code that have a
// type that is redacted in one of the instances: the types of expressions are
// shapes, in which it has no name.
func (f *Func) redactInstances(r *capture.Redaction) {
	if r == nil || f.captures == nil {
		return
	}
	hidden := f.hiddenParams(r)
	for i := range f.inputs {
		in := &f.inputs[i]
		if in.Expr != nil && anyNode(in.Expr.Root, func(n *expr.Node) bool { return n.Op == expr.Param && hidden[n.N] }) {
			in.Redacted = true
		}
	}
}

// hiddenParams returns the parameters of generic code that have a type that is
// redacted in one of the instances.
func (f *Func) hiddenParams(r *capture.Redaction) map[int64]bool {
	hidden := make(map[int64]bool)
	if r == nil {
		return hidden
	}
	for i := range f.instances {
		for j, t := range f.instances[i].types {
			if t != nil && !hidden[int64(j)] {
				hidden[int64(j)] = holdsRedacted(r, t, make(map[*abi.Type]bool))
			}
		}
	}
	return hidden
}

// holdsRedacted reports whether a type that is redacted is part of t, or of what
// it refers to.
func holdsRedacted(r *capture.Redaction, t *abi.Type, seen map[*abi.Type]bool) bool {
	if t == nil || seen[t] {
		return false
	}
	seen[t] = true
	if r.Type(t) || holdsRedacted(r, t.Elem, seen) || holdsRedacted(r, t.Key, seen) {
		return true
	}
	for _, f := range t.Fields {
		if holdsRedacted(r, f.Type, seen) {
			return true
		}
	}
	return false
}

// anyNode reports whether is holds for an operation of a tree.
func anyNode(n *expr.Node, is func(*expr.Node) bool) bool {
	return n != nil && (is(n) || anyNode(n.X, is) || anyNode(n.Y, is) || anyNode(n.Hi, is) || anyNode(n.Max, is))
}

package uprobe

import (
	"fmt"
	"slices"

	"github.com/argtap/argtap/abi"
	"github.com/argtap/argtap/symbols"
)

// byElimination says how a wrapper that neither calls a method nor shows that it has
// inlined it comes to it; ReachUnknown without a reason if it is that of another
// method.
//
// Of a method that returns a constant, or does nothing, no instruction is left that
// is known to be its: neither the function table nor the debug information tells of
// it. But where the wrapper leads to nothing else, the method can only be there.
func (b *executable) byElimination(w *madeBy, m *method, r *reaches, o *options) (how Reach, why string) {
	of, _, _ := symbols.MethodName(w.Name)
	name, isPtr := plainReceiver(of)
	ownName, ownPtr := m.receiver()
	certain := name == ownName && (isPtr == ownPtr || isPtr && !w.value)
	none := len(r.inlined) == 0 && !r.open && b.leadsNowhere(r)
	switch {
	case certain && none:
		return ReachInlined, ""
	case certain:
		return ReachUnknown, "nothing tells how it comes to the method"
	case !none || w.value || b.dwarf == nil:
		return ReachUnknown, ""
	}
	_, local, _ := symbols.MethodName(m.called)
	return b.promotes(name, ownName, "."+local, o)
}

// leadsNowhere reports whether a wrapper calls nothing but what the runtime needs to
// grow the stack and to panic because of a nil receiver.
func (b *executable) leadsNowhere(r *reaches) bool {
	for _, l := range r.leaves {
		switch name, _ := b.names.name(uint64(l.Target)); name {
		case "runtime.panicwrap", "runtime.morestack", "runtime.morestack.abi0",
			"runtime.morestack_noctxt", "runtime.morestack_noctxt.abi0":
		default:
			return false
		}
	}
	return true
}

// promotes says whether the method, which is ".M" of type inner, is the one that type
// outer has by embedding. Another embedded type may have it, too, nearer or not,
// and all its code be inlined; so there must not be any.
func (b *executable) promotes(outer, inner, method string, o *options) (how Reach, why string) {
	t, err := b.dwarf.Struct(outer, typeDepth(o))
	if err != nil {
		return ReachUnknown, "" // it is not known to embed anything
	}
	is := func(x *abi.Type) bool { return x.Name == inner || x.Name == "*"+inner }
	path, err := promoted(t, is)
	if err != nil {
		return ReachUnknown, ""
	}
	for i, f := range path {
		if t.Kind == abi.Pointer {
			t = t.Elem
		}
		if n := countEmbedded(t); n != 1 {
			return ReachUnknown, fmt.Sprintf("nothing is left that tells which method it has inlined, and %s embeds %d types", t, n)
		}
		if t = f.Type; i == len(path)-1 {
			break
		}
		own := t.Name
		if t.Kind == abi.Pointer && t.Elem != nil {
			own = t.Elem.Name
		}
		if !b.promotedTo(own, method) {
			return ReachUnknown, fmt.Sprintf("nothing is left that tells which method it has inlined, and perhaps %s has its own", own)
		}
	}
	return ReachInlined, ""
}

func countEmbedded(t *abi.Type) (n int) {
	for i := range t.Fields {
		if t.Fields[i].Embedded {
			n++
		}
	}
	return n
}

// promotedTo reports whether a type is known to have a method by embedding only.
func (b *executable) promotedTo(typ, method string) bool {
	for _, name := range []string{typ + method, pointerTo(typ) + method} {
		s, err := b.file.Lookup(name)
		if err != nil {
			continue
		}
		if _, generated, err := b.asWrapper(s); err == nil {
			return generated
		}
	}
	return false
}

// pointerTo returns how methods on pointers to a type write their receiver.
func pointerTo(typ string) string {
	recv, name, ok := symbols.MethodName(typ + ".M")
	if !ok || name != "M" {
		return typ
	}
	// The package ends at the first dot behind its last slash.
	from := 0
	for i, c := range recv {
		if c == '[' {
			break
		}
		if c == '/' {
			from = i
		}
	}
	dot := slices.Index([]byte(recv[from:]), '.') + from
	return recv[:dot+1] + "(*" + recv[dot+1:] + ")"
}

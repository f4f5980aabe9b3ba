package rtype

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/argtap/argtap/abi"
)

const (
	// maxTypeName bounds the name of a type, in bytes.
	maxTypeName = 1 << 16
	// maxTypeNest bounds types within types.
	maxTypeNest = 128
	// shapes is the package that shapes of type arguments are in
	// (cmd/compile/internal/types.ShapePkg). Its name has a dot, and its path
	// is not escaped.
	shapes = "go.shape"
)

var errTooDeep = errors.New("nested too deep")

// typeName returns the name of a type as debug information has it, which is
// that of the descriptor's symbol: with full package paths where the
// descriptor's own string has package names
// (cmd/compile/internal/types/fmt.go, fmtTypeID). What the descriptor does not
// tell is the number behind the name of a type that was declared in a function.
func (r reader) typeName(off offset) (string, error) {
	w := nameWriter{r: r}
	if err := w.typ(off, 0); err != nil {
		return "", err
	}
	return w.b.String(), nil
}

// nameWriter writes names of types.
type nameWriter struct {
	r reader
	b strings.Builder
}

func (w *nameWriter) typ(off offset, nest int) error {
	t, err := w.r.descriptor(off)
	if err != nil {
		return err
	}
	if nest > maxTypeNest {
		return bad(off, "type: %w", errTooDeep)
	}
	if w.b.Len() > maxTypeName {
		return bad(off, "the name of a type of more than %d bytes", maxTypeName)
	}
	if t.tflag&flagNamed != 0 {
		return w.named(t)
	}
	elem := func(prefix string, at int64) error {
		w.b.WriteString(prefix)
		e, err := w.r.pointer(t.off + offset(at))
		if err != nil {
			return err
		}
		return w.typ(e, nest+1)
	}
	first, ptr := w.r.typeSize(), w.r.layout.ptr
	switch t.kind {
	case abi.Pointer:
		return elem("*", first)
	case abi.Slice:
		return elem("[]", first)
	case abi.Array:
		n, err := w.r.bytes(t.off+offset(first+2*ptr), ptr)
		if err != nil {
			return err
		}
		return elem("["+strconv.FormatUint(w.r.word(n), 10)+"]", first)
	case abi.Map:
		if err := elem("map[", first); err != nil {
			return err
		}
		return elem("]", first+ptr)
	case abi.Chan:
		return w.channel(t, elem)
	case abi.Func:
		w.b.WriteString("func")
		return w.signature(t, nest)
	case abi.Interface:
		return w.interfaceType(t, nest)
	case abi.Struct:
		return w.structType(t, nest)
	}
	n, err := w.r.name(t.str)
	w.b.WriteString(n.text)
	return err
}

// named writes the name of a declared type: its package's path, and what its
// string has behind the package's name.
func (w *nameWriter) named(t descriptor) error {
	n, err := w.r.name(t.str)
	if err != nil {
		return err
	}
	text := n.text
	if t.tflag&flagExtraStar != 0 {
		text = strings.TrimPrefix(text, "*")
	}
	u, ok, err := w.r.uncommon(t)
	if err != nil {
		return err
	}
	if ok && u.pkgPath != 0 {
		path, err := w.r.name(u.pkgPath)
		if err != nil {
			return err
		}
		if local, ok := strings.CutPrefix(text, shapes+"."); ok && path.text == shapes {
			w.b.WriteString(shapes + ".")
			text = local
		} else if _, local, ok := strings.Cut(text, "."); ok && path.text != "" {
			w.b.WriteString(escape(path.text))
			w.b.WriteByte('.')
			text = local
		}
	}
	w.b.WriteString(text)
	return nil
}

func (w *nameWriter) channel(t descriptor, elem func(string, int64) error) error {
	b, err := w.r.bytes(t.off+offset(w.r.typeSize()+w.r.layout.ptr), w.r.layout.ptr)
	if err != nil {
		return err
	}
	const recv, send = 1, 2 // reflect.ChanDir
	switch w.r.word(b) {
	case recv:
		return elem("<-chan ", w.r.typeSize())
	case send:
		return elem("chan<- ", w.r.typeSize())
	}
	e, err := w.r.pointer(t.off + offset(w.r.typeSize()))
	if err != nil {
		return err
	}
	ed, err := w.r.descriptor(e)
	if err != nil {
		return err
	}
	// "chan <-chan T" would be read as "chan<- chan T".
	if ed.kind == abi.Chan && ed.tflag&flagNamed == 0 {
		b, err := w.r.bytes(e+offset(w.r.typeSize()+w.r.layout.ptr), w.r.layout.ptr)
		if err != nil {
			return err
		}
		if w.r.word(b) == recv {
			if err := elem("chan (", w.r.typeSize()); err != nil {
				return err
			}
			w.b.WriteByte(')')
			return nil
		}
	}
	return elem("chan ", w.r.typeSize())
}

// signature writes the parameters and results of a func type.
func (w *nameWriter) signature(t descriptor, nest int) error {
	in, out, variadic, err := w.r.params(t)
	if err != nil {
		return err
	}
	list := func(types []offset, variadic bool) error {
		for i, p := range types {
			if i > 0 {
				w.b.WriteString(", ")
			}
			if variadic && i == len(types)-1 {
				// The slice's element.
				d, err := w.r.descriptor(p)
				if err != nil {
					return err
				}
				if d.kind != abi.Slice {
					return bad(p, "variadic parameter of kind %s", d.kind)
				}
				if p, err = w.r.pointer(p + offset(w.r.typeSize())); err != nil {
					return err
				}
				w.b.WriteString("...")
			}
			if err := w.typ(p, nest+1); err != nil {
				return err
			}
		}
		return nil
	}
	w.b.WriteByte('(')
	if err := list(in, variadic); err != nil {
		return err
	}
	w.b.WriteByte(')')
	switch len(out) {
	case 0:
		return nil
	case 1:
		w.b.WriteByte(' ')
		return list(out, false)
	}
	w.b.WriteString(" (")
	if err := list(out, false); err != nil {
		return err
	}
	w.b.WriteByte(')')
	return nil
}

func (w *nameWriter) interfaceType(t descriptor, nest int) error {
	methods, err := w.r.imethods(t)
	if err != nil {
		return err
	}
	pkg, err := w.r.pkgPath(t)
	if err != nil {
		return err
	}
	if len(methods) == 0 {
		w.b.WriteString("interface {}")
		return nil
	}
	w.b.WriteString("interface { ")
	for i, m := range methods {
		if i > 0 {
			w.b.WriteString("; ")
		}
		n, err := w.r.name(m.name)
		if err != nil {
			return err
		}
		if err := w.member(pkg, n); err != nil {
			return err
		}
		f, err := w.r.descriptor(m.typ)
		if err == nil {
			err = w.signature(f, nest+1)
		}
		if err != nil {
			return err
		}
	}
	w.b.WriteString(" }")
	return nil
}

func (w *nameWriter) structType(t descriptor, nest int) error {
	fields, err := w.r.fields(t)
	if err != nil {
		return err
	}
	pkg, err := w.r.pkgPath(t)
	if err != nil {
		return err
	}
	if len(fields) == 0 {
		w.b.WriteString("struct {}")
		return nil
	}
	w.b.WriteString("struct { ")
	for i, f := range fields {
		if i > 0 {
			w.b.WriteString("; ")
		}
		if !f.embedded {
			if err := w.member(pkg, f.name); err != nil {
				return err
			}
			w.b.WriteByte(' ')
		}
		if err := w.typ(f.typ, nest+1); err != nil {
			return fmt.Errorf("field %s: %w", f.text, err)
		}
		if f.tag != "" {
			w.b.WriteByte(' ')
			w.b.WriteString(strconv.Quote(f.tag))
		}
	}
	w.b.WriteString(" }")
	return nil
}

// member writes the name of a field or method, with the package's if it belongs
// to one: its own, or that of the type.
func (w *nameWriter) member(pkg string, n name) error {
	if n.pkgPath != 0 {
		p, err := w.r.name(n.pkgPath)
		if err != nil {
			return err
		}
		pkg = p.text
	}
	if !n.exported && pkg != "" && (n.text != "_" || w.r.blankInPackage) {
		w.b.WriteString(escape(pkg))
		w.b.WriteByte('.')
	}
	w.b.WriteString(n.text)
	return nil
}

// escape writes an import path as symbols have it
// (cmd/internal/objabi.PathToPrefix): some characters, and dots behind the last
// slash, as "%2e".
func escape(path string) string {
	slash := strings.LastIndexByte(path, '/')
	special := func(i int) bool {
		c := path[i]
		return c <= ' ' || c == '.' && i > slash || c == '%' || c == '"' || c >= 0x7f
	}
	var b strings.Builder
	for i := range len(path) {
		if special(i) {
			fmt.Fprintf(&b, "%%%02x", path[i])
		} else {
			b.WriteByte(path[i])
		}
	}
	return b.String()
}

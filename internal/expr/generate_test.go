package expr

import (
	"fmt"
	"go/types"
	"strconv"
	"strings"
)

func (w *world) pick(list ...string) string { return list[w.rnd.IntN(len(list))] }

// path writes a variable with what can be done to its type, and says which type
// that gives.
func (w *world) path(depth int) (string, types.Type) {
	v := w.vars[w.rnd.IntN(len(w.vars))]
	text, t := v.Name(), v.Type()
	for w.rnd.IntN(8) > 0 {
		switch u := t.Underlying().(type) {
		case *types.Pointer:
			if st, ok := u.Elem().Underlying().(*types.Struct); ok && w.rnd.IntN(4) > 0 {
				if name, ft := w.field(st, 3); ft != nil {
					text, t = text+"."+name, ft
					continue
				}
			}
			if at, ok := u.Elem().Underlying().(*types.Array); ok && w.rnd.IntN(2) == 0 {
				text, t = text+"["+w.indexText(depth)+"]", at.Elem()
				continue
			}
			text, t = "(*"+text+")", u.Elem()
		case *types.Struct:
			name, ft := w.field(u, 3)
			if ft == nil {
				return text, t
			}
			text, t = text+"."+name, ft
		case *types.Array:
			if w.rnd.IntN(5) == 0 {
				text, t = w.sliceText(text, depth), types.NewSlice(u.Elem())
				continue
			}
			text, t = text+"["+w.indexText(depth)+"]", u.Elem()
		case *types.Slice:
			if w.rnd.IntN(4) == 0 {
				text = w.sliceText(text, depth)
				continue
			}
			text, t = text+"["+w.indexText(depth)+"]", u.Elem()
		case *types.Map:
			text, t = text+"["+w.keyText(u.Key())+"]", u.Elem()
		case *types.Interface:
			to := w.dyn[w.rnd.IntN(len(w.dyn))]
			text, t = text+".("+types.TypeString(to, func(p *types.Package) string {
				if p.Path() == "main" {
					return w.pick("", "main")
				}
				return p.Name()
			})+")", to
		case *types.Basic:
			switch {
			case u.Kind() == types.String && w.rnd.IntN(3) == 0:
				text = w.sliceText(text, depth)
				continue
			case u.Kind() == types.String && w.rnd.IntN(3) == 0:
				return text + "[" + w.indexText(depth) + "]", types.Typ[types.Uint8]
			case u.Info()&types.IsComplex != 0 && w.rnd.IntN(2) == 0:
				text, t = w.pick("real", "imag")+"("+text+")", types.Typ[types.Float64]
				if u.Kind() == types.Complex64 {
					t = types.Typ[types.Float32]
				}
			}
			return text, t
		default:
			return text, t
		}
	}
	return text, t
}

// field chooses a field, perhaps a promoted one. Whether its name is ambiguous
// is for the judge to say.
func (w *world) field(st *types.Struct, depth int) (string, types.Type) {
	if st.NumFields() == 0 {
		return "", nil
	}
	f := st.Field(w.rnd.IntN(st.NumFields()))
	if f.Embedded() && depth > 0 && w.rnd.IntN(2) == 0 {
		t := f.Type()
		if p, ok := t.Underlying().(*types.Pointer); ok {
			t = p.Elem()
		}
		if inner, ok := t.Underlying().(*types.Struct); ok {
			return w.field(inner, depth-1)
		}
	}
	if f.Name() == "_" {
		return "", nil
	}
	return f.Name(), f.Type()
}

func (w *world) indexText(depth int) string {
	if w.rnd.IntN(3) > 0 || depth <= 0 {
		return strconv.Itoa(w.rnd.IntN(5))
	}
	return w.intText(depth - 1)
}

func (w *world) sliceText(text string, depth int) string {
	limit := func() string {
		if w.rnd.IntN(3) == 0 {
			return ""
		}
		return w.indexText(depth)
	}
	if w.rnd.IntN(6) == 0 {
		return fmt.Sprintf("%s[%s:%s:%s]", text, limit(), w.indexText(depth), w.indexText(depth))
	}
	return text + "[" + limit() + ":" + limit() + "]"
}

func (w *world) keyText(t types.Type) string {
	b, ok := t.Underlying().(*types.Basic)
	switch {
	case ok && b.Info()&types.IsString != 0:
		return w.pick(`"a"`, `"key"`, `""`, `"x"+"y"`)
	case ok && b.Info()&types.IsBoolean != 0:
		return w.pick("true", "false", "1 < 2")
	}
	return w.pick("0", "1", "2", "1+1", "'a'-95", "127")
}

// constants are many kinds of literals.
func (w *world) constText() string {
	return w.pick("0", "1", "2", "3", "7", "10", "100", "127", "128", "255", "256", "-1", "-128", "32767", "65535", "1<<31", "1<<63-1",
		"-1<<63", "1<<64-1", "'a'", "1.0", "2.5", "1e3", "0x1p-2", "0b101", "1_000", "3i", "5/2", "5/2.0", "7%4", "^0", "-'b'", "1<<3|1",
		"len(\"abc\")", "1e100", "1<<70>>68", "int8(5)", "uint16(1<<15)", "MyInt(-3)", "6.0", "float32(0.1)", "0.1", "real(2i+1)", "imag(2i)", "^uint8(3)", "-uint8(0)")
}

// intText writes an integer expression, mostly.
func (w *world) intText(depth int) string {
	for try := 0; ; try++ {
		switch n := w.rnd.IntN(14); {
		case n < 4 || depth <= 0:
			text, t := w.path(depth - 1)
			if b, ok := t.Underlying().(*types.Basic); ok && b.Info()&types.IsInteger != 0 || try > 8 {
				return text
			}
		case n == 4:
			return w.constText()
		case n < 8:
			x := w.intText(depth - 1)
			y := x
			if w.rnd.IntN(2) == 0 {
				if y = w.constText(); w.rnd.IntN(2) == 0 {
					x, y = y, x
				}
			} else if t, err := w.check(x); err == nil {
				y = types.TypeString(t, plain) + "(" + w.intText(depth-1) + ")"
			}
			return "(" + x + " " + w.pick("+", "-", "*", "/", "%", "&", "|", "^", "&^") + " " + y + ")"
		case n < 10:
			count := w.pick("1", "3", "n", "n", "7", "i", "31", "64", "uint8(i)")
			if w.rnd.IntN(3) == 0 {
				count = w.intText(depth - 1)
			}
			x := w.intText(depth - 1)
			if w.rnd.IntN(4) == 0 {
				x = w.pick("1", "3", "-1", "1.0", "'a'", "255")
			}
			return "(" + x + w.pick("<<", ">>") + count + ")"
		case n == 10:
			return w.pick("-", "^", "+") + w.intText(depth-1)
		case n == 11:
			return w.pick("int", "int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64", "uintptr", "byte", "rune", "MyInt", "MyUint", "main.MyByte") +
				"(" + w.intText(depth-1) + ")"
		default:
			text, t := w.path(depth - 1)
			switch t.Underlying().(type) {
			case *types.Slice, *types.Array, *types.Chan:
				return w.pick("len", "cap") + "(" + text + ")"
			case *types.Map:
				return "len(" + text + ")"
			}
			if strings.Contains(t.Underlying().String(), "string") && try > 4 {
				return "len(" + text + ")"
			}
		}
	}
}

// boolText writes a condition, mostly.
func (w *world) boolText(depth int) string {
	switch n := w.rnd.IntN(12); {
	case depth > 0 && n < 3:
		return "(" + w.boolText(depth-1) + w.pick(" && ", " || ") + w.boolText(depth-1) + ")"
	case depth > 0 && n == 3:
		return "!" + w.boolText(depth-1)
	case n < 6:
		return w.intText(depth) + " " + w.comparison() + " " + w.pick(w.constText(), w.intText(depth-1))
	}
	text, t := w.path(depth)
	var other string
	switch u := t.Underlying().(type) {
	case *types.Basic:
		switch {
		case u.Info()&types.IsBoolean != 0:
			return text
		case u.Info()&types.IsString != 0:
			other = w.pick(`"a"`, `"key"`, `""`, `"b"`, `"GET"`, "`x\ty`", `"\xff"`, text)
		case u.Kind() == types.UnsafePointer:
			other = w.pick("nil", text)
		case u.Info()&types.IsFloat != 0:
			other = w.pick("0", "1.5", "0.1", "1e3", "-1", "1e39", text)
		case u.Info()&types.IsComplex != 0:
			other = w.pick("0", "1.5", "2i", "1+2i", text)
			return text + w.pick(" == ", " != ") + other
		default:
			other = w.pick(w.constText(), text)
		}
		return text + " " + w.comparison() + " " + other
	case *types.Chan, *types.Pointer:
		return text + w.pick(" == ", " != ") + w.pick("nil", text)
	}
	if w.rnd.IntN(2) == 0 {
		return "nil" + w.pick(" == ", " != ") + text
	}
	return text + w.pick(" == ", " != ") + "nil"
}

func (w *world) comparison() string { return w.pick("==", "!=", "<", "<=", ">", ">=") }

// expression writes any of them.
func (w *world) expression(depth int) string {
	switch w.rnd.IntN(8) {
	case 0, 1:
		return w.intText(depth)
	case 2, 3, 4:
		return w.boolText(depth)
	}
	text, _ := w.path(depth)
	return text
}

// mutate makes something else of an expression, which is often wrong.
func (w *world) mutate(text string) string {
	words := strings.FieldsFunc(text, func(r rune) bool { return strings.ContainsRune(" ()[].,:&|!=<>+-*/%^", r) })
	word := func() string {
		if len(words) == 0 {
			return "i"
		}
		return words[w.rnd.IntN(len(words))]
	}
	vars := func() string { return w.vars[w.rnd.IntN(len(w.vars))].Name() }
	switch w.rnd.IntN(9) {
	case 0:
		return strings.Replace(text, word(), vars(), 1)
	case 1:
		return strings.Replace(text, word(), w.constText(), 1)
	case 2:
		return strings.Replace(text, word(), w.pick("nil", "true", `"a"`, "len", "_", "int", "zz", "unsafe", "iota", "f0", "g1", "h2", "S0", "any", "x.y"), 1)
	case 3:
		ops := []string{"+", "-", "*", "/", "%", "&", "|", "^", "&^", "<<", ">>", "==", "!=", "<", "<=", ">", ">=", "&&", "||"}
		return strings.Replace(text, ops[w.rnd.IntN(len(ops))], ops[w.rnd.IntN(len(ops))], 1)
	case 4:
		return w.pick("*", "&", "!", "-", "^", "<-", "~", "len", "cap", "real", "string", "[]byte", "func(){}", "float64", "int8", "new", "MyBool") + "(" + text + ")"
	case 5:
		return text + w.pick("[0]", "[i]", "[:]", "[1:0]", "[0:1:0]", ".f0", ".g1", ".M", ".M()", ".(int)", ".(*S0)", ".(I)", "()", "{}", "[-1]", `["a"]`, "[1.0]", "[1.5]", "[nil]", ".(type)", "...")
	case 6:
		return text + " " + w.pick("==", "<", "+", "&&", "<<", "&^") + " " + w.expression(1)
	case 7:
		if len(text) > 1 {
			at := w.rnd.IntN(len(text))
			return text[:at] + text[at+1:]
		}
	}
	return text + w.pick(")", "]", " ", "\n", "+", ".", "//", "/**/")
}

package abi

import "strings"

// Param is a parameter or a result: what assignment needs to know of it.
type Param struct {
	// Name is "_" where it is blank or the source gives none.
	Name string
	// Type must have been read completely through Fields and array elements:
	// a Kind of Invalid there has no layout to assign.
	Type *Type
}

// DictPlace says where a function takes the hidden dictionary of shaped
// generic code: a pointer that uses up one integer register, or one stack word
// where the architecture has none.
type DictPlace uint8

// The places of a dictionary.
const (
	// NoDict: the function takes none. It is no shaped generic code.
	NoDict DictPlace = iota
	// DictFirst: before everything else. Functions; in Go 1.18 and 1.19
	// methods too.
	DictFirst
	// DictAfterReceiver: between the receiver and the first parameter. Methods
	// since Go 1.20.
	DictAfterReceiver
)

// Signature is what a function takes and returns.
type Signature struct {
	// Method says that Params[0] is the receiver. It makes no difference to
	// the assignment, except for the place of a dictionary.
	Method bool
	Dict   DictPlace
	// Params in the order of declaration, receiver first, without the
	// dictionary and without the closure context.
	Params []Param
	// Results in the order of declaration.
	Results []Param
}

// String returns the signature in Go syntax, as in
// "func(n int, s string) (err error)", with a receiver in parentheses of its
// own before the parameters. A dictionary is shown as the parameter ".dict",
// the name that the compiler gives it.
func (s *Signature) String() string {
	var b strings.Builder
	b.WriteString("func")
	params := s.Params
	if s.Method && len(params) > 0 {
		b.WriteString(" (")
		writeParams(&b, params[:1])
		b.WriteString(") ")
		params = params[1:]
	}
	b.WriteByte('(')
	if s.Dict != NoDict {
		b.WriteString(".dict")
		if len(params) > 0 {
			b.WriteString(", ")
		}
	}
	writeParams(&b, params)
	b.WriteByte(')')
	switch {
	case len(s.Results) == 0:
	case len(s.Results) == 1 && unnamed(s.Results[0].Name):
		b.WriteByte(' ')
		b.WriteString(s.Results[0].Type.String())
	default:
		b.WriteString(" (")
		writeParams(&b, s.Results)
		b.WriteByte(')')
	}
	return b.String()
}

// writeParams writes the parameters with their names, or only their types if
// none of them has a name: Go allows no mixture.
func writeParams(b *strings.Builder, params []Param) {
	named := false
	for _, p := range params {
		named = named || !unnamed(p.Name)
	}
	for i, p := range params {
		if i > 0 {
			b.WriteString(", ")
		}
		if named {
			if unnamed(p.Name) {
				b.WriteString("_ ")
			} else {
				b.WriteString(p.Name)
				b.WriteByte(' ')
			}
		}
		b.WriteString(p.Type.String())
	}
}

// unnamed reports whether the name says nothing: blank, or one that the
// compiler made up for its debug information, as "~r0".
func unnamed(name string) bool {
	return name == "" || name == "_" || strings.HasPrefix(name, "~")
}

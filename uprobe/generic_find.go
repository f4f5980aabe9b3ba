package uprobe

import (
	"slices"
	"strings"

	"github.com/argtap/argtap/abi"
	"github.com/argtap/argtap/symbols"
)

// mayShape reports whether type arguments may have shapes, by their names. Those of
// types that are declared do not tell.
func mayShape(shapes, args string) bool {
	for shapes != "" && args != "" {
		var shape, arg string
		shape, shapes = cutArg(shapes)
		arg, args = cutArg(args)
		shape = strings.TrimPrefix(shape, "go.shape.")
		switch {
		case predeclared[arg]:
			if rest, ok := strings.CutPrefix(shape, arg); !ok || rest != "" && rest[0] != '_' {
				return false
			}
		case literal(arg) != "" && !strings.HasPrefix(shape, literal(arg)):
			return false
		}
	}
	return shapes == args
}

// predeclared are the types whose shapes have their names.
var predeclared = func() map[string]bool {
	names := map[string]bool{abi.String.String(): true}
	for k := abi.Bool; k <= abi.Complex128; k++ {
		names[k.String()] = true
	}
	return names
}()

// literal returns how the shapes of types begin that are written as arg is, "" for
// a name.
func literal(arg string) string {
	for _, begin := range []string{"*", "[]", "map[", "func(", "chan ", "<-chan ", "struct {", "interface {"} {
		if strings.HasPrefix(arg, begin) {
			return begin
		}
	}
	if strings.HasPrefix(arg, "[") {
		return arg[:strings.IndexByte(arg, ']')+1]
	}
	return ""
}

// cutArg cuts the first off a list of type arguments.
func cutArg(args string) (first, rest string) {
	depth, quoted := 0, false
	for i := 0; i < len(args); i++ {
		switch c := args[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '[' || c == '(' || c == '{':
			depth++
		case c == ']' || c == ')' || c == '}':
			depth--
		case depth == 0 && (c == ',' || c == ';'):
			return args[:i], args[i+1:]
		}
	}
	return args, ""
}

// selected is a function that a name or pattern selects, with the dictionaries of
// the instances that it is to be traced for; nil for all.
type selected struct {
	symbols.Func
	dicts []symbols.VirtAddr
}

// findInstance returns the code that an instance of a generic function shares with
// others, by the instance's name: with true type arguments. It returns none if
// there is no such code, and a [symbols.NotFoundError] if there is for other
// instances only.
func (b *executable) findInstance(name string, o *options) (found []selected, err error) {
	shared, err := b.file.Generic(name)
	if err != nil {
		return nil, err
	}
	want := canonical(name)
	var others []string
	for _, s := range shared {
		if !strings.Contains(s.Name, "go.shape.") {
			continue
		}
		d, err := b.describe(s, o)
		if err != nil {
			continue
		}
		var dicts []symbols.VirtAddr
		instances := b.instances(s, d, typeDepth(o))
		for _, in := range instances {
			if canonical(in.Name) == want {
				dicts = append(dicts, in.dict.Addr)
			}
			others = append(others, in.Name)
		}
		if len(instances) == 0 {
			others = append(others, s.Name)
		}
		if dicts != nil {
			found = append(found, selected{s, dicts})
		}
	}
	if len(found) == 0 && len(others) > 0 {
		slices.Sort(others)
		others = slices.Compact(others)
		return nil, &symbols.NotFoundError{
			File: b.file.Path(), Name: name, Source: b.file.FuncSource(), Suggestions: others[:min(len(others), maxSuggested)],
		}
	}
	return found, nil
}

// maxSuggested is how many instances an error lists.
const maxSuggested = 12

// isInstance reports whether a name has type arguments, and they are no shapes.
func isInstance(name string) bool {
	return symbols.TypeArgs(name) != "" && symbols.WithoutTypeArgs(name) != name &&
		!strings.Contains(name, "go.shape.") && !strings.Contains(name, "[...]")
}

// canonical returns a name with the type arguments written as the linker writes
// them: without spaces behind commas, without aliases, and with a dot before the
// number of a type that is declared in a function.
func canonical(name string) string {
	for _, r := range [][2]string{
		{", ", ","}, {"interface{", "interface {"}, {"struct{", "struct {"}, {"·", "."},
	} {
		name = strings.ReplaceAll(name, r[0], r[1])
	}
	var b strings.Builder
	for len(name) > 0 {
		n := strings.IndexFunc(name, func(r rune) bool { return !isIdent(r) })
		if n == 0 {
			b.WriteByte(name[0])
			name = name[1:]
			continue
		}
		if n < 0 {
			n = len(name)
		}
		word := name[:n]
		if full, ok := aliases[word]; ok {
			word = full
		}
		b.WriteString(word)
		name = name[n:]
	}
	return b.String()
}

// aliases are predeclared.
var aliases = map[string]string{"any": "interface {}", "byte": "uint8", "rune": "int32"}

// isIdent reports whether a character is part of a name, qualified or not.
func isIdent(r rune) bool {
	return r == '_' || r == '.' || r == '/' || r == '%' || r == '-' || r >= 0x80 ||
		'0' <= r && r <= '9' || 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z'
}

package uprobe

import (
	"strings"

	"github.com/argtap/argtap/abi"
)

// typeName returns the name that %T prints for a value of type t: package
// paths are cut to their last element, but not within type arguments.
func typeName(t *abi.Type) string {
	if t == nil {
		return "?"
	}
	return shortName(t.Name)
}

func shortName(name string) string {
	if !strings.Contains(name, "/") {
		return name
	}
	var b strings.Builder
	start := 0 // of the qualified identifier that is being read
	depth := 0 // of brackets that enclose type arguments
	var brackets []bool
	flush := func(end int) {
		part := name[start:end]
		if depth == 0 {
			if i := strings.LastIndexByte(part, '/'); i >= 0 {
				part = part[i+1:]
			}
		}
		b.WriteString(part)
	}
	for i := 0; i < len(name); i++ {
		switch c := name[i]; c {
		case '[':
			ident := name[start:i]
			args := ident != "" && ident != "map"
			flush(i)
			b.WriteByte(c)
			start = i + 1
			brackets = append(brackets, args)
			if args {
				depth++
			}
		case ']':
			flush(i)
			b.WriteByte(c)
			start = i + 1
			if n := len(brackets); n > 0 {
				if brackets[n-1] {
					depth--
				}
				brackets = brackets[:n-1]
			}
		case '*', '(', ')', '{', '}', ',', ';', ' ', '"':
			flush(i)
			b.WriteByte(c)
			start = i + 1
		}
	}
	flush(len(name))
	return b.String()
}

package uprobe

import (
	"strings"

	"github.com/argtap/argtap/abi"
)

// typeName returns the name that %T prints for a value of type t: package
// paths are cut to their last element, but not within type arguments, and the
// names of fields of anonymous structs stand without their package. Types that
// are declared in functions have a number behind, which stands within type
// arguments only.
func typeName(t *abi.Type) string {
	if t == nil {
		return "?"
	}
	return shortName(t.Name)
}

func shortName(name string) string {
	if !strings.ContainsAny(name, "/{·") {
		return name
	}
	n := namer{name: name}
	for i := 0; i < len(name); i++ {
		switch c := name[i]; c {
		case '*', '(', ')', ',', '"':
			n.cut(i)
		case '[':
			ident := name[n.start:i]
			args := ident != "" && ident != "map"
			n.cut(i)
			n.open(args, false)
		case '{':
			isStruct := strings.HasSuffix(name[:i], "struct ")
			n.cut(i)
			n.open(false, isStruct)
			n.field = isStruct
		case ']', '}':
			n.cut(i)
			n.close()
			n.field = false
		case ';':
			n.cut(i)
			n.field = len(n.nest) > 0 && n.nest[len(n.nest)-1].fields
		case ' ':
			// The first word of two is a field's name.
			if n.field && i > n.start {
				if i+1 < len(name) && name[i+1] != '}' && name[i+1] != '"' {
					n.start += strings.LastIndexByte(name[n.start:i], '.') + 1
				}
				n.field = false
			}
			n.cut(i)
		}
	}
	n.flush(len(name))
	return n.out.String()
}

// namer shortens the qualified identifiers of a type's name one by one.
type namer struct {
	name  string
	out   strings.Builder
	start int // of the identifier that is being read
	field bool
	args  int // brackets around the current place that enclose type arguments
	nest  []bracket
}

type bracket struct{ args, fields bool }

// cut ends the identifier before the delimiter at i.
func (n *namer) cut(i int) {
	n.flush(i)
	n.out.WriteByte(n.name[i])
	n.start = i + 1
}

func (n *namer) flush(end int) {
	part := n.name[n.start:end]
	if n.args == 0 {
		part = part[strings.LastIndexByte(part, '/')+1:]
		if i := strings.LastIndex(part, "·"); i > 0 && strings.Trim(part[i+len("·"):], "0123456789") == "" {
			part = part[:i]
		}
	}
	n.out.WriteString(part)
}

func (n *namer) open(args, fields bool) {
	n.nest = append(n.nest, bracket{args, fields})
	if args {
		n.args++
	}
}

func (n *namer) close() {
	last := len(n.nest) - 1
	if last < 0 {
		return
	}
	if n.nest[last].args {
		n.args--
	}
	n.nest = n.nest[:last]
}

package expr

import "strings"

// syntaxMessage makes what go/parser says of an expression something that people
// understand who did not write a program.
func syntaxMessage(msg string) string {
	for _, end := range []string{"'EOF'", "EOF", "newline"} {
		msg = strings.ReplaceAll(msg, "found "+end, "found the end")
	}
	switch {
	case msg == "illegal rune literal":
		return "more than one character in single quotes: a string stands in double quotes"
	case strings.HasPrefix(msg, "missing ',' before newline in argument list"):
		return "expected ')', found the end"
	}
	if found, ok := strings.CutPrefix(msg, "expected 'EOF', found "); ok {
		msg = "expected an operator or the end, found " + found
		switch found {
		case "and", "or":
			msg += ": conditions are joined by && and ||"
		}
	}
	return msg
}

// Package expr understands expressions over the parameters of a function: what
// of them to capture, and under which condition.
//
// # The language
//
// An expression is written in Go. It sees the parameters of the traced function
// by their names, the receiver among them, and means what it would mean on the
// function's first line:
//
//	r.URL.Path                      fields, through pointers as Go does it
//	*p.next                         what a pointer points to
//	len(body), cap(body)            of strings, slices, arrays, maps, channels
//	s[:16], s[i:j], s[1:2:8]        strings, slices, arrays, pointers to arrays
//	buf[3].name, table[i&7]         elements
//	m["key"], ids[7]                map elements; the key is a constant
//	err.(*fs.PathError).Path        what an interface holds, if it holds that
//	n > 1000 && r.Method == "GET"   comparisons, with &&, || and !
//	flags&(1<<3) != 0               integer arithmetic: + - * / % & | ^ &^ << >>
//	uint8(n), time.Duration(ms)     conversions between integer types
//	real(z), imag(z)                the parts of complex numbers
//	duration > 5*time.Millisecond   the constants of package time
//
// Types are checked as the compiler checks them. Constants are exact and have no
// type until they meet one, which must be able to represent them: x == 300 is an
// error where x is a uint8. Integers wrap around at their size. Operands are
// evaluated from left to right, and the right operand of && and || only if it
// decides.
//
// Some things differ from Go, because an expression is a question about a
// program, and not a part of it:
//   - Fields of all packages can be named, exported or not.
//   - A type that an interface is asserted to hold is named as people write it,
//     with the name of its package: main.T, *fs.PathError, main.Pair[int,string].
//     Where two packages share a name, the import path tells them apart:
//     err.(*io/fs.PathError). Types of the function's own package need no
//     package name. It must be what the interface holds, and no interface type.
//   - Where Go would panic, the expression has no value, and says why: a nil
//     pointer, an index out of range, another dynamic type, a division by zero.
//     The same where memory cannot be read. A condition without a value is not
//     met.
//
// Some things of Go are refused, by name: calls of functions and methods,
// composite and function literals, the address operator, package unsafe,
// package-level variables, and what a program in the kernel cannot compute:
// arithmetic of floating-point numbers, concatenation of strings, comparison of
// strings that are both variable, of structs, arrays, and interfaces other than
// with nil, and map elements by a key that is not constant. A shift count such as
// 1<<n needs a type, as in uint(1)<<n.
//
// A map element that is not there is the zero value, as in Go. The length and
// capacity of channels of time.Time are refused: for those of timers, and no
// others, the runtime says 0, whatever is in the buffer.
//
// # The result
//
// [Compile] returns a tree of typed operations ([Node]), each of which says what
// memory it touches. [Eval] interprets it over an abstract memory. It is the
// definition of what the tree means, for those who compile it.
package expr

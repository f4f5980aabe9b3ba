// Package rtype reads the type data that every Go program carries for
// reflection and interfaces, stripped or not. It gives the signatures of
// methods, with the layout of all their types and the names of types and
// fields; it has no names of parameters.
//
// A type descriptor (runtime._type, since Go 1.21 internal/abi.Type) of a type
// with methods has a table of them, and each entry has the descriptor of the
// method's type and where its code is. Nothing of the kind exists for other
// functions. The linker takes out of the tables what no interface and no
// reflection can reach, so that many methods are not found either.
//
// The format is no stable interface. What differs is in a table, by release;
// of a release that is not in it nothing is read.
package rtype

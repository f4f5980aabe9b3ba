// Package lint holds the rules of this repository that the compiler does not
// know. It has tests only:
//
//   - which package may import what (imports_test.go): data flows one way, and
//     only package uprobe talks to the kernel;
//   - no cgo, no binaries, no files that are too long, no paths of somebody's
//     machine (files_test.go);
//   - a doc comment on everything that is exported (doc_test.go).
package lint

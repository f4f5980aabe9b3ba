// Package matrix shows what works where: it builds the fixture programs with
// many releases of Go, for several machines and in several ways, traces them
// while they run, on this machine's kernel or on others in QEMU, and compares
// every call with what the programs say of themselves.
//
// # Cells
//
// A cell is a release, a machine and a flavour: a way to build, see
// [fixture.Flavour]. It is written 1.16/amd64/pie; each part may be a list, as
// in 1.16,1.17/amd64/default,pie, or "all", and parts at the end that are
// missing stand for all. "local" is the release of the local toolchain. The
// others are fetched by the go command where they are not there yet.
//
// # Commands
//
// Tracing needs Linux and root. From the root of the repository:
//
//	go run ./internal/matrix/cmd trace 1.16,1.21/amd64/default
//
// builds the programs of the cells, traces them on this machine, and prints a
// line of JSON for each cell, a [Result]. It fails if one is wrong. The halves
// of it can run on different machines, and the second needs no Go:
//
//	go run ./internal/matrix/cmd build -o DIR CELL...
//	matrix run DIR
//
// On other kernels (see package vm for what that needs):
//
//	go run ./internal/matrix/cmd vm -kernels 5.10,6.1 1.16/amd64,arm64/default
//
// The results of the full matrix are in docs/matrix.jsonl. "trace" and "vm"
// write theirs there with -record; the table in README.md is made of it by
//
//	go run ./internal/matrix/cmd table
//
// which a test of this package requires to have been run.
//
// The matrix compares arguments. What else there is of a call, its results, panics,
// stack and so on, the tests of package e2e compare, and those of package vm do so on
// other kernels. How many calls that were is in docs/kernels.jsonl, a [Compared] a
// line, and in the same table:
//
//	ARGTAP_KERNELS=6.1/arm64,5.10/amd64 ARGTAP_RECORD=1 go test -timeout 1h -run Kernels ./internal/vm
package matrix

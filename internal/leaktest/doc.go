// Package leaktest finds what tests leave behind: open files, goroutines, and the
// kernel's BPF programs, maps and links. It is for tests on Linux.
package leaktest

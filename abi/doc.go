// Package abi describes how compiled Go code passes values: architectures and
// their registers, types and locations as data, and the assignment of
// parameters and results to registers and stack words.
//
// It does no input or output and knows nothing of files, debug information or
// the kernel, so it gives the same answer for any target on any host.
package abi

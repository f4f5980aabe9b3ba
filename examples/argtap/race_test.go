//go:build race

package main

// The race detector watches the tool, too.
const (
	race = true
	cgo  = "1"
)

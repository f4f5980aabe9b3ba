//go:build !race

package main

const (
	race = false
	cgo  = "0"
)

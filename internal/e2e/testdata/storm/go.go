//go:build !cgo

package main

func callback(id uint64) { check(back(id) == mix(id, 2)) }

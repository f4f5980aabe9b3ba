package main

import (
	"fmt"
	"unsafe"
)

//go:noinline
func generic[K comparable, V any](k K, v V) {
	k2, v2 := k, v
	f := func() string { return fmt.Sprint(k, v) }
	keep(f)
	show(unsafe.Pointer(&f), variable{"k", unsafe.Pointer(&k2), unsafe.Sizeof(k), false}, variable{"v", unsafe.Pointer(&v2), unsafe.Sizeof(v), false})
}

func init() {
	more = func() {
		generic("key", 1.5)
		generic(uint8(7), &point{})
	}
}

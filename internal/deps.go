//go:build deps

package internal

import (
	_ "github.com/cilium/ebpf"
	_ "github.com/cilium/ebpf/link"
	_ "github.com/cilium/ebpf/ringbuf"
	_ "github.com/cilium/ebpf/features"
	_ "github.com/cilium/ebpf/rlimit"
	_ "github.com/go-delve/delve/pkg/dwarf/op"
	_ "github.com/go-delve/delve/pkg/dwarf/loclist"
	_ "github.com/go-delve/delve/pkg/dwarf/godwarf"
	_ "github.com/go-delve/delve/pkg/dwarf/dwarfbuilder"
	_ "github.com/klauspost/compress/zlib"
	_ "golang.org/x/arch/x86/x86asm"
	_ "golang.org/x/sys/unix"
	_ "golang.org/x/term"
)

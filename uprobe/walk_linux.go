package uprobe

import (
	"github.com/cilium/ebpf"

	"github.com/argtap/argtap/internal/capture"
	"github.com/argtap/argtap/internal/probegen"
)

// needWalkMaps makes the maps of walks, and fills in the type table.
func (k *kernel) needWalkMaps(types *capture.Types) (err error) {
	if k.walk != nil {
		return nil
	}
	elements, size := probegen.WalkScratch(k.cpus)
	if k.walk, err = ebpf.NewMap(&ebpf.MapSpec{
		Name: "argtap_walk", Type: ebpf.Array, KeySize: 4, ValueSize: uint32(size), MaxEntries: uint32(elements),
	}); err != nil {
		return kernelError("create the scratch map of walks", err)
	}
	typeTable, rows := types.Encode()
	for _, table := range []struct {
		m    **ebpf.Map
		name string
		data []byte
	}{{&k.types, "argtap_types", typeTable}, {&k.rows, "argtap_rows", rows}} {
		if *table.m, err = ebpf.NewMap(&ebpf.MapSpec{
			Name: table.name, Type: ebpf.Array, KeySize: 4, ValueSize: uint32(len(table.data)), MaxEntries: 1,
		}); err != nil {
			return kernelError("create the type table", err)
		}
		if err := (*table.m).Put(uint32(0), table.data); err != nil {
			return kernelError("fill the type table", err)
		}
	}
	if !probegen.NeedsDynamic(types) {
		return nil
	}
	keys, values := types.EncodeDynamic()
	if k.dynamic, err = ebpf.NewMap(&ebpf.MapSpec{
		Name: "argtap_dynamic", Type: ebpf.Hash, KeySize: 8, ValueSize: capture.DynamicSize, MaxEntries: uint32(max(len(keys), 1)),
	}); err != nil {
		return kernelError("create the map of dynamic types", err)
	}
	if len(keys) == 0 {
		return nil
	}
	if n, err := k.dynamic.BatchUpdate(keys, values, nil); err == nil && n == len(keys) {
		return nil
	}
	// Hash maps of sleepable programs, or old kernels, may not take batches.
	for i := range keys {
		if err := k.dynamic.Put(keys[i], values[i]); err != nil {
			return kernelError("fill the map of dynamic types", err)
		}
	}
	return nil
}

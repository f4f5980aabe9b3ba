package uprobe

import (
	"github.com/cilium/ebpf"

	"github.com/argtap/argtap/internal/capture"
	"github.com/argtap/argtap/internal/probegen"
)

// needInstances makes the map of the instances of generic functions whose calls
// are walked.
func (k *kernel) needInstances(funcs []*Func) (err error) {
	type rows [probegen.InstanceSize / 4]uint32
	var (
		keys   [][probegen.InstanceKeySize / 8]uint64
		values []rows
		asked  bool
	)
	add := func(in *Instance, id uint64, p *capture.Plan) {
		if p == nil || p.Walk == nil {
			return // expressions know shapes: the program finds nothing, and keeps to them
		}
		var key [probegen.InstanceKeySize / 8]uint64
		key[probegen.InstanceDict/8], key[probegen.InstanceFunc/8] = uint64(in.dict.Addr), id
		var v rows
		v[probegen.InstanceFirst/4], v[probegen.InstanceRows/4] = p.Walk.First, p.Walk.Rows
		keys, values = append(keys, key), append(values, v)
	}
	for id, f := range funcs {
		asked = asked || f.plan.Walk != nil && f.plan.Dict != nil ||
			f.plan.Pair != 0 && f.result.plan.Walk != nil && len(f.instances) > 0
		for i := range f.instances {
			in := &f.instances[i]
			if f.plan.Walk != nil {
				add(in, uint64(id), in.plan)
			}
			if f.plan.Pair != 0 && f.result.plan.Walk != nil {
				add(in, uint64(id)|probegen.InstanceResults, in.resultPlan)
			}
		}
	}
	if !asked || k.instances != nil {
		return nil
	}
	if k.instances, err = ebpf.NewMap(&ebpf.MapSpec{
		Name: "argtap_inst", Type: ebpf.Hash, KeySize: probegen.InstanceKeySize,
		ValueSize: probegen.InstanceSize, MaxEntries: uint32(max(len(keys), 1)),
	}); err != nil {
		return kernelError("create the map of instances", err)
	}
	for i := range keys {
		if err := k.instances.Put(keys[i], values[i]); err != nil {
			return kernelError("fill the map of instances", err)
		}
	}
	return nil
}

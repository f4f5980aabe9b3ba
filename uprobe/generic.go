package uprobe

import (
	"slices"

	"github.com/argtap/argtap/abi"
	"github.com/argtap/argtap/internal/capture"
	"github.com/argtap/argtap/symbols"
)

// Instance is an instance of a generic function or method. Those with type
// arguments of one shape share their code: they are one [Func].
//
// Code that is shared is called with a dictionary, which differs for each
// instance. Its address tells which instance a call is of, and so what the
// arguments really are; the debug information says which of its words are their
// types.
type Instance struct {
	// Name is the function's name with true type arguments, such as
	// "main.Map[int,string]".
	Name string
	// Signature has the true types.
	Signature *abi.Signature
	// Params are those of the function, with their true types.
	Params []Param

	dict symbols.Dictionary
	// types are the true types of parameters, parallel to Params; nil for those
	// that are as the code has them.
	types []*abi.Type
	// results are those of results, parallel to Signature.Results.
	results []*abi.Type
	// plan is that of the function but for the types, nil if expressions are
	// captured.
	plan *capture.Plan
	// resultPlan is that of the results, nil if shapes must do.
	resultPlan *capture.Plan
}

// Instances returns the instances of shared generic code that the binary has, by
// their names. It is empty for other functions, and where nothing tells of the
// instances: in binaries without symbol table or debug information.
func (f *Func) Instances() []Instance { return f.instances }

// Instance returns the name of the instance of a generic function that was called,
// such as "main.Map[int,string]", and Name for other functions or if it is not
// known.
func (c *Call) Instance() string {
	if c.instance != nil {
		return c.instance.Name
	}
	if c.fn.via != "" {
		return c.fn.called
	}
	return c.fn.name
}

// findInstance sets which instance the call is of.
func (c *Call) findInstance() {
	c.plan = c.fn.plan
	d := c.plan.Dict
	if d == nil || order.Uint64(c.data[capture.OffFailed:])&(1<<d.Bit) != 0 {
		return
	}
	if in := c.fn.byDict[order.Uint64(c.data[d.Offset:])]; in != nil {
		c.instance = in
		if in.plan != nil {
			c.plan = in.plan
		}
	}
}

// wholeInstances reports whether the plan captures of all instances what a walk
// would. It sets their plans, which have no walks.
func (f *Func) wholeInstances(limits capture.Limits) bool {
	if f.captures != nil || f.aggregated != nil {
		return true // expressions know shapes
	}
	whole := true
	for i := range f.instances {
		in := &f.instances[i]
		var w bool
		in.plan, w = capture.Retype(f.arch, f.plan, f.inputs, in.types, limits)
		whole = whole && w
	}
	return whole
}

// walkInstances makes the plans of the instances walks, and their types those that
// d reads to their ends.
func (b *executable) walkInstances(s symbols.Func, f *Func, d *description, o *options) {
	if f.captures != nil {
		return
	}
	dicts := make([]symbols.Dictionary, len(f.instances))
	for i := range f.instances {
		dicts[i] = f.instances[i].dict
	}
	f.setInstances(b.instancesOf(s, d, dicts, wholeTypes))
	for i := range f.instances {
		in := &f.instances[i]
		in.plan = capture.BuildWalk(b.arch, capture.Retyped(f.inputs, in.types), o.limits, b.walkTypes)
	}
}

// alsoFor adds to the instances that a function is traced for those that have the
// given dictionaries, nil for all.
func (f *Func) alsoFor(dicts []symbols.VirtAddr) {
	if dicts == nil || len(f.instances) == 0 || f.all {
		f.dicts, f.all = nil, true
		return
	}
	for _, d := range dicts {
		if !slices.Contains(f.dicts, uint64(d)) {
			f.dicts = append(f.dicts, uint64(d))
		}
	}
	slices.Sort(f.dicts)
}

// setInstances makes instances those of the function.
func (f *Func) setInstances(instances []Instance) {
	f.instances = instances
	f.byDict = make(map[uint64]*Instance, len(instances))
	for i := range instances {
		f.byDict[uint64(instances[i].dict.Addr)] = &instances[i]
	}
}

// paramTypes returns the types that a parameter can have in the calls that are
// traced: one, but in generic code.
func (f *Func) paramTypes(i int) []*abi.Type {
	var types []*abi.Type
	for _, in := range f.instances {
		if len(f.dicts) > 0 && !slices.Contains(f.dicts, uint64(in.dict.Addr)) {
			continue
		}
		if t := in.types[i]; t != nil && !slices.Contains(types, t) {
			types = append(types, t)
		}
	}
	if len(types) == 0 {
		types = append(types, f.params[i].Type)
	}
	return types
}

// argTypes is paramTypes for what calls show: with [WithCapture], the expressions.
func (f *Func) argTypes(i int) []*abi.Type {
	if f.captures != nil {
		return []*abi.Type{f.captures[i].Type}
	}
	return f.paramTypes(i)
}

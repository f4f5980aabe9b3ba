package dwarfargs

import (
	"strings"

	"github.com/argtap/argtap/abi"
)

// pointerShape is the name of the shape that all pointer types have, since Go
// 1.20.
const pointerShape = "go.shape.*uint8"

// openShapes cuts what is not known from the type of a parameter of a generic
// function. Up to Go 1.19 the pointer shape has a name of its own only where it
// is a type argument itself. Within another shape, as
// go.shape.struct { main.v *uint8 }_0 or go.shape.[]*uint8_0, it is *uint8, as a
// pointer to a byte is.
func openShapes(t *abi.Type) *abi.Type {
	if !strings.Contains(t.Name, "go.shape.") || !strings.Contains(t.Name, "*uint8") {
		return t
	}
	// What leads to a *uint8 becomes another type, which is not that of the runtime:
	// elsewhere that leads to a byte.
	leadsTo := make(map[*abi.Type][]*abi.Type) // from what is within a type to the type
	var bytePointers []*abi.Type
	seen := map[*abi.Type]bool{nil: true}
	var visit func(t *abi.Type)
	visit = func(t *abi.Type) {
		if seen[t] {
			return
		}
		seen[t] = true
		if isBytePointer(t) {
			bytePointers = append(bytePointers, t)
			return
		}
		for _, part := range partsOf(t) {
			leadsTo[part] = append(leadsTo[part], t)
			visit(part)
		}
	}
	visit(t)
	open := make(map[*abi.Type]*abi.Type)
	for todo := bytePointers; len(todo) > 0; {
		t := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		if open[t] == nil {
			c := *t
			c.RuntimeType = 0
			open[t] = &c
			todo = append(todo, leadsTo[t]...)
		}
	}
	for old, c := range open {
		if isBytePointer(old) {
			c.Name, c.Elem = pointerShape, nil
			continue
		}
		c.Elem, c.Key = opened(open, c.Elem), opened(open, c.Key)
		c.Fields = append([]abi.Field(nil), c.Fields...)
		for i := range c.Fields {
			c.Fields[i].Type = opened(open, c.Fields[i].Type)
		}
	}
	return opened(open, t)
}

func isBytePointer(t *abi.Type) bool { return t.Kind == abi.Pointer && t.Name == "*uint8" }

// partsOf returns the types of which a type is made, or to which it leads.
func partsOf(t *abi.Type) []*abi.Type {
	parts := []*abi.Type{t.Elem, t.Key}
	for i := range t.Fields {
		parts = append(parts, t.Fields[i].Type)
	}
	return parts
}

// opened returns what a type has become, itself if it is the same.
func opened(open map[*abi.Type]*abi.Type, t *abi.Type) *abi.Type {
	if c := open[t]; c != nil {
		return c
	}
	return t
}

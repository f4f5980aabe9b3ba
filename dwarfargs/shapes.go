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
	return openShape(t, make(map[*abi.Type]*abi.Type))
}

// openShape copies t; done are the copies.
func openShape(t *abi.Type, done map[*abi.Type]*abi.Type) *abi.Type {
	if t == nil {
		return nil
	}
	if c := done[t]; c != nil {
		return c
	}
	c := new(abi.Type)
	*c = *t
	done[t] = c
	if t.Kind == abi.Pointer && t.Name == "*uint8" {
		c.Name, c.Elem, c.RuntimeType = pointerShape, nil, 0
		return c
	}
	c.Elem, c.Key = openShape(t.Elem, done), openShape(t.Key, done)
	c.Fields = append([]abi.Field(nil), t.Fields...)
	for i := range c.Fields {
		c.Fields[i].Type = openShape(c.Fields[i].Type, done)
	}
	return c
}

package judge

import (
	"errors"
	"fmt"
	"math"
	"reflect"
	"strconv"
	"strings"

	"github.com/go-delve/delve/service/api"

	"github.com/argtap/argtap/abi"
	"github.com/argtap/argtap/uprobe"
)

// number returns the integer that Delve shows, maybe after the name of a
// constant: "net/http.StateNew (0)".
func number(s string) string {
	if strings.HasSuffix(s, ")") {
		return s[strings.LastIndexByte(s, '(')+1 : len(s)-1]
	}
	return s
}

func (c *comparer) float(path string, v uprobe.Value, x float64, theirs string) {
	y, err := strconv.ParseFloat(theirs, 64)
	if v.Kind() == abi.Float32 || v.Kind() == abi.Complex64 {
		y = float64(float32(y))
	}
	if err == nil && (x == y || math.IsNaN(x) && math.IsNaN(y)) {
		c.equal++
		return
	}
	c.differ(path, v, strconv.FormatFloat(x, 'g', -1, 64), theirs)
}

// why returns the reason for which a value has no content.
func why(v uprobe.Value) string {
	var x any
	var a uprobe.Absent
	if err := v.Decode(&x); errors.As(err, &a) {
		return a.Reason
	}
	return "not followed"
}

func (c *comparer) text(path string, v uprobe.Value, d *api.Variable) {
	if !c.reference(path, v, "length", uint64(v.Len()), uint64(d.Len)) {
		return
	}
	mine, ok := v.Str()
	if !ok {
		c.missing(path, "argtap", why(v))
		return
	}
	theirs := d.Value
	if len(mine) < v.Len() {
		c.missing(path, "argtap", "rest of a string is cut")
	} else if int64(len(theirs)) < d.Len {
		c.missing(path, "delve", "rest of a string is cut")
	}
	n := min(len(mine), len(theirs))
	c.same(path, v, strconv.Quote(mine[:n]), strconv.Quote(theirs[:n]))
}

func (c *comparer) elements(path string, v uprobe.Value, d *api.Variable) {
	if v.Kind() == abi.Slice {
		if v.IsNil() != (d.Base == 0) {
			c.differ(path, v, fmt.Sprintf("nil is %t", v.IsNil()), fmt.Sprintf("at %#x", d.Base))
			return
		}
		p, _ := v.Pointer()
		if !c.reference(path, v, "array", p, d.Base) || !c.reference(path, v, "capacity", uint64(v.Cap()), uint64(d.Cap)) {
			return
		}
	}
	if !c.reference(path, v, "length", uint64(v.Len()), uint64(d.Len)) || v.Len() == 0 {
		return
	}
	if v.Captured() == 0 {
		c.missing(path, "argtap", reasonOf(v.Index(0)))
		return
	}
	if v.Captured() < v.Len() {
		c.missing(path, "argtap", "rest of a "+v.Kind().String()+" is cut")
	} else if int64(len(d.Children)) < d.Len {
		c.missing(path, "delve", "rest of a "+v.Kind().String()+" is cut")
	}
	if v.Kind() == abi.Slice && !c.first(d.Base, fmt.Sprintf("[%d]%s", d.Len, d.Type)) {
		return
	}
	for i := range min(v.Captured(), len(d.Children)) {
		c.value(fmt.Sprintf("%s[%d]", path, i), v.Index(i), &d.Children[i])
	}
}

func reasonOf(v uprobe.Value) string {
	if reason, absent := v.Absent(); absent {
		return reason
	}
	return "not followed"
}

func (c *comparer) fields(path string, v uprobe.Value, d *api.Variable) {
	if !c.reference(path, v, "number of fields", uint64(v.NumField()), uint64(len(d.Children))) {
		return
	}
	for i := range d.Children {
		f := &v.Type().Fields[i]
		if f.Name != d.Children[i].Name {
			c.differ(path, v, "field "+f.Name, "field "+d.Children[i].Name)
			return
		}
		c.value(path+"."+f.Name, v.Field(i), &d.Children[i])
	}
}

// first reports whether an object is compared for the first time.
func (c *comparer) first(addr uint64, typ string) bool {
	key := object{addr, typ}
	if c.seen[key] {
		return false
	}
	c.seen[key] = true
	return true
}

func (c *comparer) pointer(path string, v uprobe.Value, d *api.Variable) {
	p, _ := v.Pointer()
	if len(d.Children) != 1 {
		c.missing(path, "delve", "not loaded")
		return
	}
	to := &d.Children[0]
	if !c.reference(path, v, "pointer", p, to.Addr) || p == 0 || v.Kind() == abi.UnsafePointer || c.shallow {
		return
	}
	e := v.Elem()
	if why, absent := e.Absent(); absent {
		c.missing(path, "argtap", why)
		return
	}
	if to.Unreadable != "" {
		c.missing(path, "delve", unreadable(to.Unreadable))
		return
	}
	if !c.sameType(path, e, to.Type) || !c.first(to.Addr, to.Type) {
		return
	}
	c.value("(*"+path+")", e, to)
}

// sameType compares the types of what both show.
func (c *comparer) sameType(path string, v uprobe.Value, theirs string) bool {
	mine := ""
	if v.Type() != nil {
		mine = v.Type().Name
	}
	if !sameType(mine, theirs) {
		c.differ(path+".(type)", v, mine, theirs)
		return false
	}
	c.equal++
	return true
}

func (c *comparer) dynamic(path string, v uprobe.Value, d *api.Variable) {
	if len(d.Children) != 1 {
		c.missing(path, "delve", "not loaded")
		return
	}
	held := &d.Children[0]
	isNil := held.Kind == reflect.Invalid && held.Addr == 0
	if v.IsNil() != isNil {
		c.differ(path, v, fmt.Sprintf("nil is %t", v.IsNil()), fmt.Sprintf("%s at %#x", held.Type, held.Addr))
		return
	}
	if isNil {
		c.equal++
		return
	}
	x := v.Dynamic()
	if why, absent := x.Absent(); absent {
		c.missing(path, "argtap", why)
		return
	}
	if !c.sameType(path, x, held.Type) {
		return
	}
	// What lies behind the interface is an object; a pointer lies in it.
	if x.Kind() != abi.Pointer && held.Addr < fakeAddress && !c.first(held.Addr, held.Type) {
		return
	}
	c.value(path+".("+x.Type().Name+")", x, held)
}

// typeName makes one form of the names that the two have for a type. Delve
// writes some that the debug information leaves out.
func typeName(name string) string {
	name = strings.ReplaceAll(name, "interface {}", "any")
	name = strings.ReplaceAll(name, "struct {}", "struct{}")
	return name
}

// sameType compares names of types. Of generic code Delve names what instances
// share, argtap each one's own types.
func sameType(mine, theirs string) bool {
	return typeName(mine) == typeName(theirs) || strings.Contains(theirs, "go.shape.")
}

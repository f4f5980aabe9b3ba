package judge

import (
	"fmt"
	"reflect"
	"strconv"
	"strings"

	"github.com/go-delve/delve/service/api"

	"github.com/argtap/argtap/abi"
	"github.com/argtap/argtap/uprobe"
)

// Difference is a value that argtap and Delve show differently.
type Difference struct {
	Func, Param string
	// Path is the value in Go syntax, beginning with the parameter.
	Path string
	// Type is that of the value, as the debug information names it.
	Type          string
	Argtap, Delve string
}

func (d Difference) String() string {
	return fmt.Sprintf("%s: argtap %s, Delve %s: %s, %s", d.Func, d.Argtap, d.Delve, d.Type, d.Path)
}

// object is something that lies at an address as a value of a type.
type object struct {
	addr uint64
	typ  string
}

// comparer compares the parameters of one call.
type comparer struct {
	fn, param string
	// load has Delve load an object.
	load func(addr uint64, typ string) (*api.Variable, error)
	// seen are the objects that were compared.
	seen map[object]bool
	// shallow says that pointers are compared by their address alone, as keys of
	// maps are.
	shallow bool

	equal   int
	absent  map[string]int
	example map[string]string // where, by the reason
	diffs   []Difference
}

func newComparer(fn string, load func(addr uint64, typ string) (*api.Variable, error)) *comparer {
	return &comparer{fn: fn, load: load, seen: map[object]bool{}, absent: map[string]int{}, example: map[string]string{}}
}

// call compares all parameters.
func (c *comparer) call(call *uprobe.Call, args []*api.Variable) {
	byName := map[string]*api.Variable{}
	for _, a := range args {
		byName[a.Name] = a
	}
	for i := range call.NumArgs() {
		c.param = call.ArgName(i)
		d := byName[c.param]
		if c.param == "_" && len(args) == call.NumArgs() {
			d = args[i] // Delve numbers them
		}
		if d == nil {
			c.missing(c.param, "delve", "no such parameter")
			continue
		}
		c.value(c.param, call.Arg(i), d)
	}
}

// missing counts a value that one side does not show.
func (c *comparer) missing(path, side, reason string) {
	reason = side + ": " + reason
	if c.absent[reason]++; c.absent[reason] == 1 {
		c.example[reason] = c.fn + ": " + path
	}
}

func (c *comparer) differ(path string, v uprobe.Value, mine, theirs string) {
	typ := ""
	if v.Type() != nil {
		typ = v.Type().Name
	}
	c.diffs = append(c.diffs, Difference{c.fn, c.param, path, typ, mine, theirs})
}

// same compares a scalar.
func (c *comparer) same(path string, v uprobe.Value, mine, theirs string) bool {
	if mine != theirs {
		c.differ(path, v, mine, theirs)
		return false
	}
	c.equal++
	return true
}

// reference compares a number that belongs to a value: a length or an address.
func (c *comparer) reference(path string, v uprobe.Value, what string, mine, theirs uint64) bool {
	if mine != theirs {
		c.differ(path, v, fmt.Sprintf("%s %#x", what, mine), fmt.Sprintf("%#x", theirs))
		return false
	}
	c.equal++
	return true
}

// loaded returns d with what it contains, nil if Delve does not load it.
func (c *comparer) loaded(path string, d *api.Variable) *api.Variable {
	if !unloaded(d) {
		return d
	}
	if d.Addr >= fakeAddress {
		c.missing(path, "delve", "too deep in registers")
		return nil
	}
	full, err := c.load(d.Addr, d.Type)
	if err != nil {
		c.missing(path, "delve", unreadable(err.Error()))
		return nil
	}
	if unloaded(full) {
		c.missing(path, "delve", "not loaded")
		return nil
	}
	return full
}

// fakeAddress is where Delve puts what is in registers: no address of a process
// is that high.
const fakeAddress = 0xbeed000000000000

// unloaded reports whether Delve has only said where a value is.
func unloaded(d *api.Variable) bool {
	switch {
	case d.Unreadable != "":
		return false
	case d.OnlyAddr:
		return true
	case d.Kind == reflect.Struct, d.Kind == reflect.Map:
		return len(d.Children) == 0 && d.Len > 0
	case d.Kind == reflect.Interface, d.Kind == reflect.Pointer:
		return len(d.Children) == 0
	}
	return false
}

// unreadable shortens Delve's reason to what is the same for many values.
func unreadable(text string) string {
	for _, known := range []string{
		"could not find loclist entry", "input/output error", "unreadable memory", "bad address", "could not find function",
		"empty OP stack", "could not find symbol value", "could not resolve interface type", "location list",
	} {
		if strings.Contains(text, known) {
			return known
		}
	}
	for {
		i := strings.Index(text, "0x")
		if i < 0 {
			return text
		}
		j := i + 2
		for j < len(text) && strings.IndexByte("0123456789abcdef", text[j]) >= 0 {
			j++
		}
		text = text[:i] + "…" + text[j:]
	}
}

// value compares one value.
func (c *comparer) value(path string, v uprobe.Value, d *api.Variable) {
	if why, absent := v.Absent(); absent {
		c.missing(path, "argtap", why)
		return
	}
	if d = c.loaded(path, d); d == nil {
		return
	}
	if d.Unreadable != "" {
		c.missing(path, "delve", unreadable(d.Unreadable))
		return
	}
	if kind := kindOf(v.Kind()); kind != d.Kind {
		c.differ(path, v, "kind "+kind.String(), "kind "+d.Kind.String()+" of "+d.Type)
		return
	}
	if mine := v.Type().Name; !sameType(mine, d.Type) {
		c.differ(path, v, "of type "+mine, "of type "+d.Type)
		return
	}
	switch v.Kind() {
	case abi.Bool:
		x, ok := v.Bool()
		if !ok {
			c.missing(path, "argtap", "no bool")
			return
		}
		c.same(path, v, strconv.FormatBool(x), d.Value)
	case abi.Int, abi.Int8, abi.Int16, abi.Int32, abi.Int64:
		x, _ := v.Int()
		c.same(path, v, strconv.FormatInt(x, 10), number(d.Value))
	case abi.Uint, abi.Uint8, abi.Uint16, abi.Uint32, abi.Uint64, abi.Uintptr:
		x, _ := v.Uint()
		c.same(path, v, strconv.FormatUint(x, 10), number(d.Value))
	case abi.Float32, abi.Float64:
		x, _ := v.Float()
		c.float(path, v, x, d.Value)
	case abi.Complex64, abi.Complex128:
		x, _ := v.Complex()
		if len(d.Children) != 2 {
			c.missing(path, "delve", "not loaded")
			return
		}
		c.float(path+".real", v, real(x), d.Children[0].Value)
		c.float(path+".imag", v, imag(x), d.Children[1].Value)
	case abi.String:
		c.text(path, v, d)
	case abi.Slice, abi.Array:
		c.elements(path, v, d)
	case abi.Struct:
		c.fields(path, v, d)
	case abi.Pointer, abi.UnsafePointer:
		c.pointer(path, v, d)
	case abi.Interface:
		c.dynamic(path, v, d)
	case abi.Map:
		c.entries(path, v, d)
	case abi.Chan:
		c.channel(path, v, d)
	case abi.Func:
		c.function(path, v, d)
	default:
		c.missing(path, "argtap", "kind "+v.Kind().String())
	}
}

// kindOf returns the kind that Delve has for one: it does not tell integers of
// different sizes apart.
func kindOf(k abi.Kind) reflect.Kind {
	switch k {
	case abi.Int, abi.Int8, abi.Int16, abi.Int32, abi.Int64:
		return reflect.Int
	case abi.Uint, abi.Uint8, abi.Uint16, abi.Uint32, abi.Uint64, abi.Uintptr:
		return reflect.Uint
	}
	for r := reflect.Invalid; r <= reflect.UnsafePointer; r++ {
		if r.String() == k.String() || r == reflect.Pointer && k == abi.Pointer {
			return r
		}
	}
	return reflect.Invalid
}

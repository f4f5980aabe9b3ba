package judge

import (
	"fmt"
	"strings"

	"github.com/go-delve/delve/service/api"

	"github.com/argtap/argtap/uprobe"
)

// entries compares maps, whose entries may come in another order.
func (c *comparer) entries(path string, v uprobe.Value, d *api.Variable) {
	if v.IsNil() != (d.Base == 0) {
		c.differ(path, v, fmt.Sprintf("nil is %t", v.IsNil()), fmt.Sprintf("at %#x", d.Base))
		return
	}
	p, _ := v.Pointer()
	if !c.reference(path, v, "map", p, d.Base) || p == 0 {
		return
	}
	if v.Len() < 0 {
		c.missing(path, "argtap", why(v))
		return
	}
	if !c.reference(path, v, "length", uint64(v.Len()), uint64(d.Len)) {
		return
	}
	if v.Captured() < v.Len() {
		c.missing(path, "argtap", "rest of a map is cut")
	}
	whole := int64(len(d.Children)/2) == d.Len
	if !whole {
		c.missing(path, "delve", "rest of a map is cut")
	}
	if !c.first(d.Base, d.Type) {
		return
	}
	used, n := make([]bool, len(d.Children)/2), 0
	for key, elem := range v.MapRange() {
		n++
		at := fmt.Sprintf("%s[%v]", path, key)
		i, doubt := c.find(key, d.Children, used)
		switch {
		case i >= 0:
			used[i] = true
			c.equal++
			c.value(at, elem, &d.Children[2*i+1])
		case doubt:
			c.missing(path, "argtap", "part of a key")
		case whole:
			c.differ(at, key, "a key", "no such key")
		}
	}
	if n != v.Captured() {
		c.differ(path, v, fmt.Sprintf("%d entries of %d captured", n, v.Captured()), "")
	}
}

// find returns the index of the entry with a key, -1 if there is none. doubt
// says that there may be one: not all of the key is known.
func (c *comparer) find(key uprobe.Value, entries []api.Variable, used []bool) (i int, doubt bool) {
	for i := range used {
		if used[i] {
			continue
		}
		trial := newComparer(c.fn, c.load)
		trial.value("", key, &entries[2*i])
		switch {
		case len(trial.diffs) > 0:
		case trial.equal > 0 && len(trial.absent) == 0:
			return i, false
		default:
			doubt = true
		}
	}
	return -1, doubt
}

// channel compares a channel with the runtime's structure, which Delve shows.
func (c *comparer) channel(path string, v uprobe.Value, d *api.Variable) {
	p, _ := v.Pointer()
	if !c.reference(path, v, "channel", p, d.Base) || p == 0 {
		return
	}
	closed, ok := v.Closed()
	if !ok {
		c.missing(path, "argtap", why(v))
		return
	}
	fields := map[string]*api.Variable{}
	for i := range d.Children {
		fields[d.Children[i].Name] = &d.Children[i]
	}
	field := func(name string) (n int) {
		if f := fields[name]; f != nil {
			fmt.Sscan(f.Value, &n)
		}
		return n
	}
	if fields["qcount"] == nil || fields["dataqsiz"] == nil || fields["closed"] == nil || fields["recvx"] == nil {
		c.missing(path, "delve", "not loaded")
		return
	}
	size := field("dataqsiz")
	if !c.reference(path, v, "length", uint64(v.Len()), uint64(field("qcount"))) ||
		!c.reference(path, v, "capacity", uint64(v.Cap()), uint64(size)) {
		return
	}
	c.same(path, v, fmt.Sprintf("closed is %t", closed), fmt.Sprintf("closed is %t", field("closed") != 0))
	buf := fields["buf"]
	if v.Len() == 0 {
		return
	}
	if buf == nil || len(buf.Children) != 1 || buf.Children[0].Unreadable != "" {
		c.missing(path, "delve", "buffer of a channel")
		return
	}
	if v.Captured() < v.Len() {
		c.missing(path, "argtap", "rest of a channel is cut")
	}
	for i := range v.Captured() {
		at := (field("recvx") + i) % size
		if at >= len(buf.Children[0].Children) {
			c.missing(path, "delve", "rest of a channel is cut")
			continue
		}
		c.value(fmt.Sprintf("%s[%d]", path, i), v.Index(i), &buf.Children[0].Children[at])
	}
}

// function compares a func value: the name of its code and what it has captured.
func (c *comparer) function(path string, v uprobe.Value, d *api.Variable) {
	if v.IsNil() != (d.Base == 0) {
		c.differ(path, v, fmt.Sprintf("nil is %t", v.IsNil()), fmt.Sprintf("at %#x", d.Base))
		return
	}
	if v.IsNil() {
		c.equal++
		return
	}
	name, ok := v.FuncName()
	if !ok {
		c.missing(path, "argtap", why(v))
		return
	}
	if !c.same(path, v, strings.TrimSuffix(name, ".abi0"), d.Value) {
		return
	}
	vars := v.Closure()
	if why, absent := vars.Absent(); absent {
		c.missing(path, "argtap", why)
		return
	}
	theirs := map[string]*api.Variable{}
	for i := range d.Children {
		theirs[d.Children[i].Name] = &d.Children[i]
	}
	for i := range vars.NumField() {
		f := vars.Type().Fields[i].Name
		if d := theirs[f]; d != nil {
			c.value(path+".{"+f+"}", vars.Field(i), d)
		} else {
			c.missing(path, "delve", "captured variable")
		}
	}
}

// typeName makes one form of the names that the two have for a type. Delve
// writes some that the debug information leaves out.
func typeName(name string) string {
	name = strings.ReplaceAll(name, "interface {}", "any")
	name = strings.ReplaceAll(name, "struct {}", "struct{}")
	return name
}

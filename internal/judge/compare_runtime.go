package judge

import (
	"fmt"
	"reflect"
	"strings"

	"github.com/go-delve/delve/service/api"

	"github.com/argtap/argtap/abi"
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
		at := fmt.Sprintf("%s[#%d]", path, n)
		if x, ok := key.Str(); ok && len(x) < 40 {
			at = fmt.Sprintf("%s[%q]", path, x)
		}
		i, unknown := c.find(key, d.Children, used)
		switch {
		case i >= 0:
			used[i] = true
			// What the key leads to is compared, too.
			c.value("key of "+at, key, &d.Children[2*i])
			c.value(at, elem, &d.Children[2*i+1])
		case unknown != "":
			c.missingKey(at, unknown)
		case whole:
			c.differ(at, key, "a key", "no such key")
		}
	}
	if n != v.Captured() {
		c.differ(path, v, fmt.Sprintf("%d entries of %d captured", n, v.Captured()), "")
	}
}

// find returns the index of the entry with a key, -1 if there is none; then
// unknown is the reason why a part of the key is not known, if there is one.
func (c *comparer) find(key uprobe.Value, entries []api.Variable, used []bool) (i int, unknown string) {
	for i := range used {
		if used[i] {
			continue
		}
		trial := newComparer(c.fn, c.load)
		trial.shallow = true
		trial.value("", key, &entries[2*i])
		switch {
		case len(trial.diffs) > 0:
		case trial.equal > 0 && len(trial.absent) == 0:
			return i, ""
		default:
			for _, why := range byCount(trial.absent) {
				unknown = why
			}
		}
	}
	return -1, unknown
}

// channel compares a channel with the runtime's structure, which Delve shows.
func (c *comparer) channel(path string, v uprobe.Value, d *api.Variable) {
	p, _ := v.Pointer()
	if !c.reference(path, v, "channel", p, d.Base) || p == 0 || c.shallow {
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
	size, count := field("dataqsiz"), field("qcount")
	if timer := fields["timer"]; timer != nil && len(timer.Children) == 1 && timer.Children[0].Addr != 0 {
		// The channel of a timer or ticker has a buffer that programs do not see
		// since Go 1.23: len and cap are 0 (chanlen and chancap in runtime/chan.go).
		size, count = 0, 0
	}
	if !c.reference(path, v, "length", uint64(v.Len()), uint64(count)) ||
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
		if d.Len > 0 {
			c.missing(path, "argtap", "captured variables: "+why)
		}
		return
	}
	theirs := map[string]*api.Variable{}
	for i := range d.Children {
		theirs[d.Children[i].Name] = &d.Children[i]
	}
	for i := range vars.NumField() {
		f, x := vars.Type().Fields[i].Name, vars.Field(i)
		at := path + ".{" + f + "}"
		d := theirs[f]
		if d == nil {
			c.missing(at, "delve", "captured variable")
			continue
		}
		if d.Flags&api.VariableEscaped != 0 && x.Kind() == abi.Pointer {
			// Delve shows what a variable that is captured by reference contains.
			d = &api.Variable{Kind: reflect.Pointer, Type: x.Type().Name, Addr: d.Addr, Children: []api.Variable{*d}}
		}
		c.value(at, x, d)
	}
}

// missingKey counts an entry whose key is not known, for a reason that names
// the side.
func (c *comparer) missingKey(path, reason string) {
	side, why, _ := strings.Cut(reason, ": ")
	c.missing(path, side, "part of a key: "+why)
}

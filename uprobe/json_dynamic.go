package uprobe

import (
	"unicode/utf8"

	"github.com/argtap/argtap/abi"
)

// dynamicJSON appends a value of which only the run-time knows what it refers
// to.
func (p *printer) dynamicJSON(v Value, depth int) {
	if v.word(0) == 0 {
		p.str("null")
		return
	}
	if r := v.unfollowed(); r != abi.Present {
		p.wordsJSON(v, r)
		return
	}
	switch v.typ.Kind {
	case abi.Interface:
		d := v.Dynamic()
		p.str(`{"type":`)
		p.b = appendJSONString(p.b, typeName(d.typ))
		p.str(`,"value":`)
		p.json(d, depth+1)
		p.b = append(p.b, '}')
	case abi.Map:
		p.mapJSON(v, depth)
	case abi.Chan:
		p.chanJSON(v, depth)
	case abi.Func:
		name, _ := v.FuncName()
		p.str(`{"func":`)
		p.b = appendJSONString(p.b, name)
		if vars := v.Closure(); vars.NumField() > 0 {
			p.str(`,"vars":`)
			p.structJSON(vars, depth)
		}
		p.b = append(p.b, '}')
	}
}

// wordsJSON appends a value that was not followed.
func (p *printer) wordsJSON(v Value, r abi.Reason) {
	if v.typ.Size == v.wordSize() {
		p.unfollowedJSON(v.word(0), r)
		return
	}
	p.str(`{"words":[`)
	for i := int64(0); i*v.wordSize() < v.typ.Size; i++ {
		if i > 0 {
			p.b = append(p.b, ',')
		}
		p.b = append(p.b, '"')
		p.b = append(appendHex(p.b, v.word(i)), '"')
	}
	p.str(`],"absent":`)
	p.b = append(appendJSONString(p.b, r.String()), '}')
}

// mapJSON appends a map with string keys as an object, any other as a list of
// entries, and so one of whose keys some were cut.
func (p *printer) mapJSON(v Value, depth int) {
	if p.again(v) {
		p.refJSON(v)
		return
	}
	list := v.entries()
	cut := len(list) < v.Len()
	if cut {
		p.str(`{"elems":`)
	}
	object := v.typ.Key != nil && v.typ.Key.Kind == abi.String
	for i := range list {
		object = object && list[i].key.whole()
	}
	open, end := byte('['), byte(']')
	if object {
		open, end = '{', '}'
	}
	p.b = append(p.b, open)
	for i := range list {
		if i > 0 {
			p.b = append(p.b, ',')
		}
		if object {
			s, _ := list[i].key.Text()
			p.b = append(appendJSONString(p.b, s), ':')
			p.json(list[i].elem, depth+1)
			continue
		}
		p.str(`{"key":`)
		p.json(list[i].key, depth+1)
		p.str(`,"value":`)
		p.json(list[i].elem, depth+1)
		p.b = append(p.b, '}')
	}
	p.b = append(p.b, end)
	if cut {
		p.restJSON(v)
		p.lenJSON(v.Len())
	}
}

// restJSON says why not all of a map or channel was captured, where that is not
// because of a limit on it.
func (p *printer) restJSON(v Value) {
	if r := v.restReason(); r != abi.Present && v.Captured() < v.Len() {
		p.str(`,"absent":`)
		p.b = appendJSONString(p.b, r.String())
	}
}

// whole reports whether all of a string was captured, and is valid UTF-8: two
// that are not may be the same in JSON.
func (v Value) whole() bool {
	s, ok := v.Text()
	return ok && len(s) == v.Len() && utf8.Valid(s)
}

func (p *printer) chanJSON(v Value, depth int) {
	if p.again(v) {
		p.refJSON(v)
		return
	}
	p.ptrJSON(v.word(0))
	p.str(`,"len":`)
	p.b = appendInt(p.b, int64(v.Len()))
	p.str(`,"cap":`)
	p.b = appendInt(p.b, int64(v.Cap()))
	if closed, _ := v.Closed(); closed {
		p.str(`,"closed":true`)
	}
	if n := v.Captured(); n > 0 {
		p.str(`,"elems":`)
		p.listJSON(v, v.shown(n), depth)
	}
	p.restJSON(v)
	p.b = append(p.b, '}')
}

package uprobe

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/argtap/argtap/abi"
	"github.com/argtap/argtap/internal/capture"
	"github.com/argtap/argtap/internal/probegen"
	"github.com/argtap/argtap/symbols"
)

// describeWrapper describes a wrapper as the method that it has inlined: the
// parameters are the method's, their places those that the calling convention gives
// the wrapper's. The debug information is not asked about these: up to Go 1.21 it
// leaves out the receivers of wrappers.
func (b *executable) describeWrapper(w *wrapping, o *options) (*description, error) {
	d, err := b.describe(w.method.Func, o)
	if err != nil {
		return nil, err
	}
	full, shown := d.full, d.params
	if full != nil && len(d.dict) > 0 {
		in, ok := b.instanceOf(w, d, o)
		if !ok {
			return nil, fmt.Errorf("nothing describes the instance %s", w.method.called)
		}
		full, shown = in.Signature, in.Params
	}
	switch {
	case !d.goCode || d.source == SourceNone || d.source == SourceArgInfo:
		return nil, errors.New("nothing describes the parameters of the method")
	case full == nil:
		return nil, fmt.Errorf("the parameters of the method are not known for sure: %s", d.why)
	case !full.Method || len(full.Params) == 0:
		return nil, errors.New("nothing describes the receiver of the method")
	case full.Dict != abi.NoDict && len(d.dict) == 0:
		return nil, errors.New("nothing tells where the method takes its dictionary")
	}
	method := full.Params[0].Type
	sig := &abi.Signature{Params: full.Params[1:], Results: full.Results}
	if !w.value {
		outer, err := b.wrapperReceiver(w, method, o)
		if err != nil {
			return nil, err
		}
		sig.Method = true
		sig.Params = append([]abi.Param{{Name: full.Params[0].Name, Type: outer}}, sig.Params...)
	} else if w.method.called+"-fm" != w.wrapper.Name {
		return nil, fmt.Errorf("it is the method value of another method than %s", w.method.called)
	}
	r, err := b.record(w.wrapper)
	if err != nil {
		return nil, err
	}
	placed, err := b.fromSignature(w.wrapper, r, sig)
	if err != nil {
		return nil, err
	}
	params := placed.params
	out := &description{
		source: d.source, detail: d.detail, sig: full, goCode: true, regs: placed.regs, why: d.why,
		noResults: d.noResults, full: full,
	}
	receiver := Param{Name: full.Params[0].Name, Type: method}
	if w.value {
		at := alignUp(b.arch.PtrSize, max(method.Align, 1))
		receiver.Location = abi.Location{{Size: method.Size, Kind: abi.InMemory, Reg: b.arch.Closure, Disp: at}}
		if method.Size == 0 {
			receiver.Location = nil
		}
		receiver.Source = "the method value's"
		params = slices.Insert(params, 0, receiver)
	} else {
		t := &track{b: b, at: params[0].Location, typ: params[0].Type}
		if err := t.lead(method); err != nil {
			return nil, err
		}
		receiver.Location, out.receiver = t.location(method), t.receiver()
		receiver.Source, receiver.receiver = params[0].Source, out.receiver
		params[0] = receiver
	}
	// What the description of the method does not show is not shown here.
	for _, p := range params {
		if len(shown) == len(params) || p.Name != "_" {
			out.params = append(out.params, p)
		}
	}
	if len(out.params) != len(shown) {
		return nil, errors.New("the parameters of the method are not known for sure")
	}
	for i := range out.params {
		out.params[i].Name, out.params[i].Type = shown[i].Name, shown[i].Type
	}
	if len(shown) < len(params) {
		out.sig = withoutBlanks(out.sig)
	}
	out.results = wrapperResults(d, placed)
	return out, nil
}

// instanceOf returns the instance of a generic method whose wrapper it is.
func (b *executable) instanceOf(w *wrapping, d *description, o *options) (in Instance, ok bool) {
	for _, in := range b.instances(w.method.Func, d, typeDepth(o)) {
		if in.Name == w.method.called {
			return in, true
		}
	}
	return in, false
}

func alignUp(n, align int64) int64 { return (n + align - 1) / align * align }

// wrapperResults returns the results of a wrapper: those of the method, where the
// wrapper has them.
func wrapperResults(method, wrapper *description) func() ([]Param, error) {
	if method.results == nil {
		return nil
	}
	return func() ([]Param, error) {
		named, err := method.results()
		if err != nil {
			return nil, err
		}
		placed, err := wrapper.results()
		if err != nil {
			return nil, err
		}
		if len(named) == len(placed) && !slices.ContainsFunc(named, func(p Param) bool { return p.Name == missingResult }) {
			return placed, nil
		}
		for i := range named {
			named[i].Location = abi.Absent(named[i].Type.Size, abi.HiddenParameter)
		}
		return named, nil
	}
}

// wrapperReceiver returns the type of the receiver of a wrapper: a pointer to the
// method's, or a type that embeds it.
func (b *executable) wrapperReceiver(w *wrapping, method *abi.Type, o *options) (*abi.Type, error) {
	of, _, _ := symbols.MethodName(w.wrapper.Name)
	pointer := func(t *abi.Type) *abi.Type {
		return &abi.Type{Name: "*" + t.Name, Kind: abi.Pointer, Size: b.arch.PtrSize, Align: b.arch.PtrSize, Elem: t}
	}
	name, isPtr := plainReceiver(of)
	if ownName, ownPtr := w.method.receiver(); name == ownName && isPtr && !ownPtr {
		return pointer(method), nil
	}
	if b.dwarf == nil {
		return nil, errors.New("nothing describes the type that embeds the method's")
	}
	t, err := b.dwarf.Struct(name, typeDepth(o))
	if err != nil {
		return nil, fmt.Errorf("the type that embeds the method's: %w", err)
	}
	if isPtr {
		t = pointer(t)
	}
	return t, nil
}

// plainReceiver takes the parentheses and the star from the type of a receiver.
func plainReceiver(recv string) (name string, pointer bool) {
	if pkg, t, ok := strings.Cut(recv, "(*"); ok {
		return pkg + strings.TrimSuffix(t, ")"), true
	}
	return recv, false
}

// track leads from the receiver of a wrapper to that of the method: through embedded
// fields and pointers.
type track struct {
	b   *executable
	typ *abi.Type // of what was come to
	// at is where that is, as long as no pointer was followed.
	at abi.Location
	// via is how to come there else, disp the distance from where the last pointer
	// leads.
	via  *probegen.Receiver
	disp int64
}

// follow follows the pointer.
func (t *track) follow() error {
	if t.typ.Elem == nil || t.typ.Elem.Kind == abi.Invalid {
		return fmt.Errorf("nothing describes what a %s points to", t.typ)
	}
	if t.via == nil {
		if len(t.at) != 1 || t.at[0].Size != t.b.arch.PtrSize ||
			t.at[0].Kind != abi.InRegister && t.at[0].Kind != abi.InFrame {
			return fmt.Errorf("the pointer %s is not in one place", t.typ)
		}
		t.via = &probegen.Receiver{Base: t.at[0]}
	} else {
		if len(t.via.Steps) == probegen.MaxReceiverSteps {
			return errors.New("the receiver lies behind too many pointers")
		}
		t.via.Steps = append(t.via.Steps, t.disp)
	}
	t.typ, t.disp, t.at = t.typ.Elem, 0, nil
	return nil
}

// field goes to a field.
func (t *track) field(f *abi.Field) error {
	if t.via == nil {
		part, ok := capture.Part(t.at, f.Offset, f.Type.Size)
		if !ok {
			return fmt.Errorf("field %s does not begin with a register", f.Name)
		}
		t.at = part
	} else {
		t.disp += f.Offset
	}
	t.typ = f.Type
	return nil
}

// lead leads to a receiver of the type method.
func (t *track) lead(method *abi.Type) error {
	base := method
	if method.Kind == abi.Pointer && method.Elem != nil {
		base = method.Elem
	}
	is := func(x *abi.Type) bool { return x.Name == base.Name || x.Name == "*"+base.Name }
	if !is(t.typ) {
		path, err := promoted(t.typ, is)
		if err != nil {
			return fmt.Errorf("from %s to the method of %s: %w", t.typ, base, err)
		}
		for _, f := range path {
			if t.typ.Kind == abi.Pointer {
				if err := t.follow(); err != nil {
					return err
				}
			}
			if err := t.field(f); err != nil {
				return err
			}
		}
	}
	switch {
	case t.typ.Name == method.Name:
		return nil
	case t.typ.Name == "*"+method.Name:
		return t.follow()
	case t.via == nil:
		return fmt.Errorf("a %s that is in no memory has no address", t.typ)
	}
	return nil // its address is the receiver
}

// location returns where a receiver of the type method is.
func (t *track) location(method *abi.Type) abi.Location {
	switch {
	case t.via == nil:
		return t.at
	case t.typ.Name != method.Name:
		t.via.Disp = t.disp
		return abi.Location{{Size: method.Size, Kind: abi.InRegister, Reg: probegen.RegReceiver}}
	case method.Size == 0:
		return nil
	}
	return abi.Location{{Size: method.Size, Kind: abi.InMemory, Reg: probegen.RegReceiver, Disp: t.disp}}
}

func (t *track) receiver() *probegen.Receiver { return t.via }

// receiverText returns how a pointer to a receiver is come to, in the notation of
// locations.
func receiverText(r *probegen.Receiver, a *abi.Arch) string {
	text, _, _ := strings.Cut(abi.Location{r.Base}.Format(a), ":")
	for _, disp := range r.Steps {
		text = fmt.Sprintf("[%s%+d]", text, disp)
	}
	if r.Disp != 0 {
		text += fmt.Sprintf("%+d", r.Disp)
	}
	return text
}

// maxPromotions bounds the embedded fields that are looked at.
const maxPromotions = 1000

// promoted returns the embedded fields that lead from a type to one that is wanted:
// the way that Go takes, which is the one to the least depth.
func promoted(from *abi.Type, wanted func(*abi.Type) bool) ([]*abi.Field, error) {
	type way struct {
		typ  *abi.Type
		path []*abi.Field
	}
	level := []way{{from, nil}}
	seen := map[string]bool{}
	for looked := 0; len(level) > 0; {
		var next []way
		var found [][]*abi.Field
		for _, w := range level {
			s := w.typ
			if s.Kind == abi.Pointer && s.Elem != nil {
				s = s.Elem
			}
			if s.Kind == abi.Invalid {
				return nil, fmt.Errorf("nothing describes %s", s)
			}
			if s.Kind != abi.Struct || seen[s.Name] {
				continue
			}
			seen[s.Name] = true
			for i := range s.Fields {
				f := &s.Fields[i]
				if !f.Embedded {
					continue
				}
				if looked++; looked > maxPromotions {
					return nil, errors.New("too many embedded fields")
				}
				path := append(slices.Clip(w.path), f)
				if wanted(f.Type) {
					found = append(found, path)
				} else {
					next = append(next, way{f.Type, path})
				}
			}
		}
		switch {
		case len(found) == 1:
			return found[0], nil
		case len(found) > 1:
			return nil, errors.New("several embedded fields lead there")
		}
		level = next
	}
	return nil, errors.New("no embedded field leads there")
}

package uprobe

import (
	"errors"
	"fmt"
	"strings"

	"github.com/argtap/argtap/abi"
)

// A Printer says what people read for a value of its type: it returns a Go
// value to show in its place, or false if it cannot be sure, because a part of v
// is absent or its fields are not what they were. Then v is shown as any other
// value is.
//
// In text stands what fmt.Sprint makes of what it returns, in JSON what
// encoding/json makes of it. A Printer may return a [Value], such as a field of
// v, to have it shown in place of v. It must not print v itself, only parts of
// it. What it returns must not refer to the call.
type Printer func(v Value) (shown any, ok bool)

// WithPrinter shows values of a type as the [Printer] says, in text and in JSON.
// typeName is the type's name with its full package path, as in
// "github.com/google/uuid.UUID"; for all instances of a generic type, the name
// without the brackets. Pointers to the type are shown in the same way. A
// printer takes the place of the one that argtap has for a known type, and of one
// given before.
//
// Printers belong to a tracer, not to the program: "main.ID" is another type in
// another binary, and packages that trace do not meet in a common table. What
// has printers for its types offers them as an Option.
func WithPrinter(typeName string, p Printer) Option {
	return func(o *options) error {
		if typeName == "" || p == nil {
			return errors.New("printer without a type's name or without a function: give both")
		}
		if strings.HasPrefix(typeName, "*") {
			return fmt.Errorf("printer for %s: name the type that it points to, %s", typeName, typeName[1:])
		}
		if o.printers == nil {
			o.printers = printers{}
		}
		o.printers[typeName] = p
		return nil
	}
}

// printers are those of a tracer, by name of the type.
type printers map[string]Printer

// mode says what a readable form is for.
type mode uint8

const (
	inText mode = iota // String
	inFmt              // the verb %v of package fmt
	inJSON
	inGo // Any, Decode
)

// textOnly is what a known type shows in text. In JSON it shows its fields.
type textOnly struct{ any }

func (t textOnly) String() string { return textOf(t.any) }

// textOf returns the text of what a printer returned.
func textOf(x any) string {
	switch x := x.(type) {
	case string:
		return x
	case fmt.Stringer:
		return x.String()
	}
	return fmt.Sprint(x)
}

// fmtOf returns what %v prints for it.
func fmtOf(x any) string {
	if x, ok := x.(interface{ fmtString() string }); ok {
		return x.fmtString()
	}
	return textOf(x)
}

// readable returns what is shown in place of a value of a known type.
func (v Value) readable(m mode) (any, bool) {
	if v.typ == nil || v.typ.Kind == abi.Pointer {
		return nil, false
	}
	name := v.typ.Name
	if i := strings.IndexByte(name, '['); i >= 0 {
		if p := v.printers[name]; p != nil && m != inGo {
			if x, ok := p(v); ok {
				return x, true
			}
		}
		name = name[:i]
	}
	if strings.IndexByte(name, '.') < 0 || name[0] == '*' || v.reason() != abi.Present {
		return nil, false
	}
	if p := v.printers[name]; p != nil && m != inGo {
		return p(v)
	}
	known := knownTypes[name]
	if known == nil {
		return v.uuid()
	}
	x, ok := known(v, m)
	if _, only := x.(textOnly); only && m == inJSON {
		return nil, false
	}
	return x, ok
}

// knownTypes are the types whose readable form argtap knows, by full name.
var knownTypes map[string]func(v Value, m mode) (any, bool)

func init() {
	knownTypes = map[string]func(v Value, m mode) (any, bool){
		"time.Time":     knownTime,
		"time.Duration": knownDuration,
		"time.Month":    knownMonth,
		"time.Weekday":  knownWeekday,

		"net.IP":             knownIP,
		"net.IPMask":         knownIPMask,
		"net.IPNet":          knownIPNet,
		"net/netip.Addr":     knownAddr,
		"net/netip.Prefix":   knownPrefix,
		"net/netip.AddrPort": knownAddrPort,
		"net/url.URL":        knownURL,

		"math/big.Int":                 knownBigInt,
		"strings.Builder":              knownBuilder,
		"bytes.Buffer":                 knownBuffer,
		"encoding/json.RawMessage":     knownRawMessage,
		"encoding/json/jsontext.Value": knownRawMessage, // its name since Go 1.27
		"io/fs.FileMode":               knownFileMode,
		"os.FileMode":                  knownFileMode, // before Go 1.16

		"reflect.rtype":     knownRType,
		"internal/abi.Type": knownRType,
		"runtime._type":     knownRType, // before Go 1.21

		"errors.errorString": knownError,
		"fmt.wrapError":      knownError,
		"fmt.wrapErrors":     knownError,

		"sync.Mutex":          knownMutex,
		"internal/sync.Mutex": knownMutex, // within sync.Mutex, since Go 1.24
		"sync.RWMutex":        knownRWMutex,
		"sync.Once":           knownOnce,
		"sync.WaitGroup":      knownWaitGroup,

		"sync/atomic.Int32":   knownAtomic,
		"sync/atomic.Int64":   knownAtomic,
		"sync/atomic.Uint32":  knownAtomic,
		"sync/atomic.Uint64":  knownAtomic,
		"sync/atomic.Uintptr": knownAtomic,
		"sync/atomic.Value":   knownAtomic,
		"sync/atomic.Pointer": knownAtomic,
		"sync/atomic.Bool":    knownAtomicBool,
	}
}

// parts returns the fields of the given names, and whether v is a struct of just
// these, blank ones aside.
func (v Value) parts(names ...string) ([]Value, bool) {
	if v.Kind() != abi.Struct || len(v.typ.Fields) > 32 {
		return nil, false
	}
	found := make([]Value, len(names))
	n := 0
fields:
	for i := range v.typ.Fields {
		f := &v.typ.Fields[i]
		if f.Name == "_" || f.Name == "noCopy" {
			continue
		}
		for j, name := range names {
			if f.Name == name && found[j].typ == nil {
				found[j] = v.Field(i)
				n++
				continue fields
			}
		}
		return nil, false
	}
	return found, n == len(names)
}

// text returns a string of which all was captured.
func (v Value) wholeText() (string, bool) {
	b, ok := v.Text()
	return string(b), ok && len(b) == v.Len()
}

// wholeBytes returns the bytes of a slice of which all was captured.
func (v Value) wholeBytes() ([]byte, bool) {
	b, ok := v.Bytes()
	return b, ok && len(b) == v.Len() && v.typ.Elem.Kind == abi.Uint8
}

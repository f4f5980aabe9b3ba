package expr

import (
	"errors"
	"go/constant"
	"strings"
	"testing"

	"github.com/argtap/argtap/abi"
)

// garbage is memory where anything can be read, and nothing makes sense.
type garbage struct{}

func (garbage) Read(addr uint64, b []byte) bool {
	for i := range b {
		b[i] = byte(addr>>(8*(i%8))) ^ byte(i)
	}
	return addr%16 != 3
}

func (garbage) TypeWord(t *abi.Type) uint64 { return t.RuntimeType }

func (garbage) MapElem(_ *abi.Type, m uint64, _ constant.Value) (addr uint64, found, ok bool) {
	return m, m&1 == 0, m&2 == 0
}

// table is a program's types by name.
type table []*abi.Type

func (tb table) Lookup(name string) (all []*abi.Type) {
	for _, t := range tb {
		if t.Name == name {
			return []*abi.Type{t}
		}
	}
	for _, t := range tb {
		if ShortName(t.Name) == name {
			all = append(all, t)
		}
	}
	return all
}

var (
	basics  = basicTypes(8)
	intType = basics["int"]
	str     = basics["string"]
	bytesT  = &abi.Type{Name: "[]uint8", Kind: abi.Slice, Size: 24, Align: 8, Elem: basics["uint8"]}
	errorT  = &abi.Type{Name: "error", Kind: abi.Interface, Size: 16, Align: 8, NumMethod: 1}
	anyT    = &abi.Type{Name: "interface {}", Kind: abi.Interface, Size: 16, Align: 8}
	url     = structType("net/url.URL", 4, "Scheme", str, "Opaque", str, "User", pointerTo(structType("net/url.Userinfo", 5)), "Host", str,
		"Path", str, "RawPath", str, "_", intType)
	pathError  = structType("io/fs.PathError", 6, "Op", str, "Path", str, "Err", errorT)
	request    = structType("net/http.Request", 7, "Method", str, "URL", pointerTo(url), "Body", bytesT)
	pathErrors = table{
		pathError, pointerTo(pathError), structType("example.com/one/conf.File", 8, "Name", str),
		structType("example.com/two/conf.File", 9, "Size", intType), structType("gopkg.in/yaml%2ev3.Node", 10, "Kind", intType),
		structType("main.Local", 11, "n", intType), structType("main.Pair[int8,string]", 12, "First", basics["int8"]),
		structType("main.Twice", 13, "n", intType), url, pointerTo(url),
		{Name: "int", Kind: abi.Int, Size: 8, Align: 8, RuntimeType: 14}, {Name: "time.Duration", Kind: abi.Int64, Size: 8, Align: 8, RuntimeType: 15},
		{Name: "main.unknown", Kind: abi.Invalid},
		structType("main.NoWord", 0, "n", intType),
	}
)

func pointerTo(t *abi.Type) *abi.Type {
	return &abi.Type{Name: "*" + t.Name, Kind: abi.Pointer, Size: 8, Align: 8, Elem: t, RuntimeType: 1000 + t.RuntimeType}
}

// structType lays out names and types. An embedded field is called "+name".
func structType(name string, word uint64, fields ...any) *abi.Type {
	t := &abi.Type{Name: name, Kind: abi.Struct, Align: 8, RuntimeType: word}
	for i := 0; i < len(fields); i += 2 {
		f := abi.Field{Name: strings.TrimPrefix(fields[i].(string), "+"), Type: fields[i+1].(*abi.Type), Offset: t.Size}
		f.Embedded = f.Name != fields[i]
		t.Fields = append(t.Fields, f)
		t.Size = (t.Size + f.Type.Size + 7) &^ 7
	}
	return t
}

func testScope() *Scope {
	list := structType("main.list", 20, "value", intType)
	list.Fields = append(list.Fields, abi.Field{Name: "next", Type: pointerTo(list), Offset: 8})
	list.Size = 16
	left, right := structType("main.left", 21, "both", intType, "l", intType), structType("main.right", 22, "both", intType)
	return &Scope{Arch: abi.AMD64, Types: pathErrors, Package: "main", Params: []abi.Param{
		{Name: "r", Type: pointerTo(request)},
		{Name: "body", Type: bytesT},
		{Name: "p", Type: pointerTo(list)},
		{Name: "m", Type: &abi.Type{Name: "map[string]int", Kind: abi.Map, Size: 8, Align: 8, Key: str, Elem: intType}},
		{Name: "err", Type: errorT},
		{Name: "e", Type: anyT},
		{Name: "s", Type: str},
		{Name: "iterations", Type: intType},
		{Name: "b", Type: basics["uint8"]},
		{Name: "x", Type: structType("main.X", 23, "+left", left, "+right", pointerTo(right))},
		{Name: "_", Type: intType},
		{Name: "~r0", Type: intType},
		{Name: "duration", Type: &abi.Type{Name: "time.Duration", Kind: abi.Int64, Size: 8, Align: 8}},
		{Name: "cap", Type: intType},
		{Name: "f", Type: basics["float64"]},
		{Name: "pp", Type: pointerTo(pointerTo(list))},
		{Name: "far", Type: pointerTo(&abi.Type{Name: "main.Local"})},
		{Name: "lost", Type: pointerTo(&abi.Type{Name: "main.unknown"})},
		{Name: "arr", Type: &abi.Type{Name: "[4]int", Kind: abi.Array, Size: 32, Align: 8, Len: 4, Elem: intType}},
		{Name: "fn", Type: &abi.Type{Name: "func()", Kind: abi.Func, Size: 8, Align: 8}},
		{Name: "c", Type: &abi.Type{Name: "chan int", Kind: abi.Chan, Size: 8, Align: 8, Elem: intType}},
		{Name: "shaped", Type: &abi.Type{Name: "go.shape.*uint8", Kind: abi.Pointer, Size: 8, Align: 8}},
		{Name: "timer", Type: &abi.Type{Name: "<-chan time.Time", Kind: abi.Chan, Size: 8, Align: 8, Elem: &abi.Type{Name: "time.Time", Kind: abi.Struct, Size: 24, Align: 8}}},
	}}
}

// TestTrees holds the trees of what people will write.
func TestTrees(t *testing.T) {
	for _, tt := range [][2]string{
		{`r.URL.Path`, `(field string +56 (deref net/url.URL (field *net/url.URL +16 (deref net/http.Request (param *net/http.Request 0)))))`},
		{`len(body)`, `(len int (param []uint8 1))`},
		{`*p.next`, `(deref main.list (field *main.list +8 (deref main.list (param *main.list 2))))`},
		{`m["key"]`, `(mapelem int "key" (param map[string]int 3))`},
		{`err.(*fs.PathError).Path`, `(field string +16 (deref io/fs.PathError (assert *io/fs.PathError itab direct (param error 4))))`},
		{`err.(*io/fs.PathError).Op`, `(field string +0 (deref io/fs.PathError (assert *io/fs.PathError itab direct (param error 4))))`},
		{`e.(fs.PathError).Op`, `(field string +0 (assert io/fs.PathError (param interface {} 5)))`},
		{`e.(example.com/two/conf.File).Size / 2`, `(quo int (field int +0 (assert example.com/two/conf.File (param interface {} 5))) (const int 2))`},
		{`e.(gopkg.in/yaml.v3.Node).Kind`, `(field int +0 (assert gopkg.in/yaml%2ev3.Node (param interface {} 5)))`},
		{`e.(yaml.Node).Kind`, `(field int +0 (assert gopkg.in/yaml%2ev3.Node (param interface {} 5)))`},
		{`e.(Local).n`, `(field int +0 (assert main.Local (param interface {} 5)))`},
		{`e.(main.Pair[int8, string]).First`, `(field int8 +0 (assert main.Pair[int8,string] (param interface {} 5)))`},
		{`e.(int)`, `(assert int (param interface {} 5))`},
		{`s[:16]`, `(slice string (param string 6) _ (const int 16) _)`},
		{`arr[1:][cap]`, `(elem int (slice []int 4 (param [4]int 18) (const int 1) _ _) (param int 13))`},
		{`arr[3] + arr[b]`, `(add int (field int +24 (param [4]int 18)) (index int 4 (param [4]int 18) (param uint8 8)))`},
		{`iterations > 1000 && r.Method == "GET"`, `(andand bool (gt bool (param int 7) (const int 1000)) (eq bool (field string +0 (deref net/http.Request (param *net/http.Request 0))) (const string "GET")))`},
		{`duration > 5*time.Millisecond`, `(gt bool (param time.Duration 12) (const time.Duration 5000000))`},
		{`time.Duration(b) == duration`, `(eq bool (convert time.Duration (param uint8 8)) (param time.Duration 12))`},
		{`1<<b&iterations != 0`, `(ne bool (and int (shl int (const int 1) (param uint8 8)) (param int 7)) (const int 0))`},
		{`far.n`, `(field int +0 (deref main.Local (param *main.Local 16)))`},
		{`x.l + x.left.both`, `(add int (field int +8 (field main.left +0 (param main.X 9))) (field int +0 (field main.left +0 (param main.X 9))))`},
		{`(**pp).value`, `(field int +0 (deref main.list (deref *main.list (param **main.list 15))))`},
		{`err != nil`, `(not bool (isnil bool (param error 4)))`},
		{`f < 1`, `(lt bool (param float64 14) (const float64 1))`},
		{`len(arr)`, `(const int 4)`},
		{`cap(body) + 1`, ``},
	} {
		e, err := Compile(tt[0], testScope())
		switch {
		case tt[1] == "":
			if err == nil {
				t.Errorf("%s: no error, though a parameter has the name of what is called", tt[0])
			}
		case err != nil:
			t.Error(err)
		case e.Root.String() != tt[1]:
			t.Errorf("%s:\nhave %s\nwant %s", tt[0], e.Root, tt[1])
		}
	}
}

// TestErrors holds errors as the user sees them: the text, the mark, the message.
func TestErrors(t *testing.T) {
	for _, tt := range []struct {
		text, mark, message string
		unsupported         bool
	}{
		{`r.URL.Pth`, `      ^`, `no field Pth in net/url.URL; fields: Scheme, Opaque, User, Host, Path, RawPath; did you mean Path?`, false},
		{`r.url`, `  ^`, `no field url in net/http.Request; fields: Method, URL, Body; did you mean URL?`, false},
		{`iteratons > 1`, `^`, `no parameter iteratons; parameters: r, body, p, m, err, e, s, iterations, b, x, duration, cap, f, pp, far, lost, arr, fn, c, shaped, … (1 more); did you mean iterations?`, false},
		{`x.both`, `  ^`, `both is ambiguous in main.X: left.both or right.both`, false},
		{`r.URL._`, `      ^`, `blank fields cannot be named`, false},
		{`_ + 1`, `^`, `_ is no name of a value; parameters: r, body,`, false},
		{`b == 300`, `     ^`, `constant 300 overflows uint8`, false},
		{`b == 1.5`, `     ^`, `constant 1.5 is no integer, as uint8 is`, false},
		{`b == iterations`, `  ^`, `operator == with different types: of type uint8, and of type int`, false},
		{`s == nil`, `  ^`, `operator == is not defined for nil and what is of type string`, false},
		{" ", `^`, `it is empty`, false},
		{`r.Method == 'GET'`, `            ^`, `more than one character in single quotes: a string stands in double quotes`, false},
		{`len(r.Method`, `            ^`, `expected ')', found the end`, false},
		{`r.Method == "GET" and true`, `                  ^`, `expected an operator or the end, found and: conditions are joined by && and ||`, false},
		{`r.Method:log`, `        ^`, `expected an operator or the end, found ':'`, false},
		{`r.Method = "GET"`, `         ^`, `expected '==', found '='`, false},
		{`r.`, `  ^`, `expected selector or type assertion, found the end`, false},
		{`arr[4]`, `    ^`, `index 4 is out of range: there are 4 elements`, false},
		{`arr[-1]`, `    ^`, `index -1 is negative`, false},
		{`arr[3:1]`, `      ^`, `limit 1 is less than the one before it, 3`, false},
		{`s["a"]`, `  ^`, `an index is an integer; this is "a" (untyped string)`, false},
		{`m[1]`, `  ^`, `constant 1 is no value of type string`, false},
		{`m[s]`, `  ^`, `a map is indexed by a constant string, integer or bool; this is of type string, and the key string`, true},
		{`b / 0`, `    ^`, `division by zero`, false},
		{`*iterations`, `^`, `* needs a pointer; this is of type int`, false},
		{`pp.next`, `   ^`, `no field next in **main.list: it is a pointer to a pointer; write (*pp).next`, false},
		{`err.Path`, `    ^`, `no field Path in error: say what the interface holds, as in x.(T).Path`, false},
		{`err.(*fs.PathEror)`, `     ^`, `no type *fs.PathEror in the program`, false},
		{`e.(*conf.File)`, `   ^`, `no type *conf.File in the program`, false},
		{`e.(conf.File)`, `   ^`, `conf.File can be example.com/one/conf.File or example.com/two/conf.File: write the import path`, false},
		{`e.(*Local)`, `   ^`, `no type *Local in the program; did you mean Local?`, false},
		{`e.(uint)`, `   ^`, `no interface of the program can hold a uint: it has no descriptor`, false},
		{`e.(NoWord)`, `   ^`, `no interface of the program can hold a main.NoWord: it has no descriptor`, false},
		{`err.(error)`, `     ^`, `assertion of an interface type: name the type that the interface holds`, true},
		{`s.(string)`, `^`, `only an interface can be asserted to hold a type; this is of type string`, false},
		{`e.(type)`, `  ^`, `a type switch is no expression`, false},
		{`err == e`, `    ^`, `comparison of error with interface {}: interfaces can only be compared with nil; assert what it holds`, true},
		{`r.Cookies()`, `  ^`, `call of r.Cookies: expressions call no functions and methods`, true},
		{`strings.ToUpper(s)`, `        ^`, `call of strings.ToUpper: expressions call no functions and methods`, true},
		{`fn()`, `^`, `call of fn: expressions call no functions`, true},
		{`min(1, 2)`, `^`, `call of min: only len, cap, real and imag can be called`, true},
		{`cap(s)`, `^`, `call of cap: expressions call no functions`, true},
		{`len(s, s)`, `   ^`, `len takes one argument`, false},
		{`len(5)`, `    ^`, `no len of what is 5 (untyped int)`, false},
		{`[]int{1}`, `^`, `composite literal: expressions make no values`, true},
		{`func() int { return 1 }()`, `^`, `function literal: expressions call no functions`, true},
		{`&p.next`, `^`, `address operator: expressions have values, and a pointer is one; leave out the &`, true},
		{`body[0] == 1 && len(timer) > 0`, `                ^`, `len of a channel of time.Time: that of a timer is 0, whatever its buffer holds: name the channel itself`, true},
		{`shaped.n == 1`, `^`, `what go.shape.*uint8 points to is not known: generic code has one shape for all pointers`, false},
		{`<-c`, `^`, `receive: expressions only read`, true},
		{`unsafe.Sizeof(p)`, `       ^`, `call of unsafe.Sizeof: expressions call no functions and methods`, true},
		{`unsafe.Pointer`, `^`, `package unsafe: expressions keep to the types`, true},
		{`f + 1`, `  ^`, `operator + of float64: no arithmetic of floating-point numbers in the kernel`, true},
		{`int(f)`, `^`, `conversion to int of what is of type float64: expressions convert between integer types only`, true},
		{`s + "x"`, `  ^`, `concatenation of strings that are not constant: expressions make no values`, true},
		{`s == r.Method`, `  ^`, `comparison of two strings of which none is constant`, true},
		{`nil`, `^`, `nil has no type: compare it with something`, false},
		{`int`, `^`, `int is a type, and no value`, false},
		{`len`, `^`, `len is a function and must be called`, false},
		{`iota`, `^`, `iota has a value in declarations of constants only`, false},
		{`lost.n`, `     ^`, `type main.unknown is not described`, false},
		{`1<<600`, ` ^`, `constant overflows: more than 512 bits`, false},
		{`1<<f`, `   ^`, `a shift count is an integer; this is of type float64`, false},
		{`iterations<<(1<<b)`, `             ^`, `a shift count that is itself a shift of a constant: give the constant a type, as in uint(1)<<n`, true},
		{`1.5<<b`, `^`, `what is shifted must be an integer; this is 1.5 (untyped float)`, false},
		{`"é" == 1`, `    ^`, `operator == with different types: "é" (untyped string), and 1 (untyped int)`, false},
		{"len(s) >\n\tzz", "\t^", `no parameter zz; parameters: r,`, false},
	} {
		_, err := Compile(tt.text, testScope())
		var ee *Error
		if !errors.As(err, &ee) {
			t.Errorf("%s: error %v", tt.text, err)
			continue
		}
		_, mark, _ := strings.Cut(ee.Caret(), "\n")
		if !strings.HasPrefix(ee.Message, tt.message) || mark != tt.mark || ee.Unsupported != tt.unsupported {
			t.Errorf("%s\nhave:\n%s\n%s (%v)\nwant:\n%s\n%s (%v)", tt.text, mark, ee.Message, ee.Unsupported, tt.mark, tt.message, tt.unsupported)
		}
	}
}

func TestConditionIsBool(t *testing.T) {
	_, err := Condition("iterations", testScope())
	if err == nil || !strings.Contains(err.Error(), "expression iterations: column 1: a condition is a bool; this is of type int: compare it with something") {
		t.Errorf("error %v", err)
	}
	if e, err := Condition(`r != nil && !(s > "a")`, testScope()); err != nil || e.Type().Kind != abi.Bool {
		t.Errorf("%v, error %v", e, err)
	}
}

package expr

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"fmt"
	"go/constant"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/argtap/argtap/abi"
)

// TestJudge lets Go say what random expressions are worth, and where they have
// no value, why.
func TestJudge(t *testing.T) {
	if !hostArch() {
		t.Skip("needs a host that has the layouts of amd64")
	}
	worlds := 6
	if testing.Short() {
		worlds = 1
	}
	var total, otherOrder, broken int
	ends := map[string]int{}
	for seed := range worlds {
		w := newWorld(t, rand.New(rand.NewPCG(uint64(seed), 2)))
		var exprs []*Expr
		var texts []string
		for len(exprs) < 1000 {
			text := w.expression(4)
			// The compiler makes an int32 of a rune that is a shift count, even if
			// it does not fit: x<<('a'<<31) panics.
			if len(text) > 300 || strings.Contains(text, "'a'<<") {
				continue
			}
			if _, err := w.check(text); err != nil {
				continue
			}
			e, err := Compile(text, w.scope)
			if err != nil {
				continue // TestAccept has its eye on these
			}
			exprs = append(exprs, e)
			texts = append(texts, strings.ReplaceAll(text, "main.", ""))
		}
		truth := w.run(t, texts)
		if truth == nil {
			broken++
			continue
		}
		for i, e := range exprs {
			total++
			want := truth.vals[i]
			got, end := truth.eval(e)
			ends[end]++
			if !truth.enough(e) {
				t.Errorf("world %d: %s reads more than it touches\n%s", seed, e, e.Root)
			}
			if reason, ok := strings.CutPrefix(got, "panic: "); ok && strings.HasPrefix(want, "panic: ") && strings.Contains(want, reason) {
				continue
			}
			if got != want && strings.HasPrefix(want, "panic: ") && truth.otherOrder(e.Root, e, want) {
				otherOrder++
				continue
			}
			if got != want {
				t.Errorf("world %d: %s is %s, want %s\n%s", seed, e, got, want, e.Root)
			}
		}
	}
	t.Logf("%d expressions: %v; %d in another order", total, ends, otherOrder)
	if broken > worlds/4 {
		t.Errorf("the compiler broke over %d of %d programs", broken, worlds)
	}
	if otherOrder > total/50 {
		t.Errorf("%d of %d have no value for another reason than Go's", otherOrder, total)
	}
	for _, end := range []string{"present", "nil pointer", "index out of range", "slice bounds out of range", "another dynamic type", "division by zero", "negative shift count"} {
		if ends[end] == 0 && !testing.Short() {
			t.Errorf("no expression that ended with: %s", end)
		}
	}
	if ends["present"] < total/3 {
		t.Errorf("the expressions are of no use: %v", ends)
	}
}

// truth is what a program wrote.
type truth struct {
	params [][]byte
	mem    []region
	maps   map[string]uint64 // by address and key
	types  map[string]uint64
	vals   []string
}

type region struct {
	addr uint64
	b    []byte
}

// run builds and runs a program with the expressions. It returns nil if the
// compiler breaks.
func (w *world) run(t *testing.T, texts []string) *truth {
	t.Helper()
	var b strings.Builder
	head, tail, _ := strings.Cut(w.source, "\nvar _ ")
	head = strings.Replace(head, `import "unsafe"`, "import (\n\"bufio\"\n\"fmt\"\n\"math\"\n\"os\"\n\"reflect\"\n\"strconv\"\n\"unsafe\"\n)", 1)
	b.WriteString(head + "\nvar _ " + tail + programTail)
	b.WriteString("\nvar _ = math.Pi\n\nfunc main() {\n")
	for _, v := range w.vars {
		fmt.Fprintf(&b, "\t%s = %s\n", v.Name(), w.literal(v.Type(), 4))
	}
	for _, v := range w.vars {
		fmt.Fprintf(&b, "\tparam(%q, &%s)\n", v.Name(), v.Name())
	}
	const each = 200
	for i := 0; i < len(texts); i += each {
		fmt.Fprintf(&b, "\tvals%d()\n", i)
	}
	b.WriteString("\tout.Flush()\n}\n")
	for i, text := range texts {
		if i%each == 0 {
			fmt.Fprintf(&b, "func vals%d() {\n", i)
		}
		fmt.Fprintf(&b, "\tval(%d, func() %s { return %s })\n", i, w.typeOf(t, text), text)
		if i%each == each-1 || i == len(texts)-1 {
			b.WriteString("}\n")
		}
	}
	dir := t.TempDir()
	for name, text := range map[string]string{"main.go": b.String(), "go.mod": "module main\n\ngo 1.26\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	exe := filepath.Join(dir, "main.exe")
	build := exec.Command("go", "build", "-gcflags=-N -l", "-o", exe, ".")
	build.Dir = dir
	build.Env = append(os.Environ(), "GOFLAGS=-buildvcs=false", "GOWORK=off", "GOTOOLCHAIN=local", "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		if strings.Contains(string(out), "internal compiler error") {
			t.Logf("%s", out)
			return nil
		}
		keep := filepath.Join(os.TempDir(), "expr-judge.go")
		_ = os.WriteFile(keep, []byte(b.String()), 0o666)
		t.Fatalf("%v\n%s\n%s", err, out, keep)
	}
	var stderr bytes.Buffer
	run := exec.Command(exe)
	run.Stderr = &stderr
	// The runtime must not move or free what the program has shown.
	run.Env = append(os.Environ(), "GOGC=off")
	out, err := run.Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, stderr.String())
	}
	return w.parse(t, out, len(texts))
}

// typeOf writes the type of an expression.
func (w *world) typeOf(t *testing.T, text string) string {
	typ, err := w.check(text)
	if err != nil {
		t.Fatal(err)
	}
	return strings.ReplaceAll(typ.String(), "main.", "")
}

func (w *world) parse(t *testing.T, out []byte, n int) *truth {
	t.Helper()
	tr := &truth{maps: map[string]uint64{}, types: map[string]uint64{}, vals: make([]string, n), params: make([][]byte, len(w.vars))}
	index := map[string]int{}
	for i, p := range w.scope.Params {
		index[p.Name] = i
	}
	num := func(s string) uint64 {
		x, err := strconv.ParseUint(s, 16, 64)
		if err != nil {
			t.Fatal(err)
		}
		return x
	}
	raw := func(s string) []byte {
		b, err := hex.DecodeString(s)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	lines := bufio.NewScanner(bytes.NewReader(out))
	lines.Buffer(nil, 1<<24)
	for lines.Scan() {
		f := strings.SplitN(lines.Text(), " ", 3)
		switch f[0] {
		case "param":
			tr.params[index[f[1]]] = raw(f[2])
		case "mem":
			tr.mem = append(tr.mem, region{num(f[1]), raw(f[2])})
		case "map":
			at := strings.LastIndexByte(f[2], ' ')
			tr.maps[fmt.Sprintf("%x %s", num(f[1]), f[2][:at])] = num(f[2][at+1:])
		case "type":
			tr.types[f[2]] = num(f[1])
		case "val":
			i, err := strconv.Atoi(f[1])
			if err != nil {
				t.Fatal(err)
			}
			tr.vals[i] = f[2]
		default:
			t.Fatalf("%q", lines.Text())
		}
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	return tr
}

// Read implements Memory.
func (tr *truth) Read(addr uint64, b []byte) bool {
	for _, r := range tr.mem {
		if addr >= r.addr && addr-r.addr <= uint64(len(r.b)) && uint64(len(b)) <= uint64(len(r.b))-(addr-r.addr) {
			copy(b, r.b[addr-r.addr:])
			return true
		}
	}
	return false
}

// TypeWord implements Memory.
func (tr *truth) TypeWord(t *abi.Type) uint64 {
	if w := tr.types[t.Name]; w != 0 {
		return w
	}
	return 1
}

// MapElem implements Memory.
func (tr *truth) MapElem(_ *abi.Type, m uint64, key constant.Value) (addr uint64, found, ok bool) {
	text := key.ExactString()
	if key.Kind() == constant.String {
		text = strconv.Quote(constant.StringVal(key))
	}
	addr, found = tr.maps[fmt.Sprintf("%x %s", m, text)]
	return addr, found, true
}

// panics are what Go says where an expression has no value.
var panics = map[Absence]string{
	NilDereference: "invalid memory address or nil pointer dereference", IndexOutOfRange: "index out of range",
	SliceOutOfRange: "slice bounds out of range", OtherType: "interface conversion", DivisionByZero: "integer divide by zero",
	NegativeShift: "negative shift amount",
}

// eval writes what the interpreter has for an expression as the program does,
// as far as it can say why there is no value, and how it ended.
func (tr *truth) eval(e *Expr) (value, end string) {
	v, why := Eval(e, tr.params, tr)
	if why != Present {
		return "panic: " + panics[why], why.String()
	}
	return tr.text(v.Type, v.Bytes, v), why.String()
}

// otherOrder reports whether a part of the expression that is evaluated in any
// case has no value for the reason that Go has. The specification leaves open
// in which order operands are evaluated that have no calls, and the compiler
// makes use of it.
func (tr *truth) otherOrder(n *Node, e *Expr, want string) bool {
	if n == nil {
		return false
	}
	if n.Type.Size <= maxValue {
		part := *e
		part.Root = n
		if got, _ := tr.eval(&part); strings.HasPrefix(got, "panic: ") && strings.Contains(want, got[len("panic: "):]) {
			return true
		}
	}
	if n.Op == AndAnd || n.Op == OrOr {
		m := machine{arch: e.arch, params: tr.params, mem: tr}
		if x, why := m.scalar(n.X); why != Present || (x != 0) == (n.Op == OrOr) {
			return tr.otherOrder(n.X, e, want)
		}
	}
	return tr.otherOrder(n.X, e, want) || tr.otherOrder(n.Y, e, want) || tr.otherOrder(n.Hi, e, want) || tr.otherOrder(n.Max, e, want)
}

// text writes a value. What a slice or string in v itself refers to is where v
// says.
func (tr *truth) text(t *abi.Type, b []byte, v Value) string {
	word := func(at int64) uint64 { return abi.AMD64.ByteOrder.Uint64(b[at:]) }
	elems := func(n uint64, elem *abi.Type, b []byte) string {
		s := "["
		for i := range int64(n) {
			s += tr.text(elem, b[i*elem.Size:], Value{Data: Place{Param: -1}}) + " "
		}
		return s + "]"
	}
	data := func(size int64) []byte {
		out := make([]byte, size)
		switch {
		case size == 0:
		case v.Data.Param >= 0:
			copy(out, tr.params[v.Data.Param][v.Data.Addr:][:size])
		case v.Type == nil && tr.Read(word(0), out), v.Type != nil && tr.Read(v.Data.Addr, out):
		default:
			return nil
		}
		return out
	}
	switch {
	case t.Kind == abi.Bool:
		return fmt.Sprint(b[0] == 1)
	case isInteger(t):
		x := uint64(0)
		for i := range t.Size {
			x |= uint64(b[i]) << (8 * i)
		}
		if isUnsigned(t) {
			return fmt.Sprint(x)
		}
		return fmt.Sprint(int64(extend(x, t)))
	case isFloat(t):
		return fmt.Sprintf("%x", bitsOf(b, t.Size))
	case isComplex(t):
		return fmt.Sprintf("%x+%x", bitsOf(b, t.Size/2), bitsOf(b[t.Size/2:], t.Size/2))
	case t.Kind == abi.String:
		if v.Text != "" {
			return strconv.Quote(v.Text)
		}
		d := data(int64(word(8)))
		if d == nil {
			return "string not found"
		}
		return strconv.Quote(string(d))
	case t.Kind == abi.Slice:
		if word(0) == 0 && v.Data.Param < 0 {
			return "nil"
		}
		d := data(int64(word(8)) * t.Elem.Size)
		if d == nil {
			return "slice not found"
		}
		return elems(word(8), t.Elem, d) + fmt.Sprint(word(16))
	case t.Kind == abi.Array:
		return elems(uint64(t.Len), t.Elem, b)
	case t.Kind == abi.Struct:
		s := "{"
		for _, f := range t.Fields {
			if f.Name != "_" {
				s += tr.text(f.Type, b[f.Offset:], Value{Data: Place{Param: -1}}) + " "
			}
		}
		return s + "}"
	case t.Kind == abi.Interface:
		return fmt.Sprintf("(%x %x)", word(0), word(8))
	}
	return fmt.Sprintf("%x", word(0))
}

// bitsOf returns the bits of a number as a float64.
func bitsOf(b []byte, size int64) uint64 {
	if size == 4 {
		return math.Float64bits(float64(math.Float32frombits(abi.AMD64.ByteOrder.Uint32(b))))
	}
	return abi.AMD64.ByteOrder.Uint64(b)
}

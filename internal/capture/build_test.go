package capture_test

import (
	"strings"
	"testing"

	"github.com/argtap/argtap/abi"
	"github.com/argtap/argtap/internal/capture"
)

func TestBuild(t *testing.T) {
	point := structOf("main.Point", tInt, tInt)
	person := structOf("main.Person", tString, tInt32, slice(tUint8))
	for _, tt := range []struct {
		name   string // the Go signature
		params []*abi.Type
		limits capture.Limits
		want   string
	}{
		{"func()", nil, capture.Limits{}, `
			fixed 40`},
		{"func(int)", []*abi.Type{tInt}, capture.Limits{}, `
			a int: 8 of 8 bytes at 40
			store RAX:8 at 40
			fixed 48`},
		{"func(bool, int32, struct{})", []*abi.Type{tBool, tInt32, tEmpty}, capture.Limits{}, `
			a bool: 1 of 1 bytes at 40
			b int32: 4 of 4 bytes at 48
			c struct {}: 0 of 0 bytes at 56
			store RAX:1 at 40
			store RBX:4 at 48
			fixed 56`},
		{"func(float64, int)", []*abi.Type{tFloat64, tInt}, capture.Limits{}, `
			a float64: 8 of 8 bytes at 40
			 hole +0:8 register not readable
			b int: 8 of 8 bytes at 48
			store RAX:8 at 48
			fixed 56`},
		{"func([3]int, int)", []*abi.Type{array(3, tInt), tInt}, capture.Limits{}, `
			a [3]int: 24 of 24 bytes at 40
			b int: 8 of 8 bytes at 64
			store RAX:8 at 64
			read [CFA+0]:24 at 40, bit 1, param 0+0
			fixed 72`},
		{"func(string)", []*abi.Type{tString}, capture.Limits{}, `
			a string: 16 of 16 bytes at 40, 1 slots at 56
			 string +0 slot 0: 512 × 1 bytes uint8
			store RAX:8 at 40
			store RBX:8 at 48
			fixed 64, slots from 56, at most 40976`},
		{"func([]byte, []int, []struct{})", []*abi.Type{slice(tUint8), slice(tInt), slice(tEmpty)}, capture.Limits{}, `
			a []uint8: 24 of 24 bytes at 40, 1 slots at 112
			 slice +0 slot 0: 512 × 1 bytes uint8
			b []int: 24 of 24 bytes at 64, 1 slots at 120
			 slice +0 slot 0: 64 × 8 bytes int
			c []struct {}: 24 of 24 bytes at 88
			 slice +0: 64 of size zero
			store RAX:8 at 40
			store RBX:8 at 48
			store RCX:8 at 56
			store RDI:8 at 64
			store RSI:8 at 72
			store R8:8 at 80
			store R9:8 at 88
			store R10:8 at 96
			store R11:8 at 104
			fixed 128, slots from 112, at most 40976`},
		{"func(*Point)", []*abi.Type{pointer(point)}, capture.Limits{}, `
			a *main.Point: 8 of 8 bytes at 40, 1 slots at 48
			 pointer +0 slot 0: 1 × 16 bytes main.Point
			store RAX:8 at 40
			fixed 56, slots from 48, at most 40976`},
		{"func(*struct{}, *int) depth none", []*abi.Type{pointer(tEmpty), pointer(tInt)}, capture.Limits{Depth: -1}, `
			a *struct {}: 8 of 8 bytes at 40
			 pointer +0: 1 of size zero
			b *int: 8 of 8 bytes at 48
			 pointer +0: too deep
			store RAX:8 at 40
			store RBX:8 at 48
			fixed 56`},
		{"func([]Person)", []*abi.Type{slice(person)}, capture.Limits{}, `
			a []main.Person: 24 of 24 bytes at 40, 1 slots at 64
			 slice +0 slot 0: 64 × 48 bytes main.Person
			   string +0 slot 0: 512 × 1 bytes uint8
			   slice +24 slot 1: 512 × 1 bytes uint8
			store RAX:8 at 40
			store RBX:8 at 48
			store RCX:8 at 56
			fixed 72, slots from 64, at most 40976`},
		{"func(*List) depth 3", []*abi.Type{pointer(list())}, capture.Limits{Depth: 3}, `
			a *main.List: 8 of 8 bytes at 40, 1 slots at 48
			 pointer +0 slot 0: 1 × 16 bytes main.List
			   pointer +0 slot 0: 1 × 16 bytes main.List
			     pointer +0 slot 0: 1 × 16 bytes main.List
			       pointer +0: too deep
			store RAX:8 at 40
			fixed 56, slots from 48, at most 40976`},
		{"func([][][]string)", []*abi.Type{slice(slice(slice(tString)))}, capture.Limits{}, `
			a [][][]string: 24 of 24 bytes at 40, 1 slots at 64
			 slice +0 slot 0: 64 × 24 bytes [][]string
			   slice +0 slot 0: 16 × 24 bytes []string
			     slice +0: too deep
			store RAX:8 at 40
			store RBX:8 at 48
			store RCX:8 at 56
			fixed 72, slots from 64, at most 40976`},
		{"func(error, map[string]int)", []*abi.Type{tError, tMap}, capture.Limits{}, `
			a error: 16 of 16 bytes at 40
			b map[string]int: 8 of 8 bytes at 56
			store RAX:8 at 40
			store RBX:8 at 48
			store RCX:8 at 56
			fixed 64`},
		{"func(*T) of an unread type", []*abi.Type{pointer(tStub)}, capture.Limits{}, `
			a *main.T: 8 of 8 bytes at 40
			 pointer +0: unknown type
			store RAX:8 at 40
			fixed 48`},
		{"func(*T) of an unread type, depth none", []*abi.Type{pointer(tStub)}, capture.Limits{Depth: -1}, `
			a *main.T: 8 of 8 bytes at 40
			 pointer +0: too deep
			store RAX:8 at 40
			fixed 48`},
		{"func(unsafe.Pointer)", []*abi.Type{{Name: "*void", Kind: abi.Pointer, Size: 8, Align: 8}}, capture.Limits{}, `
			a *void: 8 of 8 bytes at 40
			 pointer +0: unknown type
			store RAX:8 at 40
			fixed 48`},
		{"func([2]string, [1]*int)", []*abi.Type{array(2, tString), array(1, pointer(tInt))}, capture.Limits{}, `
			a [2]string: 32 of 32 bytes at 40, 2 slots at 80
			 string +0 slot 0: 512 × 1 bytes uint8
			 string +16 slot 1: 512 × 1 bytes uint8
			b [1]*int: 8 of 8 bytes at 72, 1 slots at 96
			 pointer +0 slot 0: 1 × 8 bytes int
			store RAX:8 at 72
			read [CFA+0]:32 at 40, bit 1, param 0+0
			fixed 104, slots from 80, at most 40976`},
		{"func([20]int) 100 bytes", []*abi.Type{array(20, tInt)}, capture.Limits{Bytes: 100}, `
			a [20]int: 100 of 160 bytes at 40
			read [CFA+0]:100 at 40, bit 1, param 0+0
			fixed 144`},
		{"func(string, []int, *[20]int) small", []*abi.Type{tString, slice(tInt), pointer(array(20, tInt))}, capture.Limits{String: 9, Elems: 3, Bytes: 20}, `
			a string: 16 of 16 bytes at 40, 1 slots at 88
			 string +0 slot 0: 9 × 1 bytes uint8
			b []int: 20 of 24 bytes at 56
			c *[20]int: 8 of 8 bytes at 80, 1 slots at 96
			 pointer +0 slot 0: 1 × 20 bytes [20]int
			store RAX:8 at 40
			store RBX:8 at 48
			store RCX:8 at 56
			store RDI:8 at 64
			store RSI:4 at 72
			store R8:8 at 80
			fixed 104, slots from 88, at most 40976`},
		{"func([][20]int) elements too large", []*abi.Type{slice(array(20, tInt))}, capture.Limits{Bytes: 100}, `
			a [][20]int: 24 of 24 bytes at 40
			 slice +0: cut at the limit on bytes of a value
			store RAX:8 at 40
			store RBX:8 at 48
			store RCX:8 at 56
			fixed 64`},
		{"func([]Person, *[]string, string) no loops", []*abi.Type{slice(person), pointer(slice(tString)), tString}, capture.Limits{NoLoops: true}, `
			a []main.Person: 24 of 24 bytes at 40, 1 slots at 88
			 slice +0 slot 0: 64 × 48 bytes main.Person
			   string +0: kernel lacks bpf_loop (Linux 5.17)
			   slice +24: kernel lacks bpf_loop (Linux 5.17)
			b *[]string: 8 of 8 bytes at 64, 1 slots at 96
			 pointer +0 slot 0: 1 × 24 bytes []string
			   slice +0 slot 0: 64 × 16 bytes string
			     string +0: kernel lacks bpf_loop (Linux 5.17)
			c string: 16 of 16 bytes at 72, 1 slots at 104
			 string +0 slot 0: 512 × 1 bytes uint8
			store RAX:8 at 40
			store RBX:8 at 48
			store RCX:8 at 56
			store RDI:8 at 64
			store RSI:8 at 72
			store R8:8 at 80
			fixed 112, slots from 88, at most 40976`},
		{"func([]*T, [][][]int) no loops: other reasons come first", []*abi.Type{slice(pointer(tStub)), slice(slice(slice(tInt))), slice(pointer(tEmpty))}, capture.Limits{NoLoops: true}, `
			a []*main.T: 24 of 24 bytes at 40, 1 slots at 112
			 slice +0 slot 0: 64 × 8 bytes *main.T
			   pointer +0: unknown type
			b [][][]int: 24 of 24 bytes at 64, 1 slots at 120
			 slice +0 slot 0: 64 × 24 bytes [][]int
			   slice +0: kernel lacks bpf_loop (Linux 5.17)
			c []*struct {}: 24 of 24 bytes at 88, 1 slots at 128
			 slice +0 slot 0: 64 × 8 bytes *struct {}
			   pointer +0: 1 of size zero
			store RAX:8 at 40
			store RBX:8 at 48
			store RCX:8 at 56
			store RDI:8 at 64
			store RSI:8 at 72
			store R8:8 at 80
			store R9:8 at 88
			store R10:8 at 96
			store R11:8 at 104
			fixed 136, slots from 112, at most 40976`},
		{"func([][2]int) as many as fit", []*abi.Type{slice(array(2, tInt))}, capture.Limits{Bytes: 100}, `
			a [][2]int: 24 of 24 bytes at 40, 1 slots at 64
			 slice +0 slot 0: 6 × 16 bytes [2]int
			store RAX:8 at 40
			store RBX:8 at 48
			store RCX:8 at 56
			fixed 72, slots from 64, at most 40976`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := show(capture.Build(abi.AMD64, inputs(tt.params...), tt.limits))
			want := strings.TrimPrefix(strings.ReplaceAll(tt.want, "\n\t\t\t", "\n"), "\n")
			if got != want {
				t.Errorf("got\n%s\nwant\n%s", got, want)
			}
		})
	}
}

// TestBuildPieces lays out a value that lies in several kinds of places.
func TestBuildPieces(t *testing.T) {
	typ := structOf("main.Mix", tInt, tInt, tInt, tInt32, tInt32, tString, tString)
	loc := abi.Location{
		{Offset: 0, Size: 8, Kind: abi.Constant, Const: 7},
		{Offset: 8, Size: 8, Kind: abi.InMemory, Reg: abi.RDI, Disp: 16},
		{Offset: 16, Size: 8, Kind: abi.InMemory, Reg: abi.RDI, Disp: 24}, // continues
		{Offset: 24, Size: 4, Kind: abi.InMemory, Reg: abi.RSI, Disp: 32}, // another register
		{Offset: 28, Size: 4},                                        // nowhere, without a reason
		{Offset: 32, Size: 16, Kind: abi.InFrame, CFA: -32},          //
		{Offset: 48, Size: 8, Kind: abi.InFrame, CFA: -16},           // continues
		{Offset: 56, Size: 8, Kind: abi.InFrame, CFA: 0},             // elsewhere
		{Offset: 64, Size: 8, Kind: abi.InRegister, Reg: abi.RAX},    // behind the end
		{Offset: 3, Size: 0, Kind: abi.InRegister, Reg: abi.RAX},     // empty
		{Offset: -8, Size: 8, Kind: abi.InRegister, Reg: abi.RAX},    // before the value
		{Offset: 61, Size: 3, Kind: abi.InRegister, Reg: abi.RAX},    // no size that can be stored
		{Offset: 59, Size: 5, Kind: abi.Constant, Const: 1},          // neither
		{Offset: 0, Size: 1, Kind: abi.Nowhere, Reason: abi.TooDeep}, // a reason of its own
		{Offset: 1, Size: 1, Kind: abi.PlaceKind(99), Reason: abi.Implausible},
	}
	p := capture.Build(abi.AMD64, []capture.Input{{Name: "m", Type: typ, Location: loc}}, capture.Limits{})
	const want = `m main.Mix: 64 of 64 bytes at 40, 1 slots at 104
 hole +28:4 optimized out
 hole +61:3 unsupported location
 hole +59:5 unsupported location
 hole +0:1 too deep
 hole +1:1 implausible
 string +32 slot 0: 512 × 1 bytes uint8
store $0x7:8 at 40
read [RDI+16]:16 at 48, bit 1, param 0+8
read [RSI+32]:4 at 64, bit 2, param 0+24
read [CFA-32]:24 at 72, bit 3, param 0+32
read [CFA+0]:8 at 96, bit 4, param 0+56
fixed 112, slots from 104, at most 40976`
	if got := show(p); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// TestManyReads gives a value more places in memory than the failure word has
// bits: those beyond are cut, not mixed up.
func TestManyReads(t *testing.T) {
	var in []capture.Input
	for i := range 70 {
		in = append(in, capture.Input{Name: "p", Type: tInt, Location: abi.Location{
			{Size: 8, Kind: abi.InFrame, CFA: abi.CFAOffset(16 * i)},
		}})
	}
	p := capture.Build(abi.AMD64, in, capture.Limits{})
	if len(p.Reads) != capture.MaxFixedReads-1 {
		t.Errorf("%d reads", len(p.Reads))
	}
	for i, r := range p.Reads {
		if r.Bit != i+1 || r.Bit >= capture.MaxFixedReads {
			t.Errorf("read %d has bit %d", i, r.Bit)
		}
	}
	for i, q := range p.Params {
		want := abi.Present
		if i >= len(p.Reads) {
			want = abi.CutReads
		}
		if got := q.Image.Absent(0, 8); got != want {
			t.Errorf("parameter %d: %v, want %v", i, got, want)
		}
	}
}

// TestBudgets: what exceeds a budget of the plan is cut, and says so.
func TestBudgets(t *testing.T) {
	count := func(m *capture.Image) (followed, cut int) {
		for i := range m.Refs {
			switch r := &m.Refs[i]; {
			case r.Slot >= 0:
				followed++
			case r.Reason == abi.CutRefs:
				cut++
			}
		}
		return followed, cut
	}
	t.Run("references", func(t *testing.T) {
		p := capture.Build(abi.AMD64, inputs(array(200, tString)), capture.Limits{})
		if f, c := count(p.Params[0].Image); f != 96 || c != 104 {
			t.Errorf("%d followed, %d cut", f, c)
		}
	})
	t.Run("references listed", func(t *testing.T) {
		p := capture.Build(abi.AMD64, inputs(array(1<<20, pointer(tInt))), capture.Limits{})
		m := p.Params[0].Image
		if f, c := count(m); f != 96 || len(m.Refs) != 384 || c != 384-96 || m.Size != 4096 {
			t.Errorf("%d followed, %d cut of %d, %d bytes", f, c, len(m.Refs), m.Size)
		}
	})
	t.Run("cost of loops", func(t *testing.T) {
		// Of each, the kernel walks 1 + 64 + 64·16 reads; the bound is 3000.
		words := slice(slice(tString))
		p := capture.Build(abi.AMD64, inputs(words, words, words), capture.Limits{})
		for i, want := range []abi.Reason{abi.Present, abi.Present, abi.CutRefs} {
			inner := p.Params[i].Image.Refs[0].Elem.Refs[0]
			if inner.Slot < 0 || inner.Elem.Refs[0].Reason != want {
				t.Errorf("parameter %d: inner slices %v, strings %v, want %v", i, inner.Reason, inner.Elem.Refs[0].Reason, want)
			}
		}
	})
	t.Run("image bytes", func(t *testing.T) {
		big := array(1000, tInt)
		p := capture.Build(abi.AMD64, inputs(big, big, big, big, big), capture.Limits{Bytes: 8192})
		var sizes []int64
		for _, q := range p.Params {
			sizes = append(sizes, q.Image.Size)
		}
		if sizes[0] != 8000 || sizes[1] != 8000 || sizes[2] != 384 || sizes[3] != 0 || sizes[4] != 0 {
			t.Errorf("sizes %d", sizes)
		}
		if r := p.Params[4].Image.Absent(0, 8); r != abi.CutArgs {
			t.Errorf("the last is %v", r)
		}
	})
	t.Run("many parameters", func(t *testing.T) {
		many := make([]*abi.Type, 5000)
		for i := range many {
			many[i] = tString
		}
		p := capture.Build(abi.AMD64, inputs(many...), capture.Limits{})
		if len(p.Params) != 5000 || p.Fixed > 1<<15 {
			t.Errorf("%d parameters, %d bytes", len(p.Params), p.Fixed)
		}
		followed := 0
		for _, q := range p.Params {
			f, _ := count(q.Image)
			followed += f
		}
		// Four in registers; as many on the stack as a record can tell apart.
		if want := 4 + capture.MaxFixedReads - 1; followed != want {
			t.Errorf("%d followed, want %d", followed, want)
		}
	})
}

// TestNestedEmpty builds the plan of a type that has 2⁴⁰ fields, all of them
// empty.
func TestNestedEmpty(t *testing.T) {
	typ := tEmpty
	for range 40 {
		typ = structOf("main.E", typ, typ)
	}
	p := capture.Build(abi.AMD64, []capture.Input{{Type: structOf("main.S", typ, tString)}}, capture.Limits{})
	if n := len(p.Params[0].Image.Refs); n != 1 {
		t.Errorf("%d references", n)
	}
}

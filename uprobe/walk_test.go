package uprobe

import (
	"encoding/json"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/argtap/argtap/abi"
	"github.com/argtap/argtap/internal/capture"
)

// walkNode is type node struct { next *node; name string; kids []*node; any any; err error }.
func walkNode() *abi.Type {
	n := &abi.Type{Name: "main.node", Kind: abi.Struct, Size: 80, Align: 8, RuntimeType: 64}
	ptr := &abi.Type{Name: "*main.node", Kind: abi.Pointer, Size: 8, Align: 8, Elem: n, RuntimeType: 128}
	n.Fields = []abi.Field{
		{Name: "next", Type: ptr},
		{Name: "name", Type: &abi.Type{Name: "string", Kind: abi.String, Size: 16, Align: 8}, Offset: 8},
		{Name: "kids", Type: &abi.Type{Name: "[]*main.node", Kind: abi.Slice, Size: 24, Align: 8, Elem: ptr}, Offset: 24},
		{Name: "any", Type: &abi.Type{Name: "interface {}", Kind: abi.Interface, Size: 16, Align: 8}, Offset: 48},
		{Name: "err", Type: &abi.Type{Name: "error", Kind: abi.Interface, Size: 16, Align: 8, NumMethod: 1}, Offset: 64},
	}
	return n
}

// walkFunc is a function with a parameter of type *node, whose interfaces may
// hold a *node, a node or an int.
func walkFunc() *Func {
	n := walkNode()
	types := capture.NewTypes(abi.AMD64, capture.Limits{})
	in := []capture.Input{{Name: "n", Type: n.Fields[0].Type, Location: abi.Location{{Size: 8, Kind: abi.InRegister, Reg: abi.RAX}}}}
	f := &Func{name: "main.f", arch: abi.AMD64, sig: &abi.Signature{}, source: SourceDWARF}
	f.plan = capture.BuildWalk(abi.AMD64, in, capture.Limits{}, types)
	types.AddDynamic(0x1000, n.Fields[0].Type, true)
	types.AddDynamic(0x1100, n, false)
	types.AddDynamic(0x1200, &abi.Type{Name: "int", Kind: abi.Int, Size: 8, Align: 8}, false)
	return f
}

// walkRecord is a record of walkFunc for a pointer, with objects.
type walkRecord struct {
	f    *Func
	data []byte
}

func newWalkRecord(ptr uint64) *walkRecord {
	r := &walkRecord{f: walkFunc()}
	r.data = make([]byte, r.f.plan.Fixed)
	order.PutUint64(r.data[capture.OffBias:], 0x400000)
	order.PutUint64(r.data[capture.WalkHeaderSize:], ptr)
	return r
}

// object appends words as an object.
func (r *walkRecord) object(addr uint64, typ, depth, count uint32, words ...uint64) {
	r.data = order.AppendUint64(r.data, addr)
	r.data = order.AppendUint32(r.data, typ|depth<<capture.ObjectTypeBits)
	r.data = order.AppendUint32(r.data, count)
	for _, w := range words {
		r.data = order.AppendUint64(r.data, w)
	}
}

func (r *walkRecord) text(t *testing.T) string {
	t.Helper()
	c, ok := newCall(r.f, r.data, time.Time{})
	if !ok {
		t.Fatal("no record")
	}
	if clone := c.Clone().String(); clone != c.String() {
		t.Errorf("the clone is %s", clone)
	}
	return c.Arg(0).String()
}

const (
	nodeType = 3
	wordType = capture.WordType
	byteType = 1
)

func TestWalkValues(t *testing.T) {
	zero := func(words ...uint64) []uint64 { return append(words, make([]uint64, 10-len(words))...) }
	const rest = `, kids: []*main.node(nil), any: nil, err: nil}`
	for _, tt := range []struct {
		name string
		make func(r *walkRecord)
		want string
	}{
		{"nothing", func(*walkRecord) {}, `(*main.node)(0xa0 <not followed>)`},
		{"unreadable", func(r *walkRecord) { r.object(0xa0, nodeType, 1, 0) }, `(*main.node)(0xa0 <not resident>)`},
		{"itself", func(r *walkRecord) { r.object(0xa0, nodeType, 1, 1, zero(0xa0)...) }, `&main.node{next: (*main.node)(0xa0), name: ""` + rest},
		{"another type", func(r *walkRecord) { r.object(0xa0, wordType, 1, 1, 1) }, `(*main.node)(0xa0 <not followed>)`},
		{"objects", func(r *walkRecord) { order.PutUint16(r.data[capture.OffFlags:], capture.FlagObjects) },
			`(*main.node)(0xa0 <cut at the limit on objects of a call>)`},
		{"bytes", func(r *walkRecord) { order.PutUint16(r.data[capture.OffFlags:], capture.FlagBytes) },
			`(*main.node)(0xa0 <cut at the limit on bytes of a call>)`},
		{"objects or bytes", func(r *walkRecord) {
			order.PutUint16(r.data[capture.OffFlags:], capture.FlagBytes|capture.FlagObjects)
		}, `(*main.node)(0xa0 <cut at the limit on objects or bytes of a call>)`},
		{"too deep", func(r *walkRecord) { r.object(0xa0, nodeType, 3, 1, zero(0xb0)...) },
			`&main.node{next: (*main.node)(0xb0 <too deep>), name: ""` + rest},
		{"passed before a shorter way was found", func(r *walkRecord) { r.object(0xa0, nodeType, 0, 1, zero(0xb0)...) },
			`&main.node{next: (*main.node)(0xb0 <too deep>), name: ""` + rest},
		{"string", func(r *walkRecord) {
			r.object(0xa0, nodeType, 1, 1, zero(0, 0xc0, 3)...)
			r.object(0xc0, byteType, 1, 3, 0x636261)
		}, `&main.node{next: nil, name: "abc"` + rest},
		{"the longer string", func(r *walkRecord) {
			r.object(0xc0, byteType, 1, 1, 'x')
			r.object(0xc0, byteType, 1, 3, 0x636261)
			r.object(0xa0, nodeType, 1, 1, zero(0, 0xc0, 3)...)
			r.object(0xc0, byteType, 1, 2, 'y')
		}, `&main.node{next: nil, name: "abc"` + rest},
		{"a shorter string", func(r *walkRecord) {
			r.object(0xa0, nodeType, 1, 1, zero(0, 0xc0, 3)...)
			r.object(0xc0, byteType, 1, 2, 'y')
		}, `&main.node{next: nil, name: <not followed>` + rest},
		{"any", func(r *walkRecord) {
			r.object(0xa0, nodeType, 1, 1, zero(0, 0, 0, 0, 0, 0, 0x401200, 0xd0)...)
			r.object(0xd0, nodeType+2, 1, 1, 5)
		}, `&main.node{next: nil, name: "", kids: []*main.node(nil), any: 5, err: nil}`},
		{"pointer in any", func(r *walkRecord) {
			r.object(0xa0, nodeType, 1, 1, zero(0, 0, 0, 0, 0, 0, 0x401000, 0xa0)...)
		}, `&main.node{next: nil, name: "", kids: []*main.node(nil), any: (*main.node)(0xa0), err: nil}`},
		{"error", func(r *walkRecord) {
			r.object(0xa0, nodeType, 1, 1, zero(0, 0, 0, 0, 0, 0, 0, 0, 0xe0, 0xd0)...)
			r.object(0xe8, wordType, 1, 1, 0x401200)
			r.object(0xd0, nodeType+2, 1, 1, 6)
		}, `&main.node{next: nil, name: "", kids: []*main.node(nil), any: nil, err: 6}`},
		{"unknown", func(r *walkRecord) {
			r.object(0xa0, nodeType, 1, 1, zero(0, 0, 0, 0, 0, 0, 0x401208, 0xd0)...)
		}, `&main.node{next: nil, name: "", kids: []*main.node(nil), any: (interface {})(0x401208 0xd0 <unknown type>), err: nil}`},
		{"half of nil", func(r *walkRecord) {
			r.object(0xa0, nodeType, 1, 1, zero(0, 0, 0, 0, 0, 0, 0x401200, 0)...)
		}, `&main.node{next: nil, name: "", kids: []*main.node(nil), any: int(<implausible>), err: nil}`},
		{"no itab", func(r *walkRecord) {
			r.object(0xa0, nodeType, 1, 1, zero(0, 0, 0, 0, 0, 0, 0, 0, 0xe0, 0xd0)...)
			r.object(0xe8, wordType, 1, 0)
		}, `&main.node{next: nil, name: "", kids: []*main.node(nil), any: nil, err: (error)(0xe0 0xd0 <not resident>)}`},
		{"cut short", func(r *walkRecord) {
			r.object(0xa0, nodeType, 1, 1, zero(0xa0)[:9]...)
		}, `(*main.node)(0xa0 <not followed>)`},
		{"no such type", func(r *walkRecord) {
			r.object(0xb0, 9999, 1, 1, 0)
			r.object(0xa0, nodeType, 1, 1, zero(0xa0)...)
		}, `(*main.node)(0xa0 <not followed>)`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := newWalkRecord(0xa0)
			tt.make(r)
			if got := r.text(t); got != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
		})
	}
}

// TestHostileHeaps decodes heaps that no program wrote: nothing panics, nothing is
// endless, and the JSON is valid.
func TestHostileHeaps(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	rounds := 3000
	if testing.Short() {
		rounds = 300
	}
	long := 0
	for range rounds {
		word := func() uint64 {
			switch rnd.IntN(10) {
			case 0:
				return 0
			case 1:
				return 0x401000 + uint64(rnd.IntN(4))*0x100
			case 2:
				return uint64(rnd.IntN(4))
			case 3:
				return rnd.Uint64()
			}
			return 0xa0 + uint64(rnd.IntN(6))*8
		}
		r := newWalkRecord(0xa0)
		for range rnd.IntN(40) {
			typ, count := uint32(nodeType), uint32(rnd.IntN(3))
			words := make([]uint64, 10*count)
			if rnd.IntN(3) == 0 {
				typ = uint32([]int{byteType, wordType, nodeType + 1, nodeType + 2}[rnd.IntN(4)])
				count = uint32(1 + rnd.IntN(3))
				words = make([]uint64, count)
				if typ == byteType {
					count *= 8
				}
			}
			for i := range words {
				words[i] = word()
			}
			if rnd.IntN(40) == 0 {
				typ, count = uint32(rnd.IntN(8)), rnd.Uint32()>>rnd.IntN(32)
			}
			r.object(0xa0+uint64(rnd.IntN(6))*8, typ, uint32(rnd.IntN(5)), count, words...)
		}
		r.data = r.data[:len(r.data)-rnd.IntN(min(8, len(r.data)-r.f.plan.Fixed+1))]
		c, ok := newCall(r.f, r.data, time.Time{})
		if !ok {
			t.Fatal("no record")
		}
		if s := c.String(); len(s) > 500 {
			long++
		}
		if b := c.AppendJSON(nil); !json.Valid(b) {
			t.Fatalf("%s", b)
		}
		c.Arg(0).Any()
	}
	if long < rounds/50 {
		t.Errorf("only %d of %d had much to print", long, rounds)
	}
}

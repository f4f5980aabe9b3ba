package dwarfargs

import (
	"slices"
	"testing"

	"github.com/argtap/argtap/abi"
)

func TestParseName(t *testing.T) {
	for name, want := range map[string]funcName{
		"main.F":                                        {pkg: "main"},
		"main.F.func1":                                  {pkg: "main"},
		"main.F.func1.2":                                {pkg: "main"},
		"main.F.gowrap1":                                {pkg: "main"},
		"main.F.deferwrap2":                             {pkg: "main"},
		"main.F-range1":                                 {pkg: "main"},
		"main.T.M":                                      {pkg: "main", recv: "T"},
		"main.(*T).M":                                   {pkg: "main", recv: "T", ptr: true},
		"main.(*T).M.func1":                             {pkg: "main"},
		"main.(*T).M-fm":                                {pkg: "main"},
		"main.(*T).M-range1":                            {pkg: "main"},
		"main.T.M-fm":                                   {pkg: "main"},
		"main.glob..func1":                              {pkg: "main"},
		"main.init.0":                                   {pkg: "main"},
		"net/http.(*conn).serve":                        {pkg: "net/http", recv: "conn", ptr: true},
		"gopkg.in/yaml%2ev3.(*Node).Decode":             {pkg: "gopkg.in/yaml%2ev3", recv: "Node", ptr: true},
		"main.G[go.shape.int]":                          {pkg: "main", shaped: true},
		"main.G[go.shape.int_0]":                        {pkg: "main", shaped: true},
		"main.G[int]":                                   {pkg: "main"},
		"main.G[go.shape.int].func1":                    {pkg: "main"},
		"main.G[go.shape.struct { a/b.X int }]":         {pkg: "main", shaped: true},
		"main.(*S[go.shape.string]).Push":               {pkg: "main", recv: "S", ptr: true, shaped: true},
		"main.S[go.shape.string].Len":                   {pkg: "main", recv: "S", shaped: true},
		"main.(*S[go.shape.string]).Push.func2":         {pkg: "main"},
		"main.(*S[string]).Push":                        {pkg: "main", recv: "S", ptr: true},
		"slices.pdqsort[go.shape.[]int,go.shape.int]":   {pkg: "slices", shaped: true},
		"main.P[go.shape.func(a/b.T) c.d,go.shape.int]": {pkg: "main", shaped: true},
		"type:.eq.main.S[go.shape.int]":                 {},
		"type..eq.main.T":                               {},
		"go:buildid":                                    {},
		"_rt0_amd64":                                    {},
		"":                                              {},
		"main.(*broken":                                 {pkg: "main"},
	} {
		if got := parseName(name); got != want {
			t.Errorf("%s: %+v, want %+v", name, got, want)
		}
	}
}

func TestUnitNames(t *testing.T) {
	for name, want := range map[string][]string{
		"net/http.(*conn).serve":       {"net/http"},
		"gopkg.in/yaml%2ev3.Unmarshal": {"gopkg.in/yaml.v3", "gopkg.in/yaml%2ev3"},
		"main.F[example.com/x.T]":      {"main"},
		"a.b/c%zz%2e.F":                {"a.b/c%zz.", "a.b/c%zz%2e"},
		"_rt0_amd64":                   nil,
		"example.com/a.(*T[x/y.Z]).M":  {"example.com/a"},
		"type:.eq.main.T":              {"type:"},
	} {
		if got := unitNames(name); !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
}

// TestPlace is about what the tests' binaries do not have: older releases.
func TestPlace(t *testing.T) {
	recv := []Param{{Name: "s", Type: &abi.Type{Name: "*main.S[go.shape.int_0]"}}}
	for _, tt := range []struct {
		name, producer string
		dict           bool
		params         []Param
		method         bool
		want           abi.DictPlace
		blanks         bool
	}{
		{"main.(*S[go.shape.int_0]).M", "Go cmd/compile go1.19.13; regabi", false, recv, true, abi.DictFirst, true},
		{"main.(*S[go.shape.int_0]).M", "Go cmd/compile go1.20.14; regabi", false, recv, true, abi.DictAfterReceiver, true},
		{"main.(*S[go.shape.int_0]).M", "Go cmd/compile go1.20rc1; -N -l regabi", true, recv, true, abi.DictAfterReceiver, true},
		{"main.(*S[go.shape.int_0]).M", "Go cmd/compile devel +abc; regabi", false, recv, true, abi.DictAfterReceiver, false},
		{"main.G[go.shape.int]", "Go cmd/compile go1.27.4; regabi", true, nil, false, abi.DictFirst, false},
		{"main.S.M", "Go cmd/compile go1.27.4; regabi", false, recv, false, abi.NoDict, false},    // *S is no S
		{"main.F.inner", "Go cmd/compile go1.27.4; regabi", false, nil, false, abi.NoDict, false}, // no parameter
		{"main.(*S).M", "Go cmd/compile go1.21.1; regabi", false, nil, false, abi.NoDict, true},   // a blank receiver, which addReceiver adds
		{"main.(*S).M", "Go cmd/compile go1.22.0 X:none; regabi", false, nil, false, abi.NoDict, false},
	} {
		f := &Func{Name: tt.name, Producer: tt.producer, Params: tt.params, Optimized: true}
		f.readProducer()
		f.place(tt.dict)
		if f.Method != tt.method || f.Dict != tt.want || f.BlanksMissing != tt.blanks || !f.RegABI {
			t.Errorf("%s (%s): method %t, dictionary %d, blanks missing %t", tt.name, tt.producer, f.Method, f.Dict, f.BlanksMissing)
		}
	}
}

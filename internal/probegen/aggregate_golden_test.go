package probegen_test

import (
	"testing"

	"github.com/argtap/argtap/abi"
	"github.com/argtap/argtap/internal/capture"
	"github.com/argtap/argtap/internal/expr"
	"github.com/argtap/argtap/internal/probegen"
)

// TestGoldenAggregate: a count by who calls, and a histogram of a result, by an argument
// and a result, of the calls that meet a condition of the return.
func TestGoldenAggregate(t *testing.T) {
	who := intFunc()
	who.G = probegen.G{Kind: probegen.GRegister, Reg: abi.AMD64.G}
	who.Plan = capture.Build(abi.AMD64, nil, capture.Limits{})
	who.Plan.Goroutine, who.Plan.Creation, who.Plan.StackDepth = 152, capture.Creation{Parent: 280, GoPC: 288}, 3
	who.Aggregate = &probegen.Aggregate{
		Key:    []probegen.KeyPart{{Kind: probegen.KeyParent}, {Kind: probegen.KeyCreator}, {Kind: probegen.KeyStack}},
		Layout: probegen.KeyLayout{Strings: make([]bool, 3)},
	}

	scope := &expr.Scope{Arch: abi.AMD64, Package: "main", Params: []abi.Param{{Name: "n", Type: tInt}, {Name: "r", Type: tInt}}}
	at := []abi.Location{{{Size: 8, Kind: abi.InRegister, Reg: abi.RAX}}}
	compile := func(text string, atReturn bool) *capture.Expr {
		e, err := expr.Compile(text, scope)
		if err != nil {
			t.Fatal(err)
		}
		root := expr.Replace(e.Root, func(n *expr.Node) *expr.Node {
			m := *n
			switch {
			case atReturn && n.N == 0: // what is kept
				m.N = 2
			case atReturn:
				m.N = 0
			}
			return &m
		})
		return &capture.Expr{Root: root, Params: at, Return: atReturn}
	}
	entry := intFunc()
	entry.G = who.G
	entry.Plan = capture.Build(abi.AMD64, nil, capture.Limits{Pair: true})
	entry.Plan.Goroutine = 152
	entry.Keep, entry.FirstLater = []*capture.Expr{compile("n", false)}, true
	entry.Aggregate = &probegen.Aggregate{
		Key:     []probegen.KeyPart{{Expr: compile("n & 3", false)}, {Expr: compile("r > 0", true)}},
		Layout:  probegen.KeyLayout{Strings: make([]bool, 2)},
		Buckets: &probegen.Buckets{Signed: true, Step: 10, Max: 100}, Value: compile("r", true), AtReturn: true,
	}
	leave := entry
	leave.Role, leave.Keep, leave.Where = probegen.RoleReturn, nil, []*capture.Expr{compile("r > n", true)}
	o := probegen.Options{CPUs: 4, Kept: entry.KeptWords(), Limits: probegen.Limits{First: 7}}
	unwinds := entry
	a := *entry.Aggregate
	a.Unwinds, a.Key = true, []probegen.KeyPart{a.Key[0], {Expr: compile("r > 0", true), Unwound: compile("n > 5", false)}}
	unwinds.Aggregate, unwinds.Unwound = &a, compile("n > 7", false)
	o.Kept = unwinds.KeptWords()
	ins, err := probegen.Entry([]probegen.Func{unwinds}, o)
	golden(t, "aggregate-unwinds", about(o, unwinds), ins, err)
	o.Kept = entry.KeptWords()
	for name, f := range map[string]probegen.Func{"aggregate-who": who, "aggregate-entry": entry, "aggregate-return": leave} {
		ins, err := probegen.Entry([]probegen.Func{f}, o)
		golden(t, name, about(o, f), ins, err)
	}
}

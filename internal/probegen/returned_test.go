package probegen_test

import (
	"testing"

	"github.com/argtap/argtap/abi"
	"github.com/argtap/argtap/internal/capture"
	"github.com/argtap/argtap/internal/expr"
	"github.com/argtap/argtap/internal/probegen"
)

// TestGoldenReturned: an entry that keeps what the return needs, and the return that
// asks for it.
func TestGoldenReturned(t *testing.T) {
	scope := &expr.Scope{Arch: abi.AMD64, Package: "main", Durations: true, Params: []abi.Param{
		{Name: "p", Type: pointer(tPoint)}, {Name: "n", Type: tInt}, {Name: "r", Type: tInt}, {Name: "duration", Type: expr.DurationType},
	}}
	compile := func(text string) *expr.Node {
		e, err := expr.Condition(text, scope)
		if err != nil {
			t.Fatal(err)
		}
		return e.Root
	}
	rest, kept, cannot := expr.Keep(compile("p.A < r || n == 3 || duration > 10ms"), func(n int64) bool { return n < 2 }, 100)
	if cannot != nil || len(kept) != 2 {
		t.Fatal(cannot, kept)
	}
	rest = expr.Replace(rest, func(n *expr.Node) *expr.Node {
		m := *n
		if m.N -= 2; m.N >= 98 {
			m.N -= 96 // behind the result and the duration
		}
		return &m
	})
	in := func(name string, t *abi.Type, r abi.Reg) capture.Input {
		return capture.Input{Name: name, Type: t, Location: abi.Location{{Size: 8, Kind: abi.InRegister, Reg: r}}}
	}
	args := []capture.Input{in("p", pointer(tPoint), abi.RAX), in("n", tInt, abi.RBX)}
	entry := intFunc()
	entry.G = probegen.G{Kind: probegen.GRegister, Reg: abi.AMD64.G}
	entry.Plan = capture.Build(abi.AMD64, args[1:], capture.Limits{Pair: true})
	entry.Plan.Goroutine = 152
	for _, k := range kept {
		entry.Keep = append(entry.Keep, &capture.Expr{Root: k, Params: []abi.Location{args[0].Location, args[1].Location}})
	}
	entry.Unwound = &capture.Expr{Root: compile("n == 3"), Params: []abi.Location{args[0].Location, args[1].Location}}
	result := in("r", tInt, abi.RAX)
	leave := entry
	leave.Role, leave.Keep, leave.Unwound = probegen.RoleReturn, nil, nil
	leave.Plan = capture.Build(abi.AMD64, []capture.Input{result}, capture.Limits{Pair: true})
	leave.Plan.Goroutine = 152
	leave.Where = []*capture.Expr{{Root: rest, Params: []abi.Location{result.Location}, Return: true}}
	if n := entry.KeptWords(); n != 4 {
		t.Errorf("%d words are kept", n)
	}
	o := probegen.Options{CPUs: 4, Sleepable: true, Kept: entry.KeptWords(), Slots: 16 << 10}
	for name, f := range map[string]probegen.Func{"returned-entry": entry, "returned": leave} {
		ins, err := probegen.Entry([]probegen.Func{f}, o)
		golden(t, name, about(o, f), ins, err)
	}
}

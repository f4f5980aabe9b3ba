package lint

import (
	"slices"
	"strconv"
	"strings"
	"testing"
)

// rule says what the code of a package, without its tests, may import besides
// the standard library.
type rule struct {
	// own are packages of this module.
	own []string
	// foreign are packages of other modules; one that ends in a slash stands
	// for all below it.
	foreign []string
	// anything lifts the rule: packages that exist for tests.
	anything bool
}

const (
	ebpf     = "github.com/cilium/ebpf"
	delve    = "github.com/go-delve/delve/pkg/dwarf/"
	compress = "github.com/klauspost/compress/"
	arch     = "golang.org/x/arch/"
	unix     = "golang.org/x/sys/unix"
)

// rules are the import directions. What is not listed is not allowed, and a
// package without a rule needs one.
var rules = map[string]rule{
	".": {}, // the front page has no code

	// The leaves.
	"abi":     {},
	"symbols": {},

	"dwarfargs":          {own: []string{"abi", "symbols", "internal/arginfo", "internal/typename"}, foreign: []string{delve, compress}},
	"internal/site":      {own: []string{"abi", "symbols"}, foreign: []string{arch}},
	"internal/capture":   {own: []string{"abi", "internal/expr", "internal/goruntime"}},
	"internal/goruntime": {},
	"internal/typename":  {},
	"internal/arginfo":   {own: []string{"abi"}},
	"internal/gosig":     {own: []string{"abi"}},
	"internal/expr":      {own: []string{"abi"}},
	"internal/rtype":     {own: []string{"abi", "symbols", "internal/goruntime", "internal/typename"}},
	// btf only describes the functions that instructions belong to.
	"internal/probegen": {own: []string{"abi", "internal/capture", "internal/expr", "internal/goruntime"}, foreign: []string{ebpf + "/asm", ebpf + "/btf"}},

	// Only this one sees them all, and only this one talks to the kernel.
	"uprobe": {
		own: []string{"abi", "symbols", "dwarfargs", "internal/site", "internal/capture", "internal/goruntime", "internal/probegen",
			"internal/arginfo", "internal/gosig", "internal/rtype", "internal/expr"},
		foreign: []string{ebpf, ebpf + "/asm", ebpf + "/link", ebpf + "/ringbuf", ebpf + "/features",
			ebpf + "/rlimit", ebpf + "/btf", unix},
	},

	"uprobe/pprof": {own: []string{"uprobe"}, foreign: []string{"github.com/google/pprof/profile"}},

	"examples/app":        {},
	"examples/quickstart": {own: []string{"uprobe"}, foreign: []string{arch}},
	"examples/argtap":     {own: []string{"abi", "symbols", "uprobe", "uprobe/pprof"}, foreign: []string{"golang.org/x/term"}},

	// Kernels in QEMU. What runs in the guest first imports only the protocol.
	"internal/vm":           {own: []string{"internal/vm/wire"}},
	"internal/vm/wire":      {},
	"internal/vm/init":      {own: []string{"internal/vm/wire"}},
	"internal/vm/cmd/vmrun": {own: []string{"internal/vm"}},

	"internal/lint": {},
	// For tests: an interpreter of eBPF programs, and what needs everything.
	"internal/bpfsim":        {foreign: []string{ebpf + "/asm"}},
	"internal/leaktest":      {foreign: []string{ebpf, ebpf + "/link"}},
	"internal/e2e":           {anything: true},
	"internal/real":          {anything: true},
	"internal/judge":         {anything: true},
	"internal/fixture":       {},
	"internal/fixture/truth": {},
	"internal/matrix":        {anything: true},
	"internal/matrix/cmd":    {own: []string{"internal/fixture", "internal/matrix", "internal/vm"}},
}

func (r rule) allows(path string) bool {
	if r.anything || !strings.Contains(strings.Split(path, "/")[0], ".") {
		return true
	}
	if own, ok := strings.CutPrefix(path, module+"/"); ok {
		return slices.Contains(r.own, own)
	}
	return slices.ContainsFunc(r.foreign, func(f string) bool {
		return path == f || strings.HasSuffix(f, "/") && strings.HasPrefix(path, f)
	})
}

// mayTestTracing says which packages' tests may import uprobe: those behind
// it, and those that exist to test it.
func mayTestTracing(dir string) bool {
	return dir == "." || dir == "uprobe" || dir == "uprobe/pprof" || strings.HasPrefix(dir, "examples/") || rules[dir].anything
}

func TestImportDirections(t *testing.T) {
	found := map[string]bool{}
	for _, f := range goFiles(t) {
		if strings.HasPrefix(f.dir, ".") && f.dir != "." {
			continue // tools for the checks themselves
		}
		r, ok := rules[f.dir]
		if !ok && !found[f.dir] {
			t.Errorf("package %s has no rule: add what it may import to the table in imports_test.go", f.dir)
		}
		found[f.dir] = true
		for _, spec := range f.ast.Imports {
			path, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				t.Fatal(err)
			}
			at := f.fset.Position(spec.Pos())
			switch {
			case path == "C":
				t.Errorf("%s: cgo: everything here is pure Go", at)
			case f.test && path == module+"/uprobe" && !mayTestTracing(f.dir):
				t.Errorf("%s: tests of %s import uprobe, which comes after it", at, f.dir)
			case ok && !f.test && !r.allows(path):
				t.Errorf("%s: %s must not import %s", at, f.dir, path)
			}
		}
	}
	for dir := range rules {
		if !found[dir] {
			t.Errorf("the rule for %s is about no package", dir)
		}
	}
}

// TestRules makes sure that the rules can be broken.
func TestRules(t *testing.T) {
	for _, test := range []struct {
		dir, path string
		want      bool
	}{
		{"abi", "fmt", true},
		{"abi", "encoding/binary", true},
		{"abi", module + "/symbols", false},
		{"symbols", unix, false},
		{"dwarfargs", module + "/abi", true},
		{"dwarfargs", delve + "op", true},
		{"dwarfargs", "github.com/go-delve/delve/pkg/proc", false},
		{"internal/site", module + "/dwarfargs", false},
		{"internal/capture", module + "/uprobe", false},
		{"internal/probegen", ebpf + "/asm", true},
		{"internal/probegen", ebpf, false},
		{"internal/probegen", ebpf + "/link", false},
		{"internal/goruntime", module + "/abi", false},
		{"uprobe", ebpf + "/ringbuf", true},
		{"uprobe", module + "/internal/fixture", false},
		{"examples/argtap", ebpf + "/link", false},
	} {
		if got := rules[test.dir].allows(test.path); got != test.want {
			t.Errorf("%s imports %s: allowed is %v", test.dir, test.path, got)
		}
	}
}

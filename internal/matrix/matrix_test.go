package matrix

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/argtap/argtap/abi"
	"github.com/argtap/argtap/internal/fixture"
	"github.com/argtap/argtap/internal/gosig"
)

func TestParseCells(t *testing.T) {
	for _, tt := range []struct {
		specs string
		n     int
		first string // and "" for an error
	}{
		{"1.16/amd64/pie", 1, "1.16.15/amd64/pie"},
		{"1.16,1.17/amd64,386/default,pie", 8, "1.16.15/amd64/default"},
		{"1.16.15/amd64/default 1.16/amd64", len(fixture.Flavours), "1.16.15/amd64/default"},
		{"all/386/default", len(Releases), "1.11.13/386/default"},
		{"all", len(Releases) * len(Archs) * len(fixture.Flavours), "1.11.13/amd64/default"},
		{"1.21.3/arm64/default", 1, "1.21.3/arm64/default"},
		{"1.1/amd64/default", 0, ""},
		{"1.16/mips/default", 0, ""},
		{"1.16/amd64/fast", 0, ""},
		{"1.16/amd64/pie/more", 0, ""},
	} {
		cells, err := ParseCells(strings.Fields(tt.specs)...)
		if (err == nil) != (tt.first != "") || len(cells) != tt.n || tt.n > 0 && cells[0].String() != tt.first {
			t.Errorf("%s: %d cells, %v", tt.specs, len(cells), err)
		}
	}
}

// TestRecord replaces and sorts results.
func TestRecord(t *testing.T) {
	name := filepath.Join(t.TempDir(), "results")
	result := func(release, arch, flavour, kernel string, calls int) Result {
		return Result{Cell: Cell{release, arch, fixture.Flavour(flavour)}, Kernel: kernel, Calls: calls}
	}
	for _, list := range [][]Result{
		{result("1.21.13", "amd64", "pie", "6.18", 1), result("1.9.7", "386", "default", "6.18", 2), result("1.9.7", "amd64", "default", "6.18", 3)},
		{result("1.21.13", "amd64", "pie", "6.18", 4), result("1.21.13", "amd64", "pie", "6.1", 5), result("1.21.13", "amd64", "default", "6.18", 6)},
	} {
		if err := Record(name, list); err != nil {
			t.Fatal(err)
		}
	}
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	list, err := ReadResults(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	var calls []int
	for _, r := range list {
		calls = append(calls, r.Calls)
	}
	if want := []int{3, 6, 5, 4, 2}; !reflect.DeepEqual(calls, want) {
		t.Errorf("order %v, want %v\n%s", calls, want, text)
	}
	if _, err := ReadResults(strings.NewReader("{}\n{")); err == nil {
		t.Error("half a line is no error")
	}
}

// TestRecordCompared replaces and sorts lines.
func TestRecordCompared(t *testing.T) {
	name := filepath.Join(t.TempDir(), "compared")
	for _, list := range [][]Compared{
		{{"6.12", "arm64", "1.27.4", "results", 1}, {"6.1", "arm64", "1.27.4", "results", 2}, {"6.12", "amd64", "1.27.4", "results", 3}},
		{{"6.12", "arm64", "1.27.4", "results", 4}, {"6.12", "arm64", "1.9.7", "results", 5}, {"6.12", "arm64", "1.27.4", "panics", 6}},
	} {
		if err := RecordCompared(name, list); err != nil {
			t.Fatal(err)
		}
	}
	list, err := ReadCompared(name)
	var calls []int
	for _, c := range list {
		calls = append(calls, c.Calls)
	}
	if want := []int{2, 3, 5, 6, 4}; err != nil || !reflect.DeepEqual(calls, want) {
		t.Errorf("order %v, want %v, %v", calls, want, err)
	}
	if err := os.WriteFile(name, []byte("{}\n{\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := ReadCompared(name); err == nil {
		t.Error("half a line is no error")
	}
}

// TestOK says which results are good.
func TestOK(t *testing.T) {
	for _, tt := range []struct {
		r  Result
		ok bool
	}{
		{Result{Calls: 1}, true},
		{Result{}, false}, // nothing was seen
		{Result{Impossible: "why"}, true},
		{Result{Calls: 1, Wrong: 1}, false},
		{Result{Calls: 1, Missing: 1}, false},
		{Result{Calls: 1, Extra: 1}, false},
		{Result{Calls: 1, Failed: []string{"how"}}, false},
		{Result{Calls: 1, Not: map[string]int{"why": 1}}, true},
	} {
		if tt.r.OK() != tt.ok {
			t.Errorf("%+v: OK is %v", tt.r, !tt.ok)
		}
	}
}

// TestTable makes a table of all that it can have.
func TestTable(t *testing.T) {
	r := func(release, arch, flavour, kernel string) Result {
		return Result{Cell: Cell{release, arch, fixture.Flavour(flavour)}, Kernel: kernel, Functions: 1, Calls: 2, Values: 3000}
	}
	wrong, impossible, not := r("1.17.13", "amd64", "pie", "6.18"), r("1.16.15", "amd64", "trimpath", "6.18"), r("1.16.15", "amd64", "stripped", "6.18")
	wrong.Wrong = 7
	impossible.Impossible, impossible.Values = "it is too old", 0
	not.Not = map[string]int{"no signature": 3}
	got := Table([]Result{wrong, impossible, not, r("1.16.15", "amd64", "default", "6.18"), r("1.16.15", "arm64", "default", "6.1"),
		r("1.16.15", "386", "default", "6.18"), r("1.16.15", "386", "pie", "6.18"), r("1.16.15", "amd64", "default", "5.10")}, []Compared{
		{"6.1", "arm64", "1.27.4", "results", 1000}, {"6.1", "arm64", "1.27.4", "random", 234}, {"5.10", "arm64", "1.16.15", "storm", 7},
		{"6.1", "amd64", "1.27.4", "lines", 8}, {"6.1", "amd64", "1.11.13", "walk", 8}})
	for _, want := range []string{
		"| Go | default | stripped | pie | trimpath | 386 |\n",
		"| 1.16.15 | 3\u202f000 | 3\u202f000<sup>1</sup> |  | –<sup>2</sup> | 6\u202f000 |\n",
		"| 1.17.13 |  |  | **7 wrong** |  |  |\n",
		"| Linux | 1.16.15 |\n|---|--:|\n| 5.10 amd64 | 3\u202f000 |\n| 6.1 arm64 | 3\u202f000 |\n",
		"1. some functions are not traced: no signature\n2. it is too old\n",
		"of programs of Go 1.16.15, 1.27.4:\n\n| Linux | results | panics |",
		"| 5.10 arm64 | | | | | | | | | 7 |\n| 6.1 amd64 | | | | | | | 8 | | |\n| 6.1 arm64 | 1\u202f234 | | | | | | | | |\n",
		"values: 21\u202f007, of them **wrong: 7; missing calls: 0, extra calls: 0**",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("the table lacks %q:\n%s", want, got)
		}
	}
	text, err := Insert("a\n"+Begin+"old\n"+End+"b\n", "new\n")
	if err != nil || text != "a\n"+Begin+"new\n"+End+"b\n" {
		t.Errorf("%q, %v", text, err)
	}
	if _, err := Insert("a\n", "new\n"); err == nil {
		t.Error("no error without markers")
	}
}

// TestTableFresh requires the table in README.md to be made of the results in
// docs/matrix.jsonl, and these to have nothing wrong.
func TestTableFresh(t *testing.T) {
	root := filepath.Join("..", "..")
	lines, err := os.ReadFile(filepath.Join(root, "docs", "matrix.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	results, err := ReadResults(bytes.NewReader(lines))
	if err != nil {
		t.Fatal(err)
	}
	if len(results) == 0 {
		t.Fatal("no results")
	}
	for _, r := range results {
		if !r.OK() {
			t.Errorf("%v on %s: %d wrong, %d missing, %d extra, failed %q", r.Cell, r.Kernel, r.Wrong, r.Missing, r.Extra, r.Failed)
		}
	}
	compared, err := ReadCompared(filepath.Join(root, "docs", "kernels.jsonl"))
	if err != nil || len(compared) == 0 {
		t.Fatalf("no calls were compared on other kernels: %v", err)
	}
	text, err := os.ReadFile(filepath.Join(root, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	if want, err := Insert(string(text), Table(results, compared)); err != nil || string(text) != want {
		t.Errorf("README.md is stale: run go run ./internal/matrix/cmd table (%v)", err)
	}
	if n := strings.Count(Table(results, compared), "\n"); n > 60 {
		t.Errorf("the table has %d lines", n)
	}
}

// TestSignatures lets the package that reads users' signatures read those that
// are written for the programs.
func TestSignatures(t *testing.T) {
	table, err := fixture.Table(11)
	if err != nil {
		t.Fatal(err)
	}
	for name, p := range map[string]fixture.Program{"table": table, "random": fixture.Generate(1, 60)} {
		sigs, err := Signatures(p)
		if err != nil {
			t.Fatal(err)
		}
		written, plain := 0, 0
		for _, fn := range p.Funcs {
			text, ok := sigs[fn.Name]
			if ok && fn.Generic {
				t.Errorf("%s: %s: signature %q", name, fn.Name, text)
			}
			if !fn.Generic {
				plain++
			}
			if !ok {
				continue
			}
			written++
			sig, err := gosig.Parse(text, abi.AMD64)
			if err != nil {
				t.Errorf("%s: %s: %v", name, fn.Name, err)
			} else if (sig.Method) != (fn.Recv != "") {
				t.Errorf("%s: %s: %s is understood as a method: %v", name, fn.Name, text, sig.Method)
			}
		}
		// Only types that contain themselves cannot be written.
		if name == "table" && written < plain || written < plain/2 {
			t.Errorf("%s: %d signatures of %d", name, written, plain)
		}
	}
	sigs, err := Signatures(table)
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"main.variadic":  "func(a int, rest ...string) (int)",
		"main.Big.Sum":   "func (b struct{a int; b int; c int; d int; e int; f int; g int; h int; i int; j int}) f(n int) (int)",
		"main.linked":    "func(l *struct{next *struct{next *struct{next *struct{next *struct{next *byte; val string}; val string}; val string}; val string}; val string}) (int)",
		"main.rawFields": "func(a struct{e error; n int; m map[int]int}, after string) (int)",
	} {
		if sigs[name] != want {
			t.Errorf("%s: %s, want %s", name, sigs[name], want)
		}
	}
}

// TestGeneral checks what is left of errors.
func TestGeneral(t *testing.T) {
	if got, want := general(`wrong signature: "func(n int)": main.f12 at 0x1f, [a:8]`), `wrong signature: "…": main.fN at N, […]`; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	if got := general(fmt.Sprintf("%0300s", "x")); len(got) > 210 {
		t.Errorf("%d bytes", len(got))
	}
}

package dwarfargs

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/argtap/argtap/abi"
	"github.com/argtap/argtap/internal/arginfo"
	random "github.com/argtap/argtap/internal/fixture"
	"github.com/argtap/argtap/internal/site"
	"github.com/argtap/argtap/symbols"
)

// otherToolchains lets tests build with other releases than the local one.
// The go command fetches them.
var otherToolchains = os.Getenv("ARGTAP_TOOLCHAINS") == "1"

// published are the releases that are known, with their last patch, and the
// local one.
var published = []string{
	"1.11.13", "1.12.17", "1.13.15", "1.14.15", "1.15.15", "1.16.15", "1.17.13", "1.18.10", "1.19.13", "1.20.14",
	"1.21.13", "1.22.12", "1.23.12", "1.24.13", "1.25.11", "1.26.8", "1.27.4",
}

// toolchain returns the toolchain of a release, which is of one of the published
// minor releases; it is the local one if that has the same minor number.
func toolchain(t testing.TB, release, arch string) random.Toolchain {
	t.Helper()
	local, err := random.Local()
	if err != nil {
		t.Fatal(err)
	}
	if minorOf(local) == minorOf(release) {
		release = ""
	}
	return random.Toolchain{Release: release, Arch: arch}
}

func minorOf(release string) int { return parseRelease("go" + release).minor }

// available returns the releases that this run of the tests may build with.
func available(t testing.TB) []string {
	local, err := random.Local()
	if err != nil {
		t.Fatal(err)
	}
	if !otherToolchains {
		return []string{local}
	}
	all := slices.Clone(published)
	if !slices.ContainsFunc(all, func(r string) bool { return minorOf(r) == minorOf(local) }) {
		all = append(all, local)
	}
	return all
}

// witness returns what the file has on fn besides DWARF.
func witness(f *symbols.File, table *symbols.FuncTable, a *abi.Arch, fn symbols.Func) (w Witness, err error) {
	w.ArgsSize = -1
	entry, err := table.At(fn.Entry)
	if err != nil || entry.Entry != fn.Entry {
		return w, err
	}
	w.ArgsSize = int64(entry.Args)
	at, ok, err := table.FuncData(entry, arginfo.FuncData)
	if err != nil {
		return w, err
	}
	version, _ := f.GoVersion()
	if ok && !parseRelease(version).before(17) {
		for n := arginfo.MaxLen; n > 0 && w.ArgInfo == nil; n /= 2 {
			b := make([]byte, n)
			if err = f.DataAt(at, b); err != nil {
				continue // the table may be at the end of what is mapped
			}
			w.ArgInfo, err = arginfo.Parse(b)
		}
		if err != nil {
			return w, err
		}
	}
	code, err := f.Code(fn)
	if err != nil {
		return w, err
	}
	if spills, ok := site.Spills(a, code, fn.Entry); ok {
		for _, s := range spills {
			w.Spills = append(w.Spills, arginfo.Spill{Reg: s.Reg, Slot: s.Slot, Size: s.Size})
		}
	}
	return w, nil
}

// releaseCount is what TestReleases counts in one program.
type releaseCount struct {
	funcs            int
	params, results  [agreementCount]int
	confirmed, alone int // functions that the witness confirms, or says nothing of
	doubted          []string
	order            int // functions of which the source has the same parameters
}

// TestReleases is TestCorpus for what each release makes of one program, on
// three architectures. It requires that there is nothing unexplained: no
// parameter and no result that DWARF and the convention have elsewhere, but for
// the known kinds; no function of a release from 1.22 on of which the binary's
// own table has other arguments; and no parameter in another place of the list
// than in the source.
//
// Without other toolchains it counts the local one's. With them and -update it
// writes the table in docs/abi-dwarf.md.
//
// Read in the machine code (go tool objdump), the convention is right in each:
//
//   - SpillSlot, runtime.printslice(s []byte), go1.17.13 amd64: DWARF has the
//     length in [CFA-24]. The code stores BX there, 0x18(SP), after the frame is
//     set up; main.server.String has AX stored at [CFA-40], 0x30(SP).
//   - SpillSlot, runtime.(*pallocData).findScavengeCandidate(…, min, max),
//     go1.17.13 amd64: DWARF has max in [CFA+16], the spill slot of min. The code
//     tests DI, which is max, and has "max = min", MOVQ CX, DX.
//   - EarlyRegister, crypto/x509.matchHostnames(pattern, host string), go1.16.15
//     amd64: DWARF has the length of pattern in RAX. The code loads both words
//     from 0x88(SP) and 0x90(SP), which are [CFA+0] and [CFA+8]; RAX has the
//     length of toLowerCaseASCII(pattern) after the call, which is assigned to
//     pattern.
//   - Reassigned, math/big.nat.expNNMontgomery(z, x, y, m nat), go1.21.13 amd64:
//     DWARF has the length of x in [CFA+8], with that of m. The code compares
//     0x2e0(SP), which is len(m), with SI, which is len(x): "if len(x) > len(m)".
//   - order, net/http.(*http2Framer).WritePriority, go1.16.15 arm64: DWARF has p
//     before streamID, and no place for p. streamID is in [CFA+16], the second
//     word: it is first in the source.
func TestReleases(t *testing.T) {
	var (
		mu   sync.Mutex
		rows = make(map[string]string)
	)
	releases := available(t)
	arches := []string{"amd64", "arm64", "386"}
	t.Run("releases", func(t *testing.T) {
		for _, release := range releases {
			order := sync.OnceValues(func() (map[string][][]string, error) { return sourceOrder(t, release) })
			for _, arch := range arches {
				t.Run(release+"/"+arch, func(t *testing.T) {
					t.Parallel()
					path := random.BuildWith(t, toolchain(t, release, arch), random.Dir(t, "testdata/releases"))
					source, err := order()
					if err != nil {
						t.Fatal(err)
					}
					c := countRelease(t, path, source)
					c.check(t, minorOf(release), arch)
					mu.Lock()
					defer mu.Unlock()
					rows[release+"/"+arch] = c.row(release, arch)
				})
			}
		}
	})
	var b strings.Builder
	for _, release := range releases {
		for _, arch := range arches {
			b.WriteString(rows[release+"/"+arch])
		}
	}
	t.Logf("%s%s", tableHead, b.String())
	if otherToolchains && !t.Failed() && len(rows) == len(releases)*len(arches) {
		checkTable(t, b.String())
	}
}

// countRelease compares convention and DWARF for all functions of a program.
func countRelease(t *testing.T, path string, source map[string][][]string) (c releaseCount) {
	f, d := open(t, path)
	a := abi.ArchFor(f.GOARCH())
	table, err := f.Table()
	if err != nil {
		t.Fatal(err)
	}
	for fn, err := range f.Funcs() {
		if err != nil {
			t.Fatal(err)
		}
		fd, err := d.Func(fn, 0)
		if errors.Is(err, ErrNoEntry) {
			continue
		}
		if err != nil {
			t.Error(err)
			continue
		}
		if !fd.Go || fd.Assembly {
			continue
		}
		w, err := witness(f, table, a, fn)
		if err != nil {
			t.Errorf("%s: %v", fn.Name, err)
			continue
		}
		switch err := fd.Confirm(w); {
		case errors.Is(err, ErrUnconfirmed):
			c.doubted = append(c.doubted, err.Error())
		case err != nil:
			t.Error(err)
			continue
		case w.ArgsSize < 0 && w.ArgInfo == nil:
			c.alone++
		default:
			c.confirmed++
		}
		if !fd.KnownRelease {
			t.Fatalf("%s: release %q is not known", fn.Name, fd.GoVersion)
		}
		entry, err := fd.AtEntry(a)
		if err != nil {
			t.Error(err)
			continue
		}
		ret, err := fd.AtReturn(a)
		if err != nil {
			t.Error(err)
			continue
		}
		c.funcs++
		for _, r := range entry {
			c.params[r.Agreement]++
			if r.Agreement == Contradicted || r.Agreement == Foreign {
				t.Errorf("%s: %s", r.Agreement, r.on(a, fn, fd))
			}
		}
		for _, r := range ret {
			c.results[r.Agreement]++
			if r.Agreement == Contradicted {
				t.Errorf("result: %s: %s", r.Agreement, r.on(a, fn, fd))
			}
		}
		if known, err := sameOrder(source[fn.Name], fd, entry, ret); err != nil {
			t.Errorf("%s: %v", fn.Name, err)
		} else if known {
			c.order++
		}
	}
	return c
}

// on describes a parameter and what is said of it.
func (r *Resolved) on(a *abi.Arch, fn symbols.Func, fd *Func) string {
	return fmt.Sprintf("%s %s: %s %s: believed %s, DWARF %s", fn.Name, fd.Signature(), r.Param.Name, r.Param.Type,
		r.Location.Format(a), r.DWARF.Format(a))
}

// check fails where less is known than the compiler of the release tells.
func (c *releaseCount) check(t *testing.T, minor int, arch string) {
	// Of every hundred parameters, so many are not confirmed at most: Go 1.11
	// sorts them by name and has no locations at the entry; Go 1.17 has other
	// sizes for functions of which results are missing.
	most := 0.6
	switch {
	case minor == 11:
		most = 25
	case minor >= 22:
		most = 0.02
	}
	all := sum(&c.params)
	if share := 100 * float64(c.params[Unconfirmed]) / float64(all); share > most {
		t.Errorf("%.2f %% of the parameters are not confirmed, at most %.2f %% are expected", share, most)
	}
	if c.confirmed < c.funcs*9/10 {
		t.Errorf("%d of %d functions are confirmed", c.confirmed, c.funcs)
	}
	if minor >= 22 || len(c.doubted) > 40 {
		for _, d := range c.doubted {
			t.Error(d)
		}
	}
	for _, d := range c.doubted {
		t.Log(d)
	}
	if c.order < c.funcs/4 {
		t.Errorf("only %d of %d functions are known from their source", c.order, c.funcs)
	}
	// The kinds that only one release shows.
	if minor != 16 && c.params[EarlyRegister] > 0 {
		t.Errorf("%d registers before their time, in Go 1.%d", c.params[EarlyRegister], minor)
	}
	if mixed := minor == 17 && arch == "amd64"; mixed != (c.params[SpillSlot] > 1000) {
		t.Errorf("%d parameters are described by their spill slots, in Go 1.%d", c.params[SpillSlot], minor)
	}
}

const tableHead = "| Go | | functions | inputs | agree | no bytes | silent | dead pieces | spill slot | own frame | reassigned |" +
	" early register | unconfirmed | unexplained | results | agree | in body | silent | unconfirmed | unexplained |\n" +
	"|---|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|\n"

func (c *releaseCount) row(release, arch string) string {
	p, r := &c.params, &c.results
	var b strings.Builder
	fmt.Fprintf(&b, "| %s | %s |", release, arch)
	for _, n := range []int{
		c.funcs, sum(p), p[Agree], p[NoBytes], p[Silent], p[DeadPieces], p[SpillSlot], p[OwnFrame], p[Reassigned],
		p[EarlyRegister], p[Unconfirmed], p[Contradicted] + p[Foreign],
		sum(r), r[Agree] + r[NoBytes], r[InBody], r[Silent], r[Unconfirmed], r[Contradicted],
	} {
		fmt.Fprintf(&b, " %d |", n)
	}
	return b.String() + "\n"
}

const tableText = `# The calling convention against DWARF, by release

For every function of one program (dwarfargs/testdata/releases, which links
net/http, encoding/json, text/template, math/big, go/parser and more), as each
release of Go compiles it for three architectures, the place that the calling
convention gives to each input and result is compared with the one that DWARF
gives it at the function's entry.

| column | |
|---|---|
| agree | both have every byte in the same place |
| no bytes | the value has no size |
| silent | DWARF has no place for it at the entry; the convention is believed |
| dead pieces | DWARF leaves out parts that the function does not use |
| spill slot, own frame | DWARF names memory that nothing has filled yet |
| reassigned | DWARF names another argument, which is assigned to this one |
| early register | DWARF names the register that the value is loaded to later |
| in body | a result, at its place inside of the function |
| unconfirmed | other parameters may be missing in DWARF, and nothing tells: no value is shown |
| unexplained | anything else |

Before anything is compared, the signatures of functions that lack parameters in
DWARF are completed by the argument tables (Go 1.17 and later) and by the sizes of
the arguments, as package dwarfargs documents at Func.Confirm. The rules are at
type Agreement, with the machine code that they were read in at TestCorpus and
TestReleases.

This file is written by

    ARGTAP_TOOLCHAINS=1 go test ./dwarfargs -run '^TestReleases$' -update

`

// checkTable compares the table with the one in the documentation, or writes
// that.
func checkTable(t *testing.T, rows string) {
	path := filepath.Join("..", "docs", "abi-dwarf.md")
	text := tableText + tableHead + rows
	if *update {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if string(b) != text {
		t.Errorf("docs/abi-dwarf.md is stale: run this test with -update. Now it is\n%s", text)
	}
}

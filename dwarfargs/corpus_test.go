package dwarfargs

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/argtap/argtap/abi"
	random "github.com/argtap/argtap/internal/fixture"
	"github.com/argtap/argtap/symbols"
)

// TestCorpus resolves the parameters and results of every function of several
// real binaries and counts how convention and DWARF compare. It fails for any
// value that no kind explains, and if a kind is more frequent than the compiler
// of this release makes it: then a rule has begun to catch what it was not made
// for. With -v it lists every disagreement.
//
// What DWARF cannot confirm, the compiler's own tables for tracebacks can: see
// argInfo.
//
// One or more of each kind were read in the machine code, of go1.26.8
// (go tool objdump); in each the convention is right:
//
//   - Reassigned, math/big.(*Int).And(z, x, y): DWARF has x and y in RBX. The
//     code compares x.neg, 0(BX), with y.neg, 0(CX): y is in RCX. The source has
//     "x, y = y, x".
//   - Reassigned, net.newTCPConn(…, keepAliveIdle, keepAliveCfg, …): DWARF has
//     keepAliveCfg.Idle in RBX, with keepAliveIdle. The code saves RDI before the
//     first call and uses that as Idle. The source assigns one to the other.
//   - Reassigned, cmd/go/internal/modget.reportConflict(pq, m, conflict): DWARF
//     has conflict.reason in RAX, with pq. The code stores R10 to that field's
//     word of the spill slot, 0xb0(SP).
//   - Reassigned, stack in testdata/reassigned(…, s, t string): DWARF has the
//     pointer of both in [CFA+16], the length of both in [CFA+8]. The code, with
//     the CFA at 0x48(SP), loads all four, 0x48(SP) and up, and exchanges them on
//     one of two paths: "s, t = t, s".
//   - Reassigned, mixed in testdata/reassigned(a []int, …, s []int): DWARF has
//     len(a) in [CFA+8], with len(s). The code, with the CFA at 0x8(SP), loads
//     0x10(SP) and exchanges it with RBX by two CMOVNE: "a, s = s, a".
//   - Reassigned, circle in testdata/reassigned(a, …, e, …, j int): DWARF has a
//     in [CFA+0], with j, and e in RAX, where a is. The code adds RSI, RAX and
//     0x8(SP), which is CFA+0, after it has exchanged them: "a, j, e = j, e, a".
//   - OwnFrame, escapes in testdata/reassigned(…, e string, …): DWARF has what a
//     pointer at [CFA-24] points to. The code, with the CFA at 0x30(SP), copies
//     0x80(SP), which is CFA+80, to where runtime.newobject has put the copy; it
//     stores the pointer at 0x18(SP), CFA-24, only then, and only on one path.
//   - SpillSlot, context.valueCtx.Done(receiver of six words): DWARF has
//     [CFA+0]. The code stores RAX, RBX, RCX, RDI, RSI, R8 there, 0x18(SP) and up,
//     after the prologue.
//   - DeadPieces, net/http.http2parsePingFrame(…, payload []byte): DWARF has
//     one word, [CFA+8]. The code reads len(payload) at 0x28(SP) in a frame with the
//     CFA at 0x20(SP): the slice begins at CFA+0.
//   - DeadPieces, net/http/httpproxy.domainMatch.match(…, ip net.IP): DWARF has
//     [CFA+0] without a size. The code tests the pointer at 0x30(SP), which is
//     CFA+0; length and capacity are not read.
//   - Silent, encoding/json.structEncoder.encode(…, opts encOpts): DWARF says
//     that opts is optimised out at the entry. The code reads opts.escapeHTML at
//     0xb1(SP), which is CFA+1: the second byte of where the convention has it.
//   - InBody, syscall.(*mmapper).Mmap: DWARF has data at [CFA-72]. Before each
//     RET the code loads RAX, RBX, RCX from there, 0x50(SP) and up.
func TestCorpus(t *testing.T) {
	tests := []struct {
		name  string
		build func(t *testing.T) string
		long  bool // not with -short
	}{
		{name: "fixture", build: func(t *testing.T) string { return fixture(t, flavours[0]) }},
		{name: "fixture -N -l", build: func(t *testing.T) string { return fixture(t, flavours[1]) }},
		{name: "fixture pie", build: func(t *testing.T) string { return fixture(t, flavours[4]) }},
		{name: "fixture DWARF 4", build: func(t *testing.T) string { return fixture(t, flavours[2]) }},
		{name: "go", build: func(t *testing.T) string { return goCommand(t) }, long: true},
		{name: "delve", long: true, build: func(t *testing.T) string {
			return corpusBuild(t, "build", "-C", "testdata/delve", "-o", "OUT", "github.com/go-delve/delve/cmd/dlv")
		}},
		{name: "abi.test", long: true, build: func(t *testing.T) string {
			return corpusBuild(t, "test", "-c", "-o", "OUT", "../abi")
		}},
		{name: "abi.test -N -l", long: true, build: func(t *testing.T) string {
			return corpusBuild(t, "test", "-c", "-gcflags=-N -l", "-o", "OUT", "../abi")
		}},
		{name: "symbols.test", long: true, build: func(t *testing.T) string {
			return corpusBuild(t, "test", "-c", "-o", "OUT", "../symbols")
		}},
		{name: "dwarfargs.test", long: true, build: func(t *testing.T) string {
			return corpusBuild(t, "test", "-c", "-o", "OUT", ".")
		}},
	}
	var (
		mu    sync.Mutex
		total corpusCount
		lines []string
	)
	t.Run("binaries", func(t *testing.T) {
		for _, tt := range tests {
			if tt.long && testing.Short() {
				continue
			}
			t.Run(tt.name, func(t *testing.T) {
				t.Parallel()
				c := checkCorpus(t, tt.build(t))
				mu.Lock()
				defer mu.Unlock()
				total.add(c)
				lines = append(lines, c.row(tt.name))
			})
		}
	})
	t.Logf("%s\n%s\n%s", corpusHead, strings.Join(lines, "\n"), total.row("all"))
	total.bound(t)
}

// TestRandomCorpus is TestCorpus for generated programs. Their functions have
// many parameters, exchange them, take their addresses: what real code seldom
// does, and what needs the most explanation. All must be explained.
func TestRandomCorpus(t *testing.T) {
	const funcs = 300
	var (
		mu    sync.Mutex
		total corpusCount
		lines []string
	)
	t.Run("binaries", func(t *testing.T) {
		for seed := uint64(1); seed <= 4; seed++ {
			flags := []string{}
			switch seed % 4 {
			case 0:
				flags = append(flags, "-gcflags=-N -l")
			case 1:
				flags = append(flags, "-buildmode=pie")
			}
			name := strings.Join(append([]string{fmt.Sprint(seed)}, flags...), " ")
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				c := checkCorpus(t, random.Build(t, random.Generate(seed, funcs).Source, flags...))
				mu.Lock()
				defer mu.Unlock()
				total.add(c)
				lines = append(lines, c.row(name))
			})
		}
	})
	t.Logf("%s\n%s\n%s", corpusHead, strings.Join(lines, "\n"), total.row("all"))
	// A rule that finds nothing to explain here is not tested.
	for kind, least := range map[Agreement]int{DeadPieces: 20, OwnFrame: 20, Reassigned: 15} {
		if n := total.params[kind]; n < least {
			t.Errorf("parameters: %s: %d, at least %d are expected", kind, n, least)
		}
	}
}

// corpusCount is what was found in one binary, or in all.
type corpusCount struct {
	funcs, noEntry  int
	params, results [agreementCount]int
	blanks          int // silent parameters without a name
	argInfo         int // functions that the traceback tables confirm
}

const corpusHead = "                     funcs   args  agree no bytes silent (blank)   dead  spill  frame reass foreign unconf contra |" +
	"  results  agree in body silent no bytes unconf contra | argInfo"

func (c *corpusCount) row(name string) string {
	p, r := &c.params, &c.results
	return fmt.Sprintf("%-18s %7d %6d %6d %8d %6d %7d %6d %6d %6d %5d %7d %6d %6d | %8d %6d %7d %6d %8d %6d %6d | %7d",
		name, c.funcs, sum(p), p[Agree], p[NoBytes], p[Silent], c.blanks, p[DeadPieces], p[SpillSlot],
		p[OwnFrame], p[Reassigned], p[Foreign], p[Unconfirmed], p[Contradicted],
		sum(r), r[Agree], r[InBody], r[Silent], r[NoBytes], r[Unconfirmed], r[Contradicted], c.argInfo)
}

func sum(n *[agreementCount]int) (s int) {
	for _, v := range n {
		s += v
	}
	return s
}

func (c *corpusCount) add(d corpusCount) {
	c.funcs += d.funcs
	c.noEntry += d.noEntry
	c.blanks += d.blanks
	c.argInfo += d.argInfo
	for i := range d.params {
		c.params[i] += d.params[i]
		c.results[i] += d.results[i]
	}
}

// bound fails where a kind's share of all parameters is not what it was when
// the kinds were made, with room for other sources.
func (c *corpusCount) bound(t *testing.T) {
	all := sum(&c.params)
	for kind, most := range map[Agreement]float64{
		NoBytes: 0.02, Silent: 0.06, DeadPieces: 0.01, SpillSlot: 0.003, OwnFrame: 0.001, Reassigned: 0.003,
		Foreign: 0, Unconfirmed: 0, Contradicted: 0, InBody: 0,
	} {
		if share := float64(c.params[kind]) / float64(all); share > most {
			t.Errorf("parameters: %s: %.2f %%, at most %.2f %% are expected", kind, 100*share, 100*most)
		}
	}
	if share := float64(c.params[Agree]) / float64(all); share < 0.93 {
		t.Errorf("parameters: %.2f %% agree, at least 93 %% are expected", 100*share)
	}
	if named := c.params[Silent] - c.blanks; float64(named)/float64(all) > 0.005 {
		t.Errorf("parameters: %d have a name, but no location: more than 0.5 %%", named)
	}
	if c.argInfo < c.funcs/2 {
		t.Errorf("traceback tables confirm %d of %d functions: less than half", c.argInfo, c.funcs)
	}
	if n := c.results[Unconfirmed]; float64(n) > 0.001*float64(sum(&c.results)) {
		t.Errorf("results: %d unconfirmed: more than 0.1 %%", n)
	}
	if c.noEntry > 20 {
		t.Errorf("%d functions are not in the debug information", c.noEntry)
	}
}

// corpusBuild runs the go command for linux/amd64. It writes where OUT stands.
func corpusBuild(t *testing.T, args ...string) string {
	t.Helper()
	out := filepath.Join(t.TempDir(), "binary")
	args = append([]string{}, args...)
	for i := range args {
		if args[i] == "OUT" {
			args[i] = out
		}
	}
	cmd := exec.Command("go", args...)
	cmd.Env = append(os.Environ(), "GOFLAGS=", "GOENV=off", "GOWORK=off", "GOTOOLCHAIN=local", "GOEXPERIMENT=",
		"CGO_ENABLED=0", "GOOS=linux", "GOARCH=amd64")
	if text, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("go %s: %v\n%s", strings.Join(args, " "), err, text)
	}
	return out
}

func checkCorpus(t *testing.T, path string) (c corpusCount) {
	f, d := open(t, path)
	tables := readArgInfo(t, path)
	for fn, err := range f.Funcs() {
		if err != nil {
			t.Fatal(err)
		}
		fd, err := d.Func(fn, 0)
		if errors.Is(err, ErrNoEntry) {
			c.noEntry++
			continue
		}
		if err != nil {
			t.Error(err)
			continue
		}
		entry, err := fd.AtEntry(abi.AMD64)
		if err != nil {
			t.Error(err)
			continue
		}
		ret, err := fd.AtReturn(abi.AMD64)
		if err != nil {
			t.Error(err)
			continue
		}
		c.funcs++
		var explained []string
		for _, r := range entry {
			c.params[r.Agreement]++
			if r.Agreement == Silent && r.Param.Name == "_" {
				c.blanks++
			}
			switch r.Agreement {
			case Agree, NoBytes, Silent:
			case DeadPieces, SpillSlot:
				t.Logf("%s: %s", r.Agreement, r.describe(fn, fd))
			case OwnFrame, Reassigned:
				explained = append(explained, r.Param.Name)
				t.Logf("%s: %s", r.Agreement, r.describe(fn, fd))
			default:
				t.Errorf("%s: %s", r.Agreement, r.describe(fn, fd))
			}
		}
		for _, r := range ret {
			c.results[r.Agreement]++
			switch r.Agreement {
			case Agree, NoBytes, Silent, InBody:
			case Unconfirmed:
				// A function that returns from a loop over a function may have
				// blank results of which DWARF says nothing: [Data.resultsMissing].
				t.Logf("result: %s: %s", r.Agreement, r.describe(fn, fd))
			default:
				t.Errorf("result: %s: %s", r.Agreement, r.describe(fn, fd))
			}
		}
		if confirmed, err := tables.confirm(fn, fd); err != nil {
			t.Errorf("func %s %s: %v", fn.Name, fd.Signature(), err)
		} else if confirmed {
			c.argInfo++
		} else if len(explained) > 0 {
			t.Errorf("func %s: no traceback table confirms %v", fn.Name, explained)
		}
	}
	return c
}

func (r *Resolved) describe(fn symbols.Func, fd *Func) string {
	return fmt.Sprintf("%s %s: %s %s: believed %s, DWARF %s", fn.Name, fd.Signature(), r.Param.Name, r.Param.Type,
		r.Location.Format(abi.AMD64), r.DWARF.Format(abi.AMD64))
}

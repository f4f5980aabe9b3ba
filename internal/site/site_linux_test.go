package site

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/link"
	"github.com/cilium/ebpf/rlimit"

	"github.com/argtap/argtap/abi"
	"github.com/argtap/argtap/symbols"
)

// Offsets in struct pt_regs of amd64 (arch/x86/include/asm/ptrace.h), which
// the kernel uses for 386 programs, too, with the upper halves zero.
const (
	regsCX    = 88
	regsFlags = 144
	regsSP    = 152
)

// tally counts the hits of one probe by the flags at the hit.
type tally struct {
	probe Probe
	// inCX: the g is in RCX or ECX at the hit.
	inCX bool
	// slot is the first of its elements in the array map: one for each
	// combination of the flags that conditions look at, then one for hits at
	// which no code address was on the stack below the CFA, and one for those
	// at which the g was not what the stack pointer belongs to.
	slot uint32
}

const (
	flagSlots = 32
	badCFA    = flagSlots
	badG      = flagSlots + 1
	slots     = flagSlots + 2
)

// flagsOf unpacks CF, PF, ZF, SF and OF from five bits.
func flagsOf(slot uint32) uint64 {
	return uint64(slot&1)*flagCF | uint64(slot>>1&1)*flagPF | uint64(slot>>2&1)*flagZF |
		uint64(slot>>3&1)*flagSF | uint64(slot>>4&1)*flagOF
}

// counter is the program on a probe, in a program with pointers of so many
// bytes and with size bytes of code at text.
func (c *tally) counter(m *ebpf.Map, word int32, text symbols.VirtAddr, size uint64) asm.Instructions {
	count := func(slot asm.Instructions) asm.Instructions {
		return append(slot, asm.Instructions{
			asm.Add.Imm(asm.R1, int32(c.slot)),
			asm.StoreMem(asm.RFP, -4, asm.R1, asm.Word),
			asm.LoadMapPtr(asm.R1, m.FD()),
			asm.Mov.Reg(asm.R2, asm.RFP),
			asm.Add.Imm(asm.R2, -4),
			asm.FnMapLookupElem.Call(),
		}...)
	}
	ins := asm.Instructions{asm.Mov.Reg(asm.R6, asm.R1)}
	flag := func(bit, to int32) {
		ins = append(ins,
			asm.Mov.Reg(asm.R2, asm.R7),
			asm.RSh.Imm(asm.R2, bit),
			asm.And.Imm(asm.R2, 1),
			asm.LSh.Imm(asm.R2, to),
			asm.Or.Reg(asm.R1, asm.R2),
		)
	}
	ins = append(ins, asm.LoadMem(asm.R7, asm.R6, regsFlags, asm.DWord), asm.Mov.Imm(asm.R1, 0))
	flag(0, 0)
	flag(2, 1)
	flag(6, 2)
	flag(7, 3)
	flag(11, 4)
	ins = append(ins, count(nil)...)
	ins = append(ins,
		asm.JEq.Imm(asm.R0, 0, "exit"),
		asm.Mov.Imm(asm.R1, 1),
		asm.StoreXAdd(asm.R0, asm.R1, asm.DWord),
	)
	if c.probe.CFA > 0 {
		// The word below the CFA is the return address.
		ins = append(ins,
			asm.Mov.Imm(asm.R1, 0),
			asm.StoreMem(asm.RFP, -16, asm.R1, asm.DWord),
			asm.LoadMem(asm.R3, asm.R6, regsSP, asm.DWord),
			asm.Add.Imm(asm.R3, int32(c.probe.CFA)-word),
			asm.Mov.Reg(asm.R1, asm.RFP),
			asm.Add.Imm(asm.R1, -16),
			asm.Mov.Imm(asm.R2, word),
			asm.FnProbeReadUser.Call(),
			asm.LoadMem(asm.R3, asm.RFP, -16, asm.DWord),
			asm.LoadImm(asm.R4, int64(text), asm.DWord),
			asm.Sub.Reg(asm.R3, asm.R4),
			asm.LoadImm(asm.R4, int64(size), asm.DWord),
			asm.JLT.Reg(asm.R3, asm.R4, "cfa"),
		)
		ins = append(ins, count(asm.Instructions{asm.Mov.Imm(asm.R1, badCFA)})...)
		ins = append(ins,
			asm.JEq.Imm(asm.R0, 0, "exit"),
			asm.Mov.Imm(asm.R1, 1),
			asm.StoreXAdd(asm.R0, asm.R1, asm.DWord),
			asm.Mov.Imm(asm.R0, 0).WithSymbol("cfa"),
		)
	}
	if c.inCX {
		size := asm.DWord
		if word == 4 {
			size = asm.Word
		}
		// The g begins with the bounds of its stack, lo and hi.
		ins = append(ins,
			asm.Mov.Imm(asm.R1, 0),
			asm.StoreMem(asm.RFP, -16, asm.R1, asm.DWord),
			asm.StoreMem(asm.RFP, -24, asm.R1, asm.DWord),
			asm.Mov.Reg(asm.R1, asm.RFP),
			asm.Add.Imm(asm.R1, -24),
			asm.Mov.Imm(asm.R2, 2*word),
			asm.LoadMem(asm.R3, asm.R6, regsCX, asm.DWord),
			asm.FnProbeReadUser.Call(),
			asm.LoadMem(asm.R1, asm.R6, regsSP, asm.DWord),
			asm.LoadMem(asm.R2, asm.RFP, -24, size),
			asm.LoadMem(asm.R3, asm.RFP, int16(word)-24, size),
			asm.JLT.Reg(asm.R1, asm.R2, "bad"),
			asm.JLT.Reg(asm.R1, asm.R3, "exit"),
			asm.Mov.Imm(asm.R0, 0).WithSymbol("bad"),
		)
		ins = append(ins, count(asm.Instructions{asm.Mov.Imm(asm.R1, badG)})...)
		ins = append(ins,
			asm.JEq.Imm(asm.R0, 0, "exit"),
			asm.Mov.Imm(asm.R1, 1),
			asm.StoreXAdd(asm.R0, asm.R1, asm.DWord),
		)
	}
	return append(ins, asm.Mov.Imm(asm.R0, 0).WithSymbol("exit"), asm.Return())
}

// manyCalls is called a million times: too often for single-stepped returns.
const manyCalls = "main.small"

// TestExactlyOnce runs a thousand goroutines whose stacks grow and shrink
// through the probed functions, and compares the hits with the calls that
// the program counts.
func TestExactlyOnce(t *testing.T) {
	for _, goarch := range []string{"amd64", "386"} {
		t.Run(goarch, func(t *testing.T) { exactlyOnce(t, fixtureFor(t, goarch)) })
	}
}

func exactlyOnce(t *testing.T, b *elfFile) {
	if os.Geteuid() != 0 {
		t.Skip("needs root to attach uprobes: run the tests with sudo")
	}
	if err := rlimit.RemoveMemlock(); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(b.path)
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	lines := bufio.NewScanner(stdout)
	if !lines.Scan() || lines.Text() != "ready" {
		t.Fatalf("%q instead of the ready line", lines.Text())
	}

	counted := []string{
		"main.leaf", "main.leafBranch", "main.loopHead", "main.table", "main.framedTable",
		"main.small", "main.medium", "main.huge", "main.nosplit", "main.mixed", "main.onStack",
		"main.value.Sum", "main.recovers", "main.generic[go.shape.int]", "main.newClosure.func1", "main.store",
		"main.unused",
	}
	type function struct {
		sites   *Sites
		entry   *tally
		first   *tally // a probe on the first instruction, to compare with
		repeats []*tally
		returns []*tally
	}
	var all []*tally
	tallyFor := func(p Probe) *tally {
		c := &tally{probe: p, slot: uint32(len(all) * slots)}
		all = append(all, c)
		return c
	}
	functions := map[string]*function{}
	withG := false
	for _, name := range counted {
		fn := b.lookup(t, name)
		s, err := b.find(t, fn)
		if err != nil {
			t.Fatal(err)
		}
		f := &function{sites: s, entry: tallyFor(s.Entry)}
		f.entry.inCX = s.HasG && s.G == b.cx()
		withG = withG || f.entry.inCX
		for _, e := range s.Repeats {
			f.repeats = append(f.repeats, tallyFor(e.Probe))
		}
		if name != manyCalls {
			for _, r := range s.Returns {
				f.returns = append(f.returns, tallyFor(r))
			}
		}
		if name == "main.huge" {
			// The program of a second probe on the same function does not
			// disturb the first.
			check, ok := machines[b.arch.GOARCH].stackCheck(b.code(t, fn), fn.Entry)
			if !ok {
				t.Fatalf("%s: no stack check", name)
			}
			f.first = tallyFor(Probe{Addr: fn.Entry + symbols.VirtAddr(check.jumps[len(check.jumps)-1]), Skip: condBE})
		}
		functions[name] = f
	}

	if withG != (b.arch == abi.I386) {
		t.Errorf("a stack check leaves the g in a register: %t", withG)
	}
	m, err := ebpf.NewMap(&ebpf.MapSpec{Type: ebpf.Array, KeySize: 4, ValueSize: 8, MaxEntries: uint32(len(all) * slots)})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	exe, err := link.OpenExecutable(b.path)
	if err != nil {
		t.Fatal(err)
	}
	text := b.file.Section(".text")
	for _, c := range all {
		prog, err := ebpf.NewProgram(&ebpf.ProgramSpec{
			Type: ebpf.Kprobe, License: "GPL",
			Instructions: c.counter(m, int32(b.arch.PtrSize), symbols.VirtAddr(text.Addr), text.Size),
		})
		if err != nil {
			t.Fatalf("%+v", err)
		}
		defer prog.Close()
		l, err := exe.Uprobe("", prog, &link.UprobeOptions{Address: b.fileOffset(t, c.probe.Addr), PID: cmd.Process.Pid})
		if err != nil {
			t.Fatalf("probe %+v: %v", c.probe, err)
		}
		defer l.Close()
	}

	start := time.Now()
	if _, err := fmt.Fprintln(stdin); err != nil {
		t.Fatal(err)
	}
	calls := map[string]int64{}
	for lines.Scan() {
		var name string
		var n int64
		text := lines.Text()
		i := strings.LastIndexByte(text, ' ')
		if _, err := fmt.Sscan(text[i+1:], &n); err != nil || i < 0 {
			t.Fatalf("line %q: %v", text, err)
		}
		name = text[:i]
		calls[name] = n
	}
	if err := cmd.Wait(); err != nil {
		t.Fatalf("the probed program: %v", err)
	}
	t.Logf("ran for %v with %d probes", time.Since(start).Round(time.Millisecond), len(all))

	hits := func(c *tally, want func(flags uint64) bool) (n int64) {
		for i := range uint32(flagSlots) {
			var v uint64
			if err := m.Lookup(c.slot+i, &v); err != nil {
				t.Fatal(err)
			}
			if want(flagsOf(i)) {
				n += int64(v)
			}
		}
		return n
	}
	any := func(uint64) bool { return true }
	skipped := int64(0)
	for _, name := range counted {
		f := functions[name]
		entered := hits(f.entry, func(fl uint64) bool { return !f.sites.Entry.Skip.Holds(fl) })
		repeated, returned := int64(0), int64(0)
		for i, r := range f.repeats {
			repeated += hits(r, f.sites.Repeats[i].Taken.Holds)
		}
		for _, r := range f.returns {
			returned += hits(r, any)
		}
		t.Logf("%-28s calls %d, entered %d, repeated %d, returned %d; %s", name, calls[name], entered, repeated, returned, f.sites.Why)
		if entered-repeated != calls[name] || calls[name] == 0 {
			t.Errorf("%s: %d hits of %q less %d repeats, want %d calls", name, entered, f.sites.Entry.Instr, repeated, calls[name])
		}
		if returned != calls[name] && name != manyCalls {
			t.Errorf("%s: %d hits of returns, want %d calls", name, returned, calls[name])
		}
		if f.first != nil {
			if n := hits(f.first, func(fl uint64) bool { return !condBE.Holds(fl) }); n != calls[name] {
				t.Errorf("%s: %d hits of the check's jump not taken, want %d calls", name, n, calls[name])
			}
			skipped += hits(f.first, condBE.Holds)
		}
	}
	if skipped == 0 {
		t.Error("no stack grew: the test shows nothing")
	}
	t.Logf("%d hits of the check's jump in main.huge were re-run prologues", skipped)
	for _, c := range all {
		var bad, wrong uint64
		if err := m.Lookup(c.slot+badCFA, &bad); err != nil {
			t.Fatal(err)
		}
		if bad != 0 {
			t.Errorf("probe %+v: %d hits without a return address below the CFA", c.probe, bad)
		}
		if err := m.Lookup(c.slot+badG, &wrong); err != nil {
			t.Fatal(err)
		}
		if wrong != 0 {
			t.Errorf("probe %+v: %d hits with another goroutine's stack in the g", c.probe, wrong)
		}
	}
}

// cx is the register in which stack checks of 386, and of amd64 before Go
// 1.17, have the g.
func (b *elfFile) cx() abi.Reg {
	if b.arch == abi.I386 {
		return abi.ECX
	}
	return abi.RCX
}

// fileOffset is where the file has the byte at a.
func (b *elfFile) fileOffset(t testing.TB, a symbols.VirtAddr) uint64 {
	t.Helper()
	for _, p := range b.file.Progs {
		if off := uint64(a) - p.Vaddr; off < p.Filesz {
			return p.Off + off
		}
	}
	t.Fatalf("address %#x is not in the file", uint64(a))
	return 0
}

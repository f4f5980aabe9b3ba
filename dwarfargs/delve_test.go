package dwarfargs

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"testing"

	"github.com/go-delve/delve/pkg/dwarf/godwarf"
	"github.com/go-delve/delve/pkg/dwarf/loclist"
	"github.com/go-delve/delve/pkg/dwarf/op"

	"github.com/argtap/argtap/abi"
)

// delveRegs returns registers whose values name them, and a CFA far from them.
func delveRegs() op.DwarfRegisters {
	var rs []*op.DwarfRegister
	for i := range 128 {
		rs = append(rs, op.DwarfRegisterFromUint64(delveReg(uint64(i))))
	}
	regs := op.NewDwarfRegisters(0, rs, binary.LittleEndian, 16, 7, 6, 0)
	regs.CFA, regs.FrameBase = delveCFA, delveCFA
	return *regs
}

const delveCFA = 1 << 40

func delveReg(i uint64) uint64 { return (i + 1) << 48 }

// sameAsDelve compares the pieces of an expression with those of Delve, where
// both have some.
func sameAsDelve(t *testing.T, ev evaluator, expr []byte, regs op.DwarfRegisters) bool {
	t.Helper()
	addr, pieces, err := op.ExecuteStackProgram(regs, expr, ev.addrSize, nil)
	mine := ev.eval(expr)
	if len(mine) == 1 && mine[0].kind == abi.Nowhere {
		if len(expr) == 0 {
			return true
		}
		if err == nil && mine[0].reason == abi.UnsupportedLocation {
			t.Errorf("%x: not supported, but Delve evaluates it to %#x %+v", expr, addr, pieces)
		}
		return false
	}
	if err != nil {
		t.Errorf("%x: %+v, but Delve says %v", expr, mine, err)
		return false
	}
	value := func(p place) uint64 {
		switch p.kind {
		case abi.InRegister:
			return uint64(p.reg)
		case abi.InFrame:
			return uint64(delveCFA + p.k)
		case abi.InMemory:
			return delveReg(uint64(p.reg)) + uint64(p.k)
		}
		return p.constant
	}
	if pieces == nil {
		pieces = []op.Piece{{Kind: op.AddrPiece, Val: uint64(addr)}}
	}
	if len(pieces) != len(mine) {
		t.Errorf("%x: %d pieces, Delve has %d", expr, len(mine), len(pieces))
		return false
	}
	for i, p := range pieces {
		want := map[abi.PlaceKind]op.PieceKind{abi.InRegister: op.RegPiece, abi.InFrame: op.AddrPiece, abi.InMemory: op.AddrPiece}
		kind, placed := want[mine[i].kind]
		if !placed {
			kind = op.ImmPiece
		}
		size := mine[i].size
		if size < 0 {
			size = 0 // how Delve says that it is all of the value
		}
		if p.Kind != kind || p.Val != value(mine[i].place) || int64(p.Size) != size {
			t.Errorf("%x: piece %d is %+v, Delve says %+v", expr, i, mine[i], p)
			return false
		}
	}
	return true
}

// TestDelve compares all location lists of parameters, and the expressions in
// them, with what Delve's packages read.
func TestDelve(t *testing.T) {
	for _, fl := range []flavour{flavours[0], flavours[1], flavours[2], flavours[5], {name: "go", goarch: "amd64", pkg: "cmd/go"}} {
		t.Run(fl.name, func(t *testing.T) {
			path := fixture(t, fl)
			_, d := open(t, path)
			f, err := elf.Open(path)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			load := func(name string) []byte {
				b, _ := godwarf.GetDebugSectionElf(f, name[len(".debug_"):])
				return b
			}
			v5 := loclist.NewDwarf5Reader(load(".debug_loclists"))
			v2 := loclist.NewDwarf2Reader(load(".debug_loc"), int(d.ptrSize))
			addrs := godwarf.ParseAddr(load(".debug_addr"))
			regs := delveRegs()
			lists, exprs := 0, 0
			d.mu.Lock()
			defer d.mu.Unlock()
			_, err = d.eachUnit(func(u *unit) (bool, error) {
				if !u.isGo() {
					return false, nil
				}
				ev := evaluator{order: d.order, addrSize: u.addrSize, frameBase: []byte{byte(op.DW_OP_call_frame_cfa)}}
				return false, d.walk(u, func(a *abbrev) bool { return a.tag == tagFormalParameter }, func(e *die) (bool, error) {
					loc, err := d.location(u, e)
					if err != nil {
						return false, err
					}
					if !loc.isList {
						if len(loc.expr) > 0 && sameAsDelve(t, ev, loc.expr, regs) {
							exprs++
						}
						return true, nil
					}
					v, _ := e.get(attrLocation)
					for _, entry := range loc.list {
						for _, pc := range []uint64{entry.low, entry.high - 1} {
							var want *loclist.Entry
							if u.version >= 5 {
								want, err = v5.Find(int(v.u), 0, u.lowPC, pc, addrs.GetSubsection(uint64(u.addrBase)))
							} else {
								// Its range stays relative to a base that it keeps to itself.
								if want, err = v2.Find(int(v.u), 0, u.lowPC, pc, nil); want != nil && want.HighPC-want.LowPC == entry.high-entry.low {
									want = &loclist.Entry{LowPC: entry.low, HighPC: entry.high, Instr: want.Instr}
								}
							}
							if err != nil || want == nil || want.LowPC > pc || want.HighPC <= pc {
								t.Errorf("list %#x at %#x: %+v, %v", v.u, pc, want, err)
								return true, nil
							}
							if want.LowPC == entry.low && (want.HighPC != entry.high || !bytes.Equal(want.Instr, entry.expr)) {
								t.Errorf("list %#x at %#x: %+v, want %+v", v.u, pc, entry, want)
							}
						}
						if sameAsDelve(t, ev, entry.expr, regs) {
							exprs++
						}
					}
					lists++
					return !t.Failed(), nil
				})
			})
			if err != nil {
				t.Fatal(err)
			}
			t.Logf("%d lists, %d expressions", lists, exprs)
			if lists < 500 || exprs < 1000 {
				t.Error("too little compared")
			}
		})
	}
}

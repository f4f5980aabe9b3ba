package probegen

import (
	"github.com/cilium/ebpf/asm"

	"github.com/argtap/argtap/internal/capture"
)

// Start generates the program for the entry point of a file: it records that a
// process begins to run it. Limits do not hold for it, and what is lost is not
// counted: the process is known by its first call then.
func Start(opts Options) (asm.Instructions, error) {
	opts.Limits = Limits{}
	g := &gen{opts: opts}
	if reason := opts.checkWhose(); reason != "" {
		return nil, &UnsupportedError{"of the entry point", reason}
	}
	g.function("argtap_start", probe)
	g.note("a process starts")
	g.emit(asm.Mov.Reg(regCtx, asm.R1))
	g.onlyPID()
	g.onlyCgroup("exit")
	word := func(off int16, r asm.Register) {
		g.emit(asm.StoreMem(asm.RFP, off-capture.HeaderSize, r, asm.DWord))
	}
	g.emit(asm.FnKtimeGetNs.Call())
	word(capture.OffTime, asm.R0)
	g.pidTgid(asm.RFP, capture.OffPIDTID-capture.HeaderSize)
	word(capture.OffPIDTID, asm.R0)
	g.emit(asm.LoadImm(asm.R1, capture.KindStart<<(8*capture.OffKind), asm.DWord))
	word(capture.OffPlan, asm.R1)
	g.emit(asm.Mov.Imm(asm.R1, 0))
	word(capture.OffGoroutine, asm.R1)
	word(capture.OffFailed, asm.R1)
	g.note("send the record")
	g.emit(
		asm.LoadMapPtr(asm.R1, 0).WithReference(MapCalls),
		asm.Mov.Reg(asm.R2, asm.RFP), asm.Add.Imm(asm.R2, -capture.HeaderSize),
		asm.Mov.Imm(asm.R3, capture.HeaderSize),
		asm.Mov.Imm(asm.R4, 0),
		asm.FnRingbufOutput.Call(),
	)
	if err := g.epilogue("of the entry point"); err != nil {
		return nil, err
	}
	return g.ins, nil
}

package judge

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/go-delve/delve/pkg/proc"
	"github.com/go-delve/delve/service/api"
	"github.com/go-delve/delve/service/debugger"

	"github.com/argtap/argtap/uprobe"
)

// loadConfig is how Delve loads one object. It does not follow pointers: what
// they point to is loaded as an object of its own.
var loadConfig = proc.LoadConfig{
	MaxVariableRecurse: 3, MaxStringLen: 1024, MaxArrayValues: 64, MaxStructFields: -1,
}

// errExited says that the program has ended.
var errExited = errors.New("the program has ended")

// session is a program that runs under Delve.
type session struct {
	dbg *debugger.Debugger
}

// launch starts a program under Delve and stops it before its first instruction.
// What it prints goes to the file out.
func launch(dir string, out *os.File, command ...string) (*session, error) {
	to := proc.OutputRedirect{Path: out.Name()}
	dbg, err := debugger.New(&debugger.Config{
		WorkingDir: dir, Backend: "native", CheckGoVersion: true, Stdout: to, Stderr: to,
	}, command)
	if err != nil {
		return nil, fmt.Errorf("%s under Delve: %w", command[0], err)
	}
	return &session{dbg}, nil
}

func (s *session) pid() int { return s.dbg.ProcessPid() }

// close kills the program.
func (s *session) close() error { return s.dbg.Detach(true) }

// breakAt sets a breakpoint on a function's first instruction.
func (s *session) breakAt(f *uprobe.Func) (id int, err error) {
	bp, err := s.dbg.CreateBreakpoint(&api.Breakpoint{Addr: uint64(f.Entry())}, "", nil, false)
	if err != nil {
		return 0, fmt.Errorf("breakpoint on %s: %w", f.Name(), err)
	}
	return bp.ID, nil
}

// clear removes a breakpoint.
func (s *session) clear(id int) error {
	_, err := s.dbg.ClearBreakpoint(&api.Breakpoint{ID: id})
	return err
}

// command runs one of Delve's commands and returns the thread that stopped, nil
// if none did because the program was halted.
func (s *session) command(name string) (*api.Thread, error) {
	state, err := s.dbg.Command(&api.DebuggerCommand{Name: name}, nil, nil, nil)
	var exited proc.ErrProcessExited
	if errors.As(err, &exited) || err == nil && state.Exited {
		return nil, errExited
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return state.CurrentThread, nil
}

// run lets the program run to the next breakpoint.
func (s *session) run() (*api.Thread, error) { return s.command(api.Continue) }

// halt stops the program wherever it is; run returns.
func (s *session) halt() error {
	_, err := s.command(api.Halt)
	return err
}

// stepOver executes the selected thread's instructions up to the probed one, and
// this one, while all other threads are held. It reports whether the thread came
// there and did not turn to where its stack is made to grow. The times enclose
// the probed instruction.
func (s *session) stepOver(f *uprobe.Func, pc uint64) (passed bool, before, after time.Time, err error) {
	probe := f.EntryProbe()
	site := uint64(probe.Addr)
	for range 16 {
		at := pc
		before = time.Now()
		th, err := s.command(api.StepInstruction)
		if err != nil {
			return false, before, before, err
		}
		after = time.Now()
		pc = th.PC
		switch {
		case at == site:
			// An instruction that the kernel emulates is executed with the next.
			return pc > site && pc <= site+2*maxInstruction, before, after, nil
		case pc < uint64(f.Entry()) || pc > site:
			return false, before, after, nil
		}
	}
	return false, before, after, fmt.Errorf("%s: at %#x after 16 steps, the probe is at %#x", f.Name(), pc, site)
}

// maxInstruction is the greatest size of an instruction in bytes on amd64.
const maxInstruction = 15

// args returns what Delve shows for the parameters of the function in which the
// selected goroutine is, without the results.
func (s *session) args() ([]*api.Variable, error) {
	vars, err := s.dbg.FunctionArguments(-1, 0, 0, loadConfig)
	if err != nil {
		return nil, err
	}
	var args []*api.Variable
	for _, v := range vars {
		if v.Flags&proc.VariableReturnArgument == 0 {
			args = append(args, api.ConvertVar(v))
		}
	}
	return args, nil
}

// load returns what Delve shows for an object of a type at an address.
func (s *session) load(addr uint64, typ string) (*api.Variable, error) {
	v, err := s.dbg.EvalVariableInScope(-1, 0, 0, fmt.Sprintf("*(*%s)(%#x)", quote(typ), addr), loadConfig)
	if err != nil {
		return nil, err
	}
	return api.ConvertVar(v), nil
}

// quote makes one token of a type's name, as Delve's expressions have it.
func quote(typ string) string {
	if strings.Contains(typ, "`") {
		return strconv.Quote(typ)
	}
	return "`" + typ + "`"
}

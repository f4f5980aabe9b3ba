package uprobe

import (
	"errors"
	"fmt"

	"github.com/argtap/argtap/internal/expr"
	"github.com/argtap/argtap/internal/site"
	"github.com/argtap/argtap/symbols"
)

// Errors that Trace and Inspect return, wrapped with what happened to what.
// Use errors.Is. A file that does not exist is fs.ErrNotExist, one that cannot
// be opened fs.ErrPermission.
var (
	// ErrNotELF: the file is not an ELF binary.
	ErrNotELF = symbols.ErrNotELF
	// ErrNoFunc: the binary has no function of that name, or none that matches
	// the pattern. The error lists similar names.
	ErrNoFunc = symbols.ErrNoFunc
	// ErrNoSymbols: the binary was stripped of its symbol table.
	ErrNoSymbols = symbols.ErrNoSymbols
	// ErrArch: the binary is for an architecture that is not supported, or not
	// the one of this machine.
	ErrArch = errors.New("unsupported architecture")
	// ErrInlined: the function was inlined into all of its callers, so there
	// is no instruction that begins it.
	ErrInlined = errors.New("function was inlined everywhere")
	// ErrNoDebugInfo: the binary does not describe the function's parameters.
	ErrNoDebugInfo = errors.New("no debug information")
	// ErrSignature: a signature given by [WithSignature] is malformed, or it is not
	// that of the function.
	ErrSignature = errors.New("wrong signature")
	// ErrHandler: the func of [Bind] does not fit the function that is traced.
	ErrHandler = errors.New("wrong handler")
	// ErrExpr: an expression does not make sense for the function that is traced:
	// see [ExprError].
	ErrExpr = errors.New("wrong expression")
	// ErrDebugFile: there is no debug file at the path of [WithDebugFile], or it
	// does not belong to the binary.
	ErrDebugFile = errors.New("wrong debug file")
	// ErrNoSite: no instruction of the function runs exactly once a call while
	// the arguments are in place.
	ErrNoSite = site.ErrNoSite
	// ErrPermission: a capability is missing, or the kernel is locked down.
	ErrPermission = errors.New("not permitted")
	// ErrKernel: the kernel lacks a feature that is needed.
	ErrKernel = errors.New("kernel feature missing")
	// ErrMemlock: the limit on locked memory is too low (kernels before 5.11).
	ErrMemlock = errors.New("locked memory limit too low")
	// ErrNoProcess: there is no process with the given ID.
	ErrNoProcess = errors.New("no such process")
	// ErrWrongProcess: the process does not run the binary.
	ErrWrongProcess = errors.New("process does not run the binary")
	// ErrPatched: a process has changed the code of the function in its memory, as
	// libraries do that replace functions at run time. One that a pattern selects is left
	// out.
	ErrPatched = errors.New("the code was patched in memory")
	// ErrFIPS: the function is of the code that programs in FIPS 140 mode verify when
	// they start, and processes may start while it is traced.
	ErrFIPS = errors.New("programs verify this code when they start")
	// ErrNamespace: process IDs mean something else where the tracer runs: it is in
	// another PID namespace than what it looks at.
	ErrNamespace = errors.New("other PID namespace")
	// ErrCgroup: the path of [WithCgroup] is not that of a cgroup of version 2.
	ErrCgroup = errors.New("wrong cgroup")
	// ErrVerifier: the kernel rejected a generated program. This is a defect
	// of argtap; please report it. See [VerifierError].
	ErrVerifier = errors.New("kernel rejected the program")
	// ErrHandlerExit ended a tracer because its handler ended the goroutine that
	// calls it, by runtime.Goexit, as testing.T.Fatal does.
	ErrHandlerExit = errors.New("the handler ended its goroutine")
	// ErrBinaryReplaced ended a tracer because the file that it traces was
	// replaced or changed: processes started from now on run another program.
	ErrBinaryReplaced = errors.New("binary was replaced")
)

// FuncError is an error that concerns one function.
type FuncError struct {
	Func string
	Err  error
}

func (e *FuncError) Error() string { return fmt.Sprintf("function %s: %v", e.Func, e.Err) }

// Unwrap returns the cause.
func (e *FuncError) Unwrap() error { return e.Err }

// ExprError says what is wrong with an expression of [WithCapture] or
// [WithCondition] for a function. It is [ErrExpr].
type ExprError struct {
	// Text is the expression.
	Text string
	// Column of Text where the error is, in bytes, the first being 1. It is
	// len(Text)+1 where something is missing at the end.
	Column int
	// Message says what is wrong and, where something is not there, what is.
	Message string
	// Unsupported says that what is at Column may be valid Go, but nothing that
	// an expression can have.
	Unsupported bool
	// NeedsResults says that a condition names a result, or what else is known only
	// when the call returns, and that the option [WithResults] is missing.
	NeedsResults bool
}

// Error returns "expression r.Pth: column 3: no field Pth in …", in one line.
func (e *ExprError) Error() string { return e.inner().Error() }

// Caret returns the expression with a mark under the column, in two lines.
func (e *ExprError) Caret() string { return e.inner().Caret() }

func (e *ExprError) inner() *expr.Error {
	return &expr.Error{Text: e.Text, Column: e.Column, Message: e.Message}
}

// Is reports whether target is [ErrExpr].
func (e *ExprError) Is(target error) bool { return target == ErrExpr }

// VerifierError says that the kernel rejected a generated program. It is
// [ErrVerifier].
type VerifierError struct {
	// Func names the function, or the first of several that share a program.
	Func string
	// Log is the verifier's log.
	Log string
	Err error
}

// Error names the function and the verifier's verdict. Format with %+v for the
// whole log.
func (e *VerifierError) Error() string {
	return fmt.Sprintf("function %s: %v: %v", e.Func, ErrVerifier, e.Err)
}

// Format implements fmt.Formatter: %+v prints the whole log.
func (e *VerifierError) Format(f fmt.State, verb rune) {
	fmt.Fprint(f, e.Error())
	if verb == 'v' && f.Flag('+') {
		fmt.Fprintf(f, "\n%s", e.Log)
	}
}

// Is reports whether target is [ErrVerifier].
func (e *VerifierError) Is(target error) bool { return target == ErrVerifier }

// Unwrap returns the kernel's error.
func (e *VerifierError) Unwrap() error { return e.Err }

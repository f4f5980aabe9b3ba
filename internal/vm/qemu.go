package vm

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/argtap/argtap/internal/vm/wire"
)

// Config is a machine and what runs on it.
type Config struct {
	Kernel *Kernel
	// Files are the guest's files: paths on this machine by paths in the guest.
	// A directory stands for all that is in it.
	Files map[string]string
	// Args are the command and its arguments; Args[0] is a path in the guest.
	Args []string
	// Env are environment variables of the command, "NAME=value". There are no
	// others but PATH, HOME, TMPDIR and USER.
	Env []string
	// Dir is the command's working directory, "/" if empty. It is made if it is
	// not there.
	Dir string
	// Memory is the guest's memory in MiB, 2048 if zero. The files take part of
	// it.
	Memory int
	// CPUs is the number of processors, 2 if zero.
	CPUs int
	// CPU is the processor's model, by QEMU's name. If empty it is "max" for
	// amd64, and "cortex-a72" for arm64: that has no atomic instructions but
	// load and store exclusive, which "max" has.
	CPU string
	// Append are further arguments for the kernel.
	Append string
	// Timeout bounds the whole run, 10 minutes if zero.
	Timeout time.Duration
	// Stdout and Stderr take what the command writes, nothing if nil. They are
	// not written to at the same time, so they may be the same.
	Stdout, Stderr io.Writer
	// Console takes what the kernel says, nothing if nil.
	Console io.Writer
}

// Error says that a guest did not run its command to the end.
type Error struct {
	// Kernel and Arch are those of the guest.
	Kernel, Arch string
	// Err is what happened: context.DeadlineExceeded if the time was over.
	Err error
	// Console is the end of what the kernel said.
	Console string
}

func (e *Error) Error() string {
	s := fmt.Sprintf("guest with kernel %s for %s: %v", e.Kernel, e.Arch, e.Err)
	if e.Console != "" {
		s += "\nthe end of its console:\n" + e.Console
	}
	return s
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// machine is how QEMU plays an architecture.
type machine struct {
	qemu, pkg string // the command, and Debian's package that has it
	board     string
	cpu       string
	console   string
	accel     string
}

// An x86 kernel changes its own code while other processors run it. QEMU's
// threads, one for each processor, see that too late now and then, and the
// kernel stops; in one thread they take turns. On arm64 the kernel says when it
// has changed code. Once in a dozen boots the flags were garbage behind a
// CMPXCHG16B, which is a double fault; kernels do without that instruction.
var machines = map[string]machine{
	"amd64": {"qemu-system-x86_64", "qemu-system-x86", "pc", "max,-cx16", "ttyS0", "tcg,thread=single"},
	"arm64": {"qemu-system-aarch64", "qemu-system-arm", "virt", "cortex-a72", "ttyAMA0", "tcg"},
}

// Run boots a guest, runs the command, and returns its exit status: 128 plus
// the signal's number if a signal ended it. An error means that the command was
// not run to its end; it is a *Error unless the guest was not started at all.
func Run(ctx context.Context, c Config) (exit int, err error) {
	if c.Kernel == nil || len(c.Args) == 0 {
		return 0, errors.New("guest: a kernel and a command are needed")
	}
	timeout := c.Timeout
	if timeout == 0 {
		timeout = 10 * time.Minute
	}
	ctx, cancel := context.WithTimeoutCause(ctx, timeout,
		fmt.Errorf("the command has not ended after %v: %w", timeout, context.DeadlineExceeded))
	defer cancel()
	if err := Available(c.Kernel.Arch); err != nil {
		return 0, err
	}
	dir, err := os.MkdirTemp("", "argtap-vm-")
	if err != nil {
		return 0, err
	}
	defer os.RemoveAll(dir)
	initrd, err := makeInitrd(ctx, dir, &c)
	if err != nil {
		return 0, err
	}
	for try := 1; ; try++ {
		exit, err := c.boot(ctx, initrd)
		// Emulation is not perfect: now and then a kernel stops while it boots.
		// The command has not been run then.
		if !errors.Is(err, errNotBooted) || try == bootTries || ctx.Err() != nil {
			return exit, err
		}
	}
}

// A guest boots in 5 to 10 seconds. On a busy machine it takes longer, but not
// for ever.
const (
	bootTries = 3
	bootTime  = 3 * time.Minute
)

// errNotBooted says that the guest's first program was not heard.
var errNotBooted = errors.New("the machine stopped before it could run the command")

// Available reports as an error what is missing on this machine to run guests
// of an architecture.
func Available(arch string) error {
	m, ok := machines[arch]
	if !ok {
		return fmt.Errorf("guest for %s: unknown architecture, there are amd64 and arm64", arch)
	}
	if runtime.GOOS != "linux" {
		return fmt.Errorf("guest for %s: guests run on Linux, this is %s", arch, runtime.GOOS)
	}
	if _, err := exec.LookPath(m.qemu); err != nil {
		return fmt.Errorf("guest for %s: %w: install QEMU (on Debian: apt-get install %s)", arch, err, m.pkg)
	}
	return nil
}

func makeInitrd(ctx context.Context, dir string, c *Config) (string, error) {
	init, err := buildInit(ctx, dir, c.Kernel.Arch)
	if err != nil {
		return "", err
	}
	name := filepath.Join(dir, "initrd")
	f, err := os.Create(name)
	if err != nil {
		return "", err
	}
	err = writeInitrd(f, init, c)
	if info, serr := f.Stat(); serr == nil && err == nil {
		// Archive and unpacked files are there at the same time for a moment.
		if need := 2 * int(info.Size()>>20); need > c.memory()-256 {
			err = fmt.Errorf("%d MiB of memory for %d MiB of files: give the guest %d",
				c.memory(), info.Size()>>20, need+256)
		}
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return "", fmt.Errorf("the guest's files: %w", err)
	}
	return name, nil
}

func (c *Config) memory() int {
	if c.Memory == 0 {
		return 2048
	}
	return c.Memory
}

func (c *Config) dir() string {
	if c.Dir == "" {
		return "/"
	}
	return c.Dir
}

func (c *Config) env() []string {
	return append([]string{"PATH=/usr/bin:/bin", "HOME=/root", "TMPDIR=/tmp", "USER=root"}, c.Env...)
}

// qemuArgs are the arguments of QEMU. The port is file descriptor 3.
func (c *Config) qemuArgs(m machine, initrd string) []string {
	cpus, cpu := c.CPUs, c.CPU
	if cpus == 0 {
		cpus = 2
	}
	if cpu == "" {
		cpu = m.cpu
	}
	// Random numbers from the processor and the firmware are good enough: the
	// guest must not wait for better ones.
	// A kernel that has lost its way is to stop, which ends QEMU.
	kernel := "console=" + m.console + " quiet panic=-1 oops=panic random.trust_cpu=on random.trust_bootloader=on rdinit=/init"
	if c.Append != "" {
		kernel += " " + c.Append
	}
	return []string{
		"-nodefaults", "-no-user-config", "-no-reboot", "-display", "none", "-monitor", "none",
		"-machine", m.board, "-accel", m.accel, "-cpu", cpu,
		"-m", strconv.Itoa(c.memory()), "-smp", strconv.Itoa(cpus),
		"-chardev", "stdio,id=console,signal=off", "-serial", "chardev:console",
		"-chardev", "socket,id=port,fd=3",
		"-device", "virtio-serial-pci", "-device", "virtserialport,chardev=port,name=" + wire.Port,
		"-kernel", c.Kernel.Image, "-initrd", initrd, "-append", kernel,
	}
}

// boot starts QEMU and listens to the guest.
func (c *Config) boot(ctx context.Context, initrd string) (int, error) {
	m := machines[c.Kernel.Arch]
	ours, theirs, err := socketPair()
	if err != nil {
		return 0, err
	}
	defer ours.Close()
	console := &tail{w: c.Console}
	cmd := exec.CommandContext(ctx, m.qemu, c.qemuArgs(m, initrd)...)
	cmd.Stdout, cmd.Stderr = console, console
	cmd.ExtraFiles = []*os.File{theirs}
	cmd.WaitDelay = 5 * time.Second
	dieWithParent(cmd)
	fail := func(err error) (int, error) {
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		return 0, &Error{c.Kernel.Name, c.Kernel.Arch, err, console.String()}
	}
	err = cmd.Start()
	theirs.Close()
	if err != nil {
		return fail(err)
	}
	// A guest that hangs must not keep the reader waiting.
	stop := context.AfterFunc(ctx, func() { ours.Close() })
	defer stop()
	boot := time.AfterFunc(bootTime, func() { ours.Close() })
	defer boot.Stop()
	status, err := c.listen(ours, func() { boot.Stop() })
	if err != nil {
		// It may have died by itself; if not, there is nothing to wait for.
		time.AfterFunc(2*time.Second, func() { cmd.Process.Kill() })
		return fail(errors.Join(err, unexpected(cmd.Wait())))
	}
	// The guest turns itself off. That it has run its command is what counts.
	timer := time.AfterFunc(10*time.Second, func() { cmd.Process.Kill() })
	cmd.Wait()
	timer.Stop()
	return status, nil
}

// unexpected is QEMU's own failure, if that is what it was.
func unexpected(err error) error {
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.ExitCode() > 0 {
		return fmt.Errorf("QEMU: %w", err)
	}
	return nil
}

// listen reads what the guest sends, to the command's exit status. It calls
// booted when the guest is heard first.
func (c *Config) listen(port io.ReadWriter, booted func()) (int, error) {
	buf := make([]byte, wire.MaxPayload)
	for hello := false; ; {
		kind, b, err := wire.Read(port, buf)
		if err != nil {
			if hello {
				return 0, fmt.Errorf("the machine stopped before the command had ended: %w", err)
			}
			return 0, fmt.Errorf("%w: %w", errNotBooted, err)
		}
		var w io.Writer
		switch kind {
		case wire.Hello:
			hello = true
			booted()
		case wire.Stdout:
			w = c.Stdout
		case wire.Stderr:
			w = c.Stderr
		case wire.Problem:
			port.Write([]byte{wire.Ack})
			return 0, fmt.Errorf("cannot run the command: %s", b)
		case wire.Exit:
			if len(b) != 4 {
				return 0, fmt.Errorf("an exit status of %d bytes", len(b))
			}
			port.Write([]byte{wire.Ack})
			return int(int32(binary.LittleEndian.Uint32(b))), nil
		}
		if w != nil {
			if _, err := w.Write(b); err != nil {
				return 0, fmt.Errorf("pass on the command's output: %w", err)
			}
		}
	}
}

// tail keeps the end of what is written to it, and passes everything on.
type tail struct {
	w   io.Writer
	mu  sync.Mutex
	buf []byte
}

const tailSize = 8 << 10

func (t *tail) Write(b []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.buf = append(t.buf, b...)
	if n := len(t.buf) - tailSize; n > 0 {
		t.buf = append(t.buf[:0], t.buf[n:]...)
	}
	if t.w != nil {
		return t.w.Write(b)
	}
	return len(b), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return strings.TrimSpace(string(bytes.ToValidUTF8(t.buf, []byte("?"))))
}

package vm

import (
	"bytes"
	"debug/elf"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/argtap/argtap/internal/vm/wire"
)

// port is a guest's side that says what is in it, and keeps what it is told.
type port struct {
	io.Reader
	told bytes.Buffer
}

func (p *port) Write(b []byte) (int, error) { return p.told.Write(b) }

func TestListen(t *testing.T) {
	type frame struct {
		kind wire.Kind
		text string
	}
	full := errors.New("disk full")
	for _, tt := range []struct {
		name   string
		frames []frame
		tail   string // what follows the frames
		status int
		out    string
		err    string
	}{
		{"success", []frame{{wire.Hello, "6.1"}, {wire.Stdout, "one\n"}, {wire.Stdout, "two\n"}, {wire.Exit, "\x00\x00\x00\x00"}}, "rest", 0, "one\ntwo\n", ""},
		{"failure", []frame{{wire.Hello, "6.1"}, {wire.Exit, "\x89\x00\x00\x00"}}, "", 137, "", ""},
		{"not run", []frame{{wire.Hello, "6.1"}, {wire.Problem, "/app: no such file"}}, "", 0, "", "cannot run the command: /app: no such file"},
		{"not booted", nil, "", 0, "", "stopped before it could run the command"},
		{"stopped", []frame{{wire.Hello, "6.1"}, {wire.Stdout, "one\n"}}, "", 0, "one\n", "stopped before the command had ended"},
		{"stopped within", []frame{{wire.Hello, "6.1"}}, "\x02\x04\x00", 0, "", "stopped before the command had ended"},
		{"no status", []frame{{wire.Exit, "\x00"}}, "", 0, "", "exit status of 1 bytes"},
		{"nobody listens", []frame{{wire.Stderr, "x"}, {wire.Exit, "\x00\x00\x00\x00"}}, "", 0, "", "disk full"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var in, out bytes.Buffer
			for _, f := range tt.frames {
				if err := wire.Write(&in, f.kind, []byte(f.text)); err != nil {
					t.Fatal(err)
				}
			}
			in.WriteString(tt.tail)
			p := &port{Reader: &in}
			c := Config{Stdout: &out, Stderr: writerFunc(func([]byte) (int, error) { return 0, full })}
			booted := false
			status, err := c.listen(p, func() { booted = true })
			if want := len(tt.frames) > 0 && tt.frames[0].kind == wire.Hello; booted != want || errors.Is(err, errNotBooted) && booted {
				t.Errorf("booted %t, want %t; %v", booted, want, err)
			}
			if status != tt.status || out.String() != tt.out {
				t.Errorf("status %d, output %q; want %d, %q", status, out.String(), tt.status, tt.out)
			}
			if (err == nil) != (tt.err == "") || err != nil && !strings.Contains(err.Error(), tt.err) {
				t.Errorf("error %v, want %q", err, tt.err)
			}
			ended := len(tt.frames) > 0 && tt.frames[len(tt.frames)-1].kind >= wire.Problem
			if acked := p.told.String() == string(wire.Ack); acked != (ended && tt.name != "no status" && tt.name != "nobody listens") {
				t.Errorf("the guest was told %q", p.told.String())
			}
		})
	}
}

func TestTail(t *testing.T) {
	var all bytes.Buffer
	c := &tail{w: &all}
	for range 3000 {
		io.WriteString(c, "a line\r\n")
	}
	io.WriteString(c, "Kernel panic\n")
	if s := c.String(); len(s) > tailSize || !strings.HasSuffix(s, "a line\r\nKernel panic") {
		t.Errorf("%d bytes, at the end %q", len(s), s[len(s)-30:])
	}
	if all.Len() != 3000*8+13 {
		t.Errorf("%d bytes were passed on", all.Len())
	}
	err := &Error{"6.1", "arm64", io.ErrUnexpectedEOF, c.String()}
	if !errors.Is(err, io.ErrUnexpectedEOF) || !strings.Contains(err.Error(), "kernel 6.1 for arm64") || !strings.HasSuffix(err.Error(), "Kernel panic") {
		t.Errorf("error %v", err)
	}
}

func TestQEMUArgs(t *testing.T) {
	c := Config{Kernel: &Kernel{Image: "/k", Arch: "arm64"}, Append: "loglevel=7"}
	args := strings.Join(c.qemuArgs(machines["arm64"], "/i"), " ")
	for _, want := range []string{"-machine virt -accel tcg", "-cpu cortex-a72", "-m 2048", "-smp 2", "-kernel /k -initrd /i", "console=ttyAMA0 ", " loglevel=7", "-no-reboot"} {
		if !strings.Contains(args, want) {
			t.Errorf("%q is missing in %s", want, args)
		}
	}
	c = Config{Kernel: c.Kernel, CPU: "max", CPUs: 4, Memory: 512}
	args = strings.Join(c.qemuArgs(machines["amd64"], "/i"), " ")
	for _, want := range []string{"-machine pc -accel tcg,thread=single", "-cpu max", "-m 512", "-smp 4", "console=ttyS0 "} {
		if !strings.Contains(args, want) {
			t.Errorf("%q is missing in %s", want, args)
		}
	}
}

// TestRunErrors requires errors that say what to do.
func TestRunErrors(t *testing.T) {
	if _, err := Run(t.Context(), Config{}); err == nil {
		t.Error("no kernel: no error")
	}
	if _, err := Run(t.Context(), Config{Kernel: &Kernel{Arch: "riscv64"}, Args: []string{"/x"}}); err == nil || !strings.Contains(err.Error(), "riscv64") {
		t.Errorf("unknown architecture: %v", err)
	}
	t.Setenv("PATH", t.TempDir())
	_, err := Run(t.Context(), Config{Kernel: &Kernel{Arch: "arm64"}, Args: []string{"/x"}})
	if !errors.Is(err, exec.ErrNotFound) || !strings.Contains(err.Error(), "qemu-system-arm") {
		t.Errorf("no QEMU: %v", err)
	}
	t.Setenv(mirrorVar, "")
	if _, err := findMirror(t.Context()); !errors.Is(err, exec.ErrNotFound) || !strings.Contains(err.Error(), "apt") {
		t.Errorf("no apt: %v", err)
	}
}

// TestBuildInit compiles the guest's first program for each architecture.
func TestBuildInit(t *testing.T) {
	for arch, machine := range map[string]elf.Machine{"amd64": elf.EM_X86_64, "arm64": elf.EM_AARCH64} {
		dir := t.TempDir()
		name, err := buildInit(t.Context(), dir, arch)
		if err != nil {
			t.Fatal(err)
		}
		f, err := elf.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if f.Machine != machine || slices.ContainsFunc(f.Progs, func(p *elf.Prog) bool { return p.Type == elf.PT_INTERP }) {
			t.Errorf("%s: machine %v, or not static", arch, f.Machine)
		}
	}
}

// TestMemory requires an error rather than a guest that has no room.
func TestMemory(t *testing.T) {
	dir := t.TempDir()
	big := filepath.Join(dir, "big")
	f, err := os.Create(big)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(f.Truncate(200<<20), f.Close()); err != nil { // takes no room here
		t.Fatal(err)
	}
	c := Config{Kernel: &Kernel{Arch: "amd64"}, Files: map[string]string{"/big": big}, Args: []string{"/x"}, Memory: 512}
	if _, err := makeInitrd(t.Context(), t.TempDir(), &c); err == nil || !strings.Contains(err.Error(), "give the guest") {
		t.Errorf("error %v", err)
	}
}

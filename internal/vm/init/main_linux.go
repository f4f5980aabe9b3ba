// Command init is the first program that runs in a guest of package vm. It
// mounts what programs expect, runs the job, sends its output and exit status
// to the host, and turns the machine off.
//
// It imports nothing but the standard library and package wire, because package
// vm compiles it from embedded sources.
package main

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"github.com/argtap/argtap/internal/vm/wire"
)

func main() {
	err := run()
	if err != nil {
		// Without a port there is only the console.
		fmt.Println("init:", err)
	}
	syscall.Sync()
	syscall.Reboot(syscall.LINUX_REBOOT_CMD_POWER_OFF)
	// Where the machine cannot be turned off, the end of the first program is a
	// panic, after which it does not start again.
	os.Exit(1)
}

func run() error {
	if os.Getpid() != 1 {
		return fmt.Errorf("not the first program of a machine: process %d", os.Getpid())
	}
	if err := mountAll(); err != nil {
		return err
	}
	if err := loadModules(); err != nil {
		return err
	}
	port, err := openPort()
	if err != nil {
		return err
	}
	host := &host{port: port}
	var uts syscall.Utsname
	if err := syscall.Uname(&uts); err == nil {
		var release []byte
		for _, c := range uts.Release {
			if c == 0 {
				break
			}
			release = append(release, byte(c))
		}
		host.send(wire.Hello, release)
	}
	status, err := runJob(host)
	if err != nil {
		return host.last(wire.Problem, []byte(err.Error()))
	}
	return host.last(wire.Exit, binary.LittleEndian.AppendUint32(nil, uint32(status)))
}

// host is the other side of the port.
type host struct {
	mu   sync.Mutex
	port *os.File
}

func (h *host) send(kind wire.Kind, b []byte) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	return wire.Write(h.port, kind, b)
}

// last sends the last frame and waits until the host has it: what the device
// still holds when the machine is turned off is lost.
func (h *host) last(kind wire.Kind, b []byte) error {
	if len(b) > wire.MaxPayload {
		b = b[:wire.MaxPayload]
	}
	if err := h.send(kind, b); err != nil {
		return err
	}
	ack := make(chan error, 1)
	go func() {
		var b [1]byte
		_, err := h.port.Read(b[:])
		ack <- err
	}()
	select {
	case err := <-ack:
		return err
	case <-time.After(10 * time.Second):
		return fmt.Errorf("the host does not answer")
	}
}

// runJob runs the command and returns its exit status.
func runJob(h *host) (status int, err error) {
	text, err := os.ReadFile(wire.JobFile)
	if err != nil {
		return 0, err
	}
	var job wire.Job
	if err := json.Unmarshal(text, &job); err != nil {
		return 0, fmt.Errorf("%s: %w", wire.JobFile, err)
	}
	if err := linkUp("lo"); err != nil {
		return 0, err
	}
	// The file system of the initial RAM disk is writable.
	if err := os.MkdirAll(job.Dir, 0o755); err != nil {
		return 0, err
	}
	null, err := os.Open(os.DevNull)
	if err != nil {
		return 0, err
	}
	defer null.Close()
	var (
		files   = []*os.File{null}
		writers []*os.File
		drained sync.WaitGroup
	)
	for _, kind := range []wire.Kind{wire.Stdout, wire.Stderr} {
		r, w, err := os.Pipe()
		if err != nil {
			return 0, err
		}
		files, writers = append(files, w), append(writers, w)
		drained.Go(func() {
			defer r.Close()
			buf := make([]byte, wire.MaxPayload)
			for {
				n, err := r.Read(buf)
				if n > 0 && h.send(kind, buf[:n]) != nil || err != nil {
					return
				}
			}
		})
	}
	p, err := os.StartProcess(job.Args[0], job.Args, &os.ProcAttr{Dir: job.Dir, Env: job.Env, Files: files})
	for _, w := range writers {
		w.Close()
	}
	if err != nil {
		return 0, err
	}
	status = wait(p.Pid)
	// What the command left behind may hold its output open.
	syscall.Kill(-1, syscall.SIGKILL)
	drained.Wait()
	return status, nil
}

// wait waits for the command, and for every process whose parent has ended
// before it: such become children of the first program.
func wait(pid int) (status int) {
	for {
		var ws syscall.WaitStatus
		got, err := syscall.Wait4(-1, &ws, 0, nil)
		switch {
		case err == syscall.EINTR || err == nil && got != pid:
		case err != nil:
			return 255
		case ws.Signaled():
			return 128 + int(ws.Signal())
		default:
			return ws.ExitStatus()
		}
	}
}

// openPort finds the virtio port by its name, which the kernel learns from the
// device a moment after it has loaded the driver.
func openPort() (*os.File, error) {
	var err error
	for range 500 {
		var names []string
		names, err = filepath.Glob("/sys/class/virtio-ports/*/name")
		for _, name := range names {
			if b, _ := os.ReadFile(name); string(b) != wire.Port+"\n" {
				continue
			}
			var f *os.File
			if f, err = os.OpenFile("/dev/"+filepath.Base(filepath.Dir(name)), os.O_RDWR, 0); err == nil {
				return f, nil
			}
		}
		time.Sleep(10 * time.Millisecond)
	}
	return nil, fmt.Errorf("no virtio port named %q: %v", wire.Port, err)
}

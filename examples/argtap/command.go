package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/term"
)

// grace is how long the command may take to end after each of the signals that
// ask it to.
const grace = 3 * time.Second

// keepSIGPIPE makes writes to a closed pipe return EPIPE. Unlike ignoring the
// signal this does not reach the command.
func keepSIGPIPE() { signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE) }

// command is the program that trace starts. Its methods may be called on nil.
type command struct {
	*exec.Cmd
	done    chan struct{} // closed when it has ended, and err is set
	err     error
	stopped atomic.Bool // it was asked to end
}

func newCommand(args []string) (*command, error) {
	c := &command{Cmd: exec.Command(args[0], args[1:]...), done: make(chan struct{})}
	if c.Err != nil {
		return nil, fmt.Errorf("COMMAND: %w: give its path, such as ./%s", c.Err, args[0])
	}
	if _, err := os.Stat(c.Path); err != nil {
		return nil, fmt.Errorf("COMMAND: %w", err)
	}
	c.Stdin = os.Stdin
	c.Stdout = os.Stderr // standard output is for calls
	c.Stderr = os.Stderr
	return c, nil
}

func (c *command) start() error {
	if err := c.Cmd.Start(); err != nil {
		close(c.done)
		return fmt.Errorf("COMMAND: %w", err)
	}
	go func() {
		c.err = c.Cmd.Wait()
		close(c.done)
	}()
	return nil
}

// ended returns a channel that is closed when the command has ended.
func (c *command) ended() <-chan struct{} {
	if c == nil {
		return nil
	}
	return c.done
}

func (c *command) running() bool {
	if c == nil || c.Process == nil {
		return false
	}
	select {
	case <-c.done:
		return false
	default:
		return true
	}
}

// within waits for the end of the command, and reports whether it came in time.
func (c *command) within(d time.Duration, interrupts <-chan os.Signal) bool {
	select {
	case <-c.done:
		return true
	case <-time.After(d):
	case <-interrupts: // nobody wants to wait
	}
	return false
}

// interrupt passes a signal on to the command and waits for it to end.
func (c *command) interrupt(sig os.Signal, interrupts <-chan os.Signal) {
	if !c.running() {
		return
	}
	c.stopped.Store(true)
	// A terminal interrupts all processes in the foreground by itself, and
	// many programs take a second interrupt for impatience.
	if sig != os.Interrupt || !term.IsTerminal(int(os.Stdin.Fd())) {
		c.Process.Signal(sig)
	}
	c.within(grace, interrupts)
}

func (c *command) kill() {
	if c.running() {
		c.stopped.Store(true)
		c.Process.Kill()
	}
}

// stop ends the command if it still runs. The error is an exitCode if it ended
// by itself, and failed.
func (c *command) stop() error {
	if c == nil || c.Process == nil {
		return nil
	}
	if c.running() {
		c.stopped.Store(true)
		c.Process.Signal(syscall.SIGTERM)
		if !c.within(grace, nil) {
			c.Process.Kill()
		}
		<-c.done
	}
	var failed *exec.ExitError
	switch {
	case c.err == nil || c.stopped.Load():
		return nil
	case !errors.As(c.err, &failed):
		return fmt.Errorf("COMMAND: %w", c.err)
	}
	if ws, ok := failed.Sys().(syscall.WaitStatus); ok && ws.Signaled() {
		return exitCode(128 + int(ws.Signal())) // as shells say it
	}
	return exitCode(failed.ExitCode())
}

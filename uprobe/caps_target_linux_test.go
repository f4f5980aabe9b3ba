package uprobe

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
)

// fixtureVar names a folder with programs that are built already, for machines
// without a go command.
const fixtureVar = "ARGTAP_FIXTURES"

// prebuilt returns the path of a program of testdata in that folder.
func prebuilt(name string) (string, bool) {
	path := filepath.Join(os.Getenv(fixtureVar), "uprobe-"+name)
	_, err := os.Stat(path)
	return path, os.Getenv(fixtureVar) != "" && err == nil
}

// capsTarget is testdata/caps, running.
type capsTarget struct {
	t    *testing.T
	path string
	cmd  *exec.Cmd
	in   io.WriteCloser
	out  *bufio.Scanner
}

func startCaps(t *testing.T, path string) *capsTarget {
	t.Helper()
	c := &capsTarget{t: t, path: path, cmd: exec.Command(path)}
	c.cmd.Stderr = os.Stderr
	var err error
	if c.in, err = c.cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	out, err := c.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.in.Close(); c.cmd.Wait() })
	c.out = bufio.NewScanner(out)
	c.line()
	return c
}

func (c *capsTarget) pid() int { return c.cmd.Process.Pid }

func (c *capsTarget) line() string {
	c.t.Helper()
	if !c.out.Scan() {
		c.t.Fatalf("target ended: %v", c.out.Err())
	}
	return c.out.Text()
}

// do gives a command and returns the answer.
func (c *capsTarget) do(command string) string {
	c.t.Helper()
	fmt.Fprintln(c.in, command)
	return c.line()
}

// doPID is do where the answer is the ID of another process.
func (c *capsTarget) doPID(command string) int {
	c.t.Helper()
	pid, err := strconv.Atoi(c.do(command))
	if err != nil {
		c.t.Fatal(err)
	}
	return pid
}

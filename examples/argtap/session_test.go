package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"
)

// counts is the line that ends what trace writes to standard error.
type counts struct{ calls, delivered, lost, filtered int }

func countsOf(t *testing.T, r result) counts {
	t.Helper()
	var c counts
	if _, err := fmt.Sscanf(r.lastLine(), "calls=%d delivered=%d lost=%d filtered=%d",
		&c.calls, &c.delivered, &c.lost, &c.filtered); err != nil {
		t.Fatalf("last line on standard error is no counts: %v\n%s", err, r.stderr)
	}
	if c.calls != c.delivered+c.lost+c.filtered {
		t.Errorf("counts do not add up: %s", r.lastLine())
	}
	return c
}

// announced are the calls that the target said it makes, which are on standard
// error.
func announced(t *testing.T, r result, funcs ...string) []announcement {
	t.Helper()
	var all []announcement
	for line := range strings.Lines(r.stderr) {
		text, ok := strings.CutPrefix(line, "CALL ")
		if !ok {
			continue
		}
		var a announcement
		if err := json.Unmarshal([]byte(text), &a); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		for _, f := range funcs {
			if a.Func == f {
				all = append(all, a)
			}
		}
	}
	return all
}

type announcement struct {
	Func string
	Args []any
}

// session is a run of argtap that goes on.
type session struct {
	t      *testing.T
	cmd    *exec.Cmd
	out    *bufio.Reader
	mu     sync.Mutex
	stderr strings.Builder
	read   chan struct{} // closed when standard error is at its end
}

// start starts argtap and returns when it has attached.
func start(t *testing.T, args ...string) *session {
	t.Helper()
	s := &session{t: t, cmd: exec.Command(built.argtap, args...), read: make(chan struct{})}
	stdout, err := s.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	s.out = bufio.NewReader(stdout)
	stderr, err := s.cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.cmd.Process.Kill() })
	attached := make(chan bool, 1)
	go func() {
		defer close(s.read)
		in := bufio.NewScanner(stderr)
		for in.Scan() {
			s.mu.Lock()
			s.stderr.WriteString(in.Text() + "\n")
			s.mu.Unlock()
			if strings.HasPrefix(in.Text(), "argtap: tracing ") {
				attached <- true
			}
		}
	}()
	select {
	case <-attached:
	case <-s.read:
		t.Fatalf("argtap %s ended:\n%s", args, s.stderr.String())
	case <-time.After(runLimit):
		t.Fatalf("argtap %s does not attach", args)
	}
	return s
}

// line returns the next line of standard output.
func (s *session) line() string {
	s.t.Helper()
	line, err := s.out.ReadString('\n')
	if err != nil {
		s.t.Fatalf("standard output: %v", err)
	}
	return strings.TrimSuffix(line, "\n")
}

func (s *session) signal(sig os.Signal) {
	s.t.Helper()
	if err := s.cmd.Process.Signal(sig); err != nil {
		s.t.Fatal(err)
	}
}

// end waits for argtap to end by itself.
func (s *session) end() result {
	s.t.Helper()
	timer := time.AfterFunc(runLimit, func() { s.cmd.Process.Kill() })
	defer timer.Stop()
	var rest strings.Builder
	s.out.WriteTo(&rest)
	<-s.read
	err := s.cmd.Wait()
	var failed *exec.ExitError
	if err != nil && !errors.As(err, &failed) {
		s.t.Fatal(err)
	}
	return result{rest.String(), s.stderr.String(), s.cmd.ProcessState.ExitCode()}
}

// background starts the target by itself.
func background(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(built.target, args...)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	return cmd
}

package main

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// server is a running examples/app.
type server struct {
	dir    string // temporary, with the binary in it
	binary string
	url    string
	cmd    *exec.Cmd
	client http.Client
}

// startServer builds the program and starts it.
func startServer() (_ *server, err error) {
	s := &server{client: http.Client{Timeout: 10 * time.Second}}
	if s.dir, err = os.MkdirTemp("", "argtap-quickstart-"); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			s.stop()
		}
	}()
	s.binary = filepath.Join(s.dir, "app")
	build := exec.Command("go", "build", "-o", s.binary, "github.com/argtap/argtap/examples/app")
	build.Env = append(os.Environ(), "GOFLAGS=-buildvcs=false")
	if out, err := build.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("build examples/app: %w: run this in the argtap repository, with go in $PATH\n%s", err, out)
	}
	s.cmd = exec.Command(s.binary)
	s.cmd.Stderr = os.Stderr
	out, err := s.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := s.cmd.Start(); err != nil {
		return nil, err
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		return nil, fmt.Errorf("the server did not print its address: %w", err)
	}
	s.url = strings.TrimSpace(line)
	return s, nil
}

func (s *server) pid() int { return s.cmd.Process.Pid }

// get returns the answer to a request, in one line.
func (s *server) get(path string) (string, error) {
	resp, err := s.client.Get(s.url + path)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", resp.Status, body)
	}
	return strings.TrimSpace(string(body)), err
}

// stop ends the server and removes what was built.
func (s *server) stop() {
	if s.cmd != nil && s.cmd.Process != nil {
		s.cmd.Process.Kill()
		s.cmd.Wait()
	}
	os.RemoveAll(s.dir)
}

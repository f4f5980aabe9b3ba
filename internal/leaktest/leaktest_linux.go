package leaktest

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"
)

// patience is how long what is about to end may take: files are closed by
// goroutines that notice an end, and the kernel frees some objects later.
const patience = 10 * time.Second

// State is what a process has open.
type State struct {
	files      map[string]int // by what they are: a path, or a kind such as anon_inode:bpf-prog
	goroutines map[string]int // by the function that created them
}

// runtimeFiles are files that the Go runtime opens once and keeps.
var runtimeFiles = []string{"anon_inode:[eventpoll]", "anon_inode:[eventfd]"}

// Now returns the state of this process.
func Now() *State {
	s := &State{files: files(), goroutines: make(map[string]int)}
	for _, g := range goroutines() {
		s.goroutines[creator(g)]++
	}
	return s
}

// files counts the open files by what they are.
func files() map[string]int {
	n := make(map[string]int)
	fds, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		panic(err)
	}
	for _, fd := range fds {
		to, err := os.Readlink(filepath.Join("/proc/self/fd", fd.Name()))
		if err != nil {
			continue // that of the directory
		}
		// Pipes and sockets are told apart by their numbers, which says nothing.
		if kind, _, ok := strings.Cut(to, ":["); ok && kind != "anon_inode" {
			to = kind
		}
		n[to]++
	}
	return n
}

// goroutines returns the stacks of all but the calling one.
func goroutines() []string {
	buf := make([]byte, 1<<20)
	for {
		n := runtime.Stack(buf, true)
		if n < len(buf) {
			return strings.Split(string(buf[:n]), "\n\n")[1:]
		}
		buf = make([]byte, 2*len(buf))
	}
}

// creator is the function that began the goroutine with a stack.
func creator(stack string) string {
	i := strings.LastIndex(stack, "created by ")
	if i < 0 {
		return "the program"
	}
	name, _, _ := strings.Cut(stack[i+len("created by "):], "\n")
	name, _, _ = strings.Cut(name, " in goroutine")
	return name
}

// Since returns what this process has open that it had not before, one line each,
// none if there is nothing. It waits a while for what is about to end.
func (s *State) Since() []string {
	for deadline := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) {
		if left := s.since(); len(left) == 0 || time.Now().After(deadline) {
			return left
		}
	}
}

func (s *State) since() (left []string) {
	for what, n := range files() {
		was := s.files[what]
		if slices.Contains(runtimeFiles, what) {
			was = max(was, 1)
		}
		if n > was {
			left = append(left, fmt.Sprintf("%d open files, %d before: %s", n, was, what))
		}
	}
	count := make(map[string]int)
	stacks := make(map[string]string)
	for _, g := range goroutines() {
		count[creator(g)]++
		stacks[creator(g)] = g
	}
	for by, n := range count {
		// The testing package has one for a time limit, the runtime its own.
		if n > s.goroutines[by] && !strings.HasPrefix(by, "testing.") && !strings.HasPrefix(by, "runtime.") &&
			!strings.HasPrefix(by, "os/signal.") {
			left = append(left, fmt.Sprintf("%d goroutines, %d before, such as %s", n, s.goroutines[by], stacks[by]))
		}
	}
	slices.Sort(left)
	return left
}

// Runner is a [testing.M], or what runs it.
type Runner interface{ Run() int }

// Run runs tests and returns their exit status, or a failure if they leave
// something open.
func Run(m Runner) int {
	before := Now()
	status := m.Run()
	if status != 0 {
		return status // what failed may have ended anywhere
	}
	left := before.Since()
	for _, what := range left {
		fmt.Fprintln(os.Stderr, "left open by the tests:", what)
	}
	if len(left) > 0 {
		return 1
	}
	return 0
}

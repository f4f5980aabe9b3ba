// Command caps is the target of the tests of kernel features: it does what it is
// told to do by lines on its standard input, and answers each with a line.
package main

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"unsafe"
)

type point struct{ X, Y int }

var sink int

// hit has no stack check: in the process that fork makes, that could lead to
// the scheduler, which has no other thread there.
//
//go:noinline
//go:nosplit
func hit(n int) { sink = n }

//go:noinline
func text(s string) {
	if len(s) == 0 {
		grow()
	}
	sink = len(s)
}

//go:noinline
func refs(p []*point) {
	if len(p) == 0 {
		grow()
	}
	sink = len(p)
}

// crowd, throng, list and chain are called by many threads at once, with arguments that
// say which call it is.
//
//go:noinline
func crowd(id, a, b, c int) {
	if id < 0 {
		grow()
	}
	sink = id + a + b + c
}

//go:noinline
func throng(id, a, b, c int) {
	if id < 0 {
		grow()
	}
	sink = id - a - b - c
}

//go:noinline
func list(id int, items []*item) {
	if id < 0 {
		grow()
	}
	sink = id + len(items)
}

// results panics for each third number.
//
//go:noinline
func results(n int, s string) (int, string, []point) {
	if n%3 == 2 {
		panic(n)
	}
	return n + 1, s + "!", []point{{X: n}}
}

func attempt(n int) {
	defer func() { recover() }()
	results(n, fmt.Sprint(n))
}

//go:noinline
func chain(id int, l *link) {
	if id < 0 {
		grow()
	}
	sink = id
}

// link is a link of a chain, the last of which leads to the first.
type link struct {
	ID   int
	Next *link
	Any  any
}

func newChain(id, n int) *link {
	first := &link{ID: id}
	last := first
	for i := 1; i < n; i++ {
		last.Next = &link{ID: id + i, Any: fmt.Sprint("any ", id)}
		last = last.Next
	}
	last.Next = first
	return first
}

type item struct {
	ID   int
	Name string
	P    *point
}

// race has n threads call the four as often as perThread says.
func race(n, perThread int) {
	// All of them are to run at the same time, whatever the number of CPUs.
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(n))
	var end sync.WaitGroup
	for thread := range n {
		end.Go(func() {
			runtime.LockOSThread()
			for i := range perThread {
				id := thread*perThread + i
				crowd(id, id+1e9, ^id, 3*id)
				throng(id, id+2e9, -id, 5*id)
				name := fmt.Sprint("item ", id)
				list(id, []*item{{id, name, &point{id, 1}}, {id + 1, name, &point{id, 2}}, {id + 2, name, &point{id, 3}}})
				chain(id, newChain(id, 8))
			}
		})
	}
	end.Wait()
}

// grow gives its callers a stack check.
//
//go:noinline
func grow() { fmt.Fprintln(os.Stderr, "grow") }

func main() {
	if len(os.Args) > 1 && os.Args[1] == "child" {
		hit(3)
		hit(4)
		return
	}
	if _, err := fmt.Println("ready"); err != nil {
		os.Exit(1)
	}
	for in := bufio.NewScanner(os.Stdin); in.Scan(); {
		answer, err := do(in.Text())
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		fmt.Println(answer)
	}
}

func do(command string) (answer string, err error) {
	name, arg, _ := strings.Cut(command, " ")
	n := 0
	fmt.Sscan(arg, &n)
	switch name {
	case "hit":
		for i := range n {
			hit(i)
		}
	case "threads": // each calls once, all at the same time
		var start, end sync.WaitGroup
		start.Add(n)
		for i := range n {
			end.Go(func() {
				runtime.LockOSThread() // the thread ends with the goroutine
				start.Done()
				start.Wait()
				hit(i)
			})
		}
		end.Wait()
	case "race":
		race(n, 1000)
	case "fork": // another process with a copy of the memory
		pid, err := fork()
		return fmt.Sprint(pid), err
	case "exec": // another process that runs the same file
		cmd := exec.Command("/proc/self/exe", "child")
		err := cmd.Run()
		return fmt.Sprint(cmd.Process.Pid), err
	case "text": // on a page that was never touched
		return unread()
	case "results":
		for i := range n {
			attempt(i)
		}
	case "chain":
		chain(7, newChain(7, n))
	case "refs":
		refs([]*point{{1, 2}, {3, 4}})
	default:
		return "", fmt.Errorf("unknown command %q", command)
	}
	return "done", nil
}

// fork makes a child that calls hit twice and ends. It has one thread and no
// scheduler, so nothing in it may wait.
//
//go:norace
func fork() (int, error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var none [4]uintptr
	pid, _, errno := syscall.RawSyscall6(syscall.SYS_CLONE, uintptr(syscall.SIGCHLD), 0,
		uintptr(unsafe.Pointer(&none[0])), uintptr(unsafe.Pointer(&none[1])), 0, 0)
	if errno != 0 {
		return 0, errno
	}
	if pid == 0 {
		hit(1)
		hit(2)
		for {
			syscall.RawSyscall(syscall.SYS_EXIT_GROUP, 0, 0, 0)
		}
	}
	var ws syscall.WaitStatus
	_, err := syscall.Wait4(int(pid), &ws, 0, nil)
	if err == nil && ws != 0 {
		err = fmt.Errorf("the child ended with status %#x", ws)
	}
	return int(pid), err
}

// unread calls text with a string on a page of a file that this process has not
// touched, and returns what is there.
func unread() (string, error) {
	f, err := os.CreateTemp("", "caps")
	if err != nil {
		return "", err
	}
	defer f.Close()
	defer os.Remove(f.Name())
	const s = "not resident"
	if _, err := f.WriteString(s); err != nil {
		return "", err
	}
	b, err := syscall.Mmap(int(f.Fd()), 0, len(s), syscall.PROT_READ, syscall.MAP_SHARED)
	if err != nil {
		return "", err
	}
	text(unsafe.String(&b[0], len(b)))
	return s, nil
}

// Command guest is what the tests run in guests.
package main

import (
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"time"
)

// facts are what a guest tells of itself.
type facts struct {
	Release, Arch, Dir, Data string
	Args, Mounts             []string
	Env                      string
	CPUs, PID                int
	Loopback                 string
}

func main() {
	switch os.Args[1] {
	case "facts":
		tell()
		os.Exit(7)
	case "output":
		// Much of both kinds, and lines that look like other things.
		for i := range 20000 {
			fmt.Println("stdout", i, "[    1.0] kernel: message")
			if i%4 == 0 {
				fmt.Fprintln(os.Stderr, "stderr", i)
			}
		}
		os.Stdout.Write([]byte{0, 1, 2, 0xff, '\r', '\n', 'x'})
	case "kill":
		syscall.Kill(os.Getpid(), syscall.SIGKILL)
	case "orphan":
		// It holds the output open, and outlives this process.
		cmd := exec.Command("/proc/self/exe", "sleep")
		cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
		if err := cmd.Start(); err != nil {
			panic(err)
		}
	case "sleep":
		time.Sleep(time.Hour)
	case "crash":
		fmt.Println("crashing")
		os.WriteFile("/proc/sysrq-trigger", []byte("c"), 0)
		time.Sleep(time.Hour)
	}
}

func tell() {
	f := facts{Arch: runtime.GOARCH, Args: os.Args[2:], Env: os.Getenv("GUEST"), CPUs: runtime.NumCPU(), PID: os.Getpid()}
	f.Dir, _ = os.Getwd()
	if b, err := os.ReadFile("/proc/sys/kernel/osrelease"); err == nil {
		f.Release = strings.TrimSpace(string(b))
	}
	if b, err := os.ReadFile("/data/sub/file"); err == nil {
		f.Data = string(b)
	}
	b, _ := os.ReadFile("/proc/mounts")
	for line := range strings.Lines(string(b)) {
		f.Mounts = append(f.Mounts, strings.Fields(line)[1])
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err == nil {
		go net.Dial("tcp", l.Addr().String())
		_, err = l.Accept()
	}
	f.Loopback = fmt.Sprint(err)
	json.NewEncoder(os.Stdout).Encode(f)
	fmt.Fprintln(os.Stderr, "that is all")
}

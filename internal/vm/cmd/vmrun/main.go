// Command vmrun runs a program on another Linux kernel, in QEMU:
//
//	vmrun [flags] PROGRAM [ARGS...]
//
// PROGRAM is an executable of this machine's file system, built for the
// architecture that -arch names, and static unless -libc is given:
//
//	GOARCH=arm64 CGO_ENABLED=0 go test -c -o uprobe.test ./uprobe
//	go run ./internal/vm/cmd/vmrun -kernel 5.10 -arch arm64 ./uprobe.test -test.v
//
// It runs as root in the folder /run/vm of the guest, where it finds no files
// but its own and those that -file gives. Its output is vmrun's output, its
// exit status vmrun's; 125 means that it was not run to its end. See package vm
// for what the machine needs.
package main

import (
	"context"
	"flag"
	"fmt"
	"maps"
	"os"
	"os/signal"
	"path"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/argtap/argtap/internal/vm"
)

func main() { os.Exit(run()) }

// failed is the exit status where the program was not run to its end.
const failed = 125

// guestDir is the program's folder in the guest.
const guestDir = "/run/vm"

func run() int {
	fs := flag.NewFlagSet("vmrun", flag.ExitOnError)
	kernel := fs.String("kernel", vm.Names()[0], "kernel: "+strings.Join(vm.Names(), ", "))
	arch := fs.String("arch", runtime.GOARCH, "architecture: amd64, arm64")
	memory := fs.Int("memory", 2048, "memory in `MiB`")
	cpus := fs.Int("cpus", 2, "processors")
	cpu := fs.String("cpu", "", "`model` of the processor, by QEMU's name")
	timeout := fs.Duration("timeout", 10*time.Minute, "bound of the whole run")
	libc := fs.String("libc", "", "add the C library for an `architecture`: programs that are not static need it")
	verbose := fs.Bool("console", false, "print the kernel's console on standard error")
	appendArgs := fs.String("append", "", "further `arguments` for the kernel")
	files := map[string]string{}
	fs.Func("file", "`HOST[:GUEST]` adds a file or folder to the guest, a relative GUEST to the program's folder", func(s string) error {
		host, guest, ok := strings.Cut(s, ":")
		if !ok {
			guest = filepath.Base(host)
		}
		if !path.IsAbs(guest) {
			guest = path.Join(guestDir, guest)
		}
		files[guest] = host
		return nil
	})
	var env []string
	fs.Func("env", "`NAME=value` sets an environment variable", func(s string) error {
		env = append(env, s)
		return nil
	})
	fs.Usage = func() {
		fmt.Fprintln(fs.Output(), "usage: vmrun [flags] PROGRAM [ARGS...]")
		fs.PrintDefaults()
	}
	fs.Parse(os.Args[1:])
	if fs.NArg() == 0 {
		fs.Usage()
		return failed
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	k, err := vm.Fetch(ctx, *kernel, *arch, os.Stderr)
	if err != nil {
		fmt.Fprintln(os.Stderr, "vmrun:", err)
		return failed
	}
	if *libc != "" {
		libraries, err := vm.Libraries(ctx, *libc, os.Stderr)
		if err != nil {
			fmt.Fprintln(os.Stderr, "vmrun:", err)
			return failed
		}
		maps.Copy(files, libraries)
	}
	program := path.Join(guestDir, filepath.Base(fs.Arg(0)))
	files[program] = fs.Arg(0)
	config := vm.Config{
		Kernel: k, Files: files, Args: append([]string{program}, fs.Args()[1:]...), Env: env, Dir: guestDir,
		Memory: *memory, CPUs: *cpus, CPU: *cpu, Append: *appendArgs, Timeout: *timeout,
		Stdout: os.Stdout, Stderr: os.Stderr,
	}
	if *verbose {
		config.Console = os.Stderr
	}
	status, err := vm.Run(ctx, config)
	if err != nil {
		fmt.Fprintln(os.Stderr, "vmrun:", err)
		return failed
	}
	return status
}

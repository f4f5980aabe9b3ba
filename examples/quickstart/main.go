// Command quickstart shows what argtap does, and checks that it does it here.
//
// It builds and starts a web server (examples/app), traces its function
// computeE while it runs, and prints each captured argument beside what the
// server was asked. It also shows what a probe is: the byte 0xcc, an int3
// instruction, in the server's memory.
//
//	sudo "$(which go)" run ./examples/quickstart
//
// It ends by itself, with status 1 if anything was not as expected.
package main

import (
	"errors"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"strings"
	"time"

	"github.com/argtap/argtap/uprobe"
)

const function = "main.computeE"

// iterations are what the server is asked for.
var iterations = []int64{1, 2, 3, 5, 10, 20, 1000, 1_000_000, -7}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "quickstart:", err)
		if errors.Is(err, uprobe.ErrPermission) {
			fmt.Fprintln(os.Stderr, "quickstart: or let sudo do it all: sudo \"$(which go)\" run ./examples/quickstart")
		}
		os.Exit(1)
	}
}

func run() error {
	if runtime.GOOS != "linux" {
		return fmt.Errorf("uprobes are a feature of Linux, this is %s: run it in a Linux virtual machine (a container will not do)", runtime.GOOS)
	}
	srv, err := startServer()
	if err != nil {
		return err
	}
	defer srv.stop()
	interrupt := make(chan os.Signal, 1)
	signal.Notify(interrupt, os.Interrupt)
	go func() {
		<-interrupt
		srv.stop()
		os.Exit(1)
	}()

	funcs, err := uprobe.Inspect(srv.binary, function)
	if err != nil {
		return err
	}
	probe := funcs[0].EntryProbe()
	addr, err := memoryAddress(srv.pid(), srv.binary, uint64(probe.Offset))
	if err != nil {
		return err
	}
	fmt.Printf("server     process %d, %s, built from examples/app\n", srv.pid(), srv.url)
	fmt.Printf("function   %s, %s\n", funcs[0].Name(), funcs[0].Signature())
	fmt.Printf("argument   %s, in %s\n", funcs[0].Params()[0].Name, funcs[0].Params()[0].LocationText())
	fmt.Printf("probe      on %s, %s\n\n", probe.Instruction, funcs[0].Why())

	before, err := showMemory(srv.pid(), addr, "before")
	if err != nil {
		return err
	}

	// This is all it takes to trace a function.
	calls := make(chan *uprobe.Call, len(iterations)+16)
	tracer, err := uprobe.Trace(srv.binary, function, func(c *uprobe.Call) { calls <- c.Clone() },
		uprobe.WithPID(srv.pid()))
	if err != nil {
		return err
	}
	defer tracer.Close()

	attached, err := showMemory(srv.pid(), addr, "attached")
	if err != nil {
		return err
	}
	wrong := ask(srv, calls)
	if err := tracer.Close(); err != nil {
		return err
	}
	after, err := showMemory(srv.pid(), addr, "after")
	if err != nil {
		return err
	}

	stats := tracer.Stats()
	fmt.Printf("\n%d calls, %d captured, %d lost\n", stats.Calls, stats.Delivered, stats.Lost)
	switch {
	case wrong > 0:
		return fmt.Errorf("%d captured values are not what the server was asked", wrong)
	case int(stats.Delivered) != len(iterations):
		return fmt.Errorf("%d calls were captured, %d requests were sent", stats.Delivered, len(iterations))
	case attached[0] != int3:
		return fmt.Errorf("the probed byte is %#x while attached, not %#x", attached[0], int3)
	case string(before) != string(after):
		return fmt.Errorf("the code was % x before and is % x after", before, after)
	}
	return nil
}

// ask sends the requests and prints the captured calls beside them. It returns
// how many were not as asked.
func ask(srv *server, calls <-chan *uprobe.Call) (wrong int) {
	const row = "%-18s  %-20s  %s\n"
	fmt.Printf("\n"+row, "asked", "answered", "captured")
	fmt.Println(strings.Repeat("─", 78))
	for _, n := range iterations {
		path := fmt.Sprintf("/e?iters=%d", n)
		answer, err := srv.get(path)
		if err != nil {
			fmt.Printf(row, path, err, "")
			wrong++
			continue
		}
		captured := "nothing: WRONG"
		select {
		case c := <-calls:
			captured = c.String()
			v, _ := c.ArgByName("iterations")
			if got, ok := v.Int(); !ok || got != n {
				captured += ": WRONG"
				wrong++
			}
		case <-time.After(5 * time.Second):
			wrong++
		}
		fmt.Printf(row, path, answer, captured)
	}
	fmt.Println()
	return wrong
}

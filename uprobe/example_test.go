package uprobe_test

import (
	"context"
	"fmt"
	"log"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/argtap/argtap/uprobe"
)

// buildExample builds the program that the examples look at. Any system builds
// and inspects it.
func buildExample() (path string, remove func()) {
	dir, err := os.MkdirTemp("", "argtap")
	if err != nil {
		log.Fatal(err)
	}
	path = filepath.Join(dir, "app")
	cmd := exec.Command("go", "build", "-o", path, "./testdata/inspect")
	cmd.Env = append(os.Environ(), "GOOS=linux", "GOARCH=amd64", "CGO_ENABLED=0", "GOFLAGS=-buildvcs=false", "GOWORK=off")
	if msg, err := cmd.CombinedOutput(); err != nil {
		log.Fatalf("%v: %s", err, msg)
	}
	return path, func() { os.RemoveAll(dir) }
}

// Look at where a function's parameters are, without privileges.
func ExampleInspect() {
	app, remove := buildExample()
	defer remove()
	funcs, err := uprobe.Inspect(app, "main.(*server).*")
	if err != nil {
		log.Fatal(err)
	}
	for _, f := range funcs {
		fmt.Println(f.Name())
		for _, p := range f.Params() {
			fmt.Printf("\t%s %s: %s", p.Name, p.TypeName(), p.LocationText())
			if why, absent := p.Absent(); absent {
				fmt.Printf(" (%s)", why)
			}
			fmt.Println()
		}
	}
	// Output:
	// main.(*server).serve
	// 	s *main.server: RAX:8
	// 	path string: RBX:8 RCX:8
	// 	weight float64: X0:8 (register not readable)
}

// Print the calls of a function in every process that runs a program.
func ExampleTrace() {
	t, err := uprobe.Trace("./app", "main.computeE", func(c *uprobe.Call) { fmt.Println(c) })
	if err != nil {
		log.Fatal(err)
	}
	defer t.Close()
	time.Sleep(10 * time.Second)
	fmt.Println(t.Stats())
}

// Trace the methods of a type in one process, for as long as it runs or until
// a context ends.
func ExampleTrace_options() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	t, err := uprobe.Trace("/proc/4242/exe", "main.(*Server).*",
		func(c *uprobe.Call) { slog.Info("call", "call", c) },
		uprobe.WithPID(4242),
		uprobe.WithContext(ctx),
		uprobe.WithFuncs("main.parse", "net/http.(*conn).serve"),
		uprobe.WithLimits(uprobe.Limits{String: 100, Depth: 2}),
	)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(t.Wait())
}

// Take values apart. What could not be captured says why; it is never zero
// instead.
func ExampleValue() {
	var names []string
	handler := func(c *uprobe.Call) {
		user, ok := c.ArgByName("user") // *User
		if !ok {
			return
		}
		if why, absent := user.Elem().Absent(); absent {
			fmt.Println("the user is missing:", why)
			return
		}
		if name, ok := user.Elem().FieldByName("Name"); ok {
			s, _ := name.Str()
			names = append(names, s)
		}
	}
	t, err := uprobe.Trace("./app", "main.greet", handler)
	if err != nil {
		log.Fatal(err)
	}
	defer t.Close()
}

// Keep calls for later: what a handler is given is valid until it returns.
func ExampleCall_Clone() {
	calls := make(chan *uprobe.Call, 100)
	t, err := uprobe.Trace("./app", "main.work", func(c *uprobe.Call) {
		select {
		case calls <- c.Clone():
		default: // a slow handler would cost calls
		}
	})
	if err != nil {
		log.Fatal(err)
	}
	defer t.Close()
}

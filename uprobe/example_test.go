package uprobe_test

import (
	"context"
	"errors"
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

// See where calls come from.
func ExampleWithStack() {
	t, err := uprobe.Trace("./app", "main.(*cache).evict", func(c *uprobe.Call) {
		fmt.Printf("%v\n%v%v", c, c.Stack(), c.Creation())
		for _, f := range c.Stack().Frames() {
			if f.Func == "main.(*server).shutdown" {
				log.Printf("%s:%d evicts in goroutine %d", f.File, f.Line, c.Goroutine())
			}
		}
	}, uprobe.WithStack(32))
	if err != nil {
		log.Fatal(err)
	}
	defer t.Close()
	log.Fatal(t.Wait())
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

// Look at a function that is called all the time, without harm to the program:
// at most a hundred calls a second, and one percent of each processor's time.
func ExampleWithRateLimit() {
	t, err := uprobe.Trace("./app", "main.handle", func(c *uprobe.Call) { fmt.Println(c) },
		uprobe.WithRateLimit(100), uprobe.WithBudget(0.01), uprobe.WithLogger(slog.Default()))
	if err != nil {
		log.Fatal(err)
	}
	time.Sleep(time.Minute)
	t.Close()
	for _, s := range t.FuncStats() {
		fmt.Println(s.Func.Name(), s.Calls, "calls,", s.Delivered, "seen,", s.Limited, "too fast,", s.Paused, "while paused")
	}
}

// Count the calls of a function that is called all the time, by the method of the
// request, and see how long they take.
func ExampleWithHistogram() {
	t, err := uprobe.Trace("./app", "main.(*server).handle", nil,
		uprobe.WithHistogram("duration", uprobe.Log2(), "r.Method"))
	if err != nil {
		log.Fatal(err)
	}
	defer t.Close()
	for range time.Tick(time.Second) {
		rows, err := t.Aggregates()
		if err != nil {
			log.Fatal(err)
		}
		for _, a := range rows {
			fmt.Println(a.Key, a.Count, "calls, 99% within", time.Duration(a.Quantile(0.99)))
		}
	}
}

// See from where a function is called that returns much, and how much that is.
func ExampleWithHistogram_stack() {
	t, err := uprobe.Trace("./app", "main.load", nil,
		uprobe.WithHistogram("len(result0)", uprobe.Log2(), "stack"), uprobe.WithStack(8), uprobe.WithCondition("err == nil"))
	if err != nil {
		log.Fatal(err)
	}
	time.Sleep(10 * time.Second)
	if err := t.Close(); err != nil {
		log.Fatal(err)
	}
	rows, err := t.Aggregates()
	if err != nil {
		log.Fatal(err)
	}
	for _, a := range rows {
		if s, ok := a.Key[0].Value.(uprobe.Stack); ok {
			fmt.Println(a.Sum(), "bytes in", a.Count, "calls from")
			fmt.Println(s)
		}
	}
}

// Trace a service, all of its processes, and know when they come and go.
func ExampleWithProcesses() {
	t, err := uprobe.Trace("/usr/bin/app", "main.handle", func(c *uprobe.Call) { fmt.Println(c.PID(), c) },
		uprobe.WithCgroup("/sys/fs/cgroup/system.slice/app.service"),
		uprobe.WithProcesses(func(e uprobe.ProcessEvent) { slog.Info("process", "event", e) }))
	if err != nil {
		log.Fatal(err)
	}
	defer t.Close()
	time.Sleep(time.Minute)
}

// Trace what a process runs, in whatever container it is and whatever has become of
// the file.
func ExampleWithPID() {
	t, err := uprobe.Trace("", "main.handle", func(c *uprobe.Call) { fmt.Println(c) }, uprobe.WithPID(4242))
	if err != nil {
		log.Fatal(err)
	}
	log.Fatal(t.Wait()) // when the process ends
}

// Keep a type out of the trace, and fields and parameters called account or
// anything like accountNumber, besides what is redacted by default.
func ExampleWithRedact() {
	t, err := uprobe.Trace("./app", "main.pay", func(c *uprobe.Call) { fmt.Println(c) },
		uprobe.WithRedact("account", "net/http.Header"))
	if err != nil {
		log.Fatal(err)
	}
	defer t.Close()
	time.Sleep(time.Minute)
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

// Capture expressions instead of the parameters: nothing else is read.
func ExampleWithCapture() {
	app, remove := buildExample()
	defer remove()
	funcs, err := uprobe.Inspect(app, "main.(*server).serve", uprobe.WithCapture("s.names[0][:4]", "path", "len(path) > 16"))
	if err != nil {
		log.Fatal(err)
	}
	for _, c := range funcs[0].Captures() {
		fmt.Printf("%s: %s", c.Expr, c.TypeName())
		if c.Location != nil {
			fmt.Printf(" in %s", c.LocationText())
		}
		fmt.Println()
	}
	_, err = uprobe.Inspect(app, "main.(*server).serve", uprobe.WithCapture("len(s.nmes)"))
	var wrong *uprobe.ExprError
	if errors.As(err, &wrong) {
		fmt.Println(wrong.Caret())
		fmt.Println(wrong.Message)
	}
	// Output:
	// s.names[0][:4]: string
	// path: string in RBX:8 RCX:8
	// len(path) > 16: bool
	// len(s.nmes)
	//       ^
	// no field nmes in main.server; fields: hits, names; did you mean names?
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

// Take the arguments of each call in variables. Whether the func fits the traced
// function is checked before anything is attached, here by Inspect.
func ExampleBind() {
	app, remove := buildExample()
	defer remove()
	_, err := uprobe.Inspect(app, "main.(*server).serve", uprobe.Bind(func(path string, hits int) {}, "path", "weight"))
	fmt.Println(err)

	type server struct {
		Hits  int      // the field hits
		Names []string `argtap:",cut"` // as many as were captured
	}
	_, err = uprobe.Inspect(app, "main.(*server).serve", uprobe.Bind(func(c *uprobe.Call, s *server, path string) {
		fmt.Println(c.Goroutine(), s.Hits, path)
	}, "s", "path"))
	fmt.Println(err)
	// Output:
	// function main.(*server).serve: wrong handler: func(string, int) does not fit func (s *main.server) (path string, weight float64): parameter weight: float64, not int
	// <nil>
}

// Hear of the calls that a bound func is not given.
func ExampleWithUnbound() {
	t, err := uprobe.Trace("./app", "main.computeE", nil,
		uprobe.Bind(func(iterations int64) { fmt.Println(iterations) }),
		uprobe.WithUnbound(func(c *uprobe.Call, reason error) { log.Println(c, reason) }),
	)
	if err != nil {
		log.Fatal(err)
	}
	defer t.Close()
}

// Tell what calls panic with, and where that is recovered.
func ExampleCall_PanicValue() {
	handler := func(c *uprobe.Call) {
		v, ok := c.PanicValue()
		switch {
		case !ok: // it returned
		case c.Recovered():
			fmt.Printf("%s recovered %s: %+v\n", c.Name(), v.Dynamic().TypeName(), v)
		default:
			fmt.Printf("%s panicked: %+v\n", c.Name(), v)
		}
	}
	t, err := uprobe.Trace("./app", "main.*", handler, uprobe.WithResults())
	if err != nil {
		log.Fatal(err)
	}
	defer t.Close()
}

// Decode a value into variables of a program's own.
func ExampleValue_Decode() {
	handler := func(c *uprobe.Call) {
		var r struct {
			Method string
			URL    struct{ Path, RawQuery string }
			Host   string       `argtap:",optional"` // may be missing
			Body   uprobe.Value // as it is, absent or not
		}
		err := c.Arg(0).Decode(&r)
		var absent uprobe.Absent
		switch {
		case errors.As(err, &absent):
			log.Printf("not captured: %v", err) // URL.Path: <not resident>
		case err != nil:
			log.Fatal(err) // Method: int, not string
		default:
			fmt.Println(r.Method, r.URL.Path)
		}
	}
	t, err := uprobe.Trace("./app", "main.handle", handler, uprobe.WithLimits(uprobe.Limits{Depth: 2}))
	if err != nil {
		log.Fatal(err)
	}
	defer t.Close()
}

// Show values of a type as people read them.
func ExampleWithPrinter() {
	celsius := func(v uprobe.Value) (any, bool) {
		x, ok := v.Float()
		return fmt.Sprintf("%.1f °C", x), ok
	}
	t, err := uprobe.Trace("./app", "main.measure", func(c *uprobe.Call) { fmt.Println(c) },
		uprobe.WithPrinter("example.com/app/weather.Celsius", celsius))
	if err != nil {
		log.Fatal(err)
	}
	defer t.Close()
}

// Trace a line of the source where a condition over its variables is true.
func ExampleTrace_line() {
	t, err := uprobe.Trace("./app", "main.go:31", func(c *uprobe.Call) {
		file, line := c.Line()
		fmt.Println(file, line, c)
	}, uprobe.WithCondition("total > 100"))
	if err != nil {
		log.Fatal(err)
	}
	defer t.Close()
}

// Trace a function also where the compiler has inlined it.
func ExampleWithInlined() {
	t, err := uprobe.Trace("./app", "main.clamp", func(c *uprobe.Call) {
		if at, inlined := c.Inlined(); inlined {
			fmt.Println(c.Name(), "in", at.Caller, "line", at.Line)
		}
	}, uprobe.WithInlined())
	if err != nil {
		log.Fatal(err)
	}
	defer t.Close()
}

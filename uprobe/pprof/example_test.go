package pprof_test

import (
	"log"
	"os"
	"time"

	"github.com/argtap/argtap/uprobe"
	"github.com/argtap/argtap/uprobe/pprof"
)

// Write a profile of who calls a function, for "go tool pprof calls.pprof".
func Example() {
	p := pprof.New()
	t, err := uprobe.Trace("./app", "main.(*store).read", p.Add, uprobe.WithStack(64), uprobe.WithResults())
	if err != nil {
		log.Fatal(err)
	}
	time.Sleep(10 * time.Second)
	if err := t.Close(); err != nil {
		log.Fatal(err)
	}
	f, err := os.Create("calls.pprof")
	if err != nil {
		log.Fatal(err)
	}
	defer f.Close()
	if err := p.Write(f); err != nil {
		log.Fatal(err)
	}
}

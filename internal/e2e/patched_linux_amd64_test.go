package e2e

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/argtap/argtap/internal/fixture"
	"github.com/argtap/argtap/uprobe"
)

// TestPatched has a program that replaces one of its functions in memory, as libraries
// for tests do it, by a jump over the place of the probe. That function is refused in
// every way to name it, and the program lives; others of it are traced.
func TestPatched(t *testing.T) {
	needRoot(t)
	path := fixture.Build(t, fixture.Source{"main.go": `package main

import (
	"fmt"
	"os"
	"reflect"
	"syscall"
	"unsafe"

	"fixture/truth"
)

//go:noinline
func work(n int, s string) (int, string) {
	if n > 1000 {
		fmt.Println("much")
	}
	return n * 2, s
}

//go:noinline
func other(n int, s string) (int, string) {
	if n > 1000 {
		fmt.Println("more")
	}
	return n * 3, s + "!"
}

// patch lets calls of from go to to.
func patch(from, to func(int, string) (int, string)) {
	entry := reflect.ValueOf(from).Pointer()
	ctx := *(*uintptr)(unsafe.Pointer(&to))
	jump := []byte{0x48, 0xba, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0x22} // mov ctx, %rdx; jmp *(%rdx)
	for i := 0; i < 8; i++ {
		jump[2+i] = byte(ctx >> (8 * i))
	}
	pages := unsafe.Slice((*byte)(unsafe.Pointer(entry&^4095)), 8192)
	if err := syscall.Mprotect(pages, syscall.PROT_READ|syscall.PROT_WRITE|syscall.PROT_EXEC); err != nil {
		panic(err)
	}
	copy(unsafe.Slice((*byte)(unsafe.Pointer(entry)), len(jump)), jump)
	if err := syscall.Mprotect(pages, syscall.PROT_READ|syscall.PROT_EXEC); err != nil {
		panic(err)
	}
}

func main() {
	if os.Getenv("PATCH") != "" {
		patch(work, other)
	}
	truth.Start()
	for {
		for i := 0; i < 20; i++ {
			if n, s := work(i, "s"); os.Getenv("PATCH") != "" && (n != 3*i || s != "s!") {
				panic(fmt.Sprint(n, s))
			}
		}
		truth.Done()
	}
}
`})
	plain := fixture.Start(t, path)
	patched := fixture.Start(t, path, "PATCH=1")
	ignore := func(*uprobe.Call) {}
	for _, tt := range []struct {
		name string
		opts []uprobe.Option
	}{
		{"main.work", nil},
		{"main.w*", []uprobe.Option{uprobe.WithResults()}},
		{"main.go:14", nil},
		{"main.work", []uprobe.Option{uprobe.WithPID(patched.PID)}},
		{"main.work", []uprobe.Option{uprobe.WithPID(plain.PID), uprobe.WithPID(patched.PID), uprobe.WithResults()}},
	} {
		tr, err := uprobe.Trace(path, tt.name, ignore, tt.opts...)
		if tr != nil {
			tr.Close()
		}
		if !errors.Is(err, uprobe.ErrPatched) || !strings.Contains(err.Error(), "main.work") {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
	round := func() {
		for _, p := range []*fixture.Target{plain, patched} {
			p.Go()
			p.Calls()
		}
	}
	round()
	// Another tracer's breakpoints are no patch.
	first := trace(t, path, []string{"main.other"}, ignore, uprobe.WithResults())
	second := trace(t, path, []string{"main.other"}, ignore, uprobe.WithResults())
	third := trace(t, path, []string{"main.work"}, ignore, uprobe.WithPID(plain.PID), uprobe.WithResults())
	round()
	for _, tr := range []*uprobe.Tracer{first, second, third} {
		if s := closeAll(t, tr); s.Calls != 20 || s.Delivered != 20 {
			t.Errorf("%+v", s)
		}
	}
	// Of a pattern the function is left out.
	both := trace(t, path, []string{"main.wor*", "main.other"}, ignore)
	if out := both.LeftOut(); len(both.Funcs()) != 1 || both.Funcs()[0].Name() != "main.other" ||
		!slices.ContainsFunc(out, func(err error) bool { return errors.Is(err, uprobe.ErrPatched) }) {
		t.Errorf("%d functions, left out %v", len(both.Funcs()), out)
	}
	round()
	if s := closeAll(t, both); s.Calls != 20 {
		t.Errorf("%+v", s)
	}
	round()
}
